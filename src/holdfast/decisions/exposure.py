"""How much is at risk, counted so that nothing sent is forgotten (control checklist 3, 4 and 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.account import Position
from holdfast.domain.intents import Journaled, Purpose
from holdfast.domain.numbers import ZERO
from holdfast.domain.symbol import Symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Notionals in quote. *by_symbol* = positions + pending; *pending* = entries not yet in the facts."""

    by_symbol: Mapping[Symbol, Decimal]
    pending: Decimal

    @property
    def gross(self) -> Decimal:
        return sum(self.by_symbol.values(), ZERO)

    @property
    def count(self) -> int:
        """Symbols with a position or a pending entry."""
        return sum(1 for notional in self.by_symbol.values() if notional > 0)


def exposure(
    positions: Iterable[Position],
    entries: Iterable[Journaled],
    marks: Mapping[Symbol, Decimal],
    *,
    positions_asked_ms: int,
) -> Exposure:
    """Positions, plus every entry that the position read may not show yet, as if filled.

    An open entry (sending, unknown or working) counts whole; a resolved one counts what it filled
    when it was resolved after the positions were asked for. Counting twice is possible, missing is not.
    """
    by_symbol: dict[Symbol, Decimal] = {}
    for position in positions:
        by_symbol[position.symbol] = by_symbol.get(position.symbol, ZERO) + position.notional
    pending = ZERO
    for each in entries:
        notional = _unseen(each, positions_asked_ms) * _price(each, marks)
        if notional:
            by_symbol[each.intent.symbol] = by_symbol.get(each.intent.symbol, ZERO) + notional
            pending += notional
    return Exposure(by_symbol=by_symbol, pending=pending)


def _unseen(entry: Journaled, positions_asked_ms: int) -> Decimal:
    if entry.intent.purpose is not Purpose.ENTER:
        return ZERO
    if entry.open:
        return entry.intent.quantity
    return entry.filled if entry.resolved_ms >= positions_asked_ms else ZERO


def _price(entry: Journaled, marks: Mapping[Symbol, Decimal]) -> Decimal:
    """The dearest price known for it; without any its stop's, so that exposure does not vanish."""
    known = (marks.get(entry.intent.symbol), entry.intent.price, entry.average_price)
    return max((price for price in known if price), default=entry.intent.stop_price or ZERO)
