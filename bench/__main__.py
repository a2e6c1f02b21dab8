"""`./dev bench [NAME …] [--quick] [--json]`: every figure beside a reference measured in the same run."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence

from bench import accounts, budget, cycle, drills, memory, order, protect, step, store
from bench.report import BenchFailed, Report, Row, now_text, processor_ticks, stolen_pct

Bench = Callable[[bool, Callable[[str], None]], list[Row]]
BENCHES: dict[str, Bench] = {
    "protect": protect.run,
    "cycle": cycle.run,
    "order": order.run,
    "budget": budget.run,
    "store": store.run,
    "step": step.run,
    "memory": memory.run,
    "accounts": accounts.run,
    "drills": drills.run,
}
ABOUT = """\
protect   fill → stop confirmed, and 20 positions flat, in round trips of 50 ms
cycle     processor time of one supervision cycle on each exchange against ccxt and against hand-made requests
budget    an emergency's request beside saturated observing, against one alone
order     an entry with its journal against the same request signed by hand
store     durable writes: alone, together, and an urgent one before which many wait
step      the decision alone, by number of positions
memory    one more account against one more ccxt client
accounts  ten and a hundred whole bots in one process: processor, memory, lateness, age of what they know
drills    how much faster than real time a whole world runs, by processor time

What each figure means: docs/benchmarks.md. Nothing passes or fails here.
"""


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    unknown = sorted(set(options.names) - set(BENCHES))
    if unknown:
        _tell(f"bench: expected names out of {', '.join(BENCHES)}, found {', '.join(unknown)}")
        return 2
    try:
        report = run(options.names or list(BENCHES), quick=options.quick)
    except BenchFailed as failed:
        _tell(f"bench: {failed}")
        return 1
    print(report.as_json() if options.json else report.as_text())
    return 0


def run(names: Sequence[str], *, quick: bool) -> Report:
    """Run the named benchmarks in their usual order."""
    load, ticks, began_text, began = os.getloadavg(), processor_ticks(), now_text(), time.monotonic()
    rows = [row for name, bench in BENCHES.items() if name in names for row in bench(quick, _tell)]
    return Report(
        began=began_text,
        seconds=time.monotonic() - began,
        load_before=load,
        load_after=os.getloadavg(),
        stolen_pct=stolen_pct(ticks, processor_ticks()),
        rows=tuple(rows),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./dev bench",
        description="Speed and memory, as ratios against a reference measured in the same run.",
        epilog=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of: {', '.join(BENCHES)} (all)")
    parser.add_argument(
        "--quick", action="store_true", help="fewer samples, and a hundred accounts at one exchange only"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    return parser


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
