"""The risk gate: the only maker of `Approved`, and the executor takes nothing else (rule 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import final

from holdfast.decisions.limits import Limits, limit_faults
from holdfast.decisions.stop_price import margin_needed, notional_cap, stop_fault
from holdfast.domain.account import Balance, Fact, MarginMode, Mark, PositionMode, Quote
from holdfast.domain.instrument import Instrument
from holdfast.domain.intents import Intent, Journaled, Purpose
from holdfast.domain.invariant import require
from holdfast.domain.numbers import ONE, ZERO
from holdfast.domain.orders import Direction, OrderType, PositionSide, Side

__all__ = [
    "Approved",
    "GateContext",
    "Limits",
    "Mode",
    "OperatorState",
    "Refusal",
    "Refused",
    "Room",
    "approve_protective",
    "gate",
    "limit_faults",
    "room_refusals",
]

_GATE_KEY = object()


class Mode(StrEnum):
    """How much the bot may do. Goes down by itself, up only by a person, and outlives restarts."""

    NORMAL = "normal"
    REDUCE_ONLY = "reduce_only"
    HALTED = "halted"


class OperatorState(StrEnum):
    """What the operator ordered last; latched in the store."""

    RUNNING = "running"
    STOPPED = "stopped"
    KILLED = "killed"


class Refusal(StrEnum):
    """Why an entry was refused. Each has its words in docs and its own test."""

    KILLED = "killed"
    STOPPED = "stopped"
    SHUTTING_DOWN = "shutting_down"
    HALTED = "halted"
    REDUCE_ONLY = "reduce_only"
    NOT_SYNCED = "not_synced"
    POSITIONS_STALE = "positions_stale"
    READ_INCOMPLETE = "read_incomplete"
    BALANCE_STALE = "balance_stale"
    MARK_STALE = "mark_stale"
    CLOCK_SKEW = "clock_skew"
    POSITION_MODE = "position_mode"
    MARGIN_MODE = "margin_mode"
    NO_TRADE_PERMISSION = "no_trade_permission"
    UNRESOLVED_INTENT = "unresolved_intent"
    ALREADY_IN_POSITION = "already_in_position"
    FOREIGN_ORDER = "foreign_order"
    MAX_POSITIONS = "max_positions"
    DAILY_TRADE_LIMIT = "daily_trade_limit"
    COOLDOWN = "cooldown"
    RATE_LIMITED = "rate_limited"
    STORE_UNWRITABLE = "store_unwritable"
    TAKEN_OVER = "taken_over"
    DRAWDOWN = "drawdown"
    ERROR_RATE = "error_rate"
    UNPROTECTED = "unprotected"
    NOT_TRADABLE = "not_tradable"
    PRICE_OUTSIDE_COLLAR = "price_outside_collar"
    QUOTE_STALE = "quote_stale"
    SPREAD = "spread"
    STOP_INSANE = "stop_insane"
    VOLATILITY = "volatility"
    CORRELATION = "correlation"
    QUANTITY_BELOW_MIN = "quantity_below_min"
    NOTIONAL_BELOW_MIN = "notional_below_min"
    ORDER_TOO_LARGE = "order_too_large"
    POSITION_TOO_LARGE = "position_too_large"
    EXPOSURE_TOO_LARGE = "exposure_too_large"
    MARGIN = "margin"
    MARK_INSANE = "mark_insane"
    SOCKET_DOWN = "socket_down"
    EXECUTION_THROTTLE = "execution_throttle"
    LEVERAGE = "leverage"
    OFF_STEP = "off_step"
    WOULD_RAISE_EXPOSURE = "would_raise_exposure"
    """A closing request or stop that could open or grow a position."""


@final
@dataclass(frozen=True, slots=True)
class Approved:
    """A journaled intent that the gate let through. Cannot be made elsewhere."""

    journaled: Journaled
    _key: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self._key is not _GATE_KEY:
            raise TypeError("only decisions.gate can approve an intent")

    @property
    def intent(self) -> Intent:
        return self.journaled.intent


@dataclass(frozen=True, slots=True)
class Refused:
    """The gate said no, for every reason that applies (not only the first)."""

    intent: Intent
    reasons: tuple[Refusal, ...]


# --- closing, stops, cancels: never refused for mode, kill or staleness ---------------------------


def approve_protective(journaled: Journaled, position_quantity: Decimal | None) -> Approved | Refused:
    """Approve what can only reduce; asks nothing about modes, blocks or ages (rule 8).

    *position_quantity* is signed base as the exchange holds it (spot: the held balance), None when
    not known. The effect is computed: a flag helps only where the exchange itself enforces it
    (`reduce_only`, `close_position`, the position's side in hedge mode; R0.5). Cancels pass always.
    """
    if _only_reduces(journaled.intent, position_quantity or ZERO):
        return Approved(journaled, _GATE_KEY)
    return Refused(journaled.intent, (Refusal.WOULD_RAISE_EXPOSURE,))


def _only_reduces(intent: Intent, position: Decimal) -> bool:
    match intent.purpose:
        case Purpose.CANCEL_ORDER | Purpose.CANCEL_STOP:
            return True
        case Purpose.PLACE_STOP:
            # It acts later, on whatever stands then: so only its form counts, not today's position.
            return _enforced(intent)
        case Purpose.CLOSE:
            return _close_only_reduces(intent, position)
        case Purpose.ENTER:
            return False


def _enforced(intent: Intent) -> bool:
    """The exchange itself refuses to let this request open or grow a position."""
    if intent.position_side is PositionSide.BOTH:
        return intent.reduce_only or intent.close_position
    return intent.side is intent.position_side.closing


def _close_only_reduces(intent: Intent, position: Decimal) -> bool:
    if position and intent.side.sign * position > 0:
        return False
    if intent.position_side is PositionSide.BOTH and _enforced(intent):
        return True  # even on a position that we do not know of (yet)
    within = intent.quantity <= abs(position)
    return within and (intent.position_side is PositionSide.BOTH or _enforced(intent))


# --- entries --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much trading was done already: what "trading limits first" looks at (R5.2)."""

    position_count: int
    """Positions and pending entries, counted once per symbol."""
    entries_today: int
    last_entry_ms: int | None
    gross_notional: Decimal
    """All symbols in quote: positions, and open, unknown and just filled entries as if filled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateContext:
    """The facts that an entry is judged on. None = not known, and what is not known refuses."""

    operator: OperatorState
    mode: Mode
    shutting_down: bool
    blocks: frozenset[Refusal]
    """Standing blocks computed elsewhere (breakers): clock skew, rate limit, error rate …"""
    synced: bool
    """The account was read whole since start, and since the last doubt."""
    positions_asked_ms: int | None
    read_whole: bool
    """The last answers about positions, orders and stops could be read whole."""
    balance: Fact[Balance] | None
    expected_position_mode: PositionMode
    actual_position_mode: PositionMode | None
    expected_margin_mode: MarginMode
    actual_margin_mode: MarginMode | None
    can_trade: bool | None
    instrument: Instrument
    mark: Mark | None
    quote: Quote | None
    """Best bid and ask: what an order at market would meet."""
    reference_price: Decimal | None
    """What the decision was made on (signal price or last trade); the collar holds it to the mark."""
    leverage: int
    """As set at the exchange for this symbol; 0 = not known."""
    position_quantity: Decimal
    """Of this symbol, signed base."""
    symbol_notional: Decimal
    """Of this symbol in quote, counted like `Room.gross_notional`."""
    pending_notional: Decimal
    """Of entries on all symbols whose margin may not yet be missing from the balance."""
    room: Room
    unresolved_intents: int
    """On this symbol: sent, and their outcome not proven."""
    foreign_orders: int
    """On this symbol: open and not ours."""
    volatility: Decimal | None
    correlation: Decimal | None
    """Highest with an open position, same direction counted positive; None = not known."""


def room_refusals(room: Room, limits: Limits, equity: Decimal, now_ms: int) -> tuple[Refusal, ...]:
    """Why no entry at all can be made just now, whatever the signal (R5.2: trading limits first)."""
    since_entry_ms = None if room.last_entry_ms is None else now_ms - room.last_entry_ms
    broken = {
        Refusal.MAX_POSITIONS: room.position_count >= limits.max_positions,
        Refusal.DAILY_TRADE_LIMIT: room.entries_today >= limits.daily_trades_max,
        Refusal.COOLDOWN: since_entry_ms is not None and since_entry_ms < limits.cooldown_sec * 1000,
        Refusal.EXPOSURE_TOO_LARGE: room.gross_notional >= equity * limits.gross_exposure_max_ratio,
    }
    return tuple(refusal for refusal, is_broken in broken.items() if is_broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One question to the gate, with the numbers that several rows of the table need."""

    intent: Intent
    context: GateContext
    limits: Limits
    now_ms: int

    @property
    def mark_price(self) -> Decimal:
        """0 when there is none that could be true."""
        mark = self.context.mark
        return mark.price if mark and mark.price.is_finite() and mark.price > 0 else ZERO

    @property
    def price(self) -> Decimal:
        """The dearer of limit and mark price: the notional is never underestimated."""
        return max(self.mark_price, self.intent.price or ZERO)

    @property
    def notional(self) -> Decimal:
        return self.intent.quantity * self.price

    @property
    def equity(self) -> Decimal:
        return self.context.balance.value.equity if self.context.balance else ZERO

    @property
    def available(self) -> Decimal:
        return self.context.balance.value.available if self.context.balance else ZERO

    @property
    def direction(self) -> Direction:
        return Direction.LONG if self.intent.side is Side.BUY else Direction.SHORT


def _stale(entry: _Entry, at_ms: int | None, age_ms_max: int) -> bool:
    """Never read, too old, or from the future (our clock was set back): not to be relied on."""
    return at_ms is None or not 0 <= entry.now_ms - at_ms <= age_ms_max


def _outside_collar(entry: _Entry) -> bool:
    """What was decided on, what is asked for and what would be met: none may be far from the mark."""
    mark = entry.mark_price
    stated = (entry.intent.price, entry.context.reference_price, _met(entry))
    worst = max((abs(price - mark) for price in stated if price is not None), default=ZERO)
    return worst > mark * entry.limits.price_collar_ratio


def _met(entry: _Entry) -> Decimal | None:
    """The best price on the other side of the book; None when it makes no sense."""
    quote = entry.context.quote
    if quote is None or not quote.sane:
        return None
    return quote.ask if entry.direction is Direction.LONG else quote.bid


def _spread_too_wide(entry: _Entry) -> bool:
    quote = entry.context.quote
    return quote is not None and not (quote.sane and quote.spread_ratio <= entry.limits.spread_max_ratio)


def _stop_insane(entry: _Entry) -> bool:
    """Measured from the mark, and from the limit price where there is one: both have to be sane."""
    prices = {entry.mark_price, entry.intent.price or entry.mark_price}
    if ZERO in prices:
        return True
    faults = (
        stop_fault(
            entry.context.instrument,
            entry.direction,
            price=price,
            stop_price=entry.intent.stop_price,
            distance_min_ratio=entry.limits.stop_distance_min_ratio,
            distance_max_ratio=entry.limits.stop_distance_max_ratio,
            leverage=max(entry.context.leverage, 1),
            notional=entry.notional,
        )
        for price in sorted(prices)
    )
    return any(faults)


def _order_too_large(entry: _Entry) -> bool:
    instrument = entry.context.instrument
    market = entry.intent.type is OrderType.MARKET
    largest = instrument.market_quantity_max if market else instrument.quantity_max
    over_filter = largest > 0 and entry.intent.quantity > largest
    return over_filter or entry.notional > entry.equity * entry.limits.order_notional_max_ratio


def _position_too_large(entry: _Entry) -> bool:
    after = entry.context.symbol_notional + entry.notional
    ladder = notional_cap(entry.context.instrument, entry.context.leverage)
    over_ladder = ladder is not None and after > ladder
    return over_ladder or after > entry.equity * entry.limits.position_notional_max_ratio


def _margin_missing(entry: _Entry) -> bool:
    leverage = entry.context.leverage
    if leverage < 1:
        return True
    wanted = entry.notional + entry.context.pending_notional
    return margin_needed(wanted, leverage, entry.limits.margin_buffer_ratio) > entry.available


def _too_correlated(entry: _Entry) -> bool:
    """Nothing else is open: nothing to be correlated with. Else what is not known refuses."""
    known = entry.context.correlation
    if known is None:
        return entry.context.room.position_count > 0
    return known > entry.limits.correlation_max


# The policy, one row per reason; True = broken. Every row is looked at, so that all reasons are told.
_ENTRY_CHECKS: Mapping[Refusal, Callable[[_Entry], bool]] = {
    Refusal.KILLED: lambda e: e.context.operator is OperatorState.KILLED,
    Refusal.STOPPED: lambda e: e.context.operator is OperatorState.STOPPED,
    Refusal.SHUTTING_DOWN: lambda e: e.context.shutting_down,
    Refusal.HALTED: lambda e: e.context.mode is Mode.HALTED,
    Refusal.REDUCE_ONLY: lambda e: e.context.mode is Mode.REDUCE_ONLY,
    Refusal.NOT_SYNCED: lambda e: not e.context.synced,
    Refusal.POSITIONS_STALE: lambda e: _stale(e, e.context.positions_asked_ms, e.limits.positions_age_ms_max),
    Refusal.READ_INCOMPLETE: lambda e: not e.context.read_whole,
    Refusal.BALANCE_STALE: lambda e: _stale(
        e, e.context.balance.asked_ms if e.context.balance else None, e.limits.balance_age_ms_max
    ),
    Refusal.MARK_STALE: lambda e: _stale(
        e, e.context.mark.heard_ms if e.context.mark else None, e.limits.mark_age_ms_max
    ),
    Refusal.MARK_INSANE: lambda e: e.context.mark is not None and not e.mark_price,
    Refusal.POSITION_MODE: lambda e: e.context.actual_position_mode is not e.context.expected_position_mode,
    Refusal.MARGIN_MODE: lambda e: e.context.actual_margin_mode is not e.context.expected_margin_mode,
    Refusal.NO_TRADE_PERMISSION: lambda e: e.context.can_trade is not True,
    Refusal.UNRESOLVED_INTENT: lambda e: e.context.unresolved_intents > 0,
    Refusal.ALREADY_IN_POSITION: lambda e: e.context.position_quantity != 0,
    Refusal.FOREIGN_ORDER: lambda e: e.context.foreign_orders > 0,
    Refusal.NOT_TRADABLE: lambda e: not e.context.instrument.tradable,
    Refusal.PRICE_OUTSIDE_COLLAR: _outside_collar,
    Refusal.QUOTE_STALE: lambda e: _stale(
        e, e.context.quote.asked_ms if e.context.quote else None, e.limits.mark_age_ms_max
    ),
    Refusal.SPREAD: _spread_too_wide,
    Refusal.STOP_INSANE: _stop_insane,
    Refusal.VOLATILITY: lambda e: (
        e.context.volatility is None or e.context.volatility > e.limits.volatility_max
    ),
    Refusal.CORRELATION: _too_correlated,
    Refusal.QUANTITY_BELOW_MIN: lambda e: (
        e.intent.quantity < e.context.instrument.quantity_min or e.intent.quantity <= 0
    ),
    Refusal.OFF_STEP: lambda e: e.intent.quantity % e.context.instrument.quantity_step != 0,
    # The cheaper of the two prices: the exchange may count with either.
    Refusal.NOTIONAL_BELOW_MIN: lambda e: (
        e.intent.quantity * min(e.mark_price, e.intent.price or e.mark_price)
        < e.context.instrument.notional_min
    ),
    Refusal.ORDER_TOO_LARGE: _order_too_large,
    Refusal.POSITION_TOO_LARGE: _position_too_large,
    Refusal.EXPOSURE_TOO_LARGE: lambda e: (
        e.context.room.gross_notional + e.notional > e.equity * e.limits.gross_exposure_max_ratio
    ),
    Refusal.LEVERAGE: lambda e: not ONE <= e.context.leverage <= e.limits.leverage_max,
    Refusal.MARGIN: _margin_missing,
}


def gate(journaled: Journaled, *, context: GateContext, limits: Limits, now_ms: int) -> Approved | Refused:
    """Approve an entry, or say every reason why not (not only the first), in the order of `Refusal`.

    Anything but an entry is judged by `approve_protective`. Raises `InvariantViolation` when the
    context is another symbol's.
    """
    intent = journaled.intent
    require(
        context.instrument.symbol == intent.symbol,
        f"the gate was asked about {intent.symbol} with the facts of {context.instrument.symbol}",
    )
    if not intent.purpose.raises_risk:
        return approve_protective(journaled, context.position_quantity)
    entry = _Entry(intent=intent, context=context, limits=limits, now_ms=now_ms)
    broken = {refusal for refusal, is_broken in _ENTRY_CHECKS.items() if is_broken(entry)}
    broken |= context.blocks | set(room_refusals(context.room, limits, entry.equity, now_ms))
    reasons = tuple(refusal for refusal in Refusal if refusal in broken)
    return Refused(intent, reasons) if reasons else Approved(journaled, _GATE_KEY)
