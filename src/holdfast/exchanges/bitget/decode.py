"""Bitget's answers as domain values. Hostile input: every fault is a `BadAnswer`, nothing else.

Tolerant where the exchange may grow (new fields, unknown states), strict where money is. Sides are
never taken as they stand: in hedge mode `side` is the position's, also of orders that close it (§4).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

import msgspec

from holdfast.domain.account import (
    AccountConfig,
    Balance,
    Candle,
    MarginMode,
    Mark,
    Position,
    PositionMode,
    Quote,
    Transfer,
)
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
from holdfast.exchanges.bitget import wire
from holdfast.exchanges.decoding import (
    BadAnswer,
    Reader,
    Rows,
    Table,
    amount,
    amount_or_zero,
    number,
    price,
    sane_bars,
    word,
)
from holdfast.exchanges.names import Names

T = TypeVar("T")
R = TypeVar("R")

ENVELOPE = Reader(wire.Envelope)
POSITIONS = Table(wire.PositionRow)
BALANCES = Table(wire.BalanceRow)
ORDERS = Table(wire.OrderRow)
PLANS = Table(wire.PlanRow)
FILLS = Table(wire.FillRow)
TICKERS = Table(wire.TickerRow)
CONTRACTS = Table(wire.ContractRow)
BARS: Reader[list[wire.BarRow]] = Reader(list[wire.BarRow])
ORDERS_PAGE = Reader(wire.OrdersPage)
FILLS_PAGE = Reader(wire.FillsPage)
BILLS = Table(wire.BillRow)
BILLS_PAGE = Reader(wire.BillsPage)
ORDER = Reader(wire.OrderRow)
ACK = Reader(wire.AckData)
ACCOUNT = Reader(wire.AccountData)
LEVERAGE = Reader(wire.LeverageData)
MARGIN_MODE = Reader(wire.MarginModeData)
CANCELLED = Reader(wire.CancelledData)
_TIME = Reader(wire.TimeData)
_MS = re.compile(r"[0-9]{1,14}", re.ASCII)


def data(body: bytes) -> msgspec.Raw:
    """What is in the envelope."""
    return ENVELOPE.read(body).data


def server_time(body: bytes) -> int:
    return _TIME.read(data(body)).serverTime


# --- words ---------------------------------------------------------------------------------------

SIDES = {"buy": Side.BUY, "sell": Side.SELL}
HELD = {"long": PositionSide.LONG, "short": PositionSide.SHORT}
OPENED_BY = {Side.BUY: PositionSide.LONG, Side.SELL: PositionSide.SHORT}
OPENING = {PositionSide.LONG: Side.BUY, PositionSide.SHORT: Side.SELL}
POSITION_MODES = {"one_way_mode": PositionMode.ONE_WAY, "hedge_mode": PositionMode.HEDGE}
MARGIN_MODES = {
    "crossed": MarginMode.CROSS,
    "cross": MarginMode.CROSS,
    "isolated": MarginMode.ISOLATED,
    "fixed": MarginMode.ISOLATED,
}
ORDER_STATUS = {
    "live": ExchangeStatus.OPEN,
    "new": ExchangeStatus.OPEN,
    "init": ExchangeStatus.OPEN,
    "partially_filled": ExchangeStatus.PARTIAL,
    "filled": ExchangeStatus.FILLED,
    "canceled": ExchangeStatus.CANCELLED,
    "cancelled": ExchangeStatus.CANCELLED,
}
STOP_STATUS = {
    "live": StopStatus.LIVE,
    "not_trigger": StopStatus.LIVE,
    "executing": StopStatus.TRIGGERING,
    "executed": StopStatus.FINISHED,
    "fail_execute": StopStatus.REJECTED,
    "fail_trigger": StopStatus.REJECTED,
    "cancelled": StopStatus.CANCELLED,
    "canceled": StopStatus.CANCELLED,
}
STOP_KINDS = {
    "pos_loss": StopKind.STOP,
    "loss_plan": StopKind.STOP,
    "pos_profit": StopKind.TAKE_PROFIT,
    "profit_plan": StopKind.TAKE_PROFIT,
    "moving_plan": StopKind.TRAILING,
    "track_plan": StopKind.TRAILING,
}
STREAM_PLANS = {
    "psl": "pos_loss",
    "ptp": "pos_profit",
    "sl": "loss_plan",
    "tp": "profit_plan",
    "mtpsl": "moving_plan",
    "pl": "normal_plan",
    "track": "track_plan",
}
"""What the stream calls the kinds of plan orders."""
WHOLE = frozenset({"pos_loss", "pos_profit"})
TIED = frozenset({"pos_loss", "pos_profit", "loss_plan", "profit_plan", "moving_plan"})
"""Plan orders of a position: they can only make it smaller."""


def symbol(wire_id: str, names: Names) -> Symbol:
    """The symbol of a wire id; some answers echo it in lower case."""
    return names.symbol(wire_id.upper())


def changed_ms(changed: str | int | None, created_ms: int) -> int:
    """When a row changed last: when it was made, until it did."""
    text = str(changed or "")
    return int(text) if _MS.fullmatch(text) else created_ms


def order_status(text: str, filled: Decimal) -> ExchangeStatus:
    """The state of an order; a word we do not know is taken as still open: it may yet have an effect."""
    unknown = ExchangeStatus.PARTIAL if filled else ExchangeStatus.OPEN
    return ORDER_STATUS.get(text.lower(), unknown)


def stop_status(text: str) -> StopStatus:
    """The state of a stop; an unknown word counts neither as protection nor as gone: TRIGGERING."""
    return STOP_STATUS.get(text.lower(), StopStatus.TRIGGERING)


def stop_kind(text: str) -> StopKind:
    """What a plan order is for. A `normal_plan` may open as well as close, and rows do not say which: it
    and what is unknown never count as protection."""
    return STOP_KINDS.get(text, StopKind.TAKE_PROFIT)


def trigger_source(text: str | None) -> TriggerSource:
    """What sets a stop off; the exchange's default, the last price, when the word is new to us."""
    return TriggerSource.MARK if text == "mark_price" else TriggerSource.LAST


def hedged(pos_mode: str) -> bool:
    return word(POSITION_MODES, pos_mode, "position mode") is PositionMode.HEDGE


def traded(pos_mode: str, pos_side: str | None, trade_side: str, side: str) -> tuple[Side, PositionSide]:
    """What is bought or sold, and for which position. Rows without `posSide` say it by `side`."""
    said = word(SIDES, side.lower(), "side")
    if not hedged(pos_mode):
        return said, PositionSide.BOTH
    held = word(HELD, pos_side.lower(), "position side") if pos_side else OPENED_BY[said]
    return (OPENING[held] if opens(trade_side) else OPENING[held].opposite), held


def opens(trade_side: str) -> bool:
    """Whether an order of hedge mode opens; forced ones have long words with `close` in them."""
    text = trade_side.lower()
    if text != "open" and "close" not in text:
        raise BadAnswer(f"expected a known trade side, found {trade_side[:40]!r}")
    return text == "open"


# --- rows to domain ------------------------------------------------------------------------------


def position(row: wire.PositionRow, names: Names) -> Position | None:
    """A position, or None for a flat row. `holdSide` says the direction in one-way mode, too."""
    held = word(HELD, row.holdSide.lower(), "side of a position")
    size = amount(row.total)
    if not size:
        return None
    return Position(
        symbol=symbol(row.symbol, names),
        side=held if hedged(row.posMode) else PositionSide.BOTH,
        quantity=size if held is PositionSide.LONG else -size,
        entry_price=amount(row.openPriceAvg),
        mark_price=amount(row.markPrice),
        unrealized_pnl=number(row.unrealizedPL or "0"),
        liquidation_price=max(ZERO, number(row.liquidationPrice or "0")),
        leverage=row.leverage,
        margin_mode=word(MARGIN_MODES, row.marginMode.lower(), "margin mode"),
        updated_ms=changed_ms(row.uTime, row.cTime),
    )


def position_stop(row: wire.PositionRow, names: Names) -> Stop | None:
    """The whole-position stop that a position names, with all that is known of it there."""
    held = position(row, names)
    if held is None or not row.stopLossId or not row.stopLoss:
        return None
    return Stop(
        symbol=held.symbol,
        stop_id=row.stopLossId,
        client_id="",
        kind=StopKind.STOP,
        market=True,
        side=held.direction.closing,
        position_side=held.side,
        trigger_price=price(row.stopLoss),
        trigger_source=TriggerSource.LAST,  # it does not say; ours say MARK in the list
        quantity=ZERO,
        close_position=True,
        reduce_only=True,
        status=StopStatus.LIVE,
        created_ms=0,
        updated_ms=held.updated_ms,
    )


def balance(rows: Rows[wire.BalanceRow], currency: str) -> Balance:
    """The balance in *currency*; raises `BadAnswer` when the account does not list it."""
    row = next((row for row in rows.values if row.marginCoin == currency), None)
    if row is None:
        raise BadAnswer(f"expected a balance in {currency}, found none in the account")
    equity = number(row.accountEquity)
    return Balance(
        currency=currency,
        wallet=equity - number(row.unrealizedPL or "0"),
        equity=equity,
        available=number(row.crossedMaxAvailable or row.available or "0"),
        maintenance_margin=max(ZERO, equity) * amount_or_zero(row.crossedRiskRate),
    )


def transfer(row: wire.BillRow) -> Transfer:
    """A bill of money that came in or went out; its sign says which."""
    return Transfer(transfer_id=row.billId, currency=row.coin, change=number(row.amount), at_ms=row.cTime)


def account_config(read: dict[Symbol, wire.AccountData], *, can_trade: bool) -> AccountConfig:
    """What the account's answers for some symbols say together; they must agree on the position mode."""
    modes = {word(POSITION_MODES, row.posMode, "position mode") for row in read.values()}
    if len(modes) != 1:
        raise BadAnswer(f"expected one position mode, found {len(modes)}")
    return AccountConfig(
        position_mode=modes.pop(),
        can_trade=can_trade,
        multi_assets=any(row.assetMode == "union" for row in read.values()),
        leverage={symbol: leverage(row) for symbol, row in read.items()},
        margin_mode={symbol: margin_mode(row.marginMode) for symbol, row in read.items()},
    )


def margin_mode(text: str) -> MarginMode:
    return word(MARGIN_MODES, text.lower(), "margin mode")


def leverage(row: wire.AccountData) -> int:
    """Of the symbol; the higher one where isolated sides differ."""
    if margin_mode(row.marginMode) is MarginMode.CROSS:
        return row.crossedMarginLeverage
    return max(row.isolatedLongLever, row.isolatedShortLever)


def order(row: wire.OrderRow, names: Names) -> Order:
    """A regular order, of a list or of order/detail."""
    filled = amount_or_zero(row.baseVolume)
    side, held = traded(row.posMode, row.posSide, row.tradeSide, row.side)
    closes = held is not PositionSide.BOTH and side is not OPENING[held]
    return Order(
        symbol=symbol(row.symbol, names),
        order_id=row.orderId,
        client_id=row.clientOid or "",
        side=side,
        position_side=held,
        type=OrderType.MARKET if row.orderType.lower() == "market" else OrderType.LIMIT,
        status=order_status(row.status or row.state or "", filled),
        quantity=amount(row.size),
        filled=filled,
        average_price=amount_or_zero(row.priceAvg),
        price=amount_or_zero(row.price),
        reduce_only=closes or (row.reduceOnly or "").lower() == "yes",
        updated_ms=changed_ms(row.uTime, row.cTime),
    )


def stop(row: wire.PlanRow, names: Names) -> Stop:
    """A plan order of any family."""
    side, held = traded(row.posMode, row.posSide, row.tradeSide, row.side)
    whole = row.planType in WHOLE
    execute = amount_or_zero(row.executePrice)
    return Stop(
        symbol=symbol(row.symbol, names),
        stop_id=row.orderId,
        client_id=row.clientOid or "",
        kind=stop_kind(row.planType),
        market=not execute,
        side=side,
        position_side=held,
        trigger_price=amount_or_zero(row.triggerPrice),
        trigger_source=trigger_source(row.triggerType),
        quantity=ZERO if whole else amount_or_zero(row.size),
        close_position=whole,
        reduce_only=row.planType in TIED,
        status=stop_status(row.planStatus),
        created_ms=row.cTime,
        updated_ms=changed_ms(row.uTime, row.cTime),
        order_id=row.executeOrderId or "",
    )


def fill(row: wire.FillRow, names: Names) -> Fill:
    """One row of the list of fills. A fee is negative there when it was paid."""
    side, held = traded(row.posMode, None, row.tradeSide, row.side)
    fees = row.feeDetail or []
    return Fill(
        symbol=symbol(row.symbol, names),
        trade_id=row.tradeId,
        order_id=row.orderId,
        client_id="",
        side=side,
        position_side=held,
        price=price(row.price),
        quantity=amount(row.baseVolume),
        fee=-sum((number(fee.totalFee or "0") for fee in fees), ZERO),
        fee_currency=fees[0].feeCoin if fees else "",
        realized_pnl=number(row.profit or "0"),
        maker=row.tradeScope == "maker",
        at_ms=row.cTime,
    )


def mark(row: wire.TickerRow, heard_ms: int) -> Mark:
    """A mark price asked for by REST."""
    return Mark(price=price(row.markPrice), exchange_ms=row.ts, heard_ms=heard_ms, source="rest")


def quote(row: wire.TickerRow, asked_ms: int) -> Quote:
    """Best bid and ask; raises `BadAnswer` where nothing stands on a side."""
    if not (amount_or_zero(row.bidSz) and amount_or_zero(row.askSz)):
        raise BadAnswer(f"expected orders on both sides, found {row.bidSz!r} and {row.askSz!r}")
    return Quote(bid=price(row.bidPr or ""), ask=price(row.askPr or ""), asked_ms=asked_ms)


def candles(body: bytes, length_ms: int, exchange_now_ms: int) -> tuple[Candle, ...]:
    """Bars oldest first; raises `BadAnswer` when they are out of order or no prices."""
    bars = (
        Candle(
            open_ms=row.open_ms,
            open=price(row.open),
            high=price(row.high),
            low=price(row.low),
            close=price(row.close),
            volume=amount(row.volume),
            closed=row.open_ms + length_ms <= exchange_now_ms,
        )
        for row in BARS.read(data(body))
    )
    return sane_bars(bars)


def rows(table: Table[T], body: bytes, convert: Callable[[T], R | None]) -> Rows[R]:
    """The rows of an answer that is a list."""
    return table.read(bytes(data(body)), convert)


def orders_page(table: Table[T], body: bytes, convert: Callable[[T], R | None]) -> tuple[Rows[R], str]:
    """The rows of a page of orders or plans, and where the next begins ("": this was the last)."""
    page = ORDERS_PAGE.read(data(body))
    return table.read_raw(page.entrustedList or [], convert), page.endId or ""
