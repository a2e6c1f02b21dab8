"""Rows of the gauntlet about markets gone mad: gaps, crashes, spreads, no volume, absurd prices."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.orders import Direction
from holdfast.domain.symbol import Symbol
from holdfast.drills.gauntlet.agreement import assert_exit_booked
from holdfast.drills.gauntlet.row import USUAL, row
from holdfast.drills.gauntlet.steps import BTC, ETH, assert_flat_end, covered, enter, held, live_stops
from holdfast.drills.gauntlet.watching import (
    Watch,
    cycle_ms,
    stays,
)
from holdfast.drills.world import World
from holdfast.simulator.faults import Fault, FaultKind


async def no_entry(world: World, watch: Watch, symbol: Symbol, since_ms: float, for_ms: float) -> None:
    """A wish for an entry on *symbol*, and none leaves."""
    world.scripted.wishes[symbol] = Direction.LONG
    await world.run_for(for_ms)
    sent = watch.entries(since_ms, symbol)
    assert not sent, f"{len(sent)} entries on {symbol}, the first after {sent[0].at_ms - since_ms} ms"


async def entries_again(world: World, symbol: Symbol) -> None:
    within_ms = 90_000 + world.settings.breakers.settle_ms
    await world.until(lambda: covered(world, symbol), f"entries on {symbol} again", within_ms)
    world.scripted.wishes.clear()


@row(
    "G28",
    "the price falls by 12 % from one second to the next, a position held on one symbol, another wanted",
    "the stop closes at the exchange, the books follow; no entry on candles that know nothing of it",
)
async def price_gap(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    for symbol in (BTC, ETH):
        world.server.core.move_price(symbol, Decimal("0.88"))
    await no_entry(world, watch, ETH, at_ms, 10_000)
    assert not held(world, BTC), "the stop did not close"
    await assert_exit_booked(world, BTC, "stop")
    await entries_again(world, ETH)
    await assert_flat_end(world)


@row(
    "G28-flash",
    "a flash crash of 10 % and back within ten seconds",
    "the stop closes once; no entry while prices contradict each other; trades on afterwards",
)
async def flash_crash(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    for symbol in (BTC, ETH):
        world.server.core.move_price(symbol, Decimal("0.9"), 2)
    world.scripted.wishes[ETH] = Direction.LONG
    await world.run_for(5_000)
    for symbol in (BTC, ETH):
        world.server.core.move_price(symbol, 1 / Decimal("0.9"), 2)
    await no_entry(world, watch, ETH, at_ms, 5_000)
    await assert_exit_booked(world, BTC, "stop")
    assert world.truth().exits == 1
    await entries_again(world, ETH)
    await assert_flat_end(world)


@row(
    "G28-spread",
    "the spread is fifty times what it was",
    "no entry through it; a lost stop is placed again and closing works; entries come back with the spread",
    settings={**USUAL.settings, "limits.spread_max_ratio": "0.0005"},
)
async def wide_spread(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    core = world.server.core
    usual = core.config.spread_ratio
    for symbol in (BTC, ETH):
        core.set_liquidity(symbol, Decimal(1), usual * 50)
    core.cancel_stops_by_hand(world.account_id, BTC)
    await no_entry(world, watch, ETH, at_ms, 20_000)
    refused = [line for line in watch.said("decision.refused", at_ms) if "spread" in str(line.fields["text"])]
    assert refused, "no entry was refused for the spread"
    assert covered(world, BTC)
    core.set_liquidity(ETH, Decimal(1), usual)
    await entries_again(world, ETH)
    await assert_flat_end(world)


@row(
    "G28-volume",
    "nothing is traded any more: orders at market find nobody",
    "closing pauses ever longer and that is told; the stop stays; closed when there is volume",
)
async def no_volume(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    core = world.server.core
    for symbol in (BTC, ETH):
        core.set_liquidity(symbol, Decimal(0))
    world.scripted.exits.add(BTC)
    world.scripted.wishes[ETH] = Direction.LONG
    await stays(world, lambda: covered(world, BTC), "the stop while closing finds nobody", 60_000)
    tried = len(watch.closes(at_ms, BTC))
    assert 1 <= tried <= CLOSES_A_MINUTE, f"{tried} closing orders in a minute"
    assert watch.alerts("CLOSE_REFUSED", at_ms), "no alert that closing comes to nothing"
    assert not held(world, ETH)
    for symbol in (BTC, ETH):
        core.set_liquidity(symbol, Decimal(1))
    patience_ms = world.settings.protection.retry_max_ms + cycle_ms(world)
    await world.until(lambda: not held(world, BTC), "closed when there is volume", patience_ms)
    world.scripted.exits.clear()
    await entries_again(world, ETH)
    await assert_flat_end(world)


CLOSES_A_MINUTE = 15
"""Doubling pauses of half a second to eight; a close that was taken and found nobody waits for a read."""


def absurd(word: str) -> Fault:
    """Mark prices say nonsense, on the stream and by REST."""
    return Fault(
        kind=FaultKind.FIELD_CHANGED,
        member="p|markPrice",
        path="premiumIndex|positionRisk|markPrice",
        word=word,
    )


async def absurd_price(world: World, direction: Direction, word: str, patience_ms: int = 0) -> None:
    """A position whose stop is lost while marks say *word*: the stop comes back, nothing is closed, and
    after *patience_ms* (an older price may stand for so long) nothing is entered."""
    watch = Watch(world)
    await enter(world, BTC, direction)
    stood = live_stops(world, BTC)[0].trigger_price
    at_ms = world.now_ms
    number = world.server.faults.add(absurd(word))
    await world.run_for(3_000)
    world.server.core.cancel_stops_by_hand(world.account_id, BTC)
    await world.run_for(patience_ms)
    await no_entry(world, watch, ETH, at_ms, 20_000)
    assert not watch.closes(at_ms), "a position was closed for a price that cannot be"
    assert covered(world, BTC)
    assert live_stops(world, BTC)[0].trigger_price == stood
    world.server.faults.remove(number)
    await entries_again(world, ETH)
    await assert_flat_end(world)


@row(
    "G28-zero",
    "mark prices are 0",
    "no entry once the last true price is too old; nothing is closed; a lost stop comes back where it stood",
)
async def price_zero(world: World) -> None:
    await absurd_price(world, Direction.LONG, "0", world.settings.limits.mark_age_ms_max)


@row("G28-nan", "mark prices are NaN", "the same")
async def price_nan(world: World) -> None:
    await absurd_price(world, Direction.LONG, "NaN", world.settings.limits.mark_age_ms_max)


@row(
    "G28-huge",
    "mark prices are a billion, a short position held",
    "no entry; nothing is closed; a lost stop comes back where it stood",
)
async def price_huge(world: World) -> None:
    await absurd_price(world, Direction.SHORT, "1000000000")


@row("G28-tiny", "mark prices are 0.01, a long position held", "the same")
async def price_tiny(world: World) -> None:
    await absurd_price(world, Direction.LONG, "0.01")


@row(
    "G28-frozen",
    "mark prices stand still while the market goes on by 3 %",
    "no entry where book and mark contradict each other; protection goes on",
)
async def mark_frozen(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    core = world.server.core
    for symbol in (BTC, ETH):
        core.freeze_mark(symbol, frozen=True)
        core.move_price(symbol, Decimal("1.03"), 2)
    await world.run_for(3_000)
    at_ms = world.now_ms
    core.cancel_stops_by_hand(world.account_id, BTC)
    await no_entry(world, watch, ETH, at_ms, 20_000)
    assert covered(world, BTC)
    for symbol in (BTC, ETH):
        core.freeze_mark(symbol, frozen=False)
    await entries_again(world, ETH)
    await assert_flat_end(world)
