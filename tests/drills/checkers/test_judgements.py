"""S7 to S11, each shown to fire on one thing that is wrong and to be silent on what is right."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from holdfast.decisions.facts import Tracked
from holdfast.decisions.gate import Mode, OperatorState
from holdfast.domain.intents import Intent, Journaled, Purpose
from holdfast.domain.orders import ClientOrderId, Direction, OrderState, Side
from holdfast.drills.checkers.durable import Standing
from holdfast.drills.checkers.findings import Findings
from holdfast.drills.checkers.freshness import Believed
from holdfast.drills.checkers.restart import BotState, differences
from holdfast.drills.checkers.secrets import CHUNK, SecretChecks
from holdfast.simulator.faults import Fault, FaultKind
from tests.drills.checkers.court import KEY, SECRET, Court, court
from tests.simulator.core.build import FOO, ME, flat, line

D = Decimal
RUNNING = Standing(OperatorState.RUNNING, Mode.NORMAL)

# --- S7 --------------------------------------------------------------------------------------------


def believed(sitting: Court, **changes: Any) -> Believed:
    """What is true just now, with one thing changed."""
    usual = Believed(
        symbol=FOO,
        client_id="hf-1-in-1aaaaa",
        mark=sitting.core.prices(FOO).mark,
        key=KEY,
        position=D(0),
        wallet=sitting.core.view(ME).wallet,
    )
    return replace(usual, **changes)


def test_an_entry_on_what_is_true_is_silent() -> None:
    sitting = court(line(100, 160))
    sitting.go(30)
    sitting.checkers.freshness.entry_sent(believed(sitting))
    assert sitting.verdicts == []


def test_a_mark_may_be_as_old_as_its_bound_and_no_older() -> None:
    sitting = court(line(100, 160), line(160, 220))
    sitting.go(10)
    then = believed(sitting)
    sitting.go(10)
    sitting.checkers.freshness.entry_sent(then)
    assert sitting.verdicts == []
    sitting.go(10)
    sitting.checkers.freshness.entry_sent(then)
    assert sitting.verdicts == ["S7"]
    assert "mark" in sitting.violations[0].text


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mark": None}, "mark"),
        ({"mark": D(77)}, "mark"),
        ({"position": D(3)}, "position"),
        ({"wallet": D(12_345)}, "wallet"),
        ({"wallet": None}, "wallet"),
    ],
)
def test_a_belief_that_was_never_true_is_found(changes: dict[str, Any], named: str) -> None:
    sitting = court()
    sitting.core.open_by_hand(ME, FOO, Side.BUY, D(5))
    sitting.go(2)
    sitting.checkers.freshness.entry_sent(believed(sitting, **changes))
    assert [named in violation.text for violation in sitting.violations] == [True]


def test_a_position_that_the_bot_may_not_know_of_yet_is_silent_and_an_old_one_not() -> None:
    sitting = court(flat())
    sitting.core.open_by_hand(ME, FOO, Side.BUY, D(5))
    sitting.go(30)
    sitting.checkers.freshness.entry_sent(believed(sitting, position=D(0)))
    assert "S7" not in sitting.verdicts
    sitting.go(40)
    sitting.checkers.freshness.entry_sent(believed(sitting, position=D(0)))
    assert sitting.verdicts[-1] == "S7"


# --- S8 --------------------------------------------------------------------------------------------


def tracked(**changes: Any) -> Tracked:
    usual = Tracked(
        trade_id=-1,
        key=KEY,
        direction=Direction.LONG,
        quantity=D(10),
        entry_price=D(100),
        opened_ms=1_000,
        stop_price=D(95),
        strategy="drill",
        adopted=False,
        entry_client_id="hf-1-in-1aaaaa",
        entry_signed_ms=900,
    )
    return replace(usual, **changes)


def journaled(name: str = "hf-1-in-1aaaaa", **changes: Any) -> Journaled:
    purpose = changes.pop("purpose", Purpose.ENTER)
    usual = Journaled(
        intent=Intent(purpose=purpose, symbol=FOO, side=Side.BUY, quantity=D(10)),
        client_id=ClientOrderId(name),
        account_id="main",
        signed_ms=900,
        window_ms=5_000,
        state=OrderState.UNKNOWN,
    )
    return replace(usual, **changes)


def state(*positions: Tracked, intents: tuple[Journaled, ...] = (), **changes: Any) -> BotState:
    usual = BotState(
        tracked={each.key: each for each in positions},
        intents={each.client_id: each for each in intents},
        exits_pending=frozenset(),
        operator=OperatorState.RUNNING,
        mode=Mode.NORMAL,
    )
    return replace(usual, **changes)


def test_what_is_remembered_as_it_was_is_silent() -> None:
    """Handles and the time of opening may differ; a request under way is remembered as unknown."""
    was = state(tracked(), intents=(journaled(state=OrderState.SENDING),), mode=Mode.REDUCE_ONLY)
    now = state(tracked(trade_id=7, opened_ms=2), intents=(journaled(),), mode=Mode.REDUCE_ONLY)
    assert list(differences(was, now)) == []


@pytest.mark.parametrize(
    ("was", "now", "named"),
    [
        (state(tracked()), state(), "position"),
        (state(), state(tracked()), "position"),
        (state(tracked()), state(tracked(quantity=D(9))), "quantity"),
        (state(tracked()), state(tracked(stop_price=D(94))), "stop_price"),
        (state(tracked()), state(tracked(adopted=True, entry_client_id="")), "adopted"),
        (state(tracked(closing_reason="exit")), state(tracked()), "closing_reason"),
        (state(intents=(journaled(),)), state(), "not remembered as open"),
        (state(), state(intents=(journaled(),)), "and was over"),
        (state(intents=(journaled(filled=D(3)),)), state(intents=(journaled(),)), "filled"),
        (state(operator=OperatorState.KILLED), state(), "operator state"),
        (state(mode=Mode.HALTED), state(), "mode"),
        (state(exits_pending=frozenset({(FOO, D(1))})), state(), "exits"),
    ],
)
def test_each_thing_that_is_remembered_wrongly_is_named(was: BotState, now: BotState, named: str) -> None:
    (text, *_) = differences(was, now)
    assert named in text


def test_while_writes_wait_the_store_may_lag_and_not_contradict() -> None:
    was = state(
        tracked(), intents=(journaled(),), settled=False, operator=OperatorState.KILLED, mode=Mode.HALTED
    )
    assert list(differences(was, state())) == []
    contradicting = state(tracked(adopted=True))
    assert ["adopted" in text for text in differences(was, contradicting)] == [True]


def test_a_store_that_differs_is_a_violation_of_s8() -> None:
    sitting = court()
    sitting.checkers.restarts.rebuilt(state(tracked()), state(), when="after death 1")
    assert sitting.verdicts == ["S8"]
    assert "after death 1" in sitting.violations[0].text


# --- S9 --------------------------------------------------------------------------------------------


def protected() -> Court:
    sitting = court()
    sitting.enter()
    sitting.protect("95")
    sitting.go(60)
    return sitting


def test_a_restart_that_leaves_everything_as_it_was_is_silent() -> None:
    sitting = protected()
    sitting.checkers.restarts.went(state(tracked()), RUNNING)
    sitting.go(30)
    sitting.checkers.restarts.came(state(tracked()))
    assert sitting.verdicts == []


def test_a_restart_that_replaces_a_right_stop_is_found() -> None:
    sitting = protected()
    sitting.checkers.restarts.went(state(tracked()), RUNNING)
    sitting.protect("95", quantity="10")
    sitting.checkers.restarts.came(state(tracked()))
    assert sitting.verdicts == ["S9"]


@pytest.mark.parametrize(
    "touched",
    [
        lambda sitting: sitting.core.close_by_hand(ME, FOO, share=D("0.5")),
        lambda sitting: sitting.core.cancel_stops_by_hand(ME, FOO),
        lambda sitting: sitting.checkers.restarts.rules_changed(),
    ],
    ids=["position", "stops", "rules"],
)
def test_a_restart_into_a_changed_world_may_act(touched: Any) -> None:
    sitting = protected()
    sitting.checkers.restarts.went(state(tracked()), RUNNING)
    touched(sitting)
    sitting.protect("95", quantity="10")
    sitting.checkers.restarts.came(state(tracked()))
    assert sitting.verdicts == []


@pytest.mark.parametrize(
    "running",
    [
        state(tracked(closing_reason="exit")),
        state(tracked(), intents=(journaled("hf-1-stop-9aaaaa", purpose=Purpose.PLACE_STOP),)),
        state(tracked(), settled=False),
    ],
    ids=["closing", "under way", "unwritten"],
)
def test_what_was_under_way_at_the_death_may_go_on(running: BotState) -> None:
    sitting = protected()
    sitting.checkers.restarts.went(running, RUNNING)
    sitting.protect("95", quantity="10")
    sitting.checkers.restarts.came(state(tracked()))
    assert sitting.verdicts == []


def test_a_restart_that_forgets_a_kill_is_found() -> None:
    sitting = protected()
    sitting.checkers.restarts.went(state(tracked()), Standing(OperatorState.KILLED, Mode.NORMAL))
    sitting.checkers.restarts.born(RUNNING)
    assert sitting.verdicts == ["S9"]


def test_an_order_that_is_given_after_the_restart_is_no_change_by_it() -> None:
    sitting = protected()
    sitting.checkers.restarts.went(state(tracked()), RUNNING)
    sitting.checkers.restarts.born(RUNNING)
    sitting.stand(OperatorState.KILLED)
    sitting.checkers.restarts.came(state(tracked()))
    assert sitting.verdicts == []


# --- S10 -------------------------------------------------------------------------------------------


def search(folder: Path) -> list[str]:
    findings = Findings()
    checks = SecretChecks({SECRET: "secret"}, findings)
    checks.search(folder, 0, but=frozenset({"api_token"}))
    return [violation.text for violation in findings.violations]


def test_a_secret_in_any_file_is_found_and_named(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "bot.log").write_text(f"line\nkey={SECRET}\n")
    assert search(tmp_path) == ["the secret stands in logs/bot.log"]


def test_a_secret_across_two_pieces_of_a_large_file_is_found(tmp_path: Path) -> None:
    half = len(SECRET) // 2
    (tmp_path / "trading.db").write_bytes(b"x" * (CHUNK - half) + SECRET.encode() + b"x" * 100)
    assert search(tmp_path) == ["the secret stands in trading.db"]


def test_files_without_secrets_and_the_one_that_is_meant_to_hold_one_are_silent(tmp_path: Path) -> None:
    (tmp_path / "trading.db").write_bytes(SECRET[:-1].encode() * 3)
    (tmp_path / "api_token").write_text(SECRET)
    (tmp_path / "bot.log").write_text("GET /fapi/v3/account?timestamp=1&signature=(hidden)")
    assert search(tmp_path) == []


def test_the_signature_of_a_request_is_found(tmp_path: Path) -> None:
    (tmp_path / "bot.log").write_text(f"cannot reach https://host/fapi?timestamp=1&signature={'0a' * 32}")
    assert search(tmp_path) == ["a request's signature stands in bot.log"]


# --- S11 -------------------------------------------------------------------------------------------


def ask(sitting: Court, times: int, *, every_s: float, weight: int = 5) -> None:
    for _ in range(times):
        sitting.arrive("GET", "/fapi/v3/positionRisk", weight=weight)
        sitting.go(every_s)


def test_messages_within_the_budget_are_silent() -> None:
    sitting = court()
    ask(sitting, 200, every_s=0.5)
    assert sitting.verdicts == []


def test_weight_above_the_budget_of_any_minute_is_found_once() -> None:
    """A window slides: half of it before a full minute and half behind is too much all the same."""
    sitting = court()
    sitting.go(45)
    ask(sitting, 300, every_s=0.1)
    assert sitting.verdicts == ["S11"]


def test_orders_above_the_budget_are_found() -> None:
    sitting = court()
    for _ in range(sitting.checkers.bounds.orders_per_10s + 1):
        sitting.arrive("POST", "/fapi/v1/order", weight=0, symbol="FOOUSDT")
    assert sitting.verdicts == ["S11"]


def test_what_is_sent_while_the_exchange_bans_is_found() -> None:
    """418: what was on the way may arrive; then nothing until it ends."""
    ban = Fault(kind=FaultKind.RATE_LIMITED, status=418, retry_after_s=60)
    sitting = court()
    sitting.arrive_with("GET", "/fapi/v1/time", (ban,))
    sitting.go(1)
    sitting.arrive("GET", "/fapi/v1/time")
    sitting.go(61)
    sitting.arrive("GET", "/fapi/v1/time")
    assert sitting.verdicts == []
    sitting.arrive_with("GET", "/fapi/v1/time", (ban,))
    sitting.go(10)
    sitting.arrive("GET", "/fapi/v1/time")
    assert sitting.verdicts == ["S11"]


def test_what_waited_in_a_stalled_link_may_arrive_late_in_a_ban() -> None:
    """It was sent before the bot could hear of the ban (dense seed 50034); what is sent after is found."""
    ban = Fault(kind=FaultKind.RATE_LIMITED, status=418, retry_after_s=60)
    sitting = court()
    sitting.checkers.rates.stalled()
    sitting.arrive_with("GET", "/fapi/v1/time", (ban,))
    sitting.go(10)
    sitting.checkers.rates.flowed(sitting.checkers.mirror.now_ms)
    sitting.arrive("GET", "/private/ws")
    assert sitting.verdicts == []
    sitting.go(3)
    sitting.arrive("GET", "/private/ws")
    assert sitting.verdicts == ["S11"]


def test_a_ban_that_no_disk_took_is_not_known_to_the_next_life() -> None:
    ban = Fault(kind=FaultKind.RATE_LIMITED, status=418, retry_after_s=60)
    sitting = court()
    sitting.arrive_with("GET", "/fapi/v1/time", (ban,))
    sitting.go(10)
    sitting.checkers.rates.forgotten()
    sitting.arrive("GET", "/fapi/v1/time")
    assert sitting.verdicts == []


def test_a_429_is_no_ban() -> None:
    sitting = court()
    sitting.arrive("GET", "/fapi/v1/time", FaultKind.RATE_LIMITED)
    sitting.go(4)
    sitting.arrive("POST", "/fapi/v1/algoOrder", symbol="FOOUSDT")
    assert sitting.verdicts == []
