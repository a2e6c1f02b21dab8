"""What the streams tell, each thing once; and what happens when they fall silent, break or stammer."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.orders import Direction, ExchangeStatus, Fill, Side, StopKind, StopStatus
from holdfast.drills.network import LinkKind
from holdfast.exchanges.port import (
    BalanceNews,
    ConfigNews,
    MarkNews,
    OrderNews,
    PositionNews,
    StopNews,
    StreamState,
)
from tests.conformance.case import case
from tests.conformance.stand import BTC, ETH, KEY, LOT, Desk, P, took

D = Decimal
STREAMS = (LinkKind.USER, LinkKind.MARKET)
ORDER_EVENTS = {"binance": "ORDER_TRADE_UPDATE", "bingx": "ORDER_TRADE_UPDATE", "bitget": "^@?orders"}
LONG, SHORT = Direction.LONG, Direction.SHORT


def _fills(d: Desk) -> list[Fill]:
    return [news.fill for news in d.of(OrderNews) if news.fill is not None]


def _ups(d: Desk, stream: str) -> list[bool]:
    return [state.up for state in d.of(StreamState) if state.stream == stream]


def _sound(d: Desk) -> None:
    assert d.exchange.stats.bad_events == {}
    assert all(state.up for state in d.of(StreamState))


@case(230, "an entry: its fills are told once, with the ids, the fee and the side that REST tells too")
async def entry(d: Desk) -> None:
    await d.listen(BTC)
    sent = await d.enter("hf-entry")
    await d.until(lambda: sum(fill.quantity for fill in _fills(d)) == LOT)
    await d.rest(3)
    told = _fills(d)
    assert sum(fill.quantity for fill in told) == LOT
    assert {(fill.client_id, fill.order_id) for fill in told} == {("hf-entry", sent.exchange_id)}
    rest = {fill.trade_id: fill for fill in await d.fills()}
    assert {fill.trade_id for fill in told} == set(rest)
    for fill in told:
        same = rest[fill.trade_id]
        assert (fill.price, fill.quantity, fill.side) == (same.price, same.quantity, same.side)
        assert (fill.position_side, fill.fee_currency) == (same.position_side, same.fee_currency)
        assert abs(fill.fee - same.fee) < D("0.0001")
    last = d.of(OrderNews)[-1].order
    assert (last.status, last.filled) == (ExchangeStatus.FILLED, LOT)
    _sound(d)


@case(231, "a position is told with its sign, and its end as 0")
async def position(d: Desk) -> None:
    await d.listen(BTC)
    await d.enter(direction=SHORT)
    await d.until(lambda: bool(d.of(PositionNews)))
    news = d.of(PositionNews)[-1]
    assert (news.symbol, news.side, news.quantity) == (BTC, d.side(SHORT), -LOT)
    assert news.entry_price == next(iter((await d.positions()).values())).entry_price
    took(await d.close(direction=SHORT))
    await d.until(lambda: d.of(PositionNews)[-1].quantity == 0)
    assert d.of(PositionNews)[-1].side is d.side(SHORT)
    _sound(d)


@case(232, "a resting order's life is told: taken, cancelled")
async def resting(d: Desk) -> None:
    await d.listen()
    await d.limit("hf-limit")
    await d.until(lambda: bool(d.of(OrderNews)))
    took(await d.cancel("hf-limit"))
    await d.until(lambda: d.of(OrderNews)[-1].order.status is ExchangeStatus.CANCELLED)
    assert {news.order.client_id for news in d.of(OrderNews)} == {"hf-limit"}
    assert d.of(OrderNews)[0].order.status is ExchangeStatus.OPEN
    assert _fills(d) == []
    _sound(d)


@case(233, "partial fills are told one by one, each with what is filled by then")
async def partial(d: Desk) -> None:
    await d.listen()
    d.core.set_liquidity(BTC, D("0.01"), levels=1)
    await d.limit("hf-part", "1.01", quantity=D("0.3"))
    await d.until(lambda: bool(_fills(d)))
    d.core.set_liquidity(BTC, D(1))
    took(await d.cancel("hf-part"))
    await d.until(lambda: d.of(OrderNews)[-1].order.status is ExchangeStatus.CANCELLED)
    partly = [news for news in d.of(OrderNews) if news.fill is not None]
    assert {news.order.status for news in partly} == {ExchangeStatus.PARTIAL}
    assert sum(fill.quantity for fill in _fills(d)) == partly[-1].order.filled == await d.held()
    _sound(d)


@case(234, "a stop is told when it stands and when it is cancelled, under our name")
async def stop(d: Desk) -> None:
    await d.listen()
    await d.enter()
    placed = took(await d.stop("hf-stop"))
    await d.until(lambda: bool(d.of(StopNews)))
    told = d.of(StopNews)[-1].stop
    assert (told.stop_id, told.client_id) == (placed.exchange_id, "hf-stop")
    assert (told.status, told.kind, told.close_position) == (StopStatus.LIVE, StopKind.STOP, True)
    assert (told.side, told.position_side) == (Side.SELL, d.side())
    took(await d.cancel_stop(stop_id=placed.exchange_id))
    await d.until(lambda: d.of(StopNews)[-1].stop.status is StopStatus.CANCELLED)
    assert d.of(StopNews)[-1].stop.client_id == "hf-stop"
    _sound(d)


@case(235, "a triggered stop is told with the order it became, that order's fills, and the flat position")
async def triggered(d: Desk) -> None:
    await d.listen(BTC)
    await d.enter()
    took(await d.stop("hf-stop", "0.99"))
    await d.move("0.97")
    fired = [n.stop for n in d.of(StopNews) if n.stop.status in (StopStatus.TRIGGERED, StopStatus.FINISHED)]
    assert fired
    assert (fired[-1].client_id, fired[-1].kind) == ("hf-stop", StopKind.STOP)
    fills = [fill for fill in _fills(d) if fill.order_id == fired[-1].order_id]
    assert sum(fill.quantity for fill in fills) == LOT
    assert sum(fill.realized_pnl for fill in fills) < 0
    assert d.of(PositionNews)[-1].quantity == 0
    _sound(d)


@case(236, "a stop that ends with its position is told as over")
async def orphaned(d: Desk) -> None:
    await d.listen()
    await d.enter()
    took(await d.stop("hf-stop"))
    took(await d.close())
    over = (StopStatus.CANCELLED, StopStatus.EXPIRED)
    await d.until(lambda: bool(d.of(StopNews)) and d.of(StopNews)[-1].stop.status in over)
    _sound(d)


@case(237, "marks come for every symbol asked for, and for those added later")
async def marks(d: Desk) -> None:
    await d.listen(BTC)
    await d.until(lambda: bool(d.of(MarkNews)))
    assert {news.symbol for news in d.of(MarkNews)} == {BTC}
    await d.exchange.watch_marks([ETH])
    await d.until(lambda: {news.symbol for news in d.of(MarkNews)} == {BTC, ETH})
    last = next(news for news in reversed(d.of(MarkNews)) if news.symbol == BTC)
    assert abs(last.mark.price / d.core.prices(BTC).mark - 1) < D("0.01")
    _sound(d)


@case(238, "events that come twice bear the same trade id: the second can be known for what it is")
async def doubled(d: Desk) -> None:
    d.fault("events_doubled", stream="user")
    await d.listen()
    await d.enter("hf-entry")
    await d.until(lambda: bool(_fills(d)))
    await d.rest(2)
    assert {fill.trade_id for fill in _fills(d)} == {fill.trade_id for fill in await d.fills()}


@case(239, "a gap: what was filled while the stream was down is in the fills after it came up again")
async def gap(d: Desk) -> None:
    await d.listen()
    seen = len(d.heard)
    for kind in STREAMS:
        d.stand.network.conditions[kind].refuse = True
    try:
        for kind in STREAMS:
            d.stand.network.reset(kind)
        await d.until(lambda: _ups(d, "user")[-1] is False)
        gap = await d.enter("hf-gap")
        assert [news for news in d.heard[seen:] if isinstance(news, OrderNews)] == []
    finally:
        for kind in STREAMS:
            d.stand.network.conditions[kind].refuse = False
    await d.until(lambda: _ups(d, "user")[-1])
    assert {fill.order_id for fill in await d.fills()} == {gap.exchange_id}
    await d.enter("hf-after")
    await d.until(lambda: any(fill.client_id == "hf-after" for fill in _fills(d)))


@case(240, "a connection cut without a word is noticed by its silence, and replaced")
async def cut(d: Desk) -> None:
    await d.listen(BTC)
    for kind in STREAMS:
        d.stand.network.cut(kind)
    for stream in ("user", "market"):
        await d.until(lambda stream=stream: _ups(d, stream)[-2:] == [False, True])  # type: ignore[misc]
    await d.enter("hf-after")
    await d.until(lambda: any(fill.client_id == "hf-after" for fill in _fills(d)))


@case(241, "a market stream that answers pings but tells no price goes down, and comes back with prices")
async def silent(d: Desk) -> None:
    await d.listen(BTC)
    number = d.fault("ws_silent", stream="market")
    await d.until(lambda: not _ups(d, "market")[-1])
    d.unfault(number)
    await d.until(lambda: _ups(d, "market")[-1])
    seen = len(d.of(MarkNews))
    await d.until(lambda: len(d.of(MarkNews)) > seen)


@case(242, "the exchange closes the user stream: down, up, and events flow again")
async def closed(d: Desk) -> None:
    await d.listen()
    d.fault("ws_close", stream="user", times=1)
    await d.enter("hf-one")
    await d.until(lambda: _ups(d, "user")[-2:] == [False, True])
    await d.enter("hf-two")
    await d.until(lambda: any(fill.client_id == "hf-two" for fill in _fills(d)))


@case(
    243,
    "a listen key that has run out is replaced",
    {"bitget": "its private stream is logged in to with the keys; there is no listen key"},
)
async def listen_key(d: Desk) -> None:
    await d.listen()
    d.stand.server.app.expire_stream(KEY)
    await d.until(lambda: _ups(d, "user")[-2:] == [False, True])
    await d.enter("hf-after")
    await d.until(lambda: any(fill.client_id == "hf-after" for fill in _fills(d)))


@case(244, "events with unknown words or missing members are counted, and the stream lives on")
async def odd(d: Desk) -> None:
    await d.listen()
    events = ORDER_EVENTS[d.stand.exchange]
    number = d.fault("field_missing", stream="user", path=events, member="s|symbol|instId|i|orderId")
    await d.limit("hf-odd")
    await d.rest(2)
    d.unfault(number)
    assert sum(d.exchange.stats.bad_events.values()) > 0
    await d.limit("hf-even")
    await d.until(lambda: any(news.order.client_id == "hf-even" for news in d.of(OrderNews)))
    assert all(_ups(d, "user"))


@case(245, "what a person does in the app is told: the close, and the flat position")
async def by_hand(d: Desk) -> None:
    await d.listen()
    sent = await d.enter()
    await d.until(lambda: bool(_fills(d)))
    d.core.close_by_hand(KEY, BTC, d.side())
    await d.until(lambda: d.of(PositionNews)[-1].quantity == 0)
    foreign = [fill for fill in _fills(d) if fill.order_id != sent.exchange_id]
    assert sum(fill.quantity for fill in foreign) == LOT
    assert not any(fill.client_id.startswith("hf-") for fill in foreign)
    _sound(d)


@case(
    246,
    "leverage changed by hand is told",
    {"bitget": "no event tells it; the settings are read at the pace the exchange allows"},
)
async def leverage(d: Desk) -> None:
    await d.exchange.account_config(priority=P)
    await d.listen(BTC)
    await d.rest(6)
    d.core.set_leverage(KEY, BTC, 7)
    await d.until(lambda: bool(d.of(ConfigNews)))
    assert {(news.symbol, news.leverage) for news in d.of(ConfigNews)} == {(BTC, 7)}


@case(
    247,
    "money that comes in is told with its amount",
    {"bitget": "its account channel tells what there is, not what came in; the balance is read"},
)
async def transfer(d: Desk) -> None:
    await d.listen()
    d.core.transfer(KEY, D(250))
    await d.until(lambda: bool(d.of(BalanceNews)))
    news = d.of(BalanceNews)[-1]
    assert (news.currency, news.wallet, news.change) == ("USDT", d.account.wallet, 250)
