"""Orders of every type, from the request to the last fill, and what ends them."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.intents import Accepted, NotFound, Rejected, RejectReason
from holdfast.domain.orders import Direction, ExchangeStatus, OrderType, Side, TimeInForce
from tests.conformance.case import ONE_SIDE, case
from tests.conformance.stand import BTC, ETH, KEY, LOT, Desk, P, refused, took

D = Decimal
LONG, SHORT = Direction.LONG, Direction.SHORT
MUCH = D("0.3")
"""More than a thin book holds."""
ENDED = (ExchangeStatus.CANCELLED, ExchangeStatus.EXPIRED)


async def _entry(d: Desk, direction: Direction) -> None:
    sent = await d.enter("hf-entry", direction)
    order = await d.order("hf-entry")
    assert (order.status, order.filled, order.quantity) == (ExchangeStatus.FILLED, LOT, LOT)
    assert (order.order_id, order.side, order.type) == (
        sent.exchange_id,
        direction.opening,
        OrderType.MARKET,
    )
    (position,) = (await d.positions()).values()
    assert (position.quantity, position.side) == (direction.sign * LOT, d.side(direction))
    assert abs(position.entry_price - order.average_price) <= d.rules().price_step
    fills = await d.fills()
    assert sum(fill.quantity for fill in fills) == LOT
    assert {(fill.order_id, fill.side, fill.position_side) for fill in fills} == {
        (sent.exchange_id, direction.opening, d.side(direction))
    }
    assert all(fill.fee > 0 and fill.fee_currency == "USDT" and not fill.maker for fill in fills)


@case(20, "a market entry that buys: order, position and fills tell the same")
async def market_long(d: Desk) -> None:
    await _entry(d, LONG)


@case(21, "a market entry that sells: the position is negative")
async def market_short(d: Desk) -> None:
    await _entry(d, SHORT)


@case(22, "a limit order rests, is listed with its numbers, and is found by client id and by exchange id")
async def limit_rests(d: Desk) -> None:
    price = await d.price("0.98")
    placed = await d.limit("hf-limit", price=price)
    (order,) = await d.orders()
    assert (order.client_id, order.order_id) == ("hf-limit", placed.exchange_id)
    assert (order.type, order.price, order.quantity) == (OrderType.LIMIT, price, LOT)
    assert (order.status, order.filled, order.reduce_only) == (ExchangeStatus.OPEN, 0, False)
    assert (await d.order("hf-limit")).order_id == placed.exchange_id
    assert (await d.order(order_id=placed.exchange_id)).client_id == "hf-limit"
    assert await d.stops() == ()


@case(23, "a limit order beyond the market is filled at once")
async def limit_takes(d: Desk) -> None:
    await d.limit("hf-limit", "1.01")
    order = await d.order("hf-limit")
    assert (order.status, order.filled) == (ExchangeStatus.FILLED, LOT)
    assert order.average_price < order.price


@case(24, "an IOC order takes what there is; the rest is over at once")
async def immediate(d: Desk) -> None:
    d.core.set_liquidity(BTC, D("0.01"), levels=1)
    await d.limit("hf-ioc", "1.01", time_in_force=TimeInForce.IOC, quantity=MUCH)
    order = await d.order("hf-ioc")
    assert order.status in ENDED
    assert 0 < order.filled < MUCH
    assert await d.held() == order.filled
    assert await d.orders() == ()


@case(25, "a FOK order that cannot be filled in full is not filled at all")
async def fill_or_kill(d: Desk) -> None:
    d.core.set_liquidity(BTC, D("0.01"), levels=1)
    price = await d.price("1.01")
    kill = {"time_in_force": TimeInForce.FOK, "quantity": MUCH}
    outcome = await d.send("hf-fok", type=OrderType.LIMIT, price=price, **kill)
    if isinstance(outcome, Accepted):
        order = await d.order("hf-fok")
        assert (order.status in ENDED, order.filled) == (True, 0)
    else:
        refused(outcome, RejectReason.NO_LIQUIDITY, RejectReason.OTHER)
    assert await d.held() == 0


@case(26, "a post-only order rests, and one that would take takes nothing")
async def post_only(d: Desk) -> None:
    await d.limit("hf-rests", time_in_force=TimeInForce.POST_ONLY)
    price = await d.price("1.01")
    outcome = await d.send("hf-takes", type=OrderType.LIMIT, price=price, time_in_force=TimeInForce.POST_ONLY)
    if isinstance(outcome, Accepted):
        assert (await d.order("hf-takes")).status in ENDED
    else:
        assert isinstance(outcome, Rejected), outcome
    assert [order.client_id for order in await d.orders()] == ["hf-rests"]
    assert await d.held() == 0


@case(27, "a market order on a thin book is filled in part, and its rest is over")
async def thin_market(d: Desk) -> None:
    d.core.set_liquidity(BTC, D("0.01"), levels=1)
    await d.enter("hf-thin", quantity=MUCH)
    order = await d.order("hf-thin")
    assert order.status in ENDED
    assert 0 < order.filled < MUCH
    assert await d.held() == order.filled == sum(fill.quantity for fill in await d.fills())


@case(28, "a resting order is filled in part: it goes on with what is left, the position is the part")
async def partial(d: Desk) -> None:
    d.core.set_liquidity(BTC, D("0.01"), levels=1)
    await d.limit("hf-part", "1.01", quantity=MUCH)
    order = await d.order("hf-part")
    assert order.status is ExchangeStatus.PARTIAL
    assert 0 < order.filled < order.quantity == MUCH
    (listed,) = await d.orders()
    assert (listed.client_id, listed.status, listed.quantity) == ("hf-part", ExchangeStatus.PARTIAL, MUCH)
    assert order.filled <= listed.filled <= await d.held() < MUCH


@case(29, "a partly filled order is cancelled: what was filled stays, and stays told")
async def partial_cancelled(d: Desk) -> None:
    d.core.set_liquidity(BTC, D("0.01"), levels=1)
    await d.limit("hf-part", "1.01", quantity=MUCH)
    took(await d.cancel("hf-part"))
    order = await d.order("hf-part")
    assert order.status is ExchangeStatus.CANCELLED
    assert await d.held() == order.filled > 0
    assert await d.orders() == ()


@case(30, "an order is cancelled by its client id, another by the exchange's id")
async def cancelled(d: Desk) -> None:
    first, second = await d.limit("hf-first"), await d.limit("hf-second")
    took(await d.cancel("hf-first"))
    took(await d.cancel(order_id=second.exchange_id))
    assert await d.orders() == ()
    for name, sent in (("hf-first", first), ("hf-second", second)):
        order = await d.order(name)
        assert (order.order_id, order.status) == (sent.exchange_id, ExchangeStatus.CANCELLED)


@case(31, "a second cancel finds nothing")
async def cancelled_twice(d: Desk) -> None:
    await d.limit("hf-limit")
    took(await d.cancel("hf-limit"))
    await d.rest(2)
    refused(await d.cancel("hf-limit"), RejectReason.NOT_FOUND)


@case(32, "a cancel of what is filled finds nothing, and the order stays filled")
async def cancel_filled(d: Desk) -> None:
    await d.enter("hf-entry")
    refused(await d.cancel("hf-entry"), RejectReason.NOT_FOUND)
    assert (await d.order("hf-entry")).status is ExchangeStatus.FILLED


@case(33, "cancel–fill race: the order fills just before its cancel, which finds nothing; a query tells")
async def race(d: Desk) -> None:
    await d.limit("hf-limit")
    d.fault("filled_first", times=1)
    refused(await d.cancel("hf-limit"), RejectReason.NOT_FOUND)
    order = await d.order("hf-limit")
    assert (order.status, order.filled) == (ExchangeStatus.FILLED, LOT)
    assert await d.held() == LOT


@case(34, "a cancel of an order that never was finds nothing")
async def cancel_nothing(d: Desk) -> None:
    refused(await d.cancel("hf-never"), RejectReason.NOT_FOUND)
    assert isinstance(await d.exchange.find_order(BTC, "hf-never", priority=P), NotFound)


@case(35, "a close takes part of the position, another the rest, and each tells what it earned")
async def closed(d: Desk) -> None:
    await d.enter(quantity=3 * LOT)
    (position,) = (await d.positions()).values()
    await d.move("0.99")
    took(await d.close("hf-one"))
    assert await d.held() == 2 * LOT
    took(await d.close("hf-two", quantity=2 * LOT))
    assert await d.positions() == {}
    closing = [fill for fill in await d.fills() if fill.side is Side.SELL]
    earned = sum(fill.realized_pnl for fill in closing)
    expected = sum((fill.price - position.entry_price) * fill.quantity for fill in closing)
    assert abs(earned - expected) < D("0.01")
    assert earned < 0


@case(36, "a short is closed by buying")
async def short_closed(d: Desk) -> None:
    await d.enter(direction=SHORT)
    took(await d.close("hf-close", direction=SHORT))
    assert await d.positions() == {}
    order = await d.order("hf-close")
    assert (order.side, order.position_side) == (Side.BUY, d.side(SHORT))


@case(37, "a close of more than there is never turns the position round")
async def closed_beyond(d: Desk) -> None:
    await d.enter()
    outcome = await d.close(quantity=3 * LOT)
    if isinstance(outcome, Rejected):
        assert outcome.reason in (RejectReason.REDUCE_BLOCKED, RejectReason.NOTHING_TO_REDUCE)
        took(await d.close())
    assert await d.positions() == {}


@case(38, "a close without a position is refused: nothing to reduce")
async def nothing_to_close(d: Desk) -> None:
    refused(await d.close(), RejectReason.NOTHING_TO_REDUCE)
    await d.enter()
    took(await d.close())
    refused(await d.close(), RejectReason.NOTHING_TO_REDUCE, RejectReason.REDUCE_BLOCKED)
    assert d.live_orders() == []


@case(39, "a resting close is told as one, and closes when its price comes")
async def resting_close(d: Desk) -> None:
    await d.enter()
    took(await d.close("hf-close", type=OrderType.LIMIT, price=await d.price("1.02")))
    (order,) = await d.orders()
    assert (order.client_id, order.side) == ("hf-close", Side.SELL)
    assert d.hedge or order.reduce_only
    await d.move("1.03")
    assert await d.positions() == {}
    assert (await d.order("hf-close")).status is ExchangeStatus.FILLED


@case(40, "beside a resting close of the whole position another close does not turn it round")
async def close_beside(d: Desk) -> None:
    await d.enter()
    took(await d.close("hf-rests", type=OrderType.LIMIT, price=await d.price("1.02")))
    outcome = await d.close("hf-now")
    if isinstance(outcome, Rejected):
        assert outcome.reason in (RejectReason.REDUCE_BLOCKED, RejectReason.NOTHING_TO_REDUCE), outcome
        took(await d.cancel("hf-rests"))
        took(await d.close("hf-again"))
    await d.move("1.03")
    assert await d.positions() == {}


@case(41, "the same client id twice while the first is open makes one order, and the refusal says so")
async def duplicate(d: Desk) -> None:
    await d.limit("hf-same")
    price = await d.price("0.97")
    refused(await d.send("hf-same", type=OrderType.LIMIT, price=price), RejectReason.DUPLICATE_ID)
    assert len(await d.orders()) == len(d.account.orders) == 1


@case(
    42,
    "the same client id again after the first was filled makes no second order",
    {"binance": "client ids are unique among open orders only; the journal never sends one twice"},
)
async def duplicate_of_filled(d: Desk) -> None:
    await d.enter("hf-same")
    refused(await d.send("hf-same"), RejectReason.DUPLICATE_ID)
    assert await d.held() == LOT


@case(43, "symbols do not mix: each list shows its own, the list of all shows all")
async def symbols(d: Desk) -> None:
    await d.limit("hf-btc")
    await d.limit("hf-eth", symbol=ETH, quantity=D("0.1"))
    assert [order.client_id for order in await d.orders(BTC)] == ["hf-btc"]
    assert [order.client_id for order in await d.orders(ETH)] == ["hf-eth"]
    assert {order.client_id for order in await d.orders(None)} == {"hf-btc", "hf-eth"}
    await d.enter(symbol=ETH, quantity=D("0.1"))
    assert {symbol for symbol, _ in await d.positions()} == {ETH}
    assert {fill.symbol for fill in await d.fills(ETH)} == {ETH}
    assert await d.fills(BTC) == ()


@case(44, "fills are told since a time, oldest first, each once")
async def fills_since(d: Desk) -> None:
    await d.enter("hf-old")
    await d.rest(2)
    since_ms = d.stand.clock.now_ms()
    await d.rest(1)
    new = await d.enter("hf-new")
    found = (await d.exchange.fills(BTC, since_ms, priority=P)).value
    assert {fill.order_id for fill in found} == {new.exchange_id}
    everything = await d.fills()
    assert len({fill.trade_id for fill in everything}) == len(everything)
    assert [fill.at_ms for fill in everything] == sorted(fill.at_ms for fill in everything)


@case(45, "both sides are held at once, each with its sign, and a close takes from its own", ONE_SIDE)
async def both_sides(d: Desk) -> None:
    await d.enter(direction=LONG)
    await d.enter(direction=SHORT, quantity=2 * LOT)
    assert (await d.held(LONG), await d.held(SHORT)) == (LOT, -2 * LOT)
    took(await d.close(direction=SHORT))
    assert (await d.held(LONG), await d.held(SHORT)) == (LOT, -LOT)
    took(await d.close(direction=LONG))
    assert (await d.held(LONG), await d.held(SHORT)) == (0, -LOT)


@case(
    46,
    "an entry against the position takes from it first",
    {"hedge": "in hedge mode an entry opens its own side"},
)
async def against(d: Desk) -> None:
    await d.enter(quantity=2 * LOT)
    await d.enter(direction=SHORT)
    assert await d.held() == LOT


@case(47, "what a person closes in the app is seen: position, order and fills under no name of ours")
async def by_hand(d: Desk) -> None:
    sent = await d.enter("hf-entry")
    d.core.close_by_hand(KEY, BTC, d.side())
    await d.rest(1)
    assert await d.positions() == {}
    foreign = [fill for fill in await d.fills() if fill.order_id != sent.exchange_id]
    assert sum(fill.quantity for fill in foreign) == LOT
    assert {fill.side for fill in foreign} == {Side.SELL}
    order = await d.order(order_id=foreign[0].order_id)
    assert not order.client_id.startswith("hf-")


@case(48, "a position the exchange takes away (auto-deleveraging) is gone, and its fill is told")
async def deleveraged(d: Desk) -> None:
    sent = await d.enter()
    d.core.adl(KEY, BTC, d.side())
    await d.rest(1)
    assert await d.positions() == {}
    last = (await d.fills())[-1]
    assert (last.quantity, last.order_id != sent.exchange_id) == (LOT, True)


@case(49, "a liquidated position is gone, and its fill is told")
async def liquidated(d: Desk) -> None:
    sent = await d.enter()
    took(await d.stop("hf-stop"))
    d.core.liquidate(KEY, BTC, d.side())
    await d.rest(1)
    assert await d.positions() == {}
    assert await d.stops() == ()
    assert {fill.order_id for fill in await d.fills()} > {sent.exchange_id}
