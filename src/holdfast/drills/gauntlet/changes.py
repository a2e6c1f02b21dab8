"""Rows of the gauntlet about a bot that is started again: with other settings, or while it still runs."""

from __future__ import annotations

import asyncio

from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.agreement import assert_exit_booked
from holdfast.drills.gauntlet.row import row
from holdfast.drills.gauntlet.steps import (
    BTC,
    ETH,
    assert_flat_end,
    assert_protected_once,
    booked,
    covered,
    enter,
    held,
    live_stops,
    started,
)
from holdfast.drills.gauntlet.watching import Watch, cycle_ms, sending_ms
from holdfast.drills.person import CHANGES
from holdfast.drills.world import World
from holdfast.store.errors import StoreError


async def changed(world: World, change: str) -> Watch:
    """A position; the bot is killed, its stop is cancelled, the tick grows, and it is started with other
    settings."""
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    world.kill_bot()
    world.server.core.cancel_stops_by_hand(world.account_id, BTC)
    rules = world.server.core.instrument(BTC)
    world.server.core.set_filters(BTC, price_step=min(rules.price_step * 1000, world.wire.tick_max))
    world.settings = CHANGES[change](world.settings, (BTC,))
    at_ms = world.now_ms
    await started(world)
    await world.until(lambda: covered(world, BTC), "its stop again", cycle_ms(world) + sending_ms(world))
    await world.run_for(60_000)
    (trade,) = booked(world)
    assert (trade.adopted, trade.strategy) == (False, "scripted"), trade
    assert not watch.closes(at_ms), "closed, though nobody wanted that"
    await assert_protected_once(world, BTC)
    return watch


async def change_taken_back(world: World) -> None:
    """Started with the old settings: its strategy has it again and leaves it."""
    world.kill_bot()
    world.settings = world.spec.bot_settings()
    await started(world)
    await assert_protected_once(world, BTC)
    world.scripted.exits.add(BTC)
    await world.until(lambda: not held(world, BTC), "the strategy's exit", 20_000)
    world.scripted.exits.clear()
    await assert_exit_booked(world, BTC, "bot")
    await assert_flat_end(world)


@row(
    "G19-symbol",
    "killed, and started without a symbol that it holds; the stop of that is gone too",
    "protected as soon as the account is read, never closed for that, told that nobody leads it any more",
)
async def a_symbol_is_gone(world: World) -> None:
    at_ms = world.now_ms
    watch = await changed(world, "symbol")
    assert BTC not in world.settings.symbols
    assert watch.alerts("NOT_LED", at_ms, symbol=str(BTC), severity="warning"), "not told"
    back_ms = world.now_ms
    await change_taken_back(world)
    assert not watch.alerts("NOT_LED", back_ms)


@row(
    "G19-symbol-end",
    "started without a symbol that it holds, later told to end",
    "entries on the others go on; ends flat, what it holds on that symbol included, with its true exit",
)
async def a_symbol_is_gone_at_the_end(world: World) -> None:
    await changed(world, "symbol")
    world.scripted.wishes[ETH] = Direction.LONG
    await world.until(lambda: covered(world, ETH), "entries on what is left", 20_000)
    world.scripted.wishes.clear()
    await assert_flat_end(world)
    trade = next(each for each in booked(world) if each.symbol == BTC)
    assert (trade.exit_cause, trade.exit_estimated) == ("bot", False), trade


@row(
    "G19-strategies",
    "killed, and started without the strategy that opened what it holds",
    "protected all the same, told that nobody leads it any more; the strategy that comes back has it again",
)
async def its_strategy_is_gone(world: World) -> None:
    at_ms = world.now_ms
    watch = await changed(world, "strategies")
    assert watch.alerts("NOT_LED", at_ms, symbol=str(BTC), severity="warning"), "not told"
    await change_taken_back(world)


@row(
    "G19-settings",
    "killed, and started with half the stop distance, another leverage, and one position at most",
    "the stop stands again where it stood; no entry beside it; nothing is closed",
)
async def settings_are_others(world: World) -> None:
    await enter(world, BTC, Direction.LONG)
    before = live_stops(world, BTC)[0].trigger_price
    for change in ("stop", "leverage"):
        world.settings = CHANGES[change](world.settings, (BTC,))
    watch = await changed(world, "positions")
    after, step = live_stops(world, BTC)[0].trigger_price, world.server.core.instrument(BTC).price_step
    assert abs(after - before) < step, (before, after)
    at_ms = world.now_ms
    world.scripted.wishes[ETH] = Direction.LONG
    await world.run_for(30_000)
    assert not watch.entries(at_ms), "an entry beyond the new limit"
    world.scripted.wishes.clear()
    await change_taken_back(world)


async def refused_second(world: World) -> None:
    why = await world.start_second()
    assert isinstance(why, StoreError), why
    assert "expected no other holdfast in it, found process" in str(why)


@row(
    "G27-home",
    "a second bot is started in the home of the first: while that trades, after its death, while it ends",
    "refused at once, naming who holds the home; the first trades on and ends flat; a death leaves no lock",
)
async def second_in_one_home(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    await refused_second(world)
    await enter(world, ETH, Direction.LONG)
    assert len(watch.entries()) == 2, watch.entries()
    world.kill_bot()
    await started(world)
    ending = asyncio.create_task(assert_flat_end(world))
    await asyncio.sleep(0)
    await refused_second(world)
    await ending
