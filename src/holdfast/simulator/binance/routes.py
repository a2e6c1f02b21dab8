"""Every REST endpoint: who may call it, what it weighs, who answers (exchange sheet §3, §8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from holdfast.simulator.binance import account, algo, market, trade, user_stream
from holdfast.simulator.binance.params import Params
from holdfast.simulator.binance.venue import Call

Handler = Callable[[Call], object]
Weight = int | Callable[[Params], int]


class Door(StrEnum):
    """What a caller must show."""

    NOTHING = "nothing"
    KEY = "key"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class Route:
    handler: Handler
    weight: Weight = 1
    door: Door = Door.SIGNATURE
    orders: tuple[int, int] = (0, 0)
    """What it counts against the order limits of 10 s and of a minute."""

    def weighs(self, params: Params) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(params)


def _one_or_all(one: int, every: int) -> Callable[[Params], int]:
    return lambda params: one if "symbol" in params else every


def _klines_weight(params: Params) -> int:
    """By limit: below 100, below 500, up to 1000, above."""
    text = params.text("limit", "500")
    limit = int(text) if text.isdigit() else 500
    return next(weight for most, weight in ((99, 1), (499, 2), (1000, 5), (limit, 10)) if limit <= most)


def _depth_weight(params: Params) -> int:
    text = params.text("limit", "500")
    return market.DEPTH_WEIGHTS.get(int(text) if text.isdigit() else 500, 10)


def _public(handler: Handler, weight: Weight = 1) -> Route:
    return Route(handler, weight, Door.NOTHING)


def _nothing(_call: Call) -> dict[str, object]:
    return {}


def _no_rows(_call: Call) -> list[object]:
    return []


def _no_symbols(call: Call) -> dict[str, object]:
    """Spot and coin-margined markets: there are none, and clients that ask are content."""
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": [],
    }


def _system_status(_call: Call) -> dict[str, object]:
    return {"status": 0, "msg": "normal"}


_ORDER = (1, 1)
_BATCH = (5, 1)

_MARKET: Mapping[tuple[str, str], Route] = {
    ("GET", "/fapi/v1/ping"): _public(market.ping),
    ("GET", "/fapi/v1/time"): _public(market.server_time),
    ("GET", "/fapi/v1/exchangeInfo"): _public(market.exchange_info),
    ("GET", "/fapi/v1/klines"): _public(market.klines, _klines_weight),
    ("GET", "/fapi/v1/continuousKlines"): _public(market.continuous_klines, _klines_weight),
    ("GET", "/fapi/v1/markPriceKlines"): _public(market.mark_klines, _klines_weight),
    ("GET", "/fapi/v1/indexPriceKlines"): _public(market.index_klines, _klines_weight),
    ("GET", "/fapi/v1/premiumIndexKlines"): _public(market.premium_klines, _klines_weight),
    ("GET", "/fapi/v1/depth"): _public(market.depth, _depth_weight),
    ("GET", "/fapi/v1/trades"): _public(market.trades, 5),
    ("GET", "/fapi/v1/historicalTrades"): Route(market.trades, 200, Door.KEY),
    ("GET", "/fapi/v1/aggTrades"): _public(market.agg_trades, 20),
    ("GET", "/fapi/v1/ticker/24hr"): _public(market.ticker_24h, _one_or_all(1, 40)),
    ("GET", "/fapi/v1/ticker/price"): _public(market.ticker_price, _one_or_all(1, 2)),
    ("GET", "/fapi/v2/ticker/price"): _public(market.ticker_price, _one_or_all(1, 2)),
    ("GET", "/fapi/v1/ticker/bookTicker"): _public(market.book_ticker, _one_or_all(2, 5)),
    ("GET", "/fapi/v1/premiumIndex"): _public(market.premium_index, _one_or_all(1, 10)),
    ("GET", "/fapi/v1/fundingRate"): _public(market.funding_rates, 0),
    ("GET", "/fapi/v1/fundingInfo"): _public(market.funding_info, 0),
    ("GET", "/fapi/v1/openInterest"): _public(market.open_interest),
    ("GET", "/fapi/v1/symbolAdlRisk"): _public(market.adl_risk),
}

_ACCOUNT: Mapping[tuple[str, str], Route] = {
    ("GET", "/fapi/v2/account"): Route(account.account_v2, 5),
    ("GET", "/fapi/v3/account"): Route(account.account_v3, 5),
    ("GET", "/fapi/v2/balance"): Route(account.balance, 5),
    ("GET", "/fapi/v3/balance"): Route(account.balance, 5),
    ("GET", "/fapi/v2/positionRisk"): Route(account.position_risk_v2, 5),
    ("GET", "/fapi/v3/positionRisk"): Route(account.position_risk_v3, 5),
    ("GET", "/fapi/v1/positionSide/dual"): Route(account.get_dual, 30),
    ("POST", "/fapi/v1/positionSide/dual"): Route(account.post_dual),
    ("GET", "/fapi/v1/multiAssetsMargin"): Route(account.get_multi_assets, 30),
    ("POST", "/fapi/v1/multiAssetsMargin"): Route(account.post_multi_assets),
    ("POST", "/fapi/v1/leverage"): Route(account.post_leverage),
    ("POST", "/fapi/v1/marginType"): Route(account.post_margin_type),
    ("POST", "/fapi/v1/positionMargin"): Route(account.post_position_margin),
    ("GET", "/fapi/v1/positionMargin/history"): Route(account.get_margin_history),
    ("GET", "/fapi/v1/leverageBracket"): Route(account.leverage_bracket),
    ("GET", "/fapi/v1/symbolConfig"): Route(account.symbol_config, 5),
    ("GET", "/fapi/v1/accountConfig"): Route(account.account_config, 5),
    ("GET", "/fapi/v1/commissionRate"): Route(account.commission_rate, 20),
    ("GET", "/fapi/v1/income"): Route(account.income, 30),
    ("GET", "/fapi/v1/rateLimit/order"): Route(account.rate_limit_order),
    ("GET", "/fapi/v1/adlQuantile"): Route(account.adl_quantile, 5),
    ("GET", "/fapi/v1/apiTradingStatus"): Route(account.api_trading_status, _one_or_all(1, 10)),
}

_TRADE: Mapping[tuple[str, str], Route] = {
    ("POST", "/fapi/v1/order"): Route(trade.post_order, 0, orders=_ORDER),
    ("PUT", "/fapi/v1/order"): Route(trade.put_order, 0, orders=_ORDER),
    ("GET", "/fapi/v1/order"): Route(trade.get_order),
    ("DELETE", "/fapi/v1/order"): Route(trade.delete_order),
    ("POST", "/fapi/v1/order/test"): Route(trade.post_order_test),
    ("POST", "/fapi/v1/batchOrders"): Route(trade.post_batch, 5, orders=_BATCH),
    ("PUT", "/fapi/v1/batchOrders"): Route(trade.put_batch, 5, orders=_BATCH),
    ("DELETE", "/fapi/v1/batchOrders"): Route(trade.delete_batch),
    ("GET", "/fapi/v1/openOrder"): Route(trade.get_open_order),
    ("GET", "/fapi/v1/openOrders"): Route(trade.get_open_orders, _one_or_all(1, 40)),
    ("GET", "/fapi/v1/allOrders"): Route(trade.get_all_orders, 5),
    ("DELETE", "/fapi/v1/allOpenOrders"): Route(trade.delete_all),
    ("POST", "/fapi/v1/countdownCancelAll"): Route(trade.countdown, 10),
    ("GET", "/fapi/v1/userTrades"): Route(trade.get_trades, 5),
    ("GET", "/fapi/v1/forceOrders"): Route(trade.get_force_orders, _one_or_all(20, 50)),
    ("POST", "/fapi/v1/algoOrder"): Route(algo.post_algo, 0, orders=_ORDER),
    ("GET", "/fapi/v1/algoOrder"): Route(algo.get_algo),
    ("DELETE", "/fapi/v1/algoOrder"): Route(algo.delete_algo),
    ("GET", "/fapi/v1/openAlgoOrders"): Route(algo.get_open_algos, _one_or_all(1, 40)),
    ("GET", "/fapi/v1/allAlgoOrders"): Route(algo.get_all_algos, 5),
    ("DELETE", "/fapi/v1/algoOpenOrders"): Route(algo.delete_all_algos),
}

_STREAM: Mapping[tuple[str, str], Route] = {
    ("POST", "/fapi/v1/listenKey"): Route(user_stream.post_key, 1, Door.KEY),
    ("PUT", "/fapi/v1/listenKey"): Route(user_stream.put_key, 1, Door.KEY),
    ("DELETE", "/fapi/v1/listenKey"): Route(user_stream.delete_key, 1, Door.KEY),
}

# What clients call on their way to the futures API, answered emptily (sheet §1, §8).
_NEIGHBOURS: Mapping[tuple[str, str], Route] = {
    ("GET", "/api/v3/ping"): _public(_nothing, 0),
    ("GET", "/api/v3/time"): _public(market.server_time, 0),
    ("GET", "/api/v3/exchangeInfo"): _public(_no_symbols, 0),
    ("GET", "/api/v3/openOrders"): Route(_no_rows, 0),
    ("GET", "/dapi/v1/exchangeInfo"): _public(_no_symbols, 0),
    ("GET", "/sapi/v1/system/status"): _public(_system_status, 0),
    ("GET", "/sapi/v1/capital/config/getall"): Route(_no_rows, 0),
    ("GET", "/sapi/v1/margin/allPairs"): Route(_no_rows, 0, Door.KEY),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): Route(_no_rows, 0, Door.KEY),
}

ROUTES: Mapping[tuple[str, str], Route] = {
    **_MARKET,
    **_ACCOUNT,
    **_TRADE,
    **_STREAM,
    **_NEIGHBOURS,
}
