"""The machine the bot runs on: it dies, stands still, and its disk fails."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from holdfast.drills.files import FULL, READ_ONLY
from holdfast.drills.kinds import KINDS
from holdfast.drills.lives import Life
from holdfast.drills.plan import Heal, Trouble
from holdfast.drills.points import Point, PointKind
from holdfast.drills.world import World
from holdfast.store.errors import StoreError

EDGES: Mapping[str, frozenset[PointKind]] = {
    "before": frozenset({PointKind.BEFORE_BYTES, PointKind.BEFORE_WORK}),
    "after": frozenset({PointKind.AFTER_BYTES, PointKind.AFTER_WORK}),
    "": frozenset({PointKind.STEP}),
}
"""Where to die: before or after an effect; "" = between two steps."""
COMPLAINTS = ("STORE_UNWRITABLE", "ORDER_NOT_DURABLE", "NOT_DURABLE")
FILES: Mapping[str, int] = {
    "full": FULL,
    "read_only": READ_ONLY,
    "files_full": FULL,
    "files_read_only": READ_ONLY,
}
"""How files beside the database fail, by what is begun; a locked database is no disk's fault."""
RESTART_AFTER_MS = 5_000
"""A bot that ended by an error of its own is started again by its service manager."""


@dataclass(slots=True)
class _Armed:
    """A death that waits for its point."""

    kinds: frozenset[PointKind]
    left: int
    power_cut: bool
    died: asyncio.Event = field(default_factory=asyncio.Event)


class Machine:
    """Plane PROCESS. While a death is armed every point of the bot is watched; nobody else may then."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._armed: list[_Armed] = []
        self._down = 0
        """Deaths whose restart is still to come."""
        self._ways: Mapping[str, Callable[[Trouble, int], Any]] = {
            "kill_at_effect": self._kill,
            "kill_at_step": self._kill,
            "kill_again": self._kill_again,
            "cut_power": self._kill,
            "pause": self._pause,
            "start_second": self._start_second,
        }

    async def strike(self, trouble: Trouble, until_ms: int) -> Heal:
        """Returns when the bot runs again, or when its death has not come by *until_ms*."""
        count: int = await self._ways[KINDS[trouble.kind].begin](trouble, until_ms)

        async def heal() -> int:
            return count

        return heal

    async def keep_running(self) -> None:
        """Start a bot that ended by itself again, after a while; until cancelled."""
        while True:
            await self._world.run_for(RESTART_AFTER_MS)
            if self._world.lives and not self._world.bot_runs and not self._down:
                self._world.start_bot()

    # --- dying ---------------------------------------------------------------------------------------

    async def _kill(self, trouble: Trouble, until_ms: int) -> int:
        return int(await self._dies(trouble, int(trouble.numbers["nth"]), until_ms))

    async def _kill_again(self, trouble: Trouble, until_ms: int) -> int:
        if not await self._dies(trouble, int(trouble.numbers["nth"]), until_ms):
            return 0
        return 1 + int(await self._dies(trouble, int(trouble.numbers["again_nth"]), until_ms))

    async def _dies(self, trouble: Trouble, nth: int, until_ms: int) -> bool:
        power_cut = KINDS[trouble.kind].begin == "cut_power"
        armed = _Armed(EDGES[trouble.word], nth, power_cut)
        self._arm(armed)
        try:
            async with asyncio.timeout(max(0, until_ms - self._world.elapsed_ms) / 1000):
                await armed.died.wait()
        except TimeoutError:
            return False
        finally:
            self._disarm(armed)
        await self._restarts(int(trouble.numbers["down_ms"]), until_ms)
        return True

    async def _restarts(self, down_ms: int, until_ms: int) -> None:
        """Whatever happens meanwhile, the bot is started: a death is not for ever."""
        self._down += 1
        try:
            await self._world.run_for(min(down_ms, max(0, until_ms - self._world.elapsed_ms)))
        finally:
            self._down -= 1
            if not self._world.bot_runs:
                self._world.start_bot()

    def _arm(self, armed: _Armed) -> None:
        if not self._armed:
            self._world.watch_points(self._at_point)
        self._armed.append(armed)

    def _disarm(self, armed: _Armed) -> None:
        self._armed.remove(armed)
        if not self._armed:
            self._world.unwatch_points()

    def _at_point(self, point: Point) -> None:
        for armed in self._armed:
            if point.kind in armed.kinds and not armed.died.is_set():
                armed.left -= 1
                if armed.left <= 0:
                    armed.died.set()
                    self._world.kill_bot(power_cut=armed.power_cut)
                    return

    async def _start_second(self, _trouble: Trouble, _until_ms: int) -> int:
        """As by mistake, or by a service manager that does not wait for the end of the first."""
        if not self._world.bot_runs:
            return 0
        return int(isinstance(await self._world.start_second(), StoreError))

    # --- standing still --------------------------------------------------------------------------------

    async def _pause(self, trouble: Trouble, until_ms: int) -> int:
        """As a laptop that sleeps: time goes on, and when it wakes its connections are dead."""
        world = self._world
        if not world.bot_runs:
            return 0
        process = world.life.process
        world.pause_bot()
        try:
            left_ms = max(0, until_ms - world.elapsed_ms)
            await world.run_for(min(int(trouble.numbers["pause_ms"]), left_ms))
        finally:
            for link in world.network.links(process=process):
                link.reset()
            world.loop.resume(process)
        return 1


class Disk:
    """Plane DISK, in this life of the bot and in those after it: SQLite itself refuses, by its own means, and
    the files beside it by the disk port."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._connection: sqlite3.Connection | None = None
        """The bot's writing one, of the present life."""
        self._locking: sqlite3.Connection | None = None
        self._standing: list[str] = []
        self.told: Counter[str] = Counter()
        """How often the bot said what does not take writes, by alert."""
        self._ways: Mapping[str, tuple[Callable[[], None], Callable[[], None]]] = {
            "full": (self._fill, self._space),
            "read_only": (self._forbid, self._allow),
            "locked": (self._lock, self._unlock),
        }
        world.births.append(self._born)
        world.deaths.append(self._died)
        world.listeners.append(self._heard)

    async def strike(self, trouble: Trouble) -> Heal:
        """Let the disk fail; how often it struck is told by the bot's own complaints."""
        verb = KINDS[trouble.kind].begin
        if verb == "slow":
            return self._slow(float(trouble.numbers["delay_ms"]))
        heard = ("FILES_UNWRITABLE",) if verb.startswith("files") else COMPLAINTS
        before = self._complaints(heard)
        self._standing.append(verb)
        self._apply(verb)
        self._strike_files()

        async def heal() -> int:
            self._standing.remove(verb)
            if verb in self._ways and verb not in self._standing:
                self._ways[verb][1]()
            self._strike_files()
            return self._complaints(heard) - before

        return heal

    def _strike_files(self) -> None:
        self._world.files.fail(next((FILES[verb] for verb in self._standing if verb in FILES), 0))

    def _complaints(self, heard: tuple[str, ...]) -> int:
        return sum(self.told[each] for each in heard)

    def _slow(self, delay_ms: float) -> Heal:
        world, before = self._world, self._world.disk_ms
        world.disk_ms = (delay_ms / 2, delay_ms)

        async def heal() -> int:
            world.disk_ms = before
            return 1

        return heal

    def _apply(self, verb: str) -> None:
        if self._connection is None and self._world.bot_runs:
            self._look()
        if self._connection is not None and verb in self._ways:
            self._ways[verb][0]()

    # --- the bot's lives -------------------------------------------------------------------------------

    def _born(self, _life: Life) -> None:
        self._connection = None
        for verb in dict.fromkeys(self._standing):
            self._apply(verb)

    def _died(self, _life: Life) -> None:
        self._unlock()
        self._connection = None

    def _heard(self, _life: Life, event: str, fields: dict[str, object]) -> None:
        if event == "alert.raised":
            self.told[str(fields.get("id"))] += 1
        elif event == "books.write_lost":
            self.told["STORE_UNWRITABLE"] += 1

    def _look(self) -> None:
        """Learn the bot's writing connection; one that cannot be had now is let alone."""
        store = self._world.life.store
        if store is None:
            return
        try:
            self._connection = store.write(_driver_connection)
        except StoreError:
            return

    # --- what SQLite can be told -----------------------------------------------------------------------

    def _say(self, pragma: str) -> int:
        """To the bot's connection, if it has one; the number it answers."""
        if self._connection is None:
            return 0
        try:
            row = self._connection.execute(f"PRAGMA {pragma}").fetchone()
        except sqlite3.ProgrammingError:
            # The bot has ended by itself, and closed it.
            self._connection = None
            return 0
        return int(row[0]) if row else 0

    def _fill(self) -> None:
        self._say(f"max_page_count={self._say('page_count')}")

    def _space(self) -> None:
        self._say("max_page_count=1073741823")

    def _forbid(self) -> None:
        self._say("query_only=ON")

    def _allow(self) -> None:
        self._say("query_only=OFF")

    def _lock(self) -> None:
        """A second process holds the writer's lock; no real time is spent on waiting for it."""
        self._say("busy_timeout=0")
        if self._locking is None:
            other = sqlite3.connect(self._world.home.database, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            self._locking = other

    def _unlock(self) -> None:
        if self._locking is not None:
            self._locking.close()
            self._locking = None


def _driver_connection(connection: Connection) -> sqlite3.Connection:
    made = connection.connection.driver_connection
    if not isinstance(made, sqlite3.Connection):
        raise StoreError("drill: expected a SQLite store, found another")
    return made
