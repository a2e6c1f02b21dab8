"""Balance, positions, leverage, modes and income over REST (exchange sheet §3.3)."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.numbers import ONE, ZERO, plain
from holdfast.domain.orders import PositionSide
from holdfast.domain.symbol import Symbol
from holdfast.simulator.binance.errors import not_valid, refused
from holdfast.simulator.binance.params import Params
from holdfast.simulator.binance.render import amount, amount_or_zero, income_row
from holdfast.simulator.binance.trade import position_side_of
from holdfast.simulator.binance.venue import Call, MarginChange
from holdfast.simulator.core.instruments import SimInstrument
from holdfast.simulator.core.margin import MarginSummary, PositionRisk, notional_max
from holdfast.simulator.core.model import CoreRefusal, Refused, SimAccount
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.figures import Row, fine
from holdfast.simulator.wire.venue import margin_mode

SUCCESS = {"code": 200, "msg": "success"}
WEEK_MS = 7 * 86_400_000
MARGIN_MODES = {"ISOLATED": MarginMode.ISOLATED, "CROSSED": MarginMode.CROSS}
WIRE_MODES = {MarginMode.ISOLATED: "ISOLATED", MarginMode.CROSS: "CROSSED"}
DIRECTIONS = {"1": ONE, "2": -ONE}
ADL_QUANTILE = 2
"""The simulator knows no queue of other traders: everyone stands in its middle."""


# --- positions -----------------------------------------------------------------------------------


def _sides(account: SimAccount) -> tuple[PositionSide, ...]:
    if account.position_mode is PositionMode.HEDGE:
        return (PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT)
    return (PositionSide.BOTH,)


def _flat(call: Call, view: SimAccount, symbol: Symbol, side: PositionSide) -> PositionRisk:
    """The figures of a position that is not there."""
    return PositionRisk(
        symbol=symbol,
        side=side,
        quantity=ZERO,
        entry_price=ZERO,
        break_even_price=ZERO,
        mark=call.core.prices(symbol).mark,
        notional=ZERO,
        unrealized=ZERO,
        leverage=call.venue.leverage(view, symbol),
        margin_mode=margin_mode(view, symbol),
        isolated_wallet=ZERO,
        isolated_margin=ZERO,
        position_initial_margin=ZERO,
        order_initial_margin=ZERO,
        initial_margin=ZERO,
        maintenance_margin=ZERO,
        liquidation_price=ZERO,
        bid_notional=ZERO,
        ask_notional=ZERO,
        updated_ms=0,
    )


def _every(call: Call, view: SimAccount, summary: MarginSummary) -> list[PositionRisk]:
    """A row for each symbol and side, held or not, as the v2 endpoints give."""
    held = {(risk.symbol, risk.side): risk for risk in summary.positions}
    return [
        held.get((symbol, side)) or _flat(call, view, symbol, side)
        for symbol in call.symbols()
        for side in _sides(view)
    ]


def _risk_row(risk: PositionRisk) -> Row:
    return {
        "symbol": risk.symbol.compact,
        "positionSide": risk.side.value.upper(),
        "positionAmt": plain(risk.quantity),
        "entryPrice": fine(risk.entry_price),
        "breakEvenPrice": fine(risk.break_even_price),
        "markPrice": amount(risk.mark),
        "unRealizedProfit": amount(risk.unrealized),
        "liquidationPrice": amount_or_zero(max(risk.liquidation_price, ZERO)),
        "isolatedMargin": amount_or_zero(risk.isolated_margin),
        "notional": amount_or_zero(risk.notional),
        "marginAsset": risk.symbol.quote,
        "isolatedWallet": amount_or_zero(risk.isolated_wallet),
        "initialMargin": amount_or_zero(risk.initial_margin),
        "maintMargin": amount_or_zero(risk.maintenance_margin),
        "positionInitialMargin": amount_or_zero(risk.position_initial_margin),
        "openOrderInitialMargin": amount_or_zero(risk.order_initial_margin),
        "adl": ADL_QUANTILE if risk.quantity else 0,
        "bidNotional": amount_or_zero(risk.bid_notional),
        "askNotional": amount_or_zero(risk.ask_notional),
        "updateTime": risk.updated_ms,
    }


def position_risk_v3(call: Call) -> list[Row]:
    """Only symbols with a position or open orders."""
    wanted = set(call.symbols())
    summary = call.core.summary(call.view())
    return [_risk_row(risk) for risk in summary.positions if risk.symbol in wanted]


def position_risk_v2(call: Call) -> list[Row]:
    """Every symbol, with leverage and margin type."""
    view = call.view()
    risks = _every(call, view, call.core.summary(view))
    return [_risk_row(risk) | _settings(call, risk) for risk in risks]


def _settings(call: Call, risk: PositionRisk) -> Row:
    most = notional_max(call.core.instrument(risk.symbol), risk.leverage)
    return {
        "leverage": str(risk.leverage),
        "marginType": risk.margin_mode.value,
        "isAutoAddMargin": "false",
        "maxNotionalValue": plain(most),
    }


# --- balance -------------------------------------------------------------------------------------


def _totals(summary: MarginSummary) -> Row:
    return {
        "totalInitialMargin": amount(summary.initial_margin),
        "totalMaintMargin": amount(summary.maintenance_margin),
        "totalWalletBalance": amount(summary.wallet),
        "totalUnrealizedProfit": amount(summary.unrealized),
        "totalMarginBalance": amount(summary.equity),
        "totalPositionInitialMargin": amount(summary.position_initial_margin),
        "totalOpenOrderInitialMargin": amount(summary.order_initial_margin),
        "totalCrossWalletBalance": amount(summary.cross_wallet),
        "totalCrossUnPnl": amount(summary.cross_unrealized),
        "availableBalance": amount(summary.available),
        "maxWithdrawAmount": amount(summary.max_withdraw),
    }


def _updated_ms(view: SimAccount) -> int:
    """When the wallet last changed; never 0, for clients skip assets that were never touched."""
    return view.incomes[-1].at_ms if view.incomes else 1


def _asset(call: Call, view: SimAccount, summary: MarginSummary) -> Row:
    return {
        "asset": call.core.config.quote,
        "walletBalance": amount(summary.wallet),
        "unrealizedProfit": amount(summary.unrealized),
        "marginBalance": amount(summary.equity),
        "maintMargin": amount(summary.maintenance_margin),
        "initialMargin": amount(summary.initial_margin),
        "positionInitialMargin": amount(summary.position_initial_margin),
        "openOrderInitialMargin": amount(summary.order_initial_margin),
        "crossWalletBalance": amount(summary.cross_wallet),
        "crossUnPnl": amount(summary.cross_unrealized),
        "availableBalance": amount(summary.available),
        "maxWithdrawAmount": amount(summary.max_withdraw),
        "updateTime": _updated_ms(view),
    }


def _account_position(risk: PositionRisk) -> Row:
    return {
        "symbol": risk.symbol.compact,
        "positionSide": risk.side.value.upper(),
        "positionAmt": plain(risk.quantity),
        "unrealizedProfit": amount(risk.unrealized),
        "isolatedMargin": amount_or_zero(risk.isolated_margin),
        "notional": amount_or_zero(risk.notional),
        "isolatedWallet": amount_or_zero(risk.isolated_wallet),
        "initialMargin": amount_or_zero(risk.initial_margin),
        "maintMargin": amount_or_zero(risk.maintenance_margin),
        "updateTime": risk.updated_ms,
    }


def account_v3(call: Call) -> Row:
    view = call.view()
    summary = call.core.summary(view)
    held = [_account_position(risk) for risk in summary.positions if risk.quantity]
    return _totals(summary) | {"assets": [_asset(call, view, summary)], "positions": held}


def account_v2(call: Call) -> Row:
    view = call.view()
    summary = call.core.summary(view)
    positions = [_account_position(risk) | _v2_extra(call, risk) for risk in _every(call, view, summary)]
    asset = _asset(call, view, summary) | {"marginAvailable": True}
    return {
        **_permissions(view),
        **_totals(summary),
        "multiAssetsMargin": view.multi_assets,
        "tradeGroupId": -1,
        "assets": [asset],
        "positions": positions,
    }


def _v2_extra(call: Call, risk: PositionRisk) -> Row:
    most = notional_max(call.core.instrument(risk.symbol), risk.leverage)
    return {
        "leverage": str(risk.leverage),
        "isolated": risk.margin_mode is MarginMode.ISOLATED,
        "entryPrice": fine(risk.entry_price),
        "breakEvenPrice": fine(risk.break_even_price),
        "maxNotional": plain(most),
        "positionInitialMargin": amount_or_zero(risk.position_initial_margin),
        "openOrderInitialMargin": amount_or_zero(risk.order_initial_margin),
        "bidNotional": amount_or_zero(risk.bid_notional),
        "askNotional": amount_or_zero(risk.ask_notional),
    }


def _permissions(view: SimAccount) -> Row:
    return {
        "feeTier": 0,
        "canTrade": view.can_trade,
        "canDeposit": True,
        "canWithdraw": view.can_withdraw,
        "updateTime": 0,
    }


def balance(call: Call) -> list[Row]:
    view = call.view()
    summary = call.core.summary(view)
    return [
        {
            "accountAlias": "sim" + view.account_id[:8],
            "asset": call.core.config.quote,
            "balance": amount(summary.wallet),
            "crossWalletBalance": amount(summary.cross_wallet),
            "crossUnPnl": amount(summary.cross_unrealized),
            "availableBalance": amount(summary.available),
            "maxWithdrawAmount": amount(summary.max_withdraw),
            "marginAvailable": True,
            "updateTime": _updated_ms(view),
        }
    ]


# --- settings ------------------------------------------------------------------------------------


def get_dual(call: Call) -> Row:
    return {"dualSidePosition": call.account.position_mode is PositionMode.HEDGE}


def post_dual(call: Call) -> Row:
    call.params.need("dualSidePosition")
    hedge = call.params.flag("dualSidePosition")
    call.core.set_position_mode(call.account_id, PositionMode.HEDGE if hedge else PositionMode.ONE_WAY)
    return dict(SUCCESS)


def get_multi_assets(call: Call) -> Row:
    return {"multiAssetsMargin": call.account.multi_assets}


def post_multi_assets(call: Call) -> Row:
    call.params.need("multiAssetsMargin")
    if not call.core.set_multi_assets(call.account_id, call.params.flag("multiAssetsMargin")):
        raise WireError(-4171, "No need to change multi-assets mode.")
    return dict(SUCCESS)


def post_leverage(call: Call) -> Row:
    instrument, leverage = call.instrument(), call.params.need_integer("leverage")
    most = call.core.set_leverage(call.account_id, instrument.symbol, leverage)
    return {"symbol": instrument.symbol.compact, "leverage": leverage, "maxNotionalValue": plain(most)}


def post_margin_type(call: Call) -> Row:
    instrument = call.instrument()
    mode = call.params.choice("marginType", MARGIN_MODES, not_valid("marginType"))
    if mode is MarginMode.ISOLATED and call.account.multi_assets:
        raise WireError(-4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode.")
    call.core.set_margin_mode(call.account_id, instrument.symbol, mode)
    return dict(SUCCESS)


# The core's words for it are those of changing the mode; here they mean something else.
_MARGIN_REFUSALS = {
    Refused.MARGIN_MODE_POSITION: (
        -4054,
        "Cannot add position margin: position is 0.",
    ),
    Refused.MARGIN_MODE_SAME: (-4049, "Add margin only support for isolated position."),
    Refused.MARGIN: (-4051, "Isolated balance insufficient."),
}


def post_position_margin(call: Call) -> Row:
    params, symbol = call.params, call.instrument().symbol
    value, sign = params.need_decimal("amount"), params.choice("type", DIRECTIONS, not_valid("type"))
    if value <= 0:
        raise WireError(-4055, "Amount must be positive.")
    side = position_side_of(params)
    try:
        call.core.change_isolated_margin(call.account_id, symbol, side, sign * value)
    except CoreRefusal as refusal:
        words = _MARGIN_REFUSALS.get(refusal.why)
        raise WireError(*words) if words else refused(refusal) from refusal
    kind = int(params.need("type"))
    change = MarginChange(symbol, side.value.upper(), value, kind, call.now_ms)
    call.venue.margin_changes.setdefault(call.account_id, []).append(change)
    return {
        "amount": float(value),
        "code": 200,
        "msg": "Successfully modify position margin.",
        "type": kind,
    }


def get_margin_history(call: Call) -> list[Row]:
    """What was added and taken by hand."""
    symbol = call.instrument().symbol
    changes = call.venue.margin_changes.get(call.account_id, [])
    return [
        {
            "symbol": change.symbol.compact,
            "type": change.type,
            "deltaType": "USER_ADJUST",
            "amount": amount(change.amount),
            "asset": change.symbol.quote,
            "time": change.at_ms,
            "positionSide": change.position_side,
            "clientTranId": "",
        }
        for change in changes[-call.params.limit(500, 500) :]
        if change.symbol == symbol
    ]


def _bracket_rows(instrument: SimInstrument) -> Iterable[Row]:
    for number, bracket in enumerate(instrument.brackets, 1):
        yield {
            "bracket": number,
            "initialLeverage": bracket.leverage_max,
            "notionalCap": int(bracket.notional_cap),
            "notionalFloor": int(bracket.notional_floor),
            "maintMarginRatio": float(bracket.maintenance_ratio),
            "cum": float(bracket.maintenance_amount),
        }


def leverage_bracket(call: Call) -> list[Row]:
    return [
        {
            "symbol": symbol.compact,
            "notionalCoef": 1.0,
            "brackets": list(_bracket_rows(call.core.instrument(symbol))),
        }
        for symbol in call.symbols()
    ]


def symbol_config(call: Call) -> list[Row]:
    view = call.view()
    rows: list[Row] = []
    for symbol in call.symbols():
        leverage = call.venue.leverage(view, symbol)
        rows.append(
            {
                "symbol": symbol.compact,
                "marginType": WIRE_MODES[margin_mode(view, symbol)],
                "isAutoAddMargin": False,
                "leverage": leverage,
                "maxNotionalValue": plain(notional_max(call.core.instrument(symbol), leverage)),
            }
        )
    return rows


def account_config(call: Call) -> Row:
    view = call.view()
    return {
        **_permissions(view),
        "dualSidePosition": view.position_mode is PositionMode.HEDGE,
        "multiAssetsMargin": view.multi_assets,
        "tradeGroupId": -1,
    }


def commission_rate(call: Call) -> Row:
    instrument = call.instrument()
    return {
        "symbol": instrument.symbol.compact,
        "makerCommissionRate": f"{instrument.maker_fee:.6f}",
        "takerCommissionRate": f"{instrument.taker_fee:.6f}",
        "rpiCommissionRate": "0.000050",
    }


# --- history and limits --------------------------------------------------------------------------


def income(call: Call) -> list[Row]:
    """Oldest first; the last seven days unless a start is given."""
    params, symbol = call.params, call.params.symbol_or_none()
    kind, limit = params.text("incomeType"), params.limit(100, 1000)
    start, end = _span(params, call.now_ms)
    rows = [
        item
        for item in call.view().incomes
        if start <= item.at_ms <= end and kind in ("", item.type) and symbol in (None, item.symbol)
    ]
    return [income_row(item) for item in (rows[:limit] if "startTime" in params else rows[-limit:])]


def _span(params: Params, now_ms: int) -> tuple[int, int]:
    end = params.integer("endTime", now_ms)
    return params.integer("startTime", end - WEEK_MS), end


def rate_limit_order(call: Call) -> list[Row]:
    limits = call.venue.config.limits
    windows = (("SECOND", 10, limits.orders_per_10s), ("MINUTE", 1, limits.orders_per_minute))
    return [
        {"rateLimitType": "ORDERS", "interval": interval, "intervalNum": number, "limit": limit}
        for interval, number, limit in windows
    ]


def adl_quantile(call: Call) -> list[Row]:
    view = call.view()
    held = [risk for risk in call.core.summary(view).positions if risk.quantity]
    return [
        {"symbol": risk.symbol.compact, "adlQuantile": {risk.side.value.upper(): ADL_QUANTILE}}
        for risk in held
    ]


def api_trading_status(call: Call) -> Row:
    """No quantitative rule ever binds here."""
    return {"indicators": {}, "updateTime": call.now_ms}
