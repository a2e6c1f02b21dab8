"""The adapter against the simulated exchange, over loopback: the whole path of an order and its doubts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.intents import (
    Accepted,
    NotFound,
    Outcome,
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
from holdfast.exchanges.binance.adapter import BinanceExchange
from holdfast.exchanges.port import (
    ExchangeError,
    MarkNews,
    News,
    OrderNews,
    PositionNews,
    StopNews,
    StreamState,
)
from holdfast.simulator.faults import read_fault
from tests.exchanges.support import BTC, approved, binance, intent
from tests.simulator.world import World, world

D = Decimal
P = Priority.TRADE
DAY_MS = 24 * 3600 * 1000
ETH = Symbol("ETH", "USDT", "USDT")


@dataclass
class Desk:
    """An opened adapter, the simulated exchange behind it, and what the streams told."""

    exchange: BinanceExchange
    world: World
    heard: list[News] = field(default_factory=list)
    count: int = 0

    async def send(self, client_id: str = "", **changes: Any) -> Outcome:
        """Submit an intent signed now; each with an id of its own unless a test names one."""
        self.count += 1
        name = client_id or f"hf-{self.count}"
        return await self.exchange.submit(approved(intent(**changes), name, self.world.clock.now_ms()))

    async def enter(self, client_id: str = "", **changes: Any) -> Accepted:
        outcome = await self.send(client_id, **changes)
        assert isinstance(outcome, Accepted), outcome
        return outcome

    async def mark(self) -> Decimal:
        return (await self.exchange.marks([BTC], priority=P))[BTC].price

    async def stop(self, client_id: str = "", ratio: str = "0.9", **changes: Any) -> Outcome:
        trigger = (await self.mark() * D(ratio)).quantize(D("0.1"))
        base = {
            "purpose": Purpose.PLACE_STOP,
            "side": Side.SELL,
            "trigger_price": trigger,
            "close_position": True,
        }
        return await self.send(client_id, **{**base, **changes})

    def fault(self, **what: Any) -> int:
        """Make something go wrong; gives the number to end it with."""
        return self.world.server.faults.add(read_fault(what))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.01)

    def of(self, kind: type) -> list[Any]:
        return [news for news in self.heard if isinstance(news, kind)]


@asynccontextmanager
async def desk(**settings: Any) -> AsyncIterator[Desk]:
    async with world() as simulated, binance(simulated.server.url, simulated.clock, **settings) as exchange:
        await exchange.open()
        yield Desk(exchange, simulated)


async def test_opening_reads_rules_clock_and_configuration() -> None:
    """What a bot asks before it does anything."""
    async with desk() as d:
        rules = d.exchange.instrument(BTC)
        assert rules is not None
        assert rules.tradable
        assert rules.brackets
        assert abs(d.exchange.clock_offset_ms()) < 100
        config = await d.exchange.account_config(priority=P)
        assert (config.value.position_mode, config.value.can_trade, config.complete) == (
            "one_way",
            True,
            True,
        )
        assert config.value.leverage[BTC] > 0
        balance = await d.exchange.balance(priority=P)
        assert (balance.value.currency, balance.value.wallet) == ("USDT", D(10_000))
        assert d.exchange.stats.gaps == {}


async def test_an_entry_is_seen_as_order_position_and_fill() -> None:
    """Four sources of the same truth."""
    async with desk() as d:
        await d.exchange.account_config(priority=P)
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
        fills = await d.exchange.fills(BTC, d.world.clock.now_ms() - DAY_MS, priority=P)
        assert fills.complete
        assert sum(fill.quantity for fill in fills.value) == D("0.01")
        assert {fill.order_id for fill in fills.value} == {entered.exchange_id}
        assert all(fill.fee > 0 and fill.fee_currency == "USDT" for fill in fills.value)


async def test_a_whole_position_stop_stands_and_is_found() -> None:
    """In the algo book only, by its own id, and gone after its cancel."""
    async with desk() as d:
        await d.enter()
        placed = await d.stop("hf-stop")
        assert isinstance(placed, Accepted)
        (stop,) = (await d.exchange.open_stops(BTC, priority=P)).value
        assert (stop.client_id, stop.kind, stop.status) == ("hf-stop", StopKind.STOP, StopStatus.LIVE)
        assert (stop.close_position, stop.quantity, stop.market) == (True, D(0), True)
        assert stop.trigger_source is TriggerSource.MARK
        assert (await d.exchange.open_stops(None, priority=P)).value == (stop,)
        assert (await d.exchange.open_orders(BTC, priority=P)).value == ()
        assert isinstance(await d.exchange.find_stop(BTC, "hf-stop", priority=P), Accepted)
        cancelled = await d.send(purpose=Purpose.CANCEL_STOP, target_id=stop.stop_id)
        assert cancelled == Accepted(exchange_id=stop.stop_id)
        assert (await d.exchange.open_stops(BTC, priority=P)).value == ()


async def test_two_forms_of_stop_stand_together_and_two_alike_do_not() -> None:
    """What `two_stops_may_stand` promises."""
    async with desk() as d:
        await d.enter()
        assert isinstance(await d.stop(), Accepted)
        again = await d.stop(ratio="0.8")
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.STOP_EXISTS
        sized = await d.stop(ratio="0.8", close_position=False, quantity=D("0.01"))
        assert isinstance(sized, Accepted)
        stops = (await d.exchange.open_stops(BTC, priority=P)).value
        assert sorted((stop.close_position, stop.reduce_only, stop.quantity) for stop in stops)[0] == (
            False,
            True,
            D("0.01"),
        )
        assert len(stops) == 2


async def test_a_stop_beyond_the_price_would_trigger() -> None:
    """Act now, it says: close or choose another trigger."""
    async with desk() as d:
        await d.enter()
        refused = await d.stop(ratio="1.1")
        assert isinstance(refused, Rejected)
        assert refused.reason is RejectReason.WOULD_TRIGGER


async def test_closing_reduces_only_and_a_flat_account_has_nothing_to_reduce() -> None:
    """The whole-position stop ends by itself."""
    async with desk() as d:
        await d.enter()
        await d.stop()
        close = {"purpose": Purpose.CLOSE, "side": Side.SELL, "quantity": D("0.01")}
        assert isinstance(await d.send(**close), Accepted)
        assert (await d.exchange.positions(priority=P)).value == ()
        assert (await d.exchange.open_stops(BTC, priority=P)).value == ()
        again = await d.send(**close)
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.NOTHING_TO_REDUCE


async def test_a_resting_order_is_listed_and_cancelled_once() -> None:
    """A second cancel finds nothing."""
    async with desk() as d:
        price = (await d.mark() * D("0.98")).quantize(D("0.1"))
        placed = await d.enter("hf-limit", type=OrderType.LIMIT, price=price)
        (resting,) = (await d.exchange.open_orders(BTC, priority=P)).value
        assert (resting.order_id, resting.client_id, resting.price) == (placed.exchange_id, "hf-limit", price)
        cancel = {"purpose": Purpose.CANCEL_ORDER, "target_client_id": "hf-limit"}
        assert isinstance(await d.send(**cancel), Accepted)
        again = await d.send(**cancel)
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.NOT_FOUND


async def test_the_same_id_twice_makes_one_open_order() -> None:
    """The port's contract; the answer proves that the first arrived."""
    async with desk() as d:
        price = (await d.mark() * D("0.98")).quantize(D("0.1"))
        limit = {"type": OrderType.LIMIT, "price": price}
        await d.enter("hf-same", **limit)
        again = await d.send("hf-same", **limit)
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.DUPLICATE_ID
        assert len((await d.exchange.open_orders(BTC, priority=P)).value) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quantity": D("0.0001")}, RejectReason.FILTER),
        ({"quantity": D("0.0105")}, RejectReason.FILTER),
        ({"quantity": D("0.001")}, RejectReason.NOTIONAL_TOO_SMALL),
        ({"quantity": D("100")}, RejectReason.MARGIN),
        ({"position_side": PositionSide.LONG}, RejectReason.POSITION_MODE),
        ({"symbol": Symbol("NOPE", "USDT", "USDT")}, RejectReason.SYMBOL),
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


async def test_settings_say_when_nothing_changes() -> None:
    """Leverage may be set again; a margin mode may not."""
    async with desk() as d:
        await d.exchange.account_config(priority=P)
        assert isinstance(await d.exchange.set_leverage(BTC, 3), Accepted)
        await d.enter()
        assert (await d.exchange.positions(priority=P)).value[0].leverage == 3
        assert isinstance(await d.exchange.set_margin_mode(ETH, MarginMode.ISOLATED), Accepted)
        again = await d.exchange.set_margin_mode(ETH, MarginMode.ISOLATED)
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.NO_CHANGE
        config = (await d.exchange.account_config(priority=P)).value
        assert (config.leverage[BTC], config.margin_mode[ETH]) == (3, MarginMode.ISOLATED)


async def test_hedge_mode_holds_both_sides_with_their_signs() -> None:
    """Orders and stops name their side."""
    async with desk() as d:
        d.world.server.core.set_position_mode("key", PositionMode.HEDGE)
        assert (await d.exchange.account_config(priority=P)).value.position_mode is PositionMode.HEDGE
        await d.enter(position_side=PositionSide.LONG)
        await d.enter(side=Side.SELL, position_side=PositionSide.SHORT, quantity=D("0.02"))
        held = {p.side: p.quantity for p in (await d.exchange.positions(priority=P)).value}
        assert held == {PositionSide.LONG: D("0.01"), PositionSide.SHORT: D("-0.02")}
        assert isinstance(await d.stop(position_side=PositionSide.LONG), Accepted)
        close = {"purpose": Purpose.CLOSE, "side": Side.SELL, "position_side": PositionSide.LONG}
        assert isinstance(await d.send(**close), Accepted)
        held = {p.side: p.quantity for p in (await d.exchange.positions(priority=P)).value}
        assert held == {PositionSide.SHORT: D("-0.02")}


# --- doubt ---------------------------------------------------------------------------------------

DOUBTS = {
    "lost_reply": True,
    "error_after": True,
    "empty": True,
    "truncated": True,
    "html": False,
    "lost_request": False,
}
"""Fault → whether the order happened all the same."""


@pytest.mark.parametrize(("kind", "happened"), list(DOUBTS.items()))
async def test_a_doubtful_order_is_unknown_until_it_is_asked_for(kind: str, happened: bool) -> None:
    """Whatever got lost, the client id tells; the adapter itself sends nothing again."""
    async with desk(request_timeout_s=0.3) as d:
        d.fault(kind=kind, method="POST", path="/fapi/v1/order$", times=1)
        assert isinstance(await d.send("hf-doubt"), Unknown)
        found = await d.exchange.find_order(BTC, "hf-doubt", priority=P)
        assert isinstance(found, Accepted if happened else NotFound)
        assert len((await d.exchange.positions(priority=P)).value) == (1 if happened else 0)


@pytest.mark.parametrize(("kind", "happened"), list(DOUBTS.items()))
async def test_a_doubtful_stop_is_unknown_until_it_is_asked_for(kind: str, happened: bool) -> None:
    """The same for protection."""
    async with desk(request_timeout_s=0.3) as d:
        await d.enter()
        d.fault(kind=kind, method="POST", path="/fapi/v1/algoOrder$", times=1)
        assert isinstance(await d.stop("hf-doubt"), Unknown)
        found = await d.exchange.find_stop(BTC, "hf-doubt", priority=P)
        assert isinstance(found, Accepted if happened else NotFound)


@pytest.mark.parametrize("kind", ["error_before", "endpoint_down", "rate_limited"])
async def test_a_definite_no_is_unavailable_and_had_no_effect(kind: str) -> None:
    """It may be tried later."""
    async with desk() as d:
        d.fault(kind=kind, method="POST", path="/fapi/v1/order$", times=1)
        assert isinstance(await d.send("hf-no", priority=Priority.EMERGENCY), Unavailable)
        found = await d.exchange.find_order(BTC, "hf-no", priority=Priority.PROTECT)
        assert isinstance(found, NotFound)


async def test_a_late_request_is_refused_by_the_exchange_itself() -> None:
    """Signed with the journal's time: after its window it can never be accepted any more."""
    async with desk() as d:
        late = approved(intent(), "hf-late", d.world.clock.now_ms() - 5500)
        refused = await d.exchange.submit(late)
        assert isinstance(refused, Rejected)
        assert refused.reason is RejectReason.CLOCK
        assert isinstance(await d.exchange.find_order(BTC, "hf-late", priority=P), NotFound)


@pytest.mark.parametrize("kind", ["empty", "html", "truncated", "error_before", "lost_request", "lost_reply"])
async def test_a_failed_read_is_an_error_never_an_empty_list(kind: str) -> None:
    """Absence is not proven by failure (R3.3)."""
    async with desk(request_timeout_s=0.3) as d:
        await d.enter()
        fault = d.fault(kind=kind, method="GET", path="positionRisk")
        with pytest.raises(ExchangeError):
            await d.exchange.positions(priority=P)
        d.world.server.faults.remove(fault)
        (held,) = (await d.exchange.positions(priority=P)).value
        assert held.symbol == BTC


# --- streams -------------------------------------------------------------------------------------

FAST = {"ping_every_s": 0.2, "pong_within_s": 0.2, "backoff_first_s": 0.05}


async def test_streams_tell_entry_stop_and_marks() -> None:
    """The fill with its id and fee, the stop's life, the position, the balance, prices."""
    async with desk(**FAST) as d:
        await d.exchange.start_streams([BTC, ETH], d.heard.append)
        await d.until(lambda: any(state.stream == "user" and state.up for state in d.of(StreamState)))
        await d.enter("hf-entry")
        await d.stop("hf-stop")
        await d.until(lambda: bool(d.of(StopNews)) and bool(d.of(PositionNews)))
        d.world.jump(1.1)
        await d.until(lambda: len({news.symbol for news in d.of(MarkNews)}) == 2)
        fills = [news.fill for news in d.of(OrderNews) if news.fill is not None]
        assert sum(fill.quantity for fill in fills) == D("0.01")
        assert {fill.client_id for fill in fills} == {"hf-entry"}
        rest = await d.exchange.fills(BTC, d.world.clock.now_ms() - DAY_MS, priority=P)
        assert {fill.trade_id for fill in fills} == {fill.trade_id for fill in rest.value}
        assert d.of(PositionNews)[-1].quantity == D("0.01")
        assert d.of(StopNews)[-1].stop.client_id == "hf-stop"
        assert d.exchange.stats.bad_events == {}
        assert all(state.up for state in d.of(StreamState))


async def test_a_triggered_stop_is_told_with_the_order_it_became() -> None:
    """From LIVE to FINISHED, and the fill that closed the position."""
    async with desk(**FAST) as d:
        await d.exchange.start_streams([BTC], d.heard.append)
        await d.until(lambda: any(state.stream == "user" for state in d.of(StreamState)))
        await d.enter()
        await d.stop("hf-stop", ratio="0.99")
        d.world.server.core.move_price(BTC, D("0.95"))
        for _ in range(40):
            d.world.jump(1)
            await asyncio.sleep(0)
        await d.until(lambda: any(n.stop.status is StopStatus.FINISHED for n in d.of(StopNews)))
        finished = [n.stop for n in d.of(StopNews) if n.stop.status is StopStatus.FINISHED][-1]
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


async def test_a_silent_market_stream_goes_down_and_comes_back() -> None:
    """The socket stands and answers pings; only prices are missing."""
    async with desk(**FAST, market_silence_ms=1500) as d:
        await d.exchange.start_streams([BTC], d.heard.append)
        await d.until(lambda: bool(d.of(MarkNews)))
        fault = d.fault(kind="ws_silent", stream="market")
        await d.until(lambda: any(not state.up for state in d.of(StreamState) if state.stream == "market"))
        d.world.server.faults.remove(fault)
        await d.until(lambda: [s for s in d.of(StreamState) if s.stream == "market"][-1].up)


async def test_a_closed_user_stream_comes_back_by_itself() -> None:
    """Down, up, and events flow again."""
    async with desk(**FAST) as d:
        await d.exchange.start_streams([], d.heard.append)
        await d.until(lambda: len(d.of(StreamState)) == 1)
        d.fault(kind="ws_close", stream="user", times=1)
        await d.enter("hf-1")
        await d.until(lambda: [state.up for state in d.of(StreamState)][-2:] == [False, True])
        seen = len(d.of(OrderNews))
        await d.enter("hf-2")
        await d.until(lambda: len(d.of(OrderNews)) > seen)


async def test_bars_come_closed_and_in_order() -> None:
    """The last may still be open."""
    async with desk() as d:
        bars = await d.exchange.candles(BTC, "5m", 30, priority=P)
        assert len(bars) == 30
        assert [b.open_ms - a.open_ms for a, b in pairwise(bars)] == [300_000] * 29
        assert all(bar.closed for bar in bars[:-1])
