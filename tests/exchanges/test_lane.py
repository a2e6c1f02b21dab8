"""The emergency lane (G22) on every exchange, in virtual time: adapters, network and simulated exchange.

Six accounts at one address ask without end for all that there is to ask, and bars take three seconds to
come. What an emergency sends meanwhile leaves as if nobody asked anything.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

import pytest

from holdfast.domain.intents import Priority, Purpose, Unavailable
from holdfast.domain.orders import Side
from holdfast.domain.secret import Secret
from holdfast.drills.clock import VirtualClock
from holdfast.drills.loop import SimLoop, run_drill
from holdfast.drills.network import Conditions, LinkKind, Network
from holdfast.drills.patches import Sources, patched
from holdfast.exchanges.factory import Credentials, MadeExchange, make_exchange
from holdfast.exchanges.port import ExchangeError
from holdfast.exchanges.shared import ExchangeSettings, ExchangeShared
from holdfast.simulator.bingx.config import Limits as BingxLimits
from holdfast.simulator.bingx.config import Switches
from holdfast.simulator.bitget.limits import Limits as BitgetLimits
from holdfast.simulator.bitget.venue import BitgetOptions
from holdfast.simulator.core.market import GENERATED_START_MS, generated_market
from holdfast.simulator.faults import Fault, FaultKind
from holdfast.simulator.requests import Arrival
from holdfast.simulator.server import ServerConfig, SimulatorServer
from tests.exchanges.support import BTC, approved, intent

HOST, PORT = "127.0.0.1", 18_080
ONE_WAY_MS = 20
LANE_MS = 50
"""So long an emergency may wait for anything of ours before it is sent."""
ACCOUNTS, OBSERVERS, EMERGENCIES = 6, 8, 100
AGAIN_S = 0.2
EVERY_MS = 250
SLOW = r"/(klines|candles)$"


@dataclass
class Scene:
    """One exchange, many accounts at one address, and what reached the exchange."""

    name: str
    sliding: bool
    loop: SimLoop
    arrived: list[Arrival] = field(default_factory=list)
    numbers: count[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        conditions = {kind: Conditions(latency_ms=(ONE_WAY_MS, ONE_WAY_MS)) for kind in LinkKind}
        self.clock = VirtualClock(self.loop.time, GENERATED_START_MS)
        self.network = Network(self.loop, random.Random, conditions)
        config = ServerConfig(
            exchange=self.name,
            bingx=Switches(limits=BingxLimits(sliding=self.sliding)),
            bitget=BitgetOptions(limits=BitgetLimits(sliding=self.sliding)),
        )
        self.server = SimulatorServer(config, generated_market((BTC,), history_ms=3_600_000), self.clock)
        self.server.log.listen(self.arrived.append)
        self.shared = ExchangeShared(
            clock=self.clock,
            random=random.Random(1),
            settings=ExchangeSettings(request_timeout_s=10.0),
            connector=self.network.connector,
        )

    async def account(self, key: str) -> MadeExchange:
        made = make_exchange(
            self.name,
            credentials=Credentials(key, Secret("secret"), Secret("word")),
            base_url=f"http://{HOST}:{PORT}",
            clock=self.clock,
            shared=self.shared,
        )
        await made.open()
        return made

    def now_ms(self) -> float:
        return self.loop.time() * 1000

    async def observe(self, account: MadeExchange, nth: int) -> None:
        """Ask one thing after the other, without end."""
        ask, low = account, Priority.OBSERVE
        questions: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: ask.positions(priority=low),
            lambda: ask.candles(BTC, "1m", 5, priority=low),
            lambda: ask.open_orders(None, priority=low),
            lambda: ask.balance(priority=low),
            lambda: ask.open_stops(BTC, priority=low),
        )
        for number in count(nth):
            with suppress(ExchangeError):
                await questions[number % len(questions)]()
            await asyncio.sleep(AGAIN_S)

    async def emergency(self, account: MadeExchange) -> float:
        """Look for an order and close; how much later than the network takes they arrived (ms)."""
        return max(await self._look(account), await self._close(account))

    async def _look(self, account: MadeExchange) -> float:
        name, began_ms = f"look-{next(self.numbers)}", self.now_ms()
        found = await account.find_order(BTC, name, priority=Priority.EMERGENCY)
        assert not isinstance(found, Unavailable), found
        return self._late_ms(name, began_ms)

    async def _close(self, account: MadeExchange) -> float:
        name, began_ms = f"close-{next(self.numbers)}", self.now_ms()
        close = intent(purpose=Purpose.CLOSE, side=Side.SELL, priority=Priority.EMERGENCY)
        outcome = await account.submit(approved(close, name, self.clock.now_ms()))
        assert not isinstance(outcome, Unavailable), outcome
        return self._late_ms(name, began_ms)

    def _late_ms(self, name: str, began_ms: float) -> float:
        at_ms = next(each.at_ms for each in reversed(self.arrived) if name in each.params.values())
        return at_ms - GENERATED_START_MS - began_ms - ONE_WAY_MS


async def _play(scene: Scene) -> tuple[list[float], Mapping[str, float]]:
    """How late each emergency was (ms), and what the governor says of it all."""
    await scene.server.start(listen=False)
    scene.network.listen(HOST, PORT, scene.server.exchange_server)
    accounts: list[MadeExchange] = []
    for number in range(ACCOUNTS):
        accounts.append(await scene.account(f"key{number}"))
        await asyncio.sleep(1)  # each asks for the time and the rules
    await scene.emergency(accounts[0])
    scene.server.faults.add(Fault(kind=FaultKind.DELAY_REPLY, path=SLOW, delay_ms=3_000))
    crowd = [
        asyncio.ensure_future(scene.observe(account, nth)) for account in accounts for nth in range(OBSERVERS)
    ]
    await asyncio.sleep(10)
    late: list[float] = []
    for number in range(EMERGENCIES):
        late.append(await scene.emergency(accounts[number % 3]))
        await asyncio.sleep(EVERY_MS / 1000)
    for each in crowd:
        each.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    await scene.shared.close()
    await scene.server.stop()
    return late, accounts[0].budget()


@pytest.mark.parametrize(
    ("name", "sliding"),
    [("binance", False), ("bingx", False), ("bingx", True), ("bitget", False), ("bitget", True)],
)
def test_g22_an_emergency_leaves_within_50_ms_whatever_is_asked_meanwhile(name: str, sliding: bool) -> None:
    """And nobody is told to slow down, whatever stretch the exchange counts by."""
    loop = SimLoop(random.Random(f"{name}{sliding}"))
    scene = Scene(name, sliding, loop)
    with patched(Sources(scene.clock.now_s, loop.time, random.Random(2))):
        late, report = run_drill(loop, _play(scene))
    assert sorted(late)[int(0.99 * len(late))] <= LANE_MS, sorted(late)[-5:]
    told = [seen for seen in scene.server.log.listing() if seen.status in (418, 429) or seen.code == 100410]
    assert not told, f"{len(told)} of {len(scene.arrived)} requests were too many: {told[0]}"
    assert report["requests_held_observe"] > 20, "that was no crowd"
    assert report["requests_waited_ms_max_observe"] > 500
    assert report["requests_waited_ms_max_emergency"] == 0
