"""One world to be run and judged, complete as data: what a seed means, and what a replay file holds.

case = drawn(7, hours=2)                  # the world of seed 7 and what goes wrong in it
write(path, Kept(case=case, ...))         # as a violation leaves it
kept = read(path)                         # and as `--replay` takes it back
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from holdfast.drills.origin import Origin
from holdfast.drills.plan import BadPlan, Schedule, read_schedule, schedule_of
from holdfast.drills.plants import PLANTS
from holdfast.drills.spec import HOUR_MS, BadSpec, WorldSpec, read_spec
from holdfast.drills.strategies import RESTLESS
from holdfast.drills.swarm import draw
from holdfast.drills.wires import ExchangeName

FORMAT = 1
LATENCIES_MS = ((1.0, 10.0), (5.0, 60.0), (20.0, 150.0), (80.0, 400.0))
DISKS_MS = ((0.0, 5.0), (0.0, 50.0), (5.0, 200.0))
READ_LAGS_MS = ((0, 0), (0, 500), (0, 1_500))
HECTIC = {"enter_chance": 0.6, "exit_chance": 0.35, "adjust_chance": 0.3}
TEMPERS: tuple[Mapping[str, float], ...] = ({}, HECTIC, HECTIC)
"""How often the strategy wants something: where nothing is sent little can go wrong."""
COOLDOWN_MINUTES = "0.1"


class BadCase(ValueError):
    """A replay file makes no sense; one sentence says what was expected and found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A world, what goes wrong in it, and the mistake planted in its bot (`""` = none).

    The world lasts as long as its schedule; then everything is healed and it has to recover.
    """

    spec: WorldSpec
    schedule: Schedule
    plant: str = ""

    @property
    def seed(self) -> int:
        return self.spec.seed

    def under(self, schedule: Schedule) -> Case:
        """The same world with less (or more) going wrong."""
        return replace(self, schedule=schedule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What came of a case when it was written down; *checker* is empty when everything held."""

    event_digest: str
    wire_digest: str
    checker: str = ""
    at_ms: int = 0
    """Exchange time."""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A replay file. *expected* None: written by hand, nothing is known yet."""

    case: Case
    expected: Expected | None = None
    origin: Origin | None = None


# --- what a seed means -------------------------------------------------------------------------------


def drawn(seed: int, hours: float, *, exchange: ExchangeName = "binance", plant: str = "") -> Case:
    """The world of *seed* at an exchange, with its troubles."""
    return Case(spec=_world(seed, hours, exchange), schedule=draw(seed, hours, exchange), plant=plant)


def calm(seed: int, hours: float, *, exchange: ExchangeName = "binance", plant: str = "") -> Case:
    """The same world, and nothing goes wrong in it."""
    schedule = schedule_of(seed, round(hours * HOUR_MS), [], exchange)
    return Case(spec=_world(seed, hours, exchange), schedule=schedule, plant=plant)


def _world(seed: int, hours: float, exchange: ExchangeName) -> WorldSpec:
    """Distances, disks, exchanges and tempers differ too."""
    chance = random.Random(f"case/{seed}")  # noqa: S311  (seeded chance is the point)
    return WorldSpec(
        seed=seed,
        exchange=exchange,
        hours=hours,
        strategies={RESTLESS: chance.choice(TEMPERS)},
        settings={"trading.cooldown_minutes": COOLDOWN_MINUTES},
        latency_ms=chance.choice(LATENCIES_MS),
        disk_ms=chance.choice(DISKS_MS),
        read_lag_ms=chance.choice(READ_LAGS_MS),
    )


# --- replay files ------------------------------------------------------------------------------------


def write(path: Path, kept: Kept) -> None:
    """Write a replay file; its folder is made. Raises `OSError`."""
    case = kept.case
    plain = {
        "format": FORMAT,
        "world": case.spec.to_json(),
        "schedule": case.schedule.to_json(),
        "plant": case.plant,
        "expected": msgspec.to_builtins(kept.expected),
        "origin": msgspec.to_builtins(kept.origin),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n")


def read(path: Path) -> Kept:
    """What a replay file holds, checked. Raises `BadCase`."""
    try:
        data = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise BadCase(f"{path}: {error}") from error
    try:
        return read_kept(data)
    except (BadSpec, BadPlan, BadCase, msgspec.ValidationError) as error:
        raise BadCase(f"{path}: {error}") from error


def read_kept(data: object) -> Kept:
    """A replay file from decoded JSON. Raises `BadCase`, `BadSpec`, `BadPlan`, `ValidationError`."""
    if not isinstance(data, dict):
        raise BadCase(f"expected an object, found {type(data).__name__}")
    known = ("format", "world", "schedule", "plant", "expected", "origin")
    unknown = sorted(str(name) for name in data if name not in known)
    if unknown:
        raise BadCase(f"unknown field {unknown[0]!r}; known are {', '.join(known)}")
    if data.get("format") != FORMAT:
        raise BadCase(f"expected format {FORMAT}, found {data.get('format')!r}")
    plant = data.get("plant", "")
    if plant and plant not in PLANTS:
        raise BadCase(f"plant: expected one of {', '.join(PLANTS)}, found {plant!r}")
    case = _read_case(read_spec(data.get("world", {})), data.get("schedule"), plant)
    return Kept(
        case=case,
        expected=_part(data, "expected", Expected),
        origin=_part(data, "origin", Origin),
    )


def _read_case(spec: WorldSpec, schedule: object, plant: str) -> Case:
    """A schedule that names no exchange is for the world's."""
    given = {"exchange": spec.exchange, **schedule} if isinstance(schedule, dict) else schedule
    case = Case(spec=spec, schedule=read_schedule(given), plant=plant)
    if case.schedule.exchange != spec.exchange:
        raise BadCase(f"schedule: expected exchange {spec.exchange!r}, found {case.schedule.exchange!r}")
    return case


def _part(data: dict[str, Any], name: str, shape: type[Any]) -> Any:
    given = data.get(name)
    return None if given is None else msgspec.convert(given, shape)
