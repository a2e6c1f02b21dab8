"""An opened Bitget adapter, the simulated exchange behind it, and what its streams told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from holdfast.domain.intents import Accepted, Outcome, Priority, Purpose
from holdfast.domain.orders import Side
from holdfast.exchanges.bitget.adapter import BitgetExchange
from holdfast.exchanges.port import News
from holdfast.simulator.faults import read_fault
from tests.exchanges.support import BTC, approved, bitget, intent
from tests.simulator.bitget.clients import bitget as simulated_bitget
from tests.simulator.world import World

D = Decimal
P = Priority.TRADE


@dataclass
class Desk:
    exchange: BitgetExchange
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

    async def price(self, ratio: str) -> Decimal:
        """A tradable price at that part of the mark."""
        rules = self.exchange.instrument(BTC)
        assert rules is not None
        return rules.price_down(await self.mark() * D(ratio))

    async def stop(self, client_id: str = "", ratio: str = "0.9", **changes: Any) -> Outcome:
        base = {
            "purpose": Purpose.PLACE_STOP,
            "side": Side.SELL,
            "trigger_price": await self.price(ratio),
            "quantity": D(0),
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
async def desk(switches: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[Desk]:
    """*switches* are the exchange's unverified ways."""
    async with (
        simulated_bitget(**(switches or {})) as simulated,
        bitget(simulated.server.url, simulated.clock, **settings) as exchange,
    ):
        await exchange.open()
        yield Desk(exchange, simulated)
