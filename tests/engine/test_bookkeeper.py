"""Findings become books, and what ended gets its true exit from the executions (R3.2, R3.3, G10)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.decisions.evidence import Evidence
from holdfast.decisions.facts import Tracked
from holdfast.decisions.reconcile import Appeared, Finding, Flipped, ForeignOrder, Resized, Vanished
from holdfast.domain.intents import Accepted, Purpose
from holdfast.domain.orders import Fill, OrderState, Side
from holdfast.domain.symbol import Symbol
from holdfast.engine.alerts import Alerts
from holdfast.engine.bookkeeper import CLOCK_DOUBT_MS, EXCHANGE_CLOSED, PATIENCE, Bookkeeper
from holdfast.engine.events import FillsRead, Inbox
from holdfast.engine.lives import life
from holdfast.engine.state import AccountState
from tests.decisions.examples import BTC, ETH, INSTRUMENT, NOW_MS, D, intent, journaled
from tests.decisions.holdings import KEY, fill, order, position, short, tracked
from tests.engine.parts import FakeExchange, FakeMemory, state

ENTRY = journaled(
    intent(quantity=D("0.5"), strategy="donchian"),
    state=OrderState.FILLED,
    filled=D("0.5"),
    signed_ms=NOW_MS - 300,
)
BOUGHT = fill(at_ms=NOW_MS - 200, trade_id="t1")
SOLD = fill(
    side=Side.SELL, at_ms=NOW_MS + 5_000, price=D(51_000), realized_pnl=D(500), trade_id="t2", order_id="o2"
)


class Desk:
    """A bookkeeper with everything around it."""

    def __init__(self, bot: AccountState | None = None) -> None:
        self.state = bot or state()
        self.memory, self.exchange, self.inbox = FakeMemory(), FakeExchange(), Inbox()
        self.alerts, self.said = Alerts(), list[tuple[str, str, str]]()
        self.work: list[Coroutine[Any, Any, None]] = []
        self.books = Bookkeeper(
            state=self.state,
            memory=self.memory,  # type: ignore[arg-type]
            exchange=self.exchange,  # type: ignore[arg-type]
            inbox=self.inbox,
            alerts=self.alerts,
            say=lambda *words: self.said.append(words),
            spawn=lambda _, work: self.work.append(work),
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    def apply(self, *findings: Finding, manage: bool = True) -> bool:
        return self.books.apply(findings, NOW_MS, manage=lambda _: manage)

    def opened(self) -> Tracked:
        self.state.recent_entries.append(ENTRY)
        self.apply(Appeared(position(), ENTRY.client_id))
        return self.state.tracked[KEY]

    def gone(self, held: Tracked) -> None:
        self.apply(Vanished(held, Evidence.NEWS, NOW_MS + 5_000))

    def end(self) -> None:
        for work in self.work:
            work.close()


@pytest.fixture
def desk() -> Any:
    made = Desk()
    yield made
    made.end()


def told(desk: Desk, held: Tracked, *fills: Fill) -> None:
    desk.books.exit_read(FillsRead(held.trade_id, fills, complete=True))


# --- opening -------------------------------------------------------------------------------------


def test_position_of_our_entry_takes_its_stop_and_strategy(desk: Desk) -> None:
    held = desk.opened()
    assert (held.strategy, held.stop_price, held.adopted) == ("donchian", D(49_000), False)
    assert held.entry_signed_ms == ENTRY.signed_ms
    assert desk.memory.words("open") == [(held, ENTRY)]


def test_position_of_nobody_is_adopted_by_policy(desk: Desk) -> None:
    assert desk.apply(Appeared(position(), ""))
    held = desk.state.tracked[KEY]
    assert (held.adopted, held.adopted_quantity, held.stop_price) == (True, D("0.5"), None)
    assert desk.books.reconciliations == 1


def test_unmanaged_position_stays_out_of_the_books(desk: Desk) -> None:
    assert not desk.apply(Appeared(position(), ""), manage=False)
    assert desk.state.tracked == {}


def test_adopted_symbol_outside_the_settings_brings_its_rules(desk: Desk) -> None:
    """Without steps its stop would be refused, and the position closed for it."""
    doge = Symbol.parse("DOGEUSDT")
    rules = replace(INSTRUMENT, symbol=doge)
    desk.exchange.rules = {doge: rules}
    desk.apply(Appeared(position(symbol=doge), ""))
    assert desk.state.facts(NOW_MS, entries_wanted=True).instruments == {BTC: INSTRUMENT, doge: rules}


def test_reopened_position_forgets_that_the_last_one_ended(desk: Desk) -> None:
    desk.state.hear_flat(KEY, NOW_MS - 5)
    desk.apply(Appeared(position(), ""))
    assert desk.state.flat_news == {}


# --- changing ------------------------------------------------------------------------------------


def test_resize_is_noted_and_counted_when_nothing_explains_it(desk: Desk) -> None:
    desk.apply(Appeared(position(), ""))
    held = desk.state.tracked[KEY]
    desk.apply(Resized(held, position(quantity=D("0.2"))))
    assert desk.state.tracked[KEY].quantity == D("0.2")
    assert desk.memory.words("resize") == [(held.trade_id, D("0.2"))]
    assert desk.books.reconciliations == 2


def test_flip_closes_one_life_and_opens_another(desk: Desk) -> None:
    held = desk.opened()
    desk.apply(Flipped(held, short()))
    assert desk.state.tracked[KEY].direction is short().direction
    assert [handle for handle, _ in desk.memory.words("close")] == [held.trade_id]


def test_flip_by_our_own_entry_is_no_strangers(desk: Desk) -> None:
    """It is booked with its entry's stop and strategy."""
    held = desk.opened()
    later = journaled(
        intent(side=Side.SELL, stop_price=D(51_000)), client_id="hf-2-in-later", state=OrderState.FILLED
    )
    desk.state.recent_entries.append(later)
    desk.apply(Flipped(held, short(), "hf-2-in-later"))
    now = desk.state.tracked[KEY]
    assert (now.adopted, now.entry_client_id, now.stop_price) == (False, "hf-2-in-later", D(51_000))
    assert desk.state.recent_entries[-1] is later


def test_flip_by_hand_is_not_adopted_against_the_policy(desk: Desk) -> None:
    held = desk.opened()
    desk.apply(Flipped(held, short()), manage=False)
    assert desk.state.tracked == {}


def test_foreign_order_alert_ends_with_the_order(desk: Desk) -> None:
    desk.apply(ForeignOrder(order()))
    assert [view.id for view in desk.alerts.views()] == ["FOREIGN_ORDER"]
    desk.apply(ForeignOrder(order(symbol=ETH)))
    assert [symbol for _, symbol in desk.alerts.standing] == [str(ETH)]
    desk.apply()
    assert desk.alerts.views() == ()


# --- closing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("closing", "reason", "count"), [("", EXCHANGE_CLOSED, 1), ("signal", "signal", 0)])
def test_vanished_position_is_closed_at_once_and_its_reason_kept(
    desk: Desk, closing: str, reason: str, count: int
) -> None:
    held = replace(desk.opened(), closing_reason=closing)
    desk.gone(held)
    assert desk.state.tracked == {}
    ((_, exit_),) = desk.memory.words("close")
    assert (exit_.reason, exit_.price) == (reason, None)
    assert desk.books.reconciliations == count
    assert not desk.books.idle.is_set()


def test_true_exit_comes_from_the_executions(desk: Desk) -> None:
    held = desk.opened()
    desk.gone(held)
    told(desk, held, BOUGHT)
    assert desk.memory.words("correct") == []
    told(desk, held, BOUGHT, SOLD)
    ((handle, exit_),) = desk.memory.words("correct")
    assert (handle, exit_.price, exit_.fees, exit_.cause) == (held.trade_id, D(51_000), D(20), "manual")
    assert exit_.realized_pnl == D(500)
    assert (desk.books.wins, desk.books.realized) == (1, D(480))
    assert desk.books.idle.is_set()
    told(desk, held, BOUGHT, SOLD)
    assert len(desk.memory.words("correct")) == 1


@pytest.mark.parametrize(
    ("client_id", "cause"),
    [
        ("hf-9-stop-1aaaaa", "stop"),
        ("hf-9-out-1aaaaa", "bot"),
        ("autoclose-17", "liquidation"),
        ("adl_autoclose", "adl"),
        ("web_1", "manual"),
        ("", "manual"),
    ],
)
def test_cause_is_who_sent_the_last_order(desk: Desk, client_id: str, cause: str) -> None:
    """Also when an earlier run of the bot sent it."""
    held = desk.opened()
    desk.gone(held)
    told(desk, held, BOUGHT, replace(SOLD, client_id=client_id))
    assert desk.memory.words("correct")[0][1].cause == cause


def test_order_that_our_stop_became_is_its_cause(desk: Desk) -> None:
    held = desk.opened()
    desk.state.order_purposes["o2"] = Purpose.PLACE_STOP
    desk.gone(held)
    told(desk, held, BOUGHT, SOLD)
    assert desk.memory.words("correct")[0][1].cause == "stop"


async def test_executions_are_asked_for_from_the_entry_on(desk: Desk) -> None:
    """Not from when the position was noticed, which may be much later; and by the exchange's clock."""
    held = replace(desk.opened(), opened_ms=NOW_MS + 90_000)
    desk.exchange.offset_ms = 7_000
    desk.exchange.executions = (BOUGHT, SOLD)
    desk.gone(held)
    asking = asyncio.create_task(desk.work.pop())
    (event,) = await desk.inbox.get()
    assert isinstance(event, FillsRead)
    desk.books.exit_read(event)
    await asking
    assert desk.exchange.since[0] == ENTRY.signed_ms + 7_000 - 1_000
    assert desk.books.pending == {}


async def test_the_sender_is_asked_for_where_the_executions_do_not_say(desk: Desk) -> None:
    """The exchange's list of executions carries no client ids (found by G10)."""
    held = desk.opened()
    desk.exchange.executions = (BOUGHT, SOLD)
    desk.exchange.found = Accepted(
        exchange_id=SOLD.order_id, order=order(order_id=SOLD.order_id, client_id="adl_autoclose")
    )
    desk.gone(held)
    asking = asyncio.create_task(desk.work.pop())
    (event,) = await desk.inbox.get()
    assert isinstance(event, FillsRead)
    desk.books.exit_read(event)
    await asking
    assert desk.exchange.asked == [f"order {SOLD.order_id}"]
    assert desk.memory.words("correct")[0][1].cause == "adl"


def test_exit_that_never_comes_out_even_is_taken_after_some_looks(desk: Desk) -> None:
    """An adopted long of 0.5 was flipped by one order: its last fill closes more than it had."""
    desk.apply(Appeared(position(), ""))
    held = desk.state.tracked[KEY]
    desk.gone(held)
    for _ in range(PATIENCE - 1):
        told(desk, held, replace(SOLD, quantity=D(1)))
    assert desk.memory.words("correct") == []
    told(desk, held, replace(SOLD, quantity=D(1)))
    assert len(desk.memory.words("correct")) == 1


# --- lives ---------------------------------------------------------------------------------------

OPENED_MS = NOW_MS


def fills(*rows: tuple[int, str, str]) -> list[Fill]:
    """(seconds from when it was seen, side, quantity)"""
    return [
        fill(at_ms=OPENED_MS + int(s * 1_000), side=Side(side), quantity=D(q), trade_id=str(n))
        for n, (s, side, q) in enumerate(rows)
    ]


def ours() -> Tracked:
    return tracked(opened_ms=OPENED_MS, entry_signed_ms=OPENED_MS - 300)


def adopted(quantity: str) -> Tracked:
    return tracked(
        opened_ms=OPENED_MS,
        adopted=True,
        adopted_quantity=D(quantity),
        quantity=D(quantity),
        entry_client_id="",
    )


def test_our_life_begins_with_nothing_and_ends_flat() -> None:
    rows = fills((-4, "sell", "9"), (-0.2, "buy", "1"), (-0.1, "buy", "1"), (3, "sell", "2"), (4, "buy", "7"))
    found = life(rows, ours())
    assert found is not None
    assert (found.entering, found.leaving) == (tuple(rows[1:3]), (rows[3],))


def test_life_is_open_until_its_executions_reach_flat() -> None:
    assert life(fills((-0.2, "buy", "2"), (3, "sell", "1")), ours()) is None


@pytest.mark.parametrize("way", [("buy", "sell"), ("sell", "buy")], ids=["the same", "the other"])
def test_of_several_lives_the_one_is_taken_that_began_with_the_entry(way: tuple[str, str]) -> None:
    """Asked for generously, because a clock was set: neither the life before, of whichever direction, nor
    the one after is meant (drills, L4)."""
    before, after = way
    rows = fills(
        (-400, before, "1"), (-350, after, "1"), (-0.2, "buy", "2"), (3, "sell", "2"), (60, "buy", "1")
    )
    rows = [replace(each, order_id=f"o{number}") for number, each in enumerate(rows)]
    found = life(rows, ours())
    assert found is not None
    assert (found.entering, found.leaving) == ((rows[2],), (rows[3],))
    assert life(rows[:3], ours()) is None, "the life before is not taken for one that has not ended yet"


async def test_executions_that_are_not_found_are_looked_for_earlier(desk: Desk) -> None:
    """Our clock was set back since the entry: by its new offset the entry seems younger (drills, L4)."""
    held = desk.opened()
    desk.gone(held)
    asking = asyncio.create_task(desk.work.pop())
    while len(desk.exchange.since) <= PATIENCE:
        await asyncio.sleep(0)
    asking.cancel()
    began = ENTRY.signed_ms - 1_000
    assert desk.exchange.since[:PATIENCE] == [began] * PATIENCE
    assert desk.exchange.since[PATIENCE] == began - CLOCK_DOUBT_MS


def test_fills_before_adoption_are_in_the_adopted_size() -> None:
    """Opened by hand and seen within the second: its own opening must not be counted on top."""
    rows = fills((-0.3, "buy", "1"), (60, "sell", "1"))
    found = life(rows, adopted("1"))
    assert found is not None
    assert (found.entering, found.leaving) == ((), (rows[1],))


def test_adoption_in_the_middle_of_an_order_finds_the_cut() -> None:
    rows = fills((-0.1, "buy", "0.4"), (-0.1, "buy", "0.6"), (60, "sell", "0.5"), (61, "sell", "0.5"))
    found = life(rows, adopted("0.4"))
    assert found is not None
    assert found.entering == (rows[1],)
    assert len(found.leaving) == 2


def test_what_turned_the_position_over_does_not_end_it() -> None:
    """A hand sold twice our long at the very moment of its entry (seed 400001): the short that was seen then
    stands, though what was bought just before would close it."""
    rows = fills((-0.8, "sell", "1"), (-0.8, "buy", "2"))
    assert life(rows, adopted("1")) is None
    taken = life(rows, adopted("1"), lenient=True)
    assert taken is not None
    assert not taken.flat_now, "and no look at them may end it"
    closed = life([*rows, *fills((60, "sell", "1"))], adopted("1"))
    assert closed is not None
    assert [each.at_ms - OPENED_MS for each in closed.leaving] == [60_000]


def test_adopted_position_that_grew_later_ends_with_all_of_it() -> None:
    rows = fills((600, "buy", "1"), (700, "sell", "2"))
    found = life(rows, adopted("1"))
    assert found is not None
    assert found.leaving == (rows[1],)


@given(
    st.lists(st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 5)), max_size=12),
    st.integers(0, 12),
    st.sampled_from([-60_000, 0, 60_000]),
)
def test_adopted_life_is_found_wherever_it_was_first_seen(
    trades: list[tuple[str, int]], seen_after: int, offset: int
) -> None:
    """A person trades up and down and ends flat; we saw the position at some moment in between."""
    held, rows, sizes = 0, list[tuple[int, str, str]](), list[int]()
    for second, (side, most) in enumerate(trades):
        quantity = most if side == "buy" else min(most, held)
        held += quantity if side == "buy" else -quantity
        rows += [(second * 10, side, str(quantity))] if quantity else []
        sizes += [held] if quantity else []
    rows += [(len(trades) * 10, "sell", str(held))] if held else []
    cut = min(seen_after, len(sizes) - 1)
    if cut < 0 or not sizes[cut] or 0 in sizes[cut:]:
        return
    seen = rows[cut][0] + 3
    shifted = fills(*[(s - seen, side, q) for s, side, q in rows if s - seen >= -5])
    shifted = [replace(each, at_ms=each.at_ms + offset) for each in shifted]
    found = life(shifted, adopted(str(sizes[cut])), offset_ms=offset)
    assert found is not None
    assert found.rest == 0
    assert found.leaving[-1] is shifted[-1]
