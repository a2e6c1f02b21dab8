"""Bitget's JSON as it is on the wire: field names are theirs, types are checked, new fields ignored.

Amounts stay text here (`decoding.number` reads them); they may be empty or null. Integers come as
digits in quotes or bare. Sources: exchange sheet §3 (REST) and §7 (streams).
"""

# ruff: noqa: N815  (the field names are the exchange's)

from __future__ import annotations

from typing import Annotated

import msgspec

Text = Annotated[str, msgspec.Meta(max_length=64)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Ms = Annotated[int, msgspec.Meta(ge=0, le=100_000_000_000_000)]
"""Milliseconds since 1970, up to the year 5138: later times break date arithmetic elsewhere."""

Moment = Text | int | None
"""The same where it may be empty."""


class Envelope(msgspec.Struct):
    """Every answer: "00000" is success, under any HTTP status."""

    code: str | int
    data: msgspec.Raw
    msg: str | None = None


class TimeData(msgspec.Struct):
    serverTime: Ms


# --- account -------------------------------------------------------------------------------------


class PositionRow(msgspec.Struct):
    symbol: Text
    holdSide: Text
    posMode: Text
    total: Text
    openPriceAvg: Text
    markPrice: Text
    leverage: Count
    marginMode: Text
    cTime: Ms
    unrealizedPL: Text | None = None
    liquidationPrice: Text | None = None
    stopLoss: Text | None = None
    stopLossId: Text | None = None
    uTime: Moment = None


class BalanceRow(msgspec.Struct):
    marginCoin: Text
    accountEquity: Text
    available: Text | None = None
    crossedMaxAvailable: Text | None = None
    unrealizedPL: Text | None = None
    crossedRiskRate: Text | None = None


class AccountData(msgspec.Struct):
    """What holds for one symbol."""

    marginMode: Text
    posMode: Text
    crossedMarginLeverage: Count
    isolatedLongLever: Count
    isolatedShortLever: Count
    assetMode: Text | None = None


class LeverageData(msgspec.Struct):
    symbol: Text
    marginMode: Text
    longLeverage: Count | None = None
    shortLeverage: Count | None = None
    crossMarginLeverage: Count | None = None


class MarginModeData(msgspec.Struct):
    symbol: Text
    marginMode: Text


# --- orders --------------------------------------------------------------------------------------


class AckData(msgspec.Struct):
    """An order was taken; the id may be missing when a reduce-only order displaced others."""

    clientOid: Text | None = None
    orderId: Text | None = None


class OrderRow(msgspec.Struct):
    """A regular order; only order/detail calls its status `state`."""

    symbol: Text
    orderId: Text
    size: Text
    side: Text
    tradeSide: Text
    posMode: Text
    orderType: Text
    cTime: Ms
    clientOid: Text | None = None
    posSide: Text | None = None
    baseVolume: Text | None = None
    price: Text | None = None
    priceAvg: Text | None = None
    reduceOnly: Text | None = None
    status: Text | None = None
    state: Text | None = None
    uTime: Moment = None


class PlanRow(msgspec.Struct):
    """A plan order, waiting or over."""

    planType: Text
    symbol: Text
    orderId: Text
    side: Text
    tradeSide: Text
    posMode: Text
    planStatus: Text
    triggerPrice: Text
    cTime: Ms
    clientOid: Text | None = None
    size: Text | None = None
    executePrice: Text | None = None
    triggerType: Text | None = None
    posSide: Text | None = None
    orderType: Text | None = None
    executeOrderId: Text | None = None
    uTime: Moment = None


class OrdersPage(msgspec.Struct):
    """A page of orders or plans; the list is null when there are none."""

    entrustedList: list[msgspec.Raw] | None
    endId: Text | None = None


class FillsPage(msgspec.Struct):
    fillList: list[msgspec.Raw] | None
    endId: Text | None = None


class BillsPage(msgspec.Struct):
    bills: list[msgspec.Raw] | None
    endId: Text | None = None


class BillRow(msgspec.Struct):
    billId: Text
    coin: Text
    amount: Text
    cTime: Ms


class FeeDetail(msgspec.Struct):
    feeCoin: Text = ""
    totalFee: Text | None = None


class FillRow(msgspec.Struct):
    """An execution; it carries neither the position's side nor a client id."""

    tradeId: Text
    symbol: Text
    orderId: Text
    price: Text
    baseVolume: Text
    side: Text
    tradeSide: Text
    posMode: Text
    cTime: Ms
    profit: Text | None = None
    tradeScope: Text = ""
    feeDetail: list[FeeDetail] | None = None


class CancelledRow(msgspec.Struct):
    orderId: Text | None = None
    clientOid: Text | None = None
    errorMsg: Annotated[str, msgspec.Meta(max_length=400)] = ""
    errorCode: Text = ""


class CancelledData(msgspec.Struct):
    """Both lists are empty when the planType was another: that is no success."""

    successList: list[CancelledRow] | None = None
    failureList: list[CancelledRow] | None = None


# --- markets -------------------------------------------------------------------------------------


class TickerRow(msgspec.Struct):
    symbol: Text
    markPrice: Text
    ts: Ms
    bidPr: Text | None = None
    askPr: Text | None = None
    bidSz: Text | None = None
    askSz: Text | None = None


class BarRow(msgspec.Struct, array_like=True):
    open_ms: Ms
    open: Text
    high: Text
    low: Text
    close: Text
    volume: Text


class ContractRow(msgspec.Struct):
    symbol: Text
    baseCoin: Text
    quoteCoin: Text
    supportMarginCoins: list[Text]
    minTradeNum: Text
    sizeMultiplier: Text
    pricePlace: Annotated[int, msgspec.Meta(ge=0, le=18)]
    priceEndStep: Text
    symbolType: Text
    symbolStatus: Text
    minTradeUSDT: Text | None = None
    maxOrderQty: Text | None = None
    maxMarketOrderQty: Text | None = None


# --- streams -------------------------------------------------------------------------------------


class Arg(msgspec.Struct):
    channel: Text = ""
    instId: Text | None = None


class Frame(msgspec.Struct):
    """What a socket tells: an answer to us (`event`), or a push (`action`)."""

    event: Text | None = None
    action: Text | None = None
    arg: Arg | None = None
    code: Text | int | None = None
    msg: Annotated[str, msgspec.Meta(max_length=400)] | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    ts: Ms = 0


class OrderEvent(msgspec.Struct):
    """An order changed; `baseVolume` is this execution's, `accBaseVolume` the order's."""

    instId: Text
    orderId: Text
    size: Text
    side: Text
    tradeSide: Text
    posMode: Text
    orderType: Text
    status: Text
    cTime: Ms
    clientOid: Text | None = None
    posSide: Text | None = None
    accBaseVolume: Text | None = None
    price: Text | None = None
    priceAvg: Text | None = None
    reduceOnly: Text | None = None
    tradeId: Text | None = None
    uTime: Moment = None


class PlanEvent(msgspec.Struct):
    instId: Text
    orderId: Text
    planType: Text
    side: Text
    tradeSide: Text
    posMode: Text
    status: Text
    triggerPrice: Text
    cTime: Ms
    clientOid: Text | None = None
    size: Text | None = None
    executePrice: Text | None = None
    triggerType: Text | None = None
    posSide: Text | None = None
    uTime: Moment = None


class PositionEvent(msgspec.Struct):
    instId: Text
    holdSide: Text
    posMode: Text
    total: Text
    openPriceAvg: Text


class TickerEvent(msgspec.Struct):
    instId: Text
    markPrice: Text
    ts: Ms
