"""A process that stands still for minutes with a request under way: it asks before it judges."""

from __future__ import annotations

from holdfast.decisions.gate import Mode
from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.row import USUAL
from holdfast.drills.gauntlet.steps import BTC, assert_flat_end, booked, covered, started
from holdfast.drills.world import World, run_world
from holdfast.simulator.faults import Fault, FaultKind


def test_entry_without_an_answer_is_asked_for_after_a_standstill() -> None:
    """Nobody could ask for two minutes; that alone is no reason to step down (dense seed 50023)."""

    async def scenario(world: World) -> None:
        await started(world)
        lost = Fault(kind=FaultKind.DELAY_REPLY, method="POST", path="/order$", delay_ms=600_000, times=1)
        number = world.server.faults.add(lost)
        world.scripted.wishes[BTC] = Direction.LONG
        await world.until(lambda: world.server.faults.fired(number) > 0, "the entry")
        world.pause_bot()
        await world.run_for(150_000)
        world.resume_bot()
        await world.until(lambda: covered(world, BTC), "the stop", 15_000)
        world.scripted.wishes.clear()
        await world.run_for(30_000)
        account = world.bot.account
        assert (account.mode, account.mode_why) == (Mode.NORMAL, "")
        (trade,) = booked(world)
        assert not trade.adopted
        await assert_flat_end(world)

    run_world(USUAL, scenario)
