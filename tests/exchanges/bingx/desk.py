"""An opened BingX adapter and the simulated exchange behind it, in either position mode."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from holdfast.domain.account import PositionMode
from holdfast.domain.intents import Accepted, Journaled, Outcome, Priority, Purpose
from holdfast.domain.orders import Order, PositionSide, Side
from holdfast.domain.secret import Secret
from holdfast.exchanges.bingx.adapter import BingxExchange
from holdfast.exchanges.factory import Credentials, make_exchange
from holdfast.exchanges.port import News
from holdfast.exchanges.shared import ExchangeSettings, ExchangeShared
from holdfast.simulator.bingx.config import Switches
from holdfast.simulator.faults import read_fault
from tests.exchanges.support import BTC, approved, intent
from tests.simulator.bingx.clients import BINGX
from tests.simulator.world import World, world

D = Decimal
P = Priority.TRADE
MODES = [PositionMode.ONE_WAY, PositionMode.HEDGE]


@dataclass
class Desk:
    """What a test trades with, and what the streams told."""

    exchange: BingxExchange
    world: World
    hedge: bool
    heard: list[News] = field(default_factory=list)
    count: int = 0
    sent: list[Journaled] = field(default_factory=list)

    @property
    def held_side(self) -> PositionSide:
        """Of a long position in this account's mode."""
        return PositionSide.LONG if self.hedge else PositionSide.BOTH

    async def send(self, client_id: str = "", **changes: Any) -> Outcome:
        """Submit an intent signed now; each with an id of its own unless a test names one."""
        self.count += 1
        name = client_id or f"hf-{self.count}"
        meant = intent(**{"position_side": self.held_side, **changes})
        made = approved(meant, name, self.world.clock.now_ms())
        self.sent.append(made.journaled)
        return await self.exchange.submit(made)

    async def enter(self, client_id: str = "", **changes: Any) -> Accepted:
        outcome = await self.send(client_id, **changes)
        assert isinstance(outcome, Accepted), outcome
        return outcome

    async def close(self, **changes: Any) -> Outcome:
        return await self.send(**{"purpose": Purpose.CLOSE, "side": Side.SELL, **changes})

    async def mark(self) -> Decimal:
        return (await self.exchange.marks([BTC], priority=P))[BTC].price

    async def stop(self, client_id: str = "", ratio: str = "0.9", **changes: Any) -> Outcome:
        """A stop of the whole long position unless told otherwise."""
        trigger = (await self.mark() * D(ratio)).quantize(D("0.1"))
        base = {
            "purpose": Purpose.PLACE_STOP,
            "side": Side.SELL,
            "trigger_price": trigger,
            "close_position": True,
        }
        return await self.send(client_id, **{**base, **changes})

    async def found(self, client_id: str) -> Order:
        found = await self.exchange.find_order(BTC, client_id, priority=P)
        assert isinstance(found, Accepted), found
        assert found.order is not None
        return found.order

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
async def desk(
    mode: PositionMode = PositionMode.ONE_WAY, *, switches: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Desk]:
    """*switches* are the simulator's, *settings* the adapter's."""
    config = replace(BINGX, bingx=Switches(position_mode=mode, **(switches or {})))
    async with world(config) as simulated:
        shared = ExchangeShared(
            clock=simulated.clock,
            random=random.Random(1),
            settings=ExchangeSettings(**{"request_timeout_s": 2.0, **settings}),
        )
        exchange = make_exchange(
            "bingx",
            credentials=Credentials("key", Secret("secret")),
            base_url=simulated.server.url,
            clock=simulated.clock,
            shared=shared,
        )
        assert isinstance(exchange, BingxExchange)
        try:
            await exchange.open()
            yield Desk(exchange, simulated, mode is PositionMode.HEDGE)
        finally:
            await exchange.close()
            await shared.close()
