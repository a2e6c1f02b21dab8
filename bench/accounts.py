"""Ten and a hundred accounts in one process: processor time, memory, how late the loop and the reads are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.crowd import SYMBOLS_EACH
from bench.report import BenchFailed, Row
from bench.simulator import EXCHANGES, SYMBOLS, simulator
from holdfast.decisions.policy import Freshness

FEW, MANY = 10, 100
SECONDS, SECONDS_QUICK = 30.0, 15.0
ROOT = Path(__file__).resolve().parents[1]
Tell = Callable[[str], None]


def run(quick: bool, tell: Tell) -> list[Row]:
    """On Binance alone when it is to be quick."""
    names = EXCHANGES[:1] if quick else EXCHANGES
    seconds = SECONDS_QUICK if quick else SECONDS
    return [row for name in names for row in _rows(name, seconds, tell)]


def _rows(name: str, seconds: float, tell: Tell) -> list[Row]:
    few, many = (_crowd(name, count, seconds, tell) for count in (FEW, MANY))
    target_ms = float(Freshness().positions_ms)
    figures = (
        ("processor time a second", "ms CPU", "cpu_ms_per_account_s"),
        ("memory of one more", "MiB", "rss_mib_per_account"),
        ("loop late, p99", "ms", "late_ms_p99"),
        ("loop late, worst", "ms", "late_ms_max"),
    )
    rows = [
        _row(f"{name}: {MANY} accounts, {what}", unit, many[key], few[key], f"each of {FEW} accounts")
        for what, unit, key in figures
    ]
    rows += [
        _row(f"{name}: {n} accounts, with a protected position", "", found["protected"], n, "all")
        for n, found in ((FEW, few), (MANY, many))
    ]
    return rows + [
        _row(f"{name}: {n} accounts, positions' age, p99", "ms", found["age_ms_p99"], target_ms, "the target")
        for n, found in ((FEW, few), (MANY, many))
    ]


def _row(what: str, unit: str, ours: float, reference: float, against: str) -> Row:
    return Row(bench="accounts", what=what, unit=unit, ours=ours, reference=reference, against=against)


def _crowd(name: str, count: int, seconds: float, tell: Tell) -> Mapping[str, Any]:
    tell(f"accounts: {name}, {count} whole bots in one process, one position each, {seconds:g} s")
    with (
        simulator(
            latency_ms=20, symbols=SYMBOLS[:SYMBOLS_EACH], exchange=name, generous=True, accounts=count
        ) as exchange,
        tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder,
    ):
        command = [sys.executable, "-m", "bench.crowd", str(count), str(seconds), exchange.url, name]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, stdout=subprocess.PIPE, cwd=folder, env=environment, check=False)
    if done.returncode or not done.stdout:
        raise BenchFailed(f"accounts: expected figures of {count} bots, found status {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    tell(f"accounts: {name}, {count}: {found}")
    if found["ended"] or not found["protected"]:
        raise BenchFailed(f"accounts: expected {count} bots that trade, found {found}")
    return found
