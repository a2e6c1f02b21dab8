"""How `holdfast run` says that it ended, and its exit status (R4.7)."""

from __future__ import annotations

import pytest

from holdfast.cli.exits import Exit
from holdfast.cli.runbot import ended
from holdfast.engine.liquidation import LiquidationState
from holdfast.engine.liquidator import LiquidationResult
from tests.console.views import view


@pytest.mark.parametrize(
    ("state", "unprotected", "not_durable", "status"),
    [
        (LiquidationState.COMPLETED, (), "", Exit.FINE),
        (LiquidationState.SKIPPED, (), "", Exit.FINE),
        (None, (), "", Exit.FINE),
        (LiquidationState.PARTIAL, (), "", Exit.FAILED),
        (LiquidationState.FAILED, (), "", Exit.FAILED),
        (LiquidationState.COMPLETED, (), "exits (1): disk full", Exit.FAILED),
        (None, (), "exits (1): disk full", Exit.FAILED),
        (LiquidationState.PARTIAL, ("BTC/USDT:USDT",), "", Exit.GUARANTEE_VIOLATED),
        (LiquidationState.FAILED, ("BTC/USDT:USDT",), "exits (1): disk full", Exit.GUARANTEE_VIOLATED),
    ],
)
def test_exit_status_tells_the_worst(
    state: LiquidationState | None,
    unprotected: tuple[str, ...],
    not_durable: str,
    status: Exit,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = None if state is None else LiquidationResult(state=state)
    assert ended(result, view(unprotected=unprotected), not_durable) is status
    said = capsys.readouterr().err
    assert ("WITHOUT A STOP: BTC" in said) == bool(unprotected)
    assert ("NOT WRITTEN: exits (1): disk full" in said) == bool(not_durable)
