"""The books: one row per life, every fill once, true figures when they come."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from holdfast.domain.account import Balance
from holdfast.domain.orders import Direction
from holdfast.store import audit
from holdfast.store.books import (
    NoSuchTrade,
    Record,
    Trade,
    TradeOpenAlready,
    add_fills,
    close_trade,
    correct_exit,
    fills_of,
    get_trade,
    open_trade,
    open_trades,
    protect_trade,
    records,
    resize_trade,
    to_correct,
    trades,
)
from holdfast.store.database import Store
from holdfast.store.equity import (
    CYCLE,
    HOUR_MS,
    WHOLE_MS,
    EquityPoint,
    latest,
    record_equity,
    snapshots,
    thin,
)
from holdfast.store.flags import RiskFlag, all_flags, get_flag, set_flag, stoploss_missing
from holdfast.store.recorder import prune_decisions, record_decision, recorded
from holdfast.store.words import EXCHANGE_CLOSED_RECONCILIATION, TradeStatus
from tests.store.builders import ACCOUNT, BTC, ETH, NOW, D, fill, intent, trade


def _open(store: Store, **changes) -> Trade:
    return store.write(lambda c: open_trade(c, trade(**changes)))


def _close(store: Store, opened: Trade, **changes) -> Trade:
    values = {"exit_reason": "stop", "at_ms": NOW + 9, **changes}
    return store.write(lambda c: close_trade(c, opened.id, **values))


def _events(store: Store) -> list[str]:
    return [event.event_type for event in reversed(store.read(audit.recent))]


def test_a_life_from_entry_to_exit(store: Store):
    opened = _open(store)
    store.write(
        lambda c: protect_trade(c, opened.id, stop_price=D("59000.5"), since_ms=NOW + 1, at_ms=NOW + 2)
    )
    store.write(
        lambda c: resize_trade(c, opened.id, quantity=D("0.025"), entry_price=D(60001), at_ms=NOW + 3)
    )
    held = store.read(lambda c: open_trades(c, ACCOUNT))
    assert [(t.quantity, t.entry_quantity, t.stop_price, t.protected_since_ms) for t in held] == [
        (D("0.025"), D("0.025"), D("59000.5"), NOW + 1)
    ]
    closed = _close(
        store, opened, exit_price=D(61000), realized_pnl=D("24.975"), fees=D("1.2"), funding=D("-0.1")
    )
    assert closed == store.read(lambda c: get_trade(c, opened.id))
    assert (closed.status, closed.quantity, closed.net_pnl) == (TradeStatus.CLOSED, D(0), D("23.675"))
    assert store.read(lambda c: open_trades(c, ACCOUNT)) == ()
    assert _events(store) == ["POSITION_OPENED", "POSITION_PROTECTED", "POSITION_RESIZED", "POSITION_CLOSED"]


def test_the_same_position_is_never_open_twice(store: Store):
    _open(store)
    with pytest.raises(
        TradeOpenAlready, match=r"no open trade of acc-1 BTC/USDT:USDT long \(both\), found one"
    ):
        _open(store)
    _open(store, side=Direction.SHORT)
    _open(store, symbol=ETH)
    _open(store, account_id="acc-2")


def test_a_new_life_may_start_while_the_last_exit_is_pending(store: Store):
    first = _open(store)
    assert _close(store, first).status is TradeStatus.EXIT_PENDING
    assert _open(store).id != first.id


def test_late_fills_correct_a_pending_and_an_estimated_exit(store: Store):
    """R3.2: marked estimated, then corrected; the reason stays filterable."""
    pending = _close(store, _open(store), exit_reason=EXCHANGE_CLOSED_RECONCILIATION)
    second = _open(store, symbol=ETH)
    estimated = _close(
        store,
        second,
        exit_reason=EXCHANGE_CLOSED_RECONCILIATION,
        exit_price=D(2500),
        exit_estimated=True,
    )
    assert estimated.status is TradeStatus.CLOSED
    assert [each.id for each in store.read(lambda c: to_correct(c, ACCOUNT))] == [pending.id, second.id]
    for each in (pending, estimated):
        store.write(
            lambda c, i=each.id: correct_exit(
                c, i, exit_price=D(59000), realized_pnl=D("-10"), fees=D(1), at_ms=NOW + 99, exit_cause="stop"
            )
        )
    found = store.read(lambda c: trades(c, exit_reason=EXCHANGE_CLOSED_RECONCILIATION))
    assert [(t.status, t.exit_price, t.exit_estimated, t.exit_cause) for t in found] == [
        (TradeStatus.CLOSED, D(59000), False, "stop")
    ] * 2
    assert store.read(lambda c: to_correct(c, ACCOUNT)) == ()


def test_changes_that_do_not_fit_the_state_are_refused(store: Store):
    opened = _open(store)
    figures = {"exit_price": D(1), "realized_pnl": D(1), "fees": D(0), "at_ms": NOW}
    with pytest.raises(NoSuchTrade, match="expected trade 1 to be exit_pending or closed, found open"):
        store.write(lambda c: correct_exit(c, opened.id, **figures))
    _close(store, opened)
    with pytest.raises(NoSuchTrade, match="to be open, found exit_pending"):
        _close(store, opened)
    with pytest.raises(NoSuchTrade, match="expected trade 7, found none"):
        store.read(lambda c: get_trade(c, 7))


def test_the_same_fill_is_counted_once(store: Store):
    first, second = fill("1"), fill("2", at_ms=NOW + 5)
    assert store.write(lambda c: add_fills(c, ACCOUNT, [first, first], NOW)) == (first,)
    assert store.write(lambda c: add_fills(c, ACCOUNT, [first, second], NOW)) == (second,)
    assert store.write(lambda c: add_fills(c, "acc-2", [first], NOW)) == (first,)
    assert store.read(lambda c: fills_of(c, ACCOUNT, BTC)) == (first, second)
    assert store.read(lambda c: fills_of(c, ACCOUNT, BTC, since_ms=NOW + 1)) == (second,)
    assert store.read(lambda c: fills_of(c, ACCOUNT, BTC, order_id="78")) == ()


def test_a_strategys_record_counts_net_results_and_only_known_ones(store: Store):
    for pnl in ("5", "0.3", "-4"):  # the second loses by its fees
        _close(store, _open(store), exit_price=D(1), realized_pnl=D(pnl), fees=D("0.5"))
    _close(store, _open(store), exit_price=D(1), realized_pnl=D("0.5"), fees=D("0.5"))
    _close(store, _open(store))
    _open(store, strategy="donchian")
    found = store.read(records)
    assert found == {"adx": Record(count=4, wins=1, losses=2, net_pnl=D("-0.2"))}
    assert found["adx"].win_rate == D("0.25")
    assert Record().win_rate is None
    assert store.read(lambda c: records(c, since_ms=NOW + 10)) == {}


# --- equity --------------------------------------------------------------------------------------


def _balance(equity: str) -> Balance:
    return Balance(currency="USDT", wallet=D(equity), equity=D(equity), available=D(equity))


def test_a_snapshot_keeps_what_equity_is_held_against(store: Store):
    """A restart goes on from the last one: it forgives neither a drawdown nor the day's loss (R1.7)."""
    assert store.read(lambda c: latest(c, ACCOUNT)) is None
    for equity, at_ms in (("1000", NOW - 1), ("900", NOW)):
        store.write(lambda c, e=equity, t=at_ms: _point(c, e, t, CYCLE))
    held = store.read(lambda c: latest(c, ACCOUNT))
    assert held is not None
    assert (held.at_ms, held.equity, held.peak, held.day_start) == (NOW, D(900), D(1_000), D(950))
    assert len(store.read(lambda c: snapshots(c, ACCOUNT))) == 2


def test_old_snapshots_keep_one_an_hour(store: Store):
    """A year of one every half minute would be a million rows; those of a day ago say all that is needed."""
    start, minute = NOW - NOW % HOUR_MS, 60_000
    times = [start + n * 10 * minute for n in range(12)]
    for number, at_ms in enumerate(times):
        cause = "trade" if number == 1 else CYCLE
        store.write(lambda c, n=number, t=at_ms, w=cause: _point(c, str(1000 + n), t, w))
    store.write(lambda c: _point(c, "5", times[0], CYCLE, "other"))
    later = start + WHOLE_MS + HOUR_MS
    store.write(lambda c: _point(c, "1500", later, CYCLE))
    left = store.read(lambda c: snapshots(c, ACCOUNT))
    first_hour = [point.equity for point in left if point.at_ms < start + HOUR_MS]
    assert first_hour == [D(1001), D(1005)], "the trade's own, and the last"
    assert len([point for point in left if start + HOUR_MS <= point.at_ms < later]) == 6, "not a day old yet"
    store.write(lambda c: _point(c, "1400", later + 10 * minute, CYCLE))
    assert len(store.read(lambda c: snapshots(c, ACCOUNT))) == len(left) + 1, "at most once an hour"
    assert len(store.read(lambda c: snapshots(c, "other"))) == 1
    assert store.write(lambda c: thin(c, ACCOUNT, later + WHOLE_MS)) == 5


def _point(
    connection: Connection, equity: str, at_ms: int, cause: str, account: str = ACCOUNT
) -> EquityPoint:
    held_against = {"peak": D(1_000), "day_start": D(950)}
    return record_equity(connection, account, _balance(equity), at_ms, cause=cause, **held_against)


# --- flags and the flight recorder ---------------------------------------------------------------


def test_a_flag_is_raised_lowered_and_audited_when_it_changes(store: Store):
    name = stoploss_missing("bitget")
    told = [
        store.write(
            lambda c, v=value: set_flag(
                c, RiskFlag(flag=name, exchange="bitget", value=v, detail="BTC", updated_ms=NOW)
            )
        )
        for value in (0, 1, 1, 0)
    ]
    assert (name, told) == ("bitget_stoploss_missing", [False, True, False, True])
    held = store.read(lambda c: get_flag(c, name))
    assert held is not None
    assert (held.value, store.read(all_flags)) == (0, (held,))
    assert _events(store) == ["RISK_FLAG", "RISK_FLAG"]


def test_a_decision_is_kept_with_the_facts_it_was_made_on(store: Store):
    facts = {BTC: intent(), "pages": frozenset({2, 1})}
    for number in range(3):
        store.write(
            lambda c, n=number: record_decision(
                c, account_id=ACCOUNT, facts=facts, verdict=[n], at_ms=NOW + n, correlation_id="step_1"
            )
        )
    found = store.read(lambda c: recorded(c, ACCOUNT, since_ms=NOW + 1))
    assert [(each.at_ms, each.verdict) for each in found] == [(NOW + 1, [1]), (NOW + 2, [2])]
    kept = found[0].facts["BTC/USDT:USDT"]
    assert (kept["is"], kept["quantity"], kept["symbol"]) == ("Intent", "0.010", "BTC/USDT:USDT")
    assert found[0].facts["pages"] == [1, 2]
    assert store.read(lambda c: recorded(c, ACCOUNT, limit=1))[0].verdict == [2]
    assert store.write(lambda c: prune_decisions(c, NOW + 2)) == 2
