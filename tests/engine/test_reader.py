"""Questions to the exchange: one of a kind at a time, failures paced, none lost for ever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from holdfast.decisions.step import Read, Want
from holdfast.domain.account import Fact
from holdfast.domain.intents import Unavailable, Unknown
from holdfast.engine.events import Inbox, ReadDone
from holdfast.engine.reader import PATIENT_MAX_MS, PAUSE_MAX_MS, Reader
from holdfast.exchanges.port import ExchangeError
from tests.decisions.examples import BTC, ETH, NOW_MS
from tests.engine.parts import CAPABILITIES, FakeClock, FakeExchange

POSITIONS = Want(Read.POSITIONS, None, NOW_MS)
TRANSFERS = Want(Read.TRANSFERS, None, NOW_MS)
FACT: Fact[Any] = Fact((), NOW_MS, NOW_MS)


async def empty() -> Fact[Any]:
    return FACT


async def cut() -> Fact[Any]:
    raise ExchangeError(Unknown(cause="cut"))


async def limited() -> Fact[Any]:
    raise ExchangeError(Unavailable(cause="429", retry_after_ms=60_000))


async def bug() -> Fact[Any]:
    raise ZeroDivisionError


def reader(clock: FakeClock | None = None, **reads: Any) -> tuple[Reader, Inbox]:
    inbox = Inbox()
    exchange = FakeExchange(reads=reads)
    made = Reader(exchange, clock or FakeClock(), inbox, (BTC, ETH), transfers_from_ms=lambda: 0)  # type: ignore[arg-type]
    return made, inbox


async def ask(made: Reader, want: Want) -> None:
    made.begin(want)
    await made.ask(want)


async def test_answer_reaches_the_inbox_and_frees_the_question() -> None:
    made, inbox = reader(positions=empty)
    await ask(made, POSITIONS)
    assert await inbox.get() == (ReadDone(POSITIONS, FACT),)
    assert made.free(POSITIONS)


@pytest.mark.parametrize(
    ("want", "longest"),
    [(POSITIONS, [8000, PAUSE_MAX_MS, PAUSE_MAX_MS]), (TRANSFERS, [8000, 16_000, 32_000, PATIENT_MAX_MS])],
)
async def test_failed_read_says_so_and_pauses_longer_each_time(want: Want, longest: list[int]) -> None:
    """A dear one that nothing waits for leaves the budget to others when all of them fail (S11)."""
    clock = FakeClock()
    made, inbox = reader(clock, positions=cut, transfers=cut)
    pauses = []
    for _ in range(4 + len(longest)):
        await ask(made, want)
        (event,) = await inbox.get()
        assert isinstance(event, ReadDone)
        assert event.fact is None
        start, later = made.due([want], clock.ms)
        assert start == []
        assert later is not None
        pauses.append(later - clock.ms)
    assert pauses == [500, 1000, 2000, 4000, *longest]


@pytest.mark.parametrize(("one_list", "asked"), [(False, ["orders"]), (True, ["orders", "stops"])])
async def test_orders_and_stops_of_one_list_are_always_asked_together(
    one_list: bool, asked: list[str]
) -> None:
    """Then they stay due together, and the exchange is asked but once."""
    inbox = Inbox()
    offered = replace(CAPABILITIES, one_list=one_list)
    exchange = FakeExchange(reads={"orders": empty, "stops": empty}, capabilities=offered)
    made = Reader(exchange, FakeClock(), inbox, (BTC,), transfers_from_ms=lambda: 0)  # type: ignore[arg-type]
    want = Want(Read.ORDERS, BTC, NOW_MS)
    made.begin(want)
    assert made.free(Want(Read.STOPS, BTC, NOW_MS)) is not one_list
    await made.ask(want)
    assert exchange.asked == asked
    told = [event for event in await inbox.get() if isinstance(event, ReadDone)]
    assert [event.want.read.value for event in told] == asked


async def in_part() -> Fact[Any]:
    return replace(FACT, complete=False)


async def test_answer_in_part_pauses_too_until_a_whole_one_comes() -> None:
    """It does not make the last whole answer younger: asked at once it would be asked without end."""
    clock = FakeClock()
    made, inbox = reader(clock, positions=in_part, balance=empty)
    for pause in (500, 1000, 2000):
        await ask(made, POSITIONS)
        assert made.due([POSITIONS], clock.ms) == ([], clock.ms + pause)
    balance = Want(Read.BALANCE, None, NOW_MS)
    await ask(made, balance)
    assert made.due([balance], clock.ms) == ([balance], None)
    assert len(await inbox.get()) == 4


async def test_the_exchanges_own_pause_is_kept() -> None:
    clock = FakeClock()
    made, _ = reader(clock, positions=limited)
    await ask(made, POSITIONS)
    assert made.due([POSITIONS], clock.ms) == ([], clock.ms + 60_000)


async def test_unexpected_error_does_not_end_the_asking_for_ever() -> None:
    """It goes to the boundary; the question must be askable again, or the bot is blind from then on."""
    made, _ = reader(positions=bug)
    with pytest.raises(ZeroDivisionError):
        await ask(made, POSITIONS)
    assert made.free(POSITIONS)


def test_only_due_and_free_questions_start_and_each_once() -> None:
    made, _ = reader()
    balance, later = Want(Read.BALANCE, None, NOW_MS), Want(Read.STOPS, BTC, NOW_MS + 700)
    made.begin(balance)
    start, wake = made.due([POSITIONS, POSITIONS, balance, later], NOW_MS)
    assert start == [POSITIONS]
    assert wake == NOW_MS + 700


async def test_a_later_question_wakes_in_time_also_while_it_may_not_be_asked() -> None:
    """A step may have to decide at that time, whether or not the read works (found by G07)."""
    clock = FakeClock()
    made, _ = reader(clock, positions=limited)
    soon = Want(Read.POSITIONS, None, NOW_MS + 700)
    made.begin(POSITIONS)
    assert made.due([soon], NOW_MS) == ([], NOW_MS + 700)
    await made.ask(POSITIONS)
    assert made.due([soon], NOW_MS) == ([], NOW_MS + 700)
    assert made.due([soon], NOW_MS + 700) == ([], NOW_MS + 60_000)


def test_stops_of_each_symbol_are_questions_of_their_own() -> None:
    made, _ = reader()
    wants = [Want(Read.STOPS, symbol, 0) for symbol in (BTC, ETH, None)]
    assert made.due(wants, NOW_MS)[0] == wants
