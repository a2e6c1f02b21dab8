"""Rate limits: requests a second per endpoint and user (or address), and a minute's total (bitget.md §3)."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.simulator.bitget.errors import too_many_requests
from holdfast.simulator.wire.window import Window

SECOND_MS = 1_000
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is allowed; *share* scales the endpoints' own limits (0: they are not counted)."""

    per_minute: int = 6_000
    """Of all requests, per address."""
    share: float = 1.0


class RateLimiter:
    """Counts and refuses. State only; time is given with each call."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._minutes: dict[str, Window] = {}
        self._seconds: dict[tuple[str, str], Window] = {}

    def reset(self) -> None:
        """Forget all counts (admin API)."""
        self._minutes.clear()
        self._seconds.clear()

    def count(self, address: str, now_ms: int, amount: int = 1) -> None:
        """Count against the address's minute. Raises 429."""
        if self._minutes.setdefault(address, Window(MINUTE_MS)).add(amount, now_ms) > self.limits.per_minute:
            raise too_many_requests()

    def used(self, address: str, now_ms: int) -> int:
        return self._minutes.setdefault(address, Window(MINUTE_MS)).add(0, now_ms)

    def count_endpoint(self, who: str, path: str, per_second: int, now_ms: int) -> None:
        """Count against the endpoint's own limit. Raises 429."""
        if not self.limits.share:
            return
        window = self._seconds.setdefault((who, path), Window(SECOND_MS))
        if window.add(1, now_ms) > max(1, round(per_second * self.limits.share)):
            raise too_many_requests()
