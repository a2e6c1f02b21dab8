"""The user data stream: listen keys, and account events as the exchange words them (sheet §7.3)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from holdfast.domain.account import MarginMode
from holdfast.domain.numbers import ZERO, plain
from holdfast.domain.orders import PositionSide
from holdfast.domain.symbol import Symbol
from holdfast.simulator.binance.errors import no_listen_key
from holdfast.simulator.binance.render import (
    EXPIRE_REASONS,
    NO_EXTRAS,
    TIFS,
    WORKINGS,
    Extras,
    algo_order_kind,
    amount,
    amount_or_zero,
    average,
    order_type,
    original_type,
)
from holdfast.simulator.binance.venue import Call, Venue
from holdfast.simulator.core.instruments import SimInstrument
from holdfast.simulator.core.margin import maintenance, unrealized
from holdfast.simulator.core.model import (
    AccountEvent,
    AlgoEvent,
    AlgoStatus,
    AlgoType,
    ConfigEvent,
    Execution,
    MarginCallEvent,
    OrderEvent,
    SimFill,
    SimPosition,
)
from holdfast.simulator.wire.figures import Row, fine, price, quantity
from holdfast.simulator.wire.listen_keys import ListenKey, NoListenKey
from holdfast.simulator.wire.tongue import AnyUserEvent, Marks, PriceWords
from holdfast.simulator.wire.venue import margin_mode

EXECUTIONS: Mapping[Execution, str] = {
    **{execution: execution.value.upper() for execution in Execution},
    Execution.LIQUIDATION: "CALCULATED",
}


def post_key(call: Call) -> Row:
    return {"listenKey": call.venue.keys.open(call.account_id, call.now_ms)}


def put_key(call: Call) -> Row:
    try:
        return {"listenKey": call.venue.keys.extend(call.account_id, call.now_ms)}
    except NoListenKey as error:
        raise no_listen_key() from error


def delete_key(call: Call) -> Row:
    try:
        call.venue.keys.close(call.account_id)
    except NoListenKey as error:
        raise no_listen_key() from error
    return {}


def expired_event(key: ListenKey, now_ms: int) -> Row:
    return {"e": "listenKeyExpired", "E": now_ms, "listenKey": key.key}


class EventWords(PriceWords):
    """Renders the core's events; isolated wallets are remembered from event to event."""

    def __init__(self, venue: Venue) -> None:
        super().__init__()
        self._venue = venue
        self._isolated: dict[str, dict[tuple[Symbol, PositionSide], Decimal]] = {}

    def render(self, event: AnyUserEvent, marks: Marks) -> list[Row]:
        """The exchange's events for it, in their order."""
        match event:
            case OrderEvent():
                return self._order(event)
            case AlgoEvent():
                return [self._algo(event)]
            case AccountEvent():
                return [self._account(event, marks)]
            case ConfigEvent():
                return _config(event)
            case MarginCallEvent():
                return [self._margin_call(event, marks)]

    # --- orders ----------------------------------------------------------------------------------

    def _order(self, event: OrderEvent) -> list[Row]:
        rows: list[Row] = []
        if event.fill is not None and event.execution is Execution.TRADE:
            rows.append(self._lite(event, event.fill))
        rows.append(
            {"e": "ORDER_TRADE_UPDATE", "E": event.at_ms, "T": event.at_ms, "o": self._order_body(event)}
        )
        return rows

    def _lite(self, event: OrderEvent, fill: SimFill) -> Row:
        """The same fill, told first and shortly."""
        order, instrument = event.order, self._venue.core.instrument(event.order.symbol)
        return {
            "e": "TRADE_LITE",
            "E": event.at_ms,
            "T": event.at_ms,
            "s": order.symbol.compact,
            "q": quantity(instrument, order.quantity),
            "p": price(instrument, order.price),
            "m": fill.maker,
            "c": order.client_id,
            "S": order.side.value.upper(),
            "L": price(instrument, fill.price),
            "l": quantity(instrument, fill.quantity),
            "t": fill.trade_id,
            "i": order.order_id,
        }

    def _order_body(self, event: OrderEvent) -> Row:
        order, instrument = event.order, self._venue.core.instrument(event.order.symbol)
        extras = self._venue.extras.get(order.order_id, NO_EXTRAS)
        return {
            "s": order.symbol.compact,
            "c": order.client_id,
            "S": order.side.value.upper(),
            "o": order_type(order),
            "f": TIFS[order.tif],
            "q": quantity(instrument, order.quantity),
            "p": price(instrument, order.price),
            "ap": average(instrument, order.average_price),
            "sp": price(instrument, order.stop_price),
            "x": EXECUTIONS[event.execution],
            "X": order.status.value.upper(),
            "i": order.order_id,
            "z": quantity(instrument, order.filled),
            "T": event.at_ms,
            "b": "0",
            "a": "0",
            "R": order.reduce_only,
            "wt": "CONTRACT_PRICE",
            "ot": original_type(order),
            "ps": order.position_side.value.upper(),
            "cp": order.close_position,
            "pP": False,
            "si": order.algo_id,
            "ss": 0,
            "V": extras.self_trade,
            "pm": extras.price_match,
            "gtd": 0,
            "er": EXPIRE_REASONS[order.expire_reason],
            **_fill_part(instrument, event.fill, order.symbol.quote),
        }

    def _algo(self, event: AlgoEvent) -> Row:
        algo, instrument = event.algo, self._venue.core.instrument(event.algo.symbol)
        extras: Extras = self._venue.extras.get(algo.algo_id, NO_EXTRAS)
        body: Row = {
            "caid": algo.client_id,
            "aid": algo.algo_id,
            "at": "CONDITIONAL",
            "o": algo.type.value.upper(),
            "s": algo.symbol.compact,
            "S": algo.side.value.upper(),
            "ps": algo.position_side.value.upper(),
            "f": TIFS[algo.tif],
            "q": plain(algo.quantity),
            "X": algo.status.value.upper(),
            "ai": str(algo.order_id) if algo.order_id else "",
            "tp": price(instrument, algo.trigger_price),
            "p": plain(algo.price),
            "V": extras.self_trade,
            "wt": WORKINGS[algo.working],
            "pm": extras.price_match,
            "cp": algo.close_position,
            "pP": algo.price_protect,
            "R": algo.reduce_only,
            "tt": algo.triggered_ms,
            "gtd": 0,
            "rm": algo.reject_reason,
            "ia": algo.activated,
        }
        if algo.status in (AlgoStatus.TRIGGERED, AlgoStatus.FINISHED):
            body |= {
                "ap": plain(algo.actual_price),
                "aq": plain(algo.actual_quantity),
                "act": algo_order_kind(algo).value.upper(),
            }
        if algo.type is AlgoType.TRAILING_STOP_MARKET:
            body |= {"AP": plain(algo.activate_price or ZERO), "cr": plain(algo.callback_rate or ZERO)}
        return {"e": "ALGO_UPDATE", "T": event.at_ms, "E": event.at_ms, "o": body}

    # --- account ---------------------------------------------------------------------------------

    def _account(self, event: AccountEvent, marks: Marks) -> Row:
        """A funding payment tells of positions only where it was taken from one (isolated)."""
        isolated = self._isolated.setdefault(event.account_id, {})
        for position in event.positions:
            isolated[position.symbol, position.side] = position.isolated_wallet
        shown = [
            self._position(event, position, marks[position.symbol])
            for position in event.positions
            if event.reason != "FUNDING_FEE" or position.isolated_wallet
        ]
        balance = {
            "a": self._venue.core.config.quote,
            "wb": amount(event.wallet),
            "cw": amount(event.wallet - sum(isolated.values(), ZERO)),
            "bc": amount_or_zero(event.wallet_change),
        }
        body: Row = {"m": event.reason, "B": [balance], "P": shown}
        if event.reason == "FUNDING_FEE" and event.symbol is not None:
            body["S"] = event.symbol.compact
        return {"e": "ACCOUNT_UPDATE", "E": event.at_ms, "T": event.at_ms, "a": body}

    def _position(self, event: AccountEvent, position: SimPosition, mark: Decimal) -> Row:
        instrument = self._venue.core.instrument(position.symbol)
        return {
            "s": position.symbol.compact,
            "pa": plain(position.quantity),
            "ep": fine(position.entry_price),
            "bep": fine(break_even(position, instrument)),
            "cr": amount_or_zero(position.realized),
            "up": amount_or_zero(unrealized(position, mark)),
            "mt": self._mode(event.account_id, position).value,
            "iw": amount_or_zero(position.isolated_wallet),
            "ps": position.side.value.upper(),
        }

    def _margin_call(self, event: MarginCallEvent, marks: Marks) -> Row:
        isolated = self._isolated.get(event.account_id, {})
        wallet = self._venue.core.view(event.account_id).wallet
        return {
            "e": "MARGIN_CALL",
            "E": event.at_ms,
            "cw": amount(wallet - sum(isolated.values(), ZERO)),
            "p": [self._called(event, position, marks[position.symbol]) for position in event.positions],
        }

    def _called(self, event: MarginCallEvent, position: SimPosition, mark: Decimal) -> Row:
        instrument = self._venue.core.instrument(position.symbol)
        crossed = self._mode(event.account_id, position) is MarginMode.CROSS
        return {
            "s": position.symbol.compact,
            "ps": position.side.value.upper(),
            "pa": plain(position.quantity),
            "mt": "CROSSED" if crossed else "ISOLATED",
            "iw": amount_or_zero(position.isolated_wallet),
            "mp": amount(mark),
            "up": amount(unrealized(position, mark)),
            "mm": amount(maintenance(instrument, abs(position.quantity) * mark)),
        }

    def _mode(self, account_id: str, position: SimPosition) -> MarginMode:
        return margin_mode(self._venue.core.view(account_id), position.symbol)


def break_even(position: SimPosition, instrument: SimInstrument) -> Decimal:
    """As the exchange reckons it: entry and one taker fee."""
    direction = 1 if position.quantity > 0 else -1
    return position.entry_price * (1 + instrument.taker_fee * direction) if position.quantity else ZERO


def _fill_part(instrument: SimInstrument, fill: SimFill | None, asset: str) -> Row:
    """What an event tells of its fill; commission fields only exist where one was taken."""
    if fill is None:
        nothing = quantity(instrument, ZERO)
        return {"l": nothing, "L": "0", "t": 0, "m": False, "rp": "0"}
    return {
        "l": quantity(instrument, fill.quantity),
        "L": price(instrument, fill.price),
        "t": fill.trade_id,
        "m": fill.maker,
        "rp": amount_or_zero(fill.realized),
        "N": asset,
        "n": amount(fill.fee),
    }


def _config(event: ConfigEvent) -> list[Row]:
    """Leverage and asset mode are told; a changed position mode is not."""
    head: Row = {"e": "ACCOUNT_CONFIG_UPDATE", "E": event.at_ms, "T": event.at_ms}
    rows: list[Row] = []
    if event.leverage is not None and event.symbol is not None:
        rows.append(head | {"ac": {"s": event.symbol.compact, "l": event.leverage}})
    if event.multi_assets is not None:
        rows.append(head | {"ai": {"j": event.multi_assets}})
    return rows
