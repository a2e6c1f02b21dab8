"""Rate limits as the exchange counts them: weight per address, orders per account, 429, then 418.

Sheet §3 and §6: 2,400 weight a minute an address, 300 orders in 10 s and 1,200 a minute an account;
going on after a 429 ends in a ban of 2 minutes, doubling up to 3 days.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.window import Window

MINUTE_MS = 60_000
TEN_SECONDS_MS = 10_000
BAN_MS = 120_000
BAN_MS_MAX = 3 * 24 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is allowed; *refusals_before_ban* 429s in one minute end in a 418."""

    weight_per_minute: int = 2_400
    orders_per_10s: int = 300
    orders_per_minute: int = 1_200
    funding_per_5min: int = 500
    refusals_before_ban: int = 10


@dataclass(slots=True)
class Address:
    """What one client address used up."""

    weight: Window = field(default_factory=lambda: Window(MINUTE_MS))
    refusals: Window = field(default_factory=lambda: Window(MINUTE_MS))
    funding: Window = field(default_factory=lambda: Window(5 * MINUTE_MS))
    banned_until_ms: int = 0
    bans: int = 0


@dataclass(slots=True)
class OrderCount:
    """What one account used up."""

    ten_seconds: Window = field(default_factory=lambda: Window(TEN_SECONDS_MS))
    minute: Window = field(default_factory=lambda: Window(MINUTE_MS))


class RateLimiter:
    """Counts and refuses. State only; time is given with each call."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._addresses: dict[str, Address] = {}
        self._orders: dict[str, OrderCount] = {}

    def reset(self) -> None:
        """Forget all counts and bans (admin API)."""
        self._addresses.clear()
        self._orders.clear()

    def check_ban(self, address: str, now_ms: int) -> None:
        """Raise 418 while *address* is banned."""
        record = self._addresses.get(address)
        if record is not None and now_ms < record.banned_until_ms:
            raise _banned(address, record.banned_until_ms, now_ms)

    def weigh(self, address: str, weight: int, now_ms: int) -> int:
        """Count *weight*; return what this minute used, raise 429 (or 418) when that is too much."""
        record = self._addresses.setdefault(address, Address())
        used = record.weight.add(weight, now_ms)
        if used > self.limits.weight_per_minute:
            self._refuse(record, address, now_ms)
        return used

    def used_weight(self, address: str, now_ms: int) -> int:
        record = self._addresses.get(address)
        return record.weight.add(0, now_ms) if record else 0

    def weigh_funding(self, address: str, now_ms: int) -> None:
        """The funding endpoints share a budget of their own (500 in 5 minutes an address)."""
        record = self._addresses.setdefault(address, Address())
        if record.funding.add(1, now_ms) > self.limits.funding_per_5min:
            raise _too_many(self.limits.funding_per_5min, record.funding.retry_after_s(now_ms))

    def count_orders(self, account_id: str, in_10s: int, in_minute: int, now_ms: int) -> dict[str, str]:
        """Count orders and return the headers that tell; raise -1015 above the limit."""
        count = self._orders.setdefault(account_id, OrderCount())
        short, long = count.ten_seconds.add(in_10s, now_ms), count.minute.add(in_minute, now_ms)
        headers = {"X-MBX-ORDER-COUNT-10S": str(short), "X-MBX-ORDER-COUNT-1M": str(long)}
        if short > self.limits.orders_per_10s:
            wait_s = count.ten_seconds.retry_after_s(now_ms)
            raise _too_many_orders(self.limits.orders_per_10s, "10 SECOND", wait_s, headers)
        if long > self.limits.orders_per_minute:
            wait_s = count.minute.retry_after_s(now_ms)
            raise _too_many_orders(self.limits.orders_per_minute, "1 MINUTE", wait_s, headers)
        return headers

    def _refuse(self, record: Address, address: str, now_ms: int) -> None:
        if record.refusals.add(1, now_ms) > self.limits.refusals_before_ban:
            record.banned_until_ms = now_ms + min(BAN_MS << record.bans, BAN_MS_MAX)
            record.bans += 1
            raise _banned(address, record.banned_until_ms, now_ms)
        raise _too_many(self.limits.weight_per_minute, record.weight.retry_after_s(now_ms))


def _too_many(limit: int, wait_s: int) -> WireError:
    return WireError(
        -1003,
        f"Too many requests; current limit is {limit} requests per minute. "
        "Please use the websocket for live updates to avoid polling the API.",
        status=429,
        headers={"Retry-After": str(wait_s)},
    )


def _banned(address: str, until_ms: int, now_ms: int) -> WireError:
    return WireError(
        -1003,
        f"Way too many requests; IP({address}) banned until {until_ms}. "
        "Please use the websocket for live updates to avoid bans.",
        status=418,
        headers={"Retry-After": str(max(1, -(-(until_ms - now_ms) // 1_000)))},
    )


def _too_many_orders(limit: int, window: str, wait_s: int, headers: dict[str, str]) -> WireError:
    return WireError(
        -1015,
        f"Too many new orders; current limit is {limit} orders per {window}.",
        status=429,
        headers={**headers, "Retry-After": str(wait_s)},
    )
