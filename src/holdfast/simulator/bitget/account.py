"""Balance, positions, leverage, modes and bills over REST (bitget.md §3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.numbers import ZERO, plain
from holdfast.domain.orders import PositionSide
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bitget import errors
from holdfast.simulator.bitget.lives import Life
from holdfast.simulator.bitget.pages import listed, page
from holdfast.simulator.bitget.params import PRODUCT
from holdfast.simulator.bitget.render import MARGIN_WORDS, funding_paid, position_row, trade_side
from holdfast.simulator.bitget.trade import HOLD_SIDES, MARGIN_MODES
from holdfast.simulator.bitget.venue import MARGIN_COIN, Call, hedge
from holdfast.simulator.core.margin import MarginSummary
from holdfast.simulator.core.model import CoreRefusal, Income, Refused, SimAccount, SimFill
from holdfast.simulator.wire.figures import Row, fine
from holdfast.simulator.wire.venue import margin_mode

POSITION_MODES: Mapping[str, PositionMode] = {
    "one_way_mode": PositionMode.ONE_WAY,
    "hedge_mode": PositionMode.HEDGE,
}
MODE_WORDS = {mode: word for word, mode in POSITION_MODES.items()}
BTC_PRICE = Decimal(60_000)
"""What `btcEquity` is reckoned with."""


# --- balance ---------------------------------------------------------------------------------------


def money_row(summary: MarginSummary) -> Row:
    """What the account holds; `maxTransferOut` leaves profits that are not realized out."""
    ratio = ZERO
    if summary.cross_maintenance_margin:
        own = summary.cross_wallet + summary.cross_unrealized
        ratio = summary.cross_maintenance_margin / own if own > 0 else Decimal(1)
    return {
        "marginCoin": MARGIN_COIN,
        "locked": fine(summary.order_initial_margin),
        "available": fine(summary.available),
        "crossedMaxAvailable": fine(summary.available),
        "isolatedMaxAvailable": fine(summary.available),
        "maxTransferOut": fine(summary.max_withdraw),
        "accountEquity": fine(summary.equity),
        "usdtEquity": fine(summary.equity),
        "btcEquity": fine(summary.equity / BTC_PRICE),
        "crossedRiskRate": fine(ratio),
        "unrealizedPL": fine(summary.unrealized),
        "coupon": "0",
        "crossedUnrealizedPL": fine(summary.cross_unrealized),
        "isolatedUnrealizedPL": fine(summary.unrealized - summary.cross_unrealized),
        "unionTotalMargin": "",
        "unionAvailable": "",
        "unionMm": "",
        "assetMode": "single",
        "grant": "",
    }


def get_accounts(call: Call) -> list[Row]:
    if call.params.product() != PRODUCT:
        return []
    view = call.view()
    return [money_row(call.core.summary(view)) | {"assetList": []}]


def get_account(call: Call) -> Row:
    """With the symbol's margin mode and leverages, and the position mode."""
    call.params.product()
    symbol, view = call.instrument().symbol, call.view()
    call.params.need("marginCoin")
    call.check_margin_coin(call.params)
    return money_row(call.core.summary(view)) | {
        "crossedMarginLeverage": call.venue.leverage(view, symbol),
        "isolatedLongLever": call.venue.side_leverage(view, symbol, PositionSide.LONG),
        "isolatedShortLever": call.venue.side_leverage(view, symbol, PositionSide.SHORT),
        "marginMode": MARGIN_WORDS[margin_mode(view, symbol)],
        "posMode": MODE_WORDS[view.position_mode],
    }


# --- positions -------------------------------------------------------------------------------------


def positions(call: Call, symbols: frozenset[Symbol]) -> list[Row]:
    view = call.view()
    summary = call.core.summary(view)
    return [
        position_row(call.venue, view, risk, summary)
        for risk in summary.positions
        if risk.quantity and risk.symbol in symbols
    ]


def get_all_positions(call: Call) -> list[Row]:
    if call.params.product() != PRODUCT:
        return []
    call.check_margin_coin(call.params)
    return positions(call, frozenset(call.core.symbols()))


def get_single_position(call: Call) -> list[Row]:
    call.params.product()
    call.check_margin_coin(call.params)
    return positions(call, frozenset({call.instrument().symbol}))


def get_past_positions(call: Call) -> Row:
    wanted, view = frozenset(call.symbols()), call.view()
    found = [life for life in call.venue.lives.past(call.account_id) if life.symbol in wanted]
    lives = page(call.params, found, lambda life: life.number, lambda life: life.updated_ms)
    rows = [past_row(view, life) for life in lives]
    return listed(call.switches, "list", rows, lives[-1].number if lives else None)


def funding_of(view: SimAccount, life: Life) -> Decimal:
    """Funding paid (negative) or received while it was open."""
    return sum(funding_paid(view, life.symbol, life.opened_ms, life.updated_ms), ZERO)


def past_row(view: SimAccount, life: Life) -> Row:
    funding = funding_of(view, life)
    return {
        "symbol": life.symbol.compact,
        "marginCoin": MARGIN_COIN,
        "holdSide": "long" if life.long else "short",
        "openAvgPrice": fine(life.open_price),
        "closeAvgPrice": fine(life.close_price),
        "marginMode": MARGIN_WORDS[margin_mode(view, life.symbol)],
        "openTotalPos": plain(life.opened),
        "closeTotalPos": plain(life.closed),
        "pnl": fine(life.realized),
        "netProfit": fine(life.realized + funding - life.open_fee - life.close_fee),
        "totalFunding": fine(funding),
        "openFee": fine(-life.open_fee),
        "closeFee": fine(-life.close_fee),
        "utime": str(life.updated_ms),
        "ctime": str(life.opened_ms),
    }


def get_adl_rank(call: Call) -> list[Row]:
    """The simulator knows no queue of other traders: everyone stands in its middle."""
    return [
        {"marginCoin": MARGIN_COIN, "symbol": row["symbol"], "adlRank": "0.5"}
        for row in positions(call, frozenset(call.core.symbols()))
    ]


# --- settings --------------------------------------------------------------------------------------


def post_leverage(call: Call) -> Row:
    """Of the symbol; in isolated hedge mode also of one side (`holdSide`) or of each (`longLeverage`)."""
    params, account = call.params, call.now()
    params.product()
    symbol = call.instrument().symbol
    call.check_margin_coin(params)
    wanted = _leverages(call, account, symbol)
    if any(account.orders[order_id].symbol == symbol for order_id in account.live_orders):
        raise errors.orders_exist()
    same = all(call.venue.side_leverage(account, symbol, side) == value for side, value in wanted)
    if same and call.switches.unchanged_setting == "refused":
        raise errors.leverage_unchanged()
    for side, value in wanted:
        try:
            call.core.set_leverage(call.account_id, symbol, value, side)
        except CoreRefusal as refusal:
            raise (errors.leverage_margin() if refusal.why is Refused.MARGIN else refusal) from refusal
    return _levers(call, symbol) | {
        "crossMarginLeverage": str(call.venue.leverage(call.now(), symbol)),
        "marginMode": MARGIN_WORDS[margin_mode(account, symbol)],
    }


def _leverages(call: Call, account: SimAccount, symbol: Symbol) -> list[tuple[PositionSide, int]]:
    """What to set, side by side; sides that have one of their own follow the symbol's."""
    params = call.params
    by_side = hedge(account) and margin_mode(account, symbol) is MarginMode.ISOLATED
    each = [(side, f"{word}Leverage") for word, side in HOLD_SIDES.items() if f"{word}Leverage" in params]
    if by_side and each:
        return [(side, params.need_integer(name)) for side, name in each]
    value = params.need_integer("leverage")
    if by_side and "holdSide" in params:
        return [(params.choice("holdSide", HOLD_SIDES), value)]
    own = [side for side in HOLD_SIDES.values() if (symbol, side) in account.side_leverage]
    return [(side, value) for side in (PositionSide.BOTH, *own)]


def _levers(call: Call, symbol: Symbol) -> Row:
    account = call.now()
    levers = {
        f"{word}Leverage": str(call.venue.side_leverage(account, symbol, side))
        for word, side in HOLD_SIDES.items()
    }
    return {"symbol": symbol.compact, "marginCoin": MARGIN_COIN, **levers}


def post_margin_mode(call: Call) -> Row:
    params = call.params
    params.product()
    symbol = call.instrument().symbol
    call.check_margin_coin(params)
    mode = params.choice("marginMode", MARGIN_MODES)
    try:
        call.core.set_margin_mode(call.account_id, symbol, mode)
    except CoreRefusal as refusal:
        same = refusal.why is Refused.MARGIN_MODE_SAME
        if not same or call.switches.unchanged_setting == "refused":
            raise
    return _levers(call, symbol) | {"marginMode": MARGIN_WORDS[mode]}


def post_position_mode(call: Call) -> Row:
    """Account-wide per productType."""
    call.params.product()
    mode = call.params.choice("posMode", POSITION_MODES)
    try:
        call.core.set_position_mode(call.account_id, mode)
    except CoreRefusal as refusal:
        if refusal.why is not Refused.POSITION_MODE_SAME:
            raise
    return {"posMode": MODE_WORDS[mode]}


# The core's words for it are those of changing the mode; here they mean something else.
_MARGIN_REFUSALS = {
    Refused.MARGIN_MODE_POSITION: errors.no_position,
    Refused.MARGIN_MODE_SAME: errors.not_isolated,
    Refused.MARGIN: errors.leverage_margin,
}


def post_margin(call: Call) -> str:
    """Add (or with a minus take) margin of an isolated position; the answer says nothing."""
    params = call.params
    params.product()
    symbol, amount = call.instrument().symbol, params.need_decimal("amount")
    side = PositionSide.BOTH
    if hedge(call.now()):
        side = params.choice("holdSide", HOLD_SIDES)
    try:
        call.core.change_isolated_margin(call.account_id, symbol, side, amount)
    except CoreRefusal as refusal:
        words = _MARGIN_REFUSALS.get(refusal.why)
        raise (words() if words else refusal) from refusal
    return ""


def get_trade_rate(call: Call) -> Row:
    instrument = call.instrument()
    return {"makerFeeRate": plain(instrument.maker_fee), "takerFeeRate": plain(instrument.taker_fee)}


def get_uta_settings(_call: Call) -> Row:
    """Clients ask whether the account is unified; it is not."""
    raise errors.classic_account()


# --- bills -----------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Bill:
    """One change of the wallet; what a fill brings and costs is one."""

    number: int
    at_ms: int
    symbol: Symbol | None
    kind: str
    balance: Decimal
    amount: Decimal = ZERO
    fee: Decimal = ZERO
    trade_id: str = ""


_KINDS = {"FUNDING_FEE": "contract_settle_fee", "INSURANCE_CLEAR": "risk_captital_user_transfer"}


def bills(account: SimAccount) -> Iterator[Bill]:
    """Oldest first, with the wallet after each."""
    fills = {str(fill.trade_id): fill for fill in account.fills}
    balance, open_bill = ZERO, None
    for income in account.incomes:
        balance += income.amount
        if open_bill is not None and (not income.trade_id or income.trade_id != open_bill.trade_id):
            yield open_bill
            open_bill = None
        if open_bill is None:
            open_bill = Bill(
                number=income.tran_id,
                at_ms=income.at_ms,
                symbol=income.symbol,
                kind=_kind(income, fills.get(income.trade_id)),
                balance=balance,
                trade_id=income.trade_id,
            )
        open_bill.balance = balance
        if income.type == "COMMISSION":
            open_bill.fee += income.amount
        else:
            open_bill.amount += income.amount
    if open_bill is not None:
        yield open_bill


def _kind(income: Income, fill: SimFill | None) -> str:
    if fill is None:
        transfer = "trans_from_exchange" if income.amount >= 0 else "trans_to_exchange"
        return _KINDS.get(income.type, transfer)
    if fill.position_side is PositionSide.BOTH:
        return fill.side.value
    return f"{trade_side(fill.side, fill.position_side)}_{fill.position_side.value}"


def get_bills(call: Call) -> Row:
    params, view = call.params, call.view()
    params.product()
    symbol, kind = params.symbol_or_none(), params.text("businessType")
    found = [bill for bill in bills(view) if kind in ("", bill.kind) and symbol in (None, bill.symbol)]
    chosen = page(params, found, lambda bill: bill.number, lambda bill: bill.at_ms)
    last = chosen[-1].number if chosen else None
    return listed(call.switches, "bills", [_bill_row(bill) for bill in chosen], last)


def _bill_row(bill: Bill) -> Row:
    return {
        "billId": str(bill.number),
        "symbol": bill.symbol.compact if bill.symbol else "",
        "amount": plain(bill.amount),
        "fee": plain(bill.fee),
        "feeByCoupon": "",
        "businessType": bill.kind,
        "coin": MARGIN_COIN,
        "balance": plain(bill.balance),
        "cTime": str(bill.at_ms),
    }
