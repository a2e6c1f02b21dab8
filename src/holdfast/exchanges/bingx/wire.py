"""BingX's JSON as it is on the wire: field names are theirs, types are checked, new fields ignored.

Amounts come as text or as JSON numbers, by endpoint and by year: both are taken. Sources: exchange
sheet §3 (REST) and §7 (streams).
"""

# ruff: noqa: N815  (the field names are the exchange's)

from __future__ import annotations

from typing import Annotated

import msgspec

Text = Annotated[str, msgspec.Meta(max_length=64)]
Figure = Text | int | float
"""An amount; `decode.figure` reads it."""
Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""19 digits: beyond what a float keeps."""
Ms = Annotated[int, msgspec.Meta(ge=0, le=100_000_000_000_000)]
"""Milliseconds since 1970, up to the year 5138: later times break date arithmetic elsewhere."""
Flag = Text | bool
"""`true`, `"true"`, `"false"` or nothing at all."""
Leverage = Annotated[int, msgspec.Meta(ge=0, le=1000)]


class Envelope(msgspec.Struct):
    data: msgspec.Raw
    code: int = -1


class Done(msgspec.Struct):
    """An answer without data."""

    code: int


class TimeBody(msgspec.Struct):
    serverTime: Ms


# --- account -------------------------------------------------------------------------------------


class PositionRow(msgspec.Struct):
    symbol: Text
    positionSide: Text
    positionAmt: Figure
    avgPrice: Figure
    unrealizedProfit: Figure
    leverage: Leverage
    isolated: bool
    liquidationPrice: Figure = 0
    markPrice: Figure = 0
    updateTime: Ms = 0
    onlyOnePosition: bool | None = None


class BalanceRow(msgspec.Struct):
    asset: Text
    balance: Figure
    equity: Figure
    availableMargin: Figure


class PositionModeBody(msgspec.Struct):
    dualSidePosition: bool


class AssetModeBody(msgspec.Struct):
    assetMode: Text


class LeverageBody(msgspec.Struct):
    longLeverage: Leverage
    shortLeverage: Leverage


class LeverageSet(msgspec.Struct):
    symbol: Text
    leverage: Leverage


class MarginTypeBody(msgspec.Struct):
    marginType: Text


# --- orders --------------------------------------------------------------------------------------


class AckRow(msgspec.Struct):
    """What the exchange says of an order it has just taken; nothing of fills."""

    symbol: Text
    orderId: Id
    side: Text
    type: Text
    clientOrderID: Text = ""
    clientOrderId: Text = ""


class OrderRow(msgspec.Struct):
    symbol: Text
    orderId: Id
    side: Text
    positionSide: Text
    type: Text
    origQty: Figure
    price: Figure
    executedQty: Figure
    avgPrice: Figure
    status: Text
    time: Ms
    updateTime: Ms
    stopPrice: Figure = ""
    profit: Figure = ""
    clientOrderId: Text = ""
    workingType: Text = ""
    triggerOrderId: Text | int | None = 0
    reduceOnly: bool = False
    onlyOnePosition: bool | None = None
    closePosition: Flag = ""


class IncomeRow(msgspec.Struct):
    tranId: Id
    asset: Text
    income: Figure
    time: Ms


class FillRow(msgspec.Struct):
    symbol: Text
    tradeId: Id
    orderId: Id
    side: Text
    positionSide: Text
    price: Figure
    volume: Figure
    commission: Figure
    commissionAsset: Text
    filledTm: Text
    role: Text
    filledTime: Text = ""


# --- market --------------------------------------------------------------------------------------


class KlineRow(msgspec.Struct):
    time: Ms
    open: Figure
    high: Figure
    low: Figure
    close: Figure
    volume: Figure


class PremiumRow(msgspec.Struct):
    symbol: Text
    markPrice: Figure
    updateTime: Ms = 0


class TickerRow(msgspec.Struct):
    symbol: Text
    bidPrice: Figure
    bidQty: Figure
    askPrice: Figure
    askQty: Figure


class ContractRow(msgspec.Struct):
    symbol: Text
    asset: Text
    currency: Text
    quantityPrecision: Annotated[int, msgspec.Meta(ge=0, le=18)]
    pricePrecision: Annotated[int, msgspec.Meta(ge=0, le=18)]
    tradeMinQuantity: Figure
    tradeMinUSDT: Figure
    status: int
    apiStateOpen: Flag
    apiStateClose: Flag


# --- streams -------------------------------------------------------------------------------------


class ListenKeyBody(msgspec.Struct):
    listenKey: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class EventHead(msgspec.Struct):
    e: Annotated[str, msgspec.Meta(max_length=64)] = ""
    code: int = 0
    msg: str = ""
    dataType: Annotated[str, msgspec.Meta(max_length=64)] = ""


class OrderEventBody(msgspec.Struct):
    s: Text
    c: Text
    i: Id
    S: Text
    o: Text
    q: Figure
    p: Figure
    ap: Figure
    x: Text
    X: Text
    z: Figure
    ps: Text
    T: Ms = 0
    sp: Figure = 0
    wt: Text = ""
    N: Text | None = None
    n: Figure | None = None
    rp: Figure = 0
    l: Figure | None = None  # noqa: E741  (their name)
    L: Figure | None = None
    td: Id = 0
    ti: Id = 0
    ro: bool = False
    m: bool = False


class OrderEvent(msgspec.Struct):
    E: Ms
    o: OrderEventBody


class BalanceChange(msgspec.Struct):
    a: Text
    wb: Figure
    bc: Figure = 0


class PositionChange(msgspec.Struct):
    s: Text
    pa: Figure
    ep: Figure
    ps: Text


class AccountChanges(msgspec.Struct):
    m: Text
    B: list[BalanceChange] = []
    P: list[PositionChange] = []


class AccountEvent(msgspec.Struct):
    E: Ms
    a: AccountChanges


class SettingsRow(msgspec.Struct):
    s: Text
    l: Leverage  # noqa: E741  (their name)
    S: Leverage
    mt: Text


class SettingsEvent(msgspec.Struct):
    E: Ms
    ac: SettingsRow


class MarkRow(msgspec.Struct):
    E: Ms
    s: Text
    p: Figure


class MarkEvent(msgspec.Struct):
    data: MarkRow
