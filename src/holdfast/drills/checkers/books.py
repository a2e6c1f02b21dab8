"""S1: the exchange's position is the booked one, up to what is in flight; what others change is learned in
time. S9, for the books: what an entry of the bot opened stays the bot's, also over a restart."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from holdfast.domain.account import PositionKey
from holdfast.domain.intents import Purpose
from holdfast.domain.numbers import ZERO
from holdfast.drills.checkers import impairments as because
from holdfast.drills.checkers.bounds import Bounds
from holdfast.drills.checkers.durable import Durable, IntentRow, TradeRow
from holdfast.drills.checkers.findings import Findings
from holdfast.drills.checkers.impairments import Impairments
from holdfast.drills.checkers.mirror import Mirror

CAUSES = (because.BOT, because.NETWORK, because.READS, because.STREAM, because.STORE)


@dataclass(slots=True)
class BookChecks:
    """Compares when either side changed, and watches what does not agree until it does."""

    mirror: Mirror
    durable: Durable
    bounds: Bounds
    impaired: Impairments
    findings: Findings
    _dirty: bool = True
    _booked: dict[PositionKey, Decimal] = field(default_factory=dict)
    """What a read of the books showed last."""
    _in_flight: tuple[IntentRow, ...] = ()
    _moves_seen: int = -1
    _adopted: set[int] = field(default_factory=set)
    _apart: dict[PositionKey, int] = field(default_factory=dict)
    """Where they do not agree, and since when."""

    def committed(self) -> None:
        """The store changed: the books are read again at the next look."""
        self._dirty = True

    def differing(self) -> dict[PositionKey, int]:
        """Positions in which books and exchange are apart beyond what is in flight, and since when."""
        self._look(self.mirror.now_ms)
        return dict(self._apart)

    def tick(self, now_ms: int) -> None:
        self._look(now_ms)
        for key, since in list(self._apart.items()):
            bound = self.bounds.learn_ms
            if now_ms - since > bound and self.impaired.clear_ms(CAUSES, since, now_ms) > bound:
                held, booked = self.mirror.position(key).quantity, self._booked.get(key, ZERO)
                text = f"{key.symbol}: the exchange holds {held}, the books say {booked}"
                self.findings.add("S1", now_ms, text, since_ms=since, side=key.side.value)
                self._apart[key] = now_ms

    def _look(self, now_ms: int) -> None:
        if not (self._dirty or self._apart) and self._moves_seen == self.mirror.moves:
            return
        self._moves_seen = self.mirror.moves
        self._read()
        keys = set(self._booked) | set(self.mirror.held) | set(self._apart)
        for key in keys:
            if self._agree(key):
                self._apart.pop(key, None)
            else:
                self._apart.setdefault(key, now_ms)

    def _read(self) -> None:
        if not self._dirty:
            return
        self._dirty = False
        before, self._booked = self._booked, {}
        for trade in self.durable.open_trades():
            key = trade.key
            self._booked[key] = self._booked.get(key, ZERO) + trade.signed
            if trade.adopted and trade.id not in self._adopted:
                self._adopted.add(trade.id)
                self._surely_foreign(key, trade)
        for key in set(before) | set(self._booked):
            if before.get(key, ZERO) != self._booked.get(key, ZERO):
                self._was_so(key, self._booked.get(key, ZERO))
        moving = (Purpose.ENTER, Purpose.CLOSE)
        self._in_flight = tuple(row for row in self.durable.open_intents() if row.purpose in moving)

    def _was_so(self, key: PositionKey, booked: Decimal) -> None:
        """Books follow the exchange: what they say now was so at some moment not long ago (G11)."""
        now, held, bounds = self.mirror.now_ms, self.mirror.position(key), self.bounds
        since = now - (
            bounds.learn_ms if self._lately((because.STREAM,), bounds.learn_ms) else bounds.follow_ms
        )
        if self._lately((because.STORE, because.BOT), bounds.learn_ms):
            since = 0
        if now - held.foreign_ms <= bounds.learn_ms or held.past.was(booked, since):
            return
        if booked or held.past.values:
            text = f"{key.symbol}: the books say {booked}, the exchange never held that ({held.quantity})"
            self.findings.add("S1", now, text, side=key.side.value)

    def _lately(self, causes: tuple[because.Cause, ...], within_ms: int) -> bool:
        now = self.mirror.now_ms
        return now - self.impaired.last_ms(causes, now) <= within_ms

    def _surely_foreign(self, key: PositionKey, trade: TradeRow) -> None:
        """A position is adopted only where no entry of the bot opened it."""
        held = self.mirror.position(key)
        if held.ours and held.ours == abs(held.quantity) == trade.quantity:
            text = f"the bot's own position in {key.symbol} is booked as a stranger's"
            self.findings.add("S9", self.mirror.now_ms, text, trade=trade.id, quantity=held.quantity)

    def _agree(self, key: PositionKey) -> bool:
        """Whether what is in flight may explain the difference."""
        held, booked = self.mirror.position(key).quantity, self._booked.get(key, ZERO)
        foreign = not booked and not self.mirror.position(key).ours
        if held == booked or (foreign and not self.bounds.adopt_unknown):
            return True
        mine = [row for row in self._in_flight if row.key == key]
        up = sum((row.quantity for row in mine if row.side.sign > 0), ZERO)
        down = sum((row.quantity for row in mine if row.side.sign < 0), ZERO)
        return bool(mine) and booked - down <= held <= booked + up
