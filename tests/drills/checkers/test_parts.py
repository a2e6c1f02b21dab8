"""The parts under the checkers: findings, excuses, the mirror of the exchange, the committed store."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from holdfast.decisions.gate import Mode, OperatorState
from holdfast.domain.intents import Intent, Journaled, Purpose
from holdfast.domain.orders import ClientOrderId, Direction, OrderState, PositionSide, Side
from holdfast.drills.checkers.durable import SqliteDurable, Standing
from holdfast.drills.checkers.findings import KEPT_PER_CHECKER, Findings, Violation
from holdfast.drills.checkers.impairments import Both, Impairments
from holdfast.drills.checkers.mirror import Origin, Past
from holdfast.store import books, journal
from holdfast.store.database import open_store
from holdfast.store.operator import set_mode, set_operator
from tests.drills.checkers.court import KEY, court
from tests.simulator.core.build import FOO, ME, line

D = Decimal

# --- findings --------------------------------------------------------------------------------------


def test_the_first_violation_of_each_checker_is_told_and_all_are_counted() -> None:
    told: list[Violation] = []
    findings = Findings(told.append)
    for number in range(KEPT_PER_CHECKER + 5):
        findings.add("S2", number, "doubled", quantity=D("1.5"))
    findings.add("S1", 99, "apart")
    assert [violation.checker for violation in told] == ["S2", "S1"]
    assert findings.first == told[0]
    assert (len(findings.of("S2")), findings.counts["S2"]) == (KEPT_PER_CHECKER, KEPT_PER_CHECKER + 5)
    assert str(told[0]) == "S2 at 0: doubled (quantity=1.5)"


# --- excuses ---------------------------------------------------------------------------------------


def test_an_outage_excuses_while_it_stands_and_for_its_grace() -> None:
    impaired = Impairments()
    impaired.began("network")
    assert impaired.clear_ms(("network",), 0, 5_000) == 0
    impaired.ended("network", 5_000, grace_ms=1_000)
    assert impaired.clear_ms(("network",), 0, 5_500) == 0
    assert impaired.clear_ms(("network", "bot"), 0, 9_000) == 3_000
    assert impaired.clear_ms(("network",), 8_000, 9_000) == 1_000


def test_overlapping_outages_of_a_cause_end_with_the_last() -> None:
    impaired = Impairments()
    impaired.began("store")
    impaired.began("store")
    impaired.ended("store", 1_000)
    assert impaired.clear_ms(("store",), 0, 5_000) == 0
    impaired.ended("store", 6_000)
    assert impaired.clear_ms(("store",), 0, 7_000) == 1_000


def test_a_hit_excuses_until_it_is_relieved() -> None:
    impaired = Impairments()
    impaired.hit("stops", 1_000, 10_000)
    assert impaired.within_ms(("stops",), 1_000, 3_000) == 2_000
    impaired.relieved("stops", 3_000)
    assert impaired.clear_ms(("stops",), 0, 5_000) == 2_000


def test_both_excuse_only_together() -> None:
    impaired = Impairments()
    impaired.began("reads")
    both = (Both("reads", "stream"),)
    assert impaired.clear_ms(both, 0, 5_000) == 5_000
    impaired.began("stream")
    assert impaired.clear_ms(both, 0, 6_000) == 0


# --- the mirror ------------------------------------------------------------------------------------


def test_the_mirror_is_the_exchange() -> None:
    sitting = court(line(100, 110))
    sitting.enter("10")
    sitting.protect()
    sitting.core.close_by_hand(ME, FOO, share=D("0.4"))
    sitting.go(30)
    mirror, view = sitting.checkers.mirror, sitting.core.view(ME)
    held = mirror.position(KEY)
    assert (held.quantity, held.entry_price) == (D(6), view.positions[FOO, PositionSide.BOTH].entry_price)
    assert mirror.wallet == view.wallet
    assert abs(mirror.equity() - sitting.core.truth(ME).equity) < D("0.0001")
    assert [algo.algo_id for algo in mirror.stops_on(KEY)] == list(view.live_algos)
    assert (held.ours, held.changed_by) == (D(6), Origin.HAND)


def test_only_what_the_bot_opened_is_its_own() -> None:
    sitting = court()
    sitting.core.open_by_hand(ME, FOO, Side.BUY, D(5))
    sitting.enter("10")
    assert sitting.checkers.mirror.position(KEY).ours == 10
    sitting.core.close_by_hand(ME, FOO, share=D("0.6"))
    assert sitting.checkers.mirror.position(KEY).ours == 6
    sitting.core.close_by_hand(ME, FOO)
    assert sitting.checkers.mirror.position(KEY).ours == 0


def test_the_past_knows_every_value_that_was_in_force() -> None:
    past = Past(kept_ms=1_000)
    for at_ms, value in ((0, 1), (500, 2), (900, 3)):
        past.note(at_ms, D(value))
    assert list(past.since(600)) == [3, 2]
    assert past.was(D(2), 899)
    assert not past.was(D(1), 600)
    past.note(5_000, D(4))
    assert list(past.since(0)) == [4, 3]


# --- what is committed -----------------------------------------------------------------------------


def entry() -> Journaled:
    return Journaled(
        intent=Intent(
            purpose=Purpose.ENTER, symbol=FOO, side=Side.BUY, quantity=D("1.50"), correlation_id="c"
        ),
        client_id=ClientOrderId("hf-1-in-1aaaaa"),
        account_id="main",
        signed_ms=5,
        window_ms=5_000,
    )


def test_a_row_is_seen_when_it_is_committed_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "trading.db"
    store = open_store(path)
    store.write(lambda c: set_operator(c, OperatorState.RUNNING, "test", "start", 1))
    durable = SqliteDurable(path, "main")
    durable.open()
    durable.changed()
    with store.transaction() as connection:
        journal.write_ahead(connection, entry(), at_ms=5)
        assert durable.intent("hf-1-in-1aaaaa") is None
        assert not durable.changed()
    assert durable.changed()
    assert not durable.changed()
    row = durable.intent("hf-1-in-1aaaaa")
    assert row is not None
    assert (row.quantity, row.symbol, row.state) == (D("1.5"), FOO, OrderState.SENDING)
    assert [each.client_id for each in durable.open_intents()] == ["hf-1-in-1aaaaa"]
    durable.close()
    store.close()


def test_books_and_orders_of_the_operator_are_read_as_a_start_would(tmp_path: Path) -> None:
    path = tmp_path / "trading.db"
    store = open_store(path)
    durable = SqliteDurable(path, "main")
    durable.open()
    assert durable.standing() == Standing(OperatorState.STOPPED, Mode.NORMAL)
    trade = books.Trade(
        account_id="main",
        symbol=FOO,
        side=Direction.SHORT,
        opened_ms=1,
        entry_price=D(100),
        quantity=D(3),
        adopted=True,
    )
    store.write(lambda c: books.open_trade(c, trade))
    store.write(lambda c: set_operator(c, OperatorState.KILLED, "test", "test", 2))
    store.write(lambda c: set_mode(c, Mode.REDUCE_ONLY, "bot", "loss", 3, by_person=False))
    (row,) = durable.open_trades()
    assert (row.signed, row.adopted, row.key) == (D(-3), True, KEY)
    assert durable.standing() == Standing(OperatorState.KILLED, Mode.REDUCE_ONLY)
    assert not durable.standing().adds_risk
    durable.close()
    store.close()


def test_between_two_lives_the_last_commit_is_remembered_and_the_file_let_go(tmp_path: Path) -> None:
    path = tmp_path / "trading.db"
    store = open_store(path)
    store.write(lambda c: set_operator(c, OperatorState.RUNNING, "test", "start", 1))
    store.write(lambda c: journal.write_ahead(c, entry(), at_ms=5))
    durable = SqliteDurable(path, "main")
    durable.open()
    durable.close()
    store.close()
    path.unlink()
    assert durable.intent("hf-1-in-1aaaaa") is not None
    assert len(durable.open_intents()) == 1
    assert durable.standing().adds_risk
    assert durable.intent("another") is None
