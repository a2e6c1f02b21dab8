"""Balance, positions, leverage, modes, margin, income over REST (exchange sheet §3.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.numbers import ONE, ZERO, plain
from holdfast.domain.orders import PositionSide
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bingx import errors
from holdfast.simulator.bingx.errors import error, invalid
from holdfast.simulator.bingx.ids import POSITIONS
from holdfast.simulator.bingx.render import money, number
from holdfast.simulator.bingx.venue import Call, MarginChange, Whole, stamped
from holdfast.simulator.core.book import closing
from holdfast.simulator.core.margin import MarginSummary, PositionRisk, notional_max
from holdfast.simulator.core.model import CoreRefusal, Refused, SimAccount, SimOrder
from holdfast.simulator.core.positions import closing_side
from holdfast.simulator.wire.figures import Row, price, quantity
from holdfast.simulator.wire.listen_keys import NoListenKey
from holdfast.simulator.wire.venue import margin_mode

WEEK_MS = 7 * 86_400_000
MARGIN_MODES: Mapping[str, MarginMode] = {
    "CROSSED": MarginMode.CROSS,
    "ISOLATED": MarginMode.ISOLATED,
    "SEPARATE_ISOLATED": MarginMode.ISOLATED,
}
WIRE_MODES = {MarginMode.ISOLATED: "ISOLATED", MarginMode.CROSS: "CROSSED"}
SIDES: Mapping[str, PositionSide] = {side.value.upper(): side for side in PositionSide}
BOOLEANS = {True: "true", False: "false"}
DIRECTIONS = {"1": ONE, "2": -ONE}
INCOMES = {"COMMISSION": "TRADING_FEE"}
INCOME_WORDS = {
    "TRADING_FEE": "Trading Fee",
    "FUNDING_FEE": "Funding Fee",
    "REALIZED_PNL": "Realized PnL",
    "TRANSFER": "Transfer",
}


# --- balance ---------------------------------------------------------------------------------------


def _user_id(view: SimAccount) -> str:
    """Digits, as a user's number is; the same for the same key."""
    return str(int.from_bytes(view.account_id.encode()[:8], "big") + 10**18)


def balance(call: Call) -> list[Row]:
    view = call.view()
    summary = call.core.summary(view)
    gained = sum((one.amount for one in view.incomes if one.type not in ("TRANSFER",)), ZERO)
    return [
        {
            "userId": _user_id(view),
            "asset": call.core.config.quote,
            "balance": money(summary.wallet),
            "equity": money(summary.equity),
            "unrealizedProfit": money(summary.unrealized),
            "realisedProfit": money(gained),
            "availableMargin": money(summary.available),
            "usedMargin": money(summary.position_initial_margin),
            "freezedMargin": money(summary.order_initial_margin),
            "shortUid": _user_id(view)[-8:],
        }
    ]


# --- positions -------------------------------------------------------------------------------------


def positions(call: Call) -> list[Row]:
    wanted, view = set(call.symbols()), call.view()
    summary = call.core.summary(view)
    held = [risk for risk in summary.positions if risk.quantity and risk.symbol in wanted]
    return [_position_row(call, view, summary, risk) for risk in held]


def _position_row(call: Call, view: SimAccount, summary: MarginSummary, risk: PositionRisk) -> Row:
    instrument, held = call.core.instrument(risk.symbol), abs(risk.quantity)
    life = call.venue.positions.of(view.account_id, risk.symbol, risk.side)
    isolated = risk.margin_mode is MarginMode.ISOLATED
    initial = held * risk.entry_price / risk.leverage
    margin = risk.isolated_margin if isolated else initial + risk.unrealized
    removable = max(ZERO, min(risk.isolated_wallet, risk.isolated_margin) - risk.position_initial_margin)
    return {
        "positionId": str(life.position_id if life else POSITIONS),
        "symbol": risk.symbol.dashed,
        "currency": risk.symbol.settle,
        "positionAmt": quantity(instrument, held),
        "availableAmt": quantity(instrument, max(ZERO, held - _locked(call, view, risk))),
        "positionSide": direction(risk.quantity),
        "isolated": isolated,
        "avgPrice": price(instrument, risk.entry_price),
        "initialMargin": money(initial),
        "margin": money(margin),
        "leverage": risk.leverage,
        "unrealizedProfit": money(risk.unrealized),
        "realisedProfit": money(life.realized - life.fees if life else ZERO),
        "liquidationPrice": number(round(risk.liquidation_price, instrument.price_decimals)),
        "pnlRatio": money(risk.unrealized / initial if initial else ZERO),
        "maxMarginReduction": money(removable if isolated else ZERO),
        "riskRate": money(_risk_rate(summary, risk, isolated)),
        "markPrice": price(instrument, risk.mark),
        "positionValue": money(abs(risk.notional)),
        "onlyOnePosition": view.position_mode is PositionMode.ONE_WAY,
        "updateTime": risk.updated_ms,
    }


def direction(quantity_: Decimal) -> str:
    """LONG or SHORT, also in one-way mode."""
    return "LONG" if quantity_ > 0 else "SHORT"


def _risk_rate(summary: MarginSummary, risk: PositionRisk, isolated: bool) -> Decimal:
    """Maintenance margin as a share of what carries it; 1 is liquidation."""
    if isolated:
        return risk.maintenance_margin / risk.isolated_margin if risk.isolated_margin > 0 else ONE
    carried = summary.cross_wallet + summary.cross_unrealized
    return summary.cross_maintenance_margin / carried if carried > 0 else ONE


def _locked(call: Call, view: SimAccount, risk: PositionRisk) -> Decimal:
    """What open closing orders hold of the position; stops only where they lock."""
    side = closing_side(view.positions[risk.symbol, risk.side])
    mine = (risk.symbol, risk.side, side)
    orders = [view.orders[order_id] for order_id in view.live_orders]
    total = sum(
        (
            order.remaining
            for order in orders
            if (order.symbol, order.position_side, order.side) == mine and _only_closes(view, order)
        ),
        ZERO,
    )
    if call.switches.stop_locks_quantity:
        algos = [view.algos[algo_id] for algo_id in view.live_algos]
        total += sum(
            (
                abs(risk.quantity) if algo.close_position else algo.quantity
                for algo in algos
                if (algo.symbol, algo.position_side, algo.side) == mine
            ),
            ZERO,
        )
    return total


def _only_closes(view: SimAccount, order: SimOrder) -> bool:
    hedge = view.position_mode is PositionMode.HEDGE
    return order.reduce_only or (hedge and order.side is closing(order.position_side))


# --- leverage and modes ----------------------------------------------------------------------------


def _room(call: Call, symbol: Symbol, leverage: int) -> Row:
    """What could still be opened. Derived: the bracket's cap, whatever is held."""
    instrument = call.core.instrument(symbol)
    most = notional_max(instrument, leverage)
    coins = quantity(instrument, most / call.core.prices(symbol).mark)
    value = f"{most:.1f}"
    return {
        "availableLongVol": coins,
        "availableShortVol": coins,
        "availableLongVal": value,
        "availableShortVal": value,
        "maxPositionLongVal": value,
        "maxPositionShortVal": value,
    }


def get_leverage(call: Call) -> Row:
    instrument, view = call.instrument(), call.view()
    symbol = instrument.symbol
    long = call.venue.side_leverage(view, symbol, PositionSide.LONG)
    short = call.venue.side_leverage(view, symbol, PositionSide.SHORT)
    if view.position_mode is PositionMode.ONE_WAY:
        long = short = call.venue.leverage(view, symbol)
    return {
        "longLeverage": long,
        "shortLeverage": short,
        "maxLongLeverage": instrument.leverage_max,
        "maxShortLeverage": instrument.leverage_max,
        **_room(call, symbol, max(long, short)),
    }


def post_leverage(call: Call) -> Row:
    """BOTH in one-way mode, LONG or SHORT in hedge mode."""
    symbol, leverage = call.instrument().symbol, call.params.need_integer("leverage")
    side = call.params.choice("side", SIDES, invalid("side"))
    hedge = call.account.position_mode is PositionMode.HEDGE
    if hedge and side is PositionSide.BOTH:
        raise error(109400, "In the Hedge mode, the 'Side' field can only be set to LONG or SHORT.")
    if not hedge and side is not PositionSide.BOTH:
        raise error(109400, "In the One-way mode, the 'Side' field can only be set to BOTH.")
    call.core.set_leverage(call.account_id, symbol, leverage, side)
    return {"leverage": leverage, "symbol": symbol.dashed, **_room(call, symbol, leverage)}


def get_margin_type(call: Call) -> Row:
    return {"marginType": WIRE_MODES[margin_mode(call.view(), call.instrument().symbol)]}


def post_margin_type(call: Call) -> Whole:
    symbol = call.instrument().symbol
    mode = call.params.choice("marginType", MARGIN_MODES, invalid("marginType"))
    try:
        call.core.set_margin_mode(call.account_id, symbol, mode)
    except CoreRefusal as refusal:
        if refusal.why is not Refused.MARGIN_MODE_SAME:
            raise
    return Whole({"code": 0, "msg": ""})


def get_dual(call: Call) -> Row:
    return {"dualSidePosition": BOOLEANS[call.account.position_mode is PositionMode.HEDGE]}


def post_dual(call: Call) -> Whole:
    """To be in the mode already is no error; the code is a text here."""
    call.params.need("dualSidePosition")
    hedge = call.params.flag("dualSidePosition")
    try:
        call.core.set_position_mode(call.account_id, PositionMode.HEDGE if hedge else PositionMode.ONE_WAY)
    except CoreRefusal as refusal:
        if refusal.why is not Refused.POSITION_MODE_SAME:
            raise
    data = {"dualSidePosition": BOOLEANS[hedge]}
    return Whole({"code": "0", "msg": "", "timeStamp": str(call.now_ms), "data": data})


def get_asset_mode(_call: Call) -> Row:
    return {"assetMode": "singleAssetMode"}


def commission_rate(call: Call) -> Row:
    rules = call.core.instrument(call.symbols()[0])
    rates = {
        "takerCommissionRate": float(rules.taker_fee),
        "makerCommissionRate": float(rules.maker_fee),
    }
    return {"commission": rates}


def maint_margin_ratio(call: Call) -> Whole:
    instrument = call.instrument()
    rows: list[Row] = [
        {
            "tier": f"Tier {number_}",
            "symbol": instrument.symbol.dashed,
            "minPositionVal": plain(bracket.notional_floor),
            "maxPositionVal": plain(bracket.notional_cap),
            "maintMarginRatio": f"{bracket.maintenance_ratio:.6f}",
            "maintAmount": f"{bracket.maintenance_amount:.6f}",
        }
        for number_, bracket in enumerate(instrument.brackets, 1)
    ]
    return stamped(call, rows)


# --- isolated margin -------------------------------------------------------------------------------


def post_position_margin(call: Call) -> Whole:
    """Add (1) or take away (2) margin of an isolated position."""
    params, symbol = call.params, call.instrument().symbol
    value, sign = params.need_decimal("amount"), params.choice("type", DIRECTIONS, invalid("type"))
    if value <= 0:
        raise invalid("amount: must be greater than 0.")
    side = _margin_side(call)
    try:
        after = call.core.change_isolated_margin(call.account_id, symbol, side, sign * value)
    except CoreRefusal as refusal:
        words = {
            Refused.MARGIN_MODE_POSITION: errors.no_position(),
            Refused.MARGIN_MODE_SAME: error(109400, "The position is not in isolated margin mode."),
        }
        raise words.get(refusal.why, errors.refused(refusal)) from refusal
    life = call.venue.positions.of(call.account_id, symbol, side)
    change = MarginChange(
        symbol, life.position_id if life else 0, f"{sign * value:.8f}", f"{after:.8f}", call.now_ms
    )
    call.venue.margin_changes.setdefault(call.account_id, []).append(change)
    return Whole({"code": 0, "msg": "", "amount": number(value), "type": int(params.need("type"))})


def _margin_side(call: Call) -> PositionSide:
    """In one-way mode whatever is said means the one position."""
    if call.account.position_mode is PositionMode.ONE_WAY:
        return PositionSide.BOTH
    side = call.params.choice_or("positionSide", SIDES, PositionSide.LONG, invalid("positionSide"))
    if side is PositionSide.BOTH:
        raise errors.needs_side()
    return side


def margin_history(call: Call) -> Whole:
    symbol = call.instrument().symbol
    changes = [one for one in call.venue.margin_changes.get(call.account_id, []) if one.symbol == symbol]
    rows = [
        {
            "symbol": one.symbol.dashed,
            "positionId": str(one.position_id),
            "changeReason": "ManualAdjustment",
            "marginChange": one.change,
            "marginAfterChange": one.after,
            "time": one.at_ms,
        }
        for one in reversed(changes)
    ]
    return stamped(call, {"records": rows, "total": len(rows)})


# --- income ----------------------------------------------------------------------------------------


def income(call: Call) -> list[Row]:
    """Newest first; the last seven days unless a start is given."""
    params, symbol = call.params, call.params.symbol_or_none()
    kind, limit = params.text("incomeType"), params.limit(100, 1_000)
    end = params.integer("endTime", call.now_ms)
    start = params.integer("startTime", end - WEEK_MS)
    rows: list[Row] = []
    for one in reversed(call.view().incomes):
        type_ = INCOMES.get(one.type, one.type)
        if not start <= one.at_ms <= end or kind not in ("", type_) or symbol not in (None, one.symbol):
            continue
        rows.append(
            {
                "symbol": one.symbol.dashed if one.symbol else "",
                "incomeType": type_,
                "income": money(one.amount),
                "asset": one.asset,
                "info": INCOME_WORDS.get(type_, type_),
                "time": one.at_ms,
                "tranId": str(one.tran_id),
                "tradeId": one.trade_id,
            }
        )
    return rows[:limit]


# --- listen keys -----------------------------------------------------------------------------------


def post_listen_key(call: Call) -> Whole:
    """At the top level, not in the envelope."""
    return Whole({"listenKey": call.venue.keys.open(call.account_id, call.now_ms)})


def put_listen_key(call: Call) -> Whole:
    return _kept(call, call.venue.keys.extend)


def delete_listen_key(call: Call) -> Whole:
    return _kept(call, lambda account_id, _now_ms: call.venue.keys.close(account_id))


def _kept(call: Call, act: Callable[[str, int], object]) -> Whole:
    """200 without a word; 204 when the key is not said, 404 when it is not known."""
    if "listenKey" not in call.params:
        return Whole(None, 204)
    if call.venue.keys.account_of(call.params.text("listenKey")) != call.account_id:
        return Whole(None, 404)
    try:
        act(call.account_id, call.now_ms)
    except NoListenKey:
        return Whole(None, 404)
    return Whole(None)
