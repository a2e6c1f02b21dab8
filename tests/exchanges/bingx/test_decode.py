"""Recorded and hostile answers as domain values."""

import copy
import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.domain.account import MarginMode
from holdfast.domain.orders import ExchangeStatus, OrderType, PositionSide, Side, StopKind, StopStatus
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bingx import decode, events, markets, wire
from holdfast.exchanges.decoding import MAGNITUDE_MAX, BadAnswer, NotJson, Rows
from holdfast.exchanges.port import BalanceNews, OrderNews, PositionNews, StopNews
from tests.exchanges.bingx.support import ANSWERS, NAMES, RECORDED
from tests.exchanges.support import BTC, NOW_MS, body

D = Decimal


def hedged(_exchange_ms: int) -> bool:
    return True


def changed(name: str, inside: str = "", **changes: Any) -> bytes:
    """A recorded answer with its first row (or object) changed; a change to ... removes the field."""
    answer = copy.deepcopy(ANSWERS[name])
    found = answer["data"][inside] if inside else answer["data"]
    row = found[0] if isinstance(found, list) else found
    row.update(changes)
    for field in [field for field, value in changes.items() if value is ...]:
        del row[field]
    return body(answer)


def positions(content: bytes, *, hedge: bool = True) -> Rows[Any]:
    return decode.POSITIONS.of(content, lambda row: decode.position(row, NAMES, hedge=hedge))


# --- recorded answers ------------------------------------------------------------------------------


def test_a_recorded_one_way_position_is_both_with_its_sign() -> None:
    """The row says LONG in one-way mode, too; `onlyOnePosition` tells."""
    (held,) = positions(body(ANSWERS["positions"])).values
    assert (str(held.symbol), held.side, held.quantity) == ("LTC/USDT:USDT", PositionSide.BOTH, D("0.1"))
    assert (held.entry_price, held.leverage, held.margin_mode) == (D("83.53"), 6, MarginMode.CROSS)
    assert (held.liquidation_price, held.unrealized_pnl) == (0, D("-1.0393"))


def test_a_recorded_short_is_negative_in_either_mode() -> None:
    """Amounts are never negative on the wire; older rows do not say the mode, the account does."""
    (short,) = positions(body(ANSWERS["positions_short"])).values
    assert (short.side, short.quantity, short.margin_mode) == (
        PositionSide.SHORT,
        D("-0.20"),
        MarginMode.ISOLATED,
    )
    assert short.liquidation_price == D("294.16914617776246")
    (one_way,) = positions(body(ANSWERS["positions_short"]), hedge=False).values
    assert (one_way.side, one_way.quantity) == (PositionSide.BOTH, D("-0.20"))


def test_recorded_balances_are_read_past_rows_without_figures() -> None:
    """The USDC row of an account that has none holds empty texts."""
    balance = decode.balance(decode.BALANCES.of(body(ANSWERS["balance"])), "USDT")
    assert (balance.wallet, balance.equity, balance.available) == (
        D("194.8212"),
        D("196.7431"),
        D("193.7609"),
    )
    rows = decode.BALANCES.of(body(ANSWERS["balance_empty_usdc"]))
    assert decode.balance(rows, "USDT").wallet == D(300)
    for missing in ("USDC", "VST"):
        with pytest.raises(BadAnswer):
            decode.balance(rows, missing)


def test_contracts_give_rules_whether_figures_are_texts_or_numbers() -> None:
    """Steps are decimals as powers of ten; both recorded spellings mean the same."""
    for name in ("contracts", "contracts_text"):
        rules = markets.markets(body(ANSWERS[name])).instruments[BTC]
        assert (rules.price_step, rules.quantity_step, rules.quantity_min) == (
            D("0.1"),
            D("0.0001"),
            D("0.0001"),
        )
        assert (rules.notional_min, rules.tradable) == (D(2), True)


@pytest.mark.parametrize("changes", [{"status": 25}, {"status": 0}, {"apiStateOpen": "false"}])
def test_a_contract_that_may_not_be_opened_is_not_tradable(changes: dict[str, Any]) -> None:
    """Its rules stay known: what is open there has to be closed by them."""
    assert not markets.markets(changed("contracts", **changes)).instruments[BTC].tradable


def test_the_one_list_of_open_orders_is_told_apart_by_type() -> None:
    """Stops, profits and triggers are conditional; LIMIT and whatever is new are orders."""
    rows = decode.OPEN_ORDERS.of(body(ANSWERS["open_orders"]), lambda row: row)
    assert [decode.is_stop(row) for row in rows.values] == [False, False]
    (row, _) = rows.values
    order = decode.order(row, NAMES, hedge=True)
    assert (order.order_id, order.status, order.type) == (
        "1733405587011123500",
        ExchangeStatus.OPEN,
        OrderType.LIMIT,
    )
    assert (order.position_side, order.side, order.price) == (PositionSide.LONG, Side.SELL, D("44459.6"))
    profit = decode.ORDER.of(body(ANSWERS["order_stop"]))
    assert decode.is_stop(profit)
    stop = decode.stop(profit, NAMES, hedge=True)
    assert (stop.kind, stop.status, stop.trigger_price) == (
        StopKind.TAKE_PROFIT,
        StopStatus.FINISHED,
        D("16494"),
    )
    trigger = decode.ORDER.of(body(ANSWERS["cancel_trigger"]))
    assert decode.stop(trigger, NAMES, hedge=True).kind is not StopKind.STOP


def test_a_recorded_fill_has_its_fee_positive_and_its_time_in_utc() -> None:
    """`filledTime` claims +0800 for the same digits; `filledTm` is right."""
    rows = decode.FILLS.of(body(ANSWERS["fills"]), lambda row: decode.fill(row, NAMES, hedged))
    (fill,) = rows.values
    assert (fill.trade_id, fill.order_id, fill.side) == ("241512", "1736007768311123456", Side.BUY)
    assert (fill.quantity, fill.fee, fill.maker, fill.at_ms) == (
        D("4.10"),
        D("0.0025"),
        True,
        1_702_760_316_000,
    )
    precise = changed("fills", "fill_history_orders", filledTime="2023-12-16T20:58:36.789+0800")
    (fill,) = decode.FILLS.of(precise, lambda row: decode.fill(row, NAMES, hedged)).values
    assert fill.at_ms == 1_702_760_316_789
    assert fill.position_side is PositionSide.SHORT


def test_a_mark_price_comes_as_object_or_list() -> None:
    """For one symbol the exchange has answered both ways."""
    for name in ("premium", "premium_list"):
        (mark,) = decode.PREMIUMS.of(body(ANSWERS[name]), lambda row: decode.mark(row, NOW_MS)).values
        assert mark.price > 0
        assert mark.exchange_ms == NOW_MS


def test_bars_come_out_oldest_first() -> None:
    """The exchange sends the newest first, and promises no order."""
    row = ANSWERS["klines"]["data"][0]
    later = row | {"time": row["time"] + 60_000}
    bars = decode.candles(body({"code": 0, "data": [later, row]}), "1m", row["time"] + 90_000)
    assert [(bar.open_ms - row["time"], bar.closed) for bar in bars] == [(0, True), (60_000, False)]
    with pytest.raises(BadAnswer, match="two of one"):
        decode.candles(body({"code": 0, "data": [row, row]}), "1m", NOW_MS)
    with pytest.raises(BadAnswer, match="low"):
        decode.candles(changed("klines", low="99999"), "1m", NOW_MS)


def test_settings_are_read_in_their_spellings() -> None:
    """Codes and flags as texts or not; the listen key at the top level."""
    assert not decode.POSITION_MODE.of(body(ANSWERS["position_mode"])).dualSidePosition
    assert decode.POSITION_MODE.of(body(ANSWERS["position_mode_hedge"])).dualSidePosition
    assert decode.LEVERAGE.of(body(ANSWERS["leverage"])).longLeverage == 5
    assert decode.LEVERAGE_SET.of(body(ANSWERS["leverage_set"])) == wire.LeverageSet("ETH-USDT", 8)
    assert decode.margin_mode(decode.MARGIN_TYPE.of(body(ANSWERS["margin_type"])).marginType) is (
        MarginMode.CROSS
    )
    assert decode.DONE.read(body(ANSWERS["margin_type_set"])).code == 0
    assert decode.LISTEN_KEY.read(body(ANSWERS["listen_key"])).listenKey.startswith("a8ea")
    assert decode.TIME.of(body(ANSWERS["time"])).serverTime == 1_675_319_535_362


def test_an_acknowledgement_keeps_all_nineteen_digits() -> None:
    """2^53 is sixteen: a float would name another order."""
    for name in ("ack", "ack_docs"):
        assert decode.ACK.of(body(ANSWERS[name])).orderId == 1_735_950_529_123_455_000


# --- what may not be believed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"positionAmt": "NaN"},
        {"positionAmt": "1e99"},
        {"positionAmt": ""},
        {"positionAmt": None},
        {"positionAmt": "-1"},
        {"positionSide": "UP"},
        {"avgPrice": "-1"},
        {"symbol": 5},
        {"positionAmt": ...},
        {"updateTime": 10**16},
    ],
)
def test_an_unreadable_position_is_counted_never_left_out(changes: dict[str, Any]) -> None:
    """What cannot be read may be open."""
    rows = positions(changed("positions", **changes))
    assert (rows.values, rows.bad) == ((), 1)


def test_flat_rows_are_no_positions() -> None:
    """They come after a close."""
    assert positions(changed("positions", positionAmt="0")) == Rows(())


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b'{"code":0', b'{"code":0,"data":null}', b'{"code":0}', b'{"data":[]}']
)
def test_an_answer_without_its_list_is_no_empty_list(content: bytes) -> None:
    """An empty 200 proves nothing."""
    for read in (positions, lambda c: decode.OPEN_ORDERS.of(c, lambda row: row)):
        with pytest.raises(BadAnswer):
            read(content)
    with pytest.raises(BadAnswer, match="code"):
        positions(b'{"code":1,"data":[]}')


@pytest.mark.parametrize("word", ["TRIGGERING", "", "pending"])
def test_unknown_states_count_neither_as_over_nor_as_protection(word: str) -> None:
    """An order may still have an effect; a stop may not protect."""
    row = decode.ORDER.of(changed("cancel", "order", status=word))
    assert not decode.order(row, NAMES, hedge=True).status.final
    assert decode.stop(row, NAMES, hedge=True).status is StopStatus.TRIGGERING


def test_a_triggered_stop_is_linked_to_what_it_became() -> None:
    """To an order with an id of its own, or to itself where that goes on under the stop's id."""
    fields = {"type": "STOP_MARKET", "stopPrice": "1.5", "closePosition": "true"}
    own = decode.ORDER.of(changed("cancel", "order", **fields, status="FILLED", triggerOrderId=0))
    stop = decode.stop(own, NAMES, hedge=True)
    assert (stop.order_id, stop.status, stop.quantity) == (stop.stop_id, StopStatus.FINISHED, 0)
    other = decode.ORDER.of(changed("cancel", "order", **fields, status="TRIGGERED", triggerOrderId=77))
    assert decode.stop(other, NAMES, hedge=True).order_id == "77"
    waiting = decode.ORDER.of(changed("cancel", "order", **fields, status="NEW", triggerOrderId=77))
    assert decode.stop(waiting, NAMES, hedge=True).order_id == ""


@given(wire_id=st.text(max_size=24) | st.sampled_from(["BTC-USDT", "A-B", "a-B", "1000PEPE-USDT", "BTCUSDT"]))
def test_no_instrument_loses_its_name(wire_id: str) -> None:
    """Whatever the exchange calls it, the symbol leads back to it."""
    encoded = wire_id.encode("utf-8", "replace").decode()
    symbol = NAMES.symbol(wire_id)
    assert NAMES.wire(symbol) == encoded
    assert Symbol.parse(str(symbol)) == symbol


# --- streams ---------------------------------------------------------------------------------------


def heard(event: Any, *, hedge: bool = True) -> events.Heard:
    found = events.user_news(event["e"], body(event), NAMES, hedge=hedge)
    assert found is not None
    return found


def test_recorded_events_are_read() -> None:
    """Each is news, the settings or the end of the listen key."""
    told = [
        (event["e"], [type(item) for item in heard(event)])
        for event in RECORDED["events"]
        if event["e"] not in (events.SETTINGS, events.LISTEN_KEY_EXPIRED)
    ]
    assert told == [
        ("ACCOUNT_UPDATE", [PositionNews]),
        ("ORDER_TRADE_UPDATE", [OrderNews]),
        ("ACCOUNT_UPDATE", [BalanceNews]),
        ("ACCOUNT_UPDATE", [PositionNews, BalanceNews]),
        ("TRADE_UPDATE", [OrderNews]),
    ]
    (setting,) = [event for event in RECORDED["events"] if event["e"] == events.SETTINGS]
    symbol, found, _ = events.settings(body(setting), NAMES)
    assert (symbol, found.leverage, found.margin_mode) == (BTC, 12, MarginMode.CROSS)


def test_a_short_in_an_event_is_negative_and_both_in_one_way_mode() -> None:
    """As in the list of positions."""
    event = RECORDED["events"][3]
    (short, _) = heard(event)
    assert isinstance(short, PositionNews)
    assert (short.side, short.quantity) == (PositionSide.SHORT, D("-0.001"))
    (one_way, _) = heard(event, hedge=False)
    assert isinstance(one_way, PositionNews)
    assert (one_way.side, one_way.quantity) == (PositionSide.BOTH, D("-0.001"))


def test_an_execution_without_its_size_asks_for_the_fills() -> None:
    """Recorded events tell only the order's sum; newer ones `l` and `L`."""
    event = copy.deepcopy(RECORDED["events"][4])
    assert events.untold_fill(heard(event))
    event["o"] |= {"l": "0.001", "L": "112848.1"}
    (news,) = heard(event)
    assert isinstance(news, OrderNews)
    assert news.fill is not None
    assert (news.fill.quantity, news.fill.fee, news.fill.trade_id) == (
        D("0.001"),
        D("0.05642405"),
        "511178071",
    )
    assert not events.untold_fill((news,))


def test_the_order_of_a_triggered_stop_tells_of_the_stop() -> None:
    """There is no event about the stop itself."""
    event = copy.deepcopy(RECORDED["events"][4])
    event["o"] |= {"ti": 1_700_000_000_000_000_001, "sp": "112900"}
    stop, order = heard(event)
    assert isinstance(stop, StopNews)
    assert isinstance(order, OrderNews)
    assert (stop.stop.stop_id, stop.stop.status) == ("1700000000000000001", StopStatus.FINISHED)
    assert stop.stop.order_id == order.order.order_id


def test_frames_are_unpacked_within_bounds() -> None:
    """gzip from the exchange, plain text from tests; never more than a frame may hold."""
    assert events.unpacked(gzip.compress(b"Ping")) == events.PING
    assert events.unpacked("Ping") == events.unpacked(b"Ping") == b"Ping"
    bomb = gzip.compress(bytes(events.FRAME_BYTES_MAX * 2))
    for bad in (bomb, b"\x1f\x8b\x00", gzip.compress(b"Ping")[:-4]):
        with pytest.raises(BadAnswer):
            events.unpacked(bad)


# --- hostile input ---------------------------------------------------------------------------------

READERS: dict[str, Callable[[bytes], Any]] = {
    "positions": positions,
    "balance": lambda c: decode.balance(decode.BALANCES.of(c), "USDT"),
    "contracts": lambda c: markets.markets(c).instruments,
    "open_orders": lambda c: decode.OPEN_ORDERS.of(c, lambda row: decode.order(row, NAMES, hedge=False)),
    "order_stop": lambda c: decode.stop(decode.ORDER.of(c), NAMES, hedge=True),
    "cancel": lambda c: decode.order(decode.ORDER.of(c), NAMES, hedge=True),
    "fills": lambda c: decode.FILLS.of(c, lambda row: decode.fill(row, NAMES, hedged)),
    "klines": lambda c: decode.candles(c, "1m", NOW_MS),
    "premium": lambda c: decode.PREMIUMS.of(c, lambda row: decode.mark(row, NOW_MS)),
    "ticker": lambda c: decode.TICKERS.of(c, lambda row: decode.quote(row, NOW_MS)),
    "ack": decode.ACK.of,
    "leverage": decode.LEVERAGE.of,
    "margin_type": lambda c: decode.margin_mode(decode.MARGIN_TYPE.of(c).marginType),
    "position_mode": decode.POSITION_MODE.of,
    "listen_key": decode.LISTEN_KEY.read,
    "time": decode.TIME.of,
}
JUNK = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["NaN", "Infinity", "1e999999999", "9" * 40, "", "0", "-0", [], {}, [[]], "١"])
)


@st.composite
def mutated(draw: st.DrawFn, whole: Any) -> bytes:
    """A recorded answer with some of its values replaced or removed, perhaps cut off."""
    value = copy.deepcopy(whole)
    for _ in range(draw(st.integers(0, 4))):
        place = value
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or not place[key] or draw(st.integers(0, 3)) == 0:
                if draw(st.booleans()):
                    place[key] = copy.deepcopy(draw(JUNK))
                else:
                    del place[key]
                break
            place = place[key]
    content = json.dumps(value).encode()
    return content[: draw(st.integers(0, len(content)))] if draw(st.integers(0, 9)) == 0 else content


def numbers_in(value: Any) -> list[Decimal]:
    if isinstance(value, Decimal):
        return [value]
    if isinstance(value, Rows):
        return numbers_in(list(value.values))
    if isinstance(value, dict | list | tuple):
        return [
            n for item in (value.values() if isinstance(value, dict) else value) for n in numbers_in(item)
        ]
    if hasattr(value, "__dataclass_fields__"):
        return [n for field in value.__dataclass_fields__ for n in numbers_in(getattr(value, field))]
    return []


@settings(max_examples=400)
@given(data=st.data(), name=st.sampled_from(sorted(READERS)))
def test_no_answer_raises_anything_but_bad_answer(data: st.DataObject, name: str) -> None:
    """And no number that comes out of it is beyond what exists."""
    with suppress(BadAnswer):
        found = READERS[name](data.draw(mutated(ANSWERS[name])))
        for value in numbers_in(found):
            assert value.is_finite()
            assert abs(value) <= MAGNITUDE_MAX


@settings(max_examples=300)
@given(data=st.data(), event=st.sampled_from(RECORDED["events"] + RECORDED["marks"]), hedge=st.booleans())
def test_no_event_raises_anything_but_bad_answer(data: st.DataObject, event: Any, hedge: bool) -> None:
    """Whatever an event's kind says it is."""
    content = data.draw(mutated(event))
    for kind in ("ORDER_TRADE_UPDATE", "TRADE_UPDATE", "ACCOUNT_UPDATE"):
        with suppress(BadAnswer):
            news = events.user_news(kind, content, NAMES, hedge=hedge)
            assert all(value.is_finite() for value in numbers_in(news))
    for read in (events.settings, lambda c, names: events.mark_news(c, names, NOW_MS)):
        with suppress(BadAnswer):
            read(content, NAMES)


@given(content=st.binary(max_size=80) | st.text(max_size=40).map(str.encode))
def test_bytes_of_any_kind_are_no_json_or_a_bad_answer(content: bytes) -> None:
    """Over REST and in frames."""
    for read in READERS.values():
        with pytest.raises(BadAnswer):
            read(content)
    with suppress(BadAnswer):
        events.HEAD.read(events.unpacked(content))
    with pytest.raises(NotJson):
        decode.DONE.read(b"")
