"""Every word for a refusal, brought about at each exchange: what it means for us, whatever its code is.

A request that is refused had no effect; most of these are provoked by real requests, the others by the
answer the exchange's documents give, on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.intents import (
    Accepted,
    NotFound,
    Outcome,
    Priority,
    Rejected,
    RejectReason,
    Unavailable,
    Unknown,
)
from holdfast.domain.orders import OrderType, PositionSide
from holdfast.exchanges.port import ExchangeError
from tests.conformance.case import case
from tests.conformance.doubts import ORDER, STOP, strike
from tests.conformance.stand import BTC, KEY, NONE_SUCH, Desk, P, refused, took

D = Decimal
R = RejectReason
WORDS: Mapping[RejectReason, int] = {
    R.MARGIN: 170,
    R.FILTER: 171,
    R.NOTIONAL_TOO_SMALL: 173,
    R.NOT_FOUND: 174,
    R.NOTHING_TO_REDUCE: 175,
    R.REDUCE_BLOCKED: 176,
    R.POSITION_MODE: 177,
    R.CLOCK: 178,
    R.SYMBOL: 179,
    R.WOULD_TRIGGER: 181,
    R.STOP_EXISTS: 182,
    R.DUPLICATE_ID: 183,
    R.PERMISSION: 184,
    R.WRONG_ENDPOINT: 185,
    R.NO_LIQUIDITY: 186,
    R.NO_CHANGE: 187,
    R.OTHER: 188,
}
"""Every reason for a refusal, and the case that brings it about."""
Said = Mapping[str, tuple[int, int, str]]
"""By exchange: HTTP status, code and words."""


async def _no_effect(d: Desk, outcome: Outcome, *reasons: RejectReason) -> None:
    found = refused(outcome, *reasons)
    assert found.code
    assert found.message
    assert d.live_orders() == []
    assert d.exchange.stats.gaps == {}


async def _told(d: Desk, said: Said, what: str = ORDER) -> Outcome:
    """The outcome of an entry (a stop) that the exchange answers so."""
    status, code, msg = said[d.stand.exchange]
    strike(d, what, "reject", status=status, code=code, msg=msg)
    return await (d.stop("hf-told") if what == STOP else d.send("hf-told"))


@case(170, "insufficient margin")
async def margin(d: Desk) -> None:
    await _no_effect(d, await d.send(quantity=D(20)), R.MARGIN)


@case(171, "bad precision: a quantity smaller than the smallest step, a price between two ticks")
async def precision(d: Desk) -> None:
    rules = d.rules()
    await _no_effect(d, await d.send(quantity=rules.quantity_step / 10), R.FILTER)
    price = await d.price("0.98") + rules.price_step / 10
    outcome = await d.send(type=OrderType.LIMIT, price=price)
    if isinstance(outcome, Accepted):  # cut to a tick rather than refused
        assert (await d.orders())[0].price % rules.price_step == 0
    else:
        refused(outcome, R.FILTER)


@case(172, "a quantity beyond the largest")
async def too_large(d: Desk) -> None:
    await _no_effect(d, await d.send(quantity=D(100_000)), R.FILTER, R.MARGIN)


@case(173, "an order worth less than the least")
async def notional(d: Desk) -> None:
    rules = d.rules()
    quantity = rules.quantity_min
    least = quantity * (await d.mark()).price
    d.core.set_filters(BTC, notional_min=2 * least)
    await _no_effect(d, await d.send(quantity=quantity), R.NOTIONAL_TOO_SMALL, R.FILTER)


@case(174, "unknown order: nothing to cancel, nothing to find")
async def unknown_order(d: Desk) -> None:
    await _no_effect(d, await d.cancel("hf-never"), R.NOT_FOUND)
    await _no_effect(d, await d.cancel(order_id="999999999999"), R.NOT_FOUND)
    found = await d.exchange.find_order(BTC, "", order_id="999999999999", priority=P)
    assert isinstance(found, NotFound), found


@case(175, "reduce-only rejected: there is nothing to reduce")
async def reduce_only(d: Desk) -> None:
    await _no_effect(d, await d.close(), R.NOTHING_TO_REDUCE)


@case(
    176,
    "reduce-only rejected: other closes of ours hold what there is",
    {"bitget/one_way": "a newer close displaces the older one instead"},
)
async def reduce_blocked(d: Desk) -> None:
    await d.enter()
    resting = {"type": OrderType.LIMIT, "price": await d.price("1.02")}
    took(await d.close("hf-rests", **resting))
    refused(await d.close("hf-more", **resting), R.REDUCE_BLOCKED)
    assert [order.client_id for order in await d.orders()] == ["hf-rests"]


@case(177, "the order's form does not fit the account's position mode")
async def position_mode(d: Desk) -> None:
    wrong = PositionSide.BOTH if d.stand.mode is PositionMode.HEDGE else PositionSide.LONG
    await _no_effect(d, await d.send(position_side=wrong), R.POSITION_MODE)


@case(178, "clock skew: signed too long ago, or in the future")
async def clock(d: Desk) -> None:
    for step_ms in (-60_000, 120_000):
        d.clock.step(step_ms)
        await _no_effect(d, await d.send(), R.CLOCK)
        assert isinstance(await d.exchange.find_order(BTC, "hf-1", priority=P), Unknown)


@case(179, "a contract that the exchange does not list")
async def symbol(d: Desk) -> None:
    await _no_effect(d, await d.send(symbol=NONE_SUCH), R.SYMBOL)


@case(180, "a contract that is closed for trading")
async def closed_symbol(d: Desk) -> None:
    d.core.set_status(BTC, "BREAK")
    await _no_effect(d, await d.send(), R.SYMBOL)


@case(181, "the stop would trigger at once")
async def would_trigger(d: Desk) -> None:
    await d.enter()
    refused(await d.stop(ratio="1.2"), R.WOULD_TRIGGER)


@case(182, "a stop of the kind stands already")
async def stop_exists(d: Desk) -> None:
    await d.enter()
    took(await d.stop())
    refused(await d.stop(ratio="0.8"), R.STOP_EXISTS)


@case(183, "the client id is taken")
async def duplicate(d: Desk) -> None:
    await d.limit("hf-same")
    refused(await d.send("hf-same", type=OrderType.LIMIT, price=await d.price("0.97")), R.DUPLICATE_ID)


@case(184, "the key has no right to trade")
async def permission(d: Desk) -> None:
    d.core.set_rights(KEY, trade=False, withdraw=False)
    await _no_effect(d, await d.send(), R.PERMISSION)
    refused(await d.close(), R.PERMISSION)


@case(
    185,
    "the wrong endpoint, or the wrong kind of plan, for a stop",
    {"bingx": "stops and orders have one endpoint, and there are no kinds of plan"},
)
async def wrong_endpoint(d: Desk) -> None:
    said: Said = {
        "binance": (400, -4120, "Order type not supported for this endpoint. Please use the Algo Order API."),
        "bitget": (400, 400172, "The order type for unfilled plan orders error"),
    }
    await d.enter()
    outcome = await _told(d, said, STOP)
    assert refused(outcome, R.WRONG_ENDPOINT).message


@case(
    186,
    "nobody to trade with",
    {"bingx": "no code of its own: what cannot be filled is taken and expires"},
)
async def no_liquidity(d: Desk) -> None:
    said: Said = {
        "binance": (400, -2020, "Unable to fill."),
        "bitget": (400, 43002, "Pending order failed"),
    }
    await _no_effect(d, await _told(d, said), R.NO_LIQUIDITY)


@case(
    187,
    "nothing to change: the exchange is as asked already",
    {"bingx": "it answers with success", "bitget": "it answers with success (a switch: 40814, 45054)"},
)
async def no_change(d: Desk) -> None:
    took(await d.exchange.set_margin_mode(BTC, MarginMode.ISOLATED))
    await d.rest(1)
    refused(await d.exchange.set_margin_mode(BTC, MarginMode.ISOLATED), R.NO_CHANGE)


@case(188, "a request the exchange calls malformed: definite, and no other word fits")
async def other(d: Desk) -> None:
    said: Said = {
        "binance": (400, -1102, "Mandatory parameter 'side' was not sent, was empty/null, or malformed."),
        "bingx": (200, 109400, "Invalid parameters, err:side: This field is required."),
        "bitget": (400, 40019, "Parameter side cannot be empty"),
    }
    await _no_effect(d, await _told(d, said), R.OTHER)


@case(189, "rate limited: no effect, held back by us for a while, except what protects and emergencies")
async def rate_limited(d: Desk) -> None:
    strike(d, ORDER, "rate_limited", retry_after_s=5)
    outcome = await d.send("hf-first")
    assert isinstance(outcome, Unavailable)
    assert not outcome.held
    held = await d.send("hf-held")
    assert isinstance(held, Unavailable)
    assert held.held
    assert held.retry_after_ms > 0
    took(await d.send("hf-urgent", priority=Priority.EMERGENCY))
    await d.rest(6)
    took(await d.send("hf-later"))
    assert {order.client_id for order in d.account.orders.values()} == {"hf-urgent", "hf-later"}


@case(190, "the address is banned: nothing at all is sent until it ends")
async def banned(d: Desk) -> None:
    strike(d, ORDER, "html", status=418)
    outcome = await d.send("hf-first")
    assert isinstance(outcome, Unavailable)
    assert outcome.banned
    urgent = await d.send("hf-urgent", priority=Priority.EMERGENCY)
    assert isinstance(urgent, Unavailable)
    assert (urgent.banned, urgent.held) == (True, True)
    assert d.account.orders == {}
    await d.rest(310)
    took(await d.send("hf-later"))


@case(191, "a code that nobody knows yet is Unknown and counted as a gap; the query decides")
async def unmapped(d: Desk) -> None:
    said: Said = {
        "binance": (400, -9999, "A new rule."),
        "bingx": (200, 199999, "a new rule"),
        "bitget": (400, 99999, "a new rule"),
    }
    outcome = await _told(d, said)
    assert isinstance(outcome, Unknown)
    assert not outcome.mapped
    assert len(d.exchange.stats.gaps) == 1
    assert isinstance(await d.exchange.find_order(BTC, "hf-told", priority=P), NotFound)


@case(192, "the exchange says that it does not know what became of the order")
async def it_does_not_know(d: Desk) -> None:
    said: Said = {
        "binance": (408, -1007, "Timeout waiting for response from backend server."),
        "bingx": (200, 100500, "Internal system error"),
        "bitget": (400, 40010, "Request timed out"),
    }
    outcome = await _told(d, said)
    assert isinstance(outcome, Unknown)
    assert outcome.mapped


@case(193, "an order that is refused when nobody is left to trade with fills nothing")
async def empty_book(d: Desk) -> None:
    d.core.set_liquidity(BTC, D(0))
    outcome = await d.send("hf-entry")
    if isinstance(outcome, Accepted):
        assert (await d.order("hf-entry")).filled == 0
    else:
        assert isinstance(outcome, Rejected)
    assert await d.held() == 0


@case(194, "a wrong secret: refused as a matter of permission, at the first question that is signed")
async def wrong_secret(d: Desk) -> None:
    found: object = None
    try:
        async with d.again(secret="wrong") as stranger:
            await stranger.positions()
    except ExchangeError as error:
        found = error.outcome
    refused(found, R.PERMISSION)
