"""Rate limits as the exchange counts them: per address, per account and endpoint, and bad requests."""

from __future__ import annotations

from holdfast.simulator.bingx.config import Limits
from holdfast.simulator.bingx.errors import rate_limited, told_to_pause
from holdfast.simulator.wire.window import Counting, Window, window

SECOND_MS = 1_000
TEN_SECONDS_MS = 10_000
MINUTE_MS = 60_000


class RateLimiter:
    """Counts and refuses. State only; time is given with each call."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._addresses: dict[tuple[str, bool], Counting] = {}
        self._paths: dict[tuple[str, str], Counting] = {}
        self._invalid: dict[str, Window] = {}
        self._paused: dict[str, int] = {}

    def reset(self) -> None:
        """Forget all counts and pauses."""
        for counts in (self._addresses, self._paths, self._invalid, self._paused):
            counts.clear()

    def used(self, address: str, public: bool, now_ms: int) -> int:
        return self._address(address, public).add(0, now_ms)

    def left(self, address: str, public: bool, now_ms: int) -> tuple[int, int]:
        """What the address may still ask in these ten seconds, and when they end (ms)."""
        most = self.limits.market_per_10s if public else self.limits.account_per_10s
        ends_ms = (now_ms // TEN_SECONDS_MS + 1) * TEN_SECONDS_MS
        return max(0, most - self.used(address, public, now_ms)), ends_ms

    def count_address(self, address: str, public: bool, now_ms: int, amount: int = 1) -> None:
        """Raise 100410 beyond what the address may ask."""
        most = self.limits.market_per_10s if public else self.limits.account_per_10s
        if self._address(address, public).add(amount, now_ms) > most:
            raise rate_limited()

    def count_path(self, account_id: str, path: str, per_second: int, now_ms: int) -> None:
        """Raise 100410 beyond *per_second* requests of an account to one endpoint."""
        if not self.limits.share:
            return
        if (account_id, path) not in self._paths:
            self._paths[account_id, path] = window(SECOND_MS, sliding=self.limits.sliding)
        if self._paths[account_id, path].add(1, now_ms) > max(1, round(per_second * self.limits.share)):
            raise rate_limited()

    def check_pause(self, account_id: str, now_ms: int) -> None:
        """Raise 109429 while the account is to pause."""
        until_ms = self._paused.get(account_id, 0)
        if now_ms < until_ms:
            raise told_to_pause(until_ms)

    def count_invalid(self, account_id: str, now_ms: int) -> None:
        """A refused request; too many of them in a minute bring a pause."""
        refused = self._invalid.setdefault(account_id, Window(MINUTE_MS))
        if refused.add(1, now_ms) > self.limits.invalid_per_minute:
            self._paused[account_id] = now_ms + self.limits.pause_ms

    def _address(self, address: str, public: bool) -> Counting:
        if (address, public) not in self._addresses:
            self._addresses[address, public] = window(TEN_SECONDS_MS, sliding=self.limits.sliding)
        return self._addresses[address, public]
