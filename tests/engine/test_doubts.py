"""What two reads no longer show is doubted until an execution ended it (R3.3, G11)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from holdfast.decisions.reconcile import Doubtful
from holdfast.domain.orders import Fill, Side
from holdfast.engine.alerts import Alerts
from holdfast.engine.doubts import BELIEVED_AFTER_MS, TOLD_AFTER_MS, Doubts
from holdfast.engine.events import FillsRead, Inbox
from tests.decisions.examples import NOW_MS
from tests.decisions.holdings import KEY, fill, tracked
from tests.engine.parts import FakeExchange, state

HELD = tracked()
BOUGHT = fill(at_ms=HELD.opened_ms, trade_id="t1", quantity=HELD.quantity)
SOLD = fill(side=Side.SELL, at_ms=NOW_MS - 500, trade_id="t2", quantity=HELD.quantity)
DOUBTFUL = (Doubtful(HELD, confirmed=True),)


class Desk:
    """Doubts with everything around them."""

    def __init__(self) -> None:
        self.state, self.exchange, self.inbox, self.alerts = state(), FakeExchange(), Inbox(), Alerts()
        self.work: list[Coroutine[Any, Any, None]] = []
        self.doubts = Doubts(
            state=self.state,
            exchange=self.exchange,  # type: ignore[arg-type]
            inbox=self.inbox,
            alerts=self.alerts,
            spawn=lambda _, work: self.work.append(work),
            sleep=lambda _: asyncio.sleep(0),
        )
        self.state.tracked[KEY] = HELD

    def read(self, *fills: Fill) -> bool:
        return self.doubts.read(FillsRead(HELD.trade_id, fills, complete=True))

    def told(self) -> list[str]:
        return [alert.id for alert in self.alerts.views()]


@pytest.fixture
def desk() -> Any:
    made = Desk()
    yield made
    for work in made.work:
        work.close()


async def test_executions_are_asked_for_and_end_the_position(desk: Desk) -> None:
    desk.exchange.executions = (BOUGHT, SOLD)
    desk.doubts.see(DOUBTFUL, NOW_MS)
    asking = asyncio.create_task(desk.work.pop())
    (event,) = await desk.inbox.get()
    assert isinstance(event, FillsRead)
    assert desk.doubts.read(event)
    assert desk.state.flat_news == {KEY: SOLD.at_ms}
    desk.doubts.see((), NOW_MS)
    await asking
    assert not desk.doubts.read(event), "nobody asked for it any more"


def test_without_a_closing_execution_it_is_only_told(desk: Desk) -> None:
    desk.doubts.see(DOUBTFUL, NOW_MS)
    for look in range(20):
        assert desk.read(BOUGHT)
        desk.doubts.see(DOUBTFUL, NOW_MS + look)
    assert desk.state.flat_news == {}
    assert desk.told() == []
    assert len(desk.work) == 1, "asked for once, however often it is seen"
    desk.doubts.see(DOUBTFUL, NOW_MS + TOLD_AFTER_MS)
    assert desk.told() == ["POSITION_DOUBTED"]
    desk.doubts.see((), NOW_MS + TOLD_AFTER_MS + 1)
    assert desk.told() == []


def test_an_end_after_which_something_was_opened_is_none(desk: Desk) -> None:
    """By its executions a position stands: reads without it are no better for that."""
    again = fill(at_ms=NOW_MS - 100, trade_id="t3", quantity=HELD.quantity)
    desk.doubts.see(DOUBTFUL, NOW_MS)
    assert desk.read(BOUGHT, SOLD, again)
    assert desk.state.flat_news == {}


def test_one_read_alone_is_not_doubted_here(desk: Desk) -> None:
    desk.doubts.see((Doubtful(HELD),), NOW_MS)
    assert desk.work == []
    assert not desk.read(BOUGHT, SOLD)
    assert desk.state.flat_news == {}


def test_after_an_hour_the_reads_are_believed(desk: Desk) -> None:
    desk.doubts.see(DOUBTFUL, NOW_MS)
    desk.doubts.see(DOUBTFUL, NOW_MS + BELIEVED_AFTER_MS - 1)
    assert desk.state.flat_news == {}
    desk.doubts.see(DOUBTFUL, NOW_MS + BELIEVED_AFTER_MS)
    assert desk.state.flat_news == {KEY: NOW_MS + BELIEVED_AFTER_MS}


def test_an_execution_before_the_books_opened_it_still_ends_it(desk: Desk) -> None:
    """Booked late, after it was over already: the news must not be older than the life it ends."""
    late = tracked(opened_ms=SOLD.at_ms + 5_000, entry_signed_ms=BOUGHT.at_ms)
    desk.doubts.see((Doubtful(late, confirmed=True),), NOW_MS)
    assert desk.doubts.read(FillsRead(late.trade_id, (BOUGHT, SOLD), complete=True))
    assert desk.state.flat_news == {KEY: late.opened_ms}
