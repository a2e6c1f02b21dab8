"""Bugs of the bot that checkers found in swarms, each in the smallest world that shows it."""

from __future__ import annotations

from decimal import Decimal

from holdfast.decisions.gate import OperatorState
from holdfast.domain.orders import Direction
from holdfast.drills.checkers.wiring import WorldWatch, settled
from holdfast.drills.world import World
from holdfast.simulator.faults import Fault, FaultKind
from tests.drills.checkers.trial import BTC, Trial, enter, found

STOPS = "/openAlgoOrders$"


def test_a_census_that_fails_brings_no_storm_of_the_other_one() -> None:
    """S11: the census of orders was due as long as that of stops was; its own answer did not count."""
    asked: list[str] = []

    async def act(world: World, _watch: WorldWatch) -> None:
        world.server.log.listen(lambda arrival: asked.append(arrival.path))
        world.kill_bot()
        world.server.faults.add(Fault(kind=FaultKind.ENDPOINT_DOWN, path=STOPS))
        world.start_bot()
        await world.run_for(20_000)
        world.server.faults.clear()
        await world.await_sync()

    outcome = Trial(minutes=1, act=act).run()
    assert outcome.violations == ()
    assert asked.count("/fapi/v1/openOrders") < 10


def test_a_stop_whose_end_nobody_told_does_not_stay_in_the_journal() -> None:
    """L1: the stream lost the word of it, and nobody asked."""

    async def act(world: World, watch: WorldWatch) -> None:
        await enter(world, watch)
        world.server.faults.add(Fault(kind=FaultKind.EVENTS_DROPPED, stream="user", path="ALGO_UPDATE"))
        world.scripted.wishes.clear()
        world.scripted.exits.add(BTC)
        await world.until(lambda: not world.truth().positions, "a flat account")
        await world.run_for(20_000)
        watch.judge_recovery()

    assert Trial(minutes=2, act=act).run().violations == ()


def test_a_restart_leaves_the_stop_that_stands_alone() -> None:
    """S9: the positions were read before the stops, and another stop was placed."""

    async def act(world: World, watch: WorldWatch) -> None:
        await enter(world, watch)
        await world.run_for(10_000)
        # Moved once it has the other form, beside which the exchange takes a second one.
        world.scripted.stops[BTC] = world.server.core.prices(BTC).mark * Decimal("0.995")
        algos = watch.checkers.mirror.algos
        await world.until(lambda: [a.close_position for a in algos.values()] == [False], "a moved stop")
        await world.run_for(3_000)
        await world.until(lambda: settled(world.bot), "a moment in which nothing waits")
        world.kill_bot()
        slow = Fault(kind=FaultKind.DELAY_REPLY, method="GET", path="lgoOrders?$", delay_ms=600, times=3)
        world.server.faults.add(slow)
        world.start_bot()
        await world.await_sync()
        await world.run_for(3_000)
        assert len(algos) == 1

    assert Trial(minutes=1.5, act=act).run().violations == ()


def test_moving_a_stop_alarms_nobody() -> None:
    """While the new one is placed the old one covers: nothing is lost."""
    alarms: list[object] = []

    async def act(world: World, watch: WorldWatch) -> None:
        await enter(world, watch)
        world.listeners.append(
            lambda _, event, fields: alarms.append(fields["id"]) if event == "alert.raised" else None
        )
        await world.run_for(10_000)
        world.scripted.stops[BTC] = world.server.core.prices(BTC).mark * Decimal("0.995")
        algos = watch.checkers.mirror.algos
        await world.until(lambda: [a.close_position for a in algos.values()] == [False], "a moved stop")

    assert Trial(minutes=1.5, act=act).run().violations == ()
    assert alarms == []


def test_a_restart_goes_on_with_a_close_that_was_decided() -> None:
    """S8: why a position was being left was known to the running bot only."""

    async def act(world: World, watch: WorldWatch) -> None:
        await enter(world, watch)
        world.scripted.wishes.clear()
        world.server.faults.add(Fault(kind=FaultKind.REJECT, path="/order$", code=-2019))
        world.scripted.exits.add(BTC)
        tracked = world.bot.account.state.tracked
        await world.until(lambda: any(t.closing_reason for t in tracked.values()), "the decision")
        world.scripted.exits.clear()
        await world.until(lambda: settled(world.bot), "a moment in which nothing waits")
        world.kill_bot()
        world.server.faults.clear()
        world.start_bot()
        await world.until(lambda: not world.truth().positions, "a flat account")

    assert Trial(minutes=2, act=act).run().violations == ()


def test_alerts_end_with_what_they_were_about() -> None:
    """L3: a refused stop was complained of long after the position had been closed."""

    async def act(world: World, watch: WorldWatch) -> None:
        refusal = Fault(kind=FaultKind.REJECT, method="POST", path="/algoOrder$", code=-2021)
        world.server.faults.add(refusal)
        world.scripted.wishes[BTC] = Direction.LONG
        await world.until(lambda: world.truth().exits > 0, "a position that was left for want of a stop")
        world.scripted.wishes.clear()
        world.server.faults.clear()
        await world.run_for(30_000)
        watch.judge_recovery()

    outcome = Trial(minutes=2, act=act).run()
    assert "L3" not in found(outcome), outcome.violations


def test_an_order_that_is_not_durable_yet_may_die_with_the_bot() -> None:
    """S8: nobody was told that it was taken; the bot died in the moment in which it was given."""

    async def act(world: World, watch: WorldWatch) -> None:
        await enter(world, watch)
        bot = world.bot
        await world.until(lambda: settled(bot), "a moment in which nothing waits")
        world.disk_ms = (900.0, 900.0)
        given = world.loop.start_in(
            world.life.process, bot.supervisor.desk.command("kill", "ann", "now"), "ann"
        )
        await world.until(lambda: bot.account.operator is OperatorState.KILLED, "the order in force", 1_000)
        assert not given.done()
        assert not settled(bot)
        world.kill_bot()
        world.disk_ms = world.spec.disk_ms
        world.start_bot()
        await world.await_sync()

    assert Trial(minutes=1.5, act=act).run().violations == ()
