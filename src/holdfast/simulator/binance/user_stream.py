"""The user data stream: listen keys, and account events as the exchange words them (sheet §7.3)."""

from __future__ import annotations

import random
import string
from collections.abc import Mapping
from dataclasses import dataclass
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
    Row,
    algo_order_kind,
    amount,
    amount_or_zero,
    average,
    fine,
    order_type,
    original_type,
    price,
    quantity,
)
from holdfast.simulator.binance.venue import Venue, margin_mode
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
    PriceEvent,
    SimFill,
    SimPosition,
)

KEY_LETTERS = string.ascii_letters + string.digits
EXECUTIONS: Mapping[Execution, str] = {
    **{execution: execution.value.upper() for execution in Execution},
    Execution.LIQUIDATION: "CALCULATED",
}


# --- listen keys -----------------------------------------------------------------------------------


@dataclass(slots=True)
class ListenKey:
    key: str
    account_id: str
    expires_ms: int


class ListenKeys:
    """One active key per account, alive for an hour from the last POST or PUT."""

    def __init__(self, life_ms: int, chance: random.Random) -> None:
        self._life_ms = life_ms
        self._chance = chance
        self._by_account: dict[str, ListenKey] = {}

    def open(self, account_id: str, now_ms: int) -> str:
        """The active key, extended; or a new one."""
        active = self._by_account.get(account_id)
        if active is None or active.expires_ms <= now_ms:
            key = "".join(self._chance.choices(KEY_LETTERS, k=64))
            active = self._by_account[account_id] = ListenKey(key, account_id, 0)
        active.expires_ms = now_ms + self._life_ms
        return active.key

    def extend(self, account_id: str, now_ms: int) -> str:
        """Extend the active key; -1125 when there is none."""
        active = self._by_account.get(account_id)
        if active is None or active.expires_ms <= now_ms:
            raise no_listen_key()
        active.expires_ms = now_ms + self._life_ms
        return active.key

    def close(self, account_id: str) -> None:
        """End the stream of every process on this account; -1125 when there is none."""
        if self._by_account.pop(account_id, None) is None:
            raise no_listen_key()

    def active(self, account_id: str) -> str | None:
        key = self._by_account.get(account_id)
        return key.key if key else None

    def account_of(self, key: str) -> str | None:
        return next((item.account_id for item in self._by_account.values() if item.key == key), None)

    def expire(self, now_ms: int) -> list[ListenKey]:
        """Remove and return the keys whose time is over."""
        over = [key for key in self._by_account.values() if key.expires_ms <= now_ms]
        for key in over:
            del self._by_account[key.account_id]
        return over

    def expire_now(self, account_id: str) -> None:
        """Let the active key end at the next step (drills)."""
        if account_id in self._by_account:
            self._by_account[account_id].expires_ms = 0


def expired_event(key: ListenKey, now_ms: int) -> Row:
    return {"e": "listenKeyExpired", "E": now_ms, "listenKey": key.key}


# --- events ----------------------------------------------------------------------------------------


Marks = Mapping[Symbol, Decimal]
AnyUserEvent = OrderEvent | AlgoEvent | AccountEvent | ConfigEvent | MarginCallEvent


class EventWords:
    """Renders the core's events.

    `marks_of` is called in the moment of an event, when the core may not be asked; `render` once it
    is at rest. Isolated wallets are remembered from event to event.
    """

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._marks: dict[Symbol, Decimal] = {}
        self._isolated: dict[str, dict[tuple[Symbol, PositionSide], Decimal]] = {}

    def note_price(self, event: PriceEvent) -> None:
        self._marks[event.symbol] = event.mark

    def marks_of(self, event: AnyUserEvent) -> Marks:
        """The mark prices this event's figures are reckoned with."""
        if not isinstance(event, AccountEvent | MarginCallEvent):
            return {}
        return {p.symbol: self._marks.get(p.symbol, p.entry_price) for p in event.positions}

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
