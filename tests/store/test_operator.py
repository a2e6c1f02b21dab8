"""Orders of the operator: latched, the stricter wins, all of it audited."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.decisions.gate import Mode, OperatorState
from holdfast.store import audit
from holdfast.store.database import Store, open_store
from holdfast.store.operator import ModeLatched, operator_of, set_mode, set_operator
from tests.store.builders import ACCOUNT, NOW

RUNNING, STOPPED, KILLED = OperatorState.RUNNING, OperatorState.STOPPED, OperatorState.KILLED


def _order(store: Store, state: OperatorState, account: str = "") -> OperatorState:
    return store.write(lambda c: set_operator(c, state, "ann", "why", NOW, account_id=account)).state


def _holds(store: Store, account: str = ACCOUNT) -> OperatorState:
    return store.read(lambda c: operator_of(c, account)).state


def test_nothing_trades_before_anyone_said_so(store: Store):
    held = store.read(operator_of)
    assert (held.state, held.mode, held.state_why) == (STOPPED, Mode.NORMAL, "nobody has started it yet")


def test_a_kill_survives_stop_and_restart_until_run(sqlite_path: Path):
    """R1.6: a latched kill outlives the process; /stop does not weaken it."""
    store = open_store(sqlite_path)
    assert [_order(store, each) for each in (RUNNING, KILLED, STOPPED)] == [RUNNING, KILLED, KILLED]
    store.close()
    store = open_store(sqlite_path)
    assert _holds(store) is KILLED
    assert _order(store, RUNNING) is RUNNING
    assert _holds(store) is RUNNING
    store.close()


@pytest.mark.parametrize(
    ("whole", "own", "holds"),
    [
        (RUNNING, RUNNING, RUNNING),
        (RUNNING, STOPPED, STOPPED),
        (STOPPED, RUNNING, STOPPED),
        (KILLED, RUNNING, KILLED),
        (STOPPED, KILLED, KILLED),
    ],
)
def test_the_stricter_of_whole_and_account_holds(
    store: Store, whole: OperatorState, own: OperatorState, holds: OperatorState
):
    _order(store, whole)
    _order(store, own, ACCOUNT)
    assert (_holds(store), _holds(store, "other")) == (holds, whole)


def test_a_mode_goes_up_only_by_a_person(store: Store):
    def order(mode: Mode, *, person: bool) -> Mode:
        return store.write(lambda c: set_mode(c, mode, "x", "loss", NOW, by_person=person)).mode

    assert order(Mode.HALTED, person=False) is Mode.HALTED
    for mode in (Mode.NORMAL, Mode.REDUCE_ONLY):
        with pytest.raises(ModeLatched, match="set because 'loss': only a person may raise it"):
            order(mode, person=False)
    assert store.read(operator_of).mode is Mode.HALTED
    assert order(Mode.NORMAL, person=True) is Mode.NORMAL


def test_who_lets_it_run_again_has_looked(store: Store):
    """Nothing else raises the mode of a bot that stepped down; stop and kill leave it."""
    store.write(lambda c: set_mode(c, Mode.REDUCE_ONLY, "bot", "loss", NOW, by_person=False))
    for state in (STOPPED, KILLED):
        _order(store, state)
        assert store.read(operator_of).mode is Mode.REDUCE_ONLY
    _order(store, RUNNING)
    held = store.read(operator_of)
    assert (held.state, held.mode, held.mode_who) == (RUNNING, Mode.NORMAL, "ann")
    (raised, _) = store.read(lambda c: audit.recent(c, event_type="MODE_CHANGED"))
    assert audit.details_of(raised)["by_person"] is True


def test_an_accounts_own_mode_never_loosens_the_wholes(store: Store):
    store.write(lambda c: set_mode(c, Mode.HALTED, "x", "loss", NOW, by_person=False))
    store.write(lambda c: set_mode(c, Mode.REDUCE_ONLY, "x", "own", NOW, by_person=False, account_id=ACCOUNT))
    held = store.read(lambda c: operator_of(c, ACCOUNT))
    assert (held.mode, held.mode_why, held.state) == (Mode.HALTED, "loss", STOPPED)


def test_who_and_why_old_and_new_are_audited(store: Store):
    for state in (RUNNING, KILLED, STOPPED):
        _order(store, state)
    events = store.read(lambda c: audit.recent(c, event_type="OPERATOR_STATE"))
    told = [audit.details_of(event) for event in reversed(events)]
    assert [(each["who"], each["why"], each["old"], each["new"], each["ordered"]) for each in told] == [
        ("ann", "why", "stopped", "running", "running"),
        ("ann", "why", "running", "killed", "killed"),
        ("ann", "why", "killed", "killed", "stopped"),
    ]
