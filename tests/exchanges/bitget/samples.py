"""Answers of Bitget as the exchange sheet shows them, and names to read them with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from holdfast.domain.symbol import Symbol
from holdfast.exchanges.names import Names

RECORDED = Path(__file__).parents[4] / "shared" / "exchanges" / "fixtures" / "bitget-response.json"
"""The recorded answers, beside the checkout; tests that need them are skipped without."""
BTC = Symbol("BTC", "USDT", "USDT")
NAMES = Names({"BTCUSDT": BTC})
CREATED_MS = 1_700_719_887_120


def answered(data: Any) -> bytes:
    return json.dumps({"code": "00000", "msg": "success", "requestTime": 1, "data": data}).encode()


POSITION = {
    "marginCoin": "USDT",
    "symbol": "BTCUSDT",
    "holdSide": "short",
    "total": "0.002",
    "leverage": "10",
    "openPriceAvg": "60000",
    "marginMode": "crossed",
    "posMode": "one_way_mode",
    "unrealizedPL": "0.5",
    "liquidationPrice": "65000.1",
    "markPrice": "59750",
    "stopLoss": "61000",
    "stopLossId": "1272849518383902721",
    "cTime": str(CREATED_MS),
    "uTime": str(CREATED_MS + 1),
}
BALANCE = {
    "marginCoin": "USDT",
    "locked": "0.3",
    "available": "1000",
    "crossedMaxAvailable": "900",
    "maxTransferOut": "860",
    "accountEquity": "1005",
    "crossedRiskRate": "0.01",
    "unrealizedPL": "5",
    "crossedUnrealizedPL": None,
}
ACCOUNT = {
    "marginCoin": "USDT",
    "crossedMarginLeverage": 20,
    "isolatedLongLever": 5,
    "isolatedShortLever": 7,
    "marginMode": "crossed",
    "posMode": "one_way_mode",
    "assetMode": "single",
}
ORDER = {
    "symbol": "BTCUSDT",
    "size": "0.001",
    "orderId": "1111465253393825792",
    "clientOid": "hf-1",
    "baseVolume": "0",
    "price": "27000",
    "priceAvg": "",
    "status": "live",
    "side": "buy",
    "posSide": "long",
    "orderType": "limit",
    "reduceOnly": "NO",
    "tradeSide": "open",
    "posMode": "hedge_mode",
    "cTime": str(CREATED_MS),
    "uTime": str(CREATED_MS),
}
PLAN = {
    "planType": "pos_loss",
    "symbol": "BTCUSDT",
    "size": "0",
    "orderId": "1272849518383902721",
    "clientOid": "hf-stop",
    "price": "0",
    "executePrice": "0",
    "triggerPrice": "25000",
    "triggerType": "mark_price",
    "planStatus": "live",
    "side": "sell",
    "posSide": "net",
    "tradeSide": "sell_single",
    "posMode": "one_way_mode",
    "orderType": "market",
    "stopLossTriggerPrice": "25000",
    "cTime": str(CREATED_MS),
    "uTime": str(CREATED_MS),
}
FILL = {
    "tradeId": "1111468664328269825",
    "symbol": "BTCUSDT",
    "orderId": "1111468664264753162",
    "price": "37271.4",
    "baseVolume": "0.001",
    "feeDetail": [
        {"deduction": "no", "feeCoin": "USDT", "totalDeductionFee": None, "totalFee": "-0.02236284"}
    ],
    "side": "buy",
    "profit": "-0.0007",
    "tradeSide": "close",
    "posMode": "hedge_mode",
    "tradeScope": "taker",
    "cTime": str(CREATED_MS),
}
TICKER = {
    "symbol": "BTCUSDT",
    "lastPr": "104823.8",
    "askPr": "104823.8",
    "bidPr": "104823.5",
    "bidSz": "0.703",
    "askSz": "13.894",
    "ts": str(CREATED_MS),
    "markPrice": "104824.2",
}
CONTRACT = {
    "symbol": "BTCUSDT",
    "baseCoin": "BTC",
    "quoteCoin": "USDT",
    "supportMarginCoins": ["USDT"],
    "minTradeNum": "0.0001",
    "priceEndStep": "5",
    "volumePlace": "4",
    "pricePlace": "1",
    "sizeMultiplier": "0.0001",
    "symbolType": "perpetual",
    "minTradeUSDT": "5",
    "symbolStatus": "normal",
    "maxMarketOrderQty": "220",
    "maxOrderQty": "1200",
}
BAR = [str(CREATED_MS), "100", "110", "90", "105", "3", "300"]
