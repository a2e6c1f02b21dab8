"""Remembers over restarts which exchanges banned this address.

A file, not a table: it is written in the moment in which the ban is heard, for what is killed right
after must not ask again, and it is read before anything else is asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.domain.protocols import Clock
from holdfast.runtime.disk import SYSTEM_DISK, Disk
from holdfast.store.atomic import write_atomic
from holdfast.store.errors import StoreError

LogLine = Callable[[str, dict[str, object]], None]


@dataclass(frozen=True, slots=True)
class _Ban:
    at_ms: int
    for_ms: int

    def left_ms(self, now_ms: int) -> int:
        """Never longer than it was told: clocks are set."""
        return max(0, min(self.at_ms + self.for_ms - now_ms, self.for_ms))


class BanFile:
    """The last ban by each exchange, by where that is asked. Written whole or not at all; what a failing
    disk does not take is written again by `keep`."""

    def __init__(self, path: Path, clock: Clock, log: LogLine, disk: Disk = SYSTEM_DISK) -> None:
        self._path = path
        self._disk = disk
        self._clock = clock
        self._log = log
        self._heard: dict[str, _Ban] = {}
        """Since the start; what the file holds of others stays."""
        self._unwritten = b""
        self.problem = ""
        """Why it cannot be written just now; "" = it can."""

    def of(self, exchange: str) -> Bans:
        """The bans by one of them. *exchange*: where it is asked, without a path."""
        return Bans(self, exchange)

    def left_ms(self, exchange: str) -> int:
        """How long its last ban still lasts."""
        ban = (self._read() | self._heard).get(exchange)
        return ban.left_ms(self._clock.now_ms()) if ban is not None else 0

    def note(self, exchange: str, for_ms: int) -> None:
        """Banned for *for_ms* from now on; durable when this returns, unless there is a `problem`."""
        now_ms = self._clock.now_ms()
        self._heard[exchange] = _Ban(now_ms, for_ms)
        known = {name: ban for name, ban in (self._read() | self._heard).items() if ban.left_ms(now_ms)}
        said = {name: {"at_ms": ban.at_ms, "for_ms": ban.for_ms} for name, ban in known.items()}
        self._unwritten = json.dumps(said).encode() + b"\n"
        self.keep()

    def _read(self) -> dict[str, _Ban]:
        try:
            said = json.loads(self._path.read_bytes())
            return {str(name): _ban(found) for name, found in said.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._log("error.ban_file", {"text": f"file {self._path}: expected bans, found {error!r}"})
            return {}

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


class Bans:
    """What one exchange said, for the governor that stands before it."""

    def __init__(self, file: BanFile, exchange: str) -> None:
        self._file = file
        self._exchange = exchange

    def left_ms(self) -> int:
        return self._file.left_ms(self._exchange)

    def note(self, for_ms: int) -> None:
        self._file.note(self._exchange, for_ms)


def _ban(found: Any) -> _Ban:
    return _Ban(int(found["at_ms"]), int(found["for_ms"]))
