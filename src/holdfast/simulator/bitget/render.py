"""Orders, plans, fills and positions as Bitget writes them (bitget.md §3, §4): texts nearly everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from holdfast.domain.account import MarginMode
from holdfast.domain.numbers import ZERO, plain
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bitget.plans import (
    NO_PRESETS,
    STATUSES,
    STREAM_WORDS,
    TRIGGER_WORDS,
    WHOLE,
    Plan,
    PlanType,
)
from holdfast.simulator.bitget.venue import MARGIN_COIN, Venue, hedge
from holdfast.simulator.core.book import closing
from holdfast.simulator.core.margin import MarginSummary, PositionRisk, bracket_of
from holdfast.simulator.core.model import (
    OrderKind,
    SimAccount,
    SimAlgo,
    SimFill,
    SimOrder,
    Status,
    Tif,
    Working,
)
from holdfast.simulator.wire.figures import Row, fine
from holdfast.simulator.wire.venue import margin_mode

FORCES: Mapping[Tif, str] = {Tif.GTC: "gtc", Tif.IOC: "ioc", Tif.FOK: "fok", Tif.POST_ONLY: "post_only"}
ORDER_STATUSES: Mapping[Status, str] = {
    Status.NEW: "live",
    Status.PARTIALLY_FILLED: "partially_filled",
    Status.FILLED: "filled",
    Status.CANCELED: "canceled",
    Status.EXPIRED: "canceled",
}
MARGIN_WORDS: Mapping[MarginMode, str] = {MarginMode.CROSS: "crossed", MarginMode.ISOLATED: "isolated"}
# What a plan's child is called; the rest of the word says whether it is a market order.
SOURCES: Mapping[PlanType, str] = {
    PlanType.POS_LOSS: "pos_loss",
    PlanType.POS_PROFIT: "pos_profit",
    PlanType.LOSS: "loss",
    PlanType.PROFIT: "profit",
    PlanType.MOVING: "moving",
    PlanType.NORMAL: "plan",
    PlanType.TRACK: "track_plan",
}


def none_if_zero(value: Decimal) -> str:
    """Prices that are not there are empty."""
    return plain(value) if value else ""


# --- sides -----------------------------------------------------------------------------------------


def wire_side(side: Side, position_side: PositionSide) -> str:
    """In hedge mode the position's direction, whether it is opened or closed (sheet §4)."""
    if position_side is PositionSide.BOTH:
        return side.value
    return "buy" if position_side is PositionSide.LONG else "sell"


def position_word(position_side: PositionSide) -> str:
    return "net" if position_side is PositionSide.BOTH else position_side.value


def mode_word(position_side: PositionSide) -> str:
    return "one_way_mode" if position_side is PositionSide.BOTH else "hedge_mode"


def trade_side(side: Side, position_side: PositionSide) -> str:
    if position_side is PositionSide.BOTH:
        return f"{side.value}_single"
    return "close" if side is closing(position_side) else "open"


def _forced_side(order: SimOrder) -> str:
    """Liquidation, auto-deleveraging and settlement have words of their own."""
    adl = order.client_id.startswith("adl_autoclose")
    if order.position_side is PositionSide.BOTH:
        side = order.side.value
        return f"dte_sys_adl_{side}_in_single_side_mode" if adl else f"burst_{side}_single"
    return f"{'dte_sys_adl' if adl else 'burst'}_close_{order.position_side.value}"


def order_trade_side(order: SimOrder) -> str:
    return _forced_side(order) if order.liquidation else trade_side(order.side, order.position_side)


def _closes_in_hedge(order: SimOrder) -> bool:
    return order.position_side is not PositionSide.BOTH and order.side is closing(order.position_side)


def entered_by(order: SimOrder) -> str:
    if order.liquidation:
        return "SYS"
    return "web" if order.client_id.startswith("web_") else "API"


# --- orders ----------------------------------------------------------------------------------------


def order_row(venue: Venue, account: SimAccount, order: SimOrder, status_key: str = "status") -> Row:
    """A query's row; only order/detail calls its status `state`."""
    presets = venue.presets.get(order.order_id, NO_PRESETS)
    tally = venue.lives.tally(order.order_id)
    closes = venue.switches.hedge_close_flag if _closes_in_hedge(order) else "NO"
    return {
        "symbol": order.symbol.compact,
        "size": plain(order.quantity),
        "orderId": str(order.order_id),
        "clientOid": order.client_id,
        "baseVolume": plain(order.filled),
        "fee": plain(-tally.fee),
        "price": none_if_zero(order.price),
        "priceAvg": fine(order.average_price) if order.filled else "",
        status_key: ORDER_STATUSES[order.status],
        "side": wire_side(order.side, order.position_side),
        "force": FORCES[order.tif],
        "totalProfits": plain(tally.realized),
        "posSide": position_word(order.position_side),
        "marginCoin": MARGIN_COIN,
        "presetStopSurplusPrice": none_if_zero(presets.profit),
        "presetStopLossPrice": none_if_zero(presets.loss),
        "quoteVolume": plain(order.quote_filled),
        "orderType": order.kind.value,
        "leverage": str(venue.side_leverage(account, order.symbol, order.position_side)),
        "marginMode": MARGIN_WORDS[margin_mode(account, order.symbol)],
        "reduceOnly": "YES" if order.reduce_only else closes,
        "enterPointSource": entered_by(order),
        "tradeSide": order_trade_side(order),
        "posMode": mode_word(order.position_side),
        "orderSource": order_source(venue, order),
        "cTime": str(order.created_ms),
        "uTime": str(order.updated_ms),
    }


def order_source(venue: Venue, order: SimOrder) -> str:
    plan = venue.plans.get(order.algo_id)
    if plan is None:
        return "market" if order.kind is OrderKind.MARKET else "normal"
    return f"{SOURCES[plan.type]}_{order.kind.value}"


def fill_row(fill: SimFill, venue: Venue, order: SimOrder) -> Row:
    """One row of order/fills; in hedge mode its side is the position's, too."""
    return {
        "tradeId": str(fill.trade_id),
        "symbol": fill.symbol.compact,
        "orderId": str(fill.order_id),
        "price": plain(fill.price),
        "baseVolume": plain(fill.quantity),
        "feeDetail": [fee_detail(fill)],
        "side": wire_side(fill.side, fill.position_side),
        "quoteVolume": plain(fill.price * fill.quantity),
        "profit": plain(fill.realized),
        "enterPointSource": entered_by(order),
        "tradeSide": order_trade_side(order),
        "posMode": mode_word(fill.position_side),
        "tradeScope": "maker" if fill.maker else "taker",
        "cTime": str(fill.at_ms),
    }


def fee_detail(fill: SimFill) -> Row:
    return {
        "deduction": "no",
        "feeCoin": MARGIN_COIN,
        "totalDeductionFee": "0",
        "totalFee": plain(-fill.fee),
    }


# --- plan orders -----------------------------------------------------------------------------------


def plan_of(venue: Venue, algo: SimAlgo) -> Plan:
    """What is known of a conditional order; one placed by hand is a normal_plan."""
    return venue.plans.get(algo.algo_id) or Plan(type=PlanType.NORMAL, trigger=algo.trigger_price)


def plan_size(plan: Plan, algo: SimAlgo) -> str:
    return "0" if plan.type in WHOLE else plain(algo.quantity)


def plan_row(venue: Venue, account: SimAccount, algo: SimAlgo) -> Row:
    """A row of orders-plan-pending."""
    plan = plan_of(venue, algo)
    trailing = algo.callback_rate is not None
    return {
        "planType": plan.type.value,
        "symbol": algo.symbol.compact,
        "size": plan_size(plan, algo),
        "orderId": str(algo.algo_id),
        "clientOid": algo.client_id,
        "price": plain(algo.price),
        "executePrice": plain(algo.price),
        "callbackRatio": plain(algo.callback_rate or ZERO) if trailing else "",
        "triggerPrice": plain(plan.trigger),
        "triggerType": TRIGGER_WORDS[algo.working],
        "planStatus": STATUSES[algo.status],
        "side": wire_side(algo.side, algo.position_side),
        "posSide": position_word(algo.position_side),
        "marginCoin": MARGIN_COIN,
        "marginMode": MARGIN_WORDS[margin_mode(account, algo.symbol)],
        "enterPointSource": "API",
        "tradeSide": trade_side(algo.side, algo.position_side),
        "posMode": mode_word(algo.position_side),
        "orderType": "limit" if algo.price else "market",
        **_attached(plan, algo),
        "cTime": str(algo.created_ms),
        "uTime": str(algo.updated_ms),
    }


def _attached(plan: Plan, algo: SimAlgo) -> Row:
    """Stop and profit: of a TPSL order itself, of a normal_plan what it will bring with it."""
    presets, last = plan.presets, TRIGGER_WORDS[Working.LAST]
    if plan.type in (PlanType.NORMAL, PlanType.TRACK):
        profit = _pair("Surplus", none_if_zero(presets.profit), none_if_zero(presets.profit_execute), last)
        return profit | _pair("Loss", none_if_zero(presets.loss), none_if_zero(presets.loss_execute), last)
    ours, others = ("Loss", "Surplus") if plan.loss else ("Surplus", "Loss")
    own = _pair(ours, plain(plan.trigger), plain(algo.price), TRIGGER_WORDS[algo.working])
    return own | _pair(others, None, None, None)


def _pair(kind: str, trigger: str | None, execute: str | None, word: str | None) -> Row:
    return {
        f"stop{kind}TriggerPrice": trigger,
        f"stop{kind}ExecutePrice": execute,
        f"stop{kind}TriggerType": word,
    }


def plan_history_row(venue: Venue, account: SimAccount, algo: SimAlgo) -> Row:
    """A row of orders-plan-history tells what came of it, too."""
    child = account.orders.get(algo.order_id)
    return plan_row(venue, account, algo) | {
        "executeOrderId": str(algo.order_id) if algo.order_id else "",
        "priceAvg": fine(child.average_price) if child and child.filled else "",
        "baseVolume": plain(child.filled) if child else "0",
        "feeDetail": None,
    }


def plan_stream_row(venue: Venue, algo: SimAlgo) -> Row:
    """A row of the orders-algo channel, with its own words for the kinds."""
    plan = plan_of(venue, algo)
    return {
        "instId": algo.symbol.compact,
        "orderId": str(algo.algo_id),
        "clientOid": algo.client_id,
        "triggerPrice": plain(plan.trigger),
        "triggerType": TRIGGER_WORDS[algo.working],
        "triggerTime": str(algo.triggered_ms or algo.updated_ms),
        "planType": STREAM_WORDS[plan.type],
        "price": plain(algo.price),
        "executePrice": plain(algo.price),
        "size": plan_size(plan, algo),
        "actualSize": plain(algo.actual_quantity),
        "orderType": "limit" if algo.price else "market",
        "side": wire_side(algo.side, algo.position_side),
        "tradeSide": trade_side(algo.side, algo.position_side),
        "posSide": position_word(algo.position_side),
        "marginCoin": MARGIN_COIN,
        "status": STATUSES[algo.status],
        "posMode": mode_word(algo.position_side),
        "enterPointSource": "API",
        "stopSurplusPrice": none_if_zero(plan.presets.profit_execute),
        "stopSurplusTriggerPrice": none_if_zero(plan.presets.profit),
        "stopSurplusTriggerType": TRIGGER_WORDS[Working.LAST],
        "stopLossPrice": none_if_zero(plan.presets.loss_execute),
        "stopLossTriggerPrice": none_if_zero(plan.presets.loss),
        "stopLossTriggerType": TRIGGER_WORDS[Working.LAST],
        "cTime": str(algo.created_ms),
        "uTime": str(algo.updated_ms),
    }


# --- positions -------------------------------------------------------------------------------------


def hold_side(risk: PositionRisk) -> str:
    """Long or short, in one-way mode, too."""
    return "long" if risk.quantity > 0 else "short"


def whole_plans(
    venue: Venue, account: SimAccount, symbol: Symbol, side: PositionSide
) -> dict[PlanType, SimAlgo]:
    """The position's live stop and profit for all of it."""
    found = {}
    for algo_id in account.live_algos:
        algo = account.algos[algo_id]
        plan = venue.plans.get(algo_id)
        if plan is not None and plan.type in WHOLE and (algo.symbol, algo.position_side) == (symbol, side):
            found[plan.type] = algo
    return found


def margin_size(risk: PositionRisk) -> Decimal:
    if risk.margin_mode is MarginMode.ISOLATED:
        return risk.isolated_wallet
    return abs(risk.quantity) * risk.entry_price / risk.leverage


def margin_ratio(risk: PositionRisk, summary: MarginSummary) -> Decimal:
    """Maintenance over equity; at 1 the position is liquidated."""
    if risk.margin_mode is MarginMode.ISOLATED:
        needed, own = risk.maintenance_margin, risk.isolated_margin
    else:
        needed = summary.cross_maintenance_margin
        own = summary.cross_wallet + summary.cross_unrealized
    return needed / own if own > 0 else ZERO


def position_row(venue: Venue, account: SimAccount, risk: PositionRisk, summary: MarginSummary) -> Row:
    life = venue.lives.of(account.account_id, risk.symbol, risk.side)
    whole = whole_plans(venue, account, risk.symbol, risk.side)
    loss, profit = whole.get(PlanType.POS_LOSS), whole.get(PlanType.POS_PROFIT)
    locked = _locked(account, risk)
    instrument = venue.core.instrument(risk.symbol)
    return {
        "marginCoin": MARGIN_COIN,
        "symbol": risk.symbol.compact,
        "holdSide": hold_side(risk),
        "openDelegateSize": plain(_opening(account, risk)),
        "marginSize": fine(margin_size(risk)),
        "available": plain(max(ZERO, abs(risk.quantity) - locked)),
        "locked": plain(locked),
        "total": plain(abs(risk.quantity)),
        "leverage": str(risk.leverage),
        "achievedProfits": plain(life.realized) if life else "0",
        "openPriceAvg": fine(risk.entry_price),
        "marginMode": MARGIN_WORDS[risk.margin_mode],
        "posMode": "hedge_mode" if hedge(account) else "one_way_mode",
        "unrealizedPL": fine(risk.unrealized),
        "liquidationPrice": fine(risk.liquidation_price),
        "keepMarginRate": plain(bracket_of(instrument, abs(risk.notional)).maintenance_ratio),
        "markPrice": plain(risk.mark),
        "breakEvenPrice": fine(risk.break_even_price),
        "totalFee": _funding(account, risk.symbol, life.opened_ms if life else 0),
        "deductedFee": fine(life.open_fee + life.close_fee) if life else "0",
        "marginRatio": fine(margin_ratio(risk, summary)),
        "assetMode": "single",
        "autoMargin": "off",
        "grant": "",
        "takeProfit": plain(profit.trigger_price) if profit else "",
        "stopLoss": plain(loss.trigger_price) if loss else "",
        "takeProfitId": str(profit.algo_id) if profit else "",
        "stopLossId": str(loss.algo_id) if loss else "",
        "cTime": str(life.opened_ms if life else risk.updated_ms),
        "uTime": str(risk.updated_ms),
    }


def funding_paid(
    account: SimAccount, symbol: Symbol, since_ms: int, until_ms: int | None = None
) -> list[Decimal]:
    """What a symbol's fundings took (negative) or brought in that time, newest first."""
    found: list[Decimal] = []
    for income in reversed(account.incomes):
        if income.at_ms < since_ms:
            break
        if (
            income.type == "FUNDING_FEE"
            and income.symbol == symbol
            and (until_ms is None or income.at_ms <= until_ms)
        ):
            found.append(income.amount)
    return found


def _funding(account: SimAccount, symbol: Symbol, since_ms: int) -> str:
    """Funding since the position was opened; empty before the first."""
    paid = funding_paid(account, symbol, since_ms)
    return plain(sum(paid, ZERO)) if paid else ""


def _orders(account: SimAccount, risk: PositionRisk, *, reducing: bool) -> Decimal:
    """What open orders would close, or open, of a position."""
    total = ZERO
    for order_id in account.live_orders:
        order = account.orders[order_id]
        if (order.symbol, order.position_side) != (risk.symbol, risk.side):
            continue
        if (order.reduce_only or _closes_in_hedge(order)) is reducing:
            total += order.remaining
    return total


def _locked(account: SimAccount, risk: PositionRisk) -> Decimal:
    return _orders(account, risk, reducing=True)


def _opening(account: SimAccount, risk: PositionRisk) -> Decimal:
    return _orders(account, risk, reducing=False)
