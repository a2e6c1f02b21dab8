"""L1 to L5: what has to be so once everything was healed for long enough."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from holdfast.decisions.gate import Mode, OperatorState
from holdfast.domain.account import PositionKey, PositionMode
from holdfast.domain.intents import Intent, Journaled, Purpose
from holdfast.domain.orders import ClientOrderId, OrderState, PositionSide, Side
from holdfast.drills.checkers.liveness import AfterHeal, overdue_exits
from tests.drills.checkers.court import Court, court
from tests.simulator.core.build import FOO, ME

D = Decimal


def told(sitting: Court, **changes: Any) -> AfterHeal:
    """A bot that is well, and knows of everything that stands; one thing changed."""
    view = sitting.core.view(ME)
    usual = AfterHeal(
        at_ms=sitting.now_ms,
        mode=Mode.NORMAL,
        mode_why="",
        operator=OperatorState.RUNNING,
        operator_why="",
        synced=True,
        exits_pending=0,
        alerts=(),
        intents=(),
        orders=frozenset(map(str, (*view.live_orders, *view.live_algos))),
        closing=frozenset(),
    )
    return replace(usual, **changes)


def judge(sitting: Court, **changes: Any) -> list[str]:
    sitting.checkers.liveness.judge(told(sitting, **changes))
    return sitting.verdicts


def holding() -> Court:
    sitting = court()
    sitting.enter()
    sitting.protect()
    sitting.go(60)
    return sitting


def unknown(state: OrderState = OrderState.UNKNOWN) -> Journaled:
    return Journaled(
        intent=Intent(purpose=Purpose.ENTER, symbol=FOO, side=Side.BUY),
        client_id=ClientOrderId("hf-1-in-9aaaaa"),
        account_id="main",
        signed_ms=1,
        window_ms=5_000,
        state=state,
    )


def test_a_bot_that_is_well_is_silent() -> None:
    assert judge(holding()) == []
    assert judge(court()) == []


def test_l1_a_request_whose_end_is_not_known() -> None:
    assert judge(holding(), intents=(unknown(),)) == ["L1"]
    assert judge(holding(), intents=(unknown(OrderState.WORKING),)) == []


def test_l1_an_order_that_stands_unknown_to_the_bot() -> None:
    assert judge(holding(), orders=frozenset()) == ["L1"]


def test_l1_a_journal_that_holds_for_working_what_is_over() -> None:
    sitting = holding()
    sitting.core.cancel_stops_by_hand(ME, FOO)
    assert judge(sitting) == ["L1"]


def test_l2_a_mode_needs_a_reason() -> None:
    assert judge(court(), mode=Mode.REDUCE_ONLY) == ["L2"]
    assert judge(court(), mode=Mode.REDUCE_ONLY, mode_why="a loss") == []
    assert judge(court(), operator=OperatorState.STOPPED) == ["L2"]
    assert judge(court(), operator=OperatorState.KILLED, operator_why="a person") == []


@pytest.mark.parametrize(
    "id_", ["STREAM_DOWN", "READ_FAILING", "STORE_UNWRITABLE", "RATE_LIMITED", "NEW_ONE"]
)
def test_l3_an_alert_whose_cause_is_over_has_to_be_gone(id_: str) -> None:
    assert judge(court(), alerts=((id_, ""),)) == ["L3"]


@pytest.mark.parametrize("id_", ["STOP_MISSING", "STOP_REFUSED", "PROTECTION_FAILED", "CLOSE_REFUSED"])
def test_l3_an_alert_about_protection_may_stand_while_the_position_is_being_left(id_: str) -> None:
    about = ((id_, str(FOO)),)
    assert judge(court(), alerts=about) == ["L3"]
    assert judge(holding(), alerts=about) == ["L3"]
    assert judge(holding(), alerts=about, closing=frozenset({PositionKey(FOO, PositionSide.BOTH)})) == []


def test_l3_a_latched_alert_stands_with_what_it_latched() -> None:
    latched = (("MODE_STEPPED_DOWN", ""),)
    assert judge(court(), alerts=latched) == ["L3"]
    assert judge(court(), alerts=latched, mode=Mode.REDUCE_ONLY, mode_why="a loss") == []


def test_l3_a_symbol_that_is_shut_may_be_complained_of() -> None:
    about = (("NOT_TRADABLE", str(FOO)),)
    assert judge(court(), alerts=about) == ["L3"]
    assert judge(court(), alerts=about, shut=frozenset({FOO})) == []


def test_l3_an_account_that_cannot_be_switched_back_may_be_complained_of() -> None:
    """Seed 100001: a position of the other mode is held."""
    sitting, about = court(), (("ACCOUNT_DRIFT", "position_mode"),)
    assert judge(court(), alerts=about) == ["L3"]
    sitting.core.set_position_mode(ME, PositionMode.HEDGE)
    assert judge(sitting, alerts=about) == []


def test_l3_a_world_may_add_what_stays_broken_in_it() -> None:
    sitting = court()
    causes = {"NEW_ONE": lambda told, mirror, symbol: symbol == str(FOO)}
    about = (("NEW_ONE", str(FOO)),)
    sitting.checkers.liveness.judge(told(sitting, alerts=about), causes=causes)
    assert sitting.verdicts == []


def test_l4_reconciliation_has_to_be_finished() -> None:
    assert judge(court(), synced=False) == ["L4"]
    assert judge(court(), exits_pending=1) == ["L4"]
    sitting = holding()
    sitting.core.close_by_hand(ME, FOO, share=D("0.1"))
    sitting.go(10)
    assert judge(sitting) == ["L4"]


def test_l5_who_was_told_to_flatten_is_flat() -> None:
    assert judge(holding(), flatten=True) == ["L5"]
    assert judge(court(), flatten=True) == []
    sitting = court()
    name = sitting.name("in")
    sitting.write(name, Purpose.ENTER, Side.BUY, "10")
    sitting.send(name, Side.BUY, "10", price="90")
    sitting.settle(name, OrderState.WORKING)
    assert judge(sitting, flatten=True) == ["L5"]


@pytest.mark.parametrize(("gone_ms_ago", "overdue"), [(100, 0), (5_000, 0), (5_001, 1)])
def test_exit_of_a_moment_ago_may_still_look_for_its_executions(gone_ms_ago: int, overdue: int) -> None:
    """The world is judged when the clock says so, and a position may just have ended (dense seed 50049)."""
    exits = {1: SimpleNamespace(gone_ms=100_000 - gone_ms_ago)}
    bot = SimpleNamespace(
        account=SimpleNamespace(clock=SimpleNamespace(now_ms=lambda: 100_000)),
        supervisor=SimpleNamespace(books=SimpleNamespace(pending=exits)),
    )
    assert overdue_exits(cast("Any", bot)) == overdue
