"""Write ahead, send once, record; and what happens when one of the three fails (architecture rule 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.decisions.gate import Approved, Refusal, Refused, approve_protective, gate
from holdfast.domain.intents import (
    Accepted,
    Intent,
    Journaled,
    Outcome,
    Purpose,
    Rejected,
    RejectReason,
    Unavailable,
    Unknown,
)
from holdfast.domain.orders import ExchangeStatus, OrderState, OrderType, Side
from holdfast.engine import executor as executing
from holdfast.engine.events import Answered, Inbox
from holdfast.engine.executor import Executor, Lane, settle
from holdfast.engine.memory import JournalSaysNo, MemoryUnwritable
from holdfast.engine.names import TAGS, purpose_in
from holdfast.engine.resolver import ACKED_MS, WORKING_MS, Resolver
from tests.decisions.examples import BTC, NOW_MS, D, context, journaled
from tests.decisions.examples import LIMITS as GATE_LIMITS
from tests.decisions.examples import intent as entry_intent
from tests.decisions.holdings import order, refused, stop
from tests.engine.parts import FakeClock, FakeExchange, FakeIds, FakeMemory, hang

STOP = Intent(
    purpose=Purpose.PLACE_STOP, symbol=BTC, side=Side.SELL, trigger_price=D(49_000), close_position=True
)
CLOSE = Intent(purpose=Purpose.CLOSE, symbol=BTC, side=Side.SELL, quantity=D("0.5"), reduce_only=True)
CANCEL = Intent(purpose=Purpose.CANCEL_STOP, symbol=BTC, side=Side.SELL, target_id="s1")
ENTRY = entry_intent()
RESTING = replace(ENTRY, type=OrderType.LIMIT, price=D(100))


def approve(each: Journaled) -> Approved | Refused:
    return gate(each, context=context(), limits=GATE_LIMITS, now_ms=NOW_MS)


class Bench:
    """An executor between a memory and an exchange."""

    def __init__(self, *, ahead: Callable[[Journaled], Awaitable[None]] | None = None) -> None:
        self.clock, self.inbox = FakeClock(), Inbox()
        self.exchange, self.memory = FakeExchange(), FakeMemory(ahead=ahead)
        self.executor = Executor(
            account_id="main",
            exchange=self.exchange,  # type: ignore[arg-type]
            memory=self.memory,  # type: ignore[arg-type]
            clock=self.clock,
            ids=FakeIds(),
            inbox=self.inbox,
        )

    async def send(self, *intents: Intent, approve: Any = approve) -> list[Answered]:
        batch = tuple(self.executor.identify(each) for each in intents)
        await self.executor.run(Lane(batch, approve))
        return [event for event in await self.inbox.get() if isinstance(event, Answered)]


def raising(error: Exception) -> Callable[[Journaled], Awaitable[None]]:
    async def ahead(_: Journaled) -> None:
        raise error

    return ahead


# --- the path ------------------------------------------------------------------------------------


async def test_written_before_sent_and_recorded_after() -> None:
    bench = Bench()
    seen: list[int] = []

    async def answer(approved: Approved) -> Outcome:
        seen.append(len(bench.memory.written))
        return Accepted(exchange_id="x1")

    bench.exchange.answer = answer
    (told,) = await bench.send(STOP)
    assert seen == [1]
    assert bench.memory.written == bench.exchange.sent
    assert bench.memory.words("outcome") == [(told.journaled, Accepted(exchange_id="x1"))]
    assert told.journaled.exchange_id == "x1"


async def test_batch_goes_in_order_and_is_signed_when_its_turn_comes() -> None:
    bench = Bench()

    async def answer(approved: Approved) -> Outcome:
        bench.clock.ms += 700
        return Accepted(exchange_id="x")

    bench.exchange.answer = answer
    await bench.send(CANCEL, CLOSE)
    assert [j.intent.purpose for j in bench.exchange.sent] == [Purpose.CANCEL_STOP, Purpose.CLOSE]
    assert [j.signed_ms - NOW_MS for j in bench.exchange.sent] == [0, 700]


@given(st.sampled_from(Purpose))
def test_ids_are_short_and_say_their_purpose(purpose: Purpose) -> None:
    made = Bench().executor.identify(Intent(purpose=purpose, symbol=BTC, side=Side.BUY))
    assert len(made.client_id) <= 32
    assert purpose_in(made.client_id) is purpose
    assert set(TAGS) == set(Purpose)


async def test_what_became_forbidden_while_the_journal_worked_is_not_sent() -> None:
    """G30: a kill that falls between the write and the sending still stops the entry."""
    killed: list[str] = []

    async def ahead(_: Journaled) -> None:
        killed.append("kill")

    def until_killed(each: Journaled) -> Approved | Refused:
        return Refused(each.intent, (Refusal.KILLED,)) if killed else approve(each)

    bench = Bench(ahead=ahead)
    (told,) = await bench.send(ENTRY, approve=until_killed)
    assert bench.exchange.sent == []
    assert isinstance(told.outcome, Rejected)
    assert told.outcome.code == "gate"
    assert [each.state for each, _ in bench.memory.words("outcome")] == [OrderState.CLOSED]


# --- refusals and failures -----------------------------------------------------------------------


async def test_refused_by_the_gate_is_neither_written_nor_sent() -> None:
    bench = Bench()
    (told,) = await bench.send(ENTRY, approve=lambda j: Refused(j.intent, (Refusal.KILLED,)))
    assert (bench.memory.written, bench.exchange.sent) == ([], [])
    assert told.outcome == Rejected(reason=RejectReason.OTHER, code="gate", message="killed")
    assert not told.journaled.open


@pytest.mark.parametrize("error", [JournalSaysNo("killed"), MemoryUnwritable("disk full")])
async def test_entry_is_not_sent_when_the_journal_does_not_take_it(error: Exception) -> None:
    bench = Bench(ahead=raising(error))
    (told,) = await bench.send(ENTRY)
    assert bench.exchange.sent == []
    assert isinstance(told.outcome, Rejected)
    assert told.outcome.code == "journal"
    assert not told.journaled.open


@pytest.mark.parametrize("intent", [STOP, CLOSE, CANCEL])
async def test_protection_is_sent_though_the_journal_fails(intent: Intent) -> None:
    """G26: no new risk is taken, positions stay protected; what was sent is recorded later."""
    bench = Bench(ahead=raising(MemoryUnwritable("disk full")))
    (told,) = await bench.send(intent)
    assert [j.intent for j in bench.exchange.sent] == [intent]
    assert isinstance(told.outcome, Accepted)
    assert len(bench.memory.words("outcome")) == 1


@pytest.mark.parametrize(("intent", "sent"), [(ENTRY, 0), (STOP, 1), (CLOSE, 1)])
async def test_hanging_journal_holds_entries_only(
    monkeypatch: pytest.MonkeyPatch, intent: Intent, sent: int
) -> None:
    monkeypatch.setattr(executing, "JOURNAL_PATIENCE_MS", 20)
    bench = Bench(ahead=hang)
    async with asyncio.timeout(2):
        await bench.send(intent)
    assert len(bench.exchange.sent) == sent


async def test_entry_given_up_is_told_to_the_journal_that_may_take_it_late() -> None:
    """Else its row would stay unanswered and block every entry of the symbol until a restart."""
    bench = Bench(ahead=raising(MemoryUnwritable("slow")))
    (told,) = await bench.send(ENTRY)
    assert bench.memory.words("outcome") == [(told.journaled, told.outcome)]


@pytest.mark.parametrize("broken", [0, 1])
async def test_broken_lane_answers_for_every_request(broken: int) -> None:
    """The one under way may have left: Unknown. Those behind it did not: Rejected."""
    bench = Bench()

    async def answer(approved: Approved) -> Outcome:
        if len(bench.exchange.sent) == broken + 1:
            raise ZeroDivisionError
        return Accepted(exchange_id="x")

    bench.exchange.answer = answer
    with pytest.raises(ZeroDivisionError):
        await bench.send(CANCEL, CLOSE, STOP)
    told = [e for e in await bench.inbox.get() if isinstance(e, Answered)]
    expected = [Accepted] * broken + [Unknown] + [Rejected] * (2 - broken)
    assert [type(each.outcome) for each in told] == expected
    assert told[broken].journaled.state is OrderState.UNKNOWN


async def test_cancelled_lane_answers_too() -> None:
    bench = Bench()
    bench.exchange.answer = hang
    work = asyncio.create_task(bench.send(CLOSE))
    await asyncio.sleep(0.01)
    work.cancel()
    await asyncio.wait({work})
    (told,) = await bench.inbox.get()
    assert isinstance(told, Answered)
    assert told.journaled.state is OrderState.UNKNOWN


# --- what an outcome makes of a request ----------------------------------------------------------

SENT = journaled(ENTRY)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Accepted(exchange_id="1", order=order(status=ExchangeStatus.OPEN)), OrderState.WORKING),
        (
            Accepted(exchange_id="1", order=order(status=ExchangeStatus.PARTIAL, filled=D(1))),
            OrderState.WORKING,
        ),
        (
            Accepted(exchange_id="1", order=order(status=ExchangeStatus.FILLED, filled=D(1))),
            OrderState.FILLED,
        ),
        (
            Accepted(exchange_id="1", order=order(status=ExchangeStatus.EXPIRED, filled=D(1))),
            OrderState.FILLED,
        ),
        (Accepted(exchange_id="1", order=order(status=ExchangeStatus.EXPIRED)), OrderState.CLOSED),
        (Accepted(exchange_id="1"), OrderState.WORKING),
        (refused(), OrderState.CLOSED),
        (Unavailable(cause="503"), OrderState.CLOSED),
        (Unknown(cause="cut"), OrderState.UNKNOWN),
    ],
)
def test_outcome_moves_the_request_along_the_table(outcome: Outcome, state: OrderState) -> None:
    assert settle(SENT, outcome, NOW_MS).state is state


@pytest.mark.parametrize("intent", [STOP, CANCEL])
def test_a_standing_stop_and_a_done_cancel_are_over(intent: Intent) -> None:
    done = Accepted(exchange_id="1", stop=stop() if intent is STOP else None)
    assert settle(journaled(intent), done, NOW_MS).state is OrderState.CLOSED


def test_late_refusal_after_a_fill_changes_nothing_proven() -> None:
    filled = settle(
        SENT, Accepted(exchange_id="1", order=order(status=ExchangeStatus.FILLED, filled=D(1))), 5
    )
    again = settle(filled, refused(), 9)
    assert (again.state, again.filled, again.exchange_id) == (OrderState.FILLED, D(1), "1")


# --- resolving -----------------------------------------------------------------------------------


def resolver(bench: Bench) -> Resolver:
    return Resolver(bench.exchange, bench.memory, bench.clock, bench.inbox)  # type: ignore[arg-type]


async def test_unknown_stop_is_asked_for_as_a_stop_and_found() -> None:
    bench = Bench()
    bench.exchange.found = Accepted(exchange_id="s9", stop=stop())
    unknown = journaled(STOP, state=OrderState.UNKNOWN)
    await resolver(bench).resolve(unknown)
    assert bench.exchange.asked == [f"stop {unknown.client_id}"]
    (told,) = await bench.inbox.get()
    assert isinstance(told, Answered)
    assert told.journaled.exchange_id == "s9"


async def test_unknown_cancel_is_not_asked_for() -> None:
    bench = Bench()
    await resolver(bench).resolve(journaled(CANCEL, state=OrderState.UNKNOWN))
    assert bench.exchange.asked == []
    assert len(bench.memory.words("dead")) == 1


def test_resting_order_is_asked_for_from_time_to_time() -> None:
    """Its end may have been told to a stream that was down: it would block its symbol for ever."""
    bench = Bench()
    resting = journaled(RESTING, state=OrderState.WORKING)
    asks = resolver(bench)
    assert not asks.wanted(resting)
    bench.clock.ms += WORKING_MS
    assert asks.wanted(resting)
    assert asks.wanted(journaled(ENTRY, state=OrderState.UNKNOWN))
    assert not asks.wanted(journaled(ENTRY, state=OrderState.SENDING))


def test_an_order_that_cannot_rest_is_asked_for_soon() -> None:
    """Its answer may say only that it was taken (BingX, Bitget), and the stream may be silent (G01)."""
    bench = Bench()
    taken = journaled(replace(ENTRY, type=OrderType.MARKET), state=OrderState.WORKING)
    asks = resolver(bench)
    assert not asks.wanted(taken)
    bench.clock.ms += ACKED_MS
    assert asks.wanted(taken)
    assert not asks.wanted(journaled(RESTING, state=OrderState.WORKING))


async def test_what_reads_still_show_as_it_was_is_asked_for_again() -> None:
    bench = Bench()
    taken = journaled(replace(ENTRY, type=OrderType.MARKET), state=OrderState.WORKING)
    bench.exchange.found = Accepted(exchange_id="1", order=order(status=ExchangeStatus.OPEN))
    asking = asyncio.create_task(resolver(bench).resolve(taken))
    await asyncio.sleep(0.05)
    assert not asking.done(), "open and nothing filled is no end of a market order"
    bench.exchange.found = Accepted(exchange_id="1", order=order(status=ExchangeStatus.FILLED, filled=D(1)))
    await asking
    (told,) = await bench.inbox.get()
    assert isinstance(told, Answered)
    assert told.journaled.state is OrderState.FILLED


async def test_end_of_a_resting_order_is_found_without_the_stream() -> None:
    bench = Bench()
    bench.exchange.found = Accepted(exchange_id="1", order=order(status=ExchangeStatus.CANCELLED))
    resting = journaled(RESTING, state=OrderState.WORKING)
    asks = resolver(bench)
    await asks.resolve(resting)
    (told,) = await bench.inbox.get()
    assert isinstance(told, Answered)
    assert told.journaled.state is OrderState.CLOSED
    assert not asks.wanted(resting)


def test_only_the_gate_approves_what_is_sent() -> None:
    assert isinstance(approve_protective(journaled(ENTRY), None), Refused)
