"""Every REST endpoint: who may call it, how often, who answers (bitget.md §3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.simulator.bitget import account, market, plan_orders, tpsl, trade
from holdfast.simulator.bitget.venue import Call

Handler = Callable[[Call], object]
MIX = "/api/v2/mix"


@dataclass(frozen=True, slots=True)
class Route:
    handler: Handler
    per_second: int = 10
    signed: bool = True
    trades: bool = False
    """It needs the right to trade."""
    cancels: bool = False


def _public(handler: Handler, per_second: int = 20) -> Route:
    return Route(handler, per_second, signed=False)


def _trading(handler: Handler, per_second: int = 10, *, cancels: bool = False) -> Route:
    return Route(handler, per_second, trades=True, cancels=cancels)


_MARKET: Mapping[tuple[str, str], Route] = {
    ("GET", "/api/v2/public/time"): _public(market.server_time),
    ("GET", f"{MIX}/market/contracts"): _public(market.contracts),
    ("GET", f"{MIX}/market/ticker"): _public(market.ticker),
    ("GET", f"{MIX}/market/tickers"): _public(market.tickers),
    ("GET", f"{MIX}/market/symbol-price"): _public(market.symbol_price),
    ("GET", f"{MIX}/market/merge-depth"): _public(market.depth),
    ("GET", f"{MIX}/market/candles"): _public(market.candles),
    ("GET", f"{MIX}/market/history-candles"): _public(market.old_candles),
    ("GET", f"{MIX}/market/history-mark-candles"): _public(market.old_mark_candles),
    ("GET", f"{MIX}/market/history-index-candles"): _public(market.old_index_candles),
    ("GET", f"{MIX}/market/fills"): _public(market.trades),
    ("GET", f"{MIX}/market/fills-history"): _public(market.trades),
    ("GET", f"{MIX}/market/current-fund-rate"): _public(market.funding_rate),
    ("GET", f"{MIX}/market/funding-time"): _public(market.funding_time),
    ("GET", f"{MIX}/market/history-fund-rate"): _public(market.old_funding),
    ("GET", f"{MIX}/market/open-interest"): _public(market.open_interest),
    ("GET", f"{MIX}/market/query-position-lever"): _public(market.tiers, 10),
    ("GET", f"{MIX}/market/vip-fee-rate"): _public(market.vip_fees, 10),
}

_ACCOUNT: Mapping[tuple[str, str], Route] = {
    ("GET", f"{MIX}/account/accounts"): Route(account.get_accounts),
    ("GET", f"{MIX}/account/account"): Route(account.get_account),
    ("GET", f"{MIX}/account/bill"): Route(account.get_bills),
    ("GET", f"{MIX}/position/all-position"): Route(account.get_all_positions, 5),
    ("GET", f"{MIX}/position/single-position"): Route(account.get_single_position),
    ("GET", f"{MIX}/position/history-position"): Route(account.get_past_positions, 20),
    ("GET", f"{MIX}/position/adlRank"): Route(account.get_adl_rank, 5),
    ("POST", f"{MIX}/account/set-leverage"): _trading(account.post_leverage, 5),
    ("POST", f"{MIX}/account/set-margin-mode"): _trading(account.post_margin_mode, 5),
    ("POST", f"{MIX}/account/set-position-mode"): _trading(account.post_position_mode, 5),
    ("POST", f"{MIX}/account/set-margin"): _trading(account.post_margin, 5),
    ("GET", "/api/v2/common/trade-rate"): Route(account.get_trade_rate),
    ("GET", "/api/v3/account/settings"): Route(account.get_uta_settings, 20),
}

_TRADE: Mapping[tuple[str, str], Route] = {
    ("POST", f"{MIX}/order/place-order"): _trading(trade.post_order),
    ("POST", f"{MIX}/order/batch-place-order"): _trading(trade.post_batch, 5),
    ("POST", f"{MIX}/order/modify-order"): _trading(trade.post_modify),
    ("POST", f"{MIX}/order/cancel-order"): _trading(trade.post_cancel, cancels=True),
    ("POST", f"{MIX}/order/batch-cancel-orders"): _trading(trade.post_batch_cancel),
    ("POST", f"{MIX}/order/cancel-all-orders"): _trading(trade.post_batch_cancel),
    ("POST", f"{MIX}/order/close-positions"): _trading(trade.post_close, 1),
    ("GET", f"{MIX}/order/detail"): Route(trade.get_detail),
    ("GET", f"{MIX}/order/orders-pending"): Route(trade.get_pending),
    ("GET", f"{MIX}/order/orders-history"): Route(trade.get_history),
    ("GET", f"{MIX}/order/fills"): Route(trade.get_fills),
    ("GET", f"{MIX}/order/fill-history"): Route(trade.get_fills),
}

_PLANS: Mapping[tuple[str, str], Route] = {
    ("POST", f"{MIX}/order/place-tpsl-order"): _trading(tpsl.post_tpsl),
    ("POST", f"{MIX}/order/place-pos-tpsl"): _trading(tpsl.post_pos_tpsl),
    ("POST", f"{MIX}/order/place-plan-order"): _trading(plan_orders.post_plan),
    ("POST", f"{MIX}/order/modify-tpsl-order"): _trading(plan_orders.post_modify_tpsl),
    ("POST", f"{MIX}/order/modify-plan-order"): _trading(plan_orders.post_modify_plan),
    ("POST", f"{MIX}/order/cancel-plan-order"): _trading(plan_orders.post_cancel_plan, cancels=True),
    ("GET", f"{MIX}/order/orders-plan-pending"): Route(plan_orders.get_pending),
    ("GET", f"{MIX}/order/orders-plan-history"): Route(plan_orders.get_history),
    ("GET", f"{MIX}/order/plan-sub-order"): Route(plan_orders.get_sub_orders),
}

# What clients call on their way to the futures API, answered emptily (sheet §8).
_NEIGHBOURS: Mapping[tuple[str, str], Route] = {
    ("GET", "/api/v2/spot/public/coins"): _public(market.no_rows),
    ("GET", "/api/v2/spot/public/symbols"): _public(market.no_rows),
    ("GET", "/api/v2/margin/currencies"): _public(market.no_rows),
}

ROUTES: Mapping[tuple[str, str], Route] = {**_MARKET, **_ACCOUNT, **_TRADE, **_PLANS, **_NEIGHBOURS}
