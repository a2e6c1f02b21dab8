"""Logs: help for a human, may be lost; never a secret in them.

One JSON line per event in a file that rotates by size, and the last lines in memory for `/logs`
(R1.2). Everything passes the redactor first: by field name, by known secret value, by shape.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import sys
from collections import deque
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import orjson
import structlog

from holdfast.domain.protocols import Clock
from holdfast.runtime.disk import SYSTEM_DISK, Disk

HIDDEN = "(hidden)"
RECENT_LINES = 5_000
FILE_BYTES_MAX = 20_000_000
FILES_KEPT = 5
_SECRET_LENGTH_MIN = 6

_SECRET_FIELDS = re.compile(
    r"^(api[_-]?key|api[_-]?secret|secret|secret[_-]?key|signature|listen[_-]?key|token|api[_-]?token"
    r"|authorization|passphrase|password|x-mbx-apikey)$",
    re.IGNORECASE,
)
# What a secret looks like inside free text: URLs, headers, printed mappings.
_SECRET_SHAPES = (
    re.compile(
        r"(?i)((?:signature|listen_?key|api_?key|api_?secret|secret|passphrase|x-mbx-apikey)"
        r"[\"']?\s*[=:]\s*[\"']?)[A-Za-z0-9+/_.\-]+"
    ),
    re.compile(r"(?i)(bearer\s+)[A-Za-z0-9+/_.\-=]+"),
    re.compile(r"(/(?:ws|stream|private/ws)/)[A-Za-z0-9]{40,}"),
)

_TAGS: Mapping[str, str] = {
    # Binance codes and HTTP states whose lines an operator looks for (R1.2).
    "-1002": "auth",
    "-1022": "auth",
    "-2014": "auth",
    "-2015": "auth",
    "401": "auth",
    "-1003": "rate_limit",
    "-1015": "rate_limit",
    "418": "rate_limit",
    "429": "rate_limit",
}
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

Line = dict[str, Any]


class Redactor:
    """Takes secrets out of anything that is to be written. Learns values with `hide`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        for each in secrets:
            self.hide(each)

    def hide(self, secret: str) -> None:
        """From now on *secret* never appears, wherever it stands (too short ones are ignored)."""
        if len(secret) >= _SECRET_LENGTH_MIN:
            self._secrets.add(secret)

    def clean(self, value: Any, name: str = "") -> Any:
        """*value* without secrets; mappings and sequences are copied."""
        if _SECRET_FIELDS.match(name) and value:
            return HIDDEN
        if isinstance(value, Mapping):
            return {str(key): self.clean(each, str(key)) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean(each) for each in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self._clean_text(str(value))

    def _clean_text(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        for shape in _SECRET_SHAPES:
            text = shape.sub(rf"\g<1>{HIDDEN}", text)
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFilter:
    """Which recent lines are wanted; empty = any. *level* is the least severe level wanted."""

    level: str = ""
    event: str = ""
    account: str = ""
    correlation_id: str = ""

    def wants(self, line: Mapping[str, Any]) -> bool:
        if self.level and _LEVELS.get(line["level"], 0) < _LEVELS.get(self.level, 0):
            return False
        asked = {"event": self.event, "account": self.account, "correlation_id": self.correlation_id}
        return all(not value or line.get(name) == value for name, value in asked.items())


def plain(line: Mapping[str, Any]) -> str:
    """A line as operators grep it: `… LOG {"event": "order", …}`, errors as `… ERR {…}` (R1.2)."""
    word = "ERR" if _LEVELS.get(str(line.get("level")), 0) >= _LEVELS["error"] else "LOG"
    rest = {key: value for key, value in line.items() if key not in ("ts", "level")}
    body = {"event": rest.pop("event", ""), **rest}
    return f"{word} {json.dumps(body, default=str)} {line.get('level', '')} {line.get('ts', '')}"


class _QuietFile(RotatingFileHandler):
    """A disk that fails costs log lines, nothing else; how many is counted."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        self.dropped = 0
        self.problem = ""
        """Why the last line was dropped; empty = it was not."""
        # Opened by the first line: a folder that cannot be written must not keep the bot from starting.
        super().__init__(path, maxBytes=FILE_BYTES_MAX, backupCount=FILES_KEPT, encoding="utf-8", delay=True)

    def _open(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(self._disk.append(Path(self.baseFilename)), encoding=self.encoding)

    def emit(self, record: logging.LogRecord) -> None:
        self.problem = ""
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        self.dropped += 1
        self._note(sys.exc_info()[1])

    def _note(self, error: BaseException | None) -> None:
        found = error.strerror if isinstance(error, OSError) else repr(error)
        self.problem = f"file {self.baseFilename}: expected to write it, found: {found}"

    def retry(self) -> None:
        """Without a line to write: nobody may log for long."""
        try:
            self.stream = self.stream or self._open()
            self.stream.flush()
        except OSError as error:
            self._note(error)
        else:
            self.problem = ""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


class Logs:
    """The log of one process: `logs.logger` to write, `recent()` to read, `close()` at the end."""

    def __init__(
        self, path: Path, clock: Clock, *, secrets: Iterable[str] = (), disk: Disk = SYSTEM_DISK
    ) -> None:
        self.redactor = Redactor(secrets)
        self._clock = clock
        self._recent: deque[Line] = deque(maxlen=RECENT_LINES)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _QuietFile(path, disk)
        self.path = path
        self._before: tuple[list[logging.Handler], int] | None = None
        self.logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
            None,
            processors=self.processors(),
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            context_class=dict,
        )

    @property
    def dropped(self) -> int:
        """Lines that the disk did not take."""
        return self._file.dropped

    def problem(self) -> str:
        """Why the file does not take lines; empty while it does. Asked again where it last did not."""
        if self._file.problem:
            self._file.retry()
        return self._file.problem

    def processors(self) -> list[structlog.typing.Processor]:
        return [structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info, self._write]

    def install(self) -> None:
        """Make this the log of the whole process: structlog's loggers and the standard library's."""
        structlog.configure(
            processors=self.processors(),
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            cache_logger_on_first_use=False,
        )
        root = logging.getLogger()
        self._before = (root.handlers, root.level)
        root.handlers = [_Bridge(self)]
        root.setLevel(logging.WARNING)

    def recent(self, wanted: LineFilter | None = None, limit: int = 200) -> list[Line]:
        """The last *limit* lines that are wanted, oldest first."""
        wanted = wanted or LineFilter()
        found: list[Line] = []
        for line in reversed(self._recent):
            if len(found) >= limit:
                break
            if wanted.wants(line):
                found.append(line)
        return found[::-1]

    def close(self) -> None:
        """Write no more; the process's log is again what it was before `install`."""
        if self._before is not None:
            structlog.reset_defaults()
            root = logging.getLogger()
            root.handlers, level = self._before
            root.setLevel(level)
            self._before = None
        self._file.close()

    def _write(self, _logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        at = datetime.fromtimestamp(self._clock.now_ms() / 1000, tz=UTC)
        head: Line = {
            "ts": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": method,
            "event": str(event.pop("event", "")),
        }
        line: Line = self.redactor.clean({**head, **_tag(event), **event})
        self._recent.append(line)
        text = orjson.dumps(line, default=str).decode()
        self._file.handle(logging.LogRecord("", logging.INFO, "", 0, text, None, None))
        raise structlog.DropEvent


class _Bridge(logging.Handler):
    """What libraries log by the standard library goes into the same log."""

    def __init__(self, logs: Logs) -> None:
        super().__init__(logging.WARNING)
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname.lower()
        method = level if level in _LEVELS else "info"
        error = logging.Formatter().formatException(record.exc_info) if record.exc_info else None
        fields = {"logger": record.name, "text": record.getMessage()} | (
            {"exception": error} if error else {}
        )
        getattr(self._logs.logger, method)("library", **fields)


def _tag(event: Mapping[str, Any]) -> dict[str, str]:
    """`tag` = auth or rate_limit, where the line's code or HTTP status says so (R1.2)."""
    for name in ("code", "status"):
        tag = _TAGS.get(str(event.get(name, "")))
        if tag:
            return {"tag": tag}
    return {}
