"""What the supervisor knows of its account: reads, news on top, open intents, books. No I/O, no waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from holdfast.decisions import protect as protecting
from holdfast.decisions.belief import Heard, believe, newest, outlives
from holdfast.decisions.facts import Attempt, CancelTries, Facts, Tracked
from holdfast.domain.account import (
    AccountConfig,
    Balance,
    Fact,
    MarginMode,
    Mark,
    Position,
    PositionKey,
    Quote,
)
from holdfast.domain.instrument import Instrument
from holdfast.domain.intents import Accepted, Intent, Journaled, Outcome, Purpose
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Order, Stop, StopKind, StopStatus
from holdfast.domain.symbol import Symbol
from holdfast.engine.lost import LostStops
from holdfast.engine.naked import NakedTime
from holdfast.engine.names import purpose_in
from holdfast.engine.settings import BotSettings
from holdfast.engine.standing import Standing
from holdfast.runtime.ids import is_ours

RECENT_ENTRIES = 50
ATTEMPTS = 60
"""More than the orders that one close may consist of."""
NAMES_KEPT = 10_000
GONE = (StopStatus.CANCELLED, StopStatus.EXPIRED, StopStatus.REJECTED, StopStatus.FINISHED)


@dataclass(slots=True)
class AccountState:
    """Everything one account's consumer holds. Changed by the consumer only."""

    settings: BotSettings
    two_stops_may_stand: bool
    whole_stops: bool
    instruments: Mapping[Symbol, Instrument] = field(default_factory=dict)
    positions_read: Fact[tuple[Position, ...]] | None = None
    positions_before: Fact[tuple[Position, ...]] | None = None
    positions_heard: dict[PositionKey, Heard[Position]] = field(default_factory=dict)
    flat_news: dict[PositionKey, int] = field(default_factory=dict)
    stops: Standing[Stop] = field(init=False)
    orders: Standing[Order] = field(init=False)
    balance: Fact[Balance] | None = None
    config: Fact[AccountConfig] | None = None
    config_told_ms: int = 0
    """When a setting was changed, the event did not say to what."""
    leverage_heard: dict[Symbol, Heard[int]] = field(default_factory=dict)
    marks: dict[Symbol, Mark] = field(default_factory=dict)
    quotes: Mapping[Symbol, Quote] = field(default_factory=dict)
    """Best bid and ask where an entry was wished, as they were asked for with the last wishes."""
    intents: dict[str, Journaled] = field(default_factory=dict)
    recent_entries: deque[Journaled] = field(default_factory=lambda: deque(maxlen=RECENT_ENTRIES))
    attempts: dict[PositionKey, list[Attempt]] = field(default_factory=dict)
    attempt_of: dict[str, tuple[PositionKey, Attempt]] = field(default_factory=dict)
    """The try that a request of ours under way is."""
    cancels: dict[str, CancelTries] = field(default_factory=dict)
    other_instruments: dict[Symbol, Instrument] = field(default_factory=dict)
    """Of positions outside the settings that were adopted: their stops need steps too."""
    rules_read_ms: int = 0
    tracked: dict[PositionKey, Tracked] = field(default_factory=dict)
    naked: NakedTime = field(default_factory=NakedTime)
    our_ids: dict[str, Purpose] = field(default_factory=dict)
    """Client ids that we sent, and what for."""
    order_purposes: dict[str, Purpose] = field(default_factory=dict)
    """Exchange order ids of ours, also those that our stops became."""
    protected_since: dict[PositionKey, int] = field(default_factory=dict)
    protected_before: dict[PositionKey, int] = field(default_factory=dict)
    """The same as the last run left it, until it is seen how things stand."""
    lost: LostStops = field(default_factory=LostStops)
    stops_confirmed: set[str] = field(default_factory=set)
    """Stops that the exchange's own events showed."""
    census_ms: int = 0
    """When all stops were last asked for, and all orders: each is due by itself."""
    orders_census_ms: int = 0
    now_ms: int = 0
    """Of the last picture."""

    def __post_init__(self) -> None:
        self.stops = Standing(_stop_id, self._visibility())
        self.orders = Standing(_order_id, self._visibility())

    def rules_of(self, symbol: Symbol) -> Instrument | None:
        """Steps and limits, of configured symbols and of others that are held."""
        return self.instruments.get(symbol) or self.other_instruments.get(symbol)

    # --- reads ---------------------------------------------------------------------------------

    def read_positions(self, fact: Fact[tuple[Position, ...]]) -> None:
        """A complete read replaces the last one; an incomplete one only proves presence."""
        last = self.positions_read
        if not fact.complete:
            for position in fact.value:
                self.hear_position(position, fact.asked_ms)
            return
        if last is not None and fact.asked_ms < last.asked_ms:
            return
        if last is not None and self._confirms(last):
            self.positions_before = last
        self.positions_read = fact
        visibility = self._visibility()
        heard = self.positions_heard
        self.positions_heard = {key: h for key, h in heard.items() if outlives(h, fact, visibility)}
        self._drop_spent_entries(fact)

    def _confirms(self, last: Fact[tuple[Position, ...]]) -> bool:
        """Whether *last* becomes the read that the next one is held against.

        Reads that follow one another quickly keep the same one, or no two would ever be far enough
        apart; but a read that shows a position which that one lacks contradicts it.
        """
        before = self.positions_before
        if before is None or last.asked_ms - before.asked_ms >= self.settings.freshness.confirm_ms:
            return True
        return bool({p.key for p in last.value} - {p.key for p in before.value})

    def _drop_spent_entries(self, fact: Fact[tuple[Position, ...]]) -> None:
        """An entry whose position surely came and went does not explain one that appears later."""
        before = self.positions_before
        if before is None or fact.asked_ms - before.asked_ms < self.settings.freshness.confirm_ms:
            return
        shown = {p.key for read in (before, fact) for p in read.value} | set(self.positions_heard)
        late_enough = before.asked_ms - self._visibility()
        kept = [
            j
            for j in self.recent_entries
            if _opens(j) in shown or max(j.resolved_ms, j.signed_ms) > late_enough
        ]
        self.recent_entries = deque(kept, maxlen=RECENT_ENTRIES)

    def read_stops(self, symbol: Symbol | None, fact: Fact[tuple[Stop, ...]]) -> None:
        """The stops of one symbol, or (None) a census over all: then silence speaks for every symbol."""
        self.stops.read(symbol, fact, self.known_symbols())
        if symbol is None and fact.complete:
            self.census_ms = fact.asked_ms
            self.stops_confirmed &= set(self.believed_stops())

    def read_orders(self, symbol: Symbol | None, fact: Fact[tuple[Order, ...]]) -> None:
        self.orders.read(symbol, fact, self.known_symbols())
        if symbol is None and fact.complete:
            self.orders_census_ms = fact.asked_ms

    def known_symbols(self) -> set[Symbol]:
        held = {key.symbol for key in self.believed_positions()} | {key.symbol for key in self.tracked}
        return set(self.settings.symbols) | held | set(self.stops.reads) | set(self.orders.reads)

    # --- news ----------------------------------------------------------------------------------

    def hear_position(self, position: Position, at_ms: int) -> None:
        """A credible sign that a position exists, true at *at_ms* (our clock)."""
        key = position.key
        self.positions_heard[key] = newest(self.positions_heard.get(key), Heard(position, at_ms))

    def hear_flat(self, key: PositionKey, at_ms: int) -> None:
        """The exchange's own event says that the position is gone: conclusive for what was before."""
        self.positions_heard[key] = newest(self.positions_heard.get(key), Heard(None, at_ms))
        self.flat_news[key] = max(at_ms, self.flat_news.get(key, 0))

    def hear_quantity(self, key: PositionKey, quantity: Decimal, entry_price: Decimal, at_ms: int) -> None:
        """A position's new signed quantity; what the news does not say is kept from what was known."""
        if quantity == 0:
            self.hear_flat(key, at_ms)
            return
        known = self.believed_positions().get(key)
        mark = self.marks.get(key.symbol)
        price = mark.price if mark else entry_price
        same_way = known is not None and known.quantity * quantity > 0
        position = Position(
            symbol=key.symbol,
            side=key.side,
            quantity=quantity,
            entry_price=entry_price or (known.entry_price if known else price),
            mark_price=price,
            unrealized_pnl=(price - entry_price) * quantity if entry_price else ZERO,
            liquidation_price=known.liquidation_price if known and same_way else ZERO,
            leverage=known.leverage if known and known.leverage else self.leverage_of(key.symbol),
            margin_mode=known.margin_mode if known else MarginMode.CROSS,
            updated_ms=at_ms,
        )
        self.hear_position(position, at_ms)

    def hear_stop(self, stop: Stop, at_ms: int) -> None:
        gone = stop.status in GONE
        if stop.order_id and self.is_ours(stop.client_id):
            self.order_purposes[stop.order_id] = Purpose.PLACE_STOP
        if gone:
            self.stops_confirmed.discard(stop.stop_id)
            self.lost.ended(stop.stop_id)
        elif self.is_ours(stop.client_id):
            self.lost.stands(stop)
        self.stops.hear(stop.symbol, stop.stop_id, None if gone else stop, at_ms)

    def hear_order(self, order: Order, at_ms: int) -> None:
        self.orders.hear(order.symbol, order.order_id, None if order.status.final else order, at_ms)

    def hear_leverage(self, symbol: Symbol, leverage: int, at_ms: int) -> None:
        self.leverage_heard[symbol] = newest(self.leverage_heard.get(symbol), Heard(leverage, at_ms))

    def margin_mode_of(self, symbol: Symbol) -> MarginMode | None:
        """As a read showed that was asked for after the last change was sure to be visible; else None."""
        shown_ms = self.config_told_ms + self.settings.freshness.visibility_ms if self.config_told_ms else 0
        if self.config is None or self.config.asked_ms < shown_ms:
            return None
        return self.config.value.margin_mode.get(symbol)

    def leverage_of(self, symbol: Symbol) -> int:
        """As set at the exchange; 0 = not known."""
        heard = self.leverage_heard.get(symbol)
        read_ms = self.config.asked_ms if self.config else 0
        if heard is not None and heard.value and heard.at_ms > read_ms - self._visibility():
            return heard.value
        return self.config.value.leverage.get(symbol, 0) if self.config else 0

    # --- intents -------------------------------------------------------------------------------

    def sending(self, journaled: Journaled, now_ms: int) -> None:
        """The request is on its way to the journal and the wire."""
        self.intents[journaled.client_id] = journaled
        self.our_ids[journaled.client_id] = journaled.intent.purpose
        _bound(self.our_ids)
        intent = journaled.intent
        if intent.purpose in (Purpose.PLACE_STOP, Purpose.CLOSE):
            key = PositionKey(intent.symbol, intent.position_side)
            attempt = Attempt(purpose=intent.purpose, whole=intent.close_position, at_ms=now_ms, outcome=None)
            tries = self.attempts.setdefault(key, [])
            tries.append(attempt)
            del tries[:-ATTEMPTS]
            self.attempt_of[journaled.client_id] = (key, attempt)
        elif not intent.purpose.raises_risk:
            tried = self.cancels.get(intent.target_id)
            self.cancels[intent.target_id] = CancelTries(count=tried.count + 1 if tried else 1, at_ms=now_ms)

    def answered(self, journaled: Journaled, outcome: Outcome) -> None:
        """The outcome of a request is known, or it is known to be unknown."""
        self._note_attempt(journaled, outcome)
        if journaled.exchange_id and journaled.intent.purpose in (Purpose.ENTER, Purpose.CLOSE):
            self.order_purposes[journaled.exchange_id] = journaled.intent.purpose
            _bound(self.order_purposes)
        if journaled.open:
            self.intents[journaled.client_id] = journaled
            return
        self.intents.pop(journaled.client_id, None)
        self.attempt_of.pop(journaled.client_id, None)
        if journaled.intent.purpose is Purpose.ENTER:
            self.recent_entries.append(journaled)

    def _note_attempt(self, journaled: Journaled, outcome: Outcome) -> None:
        """The very try that this request was: several may have been sent in the same millisecond."""
        key, attempt = self.attempt_of.get(journaled.client_id, (None, None))
        if key is None or attempt is None:
            return
        told = replace(attempt, outcome=outcome)
        tries = self.attempts.get(key, [])
        tries[:] = [told if each is attempt else each for each in tries]
        self.attempt_of[journaled.client_id] = (key, told)

    def accepted_stop(self, journaled: Journaled, accepted: Accepted, at_ms: int) -> None:
        """A placed stop counts as standing from the reply on; the census verifies it."""
        intent = journaled.intent
        stop = accepted.stop or stop_from(intent, journaled.client_id, accepted.exchange_id, at_ms)
        self.hear_stop(stop, at_ms)

    def cancelled_stop(self, intent: Intent, at_ms: int) -> None:
        self.stops.hear(intent.symbol, intent.target_id, None, at_ms)

    def cancelled_order(self, intent: Intent, at_ms: int) -> None:
        self.orders.hear(intent.symbol, intent.target_id, None, at_ms)

    def is_ours(self, client_id: str) -> bool:
        """Sent by this run of the bot, or by an earlier one as the form of the id shows (R0.4)."""
        return client_id in self.our_ids or is_ours(client_id)

    def purpose_of(self, order_id: str, client_id: str) -> Purpose | None:
        """What an order of ours was for; None when it is not ours."""
        return self.order_purposes.get(order_id) or self.our_ids.get(client_id) or purpose_in(client_id)

    # --- books ---------------------------------------------------------------------------------

    def healthy(self, key: PositionKey) -> None:
        """Covered: earlier protective tries no longer matter. What was tried just now is kept: a move that
        is refused, or a stop that does not stay, must not be tried as fast as the network allows."""
        recent_ms = self.now_ms - self.settings.protection.retry_max_ms
        kept = [
            a
            for a in self.attempts.get(key, [])
            if a.purpose is Purpose.CLOSE or a.outcome is None or a.at_ms > recent_ms
        ]
        if kept:
            self.attempts[key] = kept
        else:
            self.attempts.pop(key, None)

    def forget(self, key: PositionKey, now_ms: int, *, but: str = "") -> None:
        """The position is closed in the books: its tries and times go with it, and its entries; *but* that
        one opened the next."""
        self.tracked.pop(key, None)
        self.attempts.pop(key, None)
        self.protected_since.pop(key, None)
        self.protected_before.pop(key, None)
        self.naked.forget(key, now_ms)
        kept = [j for j in self.recent_entries if _opens(j) != key or j.client_id == but]
        self.recent_entries = deque(kept, maxlen=RECENT_ENTRIES)

    # --- the picture ---------------------------------------------------------------------------

    def believed_positions(self) -> dict[PositionKey, Position]:
        return believe(
            self.positions_read,
            self.positions_heard,
            lambda position: position.key,
            self.settings.freshness.visibility_ms,
        )

    def believed_stops(self) -> Mapping[str, Stop]:
        return self.stops.believed()

    def believed_orders(self) -> Mapping[str, Order]:
        return self.orders.believed()

    def _visibility(self) -> int:
        return self.settings.freshness.visibility_ms

    def facts(self, now_ms: int, *, entries_wanted: bool) -> Facts:
        """The frozen value that one step decides on."""
        self.now_ms = now_ms
        positions = self.believed_positions()
        stops = self.believed_stops()
        self._watch_cover(positions, stops, now_ms)
        orders = self.believed_orders()
        self.cancels = {id_: tried for id_, tried in self.cancels.items() if id_ in stops or id_ in orders}
        return Facts(
            now_ms=now_ms,
            protection=self.settings.protection,
            freshness=self.settings.freshness,
            expected_mode=self.settings.position_mode,
            expected_margin=self.settings.margin_mode,
            expected_leverage=self.settings.trading.leverage,
            leverage={symbol: self.leverage_of(symbol) for symbol in self.instruments},
            config_told_ms=self.config_told_ms,
            two_stops_may_stand=self.two_stops_may_stand,
            whole_stops=self.whole_stops,
            positions=positions,
            positions_read=self.positions_read,
            positions_before=self.positions_before,
            flat_news=dict(self.flat_news),
            stops=stops,
            stops_read_ms={symbol: fact.asked_ms for symbol, fact in self.stops.reads.items()},
            orders=orders,
            orders_read_ms={symbol: fact.asked_ms for symbol, fact in self.orders.reads.items()},
            intents=tuple(self.intents.values()),
            recent_entries=tuple(self.recent_entries),
            attempts={key: tuple(tries) for key, tries in self.attempts.items()},
            cancels=dict(self.cancels),
            tracked=dict(self.tracked),
            naked_since=dict(self.naked.since),
            marks=dict(self.marks),
            instruments={**self.other_instruments, **self.instruments},
            rules_read_ms=self.rules_read_ms,
            balance=self.balance,
            config=self.config,
            our_ids=self._ours_among(stops, orders),
            entries_wanted=entries_wanted,
        )

    def _ours_among(self, stops: Mapping[str, Stop], orders: Mapping[str, Order]) -> frozenset[str]:
        """Client ids of ours, those of orders that our stops became among them."""
        ours = {s.client_id for s in stops.values() if self.is_ours(s.client_id)}
        became = (
            o for o in orders.values() if o.order_id in self.order_purposes or self.is_ours(o.client_id)
        )
        return frozenset(ours | {order.client_id for order in became})

    def _watch_cover(
        self, positions: Mapping[PositionKey, Position], stops: Mapping[str, Stop], now_ms: int
    ) -> None:
        """Note when each position became or ceased to be covered."""
        protection = self.settings.protection
        standing: dict[Symbol, list[Stop]] = {}
        for stop in stops.values():
            standing.setdefault(stop.symbol, []).append(stop)
        for key, position in positions.items():
            mine = standing.get(key.symbol, ())
            covering = [s for s in mine if protecting.covers(s, position, protection, now_ms)]
            if covering:
                self._covered(key, covering[0], now_ms)
            else:
                self.naked.see(key, covered=False, now_ms=now_ms)
                self.protected_since.pop(key, None)
        for key in [key for key in self.naked.since if key not in positions]:
            if key not in self.tracked:
                self.naked.forget(key, now_ms)

    def _covered(self, key: PositionKey, stop: Stop, now_ms: int) -> None:
        """A stop that the last run left, older than our first look, has stood all the time since then."""
        before_ms = self.protected_before.pop(key, 0)
        stood = self.is_ours(stop.client_id) and stop.created_ms <= self.naked.since.get(key, now_ms)
        if before_ms and stood:
            self.naked.mistaken(key)
            self.protected_since[key] = before_ms
        elif self.naked.see(key, covered=True, now_ms=now_ms) or key not in self.protected_since:
            self.protected_since[key] = now_ms


def _stop_id(stop: Stop) -> str:
    return stop.stop_id


def _order_id(order: Order) -> str:
    return order.order_id


def _opens(journaled: Journaled) -> PositionKey:
    return PositionKey(journaled.intent.symbol, journaled.intent.position_side)


def _bound(names: dict[str, Purpose]) -> None:
    """Forget the oldest: what is long over is asked for no more."""
    while len(names) > NAMES_KEPT:
        del names[next(iter(names))]


def stop_from(intent: Intent, client_id: str, stop_id: str, at_ms: int) -> Stop:
    """The stop that an accepted request made, where the reply did not describe it."""
    return Stop(
        symbol=intent.symbol,
        stop_id=stop_id,
        client_id=client_id,
        kind=StopKind.STOP,
        market=True,
        side=intent.side,
        position_side=intent.position_side,
        trigger_price=intent.trigger_price or ZERO,
        trigger_source=intent.trigger_source,
        quantity=intent.quantity,
        close_position=intent.close_position,
        reduce_only=intent.reduce_only,
        status=StopStatus.LIVE,
        created_ms=at_ms,
        updated_ms=at_ms,
    )
