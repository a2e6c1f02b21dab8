"""Reading orders, fills and past positions over REST (exchange sheet §3.3)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from holdfast.domain.account import MarginMode
from holdfast.domain.numbers import ZERO, plain
from holdfast.simulator.bingx import errors
from holdfast.simulator.bingx.positions import Life
from holdfast.simulator.bingx.render import Sheet, fill_row, history_row, money
from holdfast.simulator.bingx.trade import open_ones, selected
from holdfast.simulator.bingx.venue import Call
from holdfast.simulator.core.model import SimAccount, SimAlgo, SimFill, SimOrder
from holdfast.simulator.wire.figures import Row, fine, price
from holdfast.simulator.wire.venue import margin_mode

WEEK_MS = 7 * 86_400_000
MONTH_MS = 30 * 86_400_000
LIMIT_MAX = 1_000


def get_order(call: Call) -> Row:
    symbol, view = call.instrument().symbol, call.view()
    order = selected(call, call.params, view)
    if order is None or order.symbol != symbol:
        raise errors.no_order()
    return {"order": Sheet(call.venue, view).row(order)}


def get_open_order(call: Call) -> Row:
    answer = get_order(call)
    row = answer["order"]
    if isinstance(row, dict) and row["status"] not in ("NEW", "PENDING", "PARTIALLY_FILLED"):
        raise errors.no_order()
    return answer


def get_open_orders(call: Call) -> Row:
    view = call.view()
    sheet = Sheet(call.venue, view)
    return {"orders": [_guaranteed(sheet.row(order)) for order in open_ones(call, view)]}


def _guaranteed(row: Row) -> Row:
    """Here, and only here, attached stops say so; none ever is."""
    for name in ("takeProfit", "stopLoss"):
        inner = row[name]
        assert isinstance(inner, dict)
        row[name] = inner | {"StopGuaranteed": ""}
    return row


def _all(call: Call, view: SimAccount) -> list[SimOrder | SimAlgo]:
    """Every order of the symbols asked for, oldest first."""
    wanted = set(call.symbols())
    children = call.switches.child_gets_new_id
    found: list[SimOrder | SimAlgo] = [
        order for order in view.orders.values() if children or not order.algo_id
    ]
    found += view.algos.values()
    return sorted((one for one in found if one.symbol in wanted), key=lambda one: one.created_ms)


def _page(call: Call, orders: Iterable[SimOrder | SimAlgo], default: int) -> list[SimOrder | SimAlgo]:
    """Within the times asked for (a week), from an order id on, the newest *limit*."""
    params = call.params
    end = params.integer("endTime", call.now_ms)
    start = params.integer("startTime", end - WEEK_MS)
    if end - start > WEEK_MS:
        raise errors.error(109414, "The time range cannot exceed 7 days")
    chosen = [one for one in orders if start <= one.created_ms <= end]
    return chosen[-params.limit(default, LIMIT_MAX) :]


def get_all_orders(call: Call) -> Row:
    """Orders that are over, as far as a week goes; without times the last week."""
    view = call.view()
    sheet = Sheet(call.venue, view)
    over = [one for one in _all(call, view) if one.status.final]
    return {"orders": [sheet.row(one) for one in reversed(_page(call, over, 500))]}


def get_full_order(call: Call) -> Row:
    """Open ones, too."""
    view = call.view()
    sheet = Sheet(call.venue, view)
    return {"orders": [sheet.row(one) for one in reversed(_page(call, _all(call, view), 500))]}


def get_force_orders(call: Call) -> Row:
    """Liquidations and auto-deleveraging."""
    view, kind = call.view(), call.params.text("autoCloseType")
    sheet = Sheet(call.venue, view)
    wanted = set(call.symbols())
    forced = [
        order
        for order in view.orders.values()
        if order.symbol in wanted and _forced(order) and kind in ("", _forced(order))
    ]
    return {"orders": [sheet.order(order) for order in forced[-call.params.limit(50, 100) :]]}


def _forced(order: SimOrder) -> str:
    if order.client_id.startswith("adl_autoclose"):
        return "ADL"
    return "LIQUIDATION" if order.liquidation else ""


# --- fills -----------------------------------------------------------------------------------------


def _fills(call: Call, view: SimAccount, most_ms: int) -> list[SimFill]:
    params, wanted = call.params, set(call.symbols())
    end = params.integer("endTs", call.now_ms)
    start = params.integer("startTs", end - most_ms)
    found = [fill for fill in view.fills if fill.symbol in wanted and start <= fill.at_ms <= end]
    if "orderId" not in params:
        return found
    order = selected(call, params, view)
    order_id = order.order_id if order is not None else 0
    return [fill for fill in found if fill.order_id == order_id]


def get_all_fills(call: Call) -> Row:
    view = call.view()
    rows = [fill_row(call.venue, view.orders[f.order_id], f) for f in _fills(call, view, MONTH_MS)]
    return {"fill_orders": rows[::-1]}


def get_fill_history(call: Call) -> Row:
    """Newest first, in pages."""
    view, params = call.view(), call.params
    found = _fills(call, view, WEEK_MS)[::-1]
    page, size = params.integer("pageIndex", 1), params.integer("pageSize", 50)
    chosen = found[(page - 1) * size : page * size]
    rows = [history_row(call.venue, view.orders[fill.order_id], fill) for fill in chosen]
    return {"fill_history_orders": rows, "total": len(found)}


# --- positions that are over -----------------------------------------------------------------------


def get_position_history(call: Call) -> Row:
    view, params = call.view(), call.params
    symbol = call.instrument().symbol
    end = params.integer("endTs", call.now_ms)
    start = params.integer("startTs", end - MONTH_MS)
    lives = [
        life
        for life in call.venue.positions.ended(call.account_id)
        if life.symbol == symbol and start <= life.updated_ms <= end
    ]
    page, size = params.integer("pageIndex", 1), params.integer("pageSize", 1_000)
    chosen = lives[::-1][(page - 1) * size : page * size]
    return {"positionHistory": [_life_row(call, view, life) for life in chosen]}


def _life_row(call: Call, view: SimAccount, life: Life) -> Row:
    instrument, funding = call.core.instrument(life.symbol), _funding(view, life)
    return {
        "positionId": str(life.position_id),
        "symbol": life.symbol.dashed,
        "isolated": margin_mode(view, life.symbol) is MarginMode.ISOLATED,
        "positionSide": life.side.value.upper(),
        "openTime": life.opened_ms,
        "updateTime": life.updated_ms,
        "avgPrice": price(instrument, life.entry_price),
        "avgClosePrice": price(instrument, life.exit_price),
        "realisedProfit": money(life.realized),
        "netProfit": money(life.realized - life.fees + funding),
        "positionAmt": plain(life.opened),
        "closePositionAmt": plain(life.closed),
        "leverage": call.venue.side_leverage(view, life.symbol, life.side),
        "closeAllPositions": True,
        "positionCommission": fine(-life.fees),
        "totalFunding": fine(funding),
    }


def _funding(view: SimAccount, life: Life) -> Decimal:
    """Of the symbol in the position's time: in hedge mode of both sides together."""
    return sum(
        (
            income.amount
            for income in view.incomes
            if income.type == "FUNDING_FEE"
            and income.symbol == life.symbol
            and life.opened_ms <= income.at_ms <= life.updated_ms
        ),
        ZERO,
    )
