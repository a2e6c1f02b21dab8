"""The verdict over a demo: books against fills, guarantees before everything else."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.demo.judge import (
    Evidence,
    Paced,
    books_against_exchange,
    joined,
    summary_of,
    verdict,
    words,
)
from holdfast.cli.exits import Exit
from holdfast.domain.orders import Direction
from holdfast.domain.symbol import Symbol
from holdfast.store.books import Trade
from holdfast.store.words import TradeStatus

D = Decimal
STEP = D("0.00000001")
BTC = Symbol.parse("BTC/USDT")
NAMED = {
    "entries",
    "exits",
    "refused",
    "naked_seconds_max",
    "naked_seconds_total",
    "unprotected_now",
    "duplicate_orders",
    "books_match_exchange",
    "flat",
    "liquidation_state",
    "errors",
}


def fill(seq, side, quantity, realized="0", fee="0.05"):
    return {
        "seq": seq,
        "order": {"symbol": str(BTC), "side": side},
        "fill": {"quantity": quantity, "realized": realized, "fee": fee},
    }


EVENTS = (fill(1, "buy", "0.01"), {"seq": 2, "algo": {}}, fill(3, "sell", "0.01", realized="1.5"))


def trade(**changes):
    closed = Trade(
        id=1,
        account_id="demo",
        symbol=BTC,
        side=Direction.LONG,
        status=TradeStatus.CLOSED,
        opened_ms=1,
        entry_price=D(90_000),
        entry_quantity=D("0.01"),
        quantity=D(0),
        realized_pnl=D("1.5"),
        fees=D("0.1"),
    )
    return replace(closed, **changes)


def truth(**changes):
    clean = {
        "entries": 1,
        "exits": 1,
        "naked_seconds_max": 0.4,
        "naked_seconds_total": 0.4,
        "unprotected_now": [],
        "duplicate_orders": 0,
        "flat": True,
        "orphan_stops": [],
        "liquidations": 0,
        "wallet": "10001.4",
    }
    return {**clean, **changes}


def evidence(**changes):
    clean = Evidence(
        truth=truth(),
        events=EVENTS,
        trades=[trade()],
        snapshot={"liquidation": {"state": "COMPLETED"}, "statistics": {"refused": 2.0}},
        bot_status=0,
        money_step=STEP,
        paced=Paced(
            effective_speed=19.5, speed_asked=20.0, market_s=1_800.0, real_s=92.3, late_market_ms_max=300.0
        ),
        first_protected_s=7.5,
    )
    return replace(clean, **changes)


def test_a_clean_run_is_told_with_every_named_key():
    summary = summary_of(evidence())
    assert set(summary) >= NAMED
    assert summary["books_match_exchange"] is True
    assert (summary["refused"], summary["liquidation_state"], summary["errors"]) == (2, "COMPLETED", 0)
    assert summary["pnl"] == pytest.approx(1.4)
    assert verdict(summary) is Exit.FINE


@pytest.mark.parametrize(
    "changes",
    [
        {"unprotected_now": ["BTC/USDT:USDT both"]},
        {"duplicate_orders": 1},
        {"naked_seconds_max": 15.1},
    ],
)
def test_each_violated_guarantee_is_status_three(changes):
    assert verdict(summary_of(evidence(truth=truth(**changes)))) is Exit.GUARANTEE_VIOLATED


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": D("0.01"), "status": TradeStatus.OPEN},
        {"entry_quantity": D("0.02")},
        {"realized_pnl": D("1.49")},
        {"fees": D("0.05")},
        {"status": TradeStatus.EXIT_PENDING},
    ],
)
def test_books_that_differ_in_anything_are_a_violated_guarantee(changes):
    summary = summary_of(evidence(trades=[trade(**changes)]))
    assert summary["books_match_exchange"] is False
    assert summary["book_differences"]
    assert verdict(summary) is Exit.GUARANTEE_VIOLATED


def test_a_trade_the_books_do_not_know_is_a_difference():
    assert books_against_exchange([], EVENTS, STEP)
    assert books_against_exchange([trade()], (), STEP)


def test_forgotten_first_fills_prove_nothing():
    assert "nothing can be proven" in books_against_exchange([trade()], [fill(5, "buy", "0.01")], STEP)[0]


def test_an_open_position_is_compared_by_what_is_held():
    held = trade(status=TradeStatus.OPEN, quantity=D("0.01"), realized_pnl=D(0), fees=D(0))
    assert books_against_exchange([held], EVENTS[:1], STEP) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"truth": truth(entries=0)}, ""),
        ({"truth": truth(flat=False)}, ""),
        ({"bot_status": 1}, "the bot ended with status 1"),
        ({"bot_status": None}, "had to be killed"),
        ({"truth": truth(liquidations=1)}, "the exchange liquidated 1"),
        ({"snapshot": {"metrics": {"unexpected_errors": 2.0}}}, "2 unexpected errors"),
        ({"snapshot": {"liquidation": {"errors": ["BTC: -2022"]}}}, "BTC: -2022"),
    ],
)
def test_whatever_else_is_wrong_is_a_failure_with_its_words(changes, said):
    summary = summary_of(evidence(**changes))
    assert verdict(summary) is Exit.FAILED
    assert said.replace("had to be killed", "was killed") in " ".join(summary["error_texts"])


@given(
    quantities=st.lists(st.decimals("0.001", "10", places=3), min_size=1, max_size=8),
    wrong=st.decimals("0.001", "10", places=3),
)
def test_no_wrong_quantity_in_the_books_goes_unnoticed(quantities, wrong):
    events, trades = [], []
    for quantity in quantities:
        events += [fill(len(events) + 1, "sell", str(quantity)), fill(len(events) + 2, "buy", str(quantity))]
        trades.append(trade(side=Direction.SHORT, entry_quantity=quantity, realized_pnl=D(0)))
    assert books_against_exchange(trades, events, STEP) == []
    trades[0] = replace(trades[0], entry_quantity=trades[0].entry_quantity + wrong)
    assert books_against_exchange(trades, events, STEP) != []


def test_an_early_end_is_told_as_what_it_is():
    """Nothing wrong but no entry: the sentence says so, and does not send the reader looking for faults."""
    summary = {"flat": True, "errors": 0, "entries": 0}
    assert words(summary, Exit.FAILED).startswith("not done: no entry was made")
    assert "see above" not in words(summary, Exit.FAILED)


def test_an_exchange_that_rounds_is_believed_to_its_step_per_fill_and_no_further():
    """BingX tells fees and results to four digits: two fills may differ by twice its step, not by more."""
    step = D("0.0001")
    assert books_against_exchange([trade(fees=D("0.1002"))], EVENTS, step) == []
    assert books_against_exchange([trade(fees=D("0.1002"))], EVENTS, STEP)
    assert books_against_exchange([trade(fees=D("0.10021"))], EVENTS, step)


def several(**changes):
    """Binance clean, the other as told."""
    return joined({"binance": summary_of(evidence()), "bitget": summary_of(evidence(**changes))})


def test_several_exchanges_have_one_summary_with_each_ones_own_in_it():
    both = several(truth=truth(entries=2, naked_seconds_max=1.5, naked_seconds_total=1.7))
    assert set(both) >= NAMED
    assert (both["entries"], both["naked_seconds_max"], both["naked_seconds_total"]) == (3, 1.5, 2.1)
    assert (both["books_match_exchange"], both["flat"], both["liquidation_state"]) == (
        True,
        True,
        "COMPLETED",
    )
    assert both["exchanges"]["bitget"]["entries"] == 2
    assert verdict(both) is Exit.FINE


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"truth": truth(entries=0)}, Exit.FAILED, "bitget: not done: no entry was made"),
        ({"truth": truth(flat=False)}, Exit.FAILED, "bitget: not done: it is not flat"),
        ({"truth": truth(duplicate_orders=1)}, Exit.GUARANTEE_VIOLATED, "bitget: A GUARANTEE WAS VIOLATED"),
        ({"trades": []}, Exit.GUARANTEE_VIOLATED, "bitget: A GUARANTEE WAS VIOLATED"),
    ],
)
def test_of_several_exchanges_the_worst_decides_and_is_named(changes, status, said):
    both = several(**changes)
    assert verdict(both) is status
    assert said in words(both, status)
    assert words(both, status).startswith("binance: clean")


def test_differences_of_several_exchanges_say_where_they_are():
    both = several(trades=[])
    assert both["books_match_exchange"] is False
    assert both["book_differences"][0].startswith("bitget: BTC/USDT:USDT: ")
