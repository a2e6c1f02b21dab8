"""Where settings come from: profile < file < environment < command line, each value with its origin."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from holdfast.cli.faults import ConfigError, Fault

PREFIX = "HOLDFAST_"
NOT_SETTINGS = ("HOLDFAST_HOME", "HOLDFAST_CONFIG")
NOT_SETTINGS_PREFIX = "HOLDFAST_TEST_"

_HEADER = re.compile(r"^\s*\[+\s*([^\]]+?)\s*\]+")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-.\"']+)\s*=")

Table = dict[str, Any]


@dataclass(slots=True)
class Layers:
    """Settings merged so far, and where each dotted path was set last."""

    values: Table = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def put(self, path: tuple[str, ...], value: object, origin: str) -> None:
        """Set one value; tables are merged, everything else is replaced."""
        if isinstance(value, Mapping):
            self._open(path)
            for name, each in value.items():
                self.put((*path, str(name)), each, origin)
            return
        table = self._open(path[:-1])
        table[path[-1]] = value
        self.origins[".".join(path)] = origin

    def _open(self, path: tuple[str, ...]) -> Table:
        table = self.values
        for part in path:
            inner = table.get(part)
            if not isinstance(inner, dict):
                inner = table[part] = {}
            table = inner
        return table

    def add_text(self, text: str, name: str) -> None:
        """A TOML text; its lines become the origins. Raises `ConfigError`."""
        parsed = parse_toml(text, name)
        lines = line_numbers(text)
        for key, value in parsed.items():
            self._add_located((key,), value, name, lines)

    def _add_located(self, path: tuple[str, ...], value: object, name: str, lines: Mapping[str, int]) -> None:
        dotted = ".".join(path)
        origin = f"{name}:{lines[dotted]}" if dotted in lines else name
        if isinstance(value, Mapping):
            self._open(path)
            self.origins[dotted] = origin
            for key, each in value.items():
                self._add_located((*path, str(key)), each, name, lines)
            return
        self.put(path, value, origin)

    def add_environment(self, environment: Mapping[str, str]) -> None:
        """`HOLDFAST_LIMITS__MAX_POSITIONS=3` sets limits.max_positions; unknown names fail later."""
        for name in sorted(environment):
            if not name.startswith(PREFIX) or name in NOT_SETTINGS or name.startswith(NOT_SETTINGS_PREFIX):
                continue
            path = tuple(part.lower() for part in name.removeprefix(PREFIX).split("__"))
            self.put(path, _environment_value(path, environment[name]), f"environment {name}")


def parse_toml(text: str, name: str) -> Table:
    """The text's tables, numbers exact. Raises `ConfigError`."""
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Fault(name, "valid TOML", str(error))]) from error


def read_toml(path: Path) -> str:
    """The file's text. Raises `ConfigError`."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        found = error.strerror or "an unreadable file"
        raise ConfigError([Fault(str(path), "a readable configuration file", found)]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Fault(str(path), "UTF-8 text", f"other bytes ({error.reason})")]) from error


def line_numbers(text: str) -> dict[str, int]:
    """The line of each dotted key and table of a TOML text; what stands in inline tables has none."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        key = None if header else _KEY.match(line)
        if header:
            table = _bare(header[1])
            found.setdefault(table, number)
        elif key:
            found.setdefault(f"{table}.{_bare(key[1])}" if table else _bare(key[1]), number)
    return found


def _bare(name: str) -> str:
    return re.sub(r"[\"'\s]", "", name)


def _environment_value(path: tuple[str, ...], text: str) -> object:
    """A TOML value where it is one (numbers, booleans, lists), else the text itself."""
    if path == ("symbols",) and not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if path[0] == "keys":
        return text
    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError:
        return text
