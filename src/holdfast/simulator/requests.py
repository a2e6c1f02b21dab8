"""The last requests the exchange has seen: what drills look back at. Signatures are never kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

KEPT = 5_000


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
