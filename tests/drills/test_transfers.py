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
from holdfast.drills.gauntlet.steps import BTC, ETH, assert_flat_end, by_hand, enter, started
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


def told_late(world: World, delay_ms: int) -> None:
    world.server.faults.add(
        Fault(kind=FaultKind.EVENTS_DELAYED, stream="user", path="ACCOUNT_UPDATE", delay_ms=delay_ms, times=1)
    )


def never_told(world: World) -> None:
    world.server.faults.add(
        Fault(kind=FaultKind.EVENTS_DROPPED, stream="user", path="ACCOUNT_UPDATE", times=1)
    )


def unlisted(world: World) -> None:
    world.server.faults.add(Fault(kind=FaultKind.ENDPOINT_DOWN, path="/fapi/v1/income"))


def test_withdrawal_told_late_blocks_entries_until_it_is_told() -> None:
    """The reads show it long before the stream does, and the exchange's list is out of reach."""

    async def scenario(world: World) -> None:
        await enter(world, BTC, Direction.LONG)
        told_late(world, 20_000)
        unlisted(world)
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


def test_deposit_told_late_is_no_gain_that_is_lost_afterwards() -> None:
    async def scenario(world: World) -> None:
        await enter(world, BTC, Direction.LONG)
        told_late(world, 20_000)
        await moved(world, -OUT)
        assert_unmoved(world, Decimal(18_000))
        await assert_flat_end(world)

    run_world(USUAL, scenario)


@pytest.mark.parametrize("amount", [OUT, -OUT])
def test_transfer_that_no_stream_tells_is_found_in_the_list(amount: Decimal) -> None:
    """A lost event, or an exchange whose stream does not say why the balance changed."""

    async def scenario(world: World) -> None:
        await enter(world, BTC, Direction.LONG)
        never_told(world)
        await moved(world, amount)
        if amount > 0:  # a rise is no reason to look; it is seen in its turn
            await world.run_for(600_000)
        assert_unmoved(world, 10_000 + amount)
        assert [d.kind for d in bot_of(world).account.decisions].count("transfer") == 1
        await assert_flat_end(world)

    run_world(USUAL, scenario)


def test_loss_that_no_transfer_explains_steps_the_mode_down() -> None:
    async def scenario(world: World) -> None:
        await enter(world, BTC, Direction.LONG)
        never_told(world)
        unlisted(world)
        by_hand(world, lambda core: core.transfer(world.account_id, OUT))
        await world.run_for(30_000 + FALL_PROVEN_MS + 5_000)
        assert bot_of(world).account.mode is Mode.REDUCE_ONLY
        await assert_flat_end(world)

    run_world(USUAL, scenario)


@pytest.mark.parametrize("listed", [True, False])
def test_a_restart_forgives_no_loss_and_takes_no_withdrawal_for_one(listed: bool) -> None:
    """What went out while nobody ran is in the exchange's list; what the list does not explain was lost."""

    async def scenario(world: World) -> None:
        await started(world)
        await world.run_for(60_000)
        world.kill_bot()
        by_hand(world, lambda core: core.transfer(world.account_id, OUT))
        await world.run_for(30_000)
        if not listed:
            unlisted(world)
        world.start_bot()
        await world.await_sync()
        await world.run_for(2 * FALL_PROVEN_MS)
        if listed:
            assert_unmoved(world, Decimal(2_000))
        else:
            account = bot_of(world).account
            assert account.mode is Mode.REDUCE_ONLY
            assert account.equity is not None
            assert account.equity.peak > 9_000
            assert account.equity.day_start > 9_000
        await assert_flat_end(world)

    run_world(USUAL, scenario)
