"""A new process with nothing but keys and journal: whatever the old one left is found again."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.intents import Accepted, NotFound, RejectReason, Unknown
from holdfast.domain.orders import ExchangeStatus, OrderType, StopKind, StopStatus, TriggerSource
from tests.conformance.case import case
from tests.conformance.doubts import CANCEL, ORDER, STOP, strike
from tests.conformance.stand import BTC, KEY, LOT, PACE_S, Desk, P, refused, took

D = Decimal


@case(200, "an open position is found, with its entry price, leverage and side")
async def position(d: Desk) -> None:
    await d.enter()
    before = await d.positions()
    async with d.again() as new:
        await new.exchange.account_config(priority=P)
        (found,) = (await new.positions()).values()
    (known,) = before.values()
    assert (found.key, found.quantity, found.entry_price) == (known.key, LOT, known.entry_price)
    assert found.leverage == d.account.leverage.get(BTC, d.core.config.leverage)


@case(
    201, "a resting order is found by its client id, by the exchange's id and in the list, and is cancelled"
)
async def order(d: Desk) -> None:
    placed = await d.limit("hf-limit")
    async with d.again() as new:
        assert (await new.order("hf-limit")).order_id == placed.exchange_id
        assert (await new.order(order_id=placed.exchange_id)).client_id == "hf-limit"
        assert [each.client_id for each in await new.orders(None)] == ["hf-limit"]
        took(await new.cancel("hf-limit"))
        assert await new.orders() == ()


@case(202, "a partly filled order is found with what is filled and what is left")
async def partial(d: Desk) -> None:
    d.core.set_liquidity(BTC, D("0.01"), levels=1)
    await d.limit("hf-part", "1.01", quantity=D("0.3"))
    async with d.again() as new:
        found = await new.order("hf-part")
        assert found.status is ExchangeStatus.PARTIAL
        assert 0 < found.filled < found.quantity == D("0.3")
        took(await new.cancel("hf-part"))
        assert await new.held() == (await new.order("hf-part")).filled


@case(203, "an order that was filled meanwhile is found as filled, with its fills")
async def filled(d: Desk) -> None:
    placed = await d.limit("hf-limit")
    d.core.fill_by_hand(KEY, BTC, client_id="hf-limit")
    async with d.again() as new:
        found = await new.order("hf-limit")
        assert (found.status, found.filled) == (ExchangeStatus.FILLED, LOT)
        assert {fill.order_id for fill in await new.fills()} == {placed.exchange_id}


@case(204, "a stop of the whole position is in the census under the exchange's id, as it was asked for")
async def whole_stop(d: Desk) -> None:
    await d.enter()
    trigger = await d.price("0.9")
    placed = took(await d.stop("hf-stop", trigger_price=trigger))
    async with d.again() as new:
        (stop,) = await new.stops()
        assert (stop.stop_id, stop.kind, stop.status) == (
            placed.exchange_id,
            StopKind.STOP,
            StopStatus.LIVE,
        )
        assert (stop.close_position, stop.trigger_price) == (True, trigger)
        assert (stop.position_side, stop.trigger_source) == (d.side(), TriggerSource.MARK)


@case(205, "a sized stop is in the census with its size")
async def sized_stop(d: Desk) -> None:
    await d.enter()
    placed = took(await d.sized("hf-sized"))
    async with d.again() as new:
        (stop,) = await new.stops()
        assert (stop.stop_id, stop.close_position, stop.quantity) == (placed.exchange_id, False, LOT)


@case(206, "a stop is found by the client id that the old process gave it")
async def named_stop(d: Desk) -> None:
    await d.enter()
    placed = took(await d.stop("hf-stop"))
    async with d.again() as new:
        assert (await new.stop_named("hf-stop")).stop_id == placed.exchange_id
        assert [stop.client_id for stop in await new.stops()] == ["hf-stop"]


@case(207, "a stop of the old process is cancelled by the exchange's id")
async def cancelled(d: Desk) -> None:
    await d.enter()
    took(await d.stop("hf-stop"))
    async with d.again() as new:
        (stop,) = await new.stops()
        took(await new.cancel_stop(stop_id=stop.stop_id))
        assert await new.stops() == ()


@case(208, "beside a stop of the old process a second one alike is refused, as one stands")
async def stands(d: Desk) -> None:
    await d.enter()
    took(await d.stop("hf-old"))
    async with d.again() as new:
        refused(await new.stop("hf-new"), RejectReason.STOP_EXISTS)


@case(209, "a stop that was triggered meanwhile: flat, and the fills of its order are told")
async def triggered(d: Desk) -> None:
    entry = await d.enter()
    took(await d.stop("hf-stop", "0.99"))
    await d.move("0.97")
    async with d.again() as new:
        assert await new.positions() == {}
        assert await new.stops() == ()
        closing = [fill for fill in await new.fills() if fill.order_id != entry.exchange_id]
        assert sum(fill.quantity for fill in closing) == LOT
        found = await new.order(order_id=closing[0].order_id)
        assert found.status is ExchangeStatus.FILLED


@case(210, "a stop that was triggered meanwhile is found by its client id, with the order it became")
async def triggered_named(d: Desk) -> None:
    await d.enter()
    took(await d.stop("hf-stop", "0.99"))
    await d.move("0.97")
    async with d.again() as new:
        stop = await new.stop_named("hf-stop")
        assert stop.status in (StopStatus.TRIGGERED, StopStatus.FINISHED)
        assert (await new.order(order_id=stop.order_id)).filled == LOT


@case(211, "an entry in doubt when the process died is found by its client id")
async def doubtful(d: Desk) -> None:
    strike(d, ORDER, "lost_reply")
    assert isinstance(await d.send("hf-doubt"), Unknown)
    async with d.again() as new:
        assert (await new.order("hf-doubt")).filled == LOT


@case(212, "an entry that never arrived is not found")
async def lost(d: Desk) -> None:
    strike(d, ORDER, "lost_request")
    assert isinstance(await d.send("hf-lost"), Unknown)
    async with d.again() as new:
        assert isinstance(await new.exchange.find_order(BTC, "hf-lost", priority=P), NotFound)


@case(213, "a stop in doubt when the process died is in the census, and never reported as not found")
async def doubtful_stop(d: Desk) -> None:
    await d.enter()
    strike(d, STOP, "lost_reply")
    assert isinstance(await d.stop("hf-doubt"), Unknown)
    async with d.again() as new:
        (stop,) = await new.stops()
        assert stop.kind is StopKind.STOP
        await new.rest(PACE_S)
        found = await new.exchange.find_stop(BTC, "hf-doubt", priority=P)
        assert isinstance(found, Accepted | Unknown), found


@case(214, "a cancel in doubt when the process died: the order itself tells")
async def doubtful_cancel(d: Desk) -> None:
    await d.limit("hf-limit")
    strike(d, CANCEL, "lost_reply")
    assert isinstance(await d.cancel("hf-limit"), Unknown)
    async with d.again() as new:
        assert (await new.order("hf-limit")).status is ExchangeStatus.CANCELLED


@case(215, "the same client id sent again by the new process makes no second order")
async def sent_again(d: Desk) -> None:
    await d.limit("hf-same")
    async with d.again() as new:
        price = await new.price("0.97")
        outcome = await new.send("hf-same", type=OrderType.LIMIT, price=price)
        refused(outcome, RejectReason.DUPLICATE_ID)
        assert len(await new.orders()) == 1
