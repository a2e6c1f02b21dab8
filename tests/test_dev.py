"""The door `./dev`: what it starts gets the signals and the caller's folder."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.process
@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_door_ends_what_it_runs_in_order(tmp_path: Path, name: signal.Signals) -> None:
    """Ctrl-C and SIGTERM reach the program itself: it ends by its own shutdown, and nothing is orphaned."""
    command = [ROOT / "dev", "run", "simulator", "--port", "0", "--seed", "1", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["exchange"] == "binance"
        process.send_signal(name)
        assert process.wait(30) == 0


def test_paths_are_the_callers_own(tmp_path: Path) -> None:
    """A relative home is sought where the caller stands, not in the checkout."""
    done = subprocess.run(
        [ROOT / "dev", "run", "check", "audit", "--home", "nowhere"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert str(tmp_path / "nowhere") in done.stderr
