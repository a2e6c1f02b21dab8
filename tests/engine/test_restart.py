"""A crash, something done by hand meanwhile, and a new start; against the whole exchange (G10, G12, G13)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from holdfast.domain.orders import Direction
from holdfast.domain.orders import Side as OrderSide
from holdfast.engine.liquidation import LiquidationState
from holdfast.engine.liquidator import LiquidationResult
from holdfast.engine.orders import AccountOrders, CloseRefused
from holdfast.simulator.core.model import Side
from holdfast.store.books import open_trades
from tests.engine.world import BTC, ETH, RunningBot, World, world


async def protected(w: World, running: RunningBot) -> None:
    w.strategy.wishes = {BTC: Direction.LONG}
    await running.until(lambda: bool(w.truth().positions), "a position")
    await running.until(lambda: not w.truth().unprotected_now, "a stop")
    await running.until(lambda: bool(running.bot.account.state.tracked), "books")
    w.strategy.wishes = {}


async def test_stop_cancelled_while_the_bot_was_down_is_made_anew(tmp_path: Path) -> None:
    """The journal still has it as working; that must not count as a stop under way. The position stays."""
    async with world(tmp_path) as w:
        async with w.bot() as first:
            await protected(w, first)
        w.server.core.cancel_stops_by_hand(w.account_id, BTC)
        async with w.bot() as second:
            await second.until(lambda: w.truth().positions[0].stops_live == 1, "the stop again", 3)
            truth = w.truth()
            assert (len(truth.positions), truth.exits, truth.entries) == (1, 0, 1)
            assert not second.bot.account.state.tracked[next(iter(second.bot.account.state.tracked))].adopted
            result = await second.stop()
        assert result.state is LiquidationState.COMPLETED
        assert w.truth().orphan_stops == ()


async def test_position_closed_while_the_bot_was_down_gets_its_true_exit(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        async with w.bot() as first:
            await protected(w, first)
        w.server.core.close_by_hand(w.account_id, BTC)
        async with w.bot() as second:
            books = second.bot.supervisor.books
            await second.until(lambda: books.exits == 1 and not books.pending, "the true exit")
            assert second.bot.account.state.tracked == {}
            assert books.reconciliations == 1
            await second.until(lambda: not w.truth().orphan_stops, "no orphans")


async def test_position_opened_by_hand_is_adopted_closed_and_accounted(tmp_path: Path) -> None:
    """Its opening lies within the time that executions are asked for; it must not be counted twice."""
    async with world(tmp_path) as w, w.bot() as running:
        await running.until(lambda: running.bot.account.synced, "the first sync")
        w.server.core.open_by_hand(w.account_id, ETH, Side.BUY, Decimal("0.5"))
        await running.until(lambda: bool(w.truth().positions) and not w.truth().unprotected_now, "a stop")
        books = running.bot.supervisor.books
        w.server.core.close_by_hand(w.account_id, ETH)
        await running.until(lambda: books.exits == 1 and not books.pending, "the true exit")
        await running.until(lambda: not w.truth().orphan_stops, "no orphans")


async def test_no_stop_goes_before_its_position_is_proven_flat(tmp_path: Path) -> None:
    async with world(tmp_path) as w, w.bot() as running:
        await protected(w, running)
        orders = AccountOrders(running.bot.supervisor, "test")
        assert orders.symbols_of_ours() == (str(BTC),)
        with pytest.raises(CloseRefused, match="not proven flat"):
            await orders.cancel_protective_orders(str(BTC))
        assert w.truth().positions[0].stops_live == 1
        rows = await orders.get_all_positions((str(BTC),))
        assert len(rows) == 1
        await orders.execute_market_close(
            str(BTC), OrderSide.SELL.upper(), Decimal(str(rows[0]["positionAmt"]))
        )
        await running.until(lambda: not running.bot.account.state.tracked, "books closed")
        assert await orders.get_all_positions(()) == []
        await orders.cancel_protective_orders(str(BTC))
        assert w.truth().orphan_stops == ()


async def test_shutdown_is_not_fooled_by_one_empty_read(tmp_path: Path) -> None:
    """G11 at the worst moment: "nothing is open" is believed on better evidence only, and it ends flat."""
    async with world(tmp_path) as w, w.bot() as running:
        await protected(w, running)
        empty = w.fault(kind="empty_read", path="/fapi/v3/positionRisk", times=1)
        result = await running.stop()
        assert w.fired(empty) == 1
        assert isinstance(result, LiquidationResult)
        assert result.state is LiquidationState.COMPLETED
        assert not [p for p in w.truth().positions if p.quantity]
        assert w.truth().naked_seconds_max < 1


async def test_protected_since_outlives_the_restart(tmp_path: Path) -> None:
    """The stop stood all the time, though the new run reads the book of stops late; a new one begins anew."""
    async with world(tmp_path) as w:
        async with w.bot() as first:
            await protected(w, first)
            await first.until(lambda: bool(first.bot.view.positions[0].protected_since_ms), "protection")
            since = first.bot.view.positions[0].protected_since_ms
            await first.until(lambda: stored_since(first) == since, "the books")
        late = w.fault(kind="delay_reply", path="openAlgoOrders", delay_ms=400, times=1)
        async with w.bot() as second:
            await second.until(lambda: second.bot.account.synced, "the sync")
            shown = second.bot.view.positions[0]
            assert w.fired(late) == 1
            assert (shown.protected_since_ms, shown.naked_ms) == (since, 0)
            w.server.core.cancel_stops_by_hand(w.account_id, BTC)
            await second.until(lambda: stored_since(second) > (since or 0), "another stop")


def stored_since(running: RunningBot) -> int:
    found = running.store.read(lambda c: open_trades(c, "main"))
    return found[0].protected_since_ms if found else 0
