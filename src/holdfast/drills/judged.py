"""One world run and judged: first everything goes wrong that its schedule says, then it has to recover.

    judged = judge(drawn(7, hours=2))
    judged.held, judged.violations, judged.naked.rows(), judged.event_digest

Safety phase: the schedule's troubles, the checkers on. Liveness phase: everything is healed, and within
`CONVERGE_MS` the bot has to be back in a state that it can explain. Then it is ended in order, and flat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass

from holdfast.drills.cases import Case, Expected
from holdfast.drills.checkers.checkers import Outcome
from holdfast.drills.checkers.findings import Violation
from holdfast.drills.checkers.naked import NakedLedger
from holdfast.drills.checkers.useful import Figures
from holdfast.drills.checkers.wiring import WatchedStage, WorldWatch, watch_world
from holdfast.drills.files import audit_file_fault
from holdfast.drills.loop import Deadlock, StepLimit
from holdfast.drills.plan import Played, play
from holdfast.drills.plants import PLANTS
from holdfast.drills.probes import Hits, hits_of
from holdfast.drills.stage import WorldStage
from holdfast.drills.witness import Witness
from holdfast.drills.world import Result, World, run_world
from holdfast.engine.liquidation import LiquidationState
from holdfast.exchanges.port import ExchangeError
from holdfast.store.errors import StoreError

CONVERGE_MS = 600_000
"""How long after the last trouble the bot may take to be itself again."""
QUIET_TRIES = 100
"""How often the bot is looked at, ten times a second, for a moment in which nothing waits to be written."""
STEPS_PER_HOUR_MAX = 20_000_000
"""Somebody spins: a world takes a few hundred thousand."""

LOOP, CRASH, END, DIGEST = "loop", "crash", "L5", "digest"
"""What finds violations beside the checkers: the event loop, the process table, the end, a second run."""

See = Callable[[World], None]
"""Told of the world before anything happens in it: who records it listens from then on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How a world went. Digests are empty when it came to no end."""

    case: Case
    violations: tuple[Violation, ...]
    """In the order of finding, the first ones of each checker."""
    counts: Mapping[str, int]
    """All violations by checker."""
    naked: NakedLedger
    figures: Figures
    played: tuple[Played, ...]
    """What became of each trouble."""
    hits: Hits
    """Of the probes."""
    weight_peak: int
    """The most message weight in any minute."""
    event_digest: str = ""
    wire_digest: str = ""
    steps: int = 0
    virtual_ms: int = 0
    cpu_s: float = 0.0

    @property
    def held(self) -> bool:
        return not self.violations

    @property
    def first(self) -> Violation | None:
        return self.violations[0] if self.violations else None

    @property
    def digests(self) -> tuple[str, str]:
        return self.event_digest, self.wire_digest

    def expected(self) -> Expected:
        """What a run of the same case has to come to again."""
        first = self.first
        found = {} if first is None else {"checker": first.checker, "at_ms": first.at_ms, "text": first.text}
        return Expected(event_digest=self.event_digest, wire_digest=self.wire_digest, **found)  # type: ignore[arg-type]


def judge(case: Case, see: See = lambda world: None) -> Judged:
    """Run a case to its verdict; raises only what is wrong with the drill itself."""
    trial = _Trial(case, see)
    hours = (case.schedule.length_ms + CONVERGE_MS) / 3_600_000
    with PLANTS[case.plant].grow() if case.plant else nullcontext():
        try:
            result = run_world(case.spec, trial.run, steps_max=int(hours * STEPS_PER_HOUR_MAX))
        except (Deadlock, StepLimit) as stuck:
            trial.violate(LOOP, f"{type(stuck).__name__}: {stuck}")
            return trial.verdict(None)
    for problem in result.problems:
        trial.violate(LOOP, problem)
    return trial.verdict(result)


class _Trial:
    """One run of one case."""

    def __init__(self, case: Case, see: See) -> None:
        self._case, self._see = case, see
        self._world: World | None = None
        self._own: list[Violation] = []
        self._played: tuple[Played, ...] = ()
        self._outcome: Outcome | None = None
        self._hits = Hits()

    def violate(self, checker: str, text: str, **facts: object) -> None:
        at_ms = self._world.now_ms if self._world is not None else 0
        self._own.append(Violation(checker=checker, at_ms=at_ms, text=text, facts=facts))

    async def run(self, world: World) -> None:
        """The scenario."""
        self._world = world
        self._see(world)
        watch, witness = watch_world(world), Witness(world)
        stage = WorldStage(world)
        schedule = self._case.schedule
        world.start_bot()
        manager = asyncio.create_task(stage.machine.keep_running(), name="service manager")
        self._played = await play(schedule, WatchedStage(stage, watch), stage.sleep_until)
        await stage.sleep_until(schedule.length_ms + CONVERGE_MS)
        manager.cancel()
        if world.bot_runs:
            await self._judge_recovered(world, watch)
            await self._end(world)
            self._judge_files(world)
        else:
            self.violate("L2", "the bot does not run, though everything was healed")
        self._note_crashes(world)
        self._outcome = watch.finish()
        self._hits = hits_of(witness.seen(self._played))

    async def _judge_recovered(self, world: World, watch: WorldWatch) -> None:
        watch.judge_recovery()
        for _ in range(QUIET_TRIES):
            if watch.judge_store():
                return
            await world.run_for(100)
        self.violate("L4", "something waits to be written all the time")

    async def _end(self, world: World) -> None:
        """SIGTERM: flat, and said to be."""
        ending = asyncio.create_task(world.stop_bot(), name="SIGTERM")
        await asyncio.wait({ending})
        failure = ending.exception()
        if failure is not None:
            self.violate(END, f"SIGTERM: {type(failure).__name__}: {failure}")
            return
        result = ending.result()
        if result is None or result.state is not LiquidationState.COMPLETED:
            self.violate(END, f"SIGTERM did not end flat: {result}")
        for position in world.truth().positions:
            text = f"after SIGTERM {position.symbol} still holds {position.quantity}"
            self.violate(END, text, symbol=str(position.symbol))

    def _judge_files(self, world: World) -> None:
        """Where files failed or lost something, the audit file holds in the end what the store holds."""
        if world.files.hurt and world.life.ended_by is None and (fault := audit_file_fault(world.home)):
            self.violate("S8", f"the audit file is not the chain of the store: {fault}")

    def _note_crashes(self, world: World) -> None:
        """A bot may end because its store or its exchange is out of reach as it starts; by nothing else."""
        for life in world.lives:
            for error in _leaves(life.ended_by):
                if not isinstance(error, StoreError | ExchangeError):
                    self.violate(CRASH, f"life {life.number} ended by {type(error).__name__}: {error}")

    def verdict(self, result: Result | None) -> Judged:
        outcome = self._outcome
        counts = dict(outcome.counts) if outcome is not None else {}
        for each in self._own:
            counts[each.checker] = counts.get(each.checker, 0) + 1
        found = (*(outcome.violations if outcome is not None else ()), *self._own)
        return Judged(
            case=self._case,
            violations=tuple(sorted(found, key=lambda each: each.at_ms)),
            counts=dict(sorted(counts.items())),
            naked=outcome.naked if outcome is not None else NakedLedger(),
            figures=outcome.figures if outcome is not None else Figures(),
            played=self._played,
            hits=self._hits,
            weight_peak=outcome.weight_peak if outcome is not None else 0,
            event_digest=result.event_digest if result is not None else "",
            wire_digest=result.wire_digest if result is not None else "",
            steps=result.steps if result is not None else 0,
            virtual_ms=result.virtual_ms if result is not None else 0,
            cpu_s=result.cpu_s if result is not None else 0.0,
        )


def _leaves(error: BaseException | None) -> list[BaseException]:
    """The errors a group is made of."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [] if error is None else [error]
