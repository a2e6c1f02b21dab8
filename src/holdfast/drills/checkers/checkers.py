"""All checkers of one world behind one face: small typed events in, violations and figures out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from holdfast.domain.intents import Journaled
from holdfast.domain.symbol import BadSymbol, Symbol
from holdfast.drills.checkers import impairments as because
from holdfast.drills.checkers.books import BookChecks
from holdfast.drills.checkers.bounds import Bounds
from holdfast.drills.checkers.durable import Durable
from holdfast.drills.checkers.findings import Findings, Violation
from holdfast.drills.checkers.freshness import Believed, FreshnessChecks
from holdfast.drills.checkers.given import OrdersGiven
from holdfast.drills.checkers.impairments import Cause, Impairments
from holdfast.drills.checkers.limits import LimitChecks
from holdfast.drills.checkers.liveness import LivenessChecks
from holdfast.drills.checkers.mirror import Mirror, Origin, origin_of
from holdfast.drills.checkers.naked import NakedChecks, NakedLedger
from holdfast.drills.checkers.orders import OrderChecks
from holdfast.drills.checkers.rates import BANNED, RateChecks
from holdfast.drills.checkers.restart import RestartChecks
from holdfast.drills.checkers.secrets import SecretChecks
from holdfast.drills.checkers.stop_names import StopNames
from holdfast.drills.checkers.useful import Figures, Usefulness
from holdfast.drills.wires import BINANCE, WIRES, Wire
from holdfast.simulator.core.model import (
    AccountEvent,
    AlgoEvent,
    AlgoStatus,
    ConfigEvent,
    CoreEvent,
    Execution,
    OrderEvent,
    PriceEvent,
)
from holdfast.simulator.core.truth import CoverChange
from holdfast.simulator.faults import FaultKind
from holdfast.simulator.requests import Arrival

TICK_MS = 1_000
READS = frozenset({"positions", "stops", "orders", "balance", "trades", "find"})
"""Reads of the account that may mislead."""
WRITES, PROTECTIVE = frozenset({"send", "cancel"}), frozenset({"stop", "close"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the checkers say of a world."""

    violations: tuple[Violation, ...]
    counts: Mapping[str, int]
    """Violations by checker, also those that are not kept."""
    naked: NakedLedger
    figures: Figures
    weight_peak: int
    """The most message weight in any minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What the checkers may ask the world, beside being told."""

    alerted: Callable[[Symbol], bool]
    """The bot has an alert standing that this symbol is not protected."""
    hindered: Callable[[], str]
    """Why the bot would refuse an entry now; empty = it would not."""
    look: Callable[[int], None] = lambda now_ms: None
    """Called every second, before anything is judged: to tell what is impaired."""


class Checkers:
    """One account in one world."""

    def __init__(
        self,
        *,
        mirror: Mirror,
        durable: Durable,
        bounds: Bounds,
        watched: Watched,
        secrets: dict[str, str],
        wire: Wire = WIRES[BINANCE],
        on_first: Callable[[Violation], None] = lambda violation: None,
    ) -> None:
        self.findings = Findings(on_first)
        self.mirror, self.durable, self.bounds, self.wire = mirror, durable, bounds, wire
        self._stop_names = StopNames(wire)
        self.impaired = Impairments()
        self.given = OrdersGiven()
        self.orders = OrderChecks(mirror, durable, bounds, self.impaired, self.given, self.findings)
        self.limits = LimitChecks(mirror, durable, bounds, self.findings)
        self.books = BookChecks(mirror, durable, bounds, self.impaired, self.findings)
        self.naked = NakedChecks(mirror, bounds, self.impaired, self.findings, watched.alerted)
        self.freshness = FreshnessChecks(mirror, bounds, self.findings)
        self.rates = RateChecks(bounds, self.findings)
        self.restarts = RestartChecks(mirror, self.findings)
        self.secrets = SecretChecks(secrets, self.findings)
        self.liveness = LivenessChecks(mirror, durable, self.books, self.findings, wire)
        self.useful = Usefulness(mirror, watched.hindered)
        self._look = watched.look
        self._ticked_ms = 0
        self._entries: set[str] = set()
        """Client ids of orders that raised risk."""
        # Once a second and symbol there is a price: what is not judged is not even looked at.
        self._handlers: Mapping[type, Callable[[Any], None]] = {
            PriceEvent: self._price,
            OrderEvent: self._order,
            AlgoEvent: self._algo,
            AccountEvent: mirror.hear,
            ConfigEvent: self._config,
        }

    # --- the exchange --------------------------------------------------------------------------

    def exchange(self, event: CoreEvent) -> None:
        """A listener of the core."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def _price(self, event: PriceEvent) -> None:
        self.mirror.price(event)
        if event.at_ms - self._ticked_ms >= TICK_MS:
            self._tick(event.at_ms)

    def cover(self, change: CoverChange) -> None:
        """A cover listener of the core."""
        if change.account_id == self.mirror.account_id:
            self.naked.cover_changed(change)

    def arrived(self, arrival: Arrival) -> None:
        """A listener of the simulator's requests."""
        if arrival.account not in ("", self.mirror.account_id):
            return
        self.rates.arrived(arrival)
        kinds = tuple(fault.kind.value for fault in arrival.faults)
        if kinds:
            self.struck(" ".join(kinds), arrival.at_ms)
        asks = self.wire.asks(arrival)
        if "send" in asks:
            self._sent(arrival, asks, kinds)
        elif "cancel" in asks:
            self.naked.cancel_asked(self.wire.cancelled(arrival.params))
        if kinds:
            self._excuse(arrival, asks)

    def _order(self, event: OrderEvent) -> None:
        self.mirror.hear(event)
        order = event.order
        if order.account_id != self.mirror.account_id:
            return
        if event.execution is Execution.NEW:
            self._poll()
            raises = origin_of(order) is Origin.BOT and not order.algo_id and self.mirror.raises(order)
            self.orders.order_opened(order)
            if raises:
                self._entries.add(order.client_id)
                self.limits.entry_opened(order)
                self.useful.entered()
        elif (
            event.fill is not None
            and order.client_id in self._entries
            and order.filled == event.fill.quantity
        ):
            self.limits.entry_filled(order)
        if origin_of(order) is not Origin.BOT or order.algo_id:
            self.restarts.meddled(order.symbol)

    def _algo(self, event: AlgoEvent) -> None:
        if event.account_id != self.mirror.account_id:
            return
        algo = self._stop_names.named(event.algo)
        self.mirror.hear(event if algo is event.algo else replace(event, algo=algo))
        self._poll()
        self.orders.algo_changed(algo)
        cancelled = algo.status is AlgoStatus.CANCELED
        by_bot = (
            self.naked.stop_cancelled(algo, self.wire.wire_id(algo))
            if cancelled
            else algo.status is AlgoStatus.NEW
        )
        if not by_bot:
            self.restarts.meddled(algo.symbol)

    def _config(self, event: ConfigEvent) -> None:
        self.mirror.hear(event)
        if event.symbol is not None:
            self.restarts.meddled(event.symbol)

    def _sent(self, arrival: Arrival, asks: frozenset[str], kinds: tuple[str, ...]) -> None:
        """A stop, or a close: a try to protect."""
        if "stop" in asks:
            self._stop_names.sent(arrival)
        symbol = _symbol(arrival.params.get("symbol", ""))
        if asks & PROTECTIVE and symbol is not None:
            self.naked.tried(symbol, arrival.at_ms, kinds)

    def _excuse(self, arrival: Arrival, asks: frozenset[str]) -> None:
        """What this fault may cost beside the request itself."""
        for fault in arrival.faults:
            banned = fault.kind is FaultKind.RATE_LIMITED and fault.answer()[0] in BANNED
            if banned:
                silent_ms = fault.retry_after_s * 1_000
                self.hit(because.NETWORK, arrival.at_ms, silent_ms + TICK_MS)
                self.useful.struck(arrival.at_ms + silent_ms)
        if arrival.method == "GET" and asks & READS:
            self.hit(because.READS, arrival.at_ms, self.bounds.doubt_ms)
        if asks & WRITES:
            self.hit(because.ORDERS, arrival.at_ms, self.bounds.doubt_ms)

    # --- what is impaired, and what struck -----------------------------------------------------

    def began(self, cause: Cause) -> None:
        """An outage begins (`impairments` names them)."""
        self.naked.advance(self.mirror.now_ms)
        self.impaired.began(cause)

    def ended(self, cause: Cause, grace_ms: int = 0) -> None:
        self.naked.advance(self.mirror.now_ms)
        self.impaired.ended(cause, self.mirror.now_ms, grace_ms)

    def hit(self, cause: Cause, at_ms: int, for_ms: int) -> None:
        self.naked.advance(at_ms)
        self.impaired.hit(cause, at_ms, for_ms)

    def struck(self, kind: str, at_ms: int) -> None:
        """A trouble of any kind had an effect."""
        self.useful.struck(at_ms)
        self.naked.fault_fired(kind)

    # --- the bot -------------------------------------------------------------------------------

    def submitted(self, journaled: Journaled, believed: Believed | None, *, wanted: str) -> None:
        """The bot hands an approved request to the exchange's client; *believed*: an entry's facts.

        *wanted*: why the bot itself holds that no risk is wanted now; empty = it is.
        """
        self.orders.submitted.add(journaled.client_id)
        if not journaled.intent.purpose.raises_risk:
            return
        if wanted:
            text = f"an entry on {journaled.intent.symbol} was sent while {wanted} was in force"
            self.findings.add("S5", self.mirror.now_ms, text, client_id=journaled.client_id)
        else:
            self.given.obeyed("run", self.mirror.now_ms)  # it may run again for less than a tick
        if believed is not None:
            self.freshness.entry_sent(believed)

    # --- time ----------------------------------------------------------------------------------

    def _poll(self) -> None:
        """Whether anything was committed meanwhile."""
        if self.durable.changed():
            self.books.committed()
            self.given.committed(self.durable.standing(), self.mirror.now_ms)

    def _tick(self, now_ms: int) -> None:
        self._ticked_ms = now_ms
        self._look(now_ms)
        self._poll()
        self.orders.tick(now_ms)
        self.limits.tick(now_ms)
        self.books.tick(now_ms)
        self.naked.tick(now_ms)
        self.useful.tick(now_ms)

    def outcome(self) -> Outcome:
        """At the world's end."""
        return Outcome(
            violations=tuple(self.findings.violations),
            counts=dict(sorted(self.findings.counts.items())),
            naked=self.naked.finish(self.mirror.now_ms),
            figures=self.useful.figures,
            weight_peak=self.rates.weight.peak,
        )


def _symbol(text: str) -> Symbol | None:
    try:
        return Symbol.parse(text)
    except BadSymbol:
        return None
