"""The last requests the exchange has seen: what drills look back at. Signatures are never kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.simulator.faults import Fault

KEPT = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request in the moment it reached the exchange, before anything came of it."""

    at_ms: int
    account: str
    """The API key."""
    address: str
    method: str
    path: str
    params: Mapping[str, str]
    weight: int
    orders: int
    """What it counts against the order limits."""
    faults: tuple[Fault, ...]
    """Those it meets."""


ArrivalListener = Callable[[Arrival], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request and its fate; *status* 0: the connection was cut, 101: a WebSocket was opened."""

    at_ms: int
    account: str
    method: str
    path: str
    params: Mapping[str, str]
    status: int
    code: int

    def to_json(self) -> dict[str, object]:
        return {
            "at_ms": self.at_ms,
            "account": self.account,
            "method": self.method,
            "path": self.path,
            "params": dict(self.params),
            "status": self.status,
            "code": self.code,
        }


class RequestLog:
    """A ring of the last requests, oldest first."""

    def __init__(self, kept: int = KEPT) -> None:
        self._seen: deque[Seen] = deque(maxlen=kept)
        self._listeners: list[ArrivalListener] = []

    def listen(self, listener: ArrivalListener) -> None:
        """Call *listener* with every request that arrives, whatever becomes of it."""
        self._listeners.append(listener)

    @property
    def listened(self) -> bool:
        return bool(self._listeners)

    def arrived(self, arrival: Arrival) -> None:
        for listener in self._listeners:
            listener(arrival)

    def add(
        self,
        at_ms: int,
        account: str,
        method: str,
        path: str,
        params: Mapping[str, str],
        status: int,
        code: int,
    ) -> None:
        self._seen.append(Seen(at_ms, account, method, path, params, status, code))

    def listing(self, account: str = "") -> list[Seen]:
        """All, or those of one API key."""
        return [seen for seen in self._seen if account in ("", seen.account)]
