"""Rows of the gauntlet about what a bot relies on: its account's modes, the lease, its keys."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.orders import Direction, PositionSide, Side
from holdfast.drills.gauntlet.agreement import in_step
from holdfast.drills.gauntlet.elsewhere import SIGNED
from holdfast.drills.gauntlet.endings import ordered
from holdfast.drills.gauntlet.row import row
from holdfast.drills.gauntlet.steps import (
    BTC,
    ETH,
    assert_flat_end,
    booked,
    by_hand,
    covered,
    enter,
    held,
    started,
)
from holdfast.drills.gauntlet.watching import (
    LOOK_MS,
    Watch,
    cycle_ms,
    gone_ms,
    one_way_ms,
    round_trip_ms,
    sending_ms,
)
from holdfast.drills.world import World
from holdfast.simulator.core.truth import PositionTruth
from holdfast.simulator.faults import Fault, FaultKind
from holdfast.store.lease import take_lease

# --- G25: the account's settings -----------------------------------------------------------------


def sides(world: World) -> dict[PositionSide, PositionTruth]:
    """What stands on BTC, by the side of hedge mode."""
    return {position.side: position for position in world.truth().positions if position.symbol == BTC}


def both_covered(world: World) -> bool:
    """Each side by one stop of its own."""
    found = sides(world).values()
    return len(found) == 2 and all(each.covered and each.stops_live == 1 for each in found)


async def both_sides(world: World) -> None:
    """Hedge mode: the bot is long, and its owner sells as much short by hand."""
    await enter(world, BTC, Direction.LONG)
    (mine,) = sides(world).values()
    assert mine.side is PositionSide.LONG, mine
    by_hand(world, lambda core: core.open_by_hand(world.account_id, BTC, Side.SELL, mine.quantity))
    within = cycle_ms(world) + sending_ms(world)
    await world.until(lambda: both_covered(world), "a stop for each side", within)


@row(
    "G25-sides",
    "hedge mode: the owner opens the other side of what the bot holds, later cancels all stops, and the bot"
    " is killed and started",
    "each side has one stop of its own, also after that; one liquidation closes both, and the books say whose"
    " each was",
    position_mode=PositionMode.HEDGE,
)
async def two_sides(world: World) -> None:
    await both_sides(world)
    by_hand(world, lambda core: core.cancel_stops_by_hand(world.account_id, BTC))
    within = cycle_ms(world) + sending_ms(world)
    await world.until(lambda: both_covered(world), "both stops again", within)
    world.kill_bot()
    by_hand(world, lambda core: core.cancel_stops_by_hand(world.account_id, BTC))
    await started(world)
    await world.until(lambda: both_covered(world), "both stops after the start", within)
    for _ in range(3):
        await world.run_for(world.settings.freshness.orders_ms)
        assert both_covered(world), sides(world)
    assert world.truth().entries == 2, "something was opened anew"
    await assert_flat_end(world)
    whose = {trade.position_side: trade.adopted for trade in booked(world)}
    assert whose == {PositionSide.LONG: False, PositionSide.SHORT: True}, whose


@row(
    "G25-sides-stop",
    "hedge mode, both sides held: the price runs through the stop of one",
    "its books close with the stop's price; the other side keeps its one stop, none is left for the first",
    position_mode=PositionMode.HEDGE,
)
async def one_side_is_stopped(world: World) -> None:
    await both_sides(world)
    world.server.core.move_price(BTC, Decimal("0.985"), 2)
    await world.until(lambda: set(sides(world)) == {PositionSide.SHORT}, "the long stopped out", 20_000)
    await world.run_for(2 * cycle_ms(world))
    (left,) = sides(world).values()
    assert (left.covered, left.stops_live) == (True, 1), left
    assert not world.truth().orphan_stops, world.truth().orphan_stops
    (long,) = (trade for trade in booked(world) if trade.position_side is PositionSide.LONG)
    assert (long.exit_cause, long.exit_price is not None) == ("stop", True), long
    await assert_flat_end(world)


LEVERAGE_MS = 60_000
"""Leverage that was changed is set back at most so late."""


@row(
    "G25",
    "one-way becomes hedge by hand, then the owner opens a position there",
    "entries are refused with that reason, at most one is even tried; alert; the foreign position is"
    " protected on its side and closes still work; entries come back with the mode",
)
async def hedge_by_hand(world: World) -> None:
    watch = Watch(world)
    await started(world)
    await world.run_for(world.settings.breakers.settle_ms)
    at_ms = world.now_ms
    core, account = world.server.core, world.account_id
    core.set_position_mode(account, PositionMode.HEDGE)
    world.scripted.wishes[BTC] = Direction.LONG
    await world.run_for(20_000)
    assert len(watch.entries(at_ms)) <= 1, watch.entries(at_ms)
    assert not world.truth().positions
    tried = watch.entries(at_ms)[0].at_ms if watch.entries(at_ms) else at_ms
    watch.assert_told("ACCOUNT_DRIFT", tried, cycle_ms(world), "critical")
    refused = [
        line for line in watch.said("decision.refused", at_ms) if "position_mode" in str(line.fields["text"])
    ]
    assert refused, "no entry was refused for the position mode"
    world.scripted.wishes.clear()
    core.open_by_hand(account, ETH, Side.SELL, Decimal("0.5"))
    await world.until(lambda: covered(world, ETH), "a stop on the side", cycle_ms(world) + sending_ms(world))
    (position,) = world.truth().positions
    assert position.side is PositionSide.SHORT, position
    answer = await ordered(world, lambda bot: bot.flatten(who="drill", why="G25"))
    assert answer.done, answer
    assert not world.truth().positions
    await ordered(world, lambda bot: bot.run(who="drill", why="go on"))
    back_ms = world.now_ms
    core.set_position_mode(account, PositionMode.ONE_WAY)
    await enter(world, BTC, Direction.LONG)
    seen_ms = world.settings.freshness.orders_ms + round_trip_ms(world) + world.spec.read_lag_ms[1]
    (over,) = watch.over("ACCOUNT_DRIFT", back_ms)
    assert over.at_ms - back_ms <= seen_ms + LOOK_MS, f"seen after {over.at_ms - back_ms} ms"
    await assert_flat_end(world)


@row(
    "G25-leverage",
    "leverage is raised far past the limit by hand, on a symbol without a position",
    "no entry at that leverage: it is set back first",
)
async def leverage_by_hand(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    world.server.core.set_leverage(world.account_id, ETH, 50)
    world.scripted.wishes[ETH] = Direction.LONG
    await world.until(lambda: covered(world, ETH), "an entry", LEVERAGE_MS + 20_000)
    entry = watch.entries(at_ms)[0].at_ms
    back = watch.requests("POST", "/leverage$", at_ms, ETH)
    assert back, "entered at leverage 50"
    assert back[0].at_ms < entry, "entered before the leverage was set back"
    leverage = world.server.core.view(world.account_id).leverage[ETH]
    assert leverage == world.settings.trading.leverage, f"entered at leverage {leverage}"
    world.scripted.wishes.clear()
    assert covered(world, BTC)
    await assert_flat_end(world)


@row(
    "G25-leverage-held",
    "leverage is changed by hand on a symbol with a position",
    "told, for it moves the liquidation price; the stop stays nearer than that",
)
async def leverage_by_hand_where_held(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    world.server.core.set_leverage(world.account_id, BTC, 50)
    await world.run_for(cycle_ms(world))
    assert covered(world, BTC)
    watch.assert_told("ACCOUNT_DRIFT", at_ms, cycle_ms(world), "critical")


@row(
    "G25-margin",
    "a symbol's margin mode is changed to isolated by hand",
    "entries on it are refused with that reason; told",
)
async def margin_mode_by_hand(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    world.server.core.set_margin_mode(world.account_id, ETH, MarginMode.ISOLATED)
    world.scripted.wishes[ETH] = Direction.LONG
    await world.run_for(30_000)
    assert covered(world, BTC)
    assert not watch.entries(at_ms), "an entry with the wrong margin mode"
    watch.assert_told("ACCOUNT_DRIFT", at_ms, cycle_ms(world), "critical")
    await assert_flat_end(world)


# --- G27: two instances --------------------------------------------------------------------------


async def lease_stolen(world: World) -> Watch:
    """A position; then another instance takes the account over, and a wish for an entry."""
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    store = world.life.store
    assert store is not None
    at_ms = world.now_ms
    store.write(lambda c: take_lease(c, world.settings.account_id, "another instance", at_ms))
    world.scripted.wishes[ETH] = Direction.LONG
    await world.run_for(20_000)
    assert not watch.entries(at_ms), "an entry without the lease"
    assert covered(world, BTC)
    return watch


@row(
    "G27",
    "another instance takes the account over while this one trades",
    "this one sends no entry any more; what it holds stays protected",
)
async def no_entry_without_the_lease(world: World) -> None:
    await lease_stolen(world)


@row(
    "G27-told",
    "another instance takes the account over while this one trades",
    "this one says so at once, and ends; what it holds stays protected",
)
async def a_lost_lease_is_told(world: World) -> None:
    at_ms = world.now_ms
    watch = await lease_stolen(world)
    watch.assert_told("LEASE_LOST", at_ms, 60_000, "critical")
    assert not world.bot_runs


@row(
    "G27-second",
    "a second instance is started on the account while the first one trades",
    "the second refuses to start; the first trades on",
)
async def second_instance(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    first = world.life
    second = world.start_bot(beside=True)
    try:
        await world.run_for(10_000)
        assert not second.running, "the second instance runs"
        assert first.running, "the first instance ended"
        at_ms = world.now_ms
        world.scripted.wishes[ETH] = Direction.LONG
        await world.until(lambda: covered(world, ETH), "the first trades on")
        assert len(watch.entries(at_ms)) == 1
    finally:
        world.loop.kill(first.process)
        world.network.kill(first.process)


# --- G29: keys -----------------------------------------------------------------------------------


def revoked(path: str = "^/fapi/", method: str = "", **fields: object) -> Fault:
    """The key is refused wherever it is looked at."""
    words = {"status": 401, "code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
    return Fault(kind=FaultKind.REJECT, method=method, path=path, **{**words, **fields})  # type: ignore[arg-type]


async def refused_key(world: World, fault: Fault) -> None:
    """A position; then the key is refused for two minutes while the stop triggers; then it works again."""
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    await enter(world, ETH, Direction.LONG)
    at_ms = world.now_ms
    number = world.server.faults.add(fault)
    world.scripted.wishes.clear()
    await world.run_for(60_000)
    watch.assert_told("READ_FAILING", at_ms, cycle_ms(world), "critical")
    assert covered(world, BTC)
    assert covered(world, ETH)
    world.server.core.move_price(BTC, Decimal("0.98"), 5)
    await world.run_for(60_000)
    assert not held(world, BTC), "the stop did not carry"
    sent = [each for each in watch.arrived if each.at_ms >= at_ms]
    assert len(sent) <= 600, f"{len(sent)} requests in two minutes with a key that is refused"
    world.server.faults.remove(number)
    await world.until(lambda: in_step(world, BTC), "the books true again", 30_000 + gone_ms(world))
    await world.until(lambda: bool(watch.over("READ_FAILING", at_ms)), "the end of it told", 30_000)
    await enter(world, BTC, Direction.LONG)
    await assert_flat_end(world)


@row(
    "G29",
    "the key is revoked (-2015 to everything signed) while positions are open; a stop triggers meanwhile",
    "critical alert within a cycle; the exchange-side stops carry; no storm; true books when it works again",
)
async def key_revoked(world: World) -> None:
    await refused_key(world, revoked(SIGNED))


@row(
    "G29-expired",
    "the key's permissions expire (-2014 format, 401)",
    "the same",
)
async def key_expired(world: World) -> None:
    await refused_key(world, revoked(SIGNED, code=-2014, msg="API-key format invalid."))


@row(
    "G29-trade",
    "the key may read but not trade any more (-2015 to orders and stops), and the stop is cancelled by hand",
    "critical alert at once; one entry at most is tried; protected or closed when the key may trade again",
)
async def key_may_not_trade(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    number = world.server.faults.add(revoked(r"/(order|algoOrder)$"))
    world.scripted.wishes[ETH] = Direction.LONG
    world.server.core.cancel_stops_by_hand(world.account_id, BTC)
    await world.run_for(60_000)
    watch.assert_told("STOP_REFUSED", at_ms, 2 * sending_ms(world) + one_way_ms(world), "critical")
    assert len(watch.entries(at_ms)) <= 1, f"{len(watch.entries(at_ms))} entries with a key that may not"
    world.scripted.wishes.clear()
    world.server.faults.remove(number)
    patience_ms = world.settings.protection.retry_max_ms + cycle_ms(world)
    await world.until(lambda: covered(world, BTC) or not held(world, BTC), "protected or flat", patience_ms)
    await assert_flat_end(world)
