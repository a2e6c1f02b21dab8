"""A whole bot against a whole exchange over loopback sockets, in one process and on one clock.

Everything is the real part: simulator, wire, ccxt adapter, store, engine. Only the market is made and
the strategy is told when to enter, so that a test knows what should happen.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from holdfast.decisions.breakers import BreakerLimits
from holdfast.decisions.gate import Limits, OperatorState
from holdfast.decisions.policy import Freshness, Protection
from holdfast.domain.account import PositionMode
from holdfast.domain.orders import Direction
from holdfast.domain.secret import Secret
from holdfast.domain.signals import Action, Signal
from holdfast.domain.symbol import Symbol
from holdfast.engine.bot import Bot, BotParts
from holdfast.engine.liquidation import LiquidationConfig
from holdfast.engine.liquidator import LiquidationResult
from holdfast.engine.recall import StoreMemory
from holdfast.engine.settings import BotSettings, Trading
from holdfast.engine.snapshot import snapshot, stops_textfile
from holdfast.engine.view import View
from holdfast.exchanges.factory import Credentials, make_exchange
from holdfast.exchanges.shared import ExchangeSettings, ExchangeShared
from holdfast.runtime.blocking import Blocking
from holdfast.runtime.clock import RealClock
from holdfast.runtime.ids import BotIds
from holdfast.simulator.bingx.config import Switches
from holdfast.simulator.core.generated import generated_market
from holdfast.simulator.core.truth import Truth
from holdfast.simulator.faults import read_fault
from holdfast.simulator.server import ServerConfig, SimulatorServer
from holdfast.store.database import Store, open_store
from holdfast.store.lease import take_lease
from holdfast.store.operator import set_operator
from holdfast.store.writer import GroupWriter
from holdfast.strategies.base import MarketView

BTC = Symbol.parse("BTC/USDT")
ETH = Symbol.parse("ETH/USDT")
KEY, SECRET = "drill-key-0123456789", "drill-secret-0123456789"
PASSPHRASE = "a word"


@dataclass
class Scripted:
    """A strategy that wishes what the test tells it, once per wish."""

    name: str = "scripted"
    timeframe: str = "1m"
    warmup_bars: int = 2
    extra_pairs: tuple[Symbol, ...] = ()
    wishes: dict[Symbol, Direction] = field(default_factory=dict)
    stop_ratio: Decimal = Decimal("0.01")
    exits: set[Symbol] = field(default_factory=set)
    stops: dict[Symbol, Decimal] = field(default_factory=dict)

    def signals(self, view: MarketView) -> Sequence[Signal]:
        said = []
        for symbol, direction in sorted(self.wishes.items()):
            if symbol in view.candles and symbol not in view.positions:
                said.append(self._enter(view, symbol, direction))
        for symbol, own in sorted(view.positions.items()):
            if symbol in self.exits:
                said.append(self._signal(view, symbol, own.direction, Action.EXIT, None))
            elif symbol in self.stops:
                said.append(self._signal(view, symbol, own.direction, Action.ADJUST, self.stops[symbol]))
        return said

    def _enter(self, view: MarketView, symbol: Symbol, direction: Direction) -> Signal:
        price = Decimal(str(float(view.candles[symbol].close[-1])))
        stop = price * (1 - direction.sign * self.stop_ratio)
        return self._signal(view, symbol, direction, Action.ENTER, stop)

    def _signal(
        self, view: MarketView, symbol: Symbol, direction: Direction, action: Action, stop: Decimal | None
    ) -> Signal:
        return Signal(
            strategy=self.name,
            symbol=symbol,
            action=action,
            direction=direction,
            score=Decimal("0.9"),
            reason="the test says so",
            created_ms=view.now_ms,
            price=Decimal(str(float(view.candles[symbol].close[-1]))),
            stop_price=stop,
            volatility=Decimal("0.001"),
        )


def limits() -> Limits:
    return Limits(
        order_notional_max_ratio=Decimal("0.5"),
        position_notional_max_ratio=Decimal("0.5"),
        gross_exposure_max_ratio=Decimal(2),
        price_collar_ratio=Decimal("0.05"),
        spread_max_ratio=Decimal("0.01"),
        mark_age_ms_max=15_000,
        positions_age_ms_max=60_000,
        balance_age_ms_max=90_000,
        max_positions=4,
        daily_trades_max=100,
        cooldown_sec=0,
        volatility_max=Decimal("0.05"),
        correlation_max=Decimal(1),
        stop_distance_min_ratio=Decimal("0.001"),
        stop_distance_max_ratio=Decimal("0.2"),
        leverage_max=10,
        margin_buffer_ratio=Decimal("0.01"),
    )


def breakers() -> BreakerLimits:
    return BreakerLimits(
        positions_age_ms_max=60_000,
        balance_age_ms_max=90_000,
        mark_age_ms_max=15_000,
        clock_uncertainty_ms_max=1_000,
        socket_down_ms_max=30_000,
        error_rate_max_ratio=Decimal("0.5"),
        error_window_ms=600_000,
        error_sample_min=20,
        drawdown_max_ratio=Decimal("0.5"),
        drawdown_latches=True,
        day_loss_max_ratio=Decimal("0.5"),
        entries_per_symbol_max=50,
        entries_window_ms=3_600_000,
        unknown_age_ms_max=60_000,
        unknown_count_max=10,
        unknown_grace_ms=60_000,
        mark_jump_max_ratio=Decimal("0.5"),
        release_ratio=Decimal("0.8"),
        settle_ms=500,
    )


def settings(address: str, symbols: Sequence[Symbol], **changes: object) -> BotSettings:
    made = BotSettings(
        account_id="main",
        user_id="tester",
        exchange="binance",
        symbols=tuple(symbols),
        address=address,
        trading_mode="demo",
        limits=limits(),
        breakers=breakers(),
        protection=Protection(default_stop_pct=Decimal(2), protect_deadline_ms=4_000, retry_ms=200),
        trading=Trading(
            strategies={},
            leverage=5,
            risk_per_trade_ratio=Decimal("0.002"),
            check_interval_ms=150,
            cooldown_minutes=Decimal("0.002"),
        ),
        liquidation=LiquidationConfig(),
        freshness=Freshness(positions_ms=1_000, orders_ms=2_000, balance_ms=2_000),
        monitor_interval_ms=500,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class World:
    """The exchange, and the one bot that trades it; the bot can be killed and built again."""

    server: SimulatorServer
    home: Path
    clock: RealClock
    symbols: tuple[Symbol, ...]
    changes: Mapping[str, object]
    exchange: str = "binance"
    strategy: Scripted = field(default_factory=Scripted)
    lines: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    snapshots: list[dict[str, object]] = field(default_factory=list)
    textfile: str = ""
    starts: int = 0
    kill_file: str | None = None
    request_timeout_s: float = 1.5

    def truth(self) -> Truth:
        """What the exchange has; never the bot's word."""
        self.server.step()
        return self.server.core.truth(self.account_id)

    @property
    def account_id(self) -> str:
        account = self.server.core.account_by_key(KEY)
        assert account is not None, "no account was opened"
        return account.account_id

    def fault(self, **what: object) -> int:
        """Something goes wrong from now on; its number for `fired`."""
        return self.server.faults.add(read_fault(what))

    def fired(self, number: int) -> int:
        """How often that fault was met: one that never was proves nothing."""
        return self.server.faults.fired(number)

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[RunningBot]:
        """A bot from the home's store on; ends by force (as a crash would) unless it was stopped."""
        blocking = Blocking("store")
        store = open_store(self.home / "trading.db")
        writer = GroupWriter(store, blocking)
        self.starts += 1
        now = self.clock.now_ms()
        epoch = await writer.submit(lambda c: take_lease(c, "main", f"start {self.starts}", now))
        if self.starts == 1:
            await writer.submit(lambda c: set_operator(c, OperatorState.RUNNING, "test", "start", now))
        shared = ExchangeShared(
            clock=self.clock,
            random=random.Random(self.starts),
            settings=ExchangeSettings(request_timeout_s=self.request_timeout_s),
        )
        bot = Bot(self._parts(writer, store, blocking, shared, epoch))
        running = RunningBot(bot, store)
        running.task = asyncio.create_task(bot.run(running.stopping), name="bot")
        try:
            yield running
        finally:
            await running.crash()
            await shared.close()
            await writer.close()
            store.close()
            blocking.close()

    def _parts(
        self, writer: GroupWriter, store: Store, blocking: Blocking, shared: ExchangeShared, epoch: int
    ) -> BotParts:
        def log(event: str, details: dict[str, object]) -> None:
            self.lines.append((event, details))

        async def leave_files(view: View, result: LiquidationResult | None) -> str:
            self.snapshots.append(snapshot(view, result))
            self.textfile = stops_textfile(view)[1]
            return ""

        exchange = make_exchange(
            self.exchange,
            credentials=Credentials(KEY, Secret(SECRET), Secret(PASSPHRASE)),
            base_url=self.server.url,
            clock=self.clock,
            shared=shared,
        )
        memory = StoreMemory(
            store=store,
            writer=writer,
            blocking=blocking,
            clock=self.clock,
            account_id="main",
            user_id="tester",
            exchange=self.exchange,
            lease_epoch=epoch,
            log=log,
        )
        return BotParts(
            settings=settings(self.server.url, self.symbols, **self.changes),
            exchange=exchange,
            memory=memory,
            clock=self.clock,
            ids=BotIds(self.clock, epoch, random.Random(epoch)),
            strategies=(self.strategy,),
            log=log,
            leave_files=leave_files,
            kill_ordered=lambda: self.kill_file,
        )


@dataclass
class RunningBot:
    bot: Bot
    store: Store
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[object] | None = None

    async def until(self, condition: Callable[[], bool], what: str, seconds: float = 10) -> None:
        """Wait until the condition holds, or fail naming what was waited for."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not condition():
            assert self.task is not None
            if self.task.done():
                self.task.result()
                raise AssertionError(f"the bot ended while waiting for: {what}")
            assert loop.time() < end, f"waited {seconds} s for: {what}"
            await asyncio.sleep(0.01)

    async def stop(self) -> object:
        """An orderly shutdown; the liquidation's result."""
        self.stopping.set()
        assert self.task is not None
        async with asyncio.timeout(30):
            return await self.task

    async def crash(self) -> None:
        """End at once, wherever it is: nothing more is sent or written."""
        if self.task is not None and not self.task.done():
            self.task.cancel()
            await asyncio.wait({self.task})


@asynccontextmanager
async def world(
    home: Path,
    *,
    symbols: Sequence[Symbol] = (BTC, ETH),
    latency_ms: int = 20,
    seed: int = 3,
    exchange: str = "binance",
    mode: PositionMode = PositionMode.ONE_WAY,
    **changes: object,
) -> AsyncIterator[World]:
    """An exchange that listens, with one named account of 10 000 USDT in *mode*, as the bot expects it."""
    clock = RealClock()
    market = generated_market(tuple(symbols), clock.now_ms() // 60_000 * 60_000, 3 * 3_600_000, seed)
    config = ServerConfig(
        exchange=exchange,
        latency_ms=latency_ms,
        seed=seed,
        read_lag_ms=(0, 300),
        bingx=Switches(position_mode=mode),
    )
    server = SimulatorServer(config, market, clock)
    server.app.name_account(KEY, SECRET, Decimal(10_000), PASSPHRASE)
    changes = {"exchange": exchange, "position_mode": mode, **changes}
    await server.start()
    try:
        made = World(server, home, clock, tuple(symbols), changes, exchange)
        if server.core.view(made.account_id).position_mode is not mode:
            server.core.set_position_mode(made.account_id, mode)
        yield made
    finally:
        await server.stop()
