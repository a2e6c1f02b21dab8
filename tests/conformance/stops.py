"""Stops: placed, found, replaced, triggered, cancelled, left without a position."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.intents import NotFound, RejectReason
from holdfast.domain.orders import (
    Direction,
    ExchangeStatus,
    PositionSide,
    Side,
    Stop,
    StopKind,
    StopStatus,
    TriggerSource,
)
from holdfast.simulator.core.model import AlgoRequest, AlgoType, Working
from tests.conformance.case import ONE_SIDE, case, having, lacking
from tests.conformance.stand import BTC, ETH, KEY, LOT, Desk, P, refused, took

D = Decimal
LONG, SHORT = Direction.LONG, Direction.SHORT
FIRED = (StopStatus.TRIGGERED, StopStatus.FINISHED)
"""It has become an order; how that one fares, the order itself tells."""
OVER = (StopStatus.CANCELLED, StopStatus.EXPIRED)


async def _one(d: Desk) -> Stop:
    (stop,) = await d.stops()
    return stop


async def _whole(d: Desk, direction: Direction) -> None:
    await d.enter(direction=direction)
    trigger = await d.price("0.9" if direction is LONG else "1.1")
    placed = took(await d.stop("hf-stop", direction=direction, trigger_price=trigger))
    stop = await _one(d)
    assert (stop.stop_id, stop.client_id) == (placed.exchange_id, "hf-stop")
    assert (stop.kind, stop.status, stop.market) == (StopKind.STOP, StopStatus.LIVE, True)
    assert (stop.close_position, stop.quantity) == (True, 0)
    assert (stop.side, stop.position_side) == (direction.closing, d.side(direction))
    assert (stop.trigger_price, stop.trigger_source) == (trigger, TriggerSource.MARK)
    assert d.core.truth(KEY).unprotected_now == ()
    assert await d.stops(None) == (stop,)
    assert await d.orders(None) == ()


@case(110, "a stop of a whole long position stands, covers it, and is found with all that was asked for")
async def whole_long(d: Desk) -> None:
    await _whole(d, LONG)


@case(111, "a stop of a whole short position")
async def whole_short(d: Desk) -> None:
    await _whole(d, SHORT)


@case(112, "a sized stop stands with its size, and reduces only")
async def sized(d: Desk) -> None:
    await d.enter()
    took(await d.sized("hf-sized"))
    stop = await _one(d)
    assert (stop.client_id, stop.close_position, stop.quantity) == ("hf-sized", False, LOT)
    assert (stop.kind, stop.side, stop.position_side) == (StopKind.STOP, Side.SELL, d.side())
    assert d.hedge or stop.reduce_only


@case(113, "a stop is found by the client id it was placed with, waiting and over")
async def found(d: Desk) -> None:
    await d.enter()
    placed = took(await d.stop("hf-stop"))
    waiting = await d.stop_named("hf-stop")
    assert (waiting.stop_id, waiting.status) == (placed.exchange_id, StopStatus.LIVE)
    took(await d.cancel_stop("hf-stop"))
    await d.rest(1)
    over = await d.stop_named("hf-stop")
    assert (over.stop_id, over.status) == (placed.exchange_id, StopStatus.CANCELLED)
    assert await d.stops() == ()


@case(114, "a stop is cancelled by its exchange's id, once; a second cancel finds nothing")
async def cancelled(d: Desk) -> None:
    await d.enter()
    placed = took(await d.stop("hf-stop"))
    await d.rest(1)
    assert took(await d.cancel_stop(stop_id=placed.exchange_id)).exchange_id == placed.exchange_id
    assert await d.stops() == ()
    await d.rest(2)
    refused(await d.cancel_stop(stop_id=placed.exchange_id), RejectReason.NOT_FOUND)


@case(
    115,
    "a sized stop may stand beside one of the whole position",
    lacking("two_stops_may_stand", "a second stop of another form is refused"),
)
async def two_forms(d: Desk) -> None:
    await d.enter()
    took(await d.stop("hf-whole"))
    took(await d.sized("hf-sized", "0.85"))
    forms = {stop.client_id: (stop.close_position, stop.quantity) for stop in await d.stops()}
    assert forms == {"hf-whole": (True, 0), "hf-sized": (False, LOT)}


@case(116, "a second stop of the whole position is refused, as one stands")
async def two_alike(d: Desk) -> None:
    await d.enter()
    took(await d.stop("hf-first"))
    refused(await d.stop("hf-second", "0.85"), RejectReason.STOP_EXISTS)
    assert [stop.client_id for stop in await d.stops()] == ["hf-first"]


@case(
    117,
    "a stop is moved without a naked moment: the other form at the new price, then the old one away",
    lacking("two_stops_may_stand", "the old one has to go first"),
)
async def moved(d: Desk) -> None:
    await d.enter()
    placed = took(await d.stop("hf-old"))
    naked_before = d.core.truth(KEY).naked_seconds_total
    took(await d.sized("hf-between", "0.95"))
    took(await d.cancel_stop(stop_id=placed.exchange_id))
    await d.rest(1)
    took(await d.stop("hf-new", "0.95"))
    await d.rest(1)
    took(await d.cancel_stop("hf-between"))
    stop = await _one(d)
    assert (stop.client_id, stop.close_position) == ("hf-new", True)
    assert d.core.truth(KEY).naked_seconds_total == naked_before


async def _triggered(d: Desk, direction: Direction, ratio: str, fall: str) -> None:
    await d.enter(direction=direction)
    took(await d.stop("hf-stop", ratio, direction))
    await d.move(fall)
    assert await d.positions() == {}
    assert await d.stops() == ()
    stop = await d.stop_named("hf-stop")
    assert (stop.status in FIRED, stop.kind) == (True, StopKind.STOP)
    assert stop.order_id
    closing = [fill for fill in await d.fills() if fill.order_id == stop.order_id]
    assert sum(fill.quantity for fill in closing) == LOT
    assert {(fill.side, fill.position_side) for fill in closing} == {(direction.closing, d.side(direction))}
    assert sum(fill.realized_pnl for fill in closing) < 0
    order = await d.order(order_id=stop.order_id)
    assert (order.status, order.side) == (ExchangeStatus.FILLED, direction.closing)


@case(118, "a long position's stop is triggered: flat, and the order it became is told with its fills")
async def triggered_long(d: Desk) -> None:
    await _triggered(d, LONG, "0.99", "0.97")


@case(119, "a short position's stop is triggered")
async def triggered_short(d: Desk) -> None:
    await _triggered(d, SHORT, "1.01", "1.03")


@case(120, "a triggered sized stop takes its size; the rest of the position stays")
async def triggered_sized(d: Desk) -> None:
    await d.enter(quantity=3 * LOT)
    took(await d.sized("hf-sized", "0.99"))
    await d.move("0.97")
    assert await d.held() == 2 * LOT
    assert (await d.stop_named("hf-sized")).status in FIRED


@case(121, "a stop beyond the price is refused: it would trigger at once")
async def beyond(d: Desk) -> None:
    await d.enter()
    refused(await d.stop(ratio="1.1"), RejectReason.WOULD_TRIGGER)
    refused(await d.sized(ratio="1.1"), RejectReason.WOULD_TRIGGER)
    assert await d.stops() == ()


@case(122, "a stop of the whole position without a position is refused")
async def orphan_refused(d: Desk) -> None:
    refused(await d.stop(), RejectReason.NOTHING_TO_REDUCE)
    assert await d.stops() == ()


@case(
    123,
    "orphaned: the position is closed, and its whole-position stop ends by itself",
    lacking("whole_stop_expires_when_flat", "stops outlive their position"),
)
async def orphan_ends(d: Desk) -> None:
    await d.enter()
    took(await d.stop("hf-stop"))
    took(await d.close())
    await d.rest(2)
    assert await d.stops() == ()
    assert (await d.stop_named("hf-stop")).status in OVER


@case(124, "orphaned: a sized stop that is left never opens a position")
async def orphan_harmless(d: Desk) -> None:
    await d.enter()
    took(await d.sized("hf-sized", "0.99"))
    took(await d.close())
    await d.move("0.97")
    assert await d.positions() == {}
    assert [fill.side for fill in await d.fills()] == [Side.BUY, Side.SELL]


@case(125, "cancel–trigger race: the stop triggers just before its cancel, which finds nothing")
async def race(d: Desk) -> None:
    await d.enter()
    placed = took(await d.stop("hf-stop"))
    await d.rest(1)
    d.fault("filled_first", times=1, method="DELETE" if d.stand.exchange != "bitget" else "POST")
    refused(await d.cancel_stop(stop_id=placed.exchange_id), RejectReason.NOT_FOUND)
    await d.rest(1)
    assert (await d.stop_named("hf-stop")).status in FIRED
    assert await d.positions() == {}


@case(126, "a cancel of a stop that never was finds nothing")
async def cancel_nothing(d: Desk) -> None:
    refused(await d.cancel_stop(stop_id="1234567890"), RejectReason.NOT_FOUND)
    await d.enter()
    refused(await d.cancel_stop(stop_id="1234567890"), RejectReason.NOT_FOUND)


@case(127, "a stop may look at the last price instead of the mark")
async def by_last(d: Desk) -> None:
    await d.enter()
    took(await d.stop("hf-stop", trigger_source=TriggerSource.LAST))
    assert (await _one(d)).trigger_source is TriggerSource.LAST


@case(128, "each symbol's stops are its own, the list of all shows all")
async def symbols(d: Desk) -> None:
    await d.enter()
    await d.enter(symbol=ETH, quantity=D("0.1"))
    took(await d.stop("hf-btc"))
    took(await d.stop("hf-eth", symbol=ETH))
    assert [stop.client_id for stop in await d.stops(BTC)] == ["hf-btc"]
    assert [stop.client_id for stop in await d.stops(ETH)] == ["hf-eth"]
    assert {stop.client_id for stop in await d.stops(None)} == {"hf-btc", "hf-eth"}


@case(129, "the stops of both sides stand together, each of its side", ONE_SIDE)
async def both_sides(d: Desk) -> None:
    for direction in Direction:
        await d.enter(direction=direction)
        took(await d.stop(f"hf-{direction}", direction=direction))
    sides = {stop.client_id: (stop.position_side, stop.side) for stop in await d.stops()}
    assert sides == {
        "hf-long": (PositionSide.LONG, Side.SELL),
        "hf-short": (PositionSide.SHORT, Side.BUY),
    }
    took(await d.close(direction=LONG))
    await d.rest(1)
    assert [stop.client_id for stop in await d.stops()] == ["hf-short"]


@case(
    130,
    "the same client id of a stop twice makes one stop",
    lacking(
        "stop_keeps_client_id", "client ids of stops are not kept, so no double is noticed; none is sent"
    ),
)
async def duplicate(d: Desk) -> None:
    await d.enter(quantity=3 * LOT)
    took(await d.sized("hf-same"))
    outcome = await d.sized("hf-same", "0.85")
    refused(outcome, RejectReason.DUPLICATE_ID, RejectReason.STOP_EXISTS)
    assert len(d.live_stops()) == 1


@case(131, "a stop that never was is not found")
async def never(d: Desk) -> None:
    await d.enter()
    took(await d.stop("hf-stop"))
    outcome = await d.exchange.find_stop(BTC, "hf-never", priority=P)
    if d.exchange.capabilities.stop_keeps_client_id:
        assert isinstance(outcome, NotFound)
    else:
        assert "prove" in outcome.cause  # type: ignore[union-attr]  # Unknown: absence cannot be proven


@case(132, "a take-profit placed by hand is seen, and is no stop")
async def take_profit(d: Desk) -> None:
    await d.enter()
    request = AlgoRequest(
        symbol=BTC,
        side=Side.SELL,
        type=AlgoType.TAKE_PROFIT_MARKET,
        trigger_price=await d.price("1.1"),
        working=Working.MARK,
        position_side=d.side(),
        quantity=LOT,
        reduce_only=not d.hedge,
    )
    d.core.place_algo(KEY, request)
    kinds = [stop.kind for stop in await d.stops()]
    assert kinds == [StopKind.TAKE_PROFIT]


@case(133, "stops cancelled by hand are gone from the next look")
async def cancelled_by_hand(d: Desk) -> None:
    await d.enter()
    took(await d.stop("hf-stop"))
    d.core.cancel_stops_by_hand(KEY, BTC)
    assert await d.stops() == ()
    assert (await d.stop_named("hf-stop")).status in OVER


@case(
    134,
    "a stop does not lock the quantity it would close",
    having("stop_locks_quantity", "a waiting stop takes its quantity out of what can be closed"),
)
async def not_locked(d: Desk) -> None:
    await d.enter()
    took(await d.sized("hf-stop"))
    took(await d.close())
    assert await d.positions() == {}


@case(135, "a market close and its stop at the same moment end flat, never turned round")
async def close_and_stop(d: Desk) -> None:
    await d.enter()
    placed = took(await d.stop("hf-stop", "0.99"))
    strikes = d.core.trigger_by_hand(KEY, algo_id=d.live_stops()[0].algo_id)
    assert strikes.algo_id
    outcome = await d.close("hf-close")
    await d.rest(1)
    assert await d.positions() == {}, (outcome, placed)
