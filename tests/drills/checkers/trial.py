"""A small real world with checkers on: what it is made of, what goes wrong in it, what a test does there."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from holdfast.domain.orders import Direction
from holdfast.domain.symbol import Symbol
from holdfast.drills.checkers.checkers import Outcome
from holdfast.drills.checkers.wiring import WatchedStage, WorldWatch, watch_world
from holdfast.drills.plan import Trouble, play, schedule_of
from holdfast.drills.plants import PLANTS
from holdfast.drills.spec import WorldSpec
from holdfast.drills.stage import WorldStage
from holdfast.drills.world import World, run_world

BTC = Symbol.parse("BTC/USDT")
MINUTE_MS = 60_000
SCRIPTED = {
    "strategies": {"scripted": {}},
    "settings": {"trading.check_interval_ms": 1_000, "trading.cooldown_minutes": "0.02"},
}
"""The bot does as the test wishes, within a second or two."""

Act = Callable[[World, WorldWatch], Coroutine[Any, Any, None]]


@dataclass
class Trial:
    """One world with checkers, its troubles, and what a test does in it."""

    minutes: float = 10
    troubles: list[Trouble] = field(default_factory=list)
    plant: str = ""
    spec: dict[str, Any] = field(default_factory=lambda: dict(SCRIPTED))
    act: Act | None = None
    outcome: Outcome | None = None

    def run(self) -> Outcome:
        spec = WorldSpec(seed=5, symbols=("BTC/USDT", "ETH/USDT"), **self.spec)
        with PLANTS[self.plant].grow() if self.plant else nullcontext():
            result = run_world(spec, self._play)
        assert result.problems == ()
        assert self.outcome is not None
        return self.outcome

    async def _play(self, world: World) -> None:
        watch = watch_world(world)
        stage = WorldStage(world)
        length_ms = round(self.minutes * MINUTE_MS)
        schedule = schedule_of(1, length_ms, self.troubles)
        world.start_bot()
        await world.await_sync()
        if self.act is not None:
            await self.act(world, watch)
        await play(schedule, WatchedStage(stage, watch), stage.sleep_until)
        await stage.sleep_until(length_ms)
        self.outcome = watch.finish()


def found(outcome: Outcome) -> list[str]:
    return sorted(outcome.counts)


async def enter(world: World, _watch: WorldWatch) -> None:
    """Until a position stands, covered."""
    world.scripted.wishes[BTC] = Direction.LONG
    await world.until(lambda: any(p.covered for p in world.truth().positions), "a covered position")
