"""`bot.json` in the home: where the running bot's HTTP interface is, for the commands that ask it."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from holdfast.cli.exits import Exit, Failure
from holdfast.store.atomic import write_atomic
from holdfast.store.home import Home

NAME = "bot.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class BotFile:
    """Who runs in this home and where it answers. A killed bot leaves the file behind."""

    pid: int
    host: str
    port: int
    address: str
    """The exchange address it uses."""
    started_ms: int


def write(home: Home, running: BotFile) -> None:
    """Say where the bot is. Raises `StoreError`."""
    write_atomic(_path(home), json.dumps(asdict(running), indent=2).encode() + b"\n")


def remove(home: Home) -> None:
    """Nobody runs here any more."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_path(home))


def read(home: Home) -> BotFile | None:
    """Where the bot is or was last; None when it never ran or ended in order. Raises `Failure`."""
    path = _path(home)
    try:
        found = json.loads(path.read_bytes())
        return BotFile(**found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise Failure(f"{path}: expected where the bot runs, found: {error}", Exit.BAD_USE) from error


def _path(home: Home) -> Path:
    return home.path / NAME
