"""Private channels: orders, plan orders, fills, positions and the account (bitget.md §7.3, §7.6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from holdfast.domain.numbers import ZERO, plain
from holdfast.domain.orders import PositionSide
from holdfast.simulator.bitget.account import BTC_PRICE, funding_of
from holdfast.simulator.bitget.lives import Life
from holdfast.simulator.bitget.params import PRODUCT
from holdfast.simulator.bitget.plans import NO_PRESETS, STATUSES
from holdfast.simulator.bitget.render import (
    FORCES,
    MARGIN_WORDS,
    ORDER_STATUSES,
    entered_by,
    fee_detail,
    margin_ratio,
    mode_word,
    none_if_zero,
    order_source,
    order_trade_side,
    plan_stream_row,
    position_row,
    position_word,
    wire_side,
)
from holdfast.simulator.bitget.venue import MARGIN_COIN, Venue
from holdfast.simulator.core.margin import MarginSummary, PositionRisk
from holdfast.simulator.core.model import (
    AccountEvent,
    AlgoEvent,
    AlgoStatus,
    OrderEvent,
    SimAccount,
    SimFill,
    SimOrder,
)
from holdfast.simulator.wire.figures import Row, fine
from holdfast.simulator.wire.tongue import AnyUserEvent, Told
from holdfast.simulator.wire.venue import margin_mode

WHOSE: Mapping[str, dict[str, str]] = {"account": {"coin": "default"}, "equity": {}}
CHANNELS = frozenset({"account", "positions", "positions-history", "orders", "orders-algo", "fill", "equity"})
WITH_STATE = frozenset({"account", "positions", "equity"})
"""These begin with what is there; the others tell of events only."""


def private_name(channel: str, account_id: str) -> str:
    return f"@{channel}/{account_id}"


def private_message(channel: str, data: list[Row], now_ms: int) -> Row:
    arg = {"instType": PRODUCT, "channel": channel} | WHOSE.get(channel, {"instId": "default"})
    return {"action": "snapshot", "arg": arg, "data": data, "ts": now_ms}


class PrivateWords:
    """Renders what happens to accounts; asked once the core is at rest."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._plans_told: dict[int, str] = {}
        self._lives_told: Counter[str] = Counter()
        self._changed: dict[str, None] = {}
        """Accounts whose money moved in this step."""

    def of(self, event: AnyUserEvent) -> Iterator[Told]:
        """What is pushed for it, in order."""
        match event:
            case OrderEvent():
                yield from self._order(event)
            case AlgoEvent():
                yield from self._plan(event)
            case AccountEvent():
                yield from self._account(event)
            case _:
                return

    def state(self, channel: str, account_id: str) -> list[Row]:
        """What a channel holds now."""
        account = self._venue.core.view(account_id)
        summary = self._venue.core.summary(account)
        if channel == "account":
            return [money_row(summary)]
        if channel == "equity":
            return [_equity_row(summary)]
        rows = (risk for risk in summary.positions if risk.quantity)
        return [stream_position(self._venue, account, risk, summary) for risk in rows]

    def _told(self, channel: str, account_id: str, rows: list[Row], detail: str = "") -> Told:
        label = f"{channel}/{detail}" if detail else channel
        payload = private_message(channel, rows, self._venue.core.now_ms)
        return Told(private_name(channel, account_id), label, payload)

    def _order(self, event: OrderEvent) -> Iterator[Told]:
        order, account_id = event.order, event.account_id
        if event.fill is not None:
            yield self._told("fill", account_id, [_fill_row(event.fill, order)])
        account = self._venue.core.view(account_id)
        row = _order_row(self._venue, account, order, event.fill)
        yield self._told("orders", account_id, [row], ORDER_STATUSES[order.status])

    def _plan(self, event: AlgoEvent) -> Iterator[Told]:
        """TRIGGERED and FINISHED are one to Bitget: executed."""
        algo, status = event.algo, STATUSES[event.algo.status]
        known = self._plans_told.get(algo.algo_id) == status
        if algo.status.final:
            self._plans_told.pop(algo.algo_id, None)
        else:
            self._plans_told[algo.algo_id] = status
        if not (known and algo.status is AlgoStatus.FINISHED):
            row = plan_stream_row(self._venue, algo)
            yield self._told("orders-algo", event.account_id, [row], status)

    def _account(self, event: AccountEvent) -> Iterator[Told]:
        """The whole list of positions: one that is closed is just missing from it."""
        self._changed[event.account_id] = None
        if event.positions:
            yield self._told("positions", event.account_id, self.state("positions", event.account_id))

    def settled(self) -> Iterator[tuple[str, Told]]:
        """What a step ends with: positions that are over, and the money as it is now."""
        changed, self._changed = self._changed, {}
        for account_id in changed:
            for life in self._newly_over(account_id):
                row = _past_row(self._venue.core.view(account_id), life)
                yield account_id, self._told("positions-history", account_id, [row])
            for channel in ("account", "equity"):
                yield account_id, self._told(channel, account_id, self.state(channel, account_id))

    def _newly_over(self, account_id: str) -> list[Life]:
        over = self._venue.lives.over.get(account_id, [])
        told, self._lives_told[account_id] = self._lives_told[account_id], len(over)
        return over[told:]

    def skip(self, event: AnyUserEvent) -> None:
        """Nobody listens: only remember what would have been told."""
        if isinstance(event, AccountEvent):
            self._newly_over(event.account_id)


# --- rows ------------------------------------------------------------------------------------------


def _order_row(venue: Venue, account: SimAccount, order: SimOrder, fill: SimFill | None) -> Row:
    presets = venue.presets.get(order.order_id, NO_PRESETS)
    tally = venue.lives.tally(order.order_id)
    price = order.price or order.average_price or venue.core.prices(order.symbol).mark
    return {
        "instId": order.symbol.compact,
        "orderId": str(order.order_id),
        "clientOid": order.client_id,
        "size": plain(order.quantity),
        "price": plain(order.price),
        "priceAvg": fine(order.average_price),
        "orderType": order.kind.value,
        "force": FORCES[order.tif],
        "side": wire_side(order.side, order.position_side),
        "tradeSide": order_trade_side(order),
        "posSide": position_word(order.position_side),
        "posMode": mode_word(order.position_side),
        "marginMode": MARGIN_WORDS[margin_mode(account, order.symbol)],
        "marginCoin": MARGIN_COIN,
        "leverage": str(venue.side_leverage(account, order.symbol, order.position_side)),
        "reduceOnly": "yes" if order.reduce_only else "no",
        "status": ORDER_STATUSES[order.status],
        "accBaseVolume": plain(order.filled),
        **(_fill_part(fill) if fill is not None else {}),
        "feeDetail": [{"feeCoin": MARGIN_COIN, "fee": plain(-tally.fee)}],
        "pnl": plain(tally.realized),
        "notionalUsd": fine(order.quantity * price),
        "enterPointSource": entered_by(order),
        "orderSource": order_source(venue, order),
        "cancelReason": "normal_cancel" if ORDER_STATUSES[order.status] == "canceled" else "",
        "presetStopSurplusPrice": none_if_zero(presets.profit),
        "presetStopLossPrice": none_if_zero(presets.loss),
        "cTime": str(order.created_ms),
        "uTime": str(order.updated_ms),
    }


def _fill_part(fill: SimFill) -> Row:
    return {
        "baseVolume": plain(fill.quantity),
        "fillPrice": plain(fill.price),
        "fillTime": str(fill.at_ms),
        "fillFee": plain(-fill.fee),
        "fillFeeCoin": MARGIN_COIN,
        "fillNotionalUsd": fine(fill.quantity * fill.price),
        "tradeId": str(fill.trade_id),
        "tradeScope": "M" if fill.maker else "T",
    }


def _fill_row(fill: SimFill, order: SimOrder) -> Row:
    """Of the fill channel, whose side is what was traded in hedge mode, too."""
    return {
        "orderId": str(fill.order_id),
        "clientOid": fill.client_id,
        "tradeId": str(fill.trade_id),
        "symbol": fill.symbol.compact,
        "side": fill.side.value,
        "orderType": order.kind.value,
        "posMode": mode_word(fill.position_side),
        "price": plain(fill.price),
        "baseVolume": plain(fill.quantity),
        "quoteVolume": plain(fill.price * fill.quantity),
        "profit": plain(fill.realized),
        "tradeSide": order_trade_side(order),
        "tradeScope": "maker" if fill.maker else "taker",
        "feeDetail": [fee_detail(fill)],
        "cTime": str(fill.at_ms),
        "uTime": str(fill.at_ms),
    }


def money_row(summary: MarginSummary) -> Row:
    own = summary.cross_wallet + summary.cross_unrealized
    ratio = summary.cross_maintenance_margin / own if own > 0 else ZERO
    return {
        "marginCoin": MARGIN_COIN,
        "frozen": fine(summary.initial_margin),
        "available": fine(summary.equity),
        "maxOpenPosAvailable": fine(summary.available),
        "maxTransferOut": fine(summary.max_withdraw),
        "equity": fine(summary.equity),
        "usdtEquity": fine(summary.equity),
        "crossedRiskRate": fine(ratio),
        "unrealizedPL": fine(summary.unrealized),
    }


def _equity_row(summary: MarginSummary) -> Row:
    return {
        "btcEquity": fine(summary.equity / BTC_PRICE),
        "usdtEquity": fine(summary.equity),
        "unrealizedPL": fine(summary.unrealized),
        "unionTotalMargin": "0",
        "unionAvailable": "0",
        "unionMm": "0",
    }


def stream_position(venue: Venue, account: SimAccount, risk: PositionRisk, summary: MarginSummary) -> Row:
    """The same position as over REST, with other names for some of it; leverage is a number."""
    row = position_row(venue, account, risk, summary)
    life = venue.lives.of(account.account_id, risk.symbol, risk.side)
    margin = risk.position_initial_margin
    return {
        "posId": str(life.number if life else 1),
        "instId": row["symbol"],
        "marginCoin": MARGIN_COIN,
        "marginSize": row["marginSize"],
        "marginMode": row["marginMode"],
        "holdSide": row["holdSide"],
        "posMode": row["posMode"],
        "total": row["total"],
        "available": row["available"],
        "frozen": row["locked"],
        "openPriceAvg": row["openPriceAvg"],
        "leverage": risk.leverage,
        "achievedProfits": row["achievedProfits"],
        "unrealizedPL": row["unrealizedPL"],
        "unrealizedPLR": fine(risk.unrealized / margin) if margin else "0",
        "liquidationPrice": row["liquidationPrice"],
        "keepMarginRate": row["keepMarginRate"],
        "marginRate": fine(margin_ratio(risk, summary)),
        "cTime": row["cTime"],
        "breakEvenPrice": row["breakEvenPrice"],
        "totalFee": row["totalFee"],
        "deductedFee": row["deductedFee"],
        "uTime": row["uTime"],
        "autoMargin": "off",
    }


def _past_row(account: SimAccount, life: Life) -> Row:
    return {
        "posId": str(life.number),
        "instId": life.symbol.compact,
        "marginCoin": MARGIN_COIN,
        "marginMode": MARGIN_WORDS[margin_mode(account, life.symbol)],
        "holdSide": "long" if life.long else "short",
        "posMode": "one_way_mode" if life.side is PositionSide.BOTH else "hedge_mode",
        "openPriceAvg": fine(life.open_price),
        "closePriceAvg": fine(life.close_price),
        "openSize": plain(life.opened),
        "closeSize": plain(life.closed),
        "achievedProfits": fine(life.realized),
        "settleFee": fine(funding_of(account, life)),
        "openFee": fine(-life.open_fee),
        "closeFee": fine(-life.close_fee),
        "cTime": str(life.opened_ms),
        "uTime": str(life.updated_ms),
    }
