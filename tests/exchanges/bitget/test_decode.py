"""Bitget's answers as domain values: sides and modes derived, hostile input refused."""

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.orders import ExchangeStatus, PositionSide, Side, StopKind, StopStatus, TriggerSource
from holdfast.exchanges.bitget import decode, markets
from holdfast.exchanges.decoding import MAGNITUDE_MAX, BadAnswer, Rows
from tests.exchanges.bitget.samples import (
    ACCOUNT,
    BALANCE,
    BAR,
    BTC,
    CONTRACT,
    CREATED_MS,
    FILL,
    NAMES,
    ORDER,
    PLAN,
    POSITION,
    RECORDED,
    TICKER,
    answered,
)

D = Decimal
MINUTE_MS = 60_000


def position(**changes: Any) -> Any:
    rows = decode.rows(
        decode.POSITIONS, answered([{**POSITION, **changes}]), lambda row: decode.position(row, NAMES)
    )
    return rows.values[0] if rows.values else rows.bad


def order(**changes: Any) -> Any:
    return decode.order(decode.ORDER.read(json.dumps({**ORDER, **changes})), NAMES)


def plan(**changes: Any) -> Any:
    page = answered({"entrustedList": [{**PLAN, **changes}], "endId": "1"})
    rows, _ = decode.orders_page(decode.PLANS, page, lambda row: decode.stop(row, NAMES))
    return rows.values[0] if rows.values else rows.bad


def fill(**changes: Any) -> Any:
    rows = decode.FILLS.read(json.dumps([{**FILL, **changes}]).encode(), lambda row: decode.fill(row, NAMES))
    return rows.values[0] if rows.values else rows.bad


# --- positions, balance, settings ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "side", "quantity"),
    [
        ({}, PositionSide.BOTH, D("-0.002")),
        ({"holdSide": "long"}, PositionSide.BOTH, D("0.002")),
        ({"posMode": "hedge_mode"}, PositionSide.SHORT, D("-0.002")),
        ({"posMode": "hedge_mode", "holdSide": "long"}, PositionSide.LONG, D("0.002")),
    ],
)
def test_the_held_side_is_the_sign_in_both_modes(
    changes: dict[str, str], side: PositionSide, quantity: Decimal
) -> None:
    """`total` carries none."""
    found = position(**changes)
    assert (found.side, found.quantity) == (side, quantity)
    assert (found.leverage, found.margin_mode) == (10, MarginMode.CROSS)


def test_a_liquidation_price_not_above_zero_is_none() -> None:
    """And a result that is not given yet is none."""
    found = position(liquidationPrice="-12.5", unrealizedPL="")
    assert (found.liquidation_price, found.unrealized_pnl) == (0, 0)


@pytest.mark.parametrize(
    "changes", [{"holdSide": "net"}, {"posMode": "?"}, {"total": "-1"}, {"marginMode": ""}]
)
def test_a_position_that_cannot_be_read_is_counted(changes: dict[str, str]) -> None:
    """It may be open: the list then proves presence only."""
    assert position(**changes) == 1


def test_the_position_names_the_stop_of_all_of_it() -> None:
    """Where the list of plans does not show it."""
    row = decode.POSITIONS.read(json.dumps([POSITION]).encode(), lambda row: row).values[0]
    stop = decode.position_stop(row, NAMES)
    assert stop is not None
    assert (stop.stop_id, stop.trigger_price, stop.close_position) == (POSITION["stopLossId"], D(61000), True)
    assert (stop.side, stop.position_side, stop.kind) == (Side.BUY, PositionSide.BOTH, StopKind.STOP)


def test_the_wallet_is_equity_without_open_results() -> None:
    """Both as told; what backs new orders is the cross-margin maximum."""
    rows = decode.rows(decode.BALANCES, answered([BALANCE]), lambda row: row)
    found = decode.balance(rows, "USDT")
    assert (found.wallet, found.equity, found.available) == (D(1000), D(1005), D(900))
    assert found.maintenance_margin == D("10.05")
    with pytest.raises(BadAnswer):
        decode.balance(rows, "BTC")


def test_settings_of_symbols_are_joined_and_must_agree() -> None:
    """Leverage is the mode's: of the cross margin, or the higher isolated one."""
    cross = decode.ACCOUNT.read(json.dumps(ACCOUNT))
    isolated = decode.ACCOUNT.read(json.dumps({**ACCOUNT, "marginMode": "isolated"}))
    config = decode.account_config({BTC: cross}, can_trade=True)
    assert (config.position_mode, config.leverage[BTC]) == (PositionMode.ONE_WAY, 20)
    config = decode.account_config({BTC: isolated}, can_trade=True)
    assert (config.margin_mode[BTC], config.leverage[BTC]) == (MarginMode.ISOLATED, 7)
    other = decode.ACCOUNT.read(json.dumps({**ACCOUNT, "posMode": "hedge_mode"}))
    with pytest.raises(BadAnswer):
        decode.account_config({BTC: cross, NAMES.symbol("ETHUSDT"): other}, can_trade=True)


# --- sides ---------------------------------------------------------------------------------------

HEDGE = {
    ("long", "open", "buy"): (Side.BUY, PositionSide.LONG),
    ("long", "close", "buy"): (Side.SELL, PositionSide.LONG),
    ("short", "open", "sell"): (Side.SELL, PositionSide.SHORT),
    ("short", "close", "sell"): (Side.BUY, PositionSide.SHORT),
    ("long", "burst_close_long", "buy"): (Side.SELL, PositionSide.LONG),
    ("short", "dte_sys_adl_close_short", "sell"): (Side.BUY, PositionSide.SHORT),
}


@pytest.mark.parametrize(("words", "traded"), list(HEDGE.items()))
def test_in_hedge_mode_the_side_is_the_positions(
    words: tuple[str, str, str], traded: tuple[Side, PositionSide]
) -> None:
    """Orders, plan orders and fills alike; whatever `reduceOnly` says."""
    pos_side, trade_side, side = words
    changes = {"posMode": "hedge_mode", "posSide": pos_side, "tradeSide": trade_side, "side": side}
    for reduce_only in ("YES", "NO", "no"):
        found = order(**changes, reduceOnly=reduce_only)
        assert (found.side, found.position_side) == traded
        assert found.reduce_only is (trade_side != "open" or reduce_only == "YES")
    assert (plan(**changes).side, plan(**changes).position_side) == traded
    assert (fill(**changes).side, fill(**changes).position_side) == traded


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_in_one_way_mode_the_side_is_what_is_traded(side: str) -> None:
    """With words of its own for `tradeSide`."""
    changes = {
        "posMode": "one_way_mode",
        "posSide": "net",
        "tradeSide": f"{side}_single",
        "side": side,
    }
    for found in (order(**changes), plan(**changes), fill(**changes)):
        assert (found.side, found.position_side) == (Side(side), PositionSide.BOTH)


def test_an_unknown_trade_side_is_a_bad_row() -> None:
    """Taking a close for an opening would double a position."""
    assert fill(tradeSide="sideways") == 1
    with pytest.raises(BadAnswer):
        order(tradeSide="sideways")


# --- orders, plans, fills ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, ExchangeStatus.OPEN),
        ({"status": None, "state": "filled"}, ExchangeStatus.FILLED),
        ({"status": "canceled"}, ExchangeStatus.CANCELLED),
        ({"status": "partially_filled", "baseVolume": "0.0005"}, ExchangeStatus.PARTIAL),
        ({"status": "haunted"}, ExchangeStatus.OPEN),
        ({"status": "haunted", "baseVolume": "0.0005"}, ExchangeStatus.PARTIAL),
    ],
)
def test_an_orders_status_by_either_key(changes: dict[str, str], status: ExchangeStatus) -> None:
    """order/detail calls it `state`; a word we do not know may yet have an effect."""
    assert order(**changes).status is status


def test_samples_with_empty_times_and_small_letters() -> None:
    """As recorded: an unchanged plan has no `uTime`, and symbols may be echoed in lower case."""
    found = plan(uTime="", symbol="btcusdt")
    assert (found.symbol, found.updated_ms) == (BTC, CREATED_MS)
    assert order(uTime=CREATED_MS + 5).updated_ms == CREATED_MS + 5


@pytest.mark.parametrize(
    ("plan_type", "kind", "whole", "reduces"),
    [
        ("pos_loss", StopKind.STOP, True, True),
        ("loss_plan", StopKind.STOP, False, True),
        ("pos_profit", StopKind.TAKE_PROFIT, True, True),
        ("profit_plan", StopKind.TAKE_PROFIT, False, True),
        ("moving_plan", StopKind.TRAILING, False, True),
        ("track_plan", StopKind.TRAILING, False, False),
        ("normal_plan", StopKind.TAKE_PROFIT, False, False),
        ("something_new", StopKind.TAKE_PROFIT, False, False),
    ],
)
def test_only_losses_of_a_position_protect_it(
    plan_type: str, kind: StopKind, whole: bool, reduces: bool
) -> None:
    """A normal_plan may open as well as close, and does not say so."""
    found = plan(planType=plan_type, size="0.5")
    assert (found.kind, found.close_position, found.reduce_only) == (kind, whole, reduces)
    assert found.quantity == (0 if whole else D("0.5"))


def test_a_plan_is_at_market_without_a_price_of_its_own() -> None:
    """And its trigger is the last price unless it says otherwise."""
    assert (plan().market, plan().trigger_source) == (True, TriggerSource.MARK)
    limit = plan(executePrice="24000", triggerType="fill_price", planStatus="odd")
    assert (limit.market, limit.trigger_source, limit.status) == (
        False,
        TriggerSource.LAST,
        StopStatus.TRIGGERING,
    )
    done = plan(planStatus="executed", executeOrderId="77")
    assert (done.status, done.order_id) == (StopStatus.FINISHED, "77")


def test_a_fee_is_positive_when_it_was_paid() -> None:
    """On the wire it is negative."""
    found = fill()
    assert (found.fee, found.fee_currency, found.realized_pnl) == (D("0.02236284"), "USDT", D("-0.0007"))
    assert (found.maker, found.at_ms) == (False, CREATED_MS)
    assert fill(feeDetail=None).fee == 0


def test_an_empty_page_may_be_null_and_a_missing_one_is_bad() -> None:
    """Only a list says that there is nothing."""
    for lists in (None, []):
        rows, more = decode.orders_page(decode.ORDERS, answered({"entrustedList": lists}), lambda row: row)
        assert (rows.values, rows.bad, more) == ((), 0, "")
    for data in (None, {}, [], "x"):
        with pytest.raises(BadAnswer):
            decode.orders_page(decode.ORDERS, answered(data), lambda row: row)


def test_a_quote_needs_orders_on_both_sides() -> None:
    """An empty side has no price."""
    row = decode.TICKERS.read(json.dumps([TICKER]).encode(), lambda row: row).values[0]
    assert (decode.quote(row, 7).bid, decode.quote(row, 7).ask) == (D("104823.5"), D("104823.8"))
    for changes in ({"bidSz": "0"}, {"askSz": None}, {"askPr": ""}):
        (bad,) = decode.TICKERS.read(json.dumps([{**TICKER, **changes}]).encode(), lambda row: row).values
        with pytest.raises(BadAnswer):
            decode.quote(bad, 7)


def test_bars_are_closed_when_their_time_is_over() -> None:
    """In order, and not contradicting themselves."""
    later = [str(CREATED_MS + MINUTE_MS), *BAR[1:]]
    bars = decode.candles(answered([BAR, later]), MINUTE_MS, CREATED_MS + MINUTE_MS)
    assert [bar.closed for bar in bars] == [True, False]
    for bad in ([later, BAR], [[*BAR[:2], "99", *BAR[3:]]]):
        with pytest.raises(BadAnswer):
            decode.candles(answered(bad), MINUTE_MS, CREATED_MS)


def test_a_contracts_tick_is_its_end_step_at_its_last_place() -> None:
    """And its quantity step the multiplier, not `volumePlace`."""
    found = markets.markets(answered([CONTRACT])).instruments[BTC]
    assert (found.price_step, found.quantity_step, found.notional_min) == (D("0.5"), D("0.0001"), D(5))
    assert (found.quantity_max, found.market_quantity_max, found.tradable) == (D(1200), D(220), True)


@pytest.mark.parametrize(
    "changes", [{"sizeMultiplier": "0"}, {"priceEndStep": "0"}, {"pricePlace": "-1"}, {"symbolStatus": None}]
)
def test_a_contract_without_sane_steps_is_not_traded(changes: dict[str, Any]) -> None:
    """A step of zero would divide by zero when a quantity is rounded."""
    bad = {**CONTRACT, "symbol": "BADUSDT", "baseCoin": "BAD", **changes}
    found = markets.markets(answered([bad, CONTRACT]))
    assert (list(found.instruments), found.bad) == ([BTC], 1)
    with pytest.raises(BadAnswer):
        markets.markets(answered([bad]))


def test_suspended_and_foreign_contracts() -> None:
    """Listed but not to be traded; dated ones and those of other margin coins are left out."""
    closed = {**CONTRACT, "symbolStatus": "off"}
    dated = {**CONTRACT, "symbol": "X", "symbolType": "delivery"}
    coin = {**CONTRACT, "symbol": "Y", "supportMarginCoins": ["BTC"]}
    found = markets.markets(answered([closed, dated, coin])).instruments
    assert {symbol: item.tradable for symbol, item in found.items()} == {BTC: False}


# --- recorded and hostile answers ----------------------------------------------------------------

Read = Callable[[bytes], Any]


def _page(table: Any, convert: Any) -> Read:
    return lambda body: decode.orders_page(table, body, convert)[0]


def _fills(body: bytes) -> Any:
    page = decode.FILLS_PAGE.read(decode.data(body))
    return decode.FILLS.read_raw(page.fillList or [], lambda row: decode.fill(row, NAMES))


READERS: dict[str, tuple[Read, Any]] = {
    "position/all-position": (
        lambda b: decode.rows(decode.POSITIONS, b, lambda row: decode.position(row, NAMES)),
        [POSITION],
    ),
    "account/accounts": (
        lambda b: decode.balance(decode.rows(decode.BALANCES, b, lambda row: row), "USDT"),
        [BALANCE],
    ),
    "account/account": (
        lambda b: decode.account_config({BTC: decode.ACCOUNT.read(decode.data(b))}, can_trade=True),
        ACCOUNT,
    ),
    "order/detail": (lambda b: decode.order(decode.ORDER.read(decode.data(b)), NAMES), ORDER),
    "order/orders-pending": (
        _page(decode.ORDERS, lambda row: decode.order(row, NAMES)),
        {"entrustedList": [ORDER], "endId": "1"},
    ),
    "order/orders-plan-pending": (
        _page(decode.PLANS, lambda row: decode.stop(row, NAMES)),
        {"entrustedList": [PLAN], "endId": "1"},
    ),
    "order/fills": (_fills, {"fillList": [FILL], "endId": "1"}),
    "market/ticker": (
        lambda b: decode.rows(decode.TICKERS, b, lambda row: decode.mark(row, 0)),
        [TICKER],
    ),
    "market/contracts": (lambda b: tuple(markets.markets(b).instruments.values()), [CONTRACT]),
    "market/candles": (lambda b: decode.candles(b, MINUTE_MS, CREATED_MS), [BAR]),
    "order/place-order": (
        lambda b: decode.ACK.read(decode.data(b)),
        {"orderId": "1", "clientOid": "hf-1"},
    ),
    "order/cancel-plan-order": (
        lambda b: decode.CANCELLED.read(decode.data(b)),
        {"successList": [{"orderId": "1", "clientOid": "2"}], "failureList": []},
    ),
    "account/set-leverage": (
        lambda b: decode.LEVERAGE.read(decode.data(b)),
        {"symbol": "BTCUSDT", "marginMode": "crossed", "crossMarginLeverage": "25"},
    ),
    "account/set-margin-mode": (
        lambda b: decode.MARGIN_MODE.read(decode.data(b)),
        {"symbol": "BTCUSDT", "marginMode": "isolated"},
    ),
}


DATED = "ETHUSD_2312"
"""A sample of a dated contract that nobody trades: it has no mark price."""


def recorded() -> list[tuple[str, bytes]]:
    if not RECORDED.exists():
        return []
    entries = json.loads(RECORDED.read_text())["methods"].values()
    return [
        (name, json.dumps(entry["httpResponse"]).encode())
        for group in entries
        for entry in group
        for name in [entry["path"].removeprefix("/api/v2/mix/")]
        if name in READERS and entry["httpStatus"] == 200 and DATED not in str(entry)
    ]


def test_every_recorded_answer_is_read_whole() -> None:
    """Of the endpoints we use; no row is left out."""
    if not RECORDED.exists():
        pytest.skip("the recorded answers are not on this machine")
    seen = set()
    for name, body in recorded():
        found = READERS[name][0](body)
        assert not (isinstance(found, Rows) and found.bad), (name, body)
        seen.add(name)
    assert seen == set(READERS) - {"market/candles"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(
    name=st.sampled_from(sorted(READERS)),
    content=st.binary(max_size=60) | JSON.map(lambda v: json.dumps(v).encode()) | JSON.map(answered),
)
def test_arbitrary_bytes_raise_only_our_own_word(name: str, content: bytes) -> None:
    """No answer of the exchange can throw anything but `BadAnswer`."""
    with suppress(BadAnswer):
        READERS[name][0](content)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, item in inside for path in paths(item, (*at, key)))]


ODD = st.sampled_from(
    [
        "NaN",
        "-1",
        "1e400",
        "9" * 50,
        "",
        "0",
        "YES",
        "buy",
        "close",
        "\ud800".encode("utf-8", "replace").decode(),
    ]
)


@st.composite
def mutated(draw: st.DrawFn, good: Any) -> Any:
    """A good answer with one place replaced or removed."""
    value = copy.deepcopy(good)
    path = draw(st.sampled_from(paths(value)[1:]))
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    if draw(st.booleans()):
        parent[path[-1]] = draw(JSON | ODD)
    else:
        del parent[path[-1]]
    return value


def numbers_in(found: Any) -> list[Decimal]:
    values = found.values if isinstance(found, Rows) else found if isinstance(found, tuple) else (found,)
    fields = [getattr(v, name) for v in values for name in getattr(v, "__dataclass_fields__", ())]
    return [field for field in fields if isinstance(field, D)]


@settings(max_examples=200)
@given(data=st.data())
def test_mutated_answers_are_read_sanely_or_refused(data: st.DataObject) -> None:
    """What passes is finite and of a size that exists."""
    read, good = READERS[data.draw(st.sampled_from(sorted(READERS)))]
    try:
        found = read(answered(data.draw(mutated(good))))
    except BadAnswer:
        return
    for number in numbers_in(found):
        assert number.is_finite()
        assert abs(number) <= MAGNITUDE_MAX**2
