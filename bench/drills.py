"""Speed of virtual time: how much of it one second of processor time lives through, everything on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bench.byhand import signed
from bench.report import BenchFailed, Row, median
from holdfast.drills.cases import calm
from holdfast.drills.judged import Judged, judge
from holdfast.drills.strategies import RESTLESS

HOURS, HOURS_QUICK = 6.0, 1.0
TIMES, TIMES_QUICK = 3, 1
SIGNATURES = 10_000
WORLDS: Mapping[str, tuple[Mapping[str, Mapping[str, Any]], int]] = {
    # Name → strategies, and the entries that have to come of them.
    "restless": ({RESTLESS: {}}, 1),
    "built-in strategies": ({"adx_trend": {}, "donchian": {}}, 0),
    "idle": ({"scripted": {}}, 0),
}
Tell = Callable[[str], None]


def run(quick: bool, tell: Tell) -> list[Row]:
    hours, times = (HOURS_QUICK, TIMES_QUICK) if quick else (HOURS, TIMES)
    tell(f"drills: {times} worlds of {hours:g} simulated hours each way")
    sign_s = _signature_s()
    return [row for name in WORLDS for row in _rows(name, hours, times, sign_s)]


def _rows(name: str, hours: float, times: int, sign_s: float) -> list[Row]:
    """The speed of a world, and its price of one virtual second in signatures made by hand."""
    worlds = [_world(name, seed, hours) for seed in range(1, times + 1)]
    cost_s = median([each.cpu_s / (each.virtual_ms / 1000) for each in worlds])
    return [
        Row(
            bench="drills",
            what=f"virtual time, {name}",
            unit="s/CPU s",
            ours=1 / cost_s,
            reference=1.0,
            against="the clock on the wall",
            samples=times,
        ),
        Row(
            bench="drills",
            what=f"one virtual second, {name}",
            unit="ms CPU",
            ours=cost_s * 1000,
            reference=sign_s * 1000,
            against="signing one request by hand",
            samples=times,
        ),
    ]


def _world(name: str, seed: int, hours: float) -> Judged:
    """One account, three symbols, a mark of each every second; nothing goes wrong, every checker is on."""
    strategies, entries_min = WORLDS[name]
    case = calm(seed, hours)
    judged = judge(replace(case, spec=replace(case.spec, strategies=strategies)))
    if not judged.held:
        raise BenchFailed(f"expected that everything holds, found {judged.violations[0]}")
    if judged.figures.entries < entries_min:
        raise BenchFailed(f"expected entries, found {judged.figures.entries}")
    return judged


def _signature_s() -> float:
    began = time.process_time()
    for _ in range(SIGNATURES):
        signed({"symbol": "BTCUSDT", "side": "BUY", "quantity": "1"})
    return (time.process_time() - began) / SIGNATURES
