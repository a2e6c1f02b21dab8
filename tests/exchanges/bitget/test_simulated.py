"""The Bitget adapter against the simulated exchange: the whole path of an order and its doubts."""

import time
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.intents import (
    Accepted,
    NotFound,
    Priority,
    Purpose,
    Rejected,
    RejectReason,
    Unavailable,
    Unknown,
)
from holdfast.domain.orders import (
    ExchangeStatus,
    OrderType,
    PositionSide,
    Side,
    StopKind,
    StopStatus,
    TriggerSource,
)
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bitget import requests
from holdfast.exchanges.limits import Scope
from holdfast.exchanges.port import ExchangeError
from holdfast.simulator.bitget.limits import Limits
from tests.exchanges.bitget.desk import Desk, P, desk
from tests.exchanges.support import BTC, approved, intent

D = Decimal
DAY_MS = 24 * 3600 * 1000
ETH = Symbol("ETH", "USDT", "USDT")
ORDER, TPSL = "/order/place-order$", "/order/place-tpsl-order$"


async def test_opening_reads_rules_clock_and_configuration() -> None:
    """What a bot asks before it does anything."""
    async with desk() as d:
        rules = d.exchange.instrument(BTC)
        assert rules is not None
        assert rules.tradable
        assert rules.notional_min == 5
        assert abs(d.exchange.clock_offset_ms()) < 100
        await d.mark()
        config = await d.exchange.account_config(priority=P)
        assert (config.value.position_mode, config.complete) == (PositionMode.ONE_WAY, True)
        assert config.value.leverage[BTC] > 0
        balance = await d.exchange.balance(priority=P)
        assert (balance.value.currency, balance.value.wallet) == ("USDT", D(10_000))
        assert d.exchange.stats.gaps == {}


async def test_an_entry_is_seen_as_order_position_and_fill() -> None:
    """Four sources of the same truth."""
    async with desk() as d:
        entered = await d.enter("hf-entry")
        assert entered.order is not None
        assert (entered.order.status, entered.order.filled) == (ExchangeStatus.FILLED, D("0.01"))
        (held,) = (await d.exchange.positions(priority=P)).value
        assert (held.symbol, held.quantity, held.side) == (BTC, D("0.01"), PositionSide.BOTH)
        assert held.leverage > 0
        found = await d.exchange.find_order(BTC, "hf-entry", priority=P)
        assert isinstance(found, Accepted)
        assert found.order is not None
        assert found.order.average_price == held.entry_price
        by_id = await d.exchange.find_order(BTC, "", order_id=entered.exchange_id, priority=P)
        assert by_id == found
        fills = await d.exchange.fills(BTC, d.world.clock.now_ms() - DAY_MS, priority=P)
        assert fills.complete
        assert sum(fill.quantity for fill in fills.value) == D("0.01")
        assert {fill.order_id for fill in fills.value} == {entered.exchange_id}
        assert all(fill.fee > 0 and fill.fee_currency == "USDT" for fill in fills.value)


@pytest.mark.parametrize("hidden", [False, True])
async def test_a_whole_position_stop_stands_and_is_found(hidden: bool) -> None:
    """In its book, or where no list shows it by the position that names it; and gone after its cancel."""
    async with desk({"hidden_pos_loss": hidden}) as d:
        await d.enter()
        placed = await d.stop("hf-stop")
        assert isinstance(placed, Accepted)
        (stop,) = (await d.exchange.open_stops(BTC, priority=P)).value
        assert (stop.client_id, stop.kind, stop.status) == ("hf-stop", StopKind.STOP, StopStatus.LIVE)
        assert (stop.close_position, stop.quantity, stop.market) == (True, D(0), True)
        assert stop.trigger_source is TriggerSource.MARK
        assert placed.stop is not None
        assert placed.stop.stop_id == stop.stop_id == placed.exchange_id
        assert len((await d.exchange.open_stops(None, priority=P)).value) == 1
        assert (await d.exchange.open_orders(BTC, priority=P)).value == ()
        assert isinstance(await d.exchange.find_stop(BTC, "hf-stop", priority=P), Accepted)
        d.world.jump(1.2)
        cancelled = await d.send(purpose=Purpose.CANCEL_STOP, target_id=stop.stop_id)
        assert cancelled == Accepted(exchange_id=stop.stop_id)
        assert (await d.exchange.open_stops(BTC, priority=P)).value == ()
        d.world.jump(1.2)
        again = await d.send(purpose=Purpose.CANCEL_STOP, target_id=stop.stop_id)
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.NOT_FOUND


async def test_a_stop_of_unknown_origin_in_no_list_leaves_doubt() -> None:
    """Another process placed it: it cannot be said that ours does not stand."""
    async with desk({"hidden_pos_loss": True}) as d:
        await d.enter()
        await d.stop("hf-stop")
        d.exchange._census._ours.clear()
        (stop,) = (await d.exchange.open_stops(BTC, priority=P)).value
        assert stop.client_id == ""
        assert isinstance(await d.exchange.find_stop(BTC, "hf-stop", priority=P), Unknown)


async def test_two_forms_of_stop_stand_together_and_two_alike_do_not() -> None:
    """What `two_stops_may_stand` promises; each is cancelled in its own family."""
    async with desk() as d:
        await d.enter()
        assert isinstance(await d.stop(), Accepted)
        again = await d.stop(ratio="0.8")
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.STOP_EXISTS
        sized = await d.stop("hf-sized", ratio="0.8", close_position=False, quantity=D("0.01"))
        assert isinstance(sized, Accepted)
        stops = (await d.exchange.open_stops(BTC, priority=P)).value
        assert {(stop.close_position, stop.quantity) for stop in stops} == {(True, D(0)), (False, D("0.01"))}
        d.world.jump(1.2)
        cancelled = await d.send(purpose=Purpose.CANCEL_STOP, target_client_id="hf-sized")
        assert cancelled == Accepted(exchange_id=sized.exchange_id)
        assert [s.close_position for s in (await d.exchange.open_stops(BTC, priority=P)).value] == [True]


async def test_a_stop_beyond_the_price_would_trigger() -> None:
    """Act now, it says: close or choose another trigger."""
    async with desk() as d:
        await d.enter()
        refused = await d.stop(ratio="1.1")
        assert isinstance(refused, Rejected)
        assert refused.reason is RejectReason.WOULD_TRIGGER


@pytest.mark.parametrize("reading", ["parameter", "position"])
async def test_a_stop_without_a_position_is_explained(reading: str) -> None:
    """43023, or 40812 in its other reading (R2.8)."""
    async with desk({"condition_means": reading}) as d:
        refused = await d.stop()
        assert isinstance(refused, Rejected)
        assert (refused.reason, refused.code) == (
            RejectReason.NOTHING_TO_REDUCE,
            "43023" if reading == "parameter" else "40812",
        )
        assert "no position" in refused.message


async def test_closing_reduces_only_and_a_flat_account_has_nothing_to_reduce() -> None:
    """The whole-position stop ends by itself, and is found among those that are over."""
    async with desk() as d:
        await d.enter()
        await d.stop("hf-stop")
        close = {"purpose": Purpose.CLOSE, "side": Side.SELL, "quantity": D("0.01")}
        assert isinstance(await d.send(**close), Accepted)
        assert (await d.exchange.positions(priority=P)).value == ()
        assert (await d.exchange.open_stops(BTC, priority=P)).value == ()
        d.world.jump(1.2)
        ended = await d.exchange.find_stop(BTC, "hf-stop", priority=P)
        assert isinstance(ended, Accepted)
        assert ended.stop is not None
        assert ended.stop.status is StopStatus.CANCELLED
        again = await d.send(**close)
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.NOTHING_TO_REDUCE


async def test_a_resting_order_is_listed_and_cancelled_once() -> None:
    """A second cancel finds nothing, or is too soon."""
    async with desk() as d:
        price = await d.price("0.98")
        placed = await d.enter("hf-limit", type=OrderType.LIMIT, price=price)
        (resting,) = (await d.exchange.open_orders(BTC, priority=P)).value
        assert (resting.order_id, resting.client_id, resting.price) == (placed.exchange_id, "hf-limit", price)
        cancel = {"purpose": Purpose.CANCEL_ORDER, "target_client_id": "hf-limit"}
        assert isinstance(await d.send(**cancel), Accepted)
        assert isinstance(await d.send(**cancel), Unavailable)
        d.world.jump(2)
        again = await d.send(**cancel)
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.NOT_FOUND


async def test_the_same_id_twice_makes_one_order() -> None:
    """The port's contract; the answer proves that the first arrived."""
    async with desk() as d:
        limit = {"type": OrderType.LIMIT, "price": await d.price("0.98")}
        await d.enter("hf-same", **limit)
        again = await d.send("hf-same", **limit)
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.DUPLICATE_ID
        assert len((await d.exchange.open_orders(BTC, priority=P)).value) == 1


async def test_long_lists_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last page is one that is not full."""
    monkeypatch.setattr(requests, "PAGE", 2)
    async with desk() as d:
        limit = {"type": OrderType.LIMIT, "price": await d.price("0.98")}
        sent = {f"hf-{number}" for number in range(5)}
        for name in sent:
            await d.enter(name, **limit)
        found = await d.exchange.open_orders(None, priority=P)
        assert ({order.client_id for order in found.value}, found.complete) == (sent, True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quantity": D("0.00000001")}, RejectReason.FILTER),
        ({"quantity": D("1000000")}, RejectReason.FILTER),
        ({"quantity": D("100")}, RejectReason.MARGIN),
        ({"position_side": PositionSide.LONG}, RejectReason.POSITION_MODE),
    ],
)
async def test_refusals_of_entries_come_with_their_reason(
    changes: dict[str, Any], reason: RejectReason
) -> None:
    """As the exchange sheet orders them."""
    async with desk() as d:
        refused = await d.send(**changes)
        assert isinstance(refused, Rejected), refused
        assert refused.reason is reason
        assert (await d.exchange.positions(priority=P)).value == ()


async def test_when_the_question_before_it_fails_nothing_is_sent() -> None:
    """Without the symbol's margin mode no order is; what the exchange says of the question holds for it."""
    async with desk() as d:
        refused = await d.send(symbol=Symbol("NOPE", "USDT", "USDT"))
        assert isinstance(refused, Rejected)
        assert refused.reason is RejectReason.SYMBOL
        d.fault(kind="html", method="GET", path="account/account", times=1)
        assert isinstance(await d.send("hf-unsent"), Unavailable)
        assert isinstance(await d.exchange.find_order(BTC, "hf-unsent", priority=P), NotFound)


async def test_settings_are_said_back_and_an_order_keeps_the_margin_mode() -> None:
    """An order that named another one would change it, or be refused."""
    async with desk() as d:
        assert isinstance(await d.exchange.set_leverage(BTC, 3), Accepted)
        assert isinstance(await d.exchange.set_margin_mode(BTC, MarginMode.ISOLATED), Accepted)
        await d.enter()
        (held,) = (await d.exchange.positions(priority=P)).value
        assert (held.leverage, held.margin_mode) == (3, MarginMode.ISOLATED)
        config = (await d.exchange.account_config(priority=P)).value
        assert (config.leverage[BTC], config.margin_mode[BTC]) == (3, MarginMode.ISOLATED)
        close = {"purpose": Purpose.CLOSE, "side": Side.SELL, "quantity": D("0.01")}
        assert isinstance(await d.send(**close), Accepted)


async def test_nothing_changes_is_said_where_the_exchange_says_so() -> None:
    """It counts as success."""
    async with desk({"unchanged_setting": "refused"}) as d:
        assert isinstance(await d.exchange.set_margin_mode(ETH, MarginMode.ISOLATED), Accepted)
        again = await d.exchange.set_margin_mode(ETH, MarginMode.ISOLATED)
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.NO_CHANGE


async def hedge(d: Desk) -> None:
    await d.exchange.balance(priority=P)  # the account begins with its first request
    d.world.server.core.set_position_mode("key", PositionMode.HEDGE)
    await d.mark()
    assert (await d.exchange.account_config(priority=P)).value.position_mode is PositionMode.HEDGE


async def test_hedge_mode_holds_both_sides_with_their_signs() -> None:
    """Orders and stops name their side; what closes a long is a sale here, whatever is on the wire."""
    async with desk() as d:
        await hedge(d)
        await d.enter(position_side=PositionSide.LONG)
        await d.enter(side=Side.SELL, position_side=PositionSide.SHORT, quantity=D("0.02"))
        held = {p.side: p.quantity for p in (await d.exchange.positions(priority=P)).value}
        assert held == {PositionSide.LONG: D("0.01"), PositionSide.SHORT: D("-0.02")}
        assert isinstance(await d.stop(position_side=PositionSide.LONG), Accepted)
        above = {"side": Side.BUY, "position_side": PositionSide.SHORT}
        assert isinstance(await d.stop(ratio="1.1", **above), Accepted)
        d.world.jump(1.2)
        stops = {s.position_side: s.side for s in (await d.exchange.open_stops(BTC, priority=P)).value}
        assert stops == {PositionSide.LONG: Side.SELL, PositionSide.SHORT: Side.BUY}
        close = {"purpose": Purpose.CLOSE, "side": Side.SELL, "position_side": PositionSide.LONG}
        closed = await d.send("hf-close", **close)
        assert isinstance(closed, Accepted)
        assert closed.order is not None
        assert (closed.order.side, closed.order.position_side) == (Side.SELL, PositionSide.LONG)
        fills = (await d.exchange.fills(BTC, d.world.clock.now_ms() - DAY_MS, priority=P)).value
        ours = [(f.side, f.position_side) for f in fills if f.order_id == closed.exchange_id]
        assert set(ours) == {(Side.SELL, PositionSide.LONG)}
        held = {p.side: p.quantity for p in (await d.exchange.positions(priority=P)).value}
        assert held == {PositionSide.SHORT: D("-0.02")}
        assert [s.position_side for s in (await d.exchange.open_stops(BTC, priority=P)).value] == [
            PositionSide.SHORT
        ]


# --- doubt ---------------------------------------------------------------------------------------

DOUBTS = {
    "lost_reply": True,
    "error_after": True,
    "empty": True,
    "truncated": True,
    "html": False,
    "lost_request": False,
    "error_before": False,
}
"""Fault → whether the order happened all the same. `error_after` is 40010, `error_before` 40725."""


@pytest.mark.parametrize(("kind", "happened"), list(DOUBTS.items()))
async def test_a_doubtful_order_is_unknown_until_it_is_asked_for(kind: str, happened: bool) -> None:
    """Whatever got lost, the client id tells; the adapter itself sends nothing again."""
    async with desk(request_timeout_s=0.3) as d:
        d.fault(kind=kind, method="POST", path=ORDER, times=1)
        assert isinstance(await d.send("hf-doubt"), Unknown)
        found = await d.exchange.find_order(BTC, "hf-doubt", priority=P)
        assert isinstance(found, Accepted if happened else NotFound)
        assert len((await d.exchange.positions(priority=P)).value) == (1 if happened else 0)


@pytest.mark.parametrize(("kind", "happened"), list(DOUBTS.items()))
async def test_a_doubtful_stop_is_unknown_until_it_is_asked_for(kind: str, happened: bool) -> None:
    """The same for protection."""
    async with desk(request_timeout_s=0.3) as d:
        await d.enter()
        d.fault(kind=kind, method="POST", path=TPSL, times=1)
        assert isinstance(await d.stop("hf-doubt"), Unknown)
        found = await d.exchange.find_stop(BTC, "hf-doubt", priority=P)
        assert isinstance(found, Accepted if happened else NotFound)


@pytest.mark.parametrize("kind", ["endpoint_down", "rate_limited"])
async def test_a_definite_no_is_unavailable_and_had_no_effect(kind: str) -> None:
    """It may be tried later."""
    async with desk() as d:
        d.fault(kind=kind, method="POST", path=ORDER, times=1)
        assert isinstance(await d.send("hf-no", priority=Priority.EMERGENCY), Unavailable)
        found = await d.exchange.find_order(BTC, "hf-no", priority=Priority.PROTECT)
        assert isinstance(found, NotFound)


@pytest.mark.parametrize("sliding", [False, True])
async def test_nothing_is_sent_beyond_an_endpoints_pace(sliding: bool) -> None:
    """What would be too many in a second waits here, whatever second the exchange counts by."""
    async with desk({"limits": Limits(sliding=sliding)}) as d:
        began = time.monotonic()
        for _ in range(8):
            await d.exchange.positions(priority=Priority.OBSERVE)
        assert time.monotonic() - began > 1.9  # three a second of five
        await d.exchange.balance(priority=Priority.OBSERVE)
        assert all(seen.code == 0 for seen in d.world.server.log.listing())


async def test_a_refusal_that_names_nobody_holds_back_who_heard_it() -> None:
    """Another account on this address goes on until it is told the same."""
    async with desk() as d:
        d.fault(kind="rate_limited", method="POST", path=ORDER, times=1)
        assert isinstance(await d.send(), Unavailable)
        other = d.exchange._caller._governor.key()
        assert other.refusal(Priority.OBSERVE) is None
        other.limit(2_000, Scope.KEY)
        third = d.exchange._caller._governor.key()
        assert third.refusal(Priority.OBSERVE) is not None


async def test_a_block_at_the_door_silences_the_address() -> None:
    """403 from a machine before the exchange: what was asked is in doubt, and nothing more is sent."""
    async with desk() as d:
        d.fault(kind="html", status=403, method="POST", path=ORDER, times=1)
        assert isinstance(await d.send(), Unknown)
        held = await d.send(priority=Priority.EMERGENCY)
        assert isinstance(held, Unavailable)
        assert (held.banned, held.held) == (True, True)


async def test_a_late_request_is_refused_by_the_exchange_itself() -> None:
    """Its 30 s are signed down to our window: after that it can never be accepted any more."""
    async with desk() as d:
        await d.enter()
        in_time = approved(intent(), "hf-in-time", d.world.clock.now_ms() - 4_000)
        assert isinstance(await d.exchange.submit(in_time), Accepted)
        late = approved(intent(), "hf-late", d.world.clock.now_ms() - 5_500)
        refused = await d.exchange.submit(late)
        assert isinstance(refused, Rejected)
        assert refused.reason is RejectReason.CLOCK
        assert isinstance(await d.exchange.find_order(BTC, "hf-late", priority=P), NotFound)


@pytest.mark.parametrize("kind", ["empty", "html", "truncated", "error_before", "lost_request", "lost_reply"])
async def test_a_failed_read_is_an_error_never_an_empty_list(kind: str) -> None:
    """Absence is not proven by failure (R3.3)."""
    async with desk(request_timeout_s=0.3) as d:
        await d.enter()
        fault = d.fault(kind=kind, method="GET", path="all-position")
        with pytest.raises(ExchangeError):
            await d.exchange.positions(priority=P)
        d.world.server.faults.remove(fault)
        assert len((await d.exchange.positions(priority=P)).value) == 1


@pytest.mark.parametrize("path", ["orders-plan-pending", "single-position"])
async def test_a_census_that_could_not_read_a_book_is_incomplete(path: str) -> None:
    """What the other reads showed stays known; that there is nothing else is not."""
    async with desk() as d:
        await d.enter()
        await d.stop("hf-stop")
        d.fault(kind="html", method="GET", path=path, times=1)
        census = await d.exchange.open_stops(BTC, priority=P)
        assert not census.complete
        assert [stop.client_id for stop in census.value] == ["hf-stop"]


async def test_no_book_at_all_is_an_error() -> None:
    """The positions alone are no census."""
    async with desk() as d:
        await d.enter()
        await d.stop()
        d.fault(kind="html", method="GET", path="orders-plan-pending")
        with pytest.raises(ExchangeError):
            await d.exchange.open_stops(BTC, priority=P)


async def test_a_placed_stop_counts_though_its_verification_failed() -> None:
    """It was taken; the next census tells the rest."""
    async with desk() as d:
        await d.enter()
        d.fault(kind="html", method="GET", path="orders-plan-pending", times=1)
        placed = await d.stop("hf-stop")
        assert isinstance(placed, Accepted)
        assert placed.stop is None
        assert isinstance(await d.exchange.find_stop(BTC, "hf-stop", priority=P), Accepted)


async def test_empty_lists_may_be_null() -> None:
    """Both mean that there is nothing."""
    async with desk({"null_lists": True}) as d:
        assert (await d.exchange.open_stops(BTC, priority=P)).complete
        assert (await d.exchange.open_orders(None, priority=P)).complete
        fills = await d.exchange.fills(BTC, d.world.clock.now_ms() - DAY_MS, priority=P)
        assert (fills.value, fills.complete) == ((), True)


async def test_bars_come_closed_and_in_order() -> None:
    """The last may still be open."""
    async with desk() as d:
        bars = await d.exchange.candles(BTC, "5m", 30, priority=P)
        assert len(bars) == 30
        assert [b.open_ms - a.open_ms for a, b in pairwise(bars)] == [300_000] * 29
        assert all(bar.closed for bar in bars[:-1])


async def test_marks_and_quotes_of_one_and_of_many() -> None:
    """One question either way."""
    async with desk() as d:
        for symbols in ([BTC], [BTC, ETH]):
            assert set(await d.exchange.marks(symbols, priority=P)) == set(symbols)
            quotes = await d.exchange.quotes(symbols, priority=P)
            assert all(quotes[symbol].sane for symbol in symbols)
        assert await d.exchange.marks([], priority=P) == {}
