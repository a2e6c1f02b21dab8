"""The catalogue of troubles: what can go wrong for a bot, who brings it about, and its usual measure.

The rows are in `kinds.toml`; this module reads them and says what their words mean. Plans name kinds,
swarms draw from them, reports list them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from holdfast.domain.invariant import require
from holdfast.drills.wires import BINANCE, WIRES


class Family(StrEnum):
    """By what a person would look for."""

    REST = "rest"
    STREAM = "stream"
    NETWORK = "network"
    VENUE = "venue"
    MARKET = "market"
    CLOCK = "clock"
    PROCESS = "process"
    OPERATOR = "operator"


class Plane(StrEnum):
    """Who carries it out."""

    WIRE = "wire"
    """The simulated exchange, by faults on what it is asked and what it tells."""
    HAND = "hand"
    """Somebody at the exchange: the owner's second login, the exchange's operators, the market."""
    LINK = "link"
    """The network between bot and exchange."""
    CLOCK = "clock"
    """The bot's wall clock."""
    DISK = "disk"
    """The bot's database and files."""
    PROCESS = "process"
    """The bot itself."""
    OPERATOR = "operator"
    """The person who orders it about."""


class Moment(StrEnum):
    """What a trouble may wait for before it strikes, so that it strikes where it hurts."""

    NOW = ""
    ENTRY = "entry"
    """The bot has just decided to enter; nothing of it has left yet."""
    SUBMIT = "submit"
    """An order or stop of the bot has just reached the exchange and is not answered yet."""
    FILL = "fill"
    """An execution has just happened."""
    RECONCILE = "reconcile"
    """The bot has just asked for its positions."""
    POSITION = "position"
    """A position is open."""
    COVERED = "covered"
    """A position is open and a stop covers it."""
    FLAT = "flat"
    """Nothing is open, neither position nor order."""


Number = int | float


class Span(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A number: what is usual, and the bounds of what may be asked for and drawn."""

    usual: Number
    low: Number
    high: Number

    def __post_init__(self) -> None:
        require(self.low <= self.usual <= self.high, "the usual value lies within its bounds")

    @property
    def whole(self) -> bool:
        return all(isinstance(value, int) for value in (self.usual, self.low, self.high))


class Form(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind as one exchange has it: what is given stands in the row's place."""

    what: str = ""
    targets: tuple[str, ...] = ()
    faults: tuple[dict[str, str | int | float], ...] = ()
    words: tuple[str, ...] = ()


class Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the catalogue; the fields are explained at the head of `kinds.toml`."""

    name: str
    family: Family
    plane: Plane = Plane.WIRE
    what: str
    targets: tuple[str, ...] = ("bot",)
    faults: tuple[dict[str, str | int | float], ...] = ()
    begin: str = ""
    lasts_ms: Span | None = None
    on: Moment = Moment.NOW
    numbers: dict[str, Span] = {}
    words: tuple[str, ...] = ()
    per_hour: float = 1.0
    heavy: bool = False
    forms: dict[str, Form | str] = {}
    """By exchange: what is different there, or why there is no such thing."""

    def __post_init__(self) -> None:
        wire = self.plane is Plane.WIRE
        require(bool(self.faults) is wire, "a kind on the wire has faults, any other has none")
        require(bool(self.begin) is not wire, "a kind off the wire says what is begun")
        require(self.lasts_ms is not None or not wire, "a fault on the wire lasts")
        require(not self.forms.keys() - WIRES.keys(), "forms are of exchanges")

    def absent(self, exchange: str) -> str:
        """Why there is no such thing at an exchange; empty where there is."""
        form = self.forms.get(exchange, "")
        return form if isinstance(form, str) else ""

    def at(self, exchange: str) -> Kind:
        """This kind as that exchange has it."""
        form = self.forms.get(exchange)
        known = WIRES[exchange].endpoints
        targets = tuple(name for name in self.targets if name in known or name not in ENDPOINTS)
        changes = (
            {}
            if not isinstance(form, Form)
            else {name: value for name in form.__struct_fields__ if (value := getattr(form, name))}
        )
        return msgspec.structs.replace(self, **{"targets": targets, **changes})


ENDPOINTS = tuple(WIRES[BINANCE].endpoints)
"""Names of requests; which ones are meant `wires` says for each exchange."""
STREAMS = ("user", "market", "all")
TARGETS: Mapping[str, tuple[str, ...]] = {
    "any": ("send", *(name for name in ENDPOINTS if name != "send")),
    "account_reads": ("positions", "stops", "orders", "balance", "trades", "find", "config", "reads"),
    "streams": STREAMS,
    "links": ("all", "rest", "user", "market"),
    # A symbol with a position (any when there is none), or any of all.
    "held": ("held", "any"),
}
_SECOND, _MINUTE = 1_000, 60_000
_LASTS: Mapping[str, Span | None] = {
    "moment": None,
    "brief": Span(5 * _SECOND, 200, 30 * _SECOND),
    "some": Span(30 * _SECOND, _SECOND, 3 * _MINUTE),
    "long": Span(2 * _MINUTE, 10 * _SECOND, 10 * _MINUTE),
}


def read_kinds(text: str) -> dict[str, Kind]:
    """The catalogue of a TOML *text*, by name, in its order; a mistake in it raises."""
    tables: dict[str, Any] = tomllib.loads(text)
    usual = tables.pop("usual")
    rows = [
        _kind(family, name, usual.get(family, {}), row)
        for family, kinds in tables.items()
        for name, row in kinds.items()
    ]
    found = {kind.name: kind for kind in rows}
    require(len(found) == len(rows), "every kind has a name of its own")
    return found


def _kind(family: str, name: str, usual: dict[str, Any], row: dict[str, Any]) -> Kind:
    whole: dict[str, Any] = {**usual, **row, "family": family, "name": name}
    whole["numbers"] = {**usual.get("numbers", {}), **row.get("numbers", {})}
    if isinstance(whole.get("targets"), str):
        whole["targets"] = TARGETS[whole["targets"]]
    if isinstance(whole.get("lasts_ms"), str):
        whole["lasts_ms"] = msgspec.to_builtins(_LASTS[whole["lasts_ms"]])
    return msgspec.convert(whole, Kind)


KINDS: Mapping[str, Kind] = read_kinds(files(__package__).joinpath("kinds.toml").read_text("utf-8"))
"""Every kind by name, as Binance has those that it has."""


@lru_cache(maxsize=len(WIRES))
def kinds_at(exchange: str) -> Mapping[str, Kind]:
    """Those kinds that an exchange has, in its form."""
    return {name: kind.at(exchange) for name, kind in KINDS.items() if not kind.absent(exchange)}
