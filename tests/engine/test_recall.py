"""Memory over the real store: what is written, in which order, and what a start finds (R1.9, R7.2, G26)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import Connection

from holdfast.decisions.gate import Mode, OperatorState
from holdfast.domain.account import PositionKey
from holdfast.domain.intents import Accepted, Intent, Purpose, Unknown
from holdfast.domain.orders import ClientOrderId, ExchangeStatus, OrderState, PositionSide, Side, StopStatus
from holdfast.drills.blocking import DrillBlocking
from holdfast.drills.loop import SimLoop, run_drill
from holdfast.engine import recall as recalling
from holdfast.engine.executor import settle
from holdfast.engine.memory import Exit, JournalSaysNo, MemoryUnwritable
from holdfast.engine.recall import LIQUIDATING, StoreMemory
from holdfast.runtime.blocking import Blocking
from holdfast.store import audit, books, journal
from holdfast.store.database import Store, open_store
from holdfast.store.errors import StoreUnwritable
from holdfast.store.lease import take_lease
from holdfast.store.operator import set_operator
from holdfast.store.words import TradeStatus
from holdfast.store.writer import GroupWriter
from tests.decisions.examples import BTC, NOW_MS, D, intent, journaled
from tests.decisions.holdings import KEY, fill, order, position, refused, stop, tracked
from tests.engine.parts import FakeClock

ENTRY = journaled(intent(quantity=D("0.5"), strategy="donchian"), client_id=ClientOrderId("hf-1-in-1aaaaa"))
STOP = journaled(
    Intent(
        purpose=Purpose.PLACE_STOP, symbol=BTC, side=Side.SELL, trigger_price=D(49_000), close_position=True
    ),
    client_id=ClientOrderId("hf-1-stop-1aaaaa"),
)
FILLED = Accepted(exchange_id="o1", order=order(status=ExchangeStatus.FILLED, filled=D("0.5")))


class Flaky:
    """The store's writer, which fails so many submissions of its own accord."""

    def __init__(self, writer: GroupWriter) -> None:
        self.writer = writer
        self.failing = 0

    async def submit(self, function: Callable[[Connection], Any], **how: Any) -> Any:
        if self.failing:
            self.failing -= 1
            raise StoreUnwritable("disk full")
        return await self.writer.submit(function, **how)

    def enqueue(self, function: Callable[[Connection], Any], **how: Any) -> asyncio.Future[Any]:
        if not self.failing:
            return self.writer.enqueue(function, **how)
        self.failing -= 1
        failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        failed.set_exception(StoreUnwritable("disk full"))
        return failed


class Home:
    """A store on disk, and as many memories over it as the bot has starts."""

    def __init__(self, folder: Path) -> None:
        self.blocking = Blocking("store")
        self.store: Store = open_store(folder / "trading.db")
        self.writer = Flaky(GroupWriter(self.store, self.blocking))
        self.lines: list[tuple[str, dict[str, object]]] = []
        self.clock = FakeClock()
        self.epoch = 0

    async def start(self, **changes: Any) -> StoreMemory:
        self.epoch = await self.writer.writer.submit(lambda c: take_lease(c, "main", "test", NOW_MS))
        given: dict[str, Any] = {
            "store": self.store,
            "writer": self.writer,
            "blocking": self.blocking,
            "clock": self.clock,
            "account_id": "main",
            "user_id": "tester",
            "exchange": "binance",
            "lease_epoch": self.epoch,
            "log": lambda event, details: self.lines.append((event, details)),
        }
        return StoreMemory(**(given | changes))

    async def order(self, state: OperatorState) -> None:
        await self.writer.writer.submit(lambda c: set_operator(c, state, "test", "test", NOW_MS))

    def read(self, function: Callable[[Connection], Any]) -> Any:
        return self.store.read(function)

    def found(self, client_id: str) -> Any:
        return self.read(lambda c: journal.find(c, client_id))

    def trades(self) -> tuple[books.Trade, ...]:
        return self.read(books.trades)  # type: ignore[no-any-return]

    async def close(self) -> None:
        await self.writer.writer.close()
        self.store.close()
        self.blocking.close()


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    monkeypatch.setattr(recalling, "RETRY_S", 0.01)
    made = Home(tmp_path)
    await made.order(OperatorState.RUNNING)
    yield made
    await made.close()


async def settled(memory: StoreMemory) -> None:
    assert await memory.settle(5_000) == ""


def exit_(price: Any = None) -> Exit:
    return Exit(reason="signal", cause="", at_ms=NOW_MS + 9, price=price, realized_pnl=D(5), fees=D(1))


# --- the journal ---------------------------------------------------------------------------------


async def test_entry_is_durable_before_it_is_sent_and_its_outcome_after(home: Home) -> None:
    memory = await home.start()
    await memory.write_ahead(ENTRY)
    assert home.found(ENTRY.client_id).state is OrderState.SENDING
    memory.note_outcome(settle(ENTRY, FILLED, NOW_MS), FILLED, NOW_MS)
    await settled(memory)
    kept = home.found(ENTRY.client_id)
    assert (kept.state, kept.filled, kept.exchange_id) == (OrderState.FILLED, D("0.5"), "o1")


async def test_killed_operator_refuses_entries_and_never_protection(home: Home) -> None:
    memory = await home.start()
    await home.order(OperatorState.KILLED)
    with pytest.raises(JournalSaysNo, match="killed"):
        await memory.write_ahead(ENTRY)
    await memory.write_ahead(STOP)
    assert memory.trouble() == ""


async def test_unwritable_store_says_so_until_it_works_again(home: Home) -> None:
    memory = await home.start()
    home.writer.failing = 1
    with pytest.raises(MemoryUnwritable, match="disk full"):
        await memory.write_ahead(ENTRY)
    assert memory.trouble() == "disk full"
    await memory.write_ahead(ENTRY)
    assert memory.trouble() == ""


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Accepted(exchange_id="9", stop=stop()), OrderState.WORKING),
        (refused(), OrderState.CLOSED),
        (Unknown(cause="cut"), OrderState.UNKNOWN),
    ],
)
async def test_stop_sent_while_the_journal_failed_is_written_afterwards(
    home: Home, outcome: Any, state: OrderState
) -> None:
    """With its owner, and as if it had been written first: no contradiction in the audit."""
    memory = await home.start()
    memory.note_outcome(settle(STOP, outcome, NOW_MS), outcome, NOW_MS)
    await settled(memory)
    assert home.found(STOP.client_id).state is state
    events = home.read(lambda c: list(audit.events_after(c, 0)))
    assert "INTENT_CONTRADICTED" not in {event.event_type for event in events}


async def test_end_of_a_stop_reaches_the_journal_whenever_it_comes(home: Home) -> None:
    """Else every start would find, and ask for, each stop that ever stood."""
    memory = await home.start()
    await memory.write_ahead(STOP)
    placed = Accepted(exchange_id="s1", stop=stop(client_id=STOP.client_id))
    memory.note_outcome(settle(STOP, placed, NOW_MS), placed, NOW_MS)
    await settled(memory)
    assert [j.state for j in (await memory.recall()).intents] == [OrderState.WORKING]
    memory.note_stop(stop(client_id=STOP.client_id, status=StopStatus.EXPIRED), NOW_MS + 5)
    memory.note_stop(stop(client_id="hf-7-stop-9aaaaa", status=StopStatus.EXPIRED), NOW_MS + 5)
    await settled(memory)
    assert (await memory.recall()).intents == ()
    assert home.lines == []


async def test_stop_that_rested_and_is_known_no_more_is_over(home: Home) -> None:
    memory = await home.start()
    await memory.write_ahead(STOP)
    placed = Accepted(exchange_id="s1", stop=stop(client_id=STOP.client_id))
    memory.note_outcome(settle(STOP, placed, NOW_MS), placed, NOW_MS)
    memory.note_dead(replace(STOP, state=OrderState.CLOSED), "not found", NOW_MS + 9)
    await settled(memory)
    assert home.found(STOP.client_id).state is OrderState.CLOSED


async def test_entry_that_was_never_journaled_is_not_invented(home: Home) -> None:
    """It was never sent; and killed or not, what waits behind it in the outbox has its turn."""
    memory = await home.start()
    await home.order(OperatorState.KILLED)
    memory.note_outcome(settle(ENTRY, refused(), NOW_MS), refused(), NOW_MS)
    memory.open_trade(tracked(trade_id=-1), None, 5)
    await settled(memory)
    assert home.found(ENTRY.client_id) is None
    assert len(home.trades()) == 1


async def test_proven_dead_request_is_closed_in_the_journal(home: Home) -> None:
    memory = await home.start()
    await memory.write_ahead(STOP)
    unknown = settle(STOP, Unknown(cause="cut"), NOW_MS)
    memory.note_outcome(unknown, Unknown(cause="cut"), NOW_MS)
    memory.note_dead(replace(unknown, state=OrderState.CLOSED), "not found", NOW_MS + 9_000)
    await settled(memory)
    assert home.found(STOP.client_id).state is OrderState.CLOSED


# --- the outbox ----------------------------------------------------------------------------------


async def test_outbox_keeps_its_order_through_failures(home: Home) -> None:
    """Opened, resized, protected, closed, corrected: each needs the one before."""
    memory = await home.start()
    home.writer.failing = 3
    held = tracked(trade_id=-1)
    memory.open_trade(held, ENTRY, 5)
    memory.resize_trade(-1, D("0.7"), D(50_100))
    memory.protect_trade(-1, D(49_000), NOW_MS)
    memory.move_stop(-1, D(49_500))
    memory.close_trade(-1, exit_())
    memory.correct_exit(-1, exit_(D(51_000)))
    await settled(memory)
    (trade,) = home.trades()
    assert (trade.status, trade.exit_price, trade.stop_price) == (TradeStatus.CLOSED, D(51_000), D(49_500))
    assert (trade.entry_quantity, trade.quantity) == (D("0.7"), D(0))
    assert home.lines == []


async def test_store_that_stays_away_is_told_and_not_waited_for(home: Home) -> None:
    memory = await home.start()
    home.writer.failing = 10_000
    memory.open_trade(tracked(trade_id=-1), None, 5)
    memory.audit("SHUTDOWN", "", {})
    memory.audit("ALERT_RAISED", "", {})
    assert await memory.settle(50) == "audit events (2), openings (1): disk full"
    assert memory.trouble() == "disk full"
    home.writer.failing = 0
    await settled(memory)
    assert memory.trouble() == ""
    assert len(home.trades()) == 1


async def test_contradiction_in_the_books_is_logged_and_passed(home: Home) -> None:
    memory = await home.start()
    memory.resize_trade(-9, D(1), D(1))
    memory.open_trade(tracked(trade_id=-1), None, 5)
    await settled(memory)
    assert [event for event, _ in home.lines] == ["books.contradiction"]
    assert len(home.trades()) == 1


async def test_write_that_fails_by_itself_blocks_nothing_and_is_never_silent(home: Home) -> None:
    """A poisoned job at the head of the outbox would keep everything behind it from the disk for ever."""
    memory = await home.start()

    def poisoned(_: Connection) -> object:
        raise ZeroDivisionError("bug")

    memory._later("poison", poisoned)
    memory.open_trade(tracked(trade_id=-1), None, 5)
    assert "ZeroDivisionError" in await memory.settle(5_000), "what is lost is not durable"
    assert len(home.trades()) == 1
    assert [event for event, _ in home.lines] == ["books.write_lost"]
    assert "ZeroDivisionError" in memory.trouble()


async def test_overflowing_outbox_stays_a_trouble(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is lost is missing for good: the trouble must not vanish with the next success."""
    monkeypatch.setattr(recalling, "OUTBOX_MAX", 1)
    memory = await home.start()
    for _ in range(3):
        memory.add_fills((fill(),))
    assert "lost" in await memory.settle(5_000)
    assert "lost" in memory.trouble()


@pytest.mark.parametrize("seed", range(8))
def test_writes_keep_their_order_whatever_order_tasks_run_in(tmp_path: Path, seed: int) -> None:
    """A position that opens, is protected and closes within one batch: asyncio promises no order of tasks."""
    loop = SimLoop(random.Random(seed))
    store, lines = open_store(tmp_path / "trading.db"), []
    blocking = DrillBlocking(loop, random.Random(seed), (0, 50))

    async def live() -> None:
        writer = GroupWriter(store, blocking)
        memory = StoreMemory(
            store=store,
            writer=writer,
            blocking=blocking,
            clock=FakeClock(),
            account_id="main",
            user_id="tester",
            exchange="binance",
            lease_epoch=0,
            log=lambda event, details: lines.append((event, details)),
        )
        memory.open_trade(tracked(trade_id=-1), None, 5)
        memory.protect_trade(-1, D(49_000), NOW_MS)
        memory.move_stop(-1, D(49_500))
        memory.close_trade(-1, exit_())
        memory.correct_exit(-1, exit_(price=D(51_000)))
        assert await memory.settle(5_000) == ""
        await writer.close()

    run_drill(loop, live())
    (trade,) = store.read(books.trades)
    store.close()
    assert lines == []
    assert (trade.status, trade.stop_price) == (TradeStatus.CLOSED, D(49_500))


async def test_waiting_for_an_empty_outbox_returns_at_once(home: Home) -> None:
    memory = await home.start()
    assert await memory.settle(0) == ""


# --- what a start finds --------------------------------------------------------------------------


async def test_first_start_finds_nothing(home: Home) -> None:
    found = await (await home.start()).recall()
    assert (found.intents, found.tracked, found.pending_exits) == ((), (), ())
    assert (found.standing.operator, found.standing.mode) == (OperatorState.RUNNING, Mode.NORMAL)
    assert not found.unfinished_liquidation


async def test_request_being_sent_at_the_crash_is_unknown(home: Home) -> None:
    memory = await home.start()
    await memory.write_ahead(ENTRY)
    found = await (await home.start()).recall()
    assert [(j.client_id, j.state) for j in found.intents] == [(ENTRY.client_id, OrderState.UNKNOWN)]


async def test_open_position_comes_back_as_it_was(home: Home) -> None:
    memory = await home.start()
    await memory.write_ahead(ENTRY)
    held = tracked(trade_id=-1, entry_client_id=ENTRY.client_id, entry_signed_ms=ENTRY.signed_ms)
    memory.open_trade(held, ENTRY, 5)
    memory.protect_trade(-1, D("49000.5"), NOW_MS)
    await settled(memory)
    found = await (await home.start()).recall()
    (back,) = found.tracked
    assert back == replace(held, trade_id=back.trade_id, stop_price=D("49000.5"))
    assert found.entries_today == 1


async def test_a_position_that_was_being_closed_is_closed_on_after_a_restart(home: Home) -> None:
    memory = await home.start()
    memory.open_trade(tracked(trade_id=-1), None, 5)
    memory.leave_trade(-1, "donchian: the exit said so")
    await settled(memory)
    found = await (await home.start()).recall()
    assert [each.closing_reason for each in found.tracked] == ["donchian: the exit said so"]
    memory.close_trade(-1, exit_(price=D(51_000)))
    await settled(memory)
    assert [trade.exit_reason for trade in home.trades()] == ["signal"]


async def test_adopted_position_remembers_the_size_it_was_adopted_with(home: Home) -> None:
    """Its executions are walked from that size; the most it ever was would never come out even."""
    memory = await home.start()
    held = tracked(trade_id=-1, adopted=True, adopted_quantity=D("0.5"), entry_client_id="")
    memory.open_trade(held, None, 5)
    memory.resize_trade(-1, D(2), D(50_000))
    await settled(memory)
    found = await (await home.start()).recall()
    (back,) = found.tracked
    assert (back.quantity, back.adopted_quantity, back.entry_signed_ms) == (D(2), D("0.5"), 0)
    assert found.entries_today == 0


async def test_exit_not_read_yet_is_found_again_and_can_be_corrected(home: Home) -> None:
    memory = await home.start()
    memory.open_trade(tracked(trade_id=-1), None, 5)
    memory.close_trade(-1, exit_())
    await settled(memory)
    again = await home.start()
    found = await again.recall()
    (pending,) = found.pending_exits
    assert (pending.key, pending.closing_reason, pending.quantity) == (KEY, "signal", position().quantity)
    again.correct_exit(pending.trade_id, exit_(D(51_000)))
    await settled(again)
    assert home.trades()[0].status is TradeStatus.CLOSED


async def test_hedge_positions_come_back_on_their_own_side(home: Home) -> None:
    """Both sides of a symbol may be held; and somebody may have switched the account's mode (seed 100001)."""
    memory = await home.start()
    sides = [PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT]
    for number, side in enumerate(sides):
        memory.open_trade(tracked(trade_id=-1 - number, key=PositionKey(KEY.symbol, side)), None, 5)
    await settled(memory)
    found = await (await home.start()).recall()
    assert [each.key.side for each in found.tracked] == sides


async def test_kill_and_mode_outlive_a_restart(home: Home) -> None:
    memory = await home.start()
    await memory.set_operator(OperatorState.KILLED, "me", "enough")
    memory.note_mode(Mode.REDUCE_ONLY, "bot", "drawdown")
    memory.flag(LIQUIDATING, 1, "began")
    await settled(memory)
    found = await (await home.start()).recall()
    assert (found.standing.operator, found.standing.mode) == (OperatorState.KILLED, Mode.REDUCE_ONLY)
    assert found.unfinished_liquidation


async def test_operator_who_cannot_be_written_is_told(home: Home) -> None:
    memory = await home.start()
    home.writer.failing = 1
    with pytest.raises(MemoryUnwritable):
        await memory.set_operator(OperatorState.KILLED, "me", "enough")


async def test_fills_are_kept_once_and_win_rates_counted(home: Home) -> None:
    memory = await home.start()
    memory.add_fills((fill(), fill()))
    memory.open_trade(tracked(trade_id=-1), None, 5)
    memory.close_trade(-1, exit_())
    memory.correct_exit(-1, exit_(D(51_000)))
    await settled(memory)
    assert len(home.read(lambda c: books.fills_of(c, "main", BTC))) == 1
    assert await memory.win_rates() == {"donchian": (1, 1)}


async def test_win_rates_are_read_again_only_after_an_exit_was_booked(home: Home) -> None:
    """They are asked for in every cycle; a long history must not be read each time."""
    memory = await home.start()
    assert await memory.win_rates() == {}
    with mock.patch.object(books, "results", side_effect=AssertionError("read again")):
        assert await memory.win_rates() == {}
    memory.open_trade(tracked(trade_id=-1), None, 5)
    memory.close_trade(-1, exit_())
    memory.correct_exit(-1, exit_(D(51_000)))
    await settled(memory)
    assert await memory.win_rates() == {"donchian": (1, 1)}


@pytest.mark.parametrize("page", [1, 2, 3, 5])
async def test_win_rates_are_read_in_pieces_and_none_is_left_out(home: Home, page: int) -> None:
    memory = await home.start()
    for handle, price in ((-1, D(51_000)), (-2, D(49_000)), (-3, D(52_000))):
        memory.open_trade(tracked(trade_id=handle), None, 5)
        memory.close_trade(handle, exit_())
        memory.correct_exit(handle, exit_(price))
    await settled(memory)
    whole = await memory.win_rates()
    memory._rates = None
    with mock.patch.object(recalling, "PAGE", page):
        assert await memory.win_rates() == whole == {"donchian": (3, 3)}


async def test_write_given_up_by_the_executor_is_taken_out_of_the_queue(home: Home) -> None:
    """An entry that was cancelled before its turn leaves no row behind."""
    memory = await home.start()
    writing = asyncio.create_task(memory.write_ahead(ENTRY))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait({writing})
    memory.note_outcome(settle(ENTRY, refused(), NOW_MS), refused(), NOW_MS)
    await settled(memory)
    kept = home.found(ENTRY.client_id)
    assert kept is None or not kept.open
