"""Fill to stop, and everything flat, in round trips to the exchange."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from bench.byhand import by_hand
from bench.life import Protected, Round, live
from bench.report import BenchFailed, Row, median, p99
from bench.simulator import SYMBOLS, Simulator, simulator

LATENCY_MS = 50
ROUNDS, ROUNDS_QUICK = 3, 1
ASKED = 60
Tell = Callable[[str], None]

TIMES: tuple[tuple[str, Callable[[Protected], float]], ...] = (
    ("fill known → stop confirmed", lambda e: (e.confirmed_s - e.known_s) * 1000),
    ("fill → stop stands (exchange)", lambda e: e.stands_ms - e.filled_ms),
    ("fill (exchange) → stop confirmed", lambda e: e.confirmed_ms - e.filled_ms),
)
"""What an entry is judged by. The least possible is 1, 1 and 1.5 round trips."""


def run(quick: bool, tell: Tell) -> list[Row]:
    """Entries one after the other until twenty positions stand, then a shutdown; several times."""
    rounds = ROUNDS_QUICK if quick else ROUNDS
    made: list[Round] = []
    with simulator(latency_ms=LATENCY_MS) as exchange:
        for number in range(rounds):
            tell(f"protect: round {number + 1} of {rounds}: {len(SYMBOLS)} entries, then flat")
            made.append(asyncio.run(live(exchange)))
        bare = asyncio.run(_bare(exchange))
    return [*_entry_rows(made), *_flat_rows(made), *_rows("a read signed by hand", bare)]


def _entry_rows(rounds: Sequence[Round]) -> list[Row]:
    entries = [entry for each in rounds for entry in each.entries.values()]
    return [row for what, time_of in TIMES for row in _rows(what, [time_of(entry) for entry in entries])]


def _rows(what: str, times_ms: Sequence[float]) -> list[Row]:
    figures = (("median", median(times_ms)), ("p99", p99(times_ms)))
    return [_row(f"{what}, {name}", value, len(times_ms)) for name, value in figures]


def _flat_rows(rounds: Sequence[Round]) -> list[Row]:
    unfinished = [each.state for each in rounds if each.state != "COMPLETED"]
    if unfinished:
        raise BenchFailed(f"protect: expected liquidations to be COMPLETED, found {unfinished}")
    count = min(each.positions for each in rounds)
    flat = [each.flat_ms - each.ordered_ms for each in rounds]
    done = [each.completed_ms - each.ordered_ms for each in rounds]
    return [
        _row(f"{count} positions flat at the exchange, median", median(flat), len(flat)),
        _row(f"{count} positions flat, confirmed and tidied, median", median(done), len(done)),
    ]


def _row(what: str, ms: float, samples: int) -> Row:
    return Row(
        bench="protect",
        what=what,
        unit="ms",
        ours=ms,
        reference=LATENCY_MS,
        against=f"one round trip of {LATENCY_MS} ms",
        ratio_unit="trips",
        samples=samples,
    )


async def _bare(exchange: Simulator) -> list[float]:
    """What one request takes with nothing around it: the floor that the exchange itself sets."""
    times: list[float] = []
    exchange.reset_limits()
    async with by_hand(exchange.url) as hand:
        for number in range(ASKED + 1):
            began = time.perf_counter()
            await hand.ask("/fapi/v1/openAlgoOrders", symbol="BTCUSDT")
            if number:  # the first one connects
                times.append((time.perf_counter() - began) * 1000)
    return times
