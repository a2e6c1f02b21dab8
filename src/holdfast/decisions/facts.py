"""Everything one step decides on, in one frozen value (the flight recorder keeps it)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from holdfast.decisions.policy import Freshness, Protection
from holdfast.domain.account import (
    AccountConfig,
    Balance,
    Fact,
    MarginMode,
    Mark,
    Position,
    PositionKey,
    PositionMode,
)
from holdfast.domain.instrument import Instrument
from holdfast.domain.intents import Journaled, Outcome, Purpose
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Direction, Order, OrderState, Stop
from holdfast.domain.symbol import Symbol

UNPROVEN = (OrderState.SENDING, OrderState.UNKNOWN)
"""Whether such a request arrived is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """A position in our books. *quantity* unsigned; prices in quote."""

    trade_id: int
    key: PositionKey
    direction: Direction
    quantity: Decimal
    entry_price: Decimal
    opened_ms: int
    stop_price: Decimal | None
    """Where its stop should stand: the journal's, moved by the strategy; None = the policy's."""
    strategy: str
    adopted: bool
    adopted_quantity: Decimal = ZERO
    """Its size when it was taken into the books without an entry of ours; 0 for one that we opened."""
    entry_client_id: str = ""
    entry_signed_ms: int = 0
    """When our entry was signed: its executions are not older. 0 for an adopted position."""
    closing_reason: str = ""
    """Why we are closing it ourselves; empty while we are not."""
    hands_off: bool = False
    """A liquidation is closing it: the step protects it but sends no closing orders of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A protective or closing request since the position was last seen healthy, and what came of it."""

    purpose: Purpose
    whole: bool
    """PLACE_STOP: it was to close the whole position whatever its size."""
    at_ms: int
    outcome: Outcome | None
    """None while in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTries:
    """How often a standing order or stop was to be cancelled, and when last: a refused cancel pauses too."""

    count: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One account at one moment, every believed thing with the age of its last full read."""

    now_ms: int
    protection: Protection
    freshness: Freshness
    expected_mode: PositionMode
    expected_margin: MarginMode = MarginMode.CROSS
    expected_leverage: int = 0
    leverage: Mapping[Symbol, int] = field(default_factory=dict)
    """As it was read or heard last; 0 = not known."""
    config_told_ms: int = 0
    """When the exchange told last that a setting was changed, without saying to what."""
    two_stops_may_stand: bool = True
    whole_stops: bool = True
    """The exchange offers stops that close the whole position."""
    positions: Mapping[PositionKey, Position] = field(default_factory=dict)
    positions_read: Fact[tuple[Position, ...]] | None = None
    positions_before: Fact[tuple[Position, ...]] | None = None
    flat_news: Mapping[PositionKey, int] = field(default_factory=dict)
    """Conclusive news that a position is gone: when it was true."""
    stops: Mapping[str, Stop] = field(default_factory=dict)
    stops_read_ms: Mapping[Symbol, int] = field(default_factory=dict)
    """When the stops of a symbol were last asked for completely."""
    orders: Mapping[str, Order] = field(default_factory=dict)
    orders_read_ms: Mapping[Symbol, int] = field(default_factory=dict)
    intents: tuple[Journaled, ...] = ()
    """Those without a final outcome."""
    recent_entries: tuple[Journaled, ...] = ()
    """Entries that were answered lately: they explain a position that appears."""
    attempts: Mapping[PositionKey, tuple[Attempt, ...]] = field(default_factory=dict)
    cancels: Mapping[str, CancelTries] = field(default_factory=dict)
    """By the exchange's id of what is to be cancelled."""
    tracked: Mapping[PositionKey, Tracked] = field(default_factory=dict)
    naked_since: Mapping[PositionKey, int] = field(default_factory=dict)
    marks: Mapping[Symbol, Mark] = field(default_factory=dict)
    instruments: Mapping[Symbol, Instrument] = field(default_factory=dict)
    rules_read_ms: int = 0
    """When the trading rules above were asked for."""
    balance: Fact[Balance] | None = None
    config: Fact[AccountConfig] | None = None
    our_ids: frozenset[str] = frozenset()
    """Client ids of ours among the orders and stops above."""
    entries_wanted: bool = True
    """False once the operator killed or a shutdown began: resting entries are taken back."""

    def stops_of(self, key: PositionKey) -> tuple[Stop, ...]:
        """Live stops that belong to the position, oldest first."""
        mine = (s for s in self.stops.values() if s.symbol == key.symbol and s.position_side == key.side)
        return tuple(sorted(mine, key=lambda stop: (stop.created_ms, stop.stop_id)))

    def in_flight(self, symbol: Symbol, purpose: Purpose) -> tuple[Journaled, ...]:
        return tuple(j for j in self.intents if j.intent.symbol == symbol and j.intent.purpose is purpose)

    def placing(self, key: PositionKey) -> bool:
        """A stop of the position was sent, whether it stands is not known yet, and another must not be sent.

        One that covers the whole position has no second beside it at any exchange (-4130, 110406, 43031):
        when reads would have to show it, it is sent again, long before it is proven that the first is dead.
        """
        sent = self.in_flight(key.symbol, Purpose.PLACE_STOP)
        return any(j.intent.position_side is key.side and self._keeps_others_away(j) for j in sent)

    def _keeps_others_away(self, stop: Journaled) -> bool:
        lost = stop.state is OrderState.UNKNOWN and stop.intent.close_position
        young = self.now_ms < stop.signed_ms + self.freshness.visibility_ms
        return stop.state in UNPROVEN and (young or not lost)

    def price_of(self, position: Position) -> Decimal | None:
        """The mark price: the stream's while it is fresh, else the position's own; None when neither makes
        sense (G28)."""
        prices = (self.fresh_mark(position.symbol), position.mark_price)
        return next((p for p in prices if p is not None and p.is_finite() and p > 0), None)

    def fresh_mark(self, symbol: Symbol) -> Decimal | None:
        """The stream's mark price unless it is too old or absurd (zero, negative, not a number)."""
        mark = self.marks.get(symbol)
        if mark is None or self.now_ms - mark.heard_ms > self.freshness.mark_ms:
            return None
        return mark.price if mark.price.is_finite() and mark.price > 0 else None
