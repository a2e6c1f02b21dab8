"""What is judged in the moment an order stands at the exchange: S2, S3, S5 (and S4, by `limits`)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from holdfast.domain.account import PositionKey
from holdfast.domain.intents import Purpose
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Side
from holdfast.drills.checkers import impairments as because
from holdfast.drills.checkers.bounds import JOURNAL_PATIENCE_MS, Bounds
from holdfast.drills.checkers.durable import Durable, IntentRow
from holdfast.drills.checkers.findings import Findings
from holdfast.drills.checkers.given import OrdersGiven
from holdfast.drills.checkers.impairments import Impairments
from holdfast.drills.checkers.mirror import Mirror, Origin, key_of, origin_of
from holdfast.simulator.core.model import AlgoStatus, SimAlgo, SimOrder

STOP_CAUSES = (because.BOT, because.NETWORK, because.READS, because.STREAM, because.ORDERS, because.STOPS)


@dataclass(slots=True)
class OrderChecks:
    """Listens for new orders of the bot. `submitted` holds what the gate let through."""

    mirror: Mirror
    durable: Durable
    bounds: Bounds
    impaired: Impairments
    given: OrdersGiven
    findings: Findings
    submitted: set[str] = field(default_factory=set)
    _used: Counter[tuple[str, str]] = field(default_factory=Counter)
    _algos_seen: set[int] = field(default_factory=set)
    _decisions: dict[str, str] = field(default_factory=dict)
    """By correlation id: the client id of the entry that came of it."""
    _beside_since: dict[PositionKey, int] = field(default_factory=dict)

    # --- events --------------------------------------------------------------------------------

    def order_opened(self, order: SimOrder) -> None:
        """A regular order is new in the book; nothing of it is filled yet. Not those that stops become."""
        if order.algo_id or origin_of(order) is not Origin.BOT:
            return
        self._once("order", order)
        row = self._journaled(order)
        if self.mirror.raises(order):
            self._not_doubled(order, row)
            self._allowed(order)

    def algo_changed(self, algo: SimAlgo) -> None:
        self._count_stops(key_of(algo))
        if algo.algo_id in self._algos_seen or origin_of(algo) is not Origin.BOT:
            return
        self._algos_seen.add(algo.algo_id)
        self._once("algo", algo)
        self._journaled(algo)

    def tick(self, now_ms: int) -> None:
        """S2 for stops: exactly one stands at rest; a second one only while it replaces the first."""
        for key, since in list(self._beside_since.items()):
            if now_ms - since <= self.bounds.stops_beside_ms:
                continue
            stops = self._count_stops(key)
            if len(stops) < 2:
                continue
            if self.impaired.clear_ms(STOP_CAUSES, since, now_ms) > self.bounds.stops_beside_ms:
                ids = " ".join(stop.client_id for stop in stops)
                text = f"{len(stops)} stops stand on {key.symbol}"
                self.findings.add("S2", now_ms, text, stops=ids, since_ms=since)
                self._beside_since[key] = now_ms

    def _count_stops(self, key: PositionKey) -> list[SimAlgo]:
        """Note since when there are several. One that is acting cannot be taken back, and may hang (G32)."""
        stops = [stop for stop in self.mirror.stops_on(key) if stop.status is AlgoStatus.NEW]
        if len(stops) < 2:
            self._beside_since.pop(key, None)
        else:
            self._beside_since.setdefault(key, self.mirror.now_ms)
        return stops

    # --- S2 ------------------------------------------------------------------------------------

    def _once(self, book: str, order: SimOrder | SimAlgo) -> None:
        self._used[book, order.client_id] += 1
        times = self._used[book, order.client_id]
        if times > 1:
            text = f"client id {order.client_id} was used for {times} orders"
            self.findings.add("S2", self.mirror.now_ms, text, symbol=order.symbol, book=book)

    def _not_doubled(self, order: SimOrder, row: IntentRow | None) -> None:
        """An entry comes where nothing of ours stands or is on its way into the position."""
        key, now = key_of(order), self.mirror.now_ms
        if row is not None and row.correlation_id:
            first = self._decisions.setdefault(row.correlation_id, order.client_id)
            if first != order.client_id:
                text = f"two entries for one decision on {order.symbol}"
                self.findings.add(
                    "S2", now, text, decision=row.correlation_id, ids=f"{first} {order.client_id}"
                )
                return
        standing = self._own_exposure(key, order)
        if standing:
            text = f"an entry on {order.symbol} where {standing} of the bot's own stands already"
            quantity = order.side.sign * order.quantity
            self.findings.add("S2", now, text, client_id=order.client_id, quantity=quantity)

    def _own_exposure(self, key: PositionKey, but: SimOrder) -> Decimal:
        """What earlier entries opened, and what others of them still may."""
        resting = sum(
            (
                other.remaining
                for other in self.mirror.orders.values()
                if other.order_id != but.order_id
                and key_of(other) == key
                and other.side is but.side
                and origin_of(other) is Origin.BOT
                and self.mirror.raises(other)
            ),
            ZERO,
        )
        return self.mirror.position(key).ours + resting

    # --- S3 ------------------------------------------------------------------------------------

    def _journaled(self, order: SimOrder | SimAlgo) -> IntentRow | None:
        """An earlier approval, and a committed record that says the same as the order."""
        row, client_id, now = self.durable.intent(order.client_id), order.client_id, self.mirror.now_ms
        if client_id not in self.submitted:
            text = f"an order on {order.symbol} that the gate never approved"
            self.findings.add("S3", now, text, client_id=client_id)
        if row is None:
            if not self._journal_excused(order):
                text = f"an order on {order.symbol} without a committed journal record"
                self.findings.add("S3", now, text, client_id=client_id, side=order.side.value)
            return None
        wrong = _differences(order, row)
        if wrong:
            text = f"the order on {order.symbol} is not what was journaled: {', '.join(wrong)}"
            self.findings.add("S3", now, text, client_id=client_id)
        return row

    def _journal_excused(self, order: SimOrder | SimAlgo) -> bool:
        """What can only reduce is sent although the journal fails (G26); an entry never is."""
        reduces = order.close_position or order.reduce_only
        if not reduces:
            return False
        since = self.impaired.last_ms((because.STORE,), self.mirror.now_ms)
        return since > 0 and self.mirror.now_ms - since <= self.bounds.in_flight_ms + JOURNAL_PATIENCE_MS

    # --- S5 ------------------------------------------------------------------------------------

    def _allowed(self, order: SimOrder) -> None:
        """No more risk once an order of the operator, or a stepped-down mode, is in force."""
        now = self.mirror.now_ms
        forbidden = self.given.forbidden_since()
        if forbidden is None:
            return
        what, since_ms = forbidden
        if now - since_ms > self.bounds.in_flight_ms:
            text = f"an entry on {order.symbol} {now - since_ms} ms after {what} was in force"
            self.findings.add("S5", now, text, client_id=order.client_id, since_ms=since_ms)


def _differences(order: SimOrder | SimAlgo, row: IntentRow) -> list[str]:
    """How the order at the exchange differs from its journal record; empty when it does not."""
    stop = isinstance(order, SimAlgo)
    purposes = (Purpose.PLACE_STOP,) if stop else (Purpose.ENTER, Purpose.CLOSE)
    pairs = {
        "purpose": row.purpose in purposes,
        "symbol": row.symbol == order.symbol,
        "side": row.side is order.side,
        "quantity": row.close_position or row.quantity == order.quantity,
        "effect": row.purpose is Purpose.ENTER or _only_reduces(order),
    }
    return [name for name, same in pairs.items() if not same]


def _only_reduces(order: SimOrder | SimAlgo) -> bool:
    """By its form alone: whatever stands when it acts."""
    if order.reduce_only or order.close_position:
        return True
    closing = {"long": Side.SELL, "short": Side.BUY}.get(order.position_side.value)
    return order.side is closing
