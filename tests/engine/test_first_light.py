"""The thin full path: an entry, its stop, its close, a flat shutdown."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from holdfast.decisions.gate import Refusal
from holdfast.domain.account import PositionMode
from holdfast.domain.orders import Direction
from holdfast.engine.account import Account
from holdfast.engine.liquidation import LiquidationState
from tests.engine.world import BTC, world

EXCHANGES = ("binance", "bingx", "bitget")


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("mode", PositionMode)
async def test_entry_is_protected_and_shutdown_ends_flat(
    tmp_path: Path, exchange: str, mode: PositionMode
) -> None:
    """One entry, one covering stop, books that agree, and nothing left after the stop."""
    async with world(tmp_path, exchange=exchange, mode=mode) as w, w.bot() as running:
        w.strategy.wishes = {BTC: Direction.LONG}
        await running.until(lambda: bool(w.truth().positions), "a position")
        await running.until(lambda: not w.truth().unprotected_now, "a stop")
        w.strategy.wishes = {}
        shown = running.bot.view.positions[0]
        assert shown.leverage == 5, "ROE is counted on the leverage that was set, not on a row of before"
        truth = w.truth()
        (held,) = truth.positions
        assert held.side is mode.side_of(Direction.LONG)
        assert truth.duplicate_orders == 0
        assert truth.naked_seconds_max < 1
        result = await running.stop()
        assert result.state is LiquidationState.COMPLETED
        after = w.truth()
        assert not [p for p in after.positions if p.quantity]
        assert running.bot.view.unprotected == ()


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_restart_knows_its_stop_by_name(tmp_path: Path, exchange: str) -> None:
    """Though BingX keeps no client ids of stops. One covers, a second is not placed."""
    async with world(tmp_path, exchange=exchange) as w:
        async with w.bot() as running:
            w.strategy.wishes = {BTC: Direction.LONG}
            await running.until(lambda: bool(w.truth().positions), "a position")
            await running.until(lambda: not w.truth().unprotected_now, "a stop")
            await running.until(lambda: names_of_stops(running.bot.account) != [], "its name")
            w.strategy.wishes = {}
            names = names_of_stops(running.bot.account)
        async with w.bot() as running:
            await running.until(lambda: bool(running.bot.view.positions), "the position again")
            await asyncio.sleep(1.5)  # longer than a missing stop would be left missing
            assert names_of_stops(running.bot.account) == names
            assert all(map(running.bot.account.state.is_ours, names))
            (held,) = w.truth().positions
            assert (held.covered, held.stops_live) == (True, 1)
            assert running.bot.view.unprotected == ()
            result = await running.stop()
        assert result.state is LiquidationState.COMPLETED
        assert not [p for p in w.truth().positions if p.quantity]


@pytest.mark.parametrize("exchange", ["binance", "bingx", "bitget"])
async def test_what_went_out_while_nobody_ran_is_no_loss(tmp_path: Path, exchange: str) -> None:
    """Every exchange lists transfers; what the last run held equity against moves with them (R1.7)."""
    async with world(tmp_path, exchange=exchange) as w:
        async with w.bot() as running:
            await running.until(lambda: running.bot.account.equity is not None, "equity")
            await asyncio.sleep(0.5)  # until the snapshot is written
        w.server.core.transfer(w.account_id, Decimal(-8_000))
        async with w.bot() as running:
            account = running.bot.account
            await running.until(lambda: account.equity is not None, "what the last run left")
            await running.until(lambda: told_of(account) != [], "the transfer")
            assert told_of(account) == ["withdrawal of 8000 USDT"]
            await running.until(lambda: peak_of(account) == 2_000, "a peak that moved with it")
            assert account.equity is not None
            assert account.equity.drawdown_ratio == account.equity.day_loss_ratio == 0
            await running.until(lambda: Refusal.DRAWDOWN not in account.breakers.blocks, "no block")


def names_of_stops(account: Account) -> list[str]:
    return [stop.client_id for stop in account.state.believed_stops().values()]


def told_of(account: Account) -> list[str]:
    return [decision.text for decision in account.decisions if decision.kind == "transfer"]


def peak_of(account: Account) -> Decimal:
    assert account.equity is not None
    return account.equity.peak
