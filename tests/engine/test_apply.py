"""What each event changes: orders, stops, positions, and when they were true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from holdfast.decisions.step import Read, Want
from holdfast.domain.account import Fact
from holdfast.domain.intents import Accepted, Intent, Journaled, Purpose, RejectReason
from holdfast.domain.orders import ExchangeStatus, OrderState, Side, StopStatus
from holdfast.domain.symbol import Symbol
from holdfast.engine.account import Account
from holdfast.engine.apply import Applier
from holdfast.engine.events import Answered, ReadDone, Told
from holdfast.engine.executor import settle
from holdfast.exchanges.port import OrderNews, PositionNews, StopNews, StreamState
from tests.decisions.examples import BTC, ETH, NOW_MS, D, intent, journaled
from tests.decisions.holdings import KEY, OURS, fill, order, position, refused, stop, tracked
from tests.engine.parts import FakeClock, FakeExchange, FakeIds, FakeMemory, state
from tests.engine.test_bookkeeper import Desk

ENTRY = journaled(intent(quantity=D("0.5")))
PLACE = journaled(
    Intent(
        purpose=Purpose.PLACE_STOP, symbol=BTC, side=Side.SELL, close_position=True, trigger_price=D(49_000)
    ),
    client_id=OURS,
)


class Bench:
    def __init__(self) -> None:
        self.memory, self.exchange = FakeMemory(), FakeExchange()
        self.account = Account(
            settings=state().settings,
            exchange=self.exchange,  # type: ignore[arg-type]
            memory=self.memory,  # type: ignore[arg-type]
            clock=FakeClock(),
            ids=FakeIds(),
            state=state(),
            log=lambda event, details: None,
            kill_ordered=lambda: None,
        )
        self.applier = Applier(self.account, Desk(self.account.state).books)

    def sent(self, journaled: Journaled) -> None:
        self.account.state.sending(journaled, NOW_MS)

    def told(self, news: Any, late_ms: int = 0) -> tuple[Want, ...]:
        return self.applier.apply(Told(news, NOW_MS + late_ms))

    def answered(self, journaled: Journaled, outcome: Any, at_ms: int = NOW_MS) -> tuple[Want, ...]:
        return self.applier.apply(Answered(settle(journaled, outcome, at_ms), outcome, at_ms))

    def quantity(self) -> Any:
        held = self.account.state.believed_positions().get(KEY)
        return held.quantity if held else None


@pytest.fixture
def bench() -> Bench:
    return Bench()


def bought(status: ExchangeStatus = ExchangeStatus.FILLED, filled: str = "0.5", at_ms: int = NOW_MS) -> Any:
    return order(client_id=ENTRY.client_id, status=status, filled=D(filled), updated_ms=at_ms)


def test_fill_of_an_entry_is_a_sign_of_a_position(bench: Bench) -> None:
    """Before any position row says so: enough to protect (rule 4)."""
    bench.sent(ENTRY)
    wants = bench.told(OrderNews(order=bought(), fill=fill(), exchange_ms=NOW_MS))
    assert bench.quantity() == D("0.5")
    assert [want.read for want in wants] == [Read.POSITIONS]
    assert bench.account.state.intents == {}


def test_reply_of_an_entry_does_not_outdo_newer_news(bench: Bench) -> None:
    """Its stop fired within the round trip: the reply comes last and tells of before."""
    bench.sent(ENTRY)
    flat = PositionNews(symbol=BTC, side=KEY.side, quantity=D(0), entry_price=D(0), exchange_ms=NOW_MS + 30)
    bench.told(flat, 50)
    bench.answered(ENTRY, Accepted(exchange_id="1", order=bought()), NOW_MS + 60)
    assert bench.quantity() is None


def test_cancel_of_a_rest_does_not_bring_closed_fills_back(bench: Bench) -> None:
    """A resting entry filled in part, the part was closed; now the rest is cancelled."""
    bench.sent(ENTRY)
    bench.answered(ENTRY, Accepted(exchange_id="o1", order=bought(ExchangeStatus.OPEN, "0")))
    part = OrderNews(order=bought(ExchangeStatus.PARTIAL, "0.2"), fill=fill(), exchange_ms=NOW_MS + 10)
    bench.told(part)
    assert bench.quantity() == D("0.2")
    bench.account.state.hear_flat(KEY, NOW_MS + 20)
    wants = bench.told(
        OrderNews(order=bought(ExchangeStatus.CANCELLED, "0.2"), fill=None, exchange_ms=NOW_MS + 30)
    )
    assert bench.quantity() is None
    assert [want.read for want in wants] == [Read.POSITIONS]
    assert bench.account.state.intents == {}


def test_resting_entry_is_open_until_its_end(bench: Bench) -> None:
    bench.sent(ENTRY)
    bench.answered(ENTRY, Accepted(exchange_id="o1", order=bought(ExchangeStatus.OPEN, "0")))
    (resting,) = bench.account.state.intents.values()
    assert resting.state is OrderState.WORKING
    bench.told(OrderNews(order=bought(), fill=fill(), exchange_ms=NOW_MS + 10))
    assert bench.account.state.intents == {}
    assert [j.filled for j in bench.account.state.recent_entries] == [D("0.5")]


def test_end_of_our_stop_is_told_to_the_journal(bench: Bench) -> None:
    gone = stop(status=StopStatus.EXPIRED)
    bench.told(StopNews(stop=gone, exchange_ms=NOW_MS))
    assert bench.memory.words("stop") == [gone]
    bench.told(StopNews(stop=replace(gone, client_id="web_1"), exchange_ms=NOW_MS))
    bench.told(StopNews(stop=stop(), exchange_ms=NOW_MS + 1))
    assert bench.memory.words("stop") == [gone]


def test_stop_news_that_overtakes_the_reply_is_conclusive(bench: Bench) -> None:
    """It stood and was cancelled by hand; the reply that it stands comes last."""
    bench.sent(PLACE)
    bench.told(StopNews(stop=stop(), exchange_ms=NOW_MS + 10))
    bench.told(StopNews(stop=stop(status=StopStatus.CANCELLED), exchange_ms=NOW_MS + 20))
    bench.answered(PLACE, Accepted(exchange_id="s1", stop=stop()), NOW_MS + 40)
    assert bench.account.state.believed_stops() == {}
    assert bench.account.state.attempts[KEY][0].outcome is not None


def test_stop_cancelled_while_its_reply_is_on_the_way_is_gone(bench: Bench) -> None:
    """The reply comes first and late; the cancel that it does not know of was after its moment."""
    bench.sent(PLACE)
    bench.answered(PLACE, Accepted(exchange_id="s1", stop=stop(updated_ms=NOW_MS + 10)), NOW_MS + 60)
    assert set(bench.account.state.believed_stops()) == {"s1"}
    bench.told(StopNews(stop=stop(updated_ms=NOW_MS + 10), exchange_ms=NOW_MS + 10), 61)
    bench.told(StopNews(stop=stop(status=StopStatus.CANCELLED), exchange_ms=NOW_MS + 20), 62)
    assert bench.account.state.believed_stops() == {}


def test_times_of_the_exchange_are_brought_to_our_clock(bench: Bench) -> None:
    bench.exchange.offset_ms = 3_000
    held = position(updated_ms=NOW_MS + 3_000)
    read = Fact((held,), NOW_MS, NOW_MS)
    bench.applier.apply(ReadDone(Want(Read.POSITIONS, None, NOW_MS), read))
    assert bench.account.state.believed_positions()[KEY].updated_ms == NOW_MS
    bench.told(StopNews(stop=stop(created_ms=NOW_MS + 3_000), exchange_ms=NOW_MS + 3_000))
    assert bench.account.state.believed_stops()["s1"].created_ms == NOW_MS


def test_answer_in_part_is_told_until_a_whole_one_comes(bench: Bench) -> None:
    """Each question by itself; one about all symbols answers for each of them."""
    account = bench.account

    def read(what: Read, symbol: Symbol | None, *, whole: bool) -> None:
        bench.applier.apply(ReadDone(Want(what, symbol, NOW_MS), Fact((), NOW_MS, NOW_MS, whole)))

    read(Read.POSITIONS, None, whole=False)
    read(Read.STOPS, BTC, whole=False)
    read(Read.STOPS, ETH, whole=False)
    assert {(v.id, v.severity) for v in account.alerts.views()} == {("READ_INCOMPLETE", "critical")}
    assert len(account.alerts.views()) == 2
    read(Read.STOPS, BTC, whole=True)
    assert account.incomplete == {(Read.POSITIONS, None), (Read.STOPS, ETH)}
    read(Read.STOPS, None, whole=True)
    assert list(account.alerts.standing) == [("READ_INCOMPLETE", "positions")]
    read(Read.POSITIONS, None, whole=True)
    assert (account.incomplete, account.alerts.views()) == (set(), ())


def test_refused_stop_alert_ends_when_one_stands(bench: Bench) -> None:
    bench.account.state.tracked[KEY] = tracked()
    bench.sent(PLACE)
    bench.answered(PLACE, refused(RejectReason.FILTER))
    assert [view.id for view in bench.account.alerts.views()] == ["STOP_REFUSED"]
    bench.applier.protected(KEY, stop())
    assert bench.account.alerts.views() == ()
    assert bench.memory.words("protect") == [(1, D(49_000))]


def test_failing_read_of_prices_ends_with_the_stream_that_brings_them(bench: Bench) -> None:
    """They are not asked for any more, so no answer could end the alert (seed 40028, L3)."""
    bench.told(StreamState(stream="market", up=False, cause="cut"))
    bench.applier.apply(ReadDone(Want(Read.MARKS, None, NOW_MS), None, refused(RejectReason.CLOCK)))
    assert "READ_FAILING" in {view.id for view in bench.account.alerts.views()}
    bench.told(StreamState(stream="market", up=True, cause="data"))
    assert bench.account.alerts.views() == ()


def test_where_a_stop_should_stand_is_remembered_not_where_it_can(bench: Bench) -> None:
    """A coarser tick holds it off its price for a while: a restart must not forget that price (seed 423)."""
    bench.account.state.tracked[KEY] = tracked(stop_price=D("49000.3"))
    bench.applier.protected(KEY, stop(trigger_price=D(49_000)))
    assert bench.memory.words("protect") == [(1, D("49000.3"))]
    assert bench.account.state.tracked[KEY].stop_price == D("49000.3")


def test_same_stop_is_noted_for_each_life_it_protects(bench: Bench) -> None:
    """Books closed and taken up again: the new life needs its stop price too."""
    for handle in (1, 2, 2):
        bench.account.state.tracked[KEY] = tracked(trade_id=handle, stop_price=None)
        bench.applier.protected(KEY, stop())
    assert bench.memory.words("protect") == [(1, D(49_000)), (2, D(49_000))]
