"""What workers of a fleet do in its tests: light to import, at the top of a module."""

from __future__ import annotations

import os
import sys


def told(task: str) -> str:
    """Dies where it is told to; otherwise something that depends on the hash seed, beside the task."""
    if task == "die":
        sys.stderr.write("told to die\n")
        os._exit(7)
    if task == "fail":
        raise RuntimeError("told to fail")
    return f"{task} {os.environ['PYTHONHASHSEED']} {hash('x') % 1_000}"


def walked(symbols: tuple[str, ...]) -> list[str]:
    """A set of them, in the order in which it is walked."""
    return list(set(symbols))
