"""Rate limits: requests a second per endpoint and user (or address), and a minute's total (bitget.md §3)."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.simulator.bitget.errors import too_many_requests
from holdfast.simulator.wire.window import Counting, window

SECOND_MS = 1_000
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is allowed; *share* scales the endpoints' own limits (0: they are not counted)."""

    per_minute: int = 6_000
    """Of all requests, per address."""
    share: float = 1.0
    sliding: bool = False
    """The stretches that are counted end now, instead of beginning at each multiple of their length [?]."""


class RateLimiter:
    """Counts and refuses. State only; time is given with each call."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._minutes: dict[str, Counting] = {}
        self._seconds: dict[tuple[str, str], Counting] = {}

    def reset(self) -> None:
        """Forget all counts (admin API)."""
        self._minutes.clear()
        self._seconds.clear()

    def count(self, address: str, now_ms: int, amount: int = 1) -> None:
        """Count against the address's minute. Raises 429."""
        if self._minute(address).add(amount, now_ms) > self.limits.per_minute:
            raise too_many_requests()

    def used(self, address: str, now_ms: int) -> int:
        return self._minute(address).add(0, now_ms)

    def _minute(self, address: str) -> Counting:
        if address not in self._minutes:
            self._minutes[address] = window(MINUTE_MS, sliding=self.limits.sliding)
        return self._minutes[address]

    def count_endpoint(self, who: str, path: str, per_second: int, now_ms: int) -> None:
        """Count against the endpoint's own limit. Raises 429."""
        if not self.limits.share:
            return
        if (who, path) not in self._seconds:
            self._seconds[who, path] = window(SECOND_MS, sliding=self.limits.sliding)
        if self._seconds[who, path].add(1, now_ms) > max(1, round(per_second * self.limits.share)):
            raise too_many_requests()
