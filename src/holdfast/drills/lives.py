"""The bot of a world: one life from start to stop or death, and the next from what was left."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.drills.blocking import DrillBlocking
from holdfast.drills.home import crash_store
from holdfast.drills.loop import Process, SimLoop
from holdfast.engine.assembly import Place, assembled
from holdfast.engine.bot import Bot
from holdfast.engine.liquidator import LiquidationResult
from holdfast.engine.settings import BotSettings
from holdfast.runtime.logs import Logs
from holdfast.store.database import Store, open_store
from holdfast.store.home import Home


class BotEnded(AssertionError):
    """The bot ended while a drill needed it."""


@dataclass(eq=False)
class Life:
    """One start of the bot. *number* counts from 1."""

    number: int
    process: Process
    blocking: DrillBlocking
    logs: Logs
    born: Callable[[Life], None] = lambda life: None
    """Called when the bot is put together, before it does anything."""
    alone: bool = True
    """It locks its home, as the command line does."""
    locked: ExitStack = field(default_factory=ExitStack)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    bot: Bot | None = None
    """From when it is put together."""
    store: Store | None = None
    task: asyncio.Task[LiquidationResult | None] | None = None

    @property
    def running(self) -> bool:
        return self.process.alive and self.task is not None and not self.task.done()

    @property
    def ended_by(self) -> BaseException | None:
        """What ended it, when it ended by an error of its own."""
        if self.task is None or not self.task.done() or self.task.cancelled():
            return None
        return self.task.exception()

    def begin(self, loop: SimLoop, settings: BotSettings, place: Place) -> None:
        """Start the process."""
        self.task = loop.start_in(self.process, self._live(settings, place), f"bot {self.number}")
        self.task.add_done_callback(_heard)

    async def _live(self, settings: BotSettings, place: Place) -> LiquidationResult | None:
        try:
            with self.locked as held:
                if self.alone:
                    held.enter_context(place.home.lock())
                async with assembled(settings, place) as bot:
                    self.bot = bot
                    self.born(self)
                    return await bot.run(self.stopping)
        finally:
            self.logs.close()

    def open_store(self, path: Path) -> Store:
        """For `Place.open_store`: whoever kills the bot has to know its store."""
        self.store = open_store(path)
        return self.store

    def die(self, home: Home, torn: random.Random | None) -> None:
        """What the kernel does with a killed process: its files are closed as they are."""
        self.logs.close()
        self.locked.close()
        if self.store is not None:
            crash_store(home, self.store, torn)


def _heard(task: asyncio.Task[LiquidationResult | None]) -> None:
    """A bot that ends by an error is a fact of the drill, not a loose end of the loop."""
    if not task.cancelled():
        task.exception()


Said = Callable[[Life, str, dict[str, object]], None]
"""Told each line that the bot logs: its decisions, alerts, errors."""
