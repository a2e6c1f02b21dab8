"""Checkers on real worlds: silent where all is well, and each planted bug is found by the one that should."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from holdfast.domain.orders import Direction
from holdfast.drills.checkers.wiring import WorldWatch, rebuild, settled
from holdfast.drills.plan import Trouble, trouble
from holdfast.drills.plants import PLANTS
from holdfast.drills.world import World
from holdfast.engine.operate import BotCommands
from tests.drills.checkers.trial import BTC, Act, Trial, enter, found

# --- worlds in which all is well ---------------------------------------------------------------------


def test_a_world_without_troubles_is_silent_and_useful() -> None:
    outcome = Trial(minutes=12, spec={}).run()
    assert outcome.violations == ()
    assert outcome.figures.entries >= 1
    assert outcome.figures.usable_share == 1.0
    naked = outcome.naked.rows()[-1]
    assert naked.unavoidable.count == 0
    assert 0 < naked.avoidable.max_ms < 1_000


def test_a_restart_in_a_quiet_moment_is_silent() -> None:
    async def act(world: World, watch: WorldWatch) -> None:
        await enter(world, watch)
        for _ in range(2):
            await world.run_for(20_000)
            await world.until(lambda: settled(world.bot), "a moment in which nothing waits")
            world.kill_bot()
            await world.run_for(3_000)
            world.start_bot()
            await world.await_sync()

    outcome = Trial(minutes=1.5, act=act).run()
    assert outcome.violations == ()
    assert outcome.figures.entries == 1


def test_what_the_store_remembers_is_what_the_bot_knows() -> None:
    async def act(world: World, watch: WorldWatch) -> None:
        await enter(world, watch)
        await world.until(watch.judge_store, "a moment in which nothing waits")
        remembered = rebuild(world.home.database, world.settings, world.bot_clock)
        assert [tracked.key.symbol for tracked in remembered.tracked] == [BTC]
        state = world.bot.account.state
        key = next(iter(state.tracked))
        state.tracked[key] = replace(state.tracked[key], strategy="another")
        await world.until(watch.judge_store, "a moment in which nothing waits")

    outcome = Trial(minutes=1, act=act).run()
    assert found(outcome) == ["S8"]
    assert "strategy" in outcome.violations[0].text


# --- worlds with a planted bug -----------------------------------------------------------------------


async def enter_as_a_kill_comes(world: World, watch: WorldWatch) -> None:
    """The gate has been asked, the order has not left yet."""
    world.scripted.wishes[BTC] = Direction.LONG
    given = watch.checkers.durable
    await world.until(lambda: bool(given.open_intents()), "an entry in the journal")
    await BotCommands(world.bot).kill(who="drill", why="rehearsal")


async def move_the_stop(world: World, watch: WorldWatch) -> None:
    await enter(world, watch)
    await world.run_for(15_000)
    world.scripted.stops[BTC] = world.server.core.prices(BTC).mark * Decimal("0.995")


def empty_answer() -> Trouble:
    numbers = {"times": 1, "probability": 1.0}
    return trouble("nothing_there", 80_000, target="positions", for_ms=10_000, numbers=numbers)


PLANTED: dict[str, tuple[Act, list[Trouble]]] = {
    "check-await-act": (enter_as_a_kill_comes, []),
    "stop-cancelled-first": (move_the_stop, []),
    "trust-empty-answer": (enter, [empty_answer()]),
}


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_a_planted_bug_is_found_by_the_checker_that_should(name: str) -> None:
    act, troubles = PLANTED[name]
    outcome = Trial(minutes=1.5, troubles=troubles, plant=name, act=act).run()
    assert PLANTS[name].found_by in found(outcome), outcome.violations


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_the_same_world_without_the_plant_is_silent(name: str) -> None:
    act, troubles = PLANTED[name]
    assert Trial(minutes=1.5, troubles=troubles, act=act).run().violations == ()
