"""How far a drill is, on standard error: a line that changes; now and then one where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

from holdfast.cli.exits import say

LINE_EVERY_S = 10.0


class Progress:
    """Told of every change; shows the newest."""

    def __init__(self, status: Status | None) -> None:
        self._status = status
        self._told_s = time.monotonic()

    def tell(self, text: str) -> None:
        """What is going on now."""
        if self._status is not None:
            self._status.update(text)
        elif time.monotonic() - self._told_s >= LINE_EVERY_S:
            self._told_s = time.monotonic()
            say(text)


@contextmanager
def progress(text: str) -> Iterator[Progress]:
    """Show *text* and what follows until the end."""
    console = Console(stderr=True)
    if not console.is_terminal:
        say(text)
        yield Progress(None)
        return
    with console.status(text) as status:
        yield Progress(status)
