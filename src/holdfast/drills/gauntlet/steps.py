"""What drills do again and again: start, enter, look, end."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.domain.orders import Direction
from holdfast.domain.symbol import Symbol
from holdfast.drills.world import World
from holdfast.engine.liquidation import LiquidationState
from holdfast.simulator.core.engine import Core
from holdfast.simulator.core.model import SimAlgo
from holdfast.store.books import Trade, trades

BTC, ETH = Symbol.parse("BTC/USDT"), Symbol.parse("ETH/USDT")


async def started(world: World) -> None:
    """A running bot that knows its account and may enter."""
    world.start_bot()
    await world.await_sync()
    await world.run_for(1_000)


def covered(world: World, symbol: Symbol) -> bool:
    """Whether an open position of the symbol has a covering stop at the exchange."""
    return any(p.covered for p in world.truth().positions if p.symbol == symbol)


def held(world: World, symbol: Symbol) -> bool:
    """Whether a position of the symbol is open at the exchange."""
    return any(p.symbol == symbol for p in world.truth().positions)


async def enter(world: World, symbol: Symbol, direction: Direction) -> None:
    """The usual beginning: one position with its stop, and no further wishes. Starts the bot if needed."""
    if not world.bot_runs:
        await started(world)
    world.scripted.wishes[symbol] = direction
    await world.until(lambda: held(world, symbol), f"a position in {symbol}")
    del world.scripted.wishes[symbol]
    await world.until(lambda: covered(world, symbol), f"a stop for {symbol}")


def naked_ms(world: World) -> int:
    """The longest that any position ever was without a covering stop."""
    return int(world.truth().naked_seconds_max * 1000)


def by_hand(world: World, deed: Callable[[Core], object]) -> None:
    """What its owner or its operators do at the exchange, at this moment; the streams tell of it."""
    world.server.step()
    deed(world.server.core)
    world.server.step()


def live_stops(world: World, symbol: Symbol) -> list[SimAlgo]:
    """Conditional orders of the symbol that stand at the exchange, oldest first."""
    world.server.step()
    account = world.server.core.view(world.account_id)
    live = (account.algos[algo_id] for algo_id in account.live_algos)
    return [algo for algo in live if algo.symbol == symbol]


def booked(world: World) -> tuple[Trade, ...]:
    """Every trade that the running bot's store holds, oldest first."""
    store = world.life.store
    assert store is not None
    return store.read(trades)


async def assert_protected_once(world: World, symbol: Symbol) -> None:
    """One stop at rest, which covers all of the position, and stays so over two censuses of its symbol."""
    for _ in range(3):
        (position,) = (p for p in world.truth().positions if p.symbol == symbol)
        assert position.covered, f"{symbol} is not covered"
        assert position.stops_live == 1, f"{position.stops_live} stops stand for {symbol}"
        await world.run_for(world.settings.freshness.orders_ms)
    assert world.truth().duplicate_orders == 0, world.truth().duplicate_client_ids


async def assert_flat_end(world: World) -> None:
    """SIGTERM ends completed, with nothing left at the exchange."""
    result = await world.stop_bot()
    assert result is not None
    assert result.state is LiquidationState.COMPLETED, result
    truth = world.truth()
    assert not truth.positions, truth.positions
    assert not truth.orphan_stops, truth.orphan_stops
