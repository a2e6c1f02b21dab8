"""Who may send while the exchange wants us to wait."""

import pytest

from holdfast.domain.intents import Priority
from holdfast.exchanges.governor import Governor, Held
from holdfast.exchanges.transport import Answer
from tests.exchanges.support import HandClock

UPPER = [Priority.EMERGENCY, Priority.PROTECT]
LOWER = [Priority.TRADE, Priority.OBSERVE]


@pytest.mark.parametrize("priority", list(Priority))
async def test_everybody_passes_in_good_times(priority: Priority) -> None:
    """And is counted with its weight."""
    governor = Governor(HandClock())
    async with governor.slot(priority, 5):
        pass
    assert (governor.sent[priority], governor.weight_sent[priority]) == (1, 5)


async def test_while_limited_only_protection_and_emergencies_pass() -> None:
    """Rule 9: the lower two wait until the exchange's time is over."""
    clock = HandClock()
    governor = Governor(clock)
    governor.limit(3000)
    clock.pass_ms(1000)
    for priority in UPPER:
        async with governor.slot(priority, 1):
            pass
    for priority in LOWER:
        with pytest.raises(Held) as held:
            async with governor.slot(priority, 1):
                pass
        assert (held.value.outcome.retry_after_ms, held.value.outcome.banned) == (2000, False)
    clock.pass_ms(2000)
    assert [governor.refusal(priority) for priority in Priority] == [None] * 4


async def test_while_banned_nothing_passes() -> None:
    """Every request makes a ban longer."""
    clock = HandClock()
    governor = Governor(clock)
    governor.ban(60_000)
    for priority in Priority:
        with pytest.raises(Held) as held:
            async with governor.slot(priority, 1):
                pass
        assert held.value.outcome.banned
        assert governor.held[priority] == 1
    clock.pass_ms(60_000)
    assert governor.refusal(Priority.OBSERVE) is None


class Remembered:
    """Bans as a home remembers them."""

    def __init__(self) -> None:
        self.noted: list[int] = []

    def left_ms(self) -> int:
        return self.noted[-1] if self.noted else 0

    def note(self, for_ms: int) -> None:
        self.noted.append(for_ms)


def test_a_ban_outlives_the_process() -> None:
    """A restart during it sends nothing (seed 20007); a shorter word during it is no news."""
    clock, bans = HandClock(), Remembered()
    governor = Governor(clock, bans)
    assert governor.refusal(Priority.EMERGENCY) is None
    governor.ban(60_000)
    governor.ban(10)
    assert bans.noted == [60_000]
    refusal = Governor(clock, bans).refusal(Priority.EMERGENCY)
    assert refusal is not None
    assert (refusal.banned, refusal.retry_after_ms) == (True, 60_000)


def test_a_shorter_wait_never_shortens_a_longer_one() -> None:
    """Answers overtake one another."""
    clock = HandClock()
    governor = Governor(clock)
    governor.limit(5000)
    governor.limit(10)
    refusal = governor.refusal(Priority.TRADE)
    assert refusal is not None
    assert refusal.retry_after_ms == 5000


@pytest.mark.parametrize(("header", "used"), [("123", 123), ("-1", 7), ("", 7), ("x", 7), ("9" * 30, 7)])
def test_used_weight_is_what_the_exchange_counted_last(header: str, used: int) -> None:
    """A nonsense header changes nothing."""
    governor = Governor(HandClock())
    governor.used_weight = 7
    governor.heard(Answer(200, {"x-mbx-used-weight-1m": header}, b""))
    assert governor.used_weight == used
