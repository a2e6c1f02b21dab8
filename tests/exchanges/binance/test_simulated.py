"""Binance: adapter and simulator, over loopback: what only it has (the rest: tests/conformance)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from holdfast.domain.intents import Accepted, NotFound, Outcome, Priority, Purpose, Unavailable
from holdfast.domain.orders import Side
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.binance.adapter import BinanceExchange
from holdfast.exchanges.port import MarkNews, News, OrderNews, PositionNews, StopNews, StreamState
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


@pytest.mark.parametrize("kind", ["error_before", "endpoint_down", "rate_limited"])
async def test_a_definite_no_is_unavailable_and_had_no_effect(kind: str) -> None:
    """It may be tried later."""
    async with desk() as d:
        d.fault(kind=kind, method="POST", path="/fapi/v1/order$", times=1)
        assert isinstance(await d.send("hf-no", priority=Priority.EMERGENCY), Unavailable)
        found = await d.exchange.find_order(BTC, "hf-no", priority=Priority.PROTECT)
        assert isinstance(found, NotFound)


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
