"""Recorded and hostile answers as domain values."""

import copy
import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.domain.account import AccountConfig, MarginMode, PositionMode
from holdfast.domain.orders import (
    ExchangeStatus,
    OrderType,
    PositionSide,
    Side,
    StopKind,
    StopStatus,
    TriggerSource,
)
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.binance import decode, events, markets
from holdfast.exchanges.decoding import MAGNITUDE_MAX, BadAnswer, NotJson, Rows, bounded
from holdfast.exchanges.names import Names
from tests.exchanges.support import BTC, NOW_MS, RECORDED, SYMBOL_ROW, body

D = Decimal
NAMES = Names({"BTCUSDT": BTC})
ANSWERS: dict[str, Any] = RECORDED["answers"]


def positions(rows: list[Any], config: AccountConfig | None = None) -> Rows[Any]:
    return decode.POSITIONS.read(body(rows), lambda row: decode.position(row, NAMES, config))


def changed(name: str, **changes: Any) -> dict[str, Any]:
    recorded = ANSWERS[name]
    return {**(recorded[0] if isinstance(recorded, list) else recorded), **changes}


# --- recorded answers ----------------------------------------------------------------------------


def test_recorded_position_is_read_whole() -> None:
    """The v3 row lacks leverage; 0 says so."""
    (held,) = positions(ANSWERS["positions"]).values
    assert (held.symbol, held.side, held.quantity) == (BTC, PositionSide.BOTH, D("0.009"))
    assert (held.entry_price, held.mark_price) == (D("67445.9"), D("67502.68519858"))
    assert (held.liquidation_price, held.unrealized_pnl) == (D("64846.98753790"), D("0.51106678"))
    assert (held.leverage, held.margin_mode) == (0, MarginMode.CROSS)


def test_known_configuration_is_joined_to_positions() -> None:
    """Leverage and margin mode come from symbolConfig."""
    config = AccountConfig(
        position_mode=PositionMode.ONE_WAY,
        can_trade=True,
        multi_assets=False,
        leverage={BTC: 20},
        margin_mode={BTC: MarginMode.ISOLATED},
    )
    (held,) = positions(ANSWERS["positions"], config).values
    assert (held.leverage, held.margin_mode) == (20, MarginMode.ISOLATED)


def test_market_acknowledgement_has_no_average_price() -> None:
    """Since 2026-06-30 the answer to an order carries no avgPrice."""
    order = decode.order(decode.ORDER.read(body(ANSWERS["market_ack"])), NAMES)
    assert (order.status, order.filled, order.average_price) == (ExchangeStatus.FILLED, D("0.100"), D(0))
    assert (order.type, order.side) == (OrderType.MARKET, Side.BUY)


def test_recorded_stop_and_its_finished_form() -> None:
    """A finished stop links the regular order it became."""
    live = decode.stop(decode.ALGO.read(body(ANSWERS["algo"])), NAMES)
    assert (live.kind, live.market, live.status) == (StopKind.STOP, True, StopStatus.LIVE)
    assert (live.trigger_price, live.trigger_source, live.order_id) == (D(40), TriggerSource.LAST, "")
    done = decode.stop(decode.ALGO.read(body(ANSWERS["algo_finished"])), NAMES)
    assert (done.status, done.order_id, done.reduce_only) == (StopStatus.FINISHED, "974828356187", True)


def test_recorded_fill_balance_and_bars() -> None:
    """The plain lists."""
    (fill,) = decode.TRADES.read(body(ANSWERS["trades"]), lambda row: decode.fill(row, NAMES)).values
    assert (fill.price, fill.quantity, fill.fee) == (D("36567.10"), D("0.010"), D("0.14626840"))
    balance = decode.balance(decode.ACCOUNT.read(body(ANSWERS["account"])), "USDT")
    assert (balance.wallet, balance.available) == (D("31.02261200"), D("31.02261200"))
    bars = decode.candles(body(ANSWERS["klines"]), 1_712_738_600_000)
    assert [bar.closed for bar in bars] == [True, True, False]


def test_missing_margin_currency_is_no_zero_balance() -> None:
    """A zero would look like a loss of everything."""
    with pytest.raises(BadAnswer, match="USDC"):
        decode.balance(decode.ACCOUNT.read(body(ANSWERS["account"])), "USDC")


def test_recorded_events_become_news() -> None:
    """Every recorded user event is read or deliberately ignored."""
    kinds = []
    for event in RECORDED["events"]:
        news = events.user_news(event["e"], body(event), NAMES)
        kinds.append((event["e"], [type(item).__name__ for item in news] if news is not None else None))
    assert kinds == [
        ("ALGO_UPDATE", ["StopNews"]),
        ("ALGO_UPDATE", ["StopNews"]),
        ("ALGO_UPDATE", ["StopNews"]),
        ("TRADE_LITE", None),
        ("ORDER_TRADE_UPDATE", ["OrderNews"]),
        ("ACCOUNT_UPDATE", ["PositionNews", "BalanceNews"]),
        ("MARGIN_CALL", ["MarginCall"]),
        ("ACCOUNT_CONFIG_UPDATE", ["ConfigNews"]),
        ("ACCOUNT_CONFIG_UPDATE", ["ConfigNews"]),
    ]


def test_a_liquidation_event_carries_its_fill() -> None:
    """Execution type CALCULATED is a trade too; missing it would hide how a position ended."""
    (event,) = [e for e in RECORDED["events"] if e["e"] == "ORDER_TRADE_UPDATE"]
    (news,) = events.user_news(event["e"], body(event), NAMES) or ()
    assert isinstance(news, events.OrderNews)
    assert news.fill is not None
    assert (news.fill.quantity, news.fill.realized_pnl, news.fill.fee) == (D("0.100"), D("-100.00"), D("5"))


def test_changed_margin_mode_is_news_of_configuration() -> None:
    """The only event about it is an ACCOUNT_UPDATE with this cause."""
    event = {"e": "ACCOUNT_UPDATE", "E": 1, "T": 1, "a": {"m": "MARGIN_TYPE_CHANGE", "B": [], "P": []}}
    news = events.user_news("ACCOUNT_UPDATE", body(event), NAMES)
    assert news == (events.ConfigNews(symbol=None, leverage=None, exchange_ms=1),)


def test_marks_of_coin_margined_symbols_are_left_out() -> None:
    """Feeds carry both since the integration; `st` tells them apart."""
    event = {"e": "markPriceUpdate", "E": 5, "s": "BTCUSDT", "p": "60000.1", "st": 1}
    news = events.mark_news(body(event), NAMES, heard_ms=7)
    assert news is not None
    assert (news.symbol, news.mark.price, news.mark.exchange_ms, news.mark.heard_ms) == (
        BTC,
        D("60000.1"),
        5,
        7,
    )
    assert events.mark_news(body({**event, "st": 2}), NAMES, heard_ms=7) is None


# --- what may never vanish or pass ---------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"positionAmt": "NaN"},
        {"positionAmt": "Infinity"},
        {"positionAmt": "1e99"},
        {"positionAmt": "1e999999999"},
        {"positionAmt": 1.5},
        {"positionAmt": None},
        {"positionAmt": ""},
        {"positionAmt": "１"},
        {"positionAmt": "1_000"},
        {"positionSide": "UP"},
        {"entryPrice": "-1"},
        {"updateTime": 10**16},
        {"updateTime": -1},
        {"symbol": 5},
    ],
)
def test_an_unreadable_position_row_is_counted_never_dropped(changes: dict[str, Any]) -> None:
    """The good row stays, the bad one makes the list incomplete."""
    rows = positions([changed("positions", **changes), ANSWERS["positions"][0]])
    assert (len(rows.values), rows.bad) == (1, 1)


def test_flat_rows_and_new_fields_are_fine() -> None:
    """Exchanges grow; zero positions are none."""
    rows = positions([changed("positions", positionAmt="0.000", brandNew={"a": [1]})])
    assert (rows.values, rows.bad) == ((), 0)


def test_hedge_rows_take_their_sign_from_the_side() -> None:
    """A short with a positive amount would be read as a long."""
    rows = positions([changed("positions", positionSide="SHORT", positionAmt="0.5")])
    assert rows.values[0].quantity == D("-0.5")


@pytest.mark.parametrize(
    "wire_id", ["BTCUSDT_261225", "BTCUSD_PERP", "币安人生USDT", "NEWUSDT", "x y", "", "A_B_C"]
)
def test_a_position_in_an_unlisted_symbol_stays_visible(wire_id: str) -> None:
    """Its symbol can be written, read back and sent to the exchange again."""
    (held,) = positions([changed("positions", symbol=wire_id)]).values
    assert NAMES.wire(held.symbol) == wire_id
    assert Symbol.parse(str(held.symbol)) == held.symbol
    assert held.symbol != BTC


def test_unknown_order_state_counts_as_still_open() -> None:
    """It may yet have an effect."""
    row = changed("market_ack", status="SOMETHING_NEW", executedQty="0")
    assert decode.order(decode.ORDER.read(body(row)), NAMES).status is ExchangeStatus.OPEN


def test_unknown_stop_words_never_count_as_protection() -> None:
    """Neither as gone: a second stop would be refused."""
    stop = decode.stop(
        decode.ALGO.read(body(changed("algo", algoStatus="PAUSED", orderType="OCO_MARKET"))), NAMES
    )
    assert (stop.status, stop.kind) == (StopStatus.TRIGGERING, StopKind.TAKE_PROFIT)


def test_a_whole_position_stop_has_no_quantity() -> None:
    """Whatever number the row carries."""
    for quantity in ("", None, "0", "5"):
        stop = decode.stop(
            decode.ALGO.read(body(changed("algo", closePosition=True, quantity=quantity))), NAMES
        )
        assert (stop.close_position, stop.quantity) == (True, D(0))


@pytest.mark.parametrize("content", [b"", b"<html></html>", b'[{"symbol":"BTC', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_says_so(content: bytes) -> None:
    """Empty, HTML, truncated, binary, absurdly nested."""
    with pytest.raises(NotJson):
        decode.POSITIONS.read(content, lambda row: row)


def test_bars_out_of_order_or_shape_are_refused() -> None:
    """An indicator over them would lie."""
    first, second, _ = ANSWERS["klines"]
    with pytest.raises(BadAnswer, match="order of time"):
        decode.candles(body([second, first]), NOW_MS)
    with pytest.raises(BadAnswer, match="low"):
        decode.candles(body([[first[0], "5", "4", "3", "3", "1", first[6]]]), NOW_MS)
    with pytest.raises(BadAnswer):
        decode.candles(body([[first[0], "0", "0", "0", "0", "1", first[6]]]), NOW_MS)


# --- instruments ---------------------------------------------------------------------------------


def test_instruments_take_their_rules_from_the_filters() -> None:
    """Tick and step are the truth, with the margin ladder joined."""
    ladder = markets.brackets(body(ANSWERS["brackets"]))
    found = markets.markets(body({"symbols": [SYMBOL_ROW]}), ladder).instruments[BTC]
    assert (found.price_step, found.quantity_step, found.notional_min) == (D("0.10"), D("0.001"), D(100))
    assert (found.quantity_max, found.market_quantity_max, found.tradable) == (D(1000), D(120), True)
    assert [step.leverage_max for step in found.brackets] == [125, 100]
    assert found.brackets[1].maintenance_ratio == D("0.005")


def test_a_single_symbols_ladder_may_be_an_object() -> None:
    """The exchange answers with a list or an object; clients accept both."""
    (row,) = ANSWERS["brackets"]
    assert markets.brackets(body(row)) == markets.brackets(body([row]))


@pytest.mark.parametrize(
    "changes",
    [
        {"filters": []},
        {"filters": [{**SYMBOL_ROW["filters"][0], "tickSize": "0"}, *SYMBOL_ROW["filters"][1:]]},  # type: ignore[dict-item]
        {"filters": [SYMBOL_ROW["filters"][0], {"filterType": "LOT_SIZE", "stepSize": "-1"}]},
        {"status": None},
    ],
)
def test_an_instrument_without_sane_steps_is_not_traded(changes: dict[str, Any]) -> None:
    """A step of zero would divide by zero when a quantity is rounded."""
    bad = {**SYMBOL_ROW, "symbol": "BADUSDT", "baseAsset": "BAD", **changes}
    found = markets.markets(body({"symbols": [bad, SYMBOL_ROW]}), {})
    assert (list(found.instruments), found.bad) == ([BTC], 1)


@pytest.mark.parametrize(
    "number", [D("1E+999999999"), D("-1E+999999999"), D("1E-999999999"), D("NaN"), D("sNaN")]
)
def test_a_number_whose_sign_cannot_be_taken_away_is_a_bad_answer(number: D) -> None:
    """Decimals that come ready-made are as hostile as text: `abs` of the first overflows."""
    with pytest.raises(BadAnswer):
        bounded(number)
    row = {**ANSWERS["brackets"][0]["brackets"][0], "maintMarginRatio": 0}
    content = body([{"symbol": "BTCUSDT", "brackets": [row]}]).replace(
        b'"maintMarginRatio": 0', f'"maintMarginRatio": "{number}"'.encode()
    )
    assert markets.brackets(content) == {}


def test_only_unreadable_instruments_is_a_bad_answer() -> None:
    """The rules we hold must not be replaced by none."""
    with pytest.raises(BadAnswer):
        markets.markets(body({"symbols": [{"symbol": "X"}]}), {})


def test_delivery_contracts_and_strange_names_are_no_instruments() -> None:
    """The bot trades perpetuals whose names it can write."""
    quarter = {**SYMBOL_ROW, "symbol": "BTCUSDT_261225", "contractType": "CURRENT_QUARTER"}
    strange = {**SYMBOL_ROW, "symbol": "币USDT", "baseAsset": "币"}
    assert list(markets.markets(body({"symbols": [quarter, strange, SYMBOL_ROW]}), {}).instruments) == [BTC]


# --- hostile input -------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
EVENT_KINDS = ["ORDER_TRADE_UPDATE", "ALGO_UPDATE", "ACCOUNT_UPDATE", "ACCOUNT_CONFIG_UPDATE", "MARGIN_CALL"]

READERS = {
    "positions": lambda b: decode.POSITIONS.read(b, lambda row: decode.position(row, NAMES, None)),
    "orders": lambda b: decode.ORDERS.read(b, lambda row: decode.order(row, NAMES)),
    "trades": lambda b: decode.TRADES.read(b, lambda row: decode.fill(row, NAMES)),
    "symbol_config": lambda b: decode.SYMBOL_CONFIGS.read(b, lambda row: decode.symbol_config(row, NAMES)),
    "market_ack": lambda b: decode.order(decode.ORDER.read(b), NAMES),
    "algo": lambda b: decode.stop(decode.ALGO.read(b), NAMES),
    "account": lambda b: decode.balance(decode.ACCOUNT.read(b), "USDT"),
    "klines": lambda b: decode.candles(b, NOW_MS),
    "brackets": markets.brackets,
    "premium": lambda b: decode.PREMIUMS.read(b"[" + b + b"]", lambda row: decode.mark(row, 0)),
}


@given(
    name=st.sampled_from(sorted(READERS)),
    content=st.binary(max_size=60) | JSON.map(lambda v: json.dumps(v).encode()),
)
def test_arbitrary_bytes_raise_only_our_own_word(name: str, content: bytes) -> None:
    """No answer of the exchange can throw anything but `BadAnswer`."""
    with suppress(BadAnswer):
        READERS[name](content)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, item in inside for path in paths(item, (*at, key)))]


@st.composite
def mutated(draw: st.DrawFn, good: Any) -> Any:
    """A good answer with one place replaced or removed."""
    value = copy.deepcopy(good)
    path = draw(st.sampled_from(paths(value)[1:]))
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    if draw(st.booleans()):
        parent[path[-1]] = draw(JSON | st.sampled_from(["NaN", "-1", "1e400", "9" * 50, "", "0", "TRUE"]))
    else:
        del parent[path[-1]]
    return value


@settings(max_examples=200)
@given(data=st.data())
def test_mutated_answers_are_read_sanely_or_refused(data: st.DataObject) -> None:
    """What passes is finite, of sane size and keeps every readable row."""
    name = data.draw(st.sampled_from(sorted(READERS)))
    content = body(data.draw(mutated(ANSWERS[name])))
    try:
        found = READERS[name](content)
    except BadAnswer:
        return
    values = found.values if isinstance(found, Rows) else found if isinstance(found, tuple) else (found,)
    if isinstance(found, Rows) and name != "premium":
        assert len(found.values) + found.bad <= len(json.loads(content))
    for value in values:
        for field in getattr(value, "__dataclass_fields__", ()):
            number = getattr(value, field)
            if isinstance(number, D):
                assert number.is_finite()
                assert abs(number) <= MAGNITUDE_MAX


@settings(max_examples=200)
@given(data=st.data())
def test_mutated_events_raise_only_our_own_word(data: st.DataObject) -> None:
    """The stream's reader survives anything."""
    event = data.draw(mutated(data.draw(st.sampled_from(RECORDED["events"]))))
    kind = data.draw(st.sampled_from(EVENT_KINDS))
    for content in (body(event), body(event)[:-5]):
        for read in (
            events.HEAD.read,
            lambda c: events.user_news(kind, c, NAMES),
            lambda c: events.mark_news(c, NAMES, 0),
        ):
            with suppress(BadAnswer):
                read(content)


@given(st.text(max_size=30))
def test_every_wire_name_survives_the_round_trip(wire_id: str) -> None:
    """Whatever the exchange calls an instrument, we can name it back."""
    symbol = NAMES.symbol(wire_id)
    assert NAMES.wire(symbol) == wire_id
    assert Symbol.parse(str(symbol)) == symbol
