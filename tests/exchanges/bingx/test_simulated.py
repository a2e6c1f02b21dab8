"""BingX: adapter and simulator, over loopback: what only it has (the rest: tests/conformance)."""

import asyncio
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from holdfast.domain.account import Fact, PositionMode
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
from holdfast.domain.orders import ExchangeStatus, OrderType, PositionSide, Side, StopKind, StopStatus
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bingx.stops import StopLedger
from holdfast.exchanges.port import (
    ConfigNews,
    ExchangeError,
    MarkNews,
    OrderNews,
    PositionNews,
    StopNews,
    StreamState,
)
from holdfast.simulator.bingx.config import Limits
from tests.exchanges.bingx.desk import MODES, D, P, desk
from tests.exchanges.support import BTC
from tests.simulator.bingx.clients import Raw

DAY_MS = 24 * 3600 * 1000
ETH = Symbol("ETH", "USDT", "USDT")
both_modes = pytest.mark.parametrize("mode", MODES)


async def test_a_cancel_that_still_shows_the_order_as_pending_has_cancelled_it() -> None:
    """Recorded answers do so."""
    async with desk(switches={"cancel_answers": "PENDING"}) as d:
        price = (await d.mark() * D("0.98")).quantize(D("0.1"))
        placed = await d.enter(type=OrderType.LIMIT, price=price)
        cancelled = await d.send(purpose=Purpose.CANCEL_ORDER, target_id=placed.exchange_id)
        assert isinstance(cancelled, Accepted)
        assert cancelled.order is not None
        assert cancelled.order.status is ExchangeStatus.CANCELLED


@pytest.mark.parametrize("code", [101481, 101400])
@pytest.mark.parametrize("wait_s", [0.0, 2.0])
async def test_the_same_id_twice_makes_one_order(code: int, wait_s: float) -> None:
    """In all of the exchange's words for it; the answer proves that the first arrived."""
    async with desk(switches={"duplicate_code": code}) as d:
        price = (await d.mark() * D("0.98")).quantize(D("0.1"))
        limit = {"type": OrderType.LIMIT, "price": price}
        await d.enter("hf-same", **limit)
        d.world.jump(wait_s)
        again = await d.send("hf-same", **limit)
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.DUPLICATE_ID
        assert len((await d.exchange.open_orders(BTC, priority=P)).value) == 1


# --- doubt -----------------------------------------------------------------------------------------

DOUBTS = {
    "lost_reply": True,
    "error_after": True,
    "empty": True,
    "truncated": True,
    "html": False,
    "lost_request": False,
}
"""Fault → whether the order happened all the same."""
PLACE = {"method": "POST", "path": "/openApi/swap/v2/trade/order$", "times": 1}


@both_modes
@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize(("kind", "happened"), list(DOUBTS.items()))
async def test_a_doubtful_stop_is_recognised_without_its_name(
    kind: str, happened: bool, keeps: bool, mode: PositionMode
) -> None:
    """By what was asked for, since the exchange keeps no name; then it bears ours everywhere."""
    async with desk(mode, request_timeout_s=0.3, switches={"stops_keep_client_ids": keeps}) as d:
        await d.enter()
        d.fault(kind=kind, **PLACE)
        assert isinstance(await d.stop("hf-doubt"), Unknown)
        found = await d.exchange.find_stop(BTC, "hf-doubt", priority=P)
        assert isinstance(found, Accepted if happened else NotFound), found
        stops = (await d.exchange.open_stops(BTC, priority=P)).value
        assert [stop.client_id for stop in stops] == (["hf-doubt"] if happened else [])


async def test_of_two_stops_alike_one_stands_and_one_does_not() -> None:
    """Both answers were lost, one request as well: whose the stop is does not matter, that it is one does."""
    async with desk(request_timeout_s=0.3) as d:
        await d.enter()
        sized = {"close_position": False, "quantity": D("0.005"), "trigger_price": D("50000")}
        for name, kind in (("hf-a", "lost_reply"), ("hf-b", "lost_request")):
            d.fault(kind=kind, **PLACE)
            assert isinstance(await d.stop(name, **sized), Unknown)
        found = [await d.exchange.find_stop(BTC, name, priority=P) for name in ("hf-a", "hf-b")]
        assert sorted(type(each).__name__ for each in found) == ["Accepted", "NotFound"]
        (stop,) = (await d.exchange.open_stops(BTC, priority=P)).value
        assert stop.client_id in ("hf-a", "hf-b")


async def test_a_stop_made_after_a_lost_request_could_still_arrive_is_not_its() -> None:
    """The exchange refuses a request five seconds after it was signed."""
    async with desk(request_timeout_s=0.3) as d:
        await d.enter()
        sized = {"close_position": False, "quantity": D("0.005"), "trigger_price": D("50000")}
        d.fault(kind="lost_request", **PLACE)
        assert isinstance(await d.stop("hf-lost", **sized), Unknown)
        d.world.jump(8)
        by_hand = {"symbol": "BTC-USDT", "side": "SELL", "positionSide": "BOTH", "type": "STOP_MARKET"}
        placed = await Raw(d.world).order(**by_hand, quantity="0.005", stopPrice="50000", reduceOnly="true")
        assert placed.code == 0
        (stop,) = (await d.exchange.open_stops(BTC, priority=P)).value
        assert stop.client_id == ""
        assert isinstance(await d.exchange.find_stop(BTC, "hf-lost", priority=P), NotFound)


async def test_a_stop_of_another_life_is_unknown_never_not_found() -> None:
    """The exchange keeps no names: an empty answer cannot prove that it is not there."""
    async with desk() as d:
        assert isinstance(await d.exchange.find_stop(BTC, "hf-before", priority=P), Unknown)
        assert isinstance(await d.exchange.find_stop(BTC, "", priority=P), Unknown)
    async with desk(switches={"stops_keep_client_ids": True}) as d:
        await d.enter()
        assert isinstance(await d.stop("hf-stop"), Accepted)
        d.exchange._stops = StopLedger()  # as after a restart
        assert isinstance(await d.exchange.find_stop(BTC, "hf-stop", priority=P), Accepted)


@both_modes
@pytest.mark.parametrize("answered", [True, False])
async def test_the_journal_gives_a_stop_its_name_back(answered: bool, mode: PositionMode) -> None:
    """After a restart: by the exchange's id, or when no answer had come by what was asked for."""
    async with desk(mode, request_timeout_s=0.3) as d:
        await d.enter()
        if not answered:
            d.fault(kind="lost_reply", **PLACE)
        outcome = await d.stop("hf-stop")
        d.exchange._stops = StopLedger()  # as after a restart
        known = outcome.exchange_id if isinstance(outcome, Accepted) else ""
        d.exchange.remember_stops([replace(d.sent[-1], exchange_id=known)])
        (stop,) = (await d.exchange.open_stops(BTC, priority=P)).value
        assert stop.client_id == "hf-stop"
        found = await d.exchange.find_stop(BTC, "hf-stop", priority=P)
        assert isinstance(found, Accepted)
        assert found.exchange_id == stop.stop_id
        gone = await d.send(purpose=Purpose.CANCEL_STOP, target_client_id="hf-stop")
        assert isinstance(gone, Accepted)
        over = await d.exchange.find_stop(BTC, "hf-stop", priority=P)
        assert isinstance(over, Accepted)
        assert over.stop is not None
        assert over.stop.status is StopStatus.CANCELLED


async def test_orders_and_stops_wanted_together_are_one_question() -> None:
    """They stand in one list. A failure is everybody's, and who gives up spoils nobody's next answer."""
    async with desk() as d:
        await d.enter()
        await d.stop("hf-stop")
        ask = d.exchange

        async def both() -> list[object]:
            reads = (ask.open_orders(BTC, priority=P), ask.open_stops(BTC, priority=P))
            return await asyncio.gather(*reads, return_exceptions=True)

        counted = d.fault(kind="delay", path="openOrders", delay_ms=30)
        orders, stops = await both()
        assert isinstance(orders, Fact)
        assert isinstance(stops, Fact)
        assert (orders.value, len(stops.value), orders.asked_ms) == ((), 1, stops.asked_ms)
        assert d.world.server.faults.fired(counted) == 1
        d.fault(kind="empty", path="openOrders", times=1)
        assert [type(each) for each in await both()] == [ExchangeError, ExchangeError]
        given_up = asyncio.create_task(ask.open_orders(BTC, priority=P))
        joined = asyncio.create_task(ask.open_stops(BTC, priority=P))
        await asyncio.sleep(0.01)
        given_up.cancel()
        with pytest.raises(ExchangeError, match="given up"):
            await joined
        assert len((await ask.open_stops(BTC, priority=P)).value) == 1


async def test_a_foreign_stop_bears_no_name_of_ours() -> None:
    """Placed by hand: seen, and nobody's."""
    async with desk() as d:
        await d.enter()
        mine = await d.stop("hf-stop")
        assert isinstance(mine, Accepted)
        d.exchange._stops = StopLedger()  # as after a restart
        (stop,) = (await d.exchange.open_stops(BTC, priority=P)).value
        assert (stop.stop_id, stop.client_id, stop.kind) == (mine.exchange_id, "", StopKind.STOP)


async def test_a_rate_limit_is_a_definite_no() -> None:
    """It had no effect, may be tried later, and does not hold an emergency back."""
    async with desk() as d:
        d.fault(kind="rate_limited", **PLACE)
        assert isinstance(await d.send("hf-no"), Unavailable)
        found = await d.exchange.find_order(BTC, "hf-no", priority=Priority.PROTECT)
        assert isinstance(found, NotFound)
        held = await d.send()
        assert isinstance(held, Unavailable)
        assert held.held
        assert isinstance(await d.send(priority=Priority.EMERGENCY), Accepted)


@pytest.mark.parametrize("sliding", [False, True])
async def test_nothing_is_sent_beyond_an_endpoints_pace(sliding: bool) -> None:
    """What would be too many in a second waits here, whatever second the exchange counts by."""
    async with desk(switches={"limits": Limits(sliding=sliding)}) as d:
        began = time.monotonic()
        asked = [d.exchange.balance(priority=Priority.OBSERVE) for _ in range(8)]
        for each in asked:
            await each
        assert time.monotonic() - began > 1.9  # three a second: the rest is kept for more urgent ones
        await d.exchange.positions(priority=Priority.OBSERVE)
        assert all(seen.code == 0 for seen in d.world.server.log.listing())


async def test_closes_of_many_positions_leave_at_the_pace_allowed() -> None:
    """Five orders a second: an emergency waits for its second here, not for the engine's pauses."""
    async with desk() as d:
        began = time.monotonic()
        close = {"side": Side.SELL, "purpose": Purpose.CLOSE, "priority": Priority.EMERGENCY}
        outcomes = await asyncio.gather(*(d.send(**close) for _ in range(10)))
        assert all(isinstance(found, Rejected) for found in outcomes), "nothing was held: flat is flat"
        assert 1.0 < time.monotonic() - began < 2.0


async def test_a_pause_of_one_account_is_no_other_ones() -> None:
    """109429 says: too many bad requests of this account."""
    async with desk() as d:
        d.fault(kind="rate_limited", code=109429, msg="too many invalid requests", times=1)
        assert isinstance(await d.send(), Unavailable)
        assert isinstance(await d.send(), Unavailable)
        other = d.exchange._caller._governor.key()
        assert other.refusal(Priority.OBSERVE) is None


async def test_what_other_programs_use_is_seen() -> None:
    """The header tells what is left of the address's requests."""
    async with desk() as d:
        d.world.server.app.use_up("127.0.0.1", 900, d.world.clock.now_ms())
        await d.exchange.positions(priority=Priority.TRADE)
        assert d.exchange.budget()["budget_account_others"] > 890
        with pytest.raises(ExchangeError) as held:
            await d.exchange.balance(priority=Priority.OBSERVE)
        assert held.value.outcome.short  # type: ignore[union-attr]
        await d.exchange.balance(priority=Priority.PROTECT)


# --- streams ---------------------------------------------------------------------------------------

FAST = {"ping_every_s": 0.2, "pong_within_s": 0.2, "backoff_first_s": 0.05}


@both_modes
async def test_streams_tell_entry_stop_and_marks(mode: PositionMode) -> None:
    """The fill with its id, fee and side; the stop under our name; position and prices."""
    async with desk(mode, **FAST) as d:
        await d.exchange.start_streams([BTC, ETH], d.heard.append)
        await d.until(lambda: any(state.stream == "user" and state.up for state in d.of(StreamState)))
        await d.enter("hf-entry")
        await d.stop("hf-stop")
        await d.until(lambda: bool(d.of(StopNews)) and bool(d.of(PositionNews)))
        d.world.jump(1.1)
        await d.until(lambda: len({news.symbol for news in d.of(MarkNews)}) == 2)
        fills = [news.fill for news in d.of(OrderNews) if news.fill is not None]
        assert sum(fill.quantity for fill in fills) == D("0.01")
        assert {(fill.client_id, fill.position_side) for fill in fills} == {("hf-entry", d.held_side)}
        assert all(fill.fee > 0 for fill in fills)
        rest = await d.exchange.fills(BTC, d.world.clock.now_ms() - DAY_MS, priority=P)
        assert {fill.trade_id for fill in fills} == {fill.trade_id for fill in rest.value}
        news = d.of(PositionNews)[-1]
        assert (news.quantity, news.side) == (D("0.01"), d.held_side)
        stop = d.of(StopNews)[-1].stop
        assert (stop.client_id, stop.close_position, stop.status) == ("hf-stop", True, StopStatus.LIVE)
        assert d.exchange.stats.bad_events == {}
        assert d.exchange.stats.ignored_events == {}
        assert all(state.up for state in d.of(StreamState))


@both_modes
@pytest.mark.parametrize("own_id", [True, False])
async def test_a_triggered_stop_is_told_with_the_order_it_became(mode: PositionMode, own_id: bool) -> None:
    """Whether that has an id of its own or goes on under the stop's."""
    async with desk(mode, **FAST, switches={"child_gets_new_id": own_id}) as d:
        await d.exchange.start_streams([BTC], d.heard.append)
        await d.until(lambda: any(state.stream == "user" for state in d.of(StreamState)))
        await d.enter()
        placed = await d.stop("hf-stop", ratio="0.99")
        assert isinstance(placed, Accepted)
        d.world.server.core.move_price(BTC, D("0.95"))
        for _ in range(40):
            d.world.jump(1)
            await asyncio.sleep(0)
        await d.until(lambda: any(n.stop.status is StopStatus.FINISHED for n in d.of(StopNews)))
        finished = [n.stop for n in d.of(StopNews) if n.stop.status is StopStatus.FINISHED][-1]
        assert (finished.client_id, finished.kind) == ("hf-stop", StopKind.STOP)
        assert (finished.order_id == placed.exchange_id) is not own_id
        fills = [
            n.fill for n in d.of(OrderNews) if n.fill is not None and n.fill.order_id == finished.order_id
        ]
        assert sum(fill.quantity for fill in fills) == D("0.01")
        assert all(fill.realized_pnl < 0 for fill in fills)
        await d.until(lambda: d.of(PositionNews)[-1].quantity == 0)
        found = await d.exchange.find_stop(BTC, "hf-stop", priority=P)
        assert isinstance(found, Accepted)
        assert found.stop is not None
        assert found.stop.order_id == finished.order_id


async def test_settings_are_news_only_when_they_change() -> None:
    """The exchange repeats them every five seconds; they spare the questions, too."""
    async with desk(**FAST) as d:
        await d.exchange.start_streams([BTC], d.heard.append)
        await d.until(lambda: any(state.stream == "user" and state.up for state in d.of(StreamState)))
        for _ in range(3):
            d.world.jump(5.1)
            await asyncio.sleep(0.05)
        assert d.of(ConfigNews) == []
        asked = d.exchange.stats.outcomes["ok"]
        config = (await d.exchange.account_config(priority=P)).value
        assert config.leverage == {BTC: 5}
        assert d.exchange.stats.outcomes["ok"] == asked + 2  # the two modes; the stream told the rest
        d.world.server.core.set_leverage("key", BTC, 7, PositionSide.BOTH)
        d.world.jump(5.1)
        await d.until(lambda: bool(d.of(ConfigNews)))
        assert [(news.symbol, news.leverage) for news in d.of(ConfigNews)] == [(BTC, 7)]


@pytest.mark.parametrize("lists", [True, False])
async def test_marks_and_quotes_come_one_by_one_or_all_at_once(lists: bool) -> None:
    """A mark may come as a list for one symbol, too."""
    async with desk(switches={"index_always_lists": lists}) as d:
        marks = await d.exchange.marks([BTC, ETH], priority=P)
        assert set(marks) == {BTC, ETH}
        quotes = await d.exchange.quotes([BTC, ETH], priority=P)
        assert all(quotes[symbol].sane for symbol in (BTC, ETH))
        gone = Symbol("GONE", "USDT", "USDT")
        many = [BTC, ETH, gone, Symbol("XRP", "USDT", "USDT")]
        assert gone not in await d.exchange.marks(many, priority=P)
        assert isinstance(quotes[BTC].bid, Decimal)
