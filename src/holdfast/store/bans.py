"""Remembers over restarts that the exchange banned this address: one home serves one address.

A file, not a table: it is written in the moment in which the ban is heard, for what is killed right
after must not ask again, and it is read before anything else is asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from holdfast.domain.protocols import Clock
from holdfast.runtime.disk import SYSTEM_DISK, Disk
from holdfast.store.atomic import write_atomic
from holdfast.store.errors import StoreError

LogLine = Callable[[str, dict[str, object]], None]


class BanFile:
    """Written whole or not at all; what a failing disk does not take is written again by `keep`."""

    def __init__(self, path: Path, clock: Clock, log: LogLine, disk: Disk = SYSTEM_DISK) -> None:
        self._path = path
        self._disk = disk
        self._clock = clock
        self._log = log
        self._unwritten = b""
        self.problem = ""
        """Why it cannot be written just now; "" = it can."""

    def left_ms(self) -> int:
        """How long the last ban still lasts, and never longer than it was told: clocks are set."""
        try:
            said = json.loads(self._path.read_bytes())
            began_ms, for_ms = int(said["at_ms"]), int(said["for_ms"])
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._log("error.ban_file", {"text": f"file {self._path}: expected a ban, found {error!r}"})
            return 0
        return max(0, min(began_ms + for_ms - self._clock.now_ms(), for_ms))

    def note(self, for_ms: int) -> None:
        """Banned for *for_ms* from now on; durable when this returns, unless there is a `problem`."""
        said = json.dumps({"at_ms": self._clock.now_ms(), "for_ms": for_ms})
        self._unwritten = said.encode() + b"\n"
        self.keep()

    def keep(self) -> None:
        """Write what could not be written before, if there is such a thing."""
        said = self._unwritten
        if not said:
            return
        try:
            write_atomic(self._path, said, disk=self._disk)
        except StoreError as error:
            self.problem = str(error)
        else:
            self.problem = ""
            if self._unwritten is said:
                self._unwritten = b""
