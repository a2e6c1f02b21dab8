"""Orders and questions of the operator: over the bot's HTTP interface, and by the home when it is down."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.cli import botfile
from holdfast.cli.client import BotClient, BotDown, not_running, operator_name
from holdfast.cli.exits import Exit, Failure, say
from holdfast.decisions.gate import OperatorState
from holdfast.runtime.clock import RealClock
from holdfast.store.atomic import write_atomic
from holdfast.store.audit_file import AuditFile
from holdfast.store.database import open_store
from holdfast.store.errors import StoreError
from holdfast.store.home import Home
from holdfast.store.operator import set_operator


@dataclass(frozen=True, slots=True)
class Order:
    """One of the operator's orders: its HTTP path, and what is latched when the bot is down."""

    name: str
    path: str
    latched: OperatorState | None
    """None: it needs a running bot."""


STOP = Order("stop", "/stop", OperatorState.STOPPED)
RESUME = Order("resume", "/run", OperatorState.RUNNING)
KILL = Order("kill", "/kill", OperatorState.KILLED)
FLATTEN = Order("flatten", "/flatten", None)


def existing_home(path: Path) -> Home:
    """The home, which a bot must have used before. Raises `Failure`."""
    home = Home(path)
    if not home.token_file.exists():
        words = f"home {home.path}: expected the home of a bot, found none (`holdfast run` makes one)"
        raise Failure(words, Exit.BAD_USE)
    return home


def client(home: Home) -> BotClient:
    """Where the home's bot answers. Raises `BotDown` when none is known, `StoreError`, `Failure`."""
    running = botfile.read(home)
    if running is None:
        raise BotDown("no bot is running in this home")
    host = "127.0.0.1" if running.host in ("0.0.0.0", "::") else running.host  # noqa: S104 (not a bind)
    return BotClient(host, running.port, home.api_token().value)


def put(data: object) -> None:
    """Data for machines, on standard output."""
    sys.stdout.write(json.dumps(data) + "\n")


def _ask(home: Home, path: str) -> dict[str, Any]:
    try:
        return client(home).get(path)
    except BotDown as error:
        raise not_running(str(home.path), error) from error


def status(path: Path, *, as_json: bool) -> int:
    """Print the running bot's state; 1 when it is not running."""
    told = _ask(existing_home(path), "/api/status")
    if as_json:
        put(told)
    else:
        from holdfast.cli.show import show_status

        show_status(told)
    return Exit.FINE


def positions(path: Path, *, as_json: bool) -> int:
    """Print the running bot's positions; 3 when one has no stop."""
    told = _ask(existing_home(path), "/api/bot/positions")
    if as_json:
        put(told)
    else:
        from holdfast.cli.show import show_positions

        show_positions(told)
    return Exit.GUARANTEE_VIOLATED if told["unprotected"] else Exit.FINE


def order(path: Path, wanted: Order, reason: str, *, as_json: bool, liquidate: bool = False) -> int:
    """Give the order to the running bot, or latch it in the home; 1 when it was refused."""
    home = existing_home(path)
    if wanted is RESUME:
        _remove_kill_file(home)
    told = {"reason": reason} | ({"liquidate": True} if liquidate else {})
    try:
        result = client(home).order(wanted.path, told)
    except BotDown as error:
        result = _latch(home, wanted, reason, error)
        if liquidate:
            result["message"] += "; nothing was closed"
            result["done"] = False
    except Failure as error:
        if wanted is not KILL:
            raise
        result = _latch(home, wanted, reason, error)
    _tell(wanted, result, as_json=as_json)
    return Exit.FINE if result["done"] else Exit.FAILED


def _tell(wanted: Order, result: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        put(result)
        return
    say(f"{wanted.name}: {result['message']} (state: {result['state']})")
    for name, value in result["details"].items():
        if value not in ([], "", None):
            say(f"  {name.replace('_', ' ')}: {value}")


def _latch(home: Home, wanted: Order, reason: str, why: Exception) -> dict[str, Any]:
    """Without an answer the order goes into the home, where the bot finds it. Says so honestly."""
    if wanted.latched is None:
        words = f"{why}: nothing was closed; exchange-side stops stand as they were. Start it: holdfast run"
        raise Failure(f"the bot of {home.path} is not running: {words}")
    if wanted is KILL:
        text = f"{reason or 'holdfast kill'} (by {operator_name()})\n"
        write_atomic(home.kill_file, text.encode())
    state = wanted.latched
    store = open_store(home.database)
    try:
        now_ms = RealClock().now_ms()
        who = f"{operator_name()}@home"
        made = store.write(lambda c: set_operator(c, state, who, reason, now_ms))
        # The audit file has one writer: us, unless the bot that gave no answer still runs.
        with contextlib.suppress(StoreError), home.lock():
            AuditFile(home.audit, store, RealClock().now_ms).catch_up()
    finally:
        store.close()
    where = "in the database and by the file KILL" if wanted is KILL else "in the database"
    message = f"the bot gave no answer ({why}); the order is latched {where} for the next start"
    if wanted is KILL:
        message += ", and read at the next step if it still runs"
    done = made.state is wanted.latched
    if not done:
        message = f"the bot gave no answer ({why}); the state stays {made.state}: only `resume` clears a kill"
    return {"done": done, "state": made.state.value, "message": message, "correlation_id": "", "details": {}}


def _remove_kill_file(home: Home) -> None:
    if home.kill_ordered() is not None:
        with contextlib.suppress(FileNotFoundError):
            home.kill_file.unlink()
        say(f"removed the file {home.kill_file}")
