"""Every REST endpoint: who may call it, how often, who answers (exchange sheet §3, §8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from holdfast.simulator.bingx import account, lists, market, trade
from holdfast.simulator.bingx.venue import Call

Handler = Callable[[Call], object]


class Door(StrEnum):
    """What a caller must show."""

    NOTHING = "nothing"
    KEY = "key"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class Route:
    handler: Handler
    per_second: int = 5
    """Requests of an account."""
    door: Door = Door.SIGNATURE
    orders: int = 0
    """How many orders it places, for the log of arrivals."""
    trades: bool = False
    """It needs a key that may trade."""


def _public(handler: Handler) -> Route:
    return Route(handler, door=Door.NOTHING)


def _trading(handler: Handler, per_second: int, orders: int = 0) -> Route:
    return Route(handler, per_second, orders=orders, trades=True)


_MARKET: Mapping[tuple[str, str], Route] = {
    ("GET", "swap/v2/server/time"): _public(market.server_time),
    ("GET", "swap/v2/quote/contracts"): _public(market.contracts),
    ("GET", "swap/v2/quote/ticker"): _public(market.ticker),
    ("GET", "swap/v2/quote/depth"): _public(market.depth),
    ("GET", "swap/v2/quote/trades"): _public(market.trades),
    ("GET", "swap/v1/market/historicalTrades"): _public(market.historical_trades),
    ("GET", "swap/v3/quote/klines"): _public(market.klines),
    ("GET", "swap/v2/quote/klines"): _public(market.klines),
    ("GET", "swap/v1/market/markPriceKlines"): _public(market.mark_klines),
    ("GET", "swap/v2/quote/premiumIndex"): _public(market.premium_index),
    ("GET", "swap/v2/quote/fundingRate"): _public(market.funding_rates),
    ("GET", "swap/v2/quote/openInterest"): _public(market.open_interest),
    ("GET", "swap/v2/quote/bookTicker"): _public(market.book_ticker),
    ("GET", "swap/v1/ticker/price"): _public(market.ticker_price),
    ("GET", "swap/v2/quote/price"): _public(market.ticker_price),
}

_ACCOUNT: Mapping[tuple[str, str], Route] = {
    ("GET", "swap/v3/user/balance"): Route(account.balance),
    ("GET", "swap/v2/user/positions"): Route(account.positions, 10),
    ("GET", "swap/v2/user/commissionRate"): Route(account.commission_rate),
    ("GET", "swap/v2/user/income"): Route(account.income),
    ("GET", "swap/v1/maintMarginRatio"): Route(account.maint_margin_ratio),
    ("GET", "swap/v2/trade/leverage"): Route(account.get_leverage),
    ("POST", "swap/v2/trade/leverage"): _trading(account.post_leverage, 5),
    ("GET", "swap/v2/trade/marginType"): Route(account.get_margin_type, 2),
    ("POST", "swap/v2/trade/marginType"): _trading(account.post_margin_type, 2),
    ("GET", "swap/v1/positionSide/dual"): Route(account.get_dual, 2),
    ("POST", "swap/v1/positionSide/dual"): _trading(account.post_dual, 4),
    ("POST", "swap/v2/trade/positionMargin"): _trading(account.post_position_margin, 2),
    ("GET", "swap/v1/positionMargin/history"): Route(account.margin_history, 2),
    ("GET", "swap/v1/trade/assetMode"): Route(account.get_asset_mode, 2),
}

_TRADE: Mapping[tuple[str, str], Route] = {
    ("POST", "swap/v2/trade/order"): _trading(trade.post_order, 10, 1),
    ("POST", "swap/v2/trade/order/test"): _trading(trade.post_test, 5),
    ("POST", "swap/v2/trade/batchOrders"): _trading(trade.post_batch, 5, 5),
    ("DELETE", "swap/v2/trade/order"): _trading(trade.delete_order, 10),
    ("DELETE", "swap/v2/trade/batchOrders"): _trading(trade.delete_batch, 5),
    ("DELETE", "swap/v2/trade/allOpenOrders"): _trading(trade.delete_all, 5),
    ("POST", "swap/v2/trade/cancelAllAfter"): _trading(trade.cancel_all_after, 2),
    ("POST", "swap/v1/trade/cancelReplace"): _trading(trade.cancel_replace, 5, 1),
    ("POST", "swap/v1/trade/amend"): _trading(trade.amend, 5, 1),
    ("POST", "swap/v2/trade/closeAllPositions"): _trading(trade.close_all, 5, 1),
    ("POST", "swap/v1/trade/closePosition"): _trading(trade.close_position, 5, 1),
    ("GET", "swap/v2/trade/order"): Route(lists.get_order, 30),
    ("GET", "swap/v2/trade/openOrder"): Route(lists.get_open_order),
    ("GET", "swap/v2/trade/openOrders"): Route(lists.get_open_orders),
    ("GET", "swap/v2/trade/allOrders"): Route(lists.get_all_orders),
    ("GET", "swap/v1/trade/fullOrder"): Route(lists.get_full_order),
    ("GET", "swap/v2/trade/allFillOrders"): Route(lists.get_all_fills),
    ("GET", "swap/v2/trade/fillHistory"): Route(lists.get_fill_history),
    ("GET", "swap/v1/trade/positionHistory"): Route(lists.get_position_history),
    ("GET", "swap/v2/trade/forceOrders"): Route(lists.get_force_orders),
}

_STREAM: Mapping[tuple[str, str], Route] = {
    ("POST", "user/auth/userDataStream"): Route(account.post_listen_key, 2, Door.KEY),
    ("PUT", "user/auth/userDataStream"): Route(account.put_listen_key, 2, Door.KEY),
    ("DELETE", "user/auth/userDataStream"): Route(account.delete_listen_key, 2, Door.KEY),
}

# What clients call on their way to the swap API, answered emptily (sheet §8).
_NEIGHBOURS: Mapping[tuple[str, str], Route] = {
    ("GET", "cswap/v1/market/contracts"): _public(market.no_rows),
    ("GET", "spot/v1/common/symbols"): _public(market.no_symbols),
    ("GET", "wallets/v1/capital/config/getall"): Route(market.no_currencies),
}

ROUTES: Mapping[tuple[str, str], Route] = {
    (method, f"/openApi/{path}"): route
    for (method, path), route in {**_MARKET, **_ACCOUNT, **_TRADE, **_STREAM, **_NEIGHBOURS}.items()
}
