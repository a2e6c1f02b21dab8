"""One row of the gauntlet as data: its fault, its world, what has to hold, and what came of it.

A row may have several drills (`G03`, `G03-408`): the same promise under another form of the fault.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from functools import partial
from importlib import import_module

from holdfast.drills.gauntlet.elsewhere import ABSENT, NEEDS, fault_at
from holdfast.drills.spec import WorldSpec
from holdfast.drills.wires import BINANCE, WIRES, ExchangeName
from holdfast.drills.world import World, run_world

_MODULES = (
    "entries",
    "stops",
    "covers",
    "closes",
    "books",
    "endings",
    "kills",
    "streams",
    "fills",
    "budget",
    "settings",
    "changes",
    "clocks",
    "markets",
    "disaster",
    "files",
)
"""Where rows are told; they register themselves when imported."""


class Verdict(StrEnum):
    HELD = "held"
    BROKEN = "broken"
    EXPECTED = "expected to fail"
    """A strict expected failure: what it needs is not built yet."""
    UNEXPECTED = "held against expectation"
    """It was to fail and held: take it off the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One drill. *scenario* raises `AssertionError` where a promise is broken.

    *needs* names what a row waits for that is not built yet; such a row has to fail.
    """

    id: str
    """`G01`, or `G03-408` for a further form of the same fault."""
    fault: str
    promise: str
    scenario: Callable[[World], Awaitable[None]]
    spec: WorldSpec
    needs: str = ""

    def at(self, exchange: ExchangeName) -> Row:
        """The same drill at another exchange, with what is still missing there."""
        needs = self.needs or NEEDS.get(self.id, {}).get(exchange, "")
        return replace(self, needs=needs, spec=replace(self.spec, exchange=exchange))

    @property
    def name(self) -> str:
        """Its id, with the exchange where that is not Binance: `G03@bingx`. `row_named` takes it back."""
        exchange = self.spec.exchange
        return self.id if exchange == BINANCE else f"{self.id}@{exchange}"

    @property
    def absent(self) -> str:
        """Why it cannot be rehearsed at its exchange; empty where it can."""
        return ABSENT.get(self.id, {}).get(self.spec.exchange, "")

    @property
    def row(self) -> str:
        """The gauntlet's row: `G03` of `G03-408`."""
        return self.id.split("-")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one drill. Naked time is the exchange's; seconds of market time."""

    row: Row
    verdict: Verdict
    why: str
    """What was broken; empty when the row held."""
    naked_s: Decimal
    orders_sent: int
    """Orders and stops that reached the exchange's books."""
    virtual_s: float
    cpu_s: float
    event_digest: str
    wire_digest: str


_told: dict[str, Row] = {}


def row(
    id_: str, fault: str, promise: str, *, needs: str = "", seed: int = 1, **spec: object
) -> Callable[[Callable[[World], Awaitable[None]]], Callable[[World], Awaitable[None]]]:
    """Decorator: register a scenario as a row. *spec* changes the usual world of a drill."""

    def register(scenario: Callable[[World], Awaitable[None]]) -> Callable[[World], Awaitable[None]]:
        if id_ in _told:
            raise ValueError(f"row {id_}: told twice")
        world = replace(USUAL, seed=seed, **spec)  # type: ignore[arg-type]
        _told[id_] = Row(id=id_, fault=fault, promise=promise, scenario=scenario, spec=world, needs=needs)
        return scenario

    return register


USUAL = WorldSpec(
    symbols=("BTC/USDT", "ETH/USDT"),
    strategies={"scripted": {}},
    settings={"trading.check_interval_ms": 500, "trading.cooldown_minutes": "0.05"},
)
"""Two symbols, and a strategy that wants what the drill tells it and is asked every three seconds."""


def rows() -> Mapping[str, Row]:
    """All drills by id, in order; the modules that tell them are imported on first use."""
    for name in _MODULES:
        import_module(f"holdfast.drills.gauntlet.{name}")
    return dict(sorted(_told.items()))


def row_named(name: str) -> Row:
    """The drill of that name. Raises `KeyError`."""
    id_, _, exchange = name.partition("@")
    return rows()[id_].at(WIRES[exchange].exchange) if exchange else rows()[id_]


def rows_of(wanted: tuple[str, ...], exchange: ExchangeName = BINANCE) -> tuple[Row, ...]:
    """The drills of those rows or ids (`G03` means all its forms) that an exchange has; all when empty.

    Raises `KeyError`.
    """
    known = {name: each.at(exchange) for name, each in rows().items() if not each.at(exchange).absent}
    if not wanted:
        return tuple(known.values())
    for name in wanted:
        if not any(name in (each.id, each.row) for each in known.values()):
            raise KeyError(name)
    return tuple(each for each in known.values() if each.id in wanted or each.row in wanted)


def run_row(row_: Row) -> Outcome:
    """Run one drill in a fresh world."""
    told: dict[str, object] = {}

    async def scenario(world: World) -> None:
        world.server.faults.worded = partial(fault_at, row_.spec.exchange)
        try:
            await row_.scenario(world)
        except (AssertionError, LookupError, ValueError) as broken:
            # What should be there and is not ("expected one position, found none") breaks a promise too.
            told["why"] = str(broken) or repr(broken)
        truth = world.truth()
        told["naked_s"] = truth.naked_seconds_max
        told["orders_sent"] = truth.entries + truth.exits

    result = run_world(row_.spec, scenario)
    why = str(told.get("why", ""))
    if result.problems and not why:
        why = f"loose end: {result.problems[0]}"
    return Outcome(
        row=row_,
        verdict=_verdict(row_, why),
        why=why,
        naked_s=Decimal(str(told["naked_s"])),
        orders_sent=int(str(told["orders_sent"])),
        virtual_s=result.virtual_ms / 1000,
        cpu_s=result.cpu_s,
        event_digest=result.event_digest,
        wire_digest=result.wire_digest,
    )


def _verdict(row_: Row, why: str) -> Verdict:
    if row_.needs:
        return Verdict.EXPECTED if why else Verdict.UNEXPECTED
    return Verdict.BROKEN if why else Verdict.HELD
