"""The whole bot over real exchange candles: the hour in which LAYER lost a fifth of its price."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gauntlet.arena import ROOT

DATA = ROOT.parent / "shared" / "data"
SYMBOLS = "BTC/USDT,ETH/USDT,SOL/USDT,XRP/USDT,BNB/USDT,LAYER/USDT"


def _market() -> list[str]:
    """Real candles where they lie beside the checkout; otherwise a generated market of the same symbols."""
    if (DATA / "LAYER_USDT_USDT-1m-futures.feather").exists():
        return ["--data", str(DATA), "--start", "2025-05-06T07:45"]
    return ["--seed", "11"]


@pytest.mark.process
@pytest.mark.timeout(330)
@pytest.mark.shared_data
def test_every_position_is_protected_while_the_market_falls(tmp_path: Path) -> None:
    """Six symbols, fifteen market minutes: entries are made, none stays naked, the end is flat and true."""
    command = [sys.executable, "-m", "holdfast", "demo", "--headless", "--json", "--exchange", "binance"]
    command += ["--symbols", SYMBOLS, *_market(), "--minutes", "15", "--speed", "20", "--port", "0"]
    done = subprocess.run(
        [*command, "--home", str(tmp_path / "home")],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
    )
    summary = json.loads(done.stdout.splitlines()[-1])
    print(f"market: {' '.join(_market())}; {summary}")
    assert done.returncode == 0, done.stderr
    assert summary["entries"] >= 1
    assert summary["naked_seconds_max"] < 20
    assert summary["unprotected_now"] == summary["duplicate_orders"] == summary["errors"] == 0
    assert summary["books_match_exchange"] is True
    assert summary["flat"] is True
    assert summary["liquidation_state"] == "COMPLETED"
