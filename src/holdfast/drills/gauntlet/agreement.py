"""Whether the bot's books agree with the exchange."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.symbol import Symbol
from holdfast.drills.gauntlet.steps import booked
from holdfast.drills.gauntlet.watching import gone_ms, round_trip_ms
from holdfast.drills.world import World
from holdfast.store.words import TradeStatus


def tracked_quantity(world: World, symbol: Symbol) -> Decimal:
    """What the bot's books hold, signed; in hedge mode of both sides together."""
    tracked = (each for each in world.bot.account.state.tracked.values() if each.key.symbol == symbol)
    return sum((each.quantity * each.direction.sign for each in tracked), Decimal(0))


def true_quantity(world: World, symbol: Symbol) -> Decimal:
    """What the exchange holds, signed; in hedge mode of both sides together."""
    found = (each.quantity for each in world.truth().positions if each.symbol == symbol)
    return sum(found, Decimal(0))


def in_step(world: World, symbol: Symbol) -> bool:
    """Whether the books hold what the exchange holds."""
    return tracked_quantity(world, symbol) == true_quantity(world, symbol)


async def assert_exit_booked(world: World, symbol: Symbol, cause: str) -> None:
    """Books flat within the bound of reading, the true exit soon after, each execution once."""
    await world.until(lambda: in_step(world, symbol), f"{symbol} closed in the books", gone_ms(world))
    await world.until(
        lambda: booked(world)[-1].status is TradeStatus.CLOSED, "the true exit", 10_000 + round_trip_ms(world)
    )
    last = booked(world)[-1]
    assert (last.symbol, last.exit_cause, last.exit_estimated) == (symbol, cause, False), last
