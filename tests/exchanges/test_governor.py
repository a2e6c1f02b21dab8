"""Who may send: the exchange's word, its budget, what is kept for protection, and fairness."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.intents import Priority, Unavailable
from holdfast.exchanges import governor as governing
from holdfast.exchanges.governor import Governor, Held, KeyBudget
from holdfast.exchanges.limits import SHARES, SLACK_MS, TRANSIT_MS, Limit, Rolling, Scope, Tally, room
from holdfast.exchanges.transport import Answer
from holdfast.runtime.clock import RealClock
from holdfast.simulator.wire.window import window
from tests.exchanges.support import HandClock

UPPER = [Priority.EMERGENCY, Priority.PROTECT]
LOWER = [Priority.TRADE, Priority.OBSERVE]
MINUTE_MS = 60_000
WEIGHT = Limit(name="weight", amount=1_000, window_ms=MINUTE_MS, header="used")
ORDERS = Limit(name="orders", amount=10, window_ms=10_000, scope=Scope.KEY)


@pytest.fixture
def clock() -> HandClock:
    """At the very beginning of a minute that counts as begun."""
    clock = HandClock()
    clock.now += MINUTE_MS - clock.now % MINUTE_MS + SLACK_MS
    return clock


SECOND = Limit(name="second", amount=10, window_ms=1_000, scope=Scope.KEY)
GROUP = Limit(name="group", amount=500, window_ms=10_000, left_header="left", left_above=30)


@pytest.fixture
def governor(clock: HandClock) -> Governor:
    return Governor(clock, (WEIGHT, ORDERS, SECOND, GROUP))


async def send(
    key: KeyBudget, priority: Priority, headers: Mapping[str, str] | None = None, **costs: int
) -> None:
    """One request that is answered at once; *headers* None: no answer comes."""
    async with key.slot(priority, costs) as flight:
        if headers is not None:
            flight.heard(Answer(200, headers, b""))


async def refused(key: KeyBudget, priority: Priority, **costs: int) -> Unavailable:
    with pytest.raises(Held) as held:
        await send(key, priority, **costs)
    return held.value.outcome


# --- the exchange's word -------------------------------------------------------------------------


async def test_while_limited_only_protection_and_emergencies_pass(
    governor: Governor, clock: HandClock
) -> None:
    """Rule 9: the lower two wait until the exchange's time is over."""
    key = governor.key()
    governor.limit(3_000)
    clock.pass_ms(1_000)
    for priority in UPPER:
        await send(key, priority, weight=1)
    for priority in LOWER:
        outcome = await refused(key, priority, weight=1)
        assert (outcome.retry_after_ms, outcome.banned, outcome.held, outcome.short) == (
            2_000,
            False,
            True,
            False,
        )
    clock.pass_ms(2_000)
    assert [governor.refusal(priority) for priority in Priority] == [None] * 4


@pytest.mark.parametrize(("priority", "tries"), governing.REFUSED_MAX.items())
def test_even_those_wait_when_the_exchange_goes_on_refusing(
    governor: Governor, clock: HandClock, priority: Priority, tries: int
) -> None:
    """Going on after a 429 is what brings a ban about (G22)."""
    for _ in range(tries - 1):
        governor.limit(3_000)
    assert governor.refusal(priority) is None
    governor.limit(3_000)
    assert governor.refusal(priority) is not None
    governor.passed()
    assert governor.refusal(priority) is None


async def test_while_banned_nothing_passes(governor: Governor, clock: HandClock) -> None:
    """Every request makes a ban longer."""
    key = governor.key()
    governor.ban(60_000)
    for priority in Priority:
        assert (await refused(key, priority, weight=0)).banned
        assert governor.figures[priority].held == 1
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
    governor = Governor(clock, bans=bans)
    assert governor.refusal(Priority.EMERGENCY) is None
    governor.ban(60_000)
    governor.ban(10)
    assert bans.noted == [60_000]
    refusal = Governor(clock, bans=bans).refusal(Priority.EMERGENCY)
    assert refusal is not None
    assert (refusal.banned, refusal.retry_after_ms) == (True, 60_000)


def test_a_shorter_wait_never_shortens_a_longer_one(governor: Governor) -> None:
    """Answers overtake one another."""
    governor.limit(5_000)
    governor.limit(10)
    refusal = governor.refusal(Priority.TRADE)
    assert refusal is not None
    assert refusal.retry_after_ms == 5_000


# --- the budget ----------------------------------------------------------------------------------


@pytest.mark.parametrize("priority", list(Priority))
async def test_each_priority_sends_up_to_its_share_and_no_further(
    governor: Governor, clock: HandClock, priority: Priority
) -> None:
    """What is refused was not sent, says until when, and is free again in the next window."""
    key, share = governor.key(), int(WEIGHT.amount * SHARES[priority])
    await send(key, priority, weight=share)
    outcome = await refused(key, priority, weight=1)
    assert (outcome.held, outcome.short, outcome.retry_after_ms) == (True, True, MINUTE_MS)
    clock.pass_ms(MINUTE_MS - 1)
    await refused(key, priority, weight=1)
    clock.pass_ms(1)
    await send(key, priority, weight=1)
    assert governor.figures[priority].sent == 2


async def test_what_others_use_counts(governor: Governor) -> None:
    """Other programs on this address show in the exchange's own count only."""
    key = governor.key()
    await send(key, Priority.OBSERVE, {"used": "980"}, weight=5)
    for priority in (Priority.OBSERVE, Priority.TRADE):
        await refused(key, priority, weight=1)
    await send(key, Priority.PROTECT, weight=5)
    assert governor.counters["weight"].others == 975


async def test_what_costs_nothing_is_sent_whatever_is_used(governor: Governor) -> None:
    """An order weighs nothing at Binance: no reading keeps a stop from being placed."""
    key = governor.key()
    await send(key, Priority.EMERGENCY, {"used": "5000"}, weight=5)
    await send(key, Priority.PROTECT, weight=0)


async def test_what_is_on_the_way_counts(governor: Governor) -> None:
    """A hundred questions at once are a hundred questions, though none is answered yet."""
    key = governor.key()
    async with key.slot(Priority.OBSERVE, {"weight": 700}):
        await refused(key, Priority.OBSERVE, weight=1)


async def test_without_an_answer_a_request_is_counted(governor: Governor) -> None:
    """The exchange has most likely seen it."""
    key = governor.key()
    await send(key, Priority.OBSERVE, None, weight=100)
    assert governor.counters["weight"].used == 100


async def test_a_key_has_limits_of_its_own(governor: Governor) -> None:
    """Another account's orders do not count against ours, its weight does."""
    one, other = governor.key(), governor.key()
    await send(one, Priority.TRADE, orders=8)
    assert (await refused(one, Priority.TRADE, orders=1)).short
    await send(one, Priority.EMERGENCY, orders=1)
    await send(other, Priority.TRADE, orders=8)


@pytest.mark.parametrize(("header", "used"), [("123", 123), ("-1", 7), ("", 7), ("x", 7), ("9" * 30, 7)])
async def test_the_exchange_s_count_is_believed_unless_it_is_nonsense(
    governor: Governor, header: str, used: int
) -> None:
    """A header we cannot read leaves our own sum."""
    await send(governor.key(), Priority.OBSERVE, {"used": header}, weight=7)
    assert governor.counters["weight"].used == used


async def test_a_late_answer_of_the_last_window_brings_its_count_not_into_this_one(
    governor: Governor, clock: HandClock
) -> None:
    """It would look as if the new minute were used up already."""
    key = governor.key()
    async with key.slot(Priority.OBSERVE, {"weight": 5}) as flight:
        clock.pass_ms(MINUTE_MS)
        await send(key, Priority.OBSERVE, {"used": "20"}, weight=5)
        flight.heard(Answer(200, {"used": "999"}, b""))
    assert governor.counters["weight"].used == 25


# --- limits without a count ----------------------------------------------------------------------


async def test_what_no_answer_counts_is_free_a_whole_length_after_its_answer(
    governor: Governor, clock: HandClock
) -> None:
    """Nobody says when a window begins, so any stretch of that length has to have room."""
    key = governor.key()
    async with key.slot(Priority.OBSERVE, {"group": 350}):
        clock.pass_ms(400)
    clock.pass_ms(9_999)
    outcome = await refused(key, Priority.OBSERVE, group=1)
    assert (outcome.short, outcome.retry_after_ms) == (True, 1)
    clock.pass_ms(1)
    await send(key, Priority.OBSERVE, group=350)


async def test_what_is_never_answered_does_not_hold_a_close_back_for_long(
    governor: Governor, clock: HandClock
) -> None:
    """Ten orders hang for their whole time-out, and the limit is ten a second."""
    key = governor.key()
    async with key.slot(Priority.EMERGENCY, {"second": 10}):
        clock.pass_ms(TRANSIT_MS)
        assert key.counters["second"].at(0).used == 10
        clock.pass_ms(1_000)
        assert key.counters["second"].at(0).used == 0
        await send(key, Priority.EMERGENCY, second=10)
    assert key.counters["second"].used == 10


@pytest.mark.parametrize(
    ("left", "others"), [("100", 390), ("490", 0), ("600", 0), ("30", 0), ("", 0), ("x", 0), ("-1", 0)]
)
async def test_what_is_left_tells_of_others(
    governor: Governor, clock: HandClock, left: str, others: int
) -> None:
    """Unless it is more than there is, or so little that it may be an endpoint's."""
    group = governor.counters["group"]
    await send(governor.key(), Priority.OBSERVE, {"left": left}, group=10)
    assert (group.others, group.used) == (others, others + 10)
    clock.pass_ms(10_000)
    assert group.at(0).used == 0


# --- a limit by the second is a pace -------------------------------------------------------------


@pytest.mark.parametrize("priority", sorted(governing.PACED))
async def test_what_finds_its_second_used_up_waits_for_the_next(priority: Priority) -> None:
    """Instead of coming again after the engine's pauses, which are longer."""
    governor = Governor(RealClock(), (replace(SECOND, window_ms=500),))
    key, share = governor.key(), SECOND.allows(priority)
    began = time.monotonic()
    for _ in range(share):
        await send(key, priority, second=1)
    await send(key, priority, second=1)
    assert 0.5 <= time.monotonic() - began < 1.5
    assert governor.figures[priority].waited_ms_max > 0
    assert governor.figures[priority].held == 0


async def test_an_entry_does_not_wait(governor: Governor) -> None:
    """It was decided on prices of now."""
    key = governor.key()
    await send(key, Priority.TRADE, second=8)
    assert (await refused(key, Priority.TRADE, second=1)).short


async def test_nobody_waits_longer_than_promised(governor: Governor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of this test stands still, so the second never comes."""
    monkeypatch.setattr(governing, "WAIT_S_MAX", 0.01)
    key = governor.key()
    await send(key, Priority.EMERGENCY, second=10)
    for priority in governing.PACED:
        assert (await refused(key, priority, second=1)).short
        assert governor.figures[priority].held == 1


async def test_who_waits_for_his_second_occupies_no_turn() -> None:
    """One account's pace must not keep the others from asking."""
    governor = Governor(RealClock(), (SECOND,))
    slow, quick = governor.key(), governor.key()
    await send(slow, Priority.OBSERVE, second=7)
    async with asyncio.TaskGroup() as group:
        waiting = [
            group.create_task(send(slow, Priority.OBSERVE, second=1))
            for _ in range(governing.OBSERVE_AT_ONCE)
        ]
        await asyncio.sleep(0.01)
        async with asyncio.timeout(0.1):
            await send(quick, Priority.OBSERVE, second=1)
        for each in waiting:
            each.cancel()


# --- whom a refusal concerns ---------------------------------------------------------------------


async def test_what_one_account_is_told_holds_that_one_back(governor: Governor, clock: HandClock) -> None:
    """Too many bad requests of one account are no matter of the others'."""
    told, other = governor.key(), governor.key()
    told.limit(60_000, Scope.KEY)
    for priority in LOWER:
        assert (await refused(told, priority)).retry_after_ms == 60_000
        await send(other, priority)
    for priority in UPPER:
        await send(told, priority)
    clock.pass_ms(60_000)
    assert told.refusal(Priority.OBSERVE) is None


async def test_what_a_second_account_is_told_too_concerns_the_address(
    governor: Governor, clock: HandClock
) -> None:
    """The exchange does not say whom it means."""
    keys = [governor.key() for _ in range(3)]
    keys[0].limit(2_000, Scope.KEY)
    clock.pass_ms(1_999)
    keys[1].limit(2_000, Scope.KEY)
    assert (await refused(keys[2], Priority.OBSERVE)).retry_after_ms == 2_000
    clock.pass_ms(2_000)
    keys[1].limit(2_000, Scope.KEY)
    await send(keys[2], Priority.OBSERVE)


async def test_even_protection_of_an_account_that_is_refused_again_and_again_waits(
    governor: Governor,
) -> None:
    told, other = governor.key(), governor.key()
    for _ in range(governing.REFUSED_MAX[Priority.PROTECT]):
        told.limit(2_000, Scope.KEY)
    await refused(told, Priority.PROTECT)
    await send(other, Priority.PROTECT)
    told.passed()
    await send(told, Priority.PROTECT)


async def test_a_wait_that_was_not_enough_is_doubled(governor: Governor, clock: HandClock) -> None:
    """An exchange that does not say how long it takes would be asked every two seconds for a minute."""
    key, waits = governor.key(), []
    for _ in range(7):
        for _ in range(3):  # what was under way together is refused together
            key.limit(2_000, Scope.KEY)
        waits.append((await refused(key, Priority.OBSERVE)).retry_after_ms)
        clock.pass_ms(2_000)
        assert key.refusal(Priority.EMERGENCY) is None, "closing waits as long as was said, never longer"
        clock.pass_ms(waits[-1] - 2_000)
    assert waits == [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
    key.passed()
    key.limit(2_000, Scope.KEY)
    assert (await refused(key, Priority.OBSERVE)).retry_after_ms == 2_000
    key.limit(120_000, Scope.KEY)
    assert (await refused(key, Priority.OBSERVE)).retry_after_ms == 120_000


async def test_a_limit_of_the_address_holds_everyone_back(governor: Governor) -> None:
    one, other = governor.key(), governor.key()
    one.limit(2_000, Scope.ADDRESS)
    await refused(other, Priority.TRADE)


# --- fairness and turns --------------------------------------------------------------------------


async def test_nobody_observes_more_than_his_part_when_it_gets_scarce(governor: Governor) -> None:
    """Twenty busy accounts on one address must not leave the last one blind."""
    greedy, modest = governor.key(), governor.key()
    await send(modest, Priority.OBSERVE, weight=10)
    sent = 0
    while True:
        try:
            await send(greedy, Priority.OBSERVE, weight=10)
        except Held:
            break
        sent += 10
    assert 350 <= sent < 400  # half of the 700 that observing may use
    await send(modest, Priority.OBSERVE, weight=300)


async def test_alone_an_account_may_use_it_all(governor: Governor) -> None:
    key = governor.key()
    for _ in range(70):
        await send(key, Priority.OBSERVE, weight=10)
    await refused(key, Priority.OBSERVE, weight=10)


async def test_only_so_many_observe_at_a_time_and_nobody_above_them_waits(governor: Governor) -> None:
    """Connections and the loop are kept free for a stop."""
    key, leave = governor.key(), asyncio.Event()

    async def observe() -> None:
        async with key.slot(Priority.OBSERVE, {"weight": 1}):
            await leave.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(governing.OBSERVE_AT_ONCE + 1):
            group.create_task(observe())
        await asyncio.sleep(0)
        assert governor.figures[Priority.OBSERVE].sent == governing.OBSERVE_AT_ONCE
        for priority in (Priority.EMERGENCY, Priority.PROTECT, Priority.TRADE):
            async with asyncio.timeout(0.01):
                await send(key, priority, weight=1)
        leave.set()
    assert governor.figures[Priority.OBSERVE].sent == governing.OBSERVE_AT_ONCE + 1


async def test_a_question_does_not_wait_for_its_turn_for_ever(
    governor: Governor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not be asked more urgently meanwhile."""
    monkeypatch.setattr(governing, "WAIT_S_MAX", 0.01)
    monkeypatch.setattr(governing, "OBSERVE_AT_ONCE", 1)
    governor = Governor(HandClock(), (WEIGHT,))
    key = governor.key()
    async with key.slot(Priority.OBSERVE, {"weight": 1}):
        assert (await refused(key, Priority.OBSERVE, weight=1)).short
    await send(key, Priority.OBSERVE, weight=1)


# --- always --------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(st.sampled_from(list(Priority)), st.integers(0, 300), st.integers(0, 90_000), st.booleans()),
    max_size=60,
)


@given(steps=STEPS)
def test_our_own_load_never_brings_a_429_about(
    steps: list[tuple[Priority, int, int, bool]],
) -> None:
    """Rule 9, whatever is asked and however answers are lost: the exchange's own count stays in its limit."""
    clock = HandClock()
    governor = Governor(clock, (WEIGHT,))
    key, exchange = governor.key(), Tally(WEIGHT)

    async def play() -> None:
        for priority, weight, pause_ms, answered in steps:
            clock.pass_ms(pause_ms)
            # The exchange's clock is what we take it for, up to the slack.
            tally = exchange.at(clock.now_ms() + SLACK_MS // 2)
            try:
                async with key.slot(priority, {"weight": weight}) as flight:
                    tally.counted += weight
                    if answered:
                        flight.heard(Answer(200, {"used": str(tally.counted)}, b""))
            except Held:
                continue
            assert tally.counted <= WEIGHT.amount

    asyncio.run(play())


PACED_STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 40, 300, 900, 1_000]),  # pause before it
        st.integers(0, TRANSIT_MS),  # from departure to the exchange
        st.integers(0, TRANSIT_MS),  # to its answer
        st.integers(1, 3),
    ),
    max_size=60,
)


@given(steps=PACED_STEPS, sliding=st.booleans(), skew_ms=st.integers(0, 999))
def test_whatever_stretch_the_exchange_counts_it_never_has_too_many(
    steps: list[tuple[int, int, int, int]], sliding: bool, skew_ms: int
) -> None:
    """However its windows lie, and wherever on its way it counts a request."""
    limit = Limit(name="second", amount=5, window_ms=1_000)
    clock, exchange = HandClock(), window(1_000, sliding=sliding)
    count, at_ms = Rolling(limit, clock), clock.monotonic
    flying: list[tuple[int, int, int]] = []  # answered at, ticket, cost
    arriving: list[tuple[int, int]] = []
    for pause_ms, out_ms, back_ms, cost in steps:
        at_ms += pause_ms
        while flying and min(flying)[0] <= at_ms:
            answered_ms, ticket, done = min(flying)
            flying.remove((answered_ms, ticket, done))
            clock.pass_ms(answered_ms - clock.monotonic)
            count.at(0).arrive(done, ticket, {})
        clock.pass_ms(at_ms - clock.monotonic)
        if room(count.at(0), Priority.EMERGENCY) >= cost:
            answered_ms = at_ms + min(out_ms + back_ms, TRANSIT_MS)
            flying.append((answered_ms, count.depart(cost, None), cost))
            arriving.append((min(at_ms + out_ms, answered_ms), cost))
    assert all(exchange.add(cost, ms + skew_ms) <= limit.amount for ms, cost in sorted(arriving))


def test_the_figures_name_every_limit_and_priority(governor: Governor) -> None:
    """For `/metrics`: what is used, kept, held back and waited for."""
    report = governor.key().report()
    assert report["budget_weight_limit"] == 1_000
    assert report["budget_weight_reserved"] == 150
    assert {f"requests_held_{priority.value}" for priority in Priority} <= report.keys()
    assert all(isinstance(value, float) for value in report.values())
