"""S4: no limit is exceeded at the exchange by an entry, counting what is unknown as filled.

A limit is a share of equity at a mark price, and the bot may know both as late as its own bounds on
their age allow. So an entry breaks a limit here only if it does so by the most favourable figures
that were true within those bounds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from holdfast.domain.account import PositionKey
from holdfast.domain.intents import Purpose
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import OrderState
from holdfast.domain.symbol import Symbol
from holdfast.drills.checkers.bounds import Bounds
from holdfast.drills.checkers.durable import Durable
from holdfast.drills.checkers.findings import Findings
from holdfast.drills.checkers.mirror import Mirror, Origin, origin_of
from holdfast.simulator.core.model import SimOrder

SAMPLE_MS = 5_000
SLACK = Decimal("1.001")
"""Fees and rounding."""
DAY_MS = 86_400_000
MIDNIGHT_MS = 10_000
"""So near to midnight two clocks may not agree on the day."""


@dataclass(slots=True)
class LimitChecks:
    """Asked for every order that raises risk, before anything of it is filled."""

    mirror: Mirror
    durable: Durable
    bounds: Bounds
    findings: Findings
    _sampled_ms: int = 0
    _filled_entries: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=2_000))

    def tick(self, now_ms: int) -> None:
        """Remember equity now and then: the bot's own knowledge of it may be that old."""
        if now_ms - self._sampled_ms >= SAMPLE_MS:
            self._sampled_ms = now_ms
            self.mirror.equities.note(now_ms, self.mirror.equity())

    def entry_filled(self, order: SimOrder) -> None:
        """An entry's first execution."""
        self._filled_entries.append((self.mirror.now_ms, order.client_id))

    def entry_opened(self, order: SimOrder) -> None:
        limits, mirror, now = self.bounds.limits, self.mirror, self.mirror.now_ms
        equity = max([mirror.equity(), *mirror.equities.since(now - limits.balance_age_ms_max)])
        this = order.remaining * self._price(order.symbol, order.price)
        exposures = self._exposures(order)
        symbol = exposures[order.symbol]
        ratios = {
            "order notional": (this, limits.order_notional_max_ratio),
            "position notional": (symbol, limits.position_notional_max_ratio),
            "gross exposure": (sum(exposures.values(), ZERO), limits.gross_exposure_max_ratio),
        }
        for what, (notional, ratio) in ratios.items():
            if notional > equity * ratio * SLACK:
                self._exceeded(order, what, f"{notional:.2f}", f"{ratio} of {equity:.2f}")
        counts = {
            "positions": (sum(1 for each in exposures.values() if each), limits.max_positions),
            "entries today": (self._entries_today(now) + 1, limits.daily_trades_max),
            "leverage": (self._leverage(order.symbol), limits.leverage_max),
        }
        for what, (count, most) in counts.items():
            if count > most:
                self._exceeded(order, what, count, most)

    def _exceeded(self, order: SimOrder, what: str, found: object, allowed: object) -> None:
        text = f"an entry on {order.symbol} exceeds the limit on {what}: {found}, allowed are {allowed}"
        self.findings.add("S4", self.mirror.now_ms, text, client_id=order.client_id)

    # --- the most favourable figures -----------------------------------------------------------

    def _price(self, symbol: Symbol, order_price: Decimal = ZERO) -> Decimal:
        since = self.mirror.now_ms - self.bounds.limits.mark_age_ms_max
        past = self.mirror.marks_past.get(symbol)
        return min(past.since(since), default=order_price) if past else order_price

    def _exposures(self, order: SimOrder) -> dict[Symbol, Decimal]:
        """Notional per symbol: positions, resting entries, unknown ones as if filled."""
        quantities: dict[Symbol, Decimal] = {}

        def add(symbol: Symbol, quantity: Decimal) -> None:
            quantities[symbol] = quantities.get(symbol, ZERO) + quantity

        for key, held in self.mirror.open_positions().items():
            since = self.mirror.now_ms - self.bounds.limits.positions_age_ms_max
            add(key.symbol, max(held.ours, held.least(since)))
        seen = set()
        for each in self.mirror.orders.values():
            if origin_of(each) is Origin.BOT and self.mirror.raises(each):
                add(each.symbol, each.remaining)
                seen.add(each.client_id)
        for row in self.durable.open_intents():
            unproven = row.state in (OrderState.SENDING, OrderState.UNKNOWN)
            if row.purpose is Purpose.ENTER and unproven and row.client_id not in seen:
                add(row.symbol, self._unseen(row.client_id, row.key, row.quantity))
        add(order.symbol, ZERO)
        return {symbol: quantity * self._price(symbol) for symbol, quantity in quantities.items()}

    def _unseen(self, client_id: str, key: PositionKey, quantity: Decimal) -> Decimal:
        """An entry that filled already is in the position, though the journal does not know it yet."""
        filled = any(name == client_id for _, name in self._filled_entries)
        return ZERO if filled and self.mirror.position(key).ours else quantity

    def _entries_today(self, now_ms: int) -> int:
        if now_ms % DAY_MS < MIDNIGHT_MS:
            return 0
        today = now_ms // DAY_MS
        return len({name for at_ms, name in self._filled_entries if at_ms // DAY_MS == today})

    def _leverage(self, symbol: Symbol) -> int:
        """As set by the bot or long ago; 0 (nothing to say) while somebody has just changed it."""
        changed = self.mirror.leverage_ms.get(symbol, 0)
        if self.mirror.now_ms - changed <= self.bounds.learn_ms:
            return 0
        return self.mirror.leverage.get(symbol, 0)
