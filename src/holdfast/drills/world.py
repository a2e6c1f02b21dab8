"""A world in virtual time: the real bot, the real exchange simulator, one seed.

    def drill(world):
        world.start_bot()
        await world.run_for(3_600_000)
        await world.stop_bot()

    result = run_world(WorldSpec(seed=7), drill)

Everything between is the production code: engine, adapter with ccxt and aiohttp, store on SQLite, audit
file, log; the simulator with its HTTP and WebSocket server. Only loop, network, clocks, chance and the
seam for blocking work are the drill's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.secret import Secret
from holdfast.drills.blocking import DrillBlocking
from holdfast.drills.clock import VirtualClock
from holdfast.drills.digests import Digests
from holdfast.drills.files import DrillDisk
from holdfast.drills.home import new_home
from holdfast.drills.lives import BotEnded, Life, Said
from holdfast.drills.loop import Process, SimLoop, bury, run_drill
from holdfast.drills.network import Conditions, LinkKind, Network
from holdfast.drills.patches import Sources, patched
from holdfast.drills.points import AtPoint, Points
from holdfast.drills.randomness import Chance, Stream
from holdfast.drills.spec import HOST, HOUR_MS, PORT, STREAM_PORT, WorldSpec
from holdfast.drills.strategies import Scripted, strategy_maker
from holdfast.drills.wires import WIRES
from holdfast.engine.assembly import Place, log_line
from holdfast.engine.bot import Bot
from holdfast.engine.liquidator import LiquidationResult
from holdfast.engine.settings import BotSettings
from holdfast.exchanges.factory import Credentials
from holdfast.runtime.logs import Logs
from holdfast.simulator.bingx.config import Switches
from holdfast.simulator.core.generated import generated_market
from holdfast.simulator.core.truth import Truth
from holdfast.simulator.server import ServerConfig, SimulatorServer
from holdfast.store.home import ExchangeAddress, Home

KEY, SECRET = "drill-key-0123456789", "drill-secret-0123456789"
PASSPHRASE = "drill-passphrase-0123456789"  # noqa: S105
"""Only Bitget's keys have one; the other exchanges never see it."""
START_WITHIN_MS = 60_000
STOP_WITHIN_MS = 120_000
SECOND_WITHIN_MS = 1_000
LOOK_MS = 100


class Missed(AssertionError):
    """What a drill waited for did not come in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a world went."""

    event_digest: str
    wire_digest: str
    steps: int
    virtual_ms: int
    cpu_s: float
    problems: tuple[str, ...]
    """What went to the loop's exception handler; a sound drill has none."""
    counts: dict[str, int]

    @property
    def speed(self) -> float:
        """Virtual seconds per CPU second."""
        return self.virtual_ms / 1000 / self.cpu_s if self.cpu_s else 0.0


class World:
    """One exchange and one bot, which may die and be built again. Made by `run_world`."""

    def __init__(self, spec: WorldSpec, loop: SimLoop, chance: Chance, home: Home) -> None:
        self.spec, self.loop, self.chance, self.home = spec, loop, chance, home
        self.settings: BotSettings = spec.bot_settings()
        """What the next start of the bot is told; may be replaced between two lives."""
        self.clock = VirtualClock(loop.time, spec.start_ms)
        """The true time; the exchange's clock."""
        self.bot_clock = VirtualClock(loop.time, spec.start_ms)
        """The bot's, which may be wrong."""
        conditions = {kind: Conditions(latency_ms=spec.latency_ms) for kind in LinkKind}
        self.network = Network(loop, lambda n: chance.stream(Stream.NETWORK, n), conditions)
        self.files = DrillDisk(chance.stream(Stream.DISK, "files"))
        """What the bot's files are written by, the database excepted."""
        self.digests = Digests()
        self.scripted = Scripted()
        self.lives: list[Life] = []
        self._seconds = 0
        """Bots that were started beside the one of `life`, in its home."""
        self.listeners: list[Said] = []
        """Told each line that the bot logs."""
        self.births: list[Callable[[Life], None]] = []
        """Told of each bot that is put together, before it does anything."""
        self.deaths: list[Callable[[Life], None]] = []
        """Told of each bot that was killed, when the disk is as its death left it."""
        self.points: Points | None = None
        self._disk_ms = spec.disk_ms
        self.wire = WIRES[spec.exchange]
        self.server = self._exchange()
        self.network.taps.append(self.digests.wire)
        self.listeners.append(self._note_line)

    def _exchange(self) -> SimulatorServer:
        spec = self.spec
        history_ms = int(spec.history_hours * HOUR_MS)
        market = generated_market(spec.symbol_list(), spec.start_ms, history_ms, spec.seed)
        config = ServerConfig(
            exchange=spec.exchange,
            host=HOST,
            seed=self.chance.stream(Stream.EXCHANGE).getrandbits(32),
            read_lag_ms=spec.read_lag_ms,
            wallet=Decimal(spec.wallet),
            bingx=Switches(position_mode=spec.position_mode),
        )
        server = SimulatorServer(config, market, self.clock)
        account = server.app.name_account(KEY, SECRET, Decimal(spec.wallet), PASSPHRASE)
        if account.position_mode is not spec.position_mode:
            server.core.set_position_mode(account.account_id, spec.position_mode)
        server.core.listen(self.digests.exchange, prices=False)
        return server

    @asynccontextmanager
    async def open(self) -> AsyncIterator[World]:
        """The exchange opens; at the end it closes, and a bot that still lives is killed."""
        await self.server.start(listen=False)
        for port in (PORT, STREAM_PORT):
            self.network.listen(HOST, port, self.server.exchange_server)
        try:
            yield self
        finally:
            self.kill_bot()
            await self.server.stop()

    # --- time ----------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """The true time."""
        return self.clock.now_ms()

    @property
    def elapsed_ms(self) -> int:
        """Virtual time since the world began."""
        return self.clock.monotonic_ms()

    async def run_for(self, ms: float) -> None:
        """Let *ms* of virtual time pass."""
        await asyncio.sleep(ms / 1000)

    async def until(self, condition: Callable[[], bool], what: str, within_ms: float = 60_000) -> None:
        """Let time pass until the condition holds. Raises `Missed` naming what was waited for."""
        end_ms = self.elapsed_ms + within_ms
        while not condition():
            if self.elapsed_ms >= end_ms:
                raise Missed(f"waited {within_ms / 1000:g} s for: {what}")
            await asyncio.sleep(LOOK_MS / 1000)

    # --- the bot -------------------------------------------------------------------------------------

    @property
    def life(self) -> Life:
        """The present (or last) life of the bot."""
        if not self.lives:
            raise BotEnded("the bot was never started")
        return self.lives[-1]

    @property
    def bot(self) -> Bot:
        """The running bot. Raises `BotEnded` while there is none."""
        if not self.lives or not self.life.running or self.life.bot is None:
            raise BotEnded("there is no running bot")
        return self.life.bot

    @property
    def bot_runs(self) -> bool:
        return bool(self.lives) and self.life.running

    def start_bot(self, *, beside: bool = False) -> Life:
        """Build the bot from what the home holds, and start it; returns at once.

        *beside* a running one, as on another machine with the same store: whoever asks ends the first.
        """
        if self.bot_runs and not beside:
            raise BotEnded("the bot is still running: one home, one bot")
        life = self._new_life(len(self.lives) + 1, alone=not beside)
        if self.points is not None:
            self.points.watch_work(life.blocking)
        self.lives.append(life)
        self.digests.note("start", life.number, self.now_ms)
        life.begin(self.loop, self.settings, self._place(life))
        return life

    def _new_life(self, number: int, *, alone: bool) -> Life:
        return Life(
            number=number,
            alone=alone,
            process=Process(f"bot {number}"),
            blocking=DrillBlocking(self.loop, self.chance.stream(Stream.DISK, number), self._disk_ms),
            logs=Logs(
                self.home.logs / "bot.log", self.bot_clock, secrets=[KEY, SECRET, PASSPHRASE], disk=self.files
            ),
            born=self._born,
        )

    async def start_second(self) -> BaseException | None:
        """Start another bot in the home of the running one, as by mistake: what ended it. Raises `Missed` if
        it runs."""
        self._seconds += 1
        life = self._new_life(-self._seconds, alone=True)
        self.digests.note("second", life.number, self.now_ms)
        life.begin(self.loop, self.settings, self._place(life))
        await self.run_for(SECOND_WITHIN_MS)
        if life.running:
            self.loop.kill(life.process)
            self.network.kill(life.process)
            life.die(self.home, None)
            raise Missed("a second bot runs in the home of the first")
        return life.ended_by

    async def await_sync(self, within_ms: float = START_WITHIN_MS) -> None:
        """Until the started bot knows its account."""

        def synced() -> bool:
            bot = self.life.bot
            if not self.life.running:
                raise BotEnded(f"the bot ended while starting: {self.life.ended_by!r}")
            return bot is not None and bot.account.synced

        await self.until(synced, "the bot's first sync", within_ms)

    def kill_bot(self, *, power_cut: bool = False) -> None:
        """As kill -9, at this very moment: nothing more is sent or written, its connections are reset.

        *power_cut* also loses what was not synced, and tears what the disk was about to take. A bot that
        does not run cannot be killed.
        """
        if not self.bot_runs:
            return
        life = self.life
        self.digests.note("kill", life.number, self.now_ms)
        self.loop.kill(life.process)
        self.network.kill(life.process)
        life.die(self.home, self.chance.stream(Stream.DISK, "torn") if power_cut else None)
        if power_cut:
            self.files.cut_power()
        for told in self.deaths:
            told(life)

    def _born(self, life: Life) -> None:
        for told in self.births:
            told(life)

    async def stop_bot(self, within_ms: float = STOP_WITHIN_MS) -> LiquidationResult | None:
        """An orderly end, as SIGTERM asks for it; raises what the bot's end raised, or `Missed`."""
        life = self.life
        if life.task is None or not self.bot_runs:
            raise BotEnded("there is no running bot")
        life.stopping.set()
        await asyncio.wait({life.task}, timeout=within_ms / 1000)
        if not life.task.done():
            raise Missed(f"waited {within_ms / 1000:g} s for the bot to end")
        self.digests.note("end", life.number, self.now_ms)
        return life.task.result()

    def pause_bot(self) -> None:
        """Freeze the process (SIGSTOP): the exchange goes on, and what arrives waits."""
        self.loop.pause(self.life.process)

    def resume_bot(self) -> None:
        self.loop.resume(self.life.process)

    def _place(self, life: Life) -> Place:
        write = log_line(life.logs, self.settings.account_id)

        def log(event: str, fields: dict[str, object]) -> None:
            if life.process.alive:
                for listener in self.listeners:
                    listener(life, event, fields)
                write(event, fields)

        return Place(
            home=self.home,
            clock=self.bot_clock,
            blocking=life.blocking,
            chance=self.chance.stream(Stream.IDS, life.number),
            log=log,
            credentials=Credentials(KEY, Secret(SECRET), Secret(PASSPHRASE)),
            base_url=self.settings.address,
            ws_url=f"ws://{HOST}:{STREAM_PORT}",
            holder=life.process.name,
            host="drill" if life.alone else "",
            connector=self.network.connector,
            disk=self.files,
            log_problem=life.logs.problem,
            open_store=life.open_store,
            make_strategy=strategy_maker(self.scripted, self.spec.seed),
        )

    def _note_line(self, life: Life, event: str, fields: dict[str, object]) -> None:
        told = repr(fields).replace(str(self.home.path), "~")
        self.digests.note(event, life.number, self.bot_clock.now_ms(), told)

    # --- what is so, and what goes wrong --------------------------------------------------------------

    @property
    def account_id(self) -> str:
        """The bot's account at the exchange."""
        account = self.server.core.account_by_key(KEY)
        if account is None:
            raise Missed("the bot's account is not open")
        return account.account_id

    def truth(self) -> Truth:
        """What the exchange has; never the bot's word."""
        self.server.step()
        return self.server.core.truth(self.account_id)

    @property
    def disk_ms(self) -> tuple[float, float]:
        """How long a piece of blocking work takes, now and after restarts."""
        return self._disk_ms

    @disk_ms.setter
    def disk_ms(self, span_ms: tuple[float, float]) -> None:
        self._disk_ms = span_ms
        if self.bot_runs:
            self.life.blocking.delay_ms = span_ms

    def watch_points(self, at_point: AtPoint) -> None:
        """Show *at_point* every moment at which the bot may die; it may call `kill_bot` there."""
        self.points = Points(at_point)
        self.points.watch_steps(self.loop)
        self.points.watch_network(self.network)
        if self.bot_runs:
            self.points.watch_work(self.life.blocking)

    def unwatch_points(self) -> None:
        """Nobody looks at them any more: points cost time."""
        self.points = None
        self.loop.before_step = None
        self.network.before_bytes = self.network.after_bytes = None
        for life in self.lives[-1:]:
            life.blocking.before_work = life.blocking.after_work = None

    def result(self, cpu_s: float) -> Result:
        return Result(
            event_digest=self.digests.events_hex,
            wire_digest=self.digests.wire_hex,
            steps=self.loop.steps,
            virtual_ms=self.elapsed_ms,
            cpu_s=cpu_s,
            problems=tuple(self.loop.problems),
            counts=dict(sorted(self.digests.counts.items())),
        )


Scenario = Callable[[World], Awaitable[None]]


async def trade(world: World) -> None:
    """The usual scenario: start, trade for the spec's hours, stop in order."""
    world.start_bot()
    await world.run_for(world.spec.hours * HOUR_MS)
    await world.stop_bot()


def run_world(spec: WorldSpec, scenario: Scenario = trade, *, steps_max: int | None = None) -> Result:
    """Run *scenario* in a fresh world. Raises what the scenario raises, and `Deadlock`, `StepLimit`."""
    chance = Chance(spec.seed)
    loop = SimLoop(chance.stream(Stream.SCHEDULE) if spec.shuffle else None, steps_max=steps_max)
    began = time.process_time()
    with new_home() as home:
        world = World(spec, loop, chance, home)
        sources = Sources(world.bot_clock.now_s, loop.time, chance.stream(Stream.LIBRARIES))

        async def play() -> None:
            async with world.open():
                await scenario(world)

        home.bind(ExchangeAddress(exchange=spec.exchange, base_url=world.settings.address, mode="paper"))
        try:
            with patched(sources):
                run_drill(loop, play())
            return world.result(time.process_time() - began)
        finally:
            for life in world.lives:
                bury(life.process)
