"""The thin full path: an entry, its stop, its close, a flat shutdown."""

from __future__ import annotations

from pathlib import Path

from holdfast.domain.orders import Direction
from holdfast.engine.liquidation import LiquidationState
from tests.engine.world import BTC, world


async def test_entry_is_protected_and_shutdown_ends_flat(tmp_path: Path) -> None:
    """One entry, one covering stop, books that agree, and nothing left after the stop."""
    async with world(tmp_path) as w, w.bot() as running:
        w.strategy.wishes = {BTC: Direction.LONG}
        await running.until(lambda: bool(w.truth().positions), "a position")
        await running.until(lambda: not w.truth().unprotected_now, "a stop")
        w.strategy.wishes = {}
        shown = running.bot.view.positions[0]
        assert shown.leverage == 5, "ROE is counted on the leverage that was set, not on a row of before"
        truth = w.truth()
        assert truth.duplicate_orders == 0
        assert truth.naked_seconds_max < 1
        result = await running.stop()
        assert result.state is LiquidationState.COMPLETED
        after = w.truth()
        assert not [p for p in after.positions if p.quantity]
        assert running.bot.view.unprotected == ()
