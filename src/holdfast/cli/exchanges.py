"""`holdfast exchanges` and `holdfast errors`: what is known of each exchange, as data."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict

from holdfast.cli.exits import Exit, Failure
from holdfast.cli.operate import put
from holdfast.domain.account import PositionMode
from holdfast.exchanges.capabilities import CAPABILITIES
from holdfast.exchanges.explained import codes_of
from holdfast.exchanges.features import COLUMNS, Told, features

Modes = Mapping[PositionMode, Mapping[str, Told]]
MARK = " (?)"
LEGEND = "(?) = unverified: the exchange's documents leave it open, or tell it in two ways"


def exchanges(asked: str | None, *, as_json: bool) -> int:
    """Print what each exchange does, per position mode. Raises `Failure` for one nobody built."""
    chosen = chosen_of(asked)
    known = {name: modes_of(name) for name in chosen}
    if as_json:
        put({name: {mode.value: _plain(known[name][mode]) for mode in PositionMode} for name in chosen})
    else:
        _show(known)
    return Exit.FINE


def chosen_of(asked: str | None) -> tuple[str, ...]:
    """The exchange asked for, or all. Raises `Failure`."""
    if asked is not None and asked not in CAPABILITIES:
        expected = f"one of {', '.join(CAPABILITIES)}"
        raise Failure(f"--exchange: expected {expected}, found {asked!r}", Exit.BAD_USE)
    return (asked,) if asked else tuple(CAPABILITIES)


def modes_of(name: str) -> Modes:
    return {mode: features(name, mode) for mode in PositionMode}


def cell(modes: Modes, column: str) -> str:
    """What is so in both modes, or in each."""
    one_way, hedge = (_words(modes[mode][column]) for mode in (PositionMode.ONE_WAY, PositionMode.HEDGE))
    return one_way if one_way == hedge else f"one-way: {one_way}; hedge: {hedge}"


def _words(told: Told) -> str:
    return told.value if told.verified else f"{told.value}{MARK}"


def _plain(told: Mapping[str, Told]) -> dict[str, dict[str, str | bool]]:
    return {name: {"value": each.value, "verified": each.verified} for name, each in told.items()}


def _show(known: Mapping[str, Modes]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="what each exchange does", title_justify="left", show_lines=True)
    table.add_column("", ratio=2, overflow="fold")
    for name in known:
        table.add_column(name, ratio=3, overflow="fold")
    for column, meaning in COLUMNS.items():
        table.add_row(
            f"{column.replace('_', ' ')}: {meaning}", *(cell(each, column) for each in known.values())
        )
    console = Console()
    console.print(table)
    console.print(LEGEND)


def errors(code: str | None, asked: str | None, *, as_json: bool) -> int:
    """Explain an exchange's error codes: one, or all. Raises `Failure` when nobody knows the code."""
    found = {
        name: [each for each in codes_of(name) if code in (None, each.code, each.code.lstrip("-"))]
        for name in chosen_of(asked)
    }
    if code is not None and not any(found.values()):
        where = asked or "any exchange"
        raise Failure(
            f"expected an error code of {where}, found {code!r} (docs/errors.md has all)", Exit.BAD_USE
        )
    if as_json:
        put({name: [asdict(each) for each in told] for name, told in found.items() if told})
        return Exit.FINE
    for name, told in found.items():
        for each in told:
            said = f' ("{each.reading}")' if each.reading else ""
            sys.stdout.write(f"{name} {each.code}{said}: {each.meaning}\n  {each.word}; {each.remedy}\n")
    return Exit.FINE
