"""`logs/audit.jsonl`: the audit chain as a file that anyone can read and verify (R4.5, R7.8).

The store is the truth, the file its projection by one writer. A torn last line (a crash while
writing) is cut off and told by an AUDIT_REPAIRED event; a file that disagrees with the store is put
aside under another name, never overwritten, told by AUDIT_DISAGREED, and made anew.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

from sqlalchemy import Connection

from holdfast.runtime.disk import SYSTEM_DISK, Disk
from holdfast.store import audit
from holdfast.store.audit import GENESIS, AuditEvent, VerifyResult
from holdfast.store.canonical import canonical, iso_ms
from holdfast.store.database import Store
from holdfast.store.errors import StoreError

_LINE_MAX = 16 * 1024 * 1024
_TAIL = 64 * 1024
_FIELDS = {
    "timestamp": str,
    "event_type": str,
    "correlation_id": str,
    "details": dict,
    "seq": int,
    "prev": str,
    "hash": str,
}


class BadLine(StoreError):
    """A line is no audit event."""


# --- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    timestamp: str
    event_type: str
    correlation_id: str
    details: str
    seq: int
    prev: str
    hash: str

    @property
    def spelled(self) -> bytes:
        """Its only right spelling: a doubled key, say, would read differently elsewhere."""
        return audit.line_of(
            self.timestamp,
            self.event_type,
            self.correlation_id,
            self.details,
            self.seq,
            self.prev,
            self.hash,
        ).encode()

    def fault(self, seq: int, prev: str) -> str:
        """Why it cannot be event *seq* behind hash *prev*; "" when it can."""
        if self.seq != seq:
            return f"expected event {seq}, found event {self.seq}"
        if self.prev != prev:
            return f"expected the hash before it to be {prev[:12]}…, found {self.prev[:12]}…"
        made = audit.chain_hash(seq, self.timestamp, self.event_type, self.correlation_id, self.details, prev)
        return "" if made == self.hash else "it does not match its hash: it was changed after it was written"


def _parse(raw: bytes) -> _Line:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadLine("expected a JSON object, found something else") from error
    if not isinstance(data, dict) or set(data) != set(_FIELDS):
        raise BadLine(f"expected the fields {', '.join(_FIELDS)}, found others")
    for name, kind in _FIELDS.items():
        if not isinstance(data[name], kind) or isinstance(data[name], bool):
            raise BadLine(f"expected {name} to be {kind.__name__}, found {data[name]!r:.60}")
    line = _Line(**{**data, "details": canonical(data["details"])})
    if raw.rstrip(b"\n") != line.spelled:
        raise BadLine("expected the event in its canonical spelling, found another")
    return line


def verify_file(path: Path, *, expected_head: tuple[int, str] | None = None) -> VerifyResult:
    """Check every line and the chain through them; `first_bad` is a line number.

    Only *expected_head* (the store's `audit.head`) can show that whole lines are missing at the
    end; a file that lags behind the store's head fails then. Raises `StoreError` when it cannot be read.
    """
    number, prev = 0, GENESIS
    try:
        for number, raw in enumerate(_lines(path), start=1):
            reason, prev = _check(raw, number, prev)
            if reason:
                return VerifyResult(ok=False, lines=number - 1, first_bad=number, reason=reason)
    except OSError as error:
        raise StoreError(f"file {path}: expected a readable audit file, found: {error.strerror}") from error
    if expected_head is not None and (number, prev) != expected_head:
        reason = f"expected the last event to be {expected_head[0]}, as in the store, found {number}"
        return VerifyResult(ok=False, lines=number, first_bad=number + 1, reason=reason)
    return VerifyResult(ok=True, lines=number)


def _check(raw: bytes, number: int, prev: str) -> tuple[str, str]:
    """Why the line is bad ("" = it is not), and its hash."""
    if not raw.endswith(b"\n"):
        return "the line is torn: it has no end", ""
    try:
        line = _parse(raw)
    except BadLine as error:
        return str(error), ""
    return line.fault(number, prev), line.hash


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while raw := file.readline(_LINE_MAX):
            yield raw


def _last_whole_line(file: Any, size: int) -> tuple[bytes, int]:
    """The last line that ends in a newline (b"" = none), and where it ends."""
    tail, start = b"", size
    while start > 0 and tail[:-1].count(b"\n") < 2:
        step = min(_TAIL, start)
        start -= step
        file.seek(start)
        tail = file.read(step) + tail
    whole = tail[: tail.rfind(b"\n") + 1]
    return whole[whole.rfind(b"\n", 0, -1) + 1 :], start + len(whole)


# --- projecting ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """What the file looks like: its last event, and what is wrong with it."""

    seq: int = 0
    hash: str = GENESIS
    size: int = 0
    torn_bytes: int = 0
    fault: str = ""


def _inspect(path: Path) -> _Found:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            raw, end = _last_whole_line(file, size)
    except FileNotFoundError:
        return _Found()
    if not raw:
        return _Found(size=end, torn_bytes=size - end)
    try:
        line = _parse(raw)
    except BadLine as error:
        return _Found(size=end, torn_bytes=size - end, fault=f"its last line: {error}")
    fault = line.fault(line.seq, line.prev)
    return _Found(line.seq, line.hash, end, size - end, fault and f"its last line: {fault}")


@final
class AuditFile:
    """The one writer of `logs/audit.jsonl`. All calls block; none raises for what the disk does.

    A failing disk never stops anything: *problem* then says what is the matter, in one sentence,
    until it works again. What could not be written follows from the store later.
    """

    def __init__(self, path: Path, store: Store, now_ms: Callable[[], int], disk: Disk = SYSTEM_DISK) -> None:
        self._path = path
        self._store = store
        self._now_ms = now_ms
        self._disk = disk
        self._at: _Found | None = None
        self._untold: list[tuple[str, dict[str, object]]] = []
        self.problem = ""

    def catch_up(self, enough: Callable[[], bool] = lambda: False) -> int:
        """Append what the store has and the file lacks; returns how many lines. Repairs as needed.

        Once *enough* says so no further line is begun: then the file lags, and the next call goes on.
        """
        try:
            written = self._catch_up(enough)
        except OSError as error:
            self._trouble(f"file {self._path}: expected to write it, found: {error.strerror}")
            return 0
        except StoreError as error:
            self._trouble(str(error))
            return 0
        self.problem = ""
        return written

    def _trouble(self, words: str) -> None:
        self._at, self.problem = None, words

    def _catch_up(self, enough: Callable[[], bool]) -> int:
        if self._at is None or not self._untouched(self._at):
            self._at = self._attach()
        self._tell_store()
        at = self._at
        return self._store.read(
            lambda connection: self._append(at, audit.events_after(connection, at.seq), enough)
        )

    def _untouched(self, at: _Found) -> bool:
        """Nobody rotated, removed or wrote the file since our last line, as far as its size tells."""
        try:
            return self._path.stat().st_size == at.size
        except FileNotFoundError:
            return False

    def _attach(self) -> _Found:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        found = _inspect(self._path)
        if found.torn_bytes:
            self._disk.truncate(self._path, found.size)
            self._tell("AUDIT_REPAIRED", {"torn_bytes_cut": found.torn_bytes, "last_seq": found.seq})
        reason = found.fault or self._disagreement(found)
        if not reason:
            return found
        aside = self._put_aside()
        self._tell("AUDIT_DISAGREED", {"reason": reason, "kept_as": aside.name})
        return _Found()

    def _disagreement(self, found: _Found) -> str:
        """Why the file's last event is not the store's event of that number; "" when it is."""
        if not found.seq:
            return "" if not found.size else "its last line carries no event"
        held = self._store.read(lambda connection: audit.event_at(connection, found.seq))
        if held is None:
            return f"it holds event {found.seq}, which the store has not"
        return "" if held.hash == found.hash else f"its event {found.seq} is not the store's"

    def _put_aside(self) -> Path:
        stamp = iso_ms(self._now_ms()).replace(":", "").replace(".", "")
        aside = self._path.with_name(f"{self._path.name}.disagrees-{stamp}")
        number = 1
        while aside.exists():
            number += 1
            aside = aside.with_name(f"{self._path.name}.disagrees-{stamp}-{number}")
        self._disk.rename(self._path, aside)
        return aside

    def _tell(self, event_type: str, details: dict[str, object]) -> None:
        self._untold.append((event_type, {"file": self._path.name, **details}))

    def _tell_store(self) -> None:
        """Kept until the store takes them: what was repaired is told, however late."""
        while self._untold:
            event_type, details = self._untold[0]
            now_ms = self._now_ms()
            self._store.write(partial(_write_event, event_type, details, now_ms))
            del self._untold[0]

    def _append(self, at: _Found, events: Iterator[AuditEvent], enough: Callable[[], bool]) -> int:
        count, size, last = 0, at.size, (at.seq, at.hash)
        try:
            with self._disk.append(self._path) as file:
                for event in events:
                    line = event.line.encode() + b"\n"
                    file.write(line)
                    count, size, last = count + 1, size + len(line), (event.seq, event.hash)
                    if enough():
                        break
        except OSError:
            self._cut_rest()
            raise
        if count:
            self._at = _Found(*last, size)
        return count

    def _cut_rest(self) -> None:
        """The half of a line that a full disk took is ours, no crash's: each try would tell of a repair."""
        with contextlib.suppress(OSError):
            found = _inspect(self._path)
            if found.torn_bytes:
                self._disk.truncate(self._path, found.size)


def _write_event(event_type: str, details: dict[str, object], at_ms: int, connection: Connection) -> None:
    audit.append(connection, event_type, "", details, at_ms)


# --- the public logger ---------------------------------------------------------------------------


@final
class AuditLogger:
    """`log_event` for anything that has no store: its own chain in `<log_dir>/audit.jsonl` (R4.5).

    In a bot's home the file is the store's projection: there give *sink*, which appends to the
    store, and nothing is written to the folder. A folder that cannot be written is told by
    *problem* from the start, and stops nothing.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        *,
        now_ms: Callable[[], int],
        sink: Callable[[str, str, dict[str, object]], object] | None = None,
    ) -> None:
        self._path = Path(log_dir) / "audit.jsonl"
        self._now_ms = now_ms
        self._sink = sink
        self._last: _Found | None = None
        self.problem = ""
        if sink is None:
            self._guard(self._open)

    def log_event(
        self, event_type: str, correlation_id: str | None = None, details: dict[str, object] | None = None
    ) -> bool:
        """Append an event; False when it could not be written (see *problem*), never an exception."""
        sink = self._sink
        if sink is not None:
            return self._guard(lambda: sink(event_type, correlation_id or "", details or {}))
        return self._guard(lambda: self._append(event_type, correlation_id or "", details or {}))

    def _guard(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except OSError as error:
            self.problem = f"file {self._path}: expected to write it, found: {error.strerror}"
        except StoreError as error:
            self.problem = str(error)
        else:
            self.problem = ""
            return True
        self._last = None
        return False

    def _open(self) -> _Found:
        """Where the chain ends; a torn end is cut and told in the chain itself."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.open("ab").close()
        found = _inspect(self._path)
        if found.fault:
            raise StoreError(f"file {self._path}: expected an audit file, found a fault in {found.fault}")
        self._last = found
        if found.torn_bytes:
            os.truncate(self._path, found.size)
            self._append("AUDIT_REPAIRED", "", {"torn_bytes_cut": found.torn_bytes, "last_seq": found.seq})
        return self._last

    def _append(self, event_type: str, correlation_id: str, details: dict[str, object]) -> None:
        last = self._last or self._open()
        event = audit.make_event(last.seq + 1, last.hash, event_type, correlation_id, details, self._now_ms())
        line = event.line.encode() + b"\n"
        with self._path.open("ab") as file:
            file.write(line)
        self._last = _Found(event.seq, event.hash, last.size + len(line))
