"""Counters, 429 and 418."""

from __future__ import annotations

import pytest

from holdfast.simulator.binance.limits import Limits, RateLimiter
from holdfast.simulator.wire.errors import WireError

SMALL = Limits(weight_per_minute=10, orders_per_10s=2, orders_per_minute=3, refusals_before_ban=2)


def refused(call) -> WireError:
    with pytest.raises(WireError) as caught:
        call()
    return caught.value


def test_weight_adds_up_and_starts_anew_each_minute():
    limiter = RateLimiter(SMALL)
    assert limiter.weigh("a", 4, 0) == 4
    assert limiter.weigh("a", 6, 59_999) == 10
    assert limiter.weigh("b", 1, 59_999) == 1, "another address has its own budget"
    assert limiter.weigh("a", 1, 60_000) == 1


def test_too_much_weight_is_429_with_the_time_to_wait():
    limiter = RateLimiter(SMALL)
    error = refused(lambda: limiter.weigh("a", 11, 45_500))
    assert (error.status, error.code, error.headers["Retry-After"]) == (429, -1003, "15")


def test_going_on_after_429_is_banned_and_longer_each_time():
    limiter = RateLimiter(SMALL)
    statuses = [refused(lambda: limiter.weigh("a", 11, 0)).status for _ in range(3)]
    assert statuses == [429, 429, 418]
    error = refused(lambda: limiter.check_ban("a", 1_000))
    assert (error.status, error.headers["Retry-After"]) == (418, "119")
    assert "banned until 120000" in error.msg
    limiter.check_ban("a", 120_000)
    for _ in range(3):
        refused(lambda: limiter.weigh("a", 11, 120_000))
    assert refused(lambda: limiter.check_ban("a", 120_000)).headers["Retry-After"] == "240"
    limiter.reset()
    limiter.check_ban("a", 120_000)


def test_orders_are_counted_per_account_and_refused_with_their_window():
    limiter = RateLimiter(SMALL)
    assert limiter.count_orders("me", 1, 1, 0) == {
        "X-MBX-ORDER-COUNT-10S": "1",
        "X-MBX-ORDER-COUNT-1M": "1",
    }
    limiter.count_orders("me", 1, 1, 0)
    error = refused(lambda: limiter.count_orders("me", 1, 1, 0))
    assert (error.status, error.code) == (429, -1015)
    assert "300" not in error.msg
    assert "2 orders per 10 SECOND" in error.msg
    error = refused(lambda: limiter.count_orders("me", 1, 1, 10_000))
    assert "3 orders per 1 MINUTE" in error.msg
    assert limiter.count_orders("you", 1, 1, 0)["X-MBX-ORDER-COUNT-10S"] == "1"
