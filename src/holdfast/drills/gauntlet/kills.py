"""Row G19: the bot is killed again and again in the middle of what matters, each time at another point.

One world lives through many deaths. Each act of the bot (an entry, a stop, a correction of the books, a
liquidation) is first played to its end and its points are counted: before and after every effect (bytes
that leave, work that the disk does), and every step of a task. Then it is played once for each chosen
point, and there the bot dies.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.elsewhere import SENDING
from holdfast.drills.gauntlet.row import row
from holdfast.drills.gauntlet.steps import BTC, ETH, booked, covered, enter, held, live_stops, started
from holdfast.drills.gauntlet.watching import Watch, cycle_ms, gone_ms, sending_ms
from holdfast.drills.points import Point, PointKind
from holdfast.drills.randomness import Stream
from holdfast.drills.world import World
from holdfast.store.words import TradeStatus

EFFECTS, STEPS = 4, 2
"""So many points of each sort the row samples; the soak plays them all."""
DOWN_MS = (0, 3_000, 70_000)
"""For how long the dead bot stays dead; after the last every request of before has expired."""
QUICK = {"trading.check_interval_ms": 200, "trading.cooldown_minutes": "0.01", "breakers.settle_ms": 1}
"""A bot that trades as soon as it knows its account: a row has many lives."""


@dataclass(frozen=True, slots=True)
class Death:
    """Where to die: at the *number*-th point of its sort since the act began, from 1."""

    step: bool
    number: int
    power_cut: bool = False
    down_ms: int = 0


@dataclass(slots=True)
class Reaper:
    """Counts the points since an act began, and kills at the chosen one."""

    world: World
    effects: int = 0
    steps: int = 0
    death: Death | None = None

    def __post_init__(self) -> None:
        self.world.watch_points(self._reach)

    def arm(self, death: Death | None) -> None:
        """Count anew, and kill there."""
        self.effects = self.steps = 0
        self.death = death

    def _reach(self, point: Point) -> None:
        if point.kind is PointKind.STEP:
            self.steps += 1
        else:
            self.effects += 1
        death = self.death
        if death is not None and death.number == (self.steps if death.step else self.effects):
            self.death = None
            self.world.kill_bot(power_cut=death.power_cut)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something the bot does, to die in. *begin* sets it going; *done* says that it is over."""

    prepare: Callable[[World], Awaitable[None]]
    begin: Callable[[World], None]
    done: Callable[[World], bool]
    after: Callable[[World, Watch, int], Awaitable[None]]
    """What has to hold of the next life, given when the act began; leaves the account flat."""


async def play(world: World, watch: Watch, reaper: Reaper, act: Act, death: Death | None) -> None:
    """One act, to its end or to the death in it, and the life after."""
    if not world.bot_runs:
        await started(world)
    await act.prepare(world)
    began_ms = world.now_ms
    reaper.arm(death)
    act.begin(world)
    await world.until(lambda: not world.bot_runs or act.done(world), "the act to end")
    reaper.death = None
    world.scripted.wishes.clear()
    world.kill_bot()  # also where its point did not come: right behind the act
    await world.run_for(death.down_ms if death else 0)
    await started(world)
    try:
        await act.after(world, watch, began_ms)
        assert_books(world)
    except AssertionError as broken:
        raise AssertionError(f"killed at {death}: {broken}") from broken
    truth = world.truth()
    assert truth.duplicate_orders == 0, f"killed at {death}: doubled {truth.duplicate_client_ids}"


async def tour(
    world: World, act: Act, choose: Callable[[int, int], Sequence[Death]] | None = None
) -> tuple[int, int]:
    """Play the act with each death that *choose* makes of the counts of effects and steps; those counts."""
    watch, reaper = Watch(world), Reaper(world)
    await started(world)
    await act.prepare(world)
    began_ms = world.now_ms
    reaper.arm(None)
    act.begin(world)
    await world.until(lambda: act.done(world), "the act to end")
    effects, steps = reaper.effects, reaper.steps
    world.scripted.wishes.clear()
    if not world.bot_runs:
        await started(world)
    await act.after(world, watch, began_ms)
    chosen = choose or sample(world.chance.stream(Stream.FAULTS, "deaths"))
    for death in chosen(effects, steps):
        await play(world, watch, reaper, act, death)
    return effects, steps


def sample(chance: random.Random) -> Callable[[int, int], Sequence[Death]]:
    """A seeded choice, the same for the same seed; every third death is a power cut."""

    def choose(effects: int, steps: int) -> Sequence[Death]:
        points = [(False, number) for number in sorted(chance.sample(range(1, effects + 1), EFFECTS))]
        points += [(True, number) for number in sorted(chance.sample(range(1, steps + 1), STEPS))]
        return [
            Death(step, number, power_cut=place % 3 == 2, down_ms=DOWN_MS[place % len(DOWN_MS)])
            for place, (step, number) in enumerate(points)
        ]

    return choose


def assert_books(world: World) -> None:
    """The open trades of the store are the positions of the exchange."""
    truth = {position.symbol: position.quantity for position in world.truth().positions}
    books = {
        trade.symbol: trade.quantity * trade.side.sign
        for trade in booked(world)
        if trade.status is TradeStatus.OPEN
    }
    assert books == truth, f"the books say {books}, the exchange {truth}"


async def let_go(world: World) -> None:
    """Leave every position, as the strategy, until books and exchange are flat."""
    world.scripted.exits |= {position.symbol for position in world.truth().positions}
    await world.until(lambda: not world.truth().positions, "the positions to be left")
    world.scripted.exits.clear()
    await settled(world)


async def settled(world: World) -> None:
    """Until the books have the true exits of all that ended, and no stop is left over."""

    def over() -> bool:
        rows = booked(world)
        closed = all(trade.status is TradeStatus.CLOSED for trade in rows)
        return closed and not live_stops(world, BTC) and not live_stops(world, ETH)

    await world.until(over, "true exits in the books, and no orphan stop", gone_ms(world) + 15_000)


async def nothing(_: World) -> None:
    """The act needs nothing before it."""


# --- the acts ------------------------------------------------------------------------------------


async def _holding(world: World) -> None:
    await enter(world, BTC, Direction.LONG)
    await world.run_for(2_500)


def _wish(world: World) -> None:
    world.scripted.wishes[BTC] = Direction.LONG


async def _after_entry(world: World, watch: Watch, began_ms: int) -> None:
    """One entry at most; what came of it is protected, whole, by the deadline, and still the strategy's."""
    sent = watch.entries(began_ms)
    assert len(sent) <= 1, f"{len(sent)} entries"
    if held(world, BTC):
        deadline_ms = world.settings.protection.protect_deadline_ms
        await world.until(lambda: covered(world, BTC), "a stop", deadline_ms + sending_ms(world))
        (position,) = world.truth().positions
        assert position.quantity == Decimal(sent[0].params["quantity"]), position
        assert position.stops_live == 1, position
        await let_go(world)


ENTRY = Act(prepare=nothing, begin=_wish, done=lambda world: covered(world, BTC), after=_after_entry)


def _lose_the_stop(world: World) -> None:
    world.server.core.cancel_stops_by_hand(world.account_id, BTC)


async def _after_protection(world: World, watch: Watch, began_ms: int) -> None:
    """Exactly one covering stop by the deadline, and nothing else was sent: a stop that may have left is
    not sent again before it is found, or proven dead."""
    deadline_ms = world.settings.protection.protect_deadline_ms
    await world.until(lambda: covered(world, BTC), "a stop", deadline_ms + sending_ms(world))
    assert not watch.entries(began_ms)
    assert not watch.closes(began_ms)
    await world.run_for(world.settings.freshness.orders_ms)
    assert len(live_stops(world, BTC)) == 1, live_stops(world, BTC)
    await let_go(world)


PROTECTION = Act(
    prepare=_holding, begin=_lose_the_stop, done=lambda world: covered(world, BTC), after=_after_protection
)


def _close_by_hand(world: World) -> None:
    world.server.core.close_by_hand(world.account_id, BTC)


async def _after_reconciliation(world: World, watch: Watch, began_ms: int) -> None:
    """Nothing was sent but cancels; the books have the true exit."""
    await settled(world)
    sent = watch.entries(began_ms) + watch.closes(began_ms) + watch.stops(began_ms)
    assert not sent, sent
    last = booked(world)[-1]
    assert last.exit_reason == "EXCHANGE_CLOSED_RECONCILIATION", last
    assert last.exit_cause == "manual", last
    assert last.exit_price, last
    assert not last.exit_estimated, last


RECONCILIATION = Act(
    prepare=_holding,
    begin=_close_by_hand,
    done=lambda world: all(trade.status is TradeStatus.CLOSED for trade in booked(world)),
    after=_after_reconciliation,
)


async def _two(world: World) -> None:
    await enter(world, ETH, Direction.SHORT)
    await _holding(world)


def _shut_down(world: World) -> None:
    world.life.stopping.set()


async def _after_liquidation(world: World, watch: Watch, began_ms: int) -> None:
    """What was begun for good is finished and nothing is left; before that, what is held keeps its stops."""
    assert not watch.entries(began_ms)
    if not watch.alerts("LIQUIDATION_UNFINISHED", began_ms) and world.truth().positions:
        assert covered(world, BTC), "BTC/USDT is not covered"
        assert covered(world, ETH), "ETH/USDT is not covered"
        await let_go(world)
    await world.until(lambda: not world.truth().positions, "the rest to be closed", 2 * cycle_ms(world))
    await settled(world)


LIQUIDATION = Act(
    prepare=_two, begin=_shut_down, done=lambda world: not world.bot_runs, after=_after_liquidation
)


# --- the rows ------------------------------------------------------------------------------------


@row(
    "G19-entry",
    "kill -9 before and after every effect, and between the steps, of an entry",
    "no doubled order; flat, or protected by the deadline after the restart, and the strategy's; books true",
    settings=QUICK,
)
async def killed_in_entry(world: World) -> None:
    await tour(world, ENTRY)


@row(
    "G19-protect",
    "kill -9 at every point of placing a stop again",
    "exactly one covering stop by the deadline after the restart; nothing else is sent",
    settings=QUICK,
)
async def killed_in_protection(world: World) -> None:
    await tour(world, PROTECTION)


@row(
    "G19-reconcile",
    "kill -9 at every point of booking what was closed at the exchange",
    "one trade with its true exit and cause after the restart; nothing is sent but cancels",
    settings=QUICK,
)
async def killed_in_reconciliation(world: World) -> None:
    await tour(world, RECONCILIATION)


@row(
    "G19-liquidate",
    "kill -9 at every point of a liquidation",
    "the next start finishes what was begun for good; else what is held keeps its stops; books true",
    settings=QUICK,
)
async def killed_in_liquidation(world: World) -> None:
    await tour(world, LIQUIDATION)


@row(
    "G19-gone",
    "kill -9 when an entry has left, or has just been answered; its position ends before the restart",
    "the trade is in the books, with its true exit",
    settings=QUICK,
)
async def gone_before_restart(world: World) -> None:
    for writes_later in range(3):
        await started(world)
        _die_after_sending(world, writes_later)
        _wish(world)
        await world.until(lambda: not world.bot_runs and held(world, BTC), "a death behind an entry")
        world.scripted.wishes.clear()
        _close_by_hand(world)
        await world.run_for(DOWN_MS[writes_later])
        await started(world)
        await world.run_for(gone_ms(world))
        await settled(world)
        assert len(booked(world)) == writes_later + 1, f"{len(booked(world))} trades are booked"
        last = booked(world)[-1]
        assert (last.exit_cause, last.adopted, last.strategy) == ("manual", False, "scripted"), last
        assert last.exit_price, last
        assert not last.exit_estimated, last
        world.kill_bot()


def _die_after_sending(world: World, writes_later: int) -> None:
    """Die as the bytes of an entry have left, or that many pieces of the disk's work later."""
    seen: list[Point] = []

    def at_point(point: Point) -> None:
        left = point.kind is PointKind.AFTER_BYTES and point.what == SENDING[world.spec.exchange]["order"]
        if left or (seen and point.kind is PointKind.AFTER_WORK):
            seen.append(point)
            if len(seen) == writes_later + 1:
                world.kill_bot()

    world.watch_points(at_point)
