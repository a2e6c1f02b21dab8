"""Binance's JSON as it is on the wire: field names are theirs, types are checked, new fields ignored.

Amounts stay text here (`decode.number` reads them); integers may come as digits in quotes, which
recorded answers show. Sources: exchange sheet §3 (REST) and §7 (streams).
"""

# ruff: noqa: N815  (the field names are the exchange's)

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

Text = Annotated[str, msgspec.Meta(max_length=64)]
Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Ms = Annotated[int, msgspec.Meta(ge=0, le=100_000_000_000_000)]
"""Milliseconds since 1970, up to the year 5138: later times break date arithmetic elsewhere."""


class TimeBody(msgspec.Struct):
    serverTime: Ms


# --- account -------------------------------------------------------------------------------------


class PositionRow(msgspec.Struct):
    symbol: Text
    positionSide: Text
    positionAmt: Text
    entryPrice: Text
    markPrice: Text
    unRealizedProfit: Text
    liquidationPrice: Text
    updateTime: Ms
    isolatedMargin: Text = "0"


class AssetRow(msgspec.Struct):
    asset: Text
    walletBalance: Text
    marginBalance: Text
    availableBalance: Text
    maintMargin: Text = "0"


class AccountBody(msgspec.Struct):
    assets: list[AssetRow]


class AccountConfigBody(msgspec.Struct):
    canTrade: bool
    dualSidePosition: bool
    multiAssetsMargin: bool
    canWithdraw: bool | None = None


class SymbolConfigRow(msgspec.Struct):
    symbol: Text
    marginType: Text
    leverage: Annotated[int, msgspec.Meta(ge=0, le=1000)]


# --- orders --------------------------------------------------------------------------------------


class OrderRow(msgspec.Struct):
    orderId: Id
    symbol: Text
    status: Text
    clientOrderId: Text
    price: Text
    origQty: Text
    executedQty: Text
    type: Text
    side: Text
    positionSide: Text
    updateTime: Ms
    reduceOnly: bool
    avgPrice: Text = "0"


class AlgoRow(msgspec.Struct):
    algoId: Id
    clientAlgoId: Text
    orderType: Text
    symbol: Text
    side: Text
    positionSide: Text
    algoStatus: Text
    triggerPrice: Text
    workingType: Text
    closePosition: bool
    reduceOnly: bool
    createTime: Ms
    updateTime: Ms
    quantity: Text | None = None
    actualOrderId: Text | int | None = ""


class AlgoCancelBody(msgspec.Struct):
    algoId: Id
    code: int
    clientAlgoId: Text = ""


class LeverageBody(msgspec.Struct):
    symbol: Text
    leverage: Annotated[int, msgspec.Meta(ge=1, le=1000)]


class SuccessBody(msgspec.Struct):
    code: int


class TradeRow(msgspec.Struct):
    symbol: Text
    id: Id
    orderId: Id
    side: Text
    price: Text
    qty: Text
    realizedPnl: Text
    commission: Text
    commissionAsset: Text
    time: Ms
    positionSide: Text
    maker: bool


class IncomeRow(msgspec.Struct):
    tranId: Id
    asset: Text
    income: Text
    time: Ms


# --- market --------------------------------------------------------------------------------------


class KlineRow(msgspec.Struct, array_like=True):
    open_ms: Ms
    open: Text
    high: Text
    low: Text
    close: Text
    volume: Text
    close_ms: Ms


class PremiumRow(msgspec.Struct):
    symbol: Text
    markPrice: Text
    time: Ms


class BookTickerRow(msgspec.Struct):
    symbol: Text
    bidPrice: Text
    bidQty: Text
    askPrice: Text
    askQty: Text


class FilterRow(msgspec.Struct):
    filterType: Text
    tickSize: Text = ""
    stepSize: Text = ""
    minQty: Text = ""
    maxQty: Text = ""
    notional: Text = ""


class SymbolRow(msgspec.Struct):
    symbol: Text
    contractType: Text
    status: Text
    baseAsset: Text
    quoteAsset: Text
    marginAsset: Text
    filters: list[FilterRow]


class ExchangeInfoBody(msgspec.Struct):
    symbols: list[msgspec.Raw]


class BracketRow(msgspec.Struct):
    initialLeverage: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    notionalCap: Decimal
    notionalFloor: Decimal
    maintMarginRatio: Decimal
    cum: Decimal


class BracketsRow(msgspec.Struct):
    symbol: Text
    brackets: list[BracketRow]


# --- streams -------------------------------------------------------------------------------------


class ListenKeyBody(msgspec.Struct):
    listenKey: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class EventHead(msgspec.Struct):
    e: Annotated[str, msgspec.Meta(max_length=64)] = ""


class OrderEventBody(msgspec.Struct):
    s: Text
    c: Text
    S: Text
    o: Text
    q: Text
    p: Text
    ap: Text
    x: Text
    X: Text
    i: Id
    l: Text  # noqa: E741  (their name)
    z: Text
    L: Text
    T: Ms
    t: Id
    m: bool
    R: bool
    ps: Text
    rp: Text = "0"
    N: Text | None = None
    n: Text | None = None


class OrderEvent(msgspec.Struct):
    E: Ms
    T: Ms
    o: OrderEventBody


class AlgoEventBody(msgspec.Struct):
    caid: Text
    aid: Id
    o: Text
    s: Text
    S: Text
    ps: Text
    X: Text
    tp: Text
    wt: Text
    cp: bool
    R: bool
    q: Text | None = None
    ai: Text | int | None = ""


class AlgoEvent(msgspec.Struct):
    E: Ms
    T: Ms
    o: AlgoEventBody


class BalanceChange(msgspec.Struct):
    a: Text
    wb: Text
    bc: Text


class PositionChange(msgspec.Struct):
    s: Text
    pa: Text
    ep: Text
    ps: Text


class AccountChanges(msgspec.Struct):
    m: Text
    B: list[BalanceChange] = []
    P: list[PositionChange] = []


class AccountEvent(msgspec.Struct):
    E: Ms
    T: Ms
    a: AccountChanges


class LeverageChange(msgspec.Struct):
    s: Text
    l: Annotated[int, msgspec.Meta(ge=0, le=1000)]  # noqa: E741  (their name)


class ConfigEvent(msgspec.Struct):
    E: Ms
    ac: LeverageChange | None = None


class MarginCallRow(msgspec.Struct):
    s: Text


class MarginCallEvent(msgspec.Struct):
    E: Ms
    p: list[MarginCallRow]


class MarkEvent(msgspec.Struct):
    E: Ms
    s: Text
    p: Text
    e: Text = ""
    st: int = 1


class ControlReply(msgspec.Struct):
    """The answer to a SUBSCRIBE: a null result, or a code and words."""

    id: int | str | None = None
    code: int | None = None
    msg: str = ""
