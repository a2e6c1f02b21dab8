"""One folder that holds all of one bot: database, logs, metrics, token, and whose exchange it belongs to."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final
from urllib.parse import urlsplit

from holdfast.runtime.disk import sync_folder
from holdfast.store.atomic import write_atomic
from holdfast.store.errors import StoreError

DEFAULT_HOME = Path("~/.holdfast")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_KILL_WORDS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeAddress:
    """Which exchange, at which URL, in which mode (R0.1: paper, testnet, live)."""

    exchange: str
    base_url: str
    mode: str

    def __str__(self) -> str:
        return f"{self.exchange} at {self.base_url} ({self.mode})"

    @property
    def binding(self) -> tuple[str, str, str]:
        """What a home is bound to. A simulator on this machine may come up at another port each time."""
        parts = urlsplit(self.base_url)
        host = (parts.hostname or "").lower()
        place = "this machine" if host in _LOOPBACK else f"{parts.scheme}://{parts.netloc.lower()}"
        return (self.exchange.lower(), place, self.mode.lower())


@dataclass(frozen=True, slots=True)
class ApiToken:
    """The bearer token; *warning* is a sentence for the operator, or empty."""

    value: str = field(repr=False)
    warning: str = ""


@final
class Home:
    """The folder given by `--home`. Making the object touches nothing; `prepare` makes the folders."""

    def __init__(self, path: str | os.PathLike[str] = DEFAULT_HOME) -> None:
        self.path = Path(path).expanduser().absolute()
        self.database = self.path / "trading.db"
        self.logs = self.path / "logs"
        self.metrics = self.path / "metrics"
        self.audit = self.logs / "audit.jsonl"
        self.snapshot = self.logs / "final_snapshot.json"
        self.token_file = self.path / "api_token"
        self.kill_file = self.path / "KILL"
        self.address_file = self.path / "exchange.json"
        self.lock_file = self.path / "lock"
        self.ban_file = self.path / "ban.json"

    def prepare(self) -> None:
        """Make the folders that are missing, readable by their owner only. Raises `StoreError`."""
        for folder in (self.path, self.logs, self.metrics):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"home {folder}: expected a folder, found: {error.strerror}") from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise StoreError(f"home {self.path}: expected a folder that can be written, found it read-only")

    # --- whose exchange ---

    def address(self) -> ExchangeAddress | None:
        """The exchange this home belongs to; None while it was never bound. Raises `StoreError`."""
        try:
            data = json.loads(self.address_file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreError(
                f"file {self.address_file}: expected an exchange address, found {error}"
            ) from error
        return self._address_from(data)

    def _address_from(self, data: Any) -> ExchangeAddress:
        names = ("exchange", "base_url", "mode")
        values = [data.get(name) for name in names] if isinstance(data, dict) else []
        texts = [value for value in values if isinstance(value, str) and value]
        if len(texts) != len(names):
            raise StoreError(
                f"file {self.address_file}: expected exchange, base_url and mode, found {str(data)[:100]}"
            )
        return ExchangeAddress(exchange=texts[0], base_url=texts[1], mode=texts[2])

    def bind(self, address: ExchangeAddress) -> ExchangeAddress:
        """This home belongs to *address* from now on, and to no other ever.

        So a demo home never talks to a real host, and a live book is never filled from a
        simulator. Raises `StoreError` when the home belongs to another address.
        """
        bound = self.address()
        if bound is not None and bound.binding != address.binding:
            raise StoreError(
                f"home {self.path}: expected {bound}, to which it belongs, found {address}"
                " (use another home: one home serves one exchange address)"
            )
        if bound != address:
            data = {"exchange": address.exchange, "base_url": address.base_url, "mode": address.mode}
            write_atomic(self.address_file, json.dumps(data, indent=2).encode() + b"\n")
        return address

    # --- the token ---

    def api_token(self, make_token: Callable[[int], str] = secrets.token_urlsafe) -> ApiToken:
        """The bearer token, made on the first run (32 random bytes, mode 0600).

        A file that others could read is tightened, with a warning. Raises `StoreError` when the
        file holds no token.
        """
        if not self.token_file.exists():
            self._make_token(make_token(32))
        try:
            permissions = self.token_file.stat().st_mode & 0o777
            value = self.token_file.read_text("ascii").strip()
            warning = self._tighten(permissions) if permissions & 0o077 else ""
        except (OSError, ValueError) as error:
            raise StoreError(f"file {self.token_file}: expected a readable token, found {error}") from error
        if not _TOKEN.fullmatch(value):
            raise StoreError(
                f"file {self.token_file}: expected a token of 32 or more letters and digits, found"
                f" {len(value)} characters (remove the file to have a new one made)"
            )
        return ApiToken(value, warning)

    def _make_token(self, value: str) -> None:
        """A link fails where another process was first: then its token counts, and it is whole."""
        try:
            handle, name = tempfile.mkstemp(prefix=".api_token.", dir=self.path)
            with os.fdopen(handle, "w") as file:
                file.write(value + "\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(name, self.token_file)
            os.unlink(name)
            sync_folder(self.path)
        except OSError as error:
            raise StoreError(
                f"file {self.token_file}: expected to write it, found: {error.strerror}"
            ) from error

    def _tighten(self, permissions: int) -> str:
        os.chmod(self.token_file, 0o600)
        return (
            f"file {self.token_file}: expected mode 600, found {permissions:o}; tightened, but others on this"
            " machine may have read the token (remove the file to have a new one made)"
        )

    # --- the KILL file ---

    def kill_ordered(self) -> str | None:
        """Why a file `KILL` lies in the home (its first line, or a stock phrase); None when none does.

        A file that is there but cannot be read orders the kill all the same.
        """
        if not os.path.lexists(self.kill_file):
            return None
        stock = f"file {self.kill_file} is present"
        try:
            with self.kill_file.open("rb") as file:
                words = file.read(_KILL_WORDS_MAX).decode("utf-8", "replace")
        except OSError:
            return stock
        first = next(iter(words.splitlines()), "").strip()
        return first or stock

    # --- the lock ---

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Only one process works in a home. The kernel lets go when it ends, however it ends.

        Raises `StoreError` naming the process that holds the lock.
        """
        try:
            handle = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"file {self.lock_file}: expected to open it, found: {error.strerror}"
            ) from error
        try:
            self._take(handle)
            yield
        finally:
            os.close(handle)

    def _take(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise StoreError(
                f"home {self.path}: expected no other holdfast in it, found process {holder} running there"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
