"""Bitget's streams against the simulated exchange, and what cannot be read in them."""

import asyncio
import copy
import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.domain.account import PositionMode
from holdfast.domain.intents import Accepted, Purpose
from holdfast.domain.orders import PositionSide, Side, StopStatus
from holdfast.domain.secret import Secret
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bitget import events
from holdfast.exchanges.bitget.streams import login_frame
from holdfast.exchanges.decoding import BadAnswer
from holdfast.exchanges.port import MarkNews, OrderNews, PositionNews, StopNews, StreamState
from tests.exchanges.bitget.desk import Desk, P, desk
from tests.exchanges.bitget.samples import BTC, CREATED_MS, FILL, NAMES, RECORDED
from tests.exchanges.bitget.test_decode import JSON, mutated

D = Decimal
DAY_MS = 24 * 3600 * 1000
ETH = Symbol("ETH", "USDT", "USDT")
FAST = {"ping_every_s": 0.2, "pong_within_s": 0.2, "backoff_first_s": 0.05}


async def up(d: Desk, stream: str = "user") -> None:
    await d.until(lambda: any(state.stream == stream and state.up for state in d.of(StreamState)))


async def test_streams_tell_entry_stop_and_marks() -> None:
    """The fill with its id and fee, the stop's life, the position, prices."""
    async with desk(**FAST) as d:
        await d.exchange.start_streams([BTC, ETH], d.heard.append)
        await up(d)
        await d.enter("hf-entry")
        await d.stop("hf-stop")
        await d.until(lambda: bool(d.of(StopNews)) and bool(d.of(PositionNews)))
        d.world.jump(1.1)
        await d.until(lambda: len({news.symbol for news in d.of(MarkNews)}) == 2)
        fills = [news.fill for news in d.of(OrderNews) if news.fill is not None]
        assert sum(fill.quantity for fill in fills) == D("0.01")
        assert {fill.client_id for fill in fills} == {"hf-entry"}
        rest = await d.exchange.fills(BTC, d.world.clock.now_ms() - DAY_MS, priority=P)
        assert {(f.trade_id, f.fee) for f in fills} == {(f.trade_id, f.fee) for f in rest.value}
        assert d.of(PositionNews)[-1].quantity == D("0.01")
        assert d.of(StopNews)[-1].stop.client_id == "hf-stop"
        assert d.exchange.stats.bad_events == {}
        assert all(state.up for state in d.of(StreamState))


@pytest.mark.parametrize("named_by_plan", [True, False])
async def test_a_triggered_stop_is_told_with_the_order_it_became(named_by_plan: bool) -> None:
    """From LIVE to FINISHED, and the fill that closed the position; the order is known by either name."""
    async with desk({"child_named_by_plan": named_by_plan}, **FAST) as d:
        await d.exchange.start_streams([BTC], d.heard.append)
        await up(d)
        await d.enter()
        await d.stop("hf-stop", ratio="0.99")
        d.world.server.core.move_price(BTC, D("0.95"))
        for _ in range(40):
            d.world.jump(1)
            await asyncio.sleep(0)
        await d.until(lambda: any(n.stop.order_id for n in d.of(StopNews)))
        finished = [n.stop for n in d.of(StopNews) if n.stop.status is StopStatus.FINISHED][-1]
        await d.until(lambda: bool(d.of(PositionNews)) and d.of(PositionNews)[-1].quantity == 0)
        fills = [
            n.fill for n in d.of(OrderNews) if n.fill is not None and n.fill.order_id == finished.order_id
        ]
        assert sum(fill.quantity for fill in fills) == D("0.01")
        assert all(fill.realized_pnl < 0 for fill in fills)
        found = await d.exchange.find_stop(BTC, "hf-stop", priority=P)
        assert isinstance(found, Accepted)
        assert found.stop is not None
        assert found.stop.order_id == finished.order_id


async def test_in_hedge_mode_streams_and_reads_agree_about_sides() -> None:
    """A closed side is only missing from the list; it is told as flat."""
    async with desk(**FAST) as d:
        await d.exchange.balance(priority=P)
        d.world.server.core.set_position_mode("key", PositionMode.HEDGE)
        await d.exchange.start_streams([], d.heard.append)
        await up(d)
        await d.enter(position_side=PositionSide.LONG)
        await d.enter(side=Side.SELL, position_side=PositionSide.SHORT, quantity=D("0.02"))
        close = {"purpose": Purpose.CLOSE, "side": Side.SELL, "position_side": PositionSide.LONG}
        closed = await d.send("hf-close", **close)
        assert isinstance(closed, Accepted)
        flat = (PositionSide.LONG, D(0))
        await d.until(lambda: flat in [(n.side, n.quantity) for n in d.of(PositionNews)])
        told = {n.fill.trade_id: n.fill for n in d.of(OrderNews) if n.fill is not None}
        read = await d.exchange.fills(BTC, d.world.clock.now_ms() - DAY_MS, priority=P)
        assert {f.trade_id: (f.side, f.position_side, f.realized_pnl) for f in read.value} == {
            t: (f.side, f.position_side, f.realized_pnl) for t, f in told.items()
        }


async def test_a_silent_market_stream_goes_down_and_comes_back() -> None:
    """The socket stands and answers pings; only prices are missing."""
    async with desk(**FAST, market_silence_ms=1500) as d:
        await d.exchange.start_streams([BTC], d.heard.append)
        await up(d, "market")
        fault = d.fault(kind="ws_silent", stream="market")
        await d.until(lambda: any(not state.up for state in d.of(StreamState) if state.stream == "market"))
        d.world.server.faults.remove(fault)
        await d.until(lambda: [s for s in d.of(StreamState) if s.stream == "market"][-1].up)


async def test_a_closed_user_stream_logs_in_again_by_itself() -> None:
    """Down, up, and events flow again."""
    async with desk(**FAST) as d:
        await d.exchange.start_streams([], d.heard.append)
        await up(d)
        d.fault(kind="ws_close", stream="user", times=1)
        await d.enter("hf-1")
        await d.until(lambda: [state.up for state in d.of(StreamState)][-2:] == [False, True])
        seen = len(d.of(OrderNews))
        await d.enter("hf-2")
        await d.until(lambda: len(d.of(OrderNews)) > seen)


async def test_a_refused_login_is_told_and_tried_again() -> None:
    """The stream is never up; its cause has the exchange's code."""
    async with desk(**FAST) as d:
        d.exchange._streams._login = lambda _: login_frame("", Secret("s"), Secret(""), 0)
        await d.exchange.start_streams([], d.heard.append)
        await d.until(lambda: len(d.of(StreamState)) > 0 and d.exchange.stats.reconnects["user"] > 1)
        assert {state.up for state in d.of(StreamState)} == {False}
        assert "30011" in d.of(StreamState)[0].cause


async def test_more_symbols_are_watched_on_the_running_connection() -> None:
    """Also when none was at first."""
    async with desk(**FAST) as d:
        await d.exchange.start_streams([], d.heard.append)
        for symbol in (BTC, ETH):
            await d.exchange.watch_marks([symbol])
            await d.until(lambda symbol=symbol: any(n.symbol == symbol for n in d.of(MarkNews)))  # type: ignore[misc]


# --- what messages say ---------------------------------------------------------------------------

ORDER_EVENT = {
    "instId": "BTCUSDT",
    "orderId": FILL["orderId"],
    "clientOid": "hf-1",
    "size": "0.001",
    "price": "0",
    "priceAvg": "37271.4",
    "orderType": "market",
    "side": "buy",
    "tradeSide": "close",
    "posSide": "long",
    "posMode": "hedge_mode",
    "reduceOnly": "no",
    "status": "filled",
    "accBaseVolume": "0.001",
    "baseVolume": "0.001",
    "tradeId": FILL["tradeId"],
    "cTime": str(CREATED_MS),
    "uTime": str(CREATED_MS),
}
PLAN_EVENT = {
    "instId": "BTCUSDT",
    "orderId": "77",
    "clientOid": "hf-stop",
    "triggerPrice": "25000",
    "triggerType": "mark_price",
    "planType": "psl",
    "executePrice": "0",
    "size": "0",
    "side": "sell",
    "tradeSide": "sell_single",
    "posSide": "net",
    "posMode": "one_way_mode",
    "status": "live",
    "cTime": str(CREATED_MS),
    "uTime": "",
}
POSITION_EVENT = {
    "instId": "BTCUSDT",
    "holdSide": "short",
    "posMode": "one_way_mode",
    "total": "0.002",
    "openPriceAvg": "60000",
    "leverage": 20,
}
TICKER_EVENT = {"instId": "BTCUSDT", "markPrice": "60000", "ts": str(CREATED_MS)}
ROWS = {"orders": ORDER_EVENT, "orders-algo": PLAN_EVENT, "fill": FILL, "positions": POSITION_EVENT}


def push(channel: str, *rows: Any) -> bytes:
    arg = {"instType": "USDT-FUTURES", "channel": channel, "instId": "default"}
    return json.dumps({"action": "snapshot", "arg": arg, "data": rows, "ts": CREATED_MS}).encode()


def read(news: events.UserNews, body: bytes) -> list[Any]:
    return news.read(events.FRAME.read(body), NAMES) or []


@pytest.mark.parametrize("first", ["orders", "fill"])
def test_the_halves_of_an_execution_meet_in_either_order(first: str) -> None:
    """One fill, with the order's sides and client id and the fill's own result."""
    news = events.UserNews()
    second = "fill" if first == "orders" else "orders"
    heard = [*read(news, push(first, ROWS[first])), *read(news, push(second, ROWS[second]))]
    (fill,) = [item.fill for item in heard if item.fill is not None]
    assert (fill.side, fill.position_side, fill.client_id) == (Side.SELL, PositionSide.LONG, "hf-1")
    assert (fill.realized_pnl, fill.fee) == (D("-0.0007"), D("0.02236284"))
    assert read(news, push(first, ROWS[first]))[:1] != heard  # nothing is left over to be paired twice


def test_a_position_that_is_missing_from_the_list_is_flat() -> None:
    """And a flip is told as what it is now."""
    news = events.UserNews()
    (held,) = read(news, push("positions", POSITION_EVENT))
    assert (held.symbol, held.side, held.quantity) == (BTC, PositionSide.BOTH, D("-0.002"))
    (turned,) = read(news, push("positions", {**POSITION_EVENT, "holdSide": "long"}))
    assert turned.quantity == D("0.002")
    (gone,) = read(news, push("positions"))
    assert (gone.symbol, gone.quantity) == (BTC, D(0))
    assert read(news, push("positions")) == []


def test_an_unreadable_list_of_positions_ends_none() -> None:
    """Absence is not proven by what cannot be read."""
    news = events.UserNews()
    read(news, push("positions", POSITION_EVENT))
    with pytest.raises(BadAnswer):
        read(news, push("positions", {**POSITION_EVENT, "total": "NaN"}))
    (held,) = read(news, push("positions", POSITION_EVENT))
    assert held.quantity == D("-0.002")


def test_channels_we_do_not_use_say_nothing() -> None:
    assert events.UserNews().read(events.FRAME.read(push("account", {})), NAMES) is None


def test_every_recorded_push_is_read() -> None:
    """Of the channels we use."""
    if not RECORDED.exists():
        pytest.skip("the recorded answers are not on this machine")
    frames = [entry["frame"] for entry in json.loads(RECORDED.read_text())["websocket"]]
    used = [frame for frame in frames if frame.get("action") and frame["arg"]["channel"] in (*ROWS, "ticker")]
    assert {frame["arg"]["channel"] for frame in used} == {*ROWS, "ticker"}
    for frame in used:
        parsed = events.FRAME.read(json.dumps(frame))
        if frame["arg"]["channel"] == "ticker":
            assert len(events.mark_news(parsed, NAMES, 0)) == len(frame["data"])
        else:
            assert events.UserNews().read(parsed, NAMES) is not None


@settings(max_examples=200)
@given(data=st.data())
def test_mutated_messages_raise_only_our_own_word(data: st.DataObject) -> None:
    """The stream's reader survives anything."""
    channel = data.draw(st.sampled_from([*ROWS, "ticker"]))
    good = json.loads(push(channel, copy.deepcopy(ROWS.get(channel, TICKER_EVENT))))
    changed = json.dumps(data.draw(mutated(good) | JSON)).encode()
    for content in (changed, changed[:-5]):
        with suppress(BadAnswer):
            frame = events.FRAME.read(content)
            events.UserNews().read(frame, NAMES)
        with suppress(BadAnswer):
            events.mark_news(events.FRAME.read(content), NAMES, 0)
