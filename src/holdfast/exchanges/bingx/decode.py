"""BingX's answers as domain values. Hostile input: every fault is a `BadAnswer`, nothing else.

In one-way mode a position is still called LONG or SHORT, always with a positive amount; *hedge* says
which mode the account is in, for rows that do not say it themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import TypeVar

import msgspec

from holdfast.domain.account import Balance, Candle, MarginMode, Mark, Position, Quote, Transfer
from holdfast.domain.instrument import Instrument
from holdfast.domain.invariant import require
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import (
    ExchangeStatus,
    Fill,
    Order,
    OrderType,
    PositionSide,
    Side,
    Stop,
    StopKind,
    StopStatus,
    TriggerSource,
)
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bingx import wire
from holdfast.exchanges.decoding import MAGNITUDE_MAX, BadAnswer, Reader, Rows, Table, number, word
from holdfast.exchanges.names import Names

T = TypeVar("T")
R = TypeVar("R")

# --- numbers and words ---------------------------------------------------------------------------


def figure(value: str | float | None) -> Decimal:
    """A sane amount, sent as text or as a JSON number; nothing at all is 0. Raises `BadAnswer`."""
    return number(str(value)) if value not in (None, "") else ZERO


def amount(value: str | float | None) -> Decimal:
    """An amount that cannot be negative, or `BadAnswer`."""
    found = figure(value)
    if found < 0:
        raise BadAnswer(f"expected an amount not below 0, found {str(value)[:40]!r}")
    return found


def needed(value: str | float) -> Decimal:
    """An amount that must be there, or `BadAnswer`."""
    return amount(value) if value != "" else number("")


def price(value: str | float | None) -> Decimal:
    """An amount above 0, or `BadAnswer`."""
    found = figure(value)
    if found <= 0:
        raise BadAnswer(f"expected a price above 0, found {str(value)[:40]!r}")
    return found


SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
POSITION_SIDES = {"BOTH": PositionSide.BOTH, "LONG": PositionSide.LONG, "SHORT": PositionSide.SHORT}
MARGIN_MODES = {
    "CROSSED": MarginMode.CROSS,
    "CROSS": MarginMode.CROSS,
    "ISOLATED": MarginMode.ISOLATED,
    "SEPARATE_ISOLATED": MarginMode.ISOLATED,
}
ORDER_STATUS = {
    "NEW": ExchangeStatus.OPEN,
    "PENDING": ExchangeStatus.OPEN,
    "PARTIALLY_FILLED": ExchangeStatus.PARTIAL,
    "FILLED": ExchangeStatus.FILLED,
    "CANCELED": ExchangeStatus.CANCELLED,
    "CANCELLED": ExchangeStatus.CANCELLED,
    "EXPIRED": ExchangeStatus.EXPIRED,
    "FAILED": ExchangeStatus.REJECTED,
}
STOP_STATUS = {
    "NEW": StopStatus.LIVE,
    "PENDING": StopStatus.LIVE,
    "TRIGGERED": StopStatus.TRIGGERED,
    "PARTIALLY_FILLED": StopStatus.TRIGGERED,
    "FILLED": StopStatus.FINISHED,
    "CANCELED": StopStatus.CANCELLED,
    "CANCELLED": StopStatus.CANCELLED,
    "EXPIRED": StopStatus.EXPIRED,
    "FAILED": StopStatus.REJECTED,
}
RAN = (StopStatus.TRIGGERED, StopStatus.FINISHED)
STOP_KINDS = {
    "STOP": StopKind.STOP,
    "STOP_MARKET": StopKind.STOP,
    "TAKE_PROFIT": StopKind.TAKE_PROFIT,
    "TAKE_PROFIT_MARKET": StopKind.TAKE_PROFIT,
    "TRAILING_STOP_MARKET": StopKind.TRAILING,
    "TRAILING_TP_SL": StopKind.TRAILING,
    # Plain triggers: they may open a position, and protect none.
    "TRIGGER_MARKET": StopKind.TAKE_PROFIT,
    "TRIGGER_LIMIT": StopKind.TAKE_PROFIT,
}
"""Every conditional type; whatever is not among them is a regular order."""
MINUTE_MS = 60_000
TIMEFRAMES: Mapping[str, int] = {
    **{f"{n}m": n * MINUTE_MS for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * 60 * MINUTE_MS for n in (1, 2, 4, 6, 8, 12)},
    "1d": 1440 * MINUTE_MS,
    "3d": 3 * 1440 * MINUTE_MS,
    "1w": 7 * 1440 * MINUTE_MS,
}
"""How long a bar lasts; a month has no fixed length and is left out."""


def order_status(text: str, filled: Decimal) -> ExchangeStatus:
    """The state of an order; a word we do not know is taken as still open: it may yet have an effect."""
    unknown = ExchangeStatus.PARTIAL if filled else ExchangeStatus.OPEN
    return ORDER_STATUS.get(text, unknown)


def stop_status(text: str) -> StopStatus:
    """The state of a stop; an unknown word counts neither as protection nor as gone: TRIGGERING."""
    return STOP_STATUS.get(text, StopStatus.TRIGGERING)


def side(text: str) -> Side:
    """Buy or sell, or `BadAnswer`."""
    return word(SIDES, text.upper(), "side")


def position_side(text: str, *, hedge: bool) -> PositionSide:
    """Which position is meant: in one-way mode there is but one, whatever the row calls it."""
    found = word(POSITION_SIDES, text.upper(), "position side")
    return found if hedge else PositionSide.BOTH


def signed(quantity: Decimal, text: str) -> Decimal:
    """An unsigned position amount with the sign that its side tells."""
    held = word(POSITION_SIDES, text.upper(), "position side")
    if held is PositionSide.BOTH:
        return quantity
    return abs(quantity) if held is PositionSide.LONG else -abs(quantity)


def margin_mode(text: str) -> MarginMode:
    """Cross or isolated, or `BadAnswer`."""
    return word(MARGIN_MODES, text.upper(), "margin type")


def order_type(text: str) -> OrderType:
    """Market or limit; a liquidation is at market."""
    return OrderType.LIMIT if text in ("LIMIT", "STOP", "TAKE_PROFIT", "TRIGGER_LIMIT") else OrderType.MARKET


def trigger_source(text: str) -> TriggerSource:
    """What sets a stop off; the exchange's default, the mark price, when it does not say."""
    return TriggerSource.LAST if text == "CONTRACT_PRICE" else TriggerSource.MARK


# --- bodies --------------------------------------------------------------------------------------

_ENVELOPE = Reader(wire.Envelope)
_OBJECT: Reader[dict[str, msgspec.Raw]] = Reader(dict[str, msgspec.Raw])


class Data(Reader[T]):
    """Reads one kind of `data`; with *inside* the member of it that bears that name."""

    def __init__(self, kind: type[T], inside: str = "") -> None:
        super().__init__(kind)
        self._inside = inside

    def of(self, body: bytes) -> T:
        """The data of a whole answer; raises `BadAnswer`, or `NotJson`."""
        return self.read(data(body, self._inside))


def data(body: bytes, inside: str = "") -> bytes:
    """What the envelope of a good answer holds; raises `BadAnswer`, or `NotJson`."""
    envelope = _ENVELOPE.read(body)
    if envelope.code:
        raise BadAnswer(f"expected code 0, found {envelope.code}")
    if not inside:
        return bytes(envelope.data)
    found = _OBJECT.read(envelope.data).get(inside)
    if found is None:
        raise BadAnswer(f"expected {inside!r} in the data, found none")
    return bytes(found)


class Listed(Table[T]):
    """A list in an answer's data, or in the member of it named *inside*, read row by row."""

    def __init__(self, kind: type[T], inside: str = "") -> None:
        super().__init__(kind)
        self._inside = inside

    def of(self, body: bytes, convert: Callable[[T], R | None]) -> Rows[R]:
        """All rows through *convert* (None = leave out); raises `BadAnswer`. One object is a list of one."""
        found = data(body, self._inside)
        return self.read(b"[" + found + b"]" if found[:1] == b"{" else found, convert)


POSITIONS = Listed(wire.PositionRow)
OPEN_ORDERS = Listed(wire.OrderRow, "orders")
FILLS = Listed(wire.FillRow, "fill_history_orders")
INCOMES = Listed(wire.IncomeRow)
PREMIUMS = Listed(wire.PremiumRow)
TICKERS = Listed(wire.TickerRow)
CONTRACTS = Listed(wire.ContractRow)
BALANCES = Data(list[wire.BalanceRow])
KLINES = Data(list[wire.KlineRow])
ACK = Data(wire.AckRow, "order")
ORDER = Data(wire.OrderRow, "order")
TIME = Data(wire.TimeBody)
POSITION_MODE = Data(wire.PositionModeBody)
ASSET_MODE = Data(wire.AssetModeBody)
LEVERAGE = Data(wire.LeverageBody)
LEVERAGE_SET = Data(wire.LeverageSet)
MARGIN_TYPE = Data(wire.MarginTypeBody)
DONE = Reader(wire.Done)
LISTEN_KEY = Reader(wire.ListenKeyBody)


# --- rows to domain ------------------------------------------------------------------------------


def position(row: wire.PositionRow, names: Names, *, hedge: bool) -> Position | None:
    """A position, or None for a flat row."""
    quantity = signed(needed(row.positionAmt), row.positionSide)
    if not quantity:
        return None
    return Position(
        symbol=names.symbol(row.symbol),
        side=position_side(row.positionSide, hedge=_hedge(row.onlyOnePosition, hedge)),
        quantity=quantity,
        entry_price=amount(row.avgPrice),
        mark_price=amount(row.markPrice),
        unrealized_pnl=figure(row.unrealizedProfit),
        liquidation_price=amount(row.liquidationPrice),
        leverage=row.leverage,
        margin_mode=MarginMode.ISOLATED if row.isolated else MarginMode.CROSS,
        updated_ms=row.updateTime,
    )


def _hedge(only_one: bool | None, hedge: bool) -> bool:
    """The row's own word about the mode, else the account's."""
    return hedge if only_one is None else not only_one


def balance(rows: Iterable[wire.BalanceRow], currency: str) -> Balance:
    """The balance in *currency*; raises `BadAnswer` when the account does not list it."""
    for row in rows:
        if row.asset == currency:
            return Balance(
                currency=currency,
                wallet=number(str(row.balance)),
                equity=number(str(row.equity)),
                available=number(str(row.availableMargin)),
            )
    raise BadAnswer(f"expected a balance in {currency}, found none in the account")


def transfer(row: wire.IncomeRow) -> Transfer:
    change = number(str(row.income))
    return Transfer(transfer_id=str(row.tranId), currency=row.asset, change=change, at_ms=row.time)


def is_stop(row: wire.OrderRow) -> bool:
    """Whether a row of the one list is a conditional order."""
    return row.type in STOP_KINDS


def order(row: wire.OrderRow, names: Names, *, hedge: bool) -> Order:
    """A regular order."""
    filled = amount(row.executedQty)
    return Order(
        symbol=names.symbol(row.symbol),
        order_id=str(row.orderId),
        client_id=row.clientOrderId,
        side=side(row.side),
        position_side=position_side(row.positionSide, hedge=_hedge(row.onlyOnePosition, hedge)),
        type=order_type(row.type),
        status=order_status(row.status, filled),
        quantity=amount(row.origQty),
        filled=filled,
        average_price=amount(row.avgPrice),
        price=amount(row.price),
        reduce_only=row.reduceOnly,
        updated_ms=row.updateTime,
    )


def stop(row: wire.OrderRow, names: Names, *, hedge: bool) -> Stop:
    """A conditional order; one that the row does not call so (its order goes on under its id) as a STOP."""
    whole = row.closePosition in (True, "true")
    status = stop_status(row.status)
    return Stop(
        symbol=names.symbol(row.symbol),
        stop_id=str(row.orderId),
        client_id=row.clientOrderId,
        kind=STOP_KINDS.get(row.type, StopKind.TAKE_PROFIT),
        market=order_type(row.type) is OrderType.MARKET,
        side=side(row.side),
        position_side=position_side(row.positionSide, hedge=_hedge(row.onlyOnePosition, hedge)),
        trigger_price=amount(row.stopPrice),
        trigger_source=trigger_source(row.workingType),
        quantity=ZERO if whole else amount(row.origQty),
        close_position=whole,
        reduce_only=row.reduceOnly,
        status=status,
        created_ms=row.time,
        updated_ms=row.updateTime,
        order_id=_order_link(row) if status in RAN else "",
    )


def _order_link(row: wire.OrderRow) -> str:
    """The order that a stop became: one with an id of its own, or the stop's own going on."""
    return str(row.orderId) if row.triggerOrderId in (None, "", "0", 0) else str(row.triggerOrderId)


def fill(row: wire.FillRow, names: Names, hedged_at: Callable[[int], bool]) -> Fill:
    """One execution, in the mode of its time (*hedged_at*). It carries neither a client id nor a result:
    `FillReader` adds that."""
    at_ms = _fill_ms(row)
    return Fill(
        symbol=names.symbol(row.symbol),
        trade_id=str(row.tradeId),
        order_id=str(row.orderId),
        client_id="",
        side=side(row.side),
        position_side=position_side(row.positionSide, hedge=hedged_at(at_ms)),
        price=price(row.price),
        quantity=amount(row.volume),
        fee=-figure(row.commission),
        fee_currency=row.commissionAsset,
        realized_pnl=ZERO,
        maker=row.role == "maker",
        at_ms=at_ms,
    )


_SECOND = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)
_MILLIS = re.compile(r"\.([0-9]{3})", re.ASCII)


def _fill_ms(row: wire.FillRow) -> int:
    """`filledTm` is UTC; `filledTime` has the same digits, claims another zone, and knows milliseconds."""
    text = row.filledTm
    if not _SECOND.fullmatch(text[:19]) or text[19:] != "Z":
        raise BadAnswer(f"expected a time like 2023-12-16T20:58:36Z, found {text[:40]!r}")
    try:
        moment = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    except ValueError as error:
        raise BadAnswer(f"expected a time, found {text[:40]!r}") from error
    millis = _MILLIS.match(row.filledTime, 19) if row.filledTime[:19] == text[:19] else None
    found = int(moment.timestamp()) * 1000 + (int(millis[1]) if millis else 0)
    if found < 0:
        raise BadAnswer(f"expected a time after 1970, found {text[:40]!r}")
    return found


def mark(row: wire.PremiumRow, heard_ms: int) -> Mark:
    """A mark price asked for by REST; an answer that does not say when it was true is as old as heard."""
    at_ms = row.updateTime or heard_ms
    return Mark(price=price(row.markPrice), exchange_ms=at_ms, heard_ms=heard_ms, source="rest")


def quote(row: wire.TickerRow, asked_ms: int) -> Quote:
    """Best bid and ask; raises `BadAnswer` where nothing stands on a side."""
    if not (amount(row.bidQty) and amount(row.askQty)):
        raise BadAnswer("expected orders on both sides of the book, found none on one")
    return Quote(bid=price(row.bidPrice), ask=price(row.askPrice), asked_ms=asked_ms)


def candles(body: bytes, timeframe: str, exchange_now_ms: int) -> tuple[Candle, ...]:
    """Bars oldest first, in whatever order they came; raises `BadAnswer` when two are of one time."""
    length_ms = TIMEFRAMES.get(timeframe)
    require(length_ms is not None, f"a timeframe out of {', '.join(TIMEFRAMES)}")
    closed_ms = exchange_now_ms - (length_ms or 0)
    bars = sorted((_candle(row, closed_ms) for row in KLINES.of(body)), key=lambda bar: bar.open_ms)
    if any(later.open_ms == earlier.open_ms for earlier, later in pairwise(bars)):
        raise BadAnswer("expected bars of different times, found two of one")
    return tuple(bars)


def _candle(row: wire.KlineRow, closed_ms: int) -> Candle:
    bar = Candle(
        open_ms=row.time,
        open=price(row.open),
        high=price(row.high),
        low=price(row.low),
        close=price(row.close),
        volume=amount(row.volume),
        closed=row.time <= closed_ms,
    )
    if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        raise BadAnswer("expected low ≤ open, close ≤ high in a bar, found otherwise")
    return bar


ONLINE = 1


def instrument(row: wire.ContractRow) -> tuple[str, Instrument]:
    """A contract under its wire id. Its steps are powers of ten; no highest quantity is told."""
    step = Decimal(1).scaleb(-row.quantityPrecision)
    is_open = row.status == ONLINE and all(
        flag in (True, "true") for flag in (row.apiStateOpen, row.apiStateClose)
    )
    return row.symbol, Instrument(
        symbol=Symbol(row.asset, row.currency, row.currency),
        price_step=Decimal(1).scaleb(-row.pricePrecision),
        quantity_step=step,
        quantity_min=max(needed(row.tradeMinQuantity), step),
        quantity_max=MAGNITUDE_MAX,
        market_quantity_max=MAGNITUDE_MAX,
        notional_min=needed(row.tradeMinUSDT),
        tradable=is_open,
    )
