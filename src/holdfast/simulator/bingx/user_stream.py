"""The user stream: account events as BingX words them (sheet §7.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import PositionSide
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bingx import ids
from holdfast.simulator.bingx.render import WORKINGS, of_order, of_stop, wire_id
from holdfast.simulator.bingx.venue import Venue
from holdfast.simulator.core.margin import unrealized
from holdfast.simulator.core.model import (
    AccountEvent,
    AlgoEvent,
    AlgoStatus,
    AlgoType,
    Execution,
    OrderEvent,
    SimAccount,
    SimAlgo,
    SimFill,
    SimPosition,
)
from holdfast.simulator.wire.feeds import Feed, Moment
from holdfast.simulator.wire.figures import Row, price
from holdfast.simulator.wire.tongue import AnyUserEvent, Marks, PriceWords
from holdfast.simulator.wire.venue import margin_mode

CONFIG_EVERY_MS = 5_000
EXECUTIONS: Mapping[Execution, str] = {
    **{execution: execution.value.upper() for execution in Execution},
    Execution.LIQUIDATION: "CALCULATED",
    Execution.AMENDMENT: "NEW",
}
_ENDS = {AlgoStatus.CANCELED: "CANCELED", AlgoStatus.REJECTED: "EXPIRED"}


def long(value: Decimal) -> str:
    """Amounts on the stream: eight decimals."""
    return f"{value:.8f}"


def expired_event(key: str, now_ms: int) -> Row:
    return {"e": "listenKeyExpired", "E": now_ms, "listenKey": key}


class EventWords(PriceWords):
    """Renders the core's events; which way a position last pointed is remembered for its end."""

    def __init__(self, venue: Venue) -> None:
        super().__init__()
        self._venue = venue
        self._isolated: dict[str, dict[tuple[Symbol, PositionSide], Decimal]] = {}
        self._pointed: dict[tuple[str, Symbol, PositionSide], str] = {}

    def render(self, event: AnyUserEvent, marks: Marks) -> list[Row]:
        """The exchange's events for it; margin calls are not told, settings by a heartbeat of their own."""
        match event:
            case OrderEvent():
                return [self._framed(event.at_ms, self._order(event))]
            case AlgoEvent():
                execution = self._execution(event.algo)
                return [self._framed(event.at_ms, self._stop(event, execution))] if execution else []
            case AccountEvent():
                return [self._account(event, marks)]
        return []

    def _framed(self, at_ms: int, body: Row) -> Row:
        return {"e": self._venue.switches.order_event, "E": at_ms, "T": at_ms, "o": body}

    # --- orders ------------------------------------------------------------------------------------

    def _order(self, event: OrderEvent) -> Row:
        order, instrument = event.order, self._venue.core.instrument(event.order.symbol)
        extras = of_order(self._venue, order)
        stop = order.stop_price if order.algo_id else ZERO
        return {
            "s": order.symbol.dashed,
            "c": extras.client_id,
            "i": wire_id(self._venue, order),
            "S": order.side.value.upper(),
            "o": extras.type if not order.liquidation else "LIQUIDATION",
            "q": long(order.quantity),
            "p": long(order.price or order.average_price),
            "sp": long(stop),
            "ap": long(order.average_price),
            "x": EXECUTIONS[event.execution],
            "X": order.status.value.upper(),
            "T": event.at_ms,
            "wt": extras.working_type or "MARK_PRICE",
            "ps": order.position_side.value.upper(),
            "z": long(order.filled),
            "sg": "false",
            "ti": ids.of_stop(order.algo_id) if order.algo_id else 0,
            "ro": order.reduce_only,
            **_fill_part(event.fill, order.symbol.settle),
            "tv": price(instrument, event.fill.price * event.fill.quantity) if event.fill else "0",
        }

    def _execution(self, algo: SimAlgo) -> tuple[str, str] | None:
        """(execution, status); what becomes of a triggered one its order tells."""
        if algo.status is AlgoStatus.NEW:
            return "NEW", "NEW"
        if algo.status is AlgoStatus.EXPIRED:
            word = self._venue.switches.orphans_end_as
            return word, word
        end = _ENDS.get(algo.status)
        return (end, end) if end else None

    def _stop(self, event: AlgoEvent, execution: tuple[str, str]) -> Row:
        algo, extras = event.algo, of_stop(self._venue, event.algo)
        trailing = algo.type is AlgoType.TRAILING_STOP_MARKET
        return {
            "s": algo.symbol.dashed,
            "c": extras.client_id,
            "i": ids.of_stop(algo.algo_id),
            "S": algo.side.value.upper(),
            "o": extras.type,
            "q": long(algo.quantity),
            "p": long(algo.price),
            "sp": long(ZERO if trailing else algo.trigger_price),
            "ap": long(ZERO),
            "x": execution[0],
            "X": execution[1],
            "T": event.at_ms,
            "wt": WORKINGS[algo.working],
            "ps": algo.position_side.value.upper(),
            "z": long(ZERO),
            "sg": "false",
            "ti": 0,
            "ro": algo.reduce_only,
            **_fill_part(None, algo.symbol.settle),
            "tv": "0",
        }

    # --- account -----------------------------------------------------------------------------------

    def _account(self, event: AccountEvent, marks: Marks) -> Row:
        """A funding payment tells of positions only where it was taken from one (isolated)."""
        isolated = self._isolated.setdefault(event.account_id, {})
        for position in event.positions:
            isolated[position.symbol, position.side] = position.isolated_wallet
        balance = {
            "a": self._venue.core.config.quote,
            "wb": long(event.wallet),
            "cw": long(event.wallet - sum(isolated.values(), ZERO)),
            "bc": long(event.wallet_change) if event.wallet_change else "0",
        }
        rows = [
            row
            for position in event.positions
            if event.reason != "FUNDING_FEE" or position.isolated_wallet
            for row in self._positions(event, position, marks[position.symbol])
        ]
        return {"e": "ACCOUNT_UPDATE", "E": event.at_ms, "a": {"m": event.reason, "B": [balance], "P": rows}}

    def _positions(self, event: AccountEvent, position: SimPosition, mark: Decimal) -> list[Row]:
        """Its row; of one that was turned over first the end of its other side."""
        key = (event.account_id, position.symbol, position.side)
        before = self._pointed.get(key, position.side.value.upper())
        if not position.quantity:
            self._pointed.pop(key, None)
            return [self._position(event, position, mark, before)]
        now = self._pointed[key] = "LONG" if position.quantity > 0 else "SHORT"
        turned = before in ("LONG", "SHORT") and before != now
        gone = replace(position, quantity=ZERO, entry_price=ZERO, isolated_wallet=ZERO)
        ended = [self._position(event, gone, mark, before)] if turned else []
        return [*ended, self._position(event, position, mark, now)]

    def _position(self, event: AccountEvent, position: SimPosition, mark: Decimal, pointed: str) -> Row:
        """Amounts are positive; the direction is in `ps`, also in one-way mode and for what is flat now."""
        view = self._venue.core.view(event.account_id)
        isolated = margin_mode(view, position.symbol) is MarginMode.ISOLATED
        instrument = self._venue.core.instrument(position.symbol)
        return {
            "s": position.symbol.dashed,
            "pa": long(abs(position.quantity)) if position.quantity else "0",
            "ep": price(instrument, position.entry_price),
            "up": long(unrealized(position, mark)),
            "mt": "isolated" if isolated else "cross",
            "iw": long(position.isolated_wallet),
            "ps": pointed,
            "cr": long(position.realized),
        }


def _fill_part(fill: SimFill | None, asset: str) -> Row:
    """What an event tells of its fill."""
    if fill is None:
        return {"N": "", "n": "0", "rp": long(ZERO), "l": long(ZERO), "L": "0", "td": 0}
    return {
        "N": asset,
        "n": long(-fill.fee),
        "rp": long(fill.realized),
        "l": long(fill.quantity),
        "L": long(fill.price),
        "td": fill.trade_id,
    }


# --- the settings' heartbeat -----------------------------------------------------------------------


def tell_settings(feed: Feed, moment: Moment) -> list[object]:
    """Every symbol's leverage and margin mode, when the stream begins and every five seconds."""
    gone = moment.venue.keys.account_of(feed.name) is None
    if gone or not feed.due(moment):
        return []
    assert isinstance(moment.venue, Venue)
    view = moment.venue.core.view(feed.account_id)
    return [_settings(moment.venue, view, symbol, moment.now_ms) for symbol in moment.venue.core.symbols()]


def _settings(venue: Venue, view: SimAccount, symbol: Symbol, now_ms: int) -> Row:
    hedge = view.position_mode is PositionMode.HEDGE
    long_side, short_side = (
        (PositionSide.LONG, PositionSide.SHORT) if hedge else (PositionSide.BOTH, PositionSide.BOTH)
    )
    body = {
        "s": symbol.dashed,
        "l": venue.side_leverage(view, symbol, long_side),
        "S": venue.side_leverage(view, symbol, short_side),
        "mt": "isolated" if margin_mode(view, symbol) is MarginMode.ISOLATED else "cross",
    }
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": now_ms, "ac": body}


def settings_feed(name: str, account_id: str) -> Feed:
    return Feed(
        name,
        "",
        None,
        CONFIG_EVERY_MS,
        tell_settings,
        account_id=account_id,
        label="ACCOUNT_CONFIG_UPDATE",
    )
