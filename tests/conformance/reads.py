"""Reads that fail, and answers that lie: an error or an incomplete fact, never "there is nothing"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

import msgspec

from holdfast.domain.account import Fact
from holdfast.domain.intents import Accepted, NotFound, Unavailable, Unknown
from holdfast.exchanges.port import ExchangeError
from tests.conformance.case import Proof, case
from tests.conformance.doubts import ORDER, STOP, strike
from tests.conformance.stand import BTC, HOUR_MS, LOT, Desk, P, took

D = Decimal
Read = Callable[[Desk], Awaitable[Any]]

READS: Mapping[str, Read] = {
    "positions": lambda d: d.exchange.positions(priority=P),
    "open orders": lambda d: d.exchange.open_orders(None, priority=P),
    "stops": lambda d: d.exchange.open_stops(BTC, priority=P),
    "balance": lambda d: d.exchange.balance(priority=P),
    "settings": lambda d: d.exchange.account_config(priority=P),
    "fills": lambda d: d.exchange.fills(BTC, d.stand.clock.now_ms() - HOUR_MS, priority=P),
    "transfers": lambda d: d.exchange.transfers(d.stand.clock.now_ms() - HOUR_MS, priority=P),
    "an order": lambda d: d.exchange.find_order(BTC, "hf-limit", priority=P),
    "a stop": lambda d: d.exchange.find_stop(BTC, "hf-stop", priority=P),
    "bars": lambda d: d.exchange.candles(BTC, "5m", 30, priority=P),
    "marks": lambda d: d.exchange.marks([BTC], priority=P),
    "quotes": lambda d: d.exchange.quotes([BTC], priority=P),
    "the clock": lambda d: d.exchange.measure_clock(),
    "the trading rules": lambda d: d.exchange.load_instruments(age_max_ms=0),
}
FAILURES = ("html", "empty", "truncated", "error_before", "error_after", "lost_request", "lost_reply")
NONSENSE = ("NaN", "Infinity", "1e999999", "9" * 40, "-1", "", "nonsense", "true", "null")


async def _something(d: Desk) -> None:
    """There is something to read of every kind."""
    await d.exchange.watch_marks([BTC])
    await d.enter("hf-entry")
    await d.limit("hf-limit")
    took(await d.stop("hf-stop"))
    await d.rest(15)


async def _asked(d: Desk, read: Read) -> object:
    """What comes of a read: its answer, or the word of the error it raised; nothing else may escape."""
    await d.rest(1.2)
    try:
        return await read(d)
    except ExchangeError as error:
        return error


def _proof(read: Read) -> Proof:
    async def fails(d: Desk) -> None:
        await _something(d)
        for kind in FAILURES:
            number = d.fault(kind, method="GET")
            found = await _asked(d, read)
            d.unfault(number)
            assert isinstance(found, ExchangeError | Unknown | Unavailable), (kind, found)
        await d.rest(3)
        assert not isinstance(await _asked(d, read), ExchangeError | Unknown | Unavailable | NotFound)

    return fails


for _number, (_what, _read) in enumerate(READS.items(), start=260):
    case(_number, f"{_what}: a read that fails is an error, whatever it fails by, and the next one is none")(
        _proof(_read)
    )


def _sane(value: object) -> bool:
    """No number that is none, nowhere in it."""
    if isinstance(value, Decimal):
        return value.is_finite() and abs(value) <= D(10) ** 20
    if is_dataclass(value):
        return all(_sane(getattr(value, each.name)) for each in fields(value))
    if isinstance(value, msgspec.Struct):
        return all(_sane(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, Mapping):
        return all(map(_sane, value.values()))
    if isinstance(value, tuple | list):
        return all(map(_sane, value))
    return True


@case(
    280, "members that say nonsense in every read: only our own errors come out, and no number that is none"
)
async def nonsense(d: Desk) -> None:
    await _something(d)
    for word in NONSENSE:
        number = d.fault("field_changed", method="GET", word=word)
        for read in READS.values():
            found = await _asked(d, read)
            assert isinstance(found, ExchangeError) or _sane(found), found
            assert not isinstance(found, Accepted)
        d.unfault(number)
    await d.rest(3)
    assert await d.held() == LOT


@case(281, "members that are missing from every read: only our own errors come out")
async def missing(d: Desk) -> None:
    await _something(d)
    for member in ("", "[a-m].*", "[n-z].*", "[A-Z].*"):
        number = d.fault("field_missing", method="GET", member=member)
        for read in READS.values():
            found = await _asked(d, read)
            assert isinstance(found, ExchangeError) or _sane(found), found
        d.unfault(number)
    await d.rest(3)
    assert await d.held() == LOT


@case(282, "a row that cannot be read makes the list incomplete, and hides no other row")
async def bad_row(d: Desk) -> None:
    await _something(d)
    members = {"binance": "orderId", "bingx": "orderId", "bitget": "orderId"}
    d.fault("field_missing", method="GET", member=members[d.stand.exchange], path="[oO]rders", times=1)
    found = await _asked(d, READS["open orders"])
    assert isinstance(found, ExchangeError) or (isinstance(found, Fact) and not found.complete), found


@case(283, "an order, or a stop, whose answer is nonsense is Unknown; it is found all the same")
async def nonsense_answer(d: Desk) -> None:
    for number, (kind, word) in enumerate(
        (("field_changed", "NaN"), ("field_changed", ""), ("field_missing", ""))
    ):
        name = f"hf-{number}"
        strike(d, ORDER, kind, word=word)
        outcome = await d.send(name)
        assert isinstance(outcome, Unknown), outcome
        assert (await d.order(name)).filled == LOT
        strike(d, STOP, kind, word=word)
        outcome = await d.sized(f"{name}-stop", quantity=D("0.005"))
        assert isinstance(outcome, Unknown), outcome
    assert await d.held() == 3 * LOT


LASTING = ("positions", "open orders", "stops", "fills", "an order", "a stop")
"""Reads whose answer does not change while nothing happens."""


@case(284, "numbers that come as text, text as numbers: read for what they say, or refused as unreadable")
async def retyped(d: Desk) -> None:
    await _something(d)
    for what in LASTING:
        plain = await _asked(d, READS[what])
        number = d.fault("field_retyped", method="GET")
        odd = await _asked(d, READS[what])
        d.unfault(number)
        unread = isinstance(odd, ExchangeError | Unknown) or (isinstance(odd, Fact) and not odd.complete)
        assert unread or _value(odd) == _value(plain), (plain, odd)


def _value(found: object) -> object:
    """What was read, without when; of positions what does not move with the price."""
    if isinstance(found, Accepted):
        return (found.exchange_id, found.order and found.order.status, found.stop and found.stop.status)
    assert isinstance(found, Fact), found
    return [(each.symbol, getattr(each, "side", ""), each.quantity) for each in found.value]
