"""Equity against its peak and the day's start: what was traded counts, what was moved does not."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.decisions.equity import EquityTrack, Reading, Traced, reset_peak, retrace, track_equity
from holdfast.domain.account import Transfer
from tests.decisions.examples import NOW_MS, D

VISIBILITY_MS = 2_000


def test_deposits_and_withdrawals_are_no_gain_or_loss() -> None:
    """R1.7: 1,000 grows to 1,100, falls to 990 (10 %), then money moves in and out."""
    start = track_equity(None, D(1_000), transferred=D(0), now_ms=NOW_MS)
    grown = track_equity(start, D(1_100), transferred=D(0), now_ms=NOW_MS + 1)
    fallen = track_equity(grown, D(990), transferred=D(0), now_ms=NOW_MS + 2)
    assert fallen.drawdown_ratio == D("0.1")
    richer = track_equity(fallen, D(1_980), transferred=D(990), now_ms=NOW_MS + 3)
    assert richer.drawdown_ratio == D("0.1")
    poorer = track_equity(richer, D(180), transferred=D(-1_800), now_ms=NOW_MS + 4)
    assert poorer.drawdown_ratio == D("0.1")
    lost = track_equity(poorer, D(90), transferred=D(0), now_ms=NOW_MS + 5)
    assert lost.drawdown_ratio == D("0.55")
    assert reset_peak(lost).drawdown_ratio == 0


def test_an_emptied_account_starts_anew_with_the_next_deposit() -> None:
    start = track_equity(None, D(1_000), transferred=D(0), now_ms=NOW_MS)
    empty = track_equity(start, D(0), transferred=D(-1_000), now_ms=NOW_MS + 1)
    assert empty.drawdown_ratio == 0
    again = track_equity(empty, D(500), transferred=D(500), now_ms=NOW_MS + 2)
    assert (again.peak, again.drawdown_ratio, again.day_loss_ratio) == (D(500), 0, 0)


def test_day_loss_is_counted_from_utc_midnight() -> None:
    start = track_equity(None, D(1_000), transferred=D(0), now_ms=NOW_MS)
    loss = track_equity(start, D(950), transferred=D(0), now_ms=NOW_MS + 1)
    assert loss.day_loss_ratio == D("0.05")
    next_day = track_equity(loss, D(940), transferred=D(0), now_ms=NOW_MS + 86_400_000)
    assert (next_day.day_loss_ratio, next_day.drawdown_ratio) == (0, D("0.06"))


money = st.decimals("1", "100000", places=2)


@given(
    st.lists(st.tuples(st.decimals("-0.5", "0.5", places=3), st.decimals("-0.9", "3", places=2)), max_size=12)
)
def test_transfers_never_change_the_drawdown(moves: list[tuple[Decimal, Decimal]]) -> None:
    """The same trading with and without transfers in between shows the same drawdown."""
    plain = moved = track_equity(None, D(1_000), transferred=D(0), now_ms=NOW_MS)
    for gain, transfer in moves:
        plain = track_equity(plain, plain.equity * (1 + gain), transferred=D(0), now_ms=NOW_MS)
        traded = moved.equity * (1 + gain)
        moved = track_equity(moved, traded * (1 + transfer), transferred=traded * transfer, now_ms=NOW_MS)
        assert abs(plain.drawdown_ratio - moved.drawdown_ratio) < D("1e-15")
        assert abs(plain.day_loss_ratio - moved.day_loss_ratio) < D("1e-15")


# --- transfers among readings ---------------------------------------------------------------------


def reading(at_ms: int, equity: Decimal | int) -> Reading:
    return Reading(equity=Decimal(equity), asked_ms=NOW_MS + at_ms, answered_ms=NOW_MS + at_ms + 100)


def transfer(at_ms: int, change: Decimal | int) -> Transfer:
    return Transfer(transfer_id="", currency="USDT", change=Decimal(change), at_ms=NOW_MS + at_ms)


def traced(readings: list[Reading], *transfers: Transfer) -> Traced:
    return retrace(None, readings, transfers, visibility_ms=VISIBILITY_MS)


def ratios(track: EquityTrack | None) -> tuple[Decimal, Decimal]:
    assert track is not None
    return round(track.drawdown_ratio, 15), round(track.day_loss_ratio, 15)


@pytest.mark.parametrize("change", [1_000, -500])
def test_a_transfer_that_is_known_late_is_put_in_its_place(change: int) -> None:
    """Taken for a gain, a deposit would raise the peak, and be a loss once it was told of."""
    before, after = 950, 950 + change
    readings = [reading(0, 1_000), reading(10_000, before), reading(20_000, after), reading(30_000, after)]
    known = traced(readings, transfer(15_000, change))
    assert ratios(known.track) == (D("0.05"), D("0.05"))
    assert ([t.change for t in known.shown], known.pending) == ([change], ())


def test_a_reading_that_may_or_may_not_show_a_transfer_says_nothing() -> None:
    out = transfer(10_000, -500)
    start, lagging, ahead = reading(0, 1_000), reading(11_900, 1_000), reading(9_500, 500)
    for unclear in (lagging, ahead):
        held = traced([start, unclear], out)
        assert (ratios(held.track), held.shown, held.pending) == ((0, 0), (), (out,))
    clear = traced([start, ahead, lagging, reading(12_000, 480)], out)
    assert (ratios(clear.track), clear.shown, clear.pending) == ((D("0.02"), D("0.02")), (out,), ())


def test_a_transfer_to_come_changes_nothing_yet() -> None:
    known = traced([reading(0, 1_000), reading(10_000, 900)], transfer(60_000, -500))
    assert ratios(known.track) == (D("0.1"), D("0.1"))


def test_a_track_goes_on_where_the_last_run_left_it() -> None:
    """What went out while nobody ran is no loss; what was lost before still is."""
    last = track_equity(
        track_equity(None, D(1_000), transferred=D(0), now_ms=NOW_MS), D(900), transferred=D(0), now_ms=NOW_MS
    )
    out = transfer(50_000, -450)
    restarted = retrace(last, [reading(100_000, 450)], [out], visibility_ms=VISIBILITY_MS)
    assert ratios(restarted.track) == (D("0.1"), D("0.1"))
    untold = retrace(last, [reading(100_000, 450)], [], visibility_ms=VISIBILITY_MS)
    assert ratios(untold.track) == (D("0.55"), D("0.55"))


steps = st.lists(
    st.tuples(
        st.decimals("-0.3", "0.3", places=3), st.one_of(st.just(D(0)), st.decimals("-0.6", "2", places=2))
    ),
    min_size=1,
    max_size=8,
)


@given(steps)
def test_however_money_moves_the_drawdown_is_that_of_the_trading(
    moves: list[tuple[Decimal, Decimal]],
) -> None:
    """Each step trades, is read, and then money moves: known afterwards, all at once, out of order."""
    plain_at, moved_at, at_ms = D(1_000), D(1_000), 0
    plain, moved, transfers = [reading(0, plain_at)], [reading(0, moved_at)], list[Transfer]()
    for gain, share in moves:
        at_ms += 10_000
        plain_at, moved_at = plain_at * (1 + gain), moved_at * (1 + gain)
        plain.append(reading(at_ms, plain_at))
        moved.append(reading(at_ms, moved_at))
        if share:
            transfers.append(transfer(at_ms + 3_000, moved_at * share))
            moved_at *= 1 + share
            moved.append(reading(at_ms + 7_000, moved_at))
    found = traced(moved, *transfers)
    assert (found.pending, ratios(found.track)) == ((), ratios(traced(plain).track))
