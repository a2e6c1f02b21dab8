"""What goes wrong in a world, as data: a schedule of troubles, read, checked, and played on a stage.

    schedule = read_schedule(json.loads(text))
    played = await play(schedule, stage, sleep_until)

A `Trouble` says *what* (a kind of the catalogue), *whom*, *when*, *how long*, and its numbers. It is
complete: what a file leaves out is filled in with the kind's usual value when it is read, so that a
schedule that was written down stays what it was when the catalogue changes.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec

from holdfast.drills.kinds import KINDS, STREAMS, Kind, Moment, Number, Span, kinds_at
from holdfast.drills.wires import BINANCE, WIRES, ExchangeName, Wire
from holdfast.simulator.faults import ON_SOCKETS, Fault, FaultKind, read_fault

Shape = TypeVar("Shape", bound=msgspec.Struct)

FORMAT = 1
SEEDS = 2**31


class BadPlan(ValueError):
    """The schedule makes no sense; one sentence says where, what was expected and what was found."""


class Trouble(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong. Make it with `trouble` or `read_schedule`: both fill in and check."""

    kind: str
    at_ms: int
    """Since the world began."""
    for_ms: int = 0
    """How long until it is healed; 0 where the kind is over as it happens."""
    target: str = ""
    on: Moment = Moment.NOW
    """From *at_ms* on, wait for this before striking."""
    numbers: dict[str, Number] = {}
    word: str = ""


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong in one world, in the order of beginning; all is healed after *length_ms*."""

    seed: int = 0
    """Of the chance inside faults (which requests a probability hits)."""
    exchange: ExchangeName = "binance"
    """Whose forms of the troubles are meant."""
    length_ms: int
    troubles: tuple[Trouble, ...] = ()
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """Plain data, complete; `read_schedule` takes it back."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


# --- reading -----------------------------------------------------------------------------------------


def read_schedule(data: object) -> Schedule:
    """A schedule from decoded JSON, complete and sorted. Raises `BadPlan`."""
    given = _object(data, "schedule", Schedule)
    if given.get("format", FORMAT) != FORMAT:
        raise BadPlan(f"schedule: expected format {FORMAT}, found {given['format']!r}")
    rows = given.get("troubles", [])
    if not isinstance(rows, list | tuple):
        raise BadPlan(f"troubles: expected a list, found {type(rows).__name__}")
    whole = _converted({**given, "troubles": []}, "schedule", Schedule)
    troubles = [_read_trouble(row, f"troubles[{place}]", whole.exchange) for place, row in enumerate(rows)]
    return schedule_of(whole.seed, whole.length_ms, troubles, whole.exchange)


def schedule_of(
    seed: int, length_ms: int, troubles: list[Trouble], exchange: ExchangeName = "binance"
) -> Schedule:
    """A checked schedule, sorted by time. Raises `BadPlan`."""
    if length_ms <= 0:
        raise BadPlan(f"length_ms: expected more than 0, found {length_ms}")
    late = next((each for each in troubles if each.at_ms >= length_ms), None)
    if late is not None:
        raise BadPlan(f"{late.kind}: expected at_ms before the end at {length_ms}, found {late.at_ms}")
    ordered = sorted(troubles, key=lambda each: (each.at_ms, each.kind, each.target))
    return Schedule(seed=seed, exchange=exchange, length_ms=length_ms, troubles=tuple(ordered))


def trouble(kind: str, at_ms: int, exchange: str = BINANCE, **given: Any) -> Trouble:
    """A complete, checked trouble of an exchange; *given* as in JSON. Raises `BadPlan`."""
    return _read_trouble({"kind": kind, "at_ms": at_ms, **given}, kind, exchange)


def _read_trouble(data: object, where: str, exchange: str) -> Trouble:
    given = _object(data, where, Trouble)
    kind = _kind(given.get("kind"), where, exchange)
    numbers = given.get("numbers", {})
    if not isinstance(numbers, dict):
        raise BadPlan(f"{where}.numbers: expected an object, found {type(numbers).__name__}")
    whole = _converted({**_usual(kind), **given, "numbers": _filled(kind, numbers, where)}, where, Trouble)
    _check(kind, whole, where)
    return whole


def _kind(name: object, where: str, exchange: str) -> Kind:
    if not isinstance(name, str) or name not in KINDS:
        raise BadPlan(f"{where}: expected a kind of the catalogue, found {name!r}")
    absent = KINDS[name].absent(exchange)
    if absent:
        raise BadPlan(f"{where}: expected a kind that {exchange} has, found {name!r} ({absent})")
    return kinds_at(exchange)[name]


def _usual(kind: Kind) -> dict[str, Any]:
    return {
        "for_ms": int(kind.lasts_ms.usual) if kind.lasts_ms else 0,
        "target": kind.targets[0],
        "on": kind.on,
        "word": kind.words[0] if kind.words else "",
    }


def _filled(kind: Kind, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    unknown = sorted(set(given) - set(kind.numbers))
    if unknown:
        known = ", ".join(sorted(kind.numbers)) or "none"
        raise BadPlan(f"{where}.numbers: unknown number {unknown[0]!r} of {kind.name}; known are {known}")
    return {name: given.get(name, span.usual) for name, span in kind.numbers.items()}


def _check(kind: Kind, whole: Trouble, where: str) -> None:
    """Everything a type cannot say."""
    for name, value in whole.numbers.items():
        _check_number(kind.numbers[name], value, f"{where}.numbers.{name}")
    problems = {
        "at_ms: expected 0 or more": (whole.at_ms < 0, whole.at_ms),
        "for_ms: expected more than 0": (bool(kind.lasts_ms) and whole.for_ms <= 0, whole.for_ms),
        "for_ms: expected 0, it is over as it happens": (
            not kind.lasts_ms and whole.for_ms != 0,
            whole.for_ms,
        ),
        f"target: expected one of {', '.join(kind.targets)}": (
            whole.target not in kind.targets,
            whole.target,
        ),
        f"word: expected one of {', '.join(kind.words) or 'none'}": (
            whole.word not in (kind.words or ("",)),
            whole.word,
        ),
    }
    for sentence, (broken, found) in problems.items():
        if broken:
            raise BadPlan(f"{where}.{sentence}, found {found!r}")


def _check_number(span: Span, value: Number, where: str) -> None:
    if span.whole and not isinstance(value, int):
        raise BadPlan(f"{where}: expected a whole number, found {value!r}")
    if not span.low <= value <= span.high:
        raise BadPlan(f"{where}: expected {span.low} to {span.high}, found {value!r}")


def _object(data: object, where: str, shape: type[msgspec.Struct]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise BadPlan(f"{where}: expected an object, found {type(data).__name__}")
    known = shape.__struct_fields__
    unknown = sorted(str(name) for name in data if name not in known)
    if unknown:
        raise BadPlan(f"{where}: unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}")
    return data


def _converted(data: dict[str, Any], where: str, shape: type[Shape]) -> Shape:
    try:
        return msgspec.convert(data, shape)
    except msgspec.ValidationError as error:
        raise BadPlan(f"{where}: {error}") from error


# --- on the wire -------------------------------------------------------------------------------------


def faults_of(schedule: Schedule, trouble: Trouble, stream: str = "") -> tuple[Fault, ...]:
    """The simulator's faults of a trouble on the wire. *stream*: a symbol as `Wire.stream_name` spells it.

    Its chance depends on the schedule's seed and on itself only: leaving other troubles out, as
    shrinking does, changes nothing in it.
    """
    said = f"{schedule.seed}/{trouble.kind}/{trouble.target}/{trouble.at_ms}"
    seed = zlib.crc32(said.encode()) % SEEDS or 1
    wire, forms = WIRES[schedule.exchange], kinds_at(schedule.exchange)[trouble.kind].faults
    return tuple(_fault(trouble, form, wire, stream, seed) for form in forms)


def _fault(
    trouble: Trouble, form: Mapping[str, str | int | float], wire: Wire, stream: str, seed: int
) -> Fault:
    filled = {"{stream}": stream, "{word}": trouble.word, "{sockets}": wire.sockets}
    said = {
        name: _filled_in(value, filled) if isinstance(value, str) else value for name, value in form.items()
    }
    whom = _whom(trouble.target, FaultKind(str(form["kind"])), wire)
    return read_fault({**whom, **trouble.numbers, **said, "seed": seed})


def _filled_in(text: str, filled: Mapping[str, str]) -> str:
    for name, value in filled.items():
        text = text.replace(name, value)
    return text


def _whom(target: str, kind: FaultKind, wire: Wire) -> dict[str, object]:
    if target in STREAMS and (kind in ON_SOCKETS or target not in wire.endpoints):
        return {"stream": target}
    if target not in wire.endpoints:
        return {}
    method, path, params = wire.endpoints[target]
    return {"method": method, "path": path, "params": dict(params)}


# --- playing -----------------------------------------------------------------------------------------

Heal = Callable[[], Awaitable[int]]
"""Undo it, and say how often it struck; 0 = it never mattered."""
SleepUntil = Callable[[int], Awaitable[None]]
"""To that many ms after the world's beginning."""


class Stage(Protocol):
    """Where troubles are carried out: a world, or a fake in tests."""

    def elapsed_ms(self) -> int:
        """Since the world began."""
        ...

    async def moment(self, moment: Moment, until_ms: int) -> bool:
        """Wait for the moment to come; False when it has not come by *until_ms*."""
        ...

    async def strike(self, schedule: Schedule, trouble: Trouble) -> Heal:
        """Begin it."""
        ...


@dataclass(slots=True, kw_only=True)
class Played:
    """What became of a trouble; times since the world began, -1 = never."""

    trouble: Trouble
    began_ms: int = -1
    ended_ms: int = -1
    hits: int = 0
    """How often it struck: requests or messages it touched, connections, positions, deaths."""


async def play(schedule: Schedule, stage: Stage, sleep_until: SleepUntil) -> tuple[Played, ...]:
    """Carry out every trouble at its time and heal it at its end; returns when the last one is over.

    Cancelled, it heals what stands. What waits for its moment gives up at the end of the schedule.
    """
    played = tuple(Played(trouble=each) for each in schedule.troubles)
    async with asyncio.TaskGroup() as group:
        for place, each in enumerate(played):
            work = _perform(schedule, each, stage, sleep_until)
            group.create_task(work, name=f"trouble {place} {each.trouble.kind}")
    return played


async def _perform(schedule: Schedule, played: Played, stage: Stage, sleep_until: SleepUntil) -> None:
    trouble = played.trouble
    await sleep_until(trouble.at_ms)
    if trouble.on is not Moment.NOW and not await stage.moment(trouble.on, schedule.length_ms):
        return
    heal = await stage.strike(schedule, trouble)
    played.began_ms = stage.elapsed_ms()
    try:
        if trouble.for_ms:
            await sleep_until(min(played.began_ms + trouble.for_ms, schedule.length_ms))
    finally:
        played.hits = await heal()
        played.ended_ms = stage.elapsed_ms()
