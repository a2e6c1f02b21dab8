"""How `holdfast run` says that it ended, and its exit status (R4.7)."""

from __future__ import annotations

import pytest

from holdfast.cli.exits import Exit
from holdfast.cli.runbot import ended
from holdfast.engine.liquidation import LiquidationState
from holdfast.engine.liquidator import LiquidationResult
from tests.console.views import view


@pytest.mark.parametrize(
    ("state", "unprotected", "not_durable", "lease_lost", "status"),
    [
        (LiquidationState.COMPLETED, (), "", False, Exit.FINE),
        (LiquidationState.SKIPPED, (), "", False, Exit.FINE),
        (None, (), "", False, Exit.FINE),
        (None, (), "", True, Exit.FAILED),
        (LiquidationState.PARTIAL, (), "", False, Exit.FAILED),
        (LiquidationState.FAILED, (), "", False, Exit.FAILED),
        (LiquidationState.COMPLETED, (), "exits (1): disk full", False, Exit.FAILED),
        (None, (), "exits (1): disk full", False, Exit.FAILED),
        (LiquidationState.PARTIAL, ("BTC/USDT:USDT",), "", False, Exit.GUARANTEE_VIOLATED),
        (LiquidationState.FAILED, ("BTC/USDT:USDT",), "exits (1): disk full", False, Exit.GUARANTEE_VIOLATED),
    ],
)
def test_exit_status_tells_the_worst(
    state: LiquidationState | None,
    unprotected: tuple[str, ...],
    not_durable: str,
    lease_lost: bool,
    status: Exit,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = None if state is None else LiquidationResult(state=state)
    assert ended(result, view(unprotected=unprotected), not_durable, lease_lost=lease_lost) is status
    said = capsys.readouterr().err
    assert ("WITHOUT A STOP: BTC" in said) == bool(unprotected)
    assert ("another instance has taken the account over" in said) == lease_lost
    assert ("NOT WRITTEN: exits (1): disk full" in said) == bool(not_durable)
