"""Binance's answers as domain values. Hostile input: every fault is a `BadAnswer`, nothing else.

Tolerant where the exchange may grow (new fields, unknown states), strict where money is: an amount
is plain digits within sane bounds, or the row is bad.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

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
from holdfast.exchanges.binance import wire
from holdfast.exchanges.decoding import (
    BadAnswer,
    Reader,
    Table,
    amount,
    amount_or_zero,
    number,
    price,
    sane_bars,
    signed,
    word,
)
from holdfast.exchanges.names import Names

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
POSITION_SIDES = {"BOTH": PositionSide.BOTH, "LONG": PositionSide.LONG, "SHORT": PositionSide.SHORT}
MARGIN_MODES = {
    "CROSSED": MarginMode.CROSS,
    "CROSS": MarginMode.CROSS,
    "ISOLATED": MarginMode.ISOLATED,
}
ORDER_STATUS = {
    "NEW": ExchangeStatus.OPEN,
    "PARTIALLY_FILLED": ExchangeStatus.PARTIAL,
    "FILLED": ExchangeStatus.FILLED,
    "CANCELED": ExchangeStatus.CANCELLED,
    "EXPIRED": ExchangeStatus.EXPIRED,
    "EXPIRED_IN_MATCH": ExchangeStatus.EXPIRED,
    "REJECTED": ExchangeStatus.REJECTED,
    "NEW_INSURANCE": ExchangeStatus.OPEN,
    "NEW_ADL": ExchangeStatus.OPEN,
}
STOP_STATUS = {
    "NEW": StopStatus.LIVE,
    "TRIGGERING": StopStatus.TRIGGERING,
    "TRIGGERED": StopStatus.TRIGGERED,
    "FINISHED": StopStatus.FINISHED,
    "CANCELED": StopStatus.CANCELLED,
    "EXPIRED": StopStatus.EXPIRED,
    "REJECTED": StopStatus.REJECTED,
}
STOP_KINDS = {
    "STOP": StopKind.STOP,
    "STOP_MARKET": StopKind.STOP,
    "TAKE_PROFIT": StopKind.TAKE_PROFIT,
    "TAKE_PROFIT_MARKET": StopKind.TAKE_PROFIT,
    "TRAILING_STOP_MARKET": StopKind.TRAILING,
}


def order_status(text: str, filled: Decimal) -> ExchangeStatus:
    """The state of an order; a word we do not know is taken as still open: it may yet have an effect."""
    unknown = ExchangeStatus.PARTIAL if filled else ExchangeStatus.OPEN
    return ORDER_STATUS.get(text, unknown)


def stop_status(text: str) -> StopStatus:
    """The state of a stop; an unknown word counts neither as protection nor as gone: TRIGGERING."""
    return STOP_STATUS.get(text, StopStatus.TRIGGERING)


def stop_kind(text: str) -> StopKind:
    """What a conditional order is for; an unknown kind never counts as protection."""
    return STOP_KINDS.get(text, StopKind.TAKE_PROFIT)


def side(text: str) -> Side:
    """Buy or sell, or `BadAnswer`."""
    return word(SIDES, text, "side")


def position_side(text: str) -> PositionSide:
    """Which position is meant, or `BadAnswer`."""
    return word(POSITION_SIDES, text, "position side")


def order_type(text: str) -> OrderType:
    """Market or limit; what a triggered or forced order is called contains the word."""
    return OrderType.MARKET if "MARKET" in text else OrderType.LIMIT


POSITIONS = Table(wire.PositionRow)
ORDERS = Table(wire.OrderRow)
ALGOS = Table(wire.AlgoRow)
SYMBOL_CONFIGS = Table(wire.SymbolConfigRow)
TRADES = Table(wire.TradeRow)
INCOMES = Table(wire.IncomeRow)
KLINES: Reader[list[wire.KlineRow]] = Reader(list[wire.KlineRow])
PREMIUMS = Table(wire.PremiumRow)
BOOK_TICKERS = Table(wire.BookTickerRow)
ORDER = Reader(wire.OrderRow)
ALGO = Reader(wire.AlgoRow)
ALGO_CANCEL = Reader(wire.AlgoCancelBody)
ACCOUNT = Reader(wire.AccountBody)
ACCOUNT_CONFIG = Reader(wire.AccountConfigBody)
LEVERAGE = Reader(wire.LeverageBody)
SUCCESS = Reader(wire.SuccessBody)
LISTEN_KEY = Reader(wire.ListenKeyBody)
TIME = Reader(wire.TimeBody)


# --- rows to domain ------------------------------------------------------------------------------


def position(row: wire.PositionRow, names: Names, config: AccountConfig | None) -> Position | None:
    """A position, or None for a flat row. Leverage and margin mode come from *config* when known.

    The v3 row carries neither; without *config* the mode is read off the isolated margin.
    """
    held = position_side(row.positionSide)
    quantity = signed(number(row.positionAmt), held)
    if not quantity:
        return None
    symbol = names.symbol(row.symbol)
    guess = MarginMode.ISOLATED if number(row.isolatedMargin) else MarginMode.CROSS
    return Position(
        symbol=symbol,
        side=held,
        quantity=quantity,
        entry_price=amount(row.entryPrice),
        mark_price=amount(row.markPrice),
        unrealized_pnl=number(row.unRealizedProfit),
        liquidation_price=amount_or_zero(row.liquidationPrice),
        leverage=config.leverage.get(symbol, 0) if config else 0,
        margin_mode=config.margin_mode.get(symbol, guess) if config else guess,
        updated_ms=row.updateTime,
    )


def balance(body: wire.AccountBody, currency: str) -> Balance:
    """The balance in *currency*; raises `BadAnswer` when the account does not list it."""
    for row in body.assets:
        if row.asset == currency:
            return Balance(
                currency=currency,
                wallet=number(row.walletBalance),
                equity=number(row.marginBalance),
                available=number(row.availableBalance),
                maintenance_margin=amount(row.maintMargin),
            )
    raise BadAnswer(f"expected a balance in {currency}, found none in the account")


def transfer(row: wire.IncomeRow) -> Transfer:
    return Transfer(
        transfer_id=str(row.tranId), currency=row.asset, change=number(row.income), at_ms=row.time
    )


def account_config(
    body: wire.AccountConfigBody, symbols: Iterable[tuple[Symbol, int, MarginMode]]
) -> AccountConfig:
    """Account-wide settings joined with those per symbol."""
    rows = tuple(symbols)
    return AccountConfig(
        position_mode=PositionMode.HEDGE if body.dualSidePosition else PositionMode.ONE_WAY,
        can_trade=body.canTrade,
        multi_assets=body.multiAssetsMargin,
        can_withdraw=body.canWithdraw,
        leverage={symbol: leverage for symbol, leverage, _ in rows},
        margin_mode={symbol: mode for symbol, _, mode in rows},
    )


def symbol_config(row: wire.SymbolConfigRow, names: Names) -> tuple[Symbol, int, MarginMode]:
    """Symbol, leverage and margin mode of one row."""
    mode = word(MARGIN_MODES, row.marginType.upper(), "margin type")
    return names.symbol(row.symbol), row.leverage, mode


def order(row: wire.OrderRow, names: Names) -> Order:
    """A regular order; the average price is 0 where the answer does not carry it (acknowledgements)."""
    filled = amount(row.executedQty)
    return Order(
        symbol=names.symbol(row.symbol),
        order_id=str(row.orderId),
        client_id=row.clientOrderId,
        side=side(row.side),
        position_side=position_side(row.positionSide),
        type=order_type(row.type),
        status=order_status(row.status, filled),
        quantity=amount(row.origQty),
        filled=filled,
        average_price=amount(row.avgPrice),
        price=amount(row.price),
        reduce_only=row.reduceOnly,
        updated_ms=row.updateTime,
    )


def stop(row: wire.AlgoRow, names: Names) -> Stop:
    """A conditional order of the algo book."""
    return Stop(
        symbol=names.symbol(row.symbol),
        stop_id=str(row.algoId),
        client_id=row.clientAlgoId,
        kind=stop_kind(row.orderType),
        market=row.orderType.endswith("MARKET"),
        side=side(row.side),
        position_side=position_side(row.positionSide),
        trigger_price=amount_or_zero(row.triggerPrice),
        trigger_source=trigger_source(row.workingType),
        quantity=ZERO if row.closePosition else amount_or_zero(row.quantity),
        close_position=row.closePosition,
        reduce_only=row.reduceOnly,
        status=stop_status(row.algoStatus),
        created_ms=row.createTime,
        updated_ms=row.updateTime,
        order_id=order_link(row.actualOrderId),
    )


def trigger_source(text: str) -> TriggerSource:
    """What sets a stop off; the exchange's default, the last price, when the word is new to us."""
    return TriggerSource.MARK if text == "MARK_PRICE" else TriggerSource.LAST


def order_link(value: str | int | None) -> str:
    """The id of the regular order a stop became; empty until then."""
    return "" if value in (None, "", "0", 0) else str(value)


def fill(row: wire.TradeRow, names: Names) -> Fill:
    """One row of the trade list; it carries no client id."""
    return Fill(
        symbol=names.symbol(row.symbol),
        trade_id=str(row.id),
        order_id=str(row.orderId),
        client_id="",
        side=side(row.side),
        position_side=position_side(row.positionSide),
        price=price(row.price),
        quantity=amount(row.qty),
        fee=number(row.commission),
        fee_currency=row.commissionAsset,
        realized_pnl=number(row.realizedPnl),
        maker=row.maker,
        at_ms=row.time,
    )


def mark(row: wire.PremiumRow, heard_ms: int) -> Mark:
    """A mark price asked for by REST."""
    return Mark(price=price(row.markPrice), exchange_ms=row.time, heard_ms=heard_ms, source="rest")


def quote(row: wire.BookTickerRow, asked_ms: int) -> Quote:
    """Best bid and ask; raises `BadAnswer` where nothing stands on a side."""
    if not (amount(row.bidQty) and amount(row.askQty)):
        raise BadAnswer(f"expected orders on both sides, found {row.bidQty[:40]!r} and {row.askQty[:40]!r}")
    return Quote(bid=price(row.bidPrice), ask=price(row.askPrice), asked_ms=asked_ms)


def candles(body: bytes, exchange_now_ms: int) -> tuple[Candle, ...]:
    """Bars oldest first; raises `BadAnswer` when they are out of order or no prices."""
    return sane_bars(_candle(row, exchange_now_ms) for row in KLINES.read(body))


def _candle(row: wire.KlineRow, exchange_now_ms: int) -> Candle:
    return Candle(
        open_ms=row.open_ms,
        open=price(row.open),
        high=price(row.high),
        low=price(row.low),
        close=price(row.close),
        volume=amount(row.volume),
        closed=row.close_ms < exchange_now_ms,
    )
