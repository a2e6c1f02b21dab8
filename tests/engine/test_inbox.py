"""The one inbox: urgent first, nothing of ours lost, ticks once (architecture rule 2)."""

from __future__ import annotations

import asyncio

from holdfast.decisions.step import Read, Want
from holdfast.domain.intents import Accepted
from holdfast.engine.events import Answered, Applied, Event, Inbox, Ordered, ReadDone, Signals, Tick, Told
from holdfast.exchanges.port import StreamState
from tests.decisions.examples import intent, journaled

NEWS = Told(StreamState(stream="user", up=True, cause="test"), 0)
OUTCOME = Answered(journaled(intent()), Accepted(exchange_id="1"), 0)


async def test_urgent_events_come_first_and_order_is_kept() -> None:
    inbox = Inbox()
    first, second = Signals(()), ReadDone(Want(Read.BALANCE, None, 0), None)
    inbox.put(first)
    inbox.put(second)
    inbox.put(NEWS, urgent=True)
    inbox.put(OUTCOME, urgent=True)
    assert await inbox.get() == (NEWS, OUTCOME, first, second)


async def test_ticks_are_coalesced_until_they_are_taken() -> None:
    inbox = Inbox()
    inbox.put(Tick())
    inbox.put(Tick())
    assert await inbox.get() == (Tick(),)
    inbox.put(Tick())
    assert len(inbox) == 1


async def test_empty_inbox_waits_for_the_first_event() -> None:
    inbox = Inbox()
    waiting = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    inbox.put(NEWS)
    assert await waiting == (NEWS,)


async def test_overflow_is_remembered_and_wakes_the_consumer() -> None:
    inbox = Inbox(bound=1)
    inbox.put(NEWS)
    inbox.put(NEWS)
    assert inbox.overflowed
    assert await inbox.get() == (NEWS,)


async def test_outcomes_and_orders_of_a_person_are_never_dropped() -> None:
    """An outcome that is lost would hold protection and closing back for ever."""
    inbox = Inbox(bound=0)
    done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    kept: tuple[Event, ...] = (OUTCOME, Ordered("kill", "me", "test", done), Applied(done), Tick())
    for event in kept:
        inbox.put(event)
    assert not inbox.overflowed
    assert await inbox.get() == kept
