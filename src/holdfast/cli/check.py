"""`holdfast check`: what a bot relies on, checked without trading."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from holdfast.cli.config import Loaded, load
from holdfast.cli.exits import Exit, say
from holdfast.cli.operate import existing_home, put
from holdfast.cli.paths import CHECKED_NAME, config_path
from holdfast.runtime.clock import RealClock
from holdfast.store import audit as chain
from holdfast.store.atomic import write_atomic
from holdfast.store.audit_file import verify_file
from holdfast.store.database import open_store
from holdfast.store.home import Home


def config(home_path: Path, asked: Path | None, *, live: bool, as_json: bool) -> int:
    """Print every setting in force. A passed live check is remembered in the home (it is needed to run)."""
    home = Home(home_path)
    path = config_path(home, asked)
    loaded = load(path, os.environ, live=live)
    if as_json:
        put(_told(loaded, path))
    else:
        _show(loaded, path)
    if live:
        home.prepare()
        passed = {"hash": loaded.hash, "at_ms": RealClock().now_ms()}
        write_atomic(home.path / CHECKED_NAME, json.dumps(passed).encode() + b"\n", mode=0o600)
        say(f"passed for live trading; remembered in {home.path / CHECKED_NAME}")
    return Exit.FINE


def _told(loaded: Loaded, path: Path | None) -> dict[str, Any]:
    values = [{"path": each.path, "value": each.value, "origin": each.origin} for each in loaded.effective]
    return {
        "file": str(path) if path else None,
        "mode": loaded.settings.trading_mode,
        "address": loaded.settings.address,
        "hash": loaded.hash,
        "warnings": list(loaded.warnings),
        "settings": values,
    }


def _show(loaded: Loaded, path: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"settings in force ({path or 'no file'})", title_justify="left")
    for name in ("setting", "value", "from"):
        table.add_column(name, overflow="fold")
    for each in loaded.effective:
        table.add_row(each.path, each.value, each.origin)
    console = Console()
    console.print(table)
    console.print(f"hash {loaded.hash}")
    for warning in loaded.warnings:
        console.print(f"warning: {warning}", style="yellow")


def audit(home_path: Path, *, as_json: bool) -> int:
    """Verify the chain in the database and the file against it; 3 when either is broken.

    A file that ends earlier than the database is behind, not broken: a running bot is writing, or
    one that was killed will at its next start.
    """
    home = existing_home(home_path)
    store = open_store(home.database, read_only=True)
    try:
        in_store = store.read(chain.verify)
        in_file = verify_file(home.audit)
        last = store.read(lambda connection: chain.event_at(connection, in_file.lines))
    finally:
        store.close()
    if in_file.ok and in_file.lines:
        head = (last.seq, last.hash) if last else (in_store.lines, "")
        in_file = verify_file(home.audit, expected_head=head)
    parts = {str(home.database): in_store, str(home.audit): in_file}
    if as_json:
        put(
            {
                name: {
                    "ok": each.ok,
                    "events": each.lines,
                    "first_bad": each.first_bad,
                    "reason": each.reason,
                }
                for name, each in parts.items()
            }
        )
    for name, each in parts.items():
        words = f"{each.lines} events, unbroken" if each.ok else f"broken at {each.first_bad}: {each.reason}"
        say(f"{name}: {words}")
    if in_file.ok and in_file.lines < in_store.lines:
        behind = in_store.lines - in_file.lines
        say(f"{home.audit} is {behind} events behind the database; the bot writes them while it runs")
    return Exit.FINE if all(each.ok for each in parts.values()) else Exit.GUARANTEE_VIOLATED
