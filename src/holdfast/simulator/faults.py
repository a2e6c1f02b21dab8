"""Faults as data: what goes wrong on the wire, for whom, when and how often.

A `Fault` says *what* (kind and its numbers), *whom* (method, path, parameters, account) and *when*
(a span of exchange time, a count, a probability). A `FaultPlan` holds the active ones; the wire asks
it for every request and every message it is about to deliver, and obeys. Chance comes from seeds,
so that a plan plays the same way twice.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Literal

import msgspec


class FaultKind(StrEnum):
    """What goes wrong. *Before*: without effect. *After*: the effect has happened."""

    LOST_REQUEST = "lost_request"
    """Never arrives: no effect, no answer; the connection hangs until the client gives up."""
    LOST_REPLY = "lost_reply"
    """The effect happens, then the connection is reset."""
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    REJECT = "reject"
    """HTTP 400 with *code* and *msg*, no effect."""
    DELAY = "delay"
    """*delay_ms* more until the request takes effect."""
    DELAY_REPLY = "delay_reply"
    """*delay_ms* more between the effect and the answer."""
    ENDPOINT_DOWN = "endpoint_down"
    """HTTP 503 without effect; *status* 0 closes the connection instead."""
    RATE_LIMITED = "rate_limited"
    """429 (or 418) with `Retry-After`, no effect."""
    EMPTY = "empty"
    """HTTP 200 without a body, after the effect."""
    HTML = "html"
    """An HTML page with *status* (a proxy's), before the effect."""
    TRUNCATED = "truncated"
    """The true answer, cut in half, after the effect."""
    STALE_READ = "stale_read"
    """A read answers what was true *delay_ms* ago."""
    EMPTY_READ = "empty_read"
    """A read answers an empty list, as if nothing were there."""
    WS_SILENT = "ws_silent"
    """The socket stays open (pings are answered), but nothing is delivered."""
    WS_CLOSE = "ws_close"
    """The socket is closed with *ws_code*; 1006 cuts it without a word."""
    EVENTS_DELAYED = "events_delayed"
    EVENTS_DROPPED = "events_dropped"
    EVENTS_DOUBLED = "events_doubled"
    DOUBLED_REPLY = "doubled_reply"
    """The answer comes a second time on the same connection, *delay_ms* behind the first."""
    FILLED_FIRST = "filled_first"
    """The order that a cancel names is filled (the stop triggered) just before the cancel is looked at."""
    FIELD_MISSING = "field_missing"
    """The JSON members *member* are left out of answers and stream messages."""
    FIELD_RETYPED = "field_retyped"
    """Numbers come as text, and text that is a number as a number."""
    FIELD_CHANGED = "field_changed"
    """The members say *word*: a word nobody knows yet, a price of 0, NaN or anything."""


class BadFault(ValueError):
    """The description of a fault makes no sense; the message names what, expected and found."""


ON_SOCKETS = frozenset(
    {
        FaultKind.WS_SILENT,
        FaultKind.WS_CLOSE,
        FaultKind.EVENTS_DELAYED,
        FaultKind.EVENTS_DROPPED,
        FaultKind.EVENTS_DOUBLED,
    }
)
REWRITING = frozenset({FaultKind.FIELD_MISSING, FaultKind.FIELD_RETYPED, FaultKind.FIELD_CHANGED})
"""They touch answers whose path, and stream messages whose name *path* is found in."""
# These come on top of others; the first of any other kind decides the request.
ADDING = REWRITING | {
    FaultKind.DELAY,
    FaultKind.DELAY_REPLY,
    FaultKind.STALE_READ,
    FaultKind.EMPTY_READ,
    FaultKind.DOUBLED_REPLY,
    FaultKind.FILLED_FIRST,
}

# What a kind answers when the fault does not say: (status, code, message).
_ANSWERS: Mapping[FaultKind, tuple[int, int, str]] = {
    FaultKind.ERROR_BEFORE: (503, 0, "Service Unavailable."),
    FaultKind.ERROR_AFTER: (503, 0, "Unknown error, please check your request or try again later."),
    FaultKind.REJECT: (400, -2010, "New order rejected"),
    FaultKind.ENDPOINT_DOWN: (503, 0, "Service Unavailable."),
    FaultKind.RATE_LIMITED: (429, -1003, "Too many requests; current limit is 2400 requests per minute."),
    FaultKind.HTML: (502, 0, ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong. Empty or 0 means "any" or "the kind's usual"."""

    kind: FaultKind
    name: str = ""
    method: str = ""
    path: str = ""
    """A regular expression searched in the path; for sockets in the stream's name, or the event's with
    its execution or status (`ORDER_TRADE_UPDATE/NEW`, `ALGO_UPDATE/TRIGGERED`)."""
    params: Mapping[str, str] = field(default_factory=dict)
    """Parameters the request must carry; each value is a regular expression that matches all of it."""
    account: str = ""
    """The API key."""
    stream: Literal["all", "user", "market"] = "all"
    from_ms: int = 0
    to_ms: int = 0
    """Exchange time, exclusive; 0 = for good."""
    skip: int = 0
    """Let this many matching ones pass first."""
    times: int = 0
    """Fire at most so often; 0 = always."""
    probability: float = 1.0
    seed: int = 0
    status: int | None = None
    code: int | None = None
    msg: str | None = None
    retry_after_s: int = 5
    delay_ms: int = 1_000
    ws_code: int = 1001
    member: str = ""
    """A regular expression that the names of the touched JSON members match in full; "" = all."""
    word: str = "SOMETHING_NEW"

    def __post_init__(self) -> None:
        patterns = {"path": self.path, "member": self.member}
        patterns |= {f"params.{name}": value for name, value in self.params.items()}
        for name, pattern in patterns.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise BadFault(
                    f"{name}: expected a regular expression, found {pattern!r} ({error})"
                ) from error
        if not 0 <= self.probability <= 1:
            raise BadFault(f"probability: expected 0 to 1, found {self.probability}")
        for name in ("skip", "times", "delay_ms", "retry_after_s", "from_ms", "to_ms"):
            if getattr(self, name) < 0:
                raise BadFault(f"{name}: expected 0 or more, found {getattr(self, name)}")

    def answer(self) -> tuple[int, int, str]:
        """(HTTP status, code, message) this fault answers with."""
        status, code, msg = _ANSWERS.get(self.kind, (500, 0, ""))
        return (
            status if self.status is None else self.status,
            code if self.code is None else self.code,
            msg if self.msg is None else self.msg,
        )

    @property
    def on_sockets(self) -> bool:
        """It may touch stream messages; one that rewrites does unless it names an HTTP method."""
        return self.kind in ON_SOCKETS or (self.kind in REWRITING and not self.method)

    def to_json(self) -> dict[str, object]:
        """Only what differs from the defaults."""
        shown = {name: value for name, value in asdict(self).items() if value != _DEFAULTS.get(name)}
        return {"kind": str(self.kind)} | {name: value for name, value in shown.items() if name != "kind"}


_NAMES = frozenset(item.name for item in fields(Fault))
_DEFAULTS = {**asdict(Fault(kind=FaultKind.DELAY)), "kind": None}


def read_fault(data: object) -> Fault:
    """A fault from decoded JSON. Raises `BadFault` with one clear sentence."""
    if not isinstance(data, dict):
        raise BadFault(f"fault: expected an object, found {type(data).__name__}")
    unknown = sorted(str(name) for name in data if name not in _NAMES)
    if unknown:
        raise BadFault(f"fault: unknown field {unknown[0]!r}; known are {', '.join(sorted(_NAMES))}")
    if data.get("kind") not in tuple(FaultKind):
        raise BadFault(f"kind: expected one of {', '.join(FaultKind)}, found {data.get('kind')!r}")
    try:
        return msgspec.convert(data, Fault)
    except msgspec.ValidationError as error:
        raise BadFault(f"fault: {error}") from error


def read_faults(data: object) -> list[Fault]:
    """One fault or a list of them."""
    return [read_fault(item) for item in (data if isinstance(data, list) else [data])]


@dataclass(slots=True)
class Active:
    """A fault at work, and how often it was met."""

    number: int
    fault: Fault
    chance: random.Random
    matched: int = 0
    fired: int = 0

    def fires(self) -> bool:
        """Called for each match inside the fault's span; counts."""
        self.matched += 1
        if self.matched <= self.fault.skip or self.spent:
            return False
        if self.fault.probability < 1 and self.chance.random() >= self.fault.probability:
            return False
        self.fired += 1
        return True

    @property
    def spent(self) -> bool:
        return bool(self.fault.times) and self.fired >= self.fault.times

    def within(self, now_ms: int) -> bool:
        fault = self.fault
        return fault.from_ms <= now_ms and (not fault.to_ms or now_ms < fault.to_ms)

    def to_json(self) -> dict[str, object]:
        return {
            "id": self.number,
            "matched": self.matched,
            "fired": self.fired,
            "fault": self.fault.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """How to deliver one message: *copies* 0 drops it."""

    copies: int = 1
    delay_ms: int = 0
    rewrites: tuple[Fault, ...] = ()


PLAINLY = Delivery()


class FaultPlan:
    """The active faults. Numbers are given once and never reused."""

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 0) -> None:
        self._seed = seed
        self._next = 1
        self._active: dict[int, Active] = {}
        self._gone: list[Active] = []
        self.worded: Callable[[Fault], Fault] = lambda fault: fault
        """Puts what is added into the words of the exchange at hand."""
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> int:
        number, fault = self._next, self.worded(fault)
        self._next += 1
        # A fault with a seed of its own fires alike whatever other faults there are.
        chance = random.Random(f"fault/{self._seed}/{fault.seed or f'#{number}'}")  # noqa: S311
        self._active[number] = Active(number, fault, chance)
        return number

    def remove(self, number: int) -> bool:
        """False when there is no such fault (any more)."""
        gone = self._active.pop(number, None)
        if gone is not None:
            self._gone.append(gone)
        return gone is not None

    def clear(self) -> None:
        for number in sorted(self._active):
            self.remove(number)

    @property
    def any(self) -> bool:
        """Some fault is active."""
        return bool(self._active)

    def listing(self) -> list[Active]:
        return [self._active[number] for number in sorted(self._active)]

    def fired(self, number: int) -> int:
        """How often the fault has fired, also after its removal."""
        known = [*self._active.values(), *self._gone]
        return next((active.fired for active in known if active.number == number), 0)

    def for_request(
        self, method: str, path: str, params: Mapping[str, str], account: str, now_ms: int
    ) -> list[Fault]:
        """The faults this request meets: any number that add, then at most one that decides."""
        met: list[Fault] = []
        for active in self.listing():
            fault = active.fault
            if fault.kind in ON_SOCKETS or not active.within(now_ms):
                continue
            if not _request_matches(fault, method, path, params, account) or not active.fires():
                continue
            met.append(fault)
            if fault.kind not in ADDING:
                break
        return met

    def for_message(self, stream: str, name: str, account: str, now_ms: int) -> Delivery:
        """How to deliver the message *name* of the *stream* (`user` or `market`)."""
        if not self._active:
            return PLAINLY
        copies, delay_ms, rewrites = 1, 0, []
        for active in self._on_sockets(stream, name, account, now_ms):
            kind = active.fault.kind
            if kind is FaultKind.WS_CLOSE or not active.fires():
                continue
            if kind in (FaultKind.WS_SILENT, FaultKind.EVENTS_DROPPED):
                return Delivery(copies=0)
            if kind in REWRITING:
                rewrites.append(active.fault)
            elif kind is FaultKind.EVENTS_DOUBLED:
                copies += 1
            else:
                delay_ms += active.fault.delay_ms
        return Delivery(copies, delay_ms, tuple(rewrites))

    def closes(self, stream: str, account: str, now_ms: int) -> Fault | None:
        """The fault that closes this socket now, if any."""
        for active in self._on_sockets(stream, "", account, now_ms):
            if active.fault.kind is FaultKind.WS_CLOSE and active.fires():
                return active.fault
        return None

    def _on_sockets(self, stream: str, name: str, account: str, now_ms: int) -> list[Active]:
        return [
            active
            for active in self.listing()
            if active.fault.on_sockets
            and active.within(now_ms)
            and active.fault.stream in ("all", stream)
            and active.fault.account in ("", account)
            and (active.fault.kind is FaultKind.WS_CLOSE or re.search(active.fault.path, name))
        ]


def carries(params: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether each parameter that is *wanted* matches its regular expression in full."""
    return all(re.fullmatch(value, params.get(name, "")) for name, value in wanted.items())


def _request_matches(fault: Fault, method: str, path: str, params: Mapping[str, str], account: str) -> bool:
    return (
        fault.method.upper() in ("", method)
        and fault.account in ("", account)
        and bool(re.search(fault.path, path))
        and carries(params, fault.params)
    )
