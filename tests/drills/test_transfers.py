"""Money that goes out or comes in while the bot trades: it is no loss, and no gain."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from holdfast.decisions.breakers import FALL_PROVEN_MS
from holdfast.decisions.gate import Mode, Refusal
from holdfast.decisions.step import Read, Want
from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.row import USUAL
from holdfast.drills.gauntlet.steps import BTC, ETH, assert_flat_end, by_hand, enter
from holdfast.drills.world import World, run_world
from holdfast.engine.bot import Bot
from holdfast.simulator.faults import Fault, FaultKind

OUT = Decimal(-8_000)


def bot_of(world: World) -> Bot:
    bot = world.life.bot
    assert bot is not None
    return bot


async def moved(world: World, amount: Decimal) -> None:
    """A transfer, and a minute after it."""
    by_hand(world, lambda core: core.transfer(world.account_id, amount))
    await world.run_for(60_000)


def assert_unmoved(world: World, equity: Decimal) -> None:
    """No loss is seen, and what equity is held against is what there is now."""
    account = bot_of(world).account
    assert (account.mode, account.mode_why) == (Mode.NORMAL, "")
    assert Refusal.DRAWDOWN not in account.breakers.blocks
    track = account.equity
    assert track is not None
    assert track.drawdown_ratio < Decimal("0.02")
    assert track.day_loss_ratio < Decimal("0.02")
    assert abs(track.peak - equity) < equity / 20


@pytest.mark.parametrize("lag_ms", [0, 1_900])
def test_withdrawal_and_deposit_are_no_loss_though_reads_lag(lag_ms: int) -> None:
    async def scenario(world: World) -> None:
        await enter(world, BTC, Direction.LONG)
        await moved(world, OUT)
        assert_unmoved(world, Decimal(2_000))
        await moved(world, -OUT)
        assert_unmoved(world, Decimal(10_000))
        await enter(world, ETH, Direction.LONG)
        await assert_flat_end(world)

    run_world(replace(USUAL, read_lag_ms=(lag_ms, lag_ms)), scenario)


def test_withdrawal_told_late_blocks_entries_until_it_is_told() -> None:
    """The reads show it long before the stream does."""

    async def scenario(world: World) -> None:
        await enter(world, BTC, Direction.LONG)
        late = Fault(
            kind=FaultKind.EVENTS_DELAYED, stream="user", path="ACCOUNT_UPDATE", delay_ms=20_000, times=1
        )
        world.server.faults.add(late)
        by_hand(world, lambda core: core.transfer(world.account_id, OUT))
        await world.run_for(1_000)
        bot_of(world).supervisor.ask(Want(Read.BALANCE, None, world.now_ms))
        await world.run_for(10_000)
        account = bot_of(world).account
        assert Refusal.DRAWDOWN in account.breakers.blocks
        assert account.mode is Mode.NORMAL
        await world.run_for(60_000)
        assert_unmoved(world, Decimal(2_000))
        await assert_flat_end(world)

    run_world(USUAL, scenario)


def test_loss_that_no_transfer_explains_steps_the_mode_down() -> None:
    async def scenario(world: World) -> None:
        await enter(world, BTC, Direction.LONG)
        silent = Fault(kind=FaultKind.EVENTS_DROPPED, stream="user", path="ACCOUNT_UPDATE", times=1)
        world.server.faults.add(silent)
        by_hand(world, lambda core: core.transfer(world.account_id, OUT))
        await world.run_for(30_000 + FALL_PROVEN_MS + 5_000)
        assert bot_of(world).account.mode is Mode.REDUCE_ONLY
        await assert_flat_end(world)

    run_world(USUAL, scenario)
