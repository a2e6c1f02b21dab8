"""What each event changes in what the supervisor knows, and which questions it raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from holdfast.decisions.step import Concern, Read, Want
from holdfast.domain.account import Fact, Mark, Position, PositionKey
from holdfast.domain.instrument import Instrument
from holdfast.domain.intents import (
    Accepted,
    Journaled,
    Outcome,
    Purpose,
    Rejected,
    RejectReason,
    Unavailable,
    Unknown,
)
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Order, Stop
from holdfast.domain.symbol import Symbol
from holdfast.engine.account import Account
from holdfast.engine.bookkeeper import Bookkeeper
from holdfast.engine.equity import EquityWatch
from holdfast.engine.events import Answered, Event, FillsRead, ReadDone, Told
from holdfast.engine.executor import settle
from holdfast.engine.state import GONE
from holdfast.exchanges.port import (
    BalanceNews,
    ConfigNews,
    MarginCall,
    MarkNews,
    News,
    OrderNews,
    PositionNews,
    StopNews,
    StreamState,
)

BENIGN = {
    RejectReason.NOT_FOUND,
    RejectReason.NO_CHANGE,
    RejectReason.NOTHING_TO_REDUCE,
    RejectReason.STOP_EXISTS,
}
MARGIN_WELL = 2
"""A margin call is over once equity is more than so many times the maintenance margin."""
SYNC_READS = (Read.CONFIG, Read.POSITIONS, Read.STOPS, Read.ORDERS, Read.BALANCE, Read.MARKS, Read.CLOCK)
SYNC_NEEDED = frozenset({Read.CONFIG, Read.POSITIONS, Read.STOPS, Read.ORDERS, Read.BALANCE})
EXPOSURE_READS = frozenset({Read.POSITIONS, Read.STOPS, Read.ORDERS})
"""What stands at the exchange: unless it is read whole, nothing is added to it."""
REST_PRICE_MS = 2_000
RULES_MS = 600_000
"""How often the trading rules are read again though nothing was refused."""
DOUBTED_BY = {
    RejectReason.FILTER: Read.RULES,
    RejectReason.SYMBOL: Read.RULES,
    RejectReason.NOTIONAL_TOO_SMALL: Read.RULES,
    RejectReason.POSITION_MODE: Read.CONFIG,
    RejectReason.CLOCK: Read.CLOCK,
}
"""What a refusal says we know wrongly: changed in flight or by hand (G25, G31), so it is read again."""
Wants = Iterator[Want]


class Applier:
    """Changes `Account` by events; called by the consumer only (marks excepted: latest wins)."""

    def __init__(self, account: Account, books: Bookkeeper) -> None:
        self._account = account
        self._books = books
        self.equity = EquityWatch(account)
        self._missing: set[Read] = set()
        self._protected: dict[PositionKey, tuple[int, str]] = {}
        self._stream_marks: dict[Symbol, Mark] = {}
        self.gap_ms = 0
        """When the account's stream last came up, on our clock: before that it may have missed anything."""
        self._market_up = False
        self.clock_ms = 0
        self._marks_read_ms = 0

    def begin_sync(self) -> tuple[Read, ...]:
        """The account has to be read whole again before entries are allowed."""
        self._missing = set(SYNC_NEEDED)
        self._account.synced = False
        return SYNC_READS

    def apply(self, event: Event) -> tuple[Want, ...]:
        """Change what is known; returns what to ask for because of it."""
        match event:
            case Told(news=news, heard_ms=heard):
                return tuple(self._told(news, heard))
            case ReadDone():
                return tuple(self._read(event))
            case Answered():
                return tuple(self._answered(event))
            case FillsRead():
                self._books.exit_read(event)
        return ()

    # --- streams -------------------------------------------------------------------------------

    def _told(self, news: News, heard_ms: int) -> Wants:
        handlers: dict[type, Callable[[Any, int], Wants]] = {
            OrderNews: self._order,
            StopNews: self._stop,
            PositionNews: self._position,
            BalanceNews: self._wallet,
            ConfigNews: self._config,
            MarginCall: self._margin_call,
            StreamState: self._stream,
        }
        return handlers[type(news)](news, heard_ms)

    def _ours(self, exchange_ms: int) -> int:
        """The exchange's time on our clock; 0 stays 0 (it did not say)."""
        return exchange_ms - self._account.exchange.clock_offset_ms() if exchange_ms else 0

    def _order(self, news: OrderNews, heard_ms: int) -> Wants:
        state, order, at_ms = self._account.state, news.order, self._ours(news.exchange_ms)
        state.hear_order(order, at_ms)
        if news.fill is not None:
            self._account.counters["fills"] += 1
            self._account.memory.add_fills((news.fill,))
        journaled = state.intents.get(order.client_id)
        if journaled is not None:
            self._settle(journaled, Accepted(exchange_id=order.order_id, order=order), heard_ms)
            if news.fill is not None:
                # Only an execution is a sign of now; a cancel tells of fills long ago.
                self._heard_from_entry(journaled, order, at_ms)
        if news.fill is not None or (journaled is not None and order.filled > 0):
            yield Want(Read.POSITIONS, None, heard_ms, urgent=True)

    def _settle(self, journaled: Journaled, outcome: Outcome, at_ms: int) -> None:
        """News answered a request that is still open with us."""
        settled = settle(journaled, outcome, at_ms)
        self._account.state.answered(settled, outcome)
        self._account.memory.note_outcome(settled, outcome, at_ms)

    def _heard_from_entry(self, journaled: Journaled, order: Order, at_ms: int) -> None:
        """A filled entry is a credible sign of a position, before any position row says so (rule 4)."""
        intent = journaled.intent
        key = PositionKey(intent.symbol, intent.position_side)
        if intent.purpose is not Purpose.ENTER or order.filled <= 0:
            return
        known = self._account.state.believed_positions().get(key)
        if known is None or abs(known.quantity) < order.filled:
            price = order.average_price or intent.price or ZERO
            self._account.state.hear_quantity(key, order.filled * intent.side.sign, price, at_ms)

    def _stop(self, news: StopNews, heard_ms: int) -> Wants:
        stop = self._local(news.stop)
        self._account.state.stops_confirmed.add(stop.stop_id)
        self._account.state.hear_stop(stop, self._ours(news.exchange_ms))
        journaled = self._account.state.intents.get(stop.client_id)
        if journaled is not None and journaled.intent.purpose is Purpose.PLACE_STOP:
            self._settle(journaled, Accepted(exchange_id=stop.stop_id, stop=stop), heard_ms)
        if stop.status in GONE and self._account.state.is_ours(stop.client_id):
            # Its request was over when it stood; the journal learns here that it stands no more.
            self._account.memory.note_stop(stop, heard_ms)
        if stop.order_id:
            yield Want(Read.POSITIONS, None, heard_ms, urgent=True)

    def _local(self, stop: Stop) -> Stop:
        return replace(stop, created_ms=self._ours(stop.created_ms), updated_ms=self._ours(stop.updated_ms))

    def _position(self, news: PositionNews, heard_ms: int) -> Wants:
        key = PositionKey(news.symbol, news.side)
        at_ms = self._ours(news.exchange_ms)
        self._account.state.hear_quantity(key, news.quantity, news.entry_price, at_ms)
        yield Want(Read.POSITIONS, None, heard_ms, urgent=True)

    def _wallet(self, news: BalanceNews, heard_ms: int) -> Wants:
        self.equity.told(news, self._ours(news.exchange_ms) or heard_ms)
        yield Want(Read.BALANCE, None, heard_ms)

    def _config(self, news: ConfigNews, heard_ms: int) -> Wants:
        if news.symbol is not None and news.leverage is not None:
            self._account.state.hear_leverage(news.symbol, news.leverage, self._ours(news.exchange_ms))
        else:
            self._account.state.config_told_ms = heard_ms
        yield Want(Read.CONFIG, None, heard_ms, urgent=True)

    def _margin_call(self, news: MarginCall, heard_ms: int) -> Wants:
        for symbol in news.symbols:
            text = f"{symbol}: the exchange warns of liquidation"
            self._account.concern(Concern("MARGIN_CALL", "critical", str(symbol), text))
        yield Want(Read.POSITIONS, None, heard_ms, urgent=True)

    def _stream(self, news: StreamState, heard_ms: int) -> Wants:
        """A stream that came up may have missed anything; one that went down leaves us with reads."""
        account = self._account
        account.log("stream.changed", {"stream": news.stream, "up": news.up, "cause": news.cause})
        if news.stream == "market":
            self._market_up = news.up
            account.price_source = "ws" if news.up else "rest"
            account.socket_down_since_ms = None if news.up else (account.socket_down_since_ms or heard_ms)
        if news.up:
            account.counters["ws_connects"] += 1
            account.relieved("STREAM_DOWN", news.stream)
        else:
            account.counters["ws_disconnects"] += 1
            text = f"the {news.stream} stream is down ({news.cause}): reading by REST"
            account.concern(Concern("STREAM_DOWN", "warning", news.stream, text))
        if news.stream == "user" and news.up:
            self.gap_ms = heard_ms
            for read in (Read.POSITIONS, Read.BALANCE):
                yield Want(read, None, heard_ms, urgent=True)
        elif news.up:
            # Prices are no longer asked for, so no answer could end this.
            account.relieved("READ_FAILING", Read.MARKS.value)

    # --- reads ---------------------------------------------------------------------------------

    def _read(self, event: ReadDone) -> Wants:
        if event.fact is None:
            yield from self._read_failed(event)
            return
        self._account.relieved("READ_FAILING", event.want.read.value)
        self._note_whole(event.want, event.fact)
        fact, symbol = event.fact, event.want.symbol
        takers: dict[Read, Callable[[Fact[Any], Symbol | None], None]] = {
            Read.POSITIONS: lambda f, _: self._take_positions(f),
            Read.STOPS: self._take_stops,
            Read.ORDERS: lambda f, s: self._account.state.read_orders(s, f),
            Read.BALANCE: lambda f, _: self._take_balance(f),
            Read.TRANSFERS: lambda f, _: self.equity.listed(f),
            Read.CONFIG: lambda f, _: self._take_config(f),
            Read.CLOCK: lambda f, _: self._take_clock(f),
            Read.MARKS: lambda f, _: self._take_marks(f),
            Read.RULES: lambda f, _: self._take_rules(f),
        }
        takers[event.want.read](fact, symbol)
        if symbol is None and fact.complete:
            self._progress(event.want.read, fact)

    def _note_whole(self, want: Want, fact: Fact[Any]) -> None:
        """Rows that cannot be read are nobody's: a position among them stands unprotected (rule 4)."""
        account, read = self._account, want.read
        if not fact.complete:
            account.incomplete.add((read, want.symbol))
            text = f"the answer about {read} holds what cannot be read: look at the exchange; no entries"
            severity = "critical" if read in EXPOSURE_READS else "warning"
            account.concern(Concern("READ_INCOMPLETE", severity, read.value, text))
            return
        known = {(r, s) for r, s in account.incomplete if r is read}
        account.incomplete -= known if want.symbol is None else {(read, want.symbol)}
        if known and not any(r is read for r, _ in account.incomplete):
            account.relieved("READ_INCOMPLETE", read.value)

    def _take_positions(self, fact: Fact[tuple[Position, ...]]) -> None:
        local = tuple(replace(p, updated_ms=self._ours(p.updated_ms)) for p in fact.value)
        self._account.state.read_positions(replace(fact, value=local))

    def _take_stops(self, fact: Fact[tuple[Stop, ...]], symbol: Symbol | None) -> None:
        local = replace(fact, value=tuple(self._local(stop) for stop in fact.value))
        self._account.state.read_stops(symbol, local)

    def _progress(self, read: Read, fact: Fact[Any]) -> None:
        account = self._account
        self._missing.discard(read)
        if not self._missing and not account.synced:
            account.synced = True
            account.relieved("INBOX_OVERFLOW")
            account.memory.audit("SYNCED", "", {"positions": len(account.state.believed_positions())})
        if not self._missing:
            account.last_sync_ms = fact.answered_ms

    def _take_balance(self, fact: Fact[Any]) -> None:
        account = self._account
        account.state.balance = fact
        self.equity.read(fact)
        if fact.value.equity > fact.value.maintenance_margin * MARGIN_WELL:
            account.alerts.keep("MARGIN_CALL", ())

    def _take_config(self, fact: Fact[Any]) -> None:
        self._account.state.config = fact

    def _take_clock(self, fact: Fact[Any]) -> None:
        self.clock_ms = fact.answered_ms
        self._account.clock_uncertainty_ms = (fact.answered_ms - fact.asked_ms) // 2

    def _take_rules(self, fact: Fact[Any]) -> None:
        """Ticks and minimums may change in flight, symbols may halt or be delisted (G31)."""
        account, state = self._account, self._account.state
        state.instruments = {s: self._rules(s, old) for s, old in state.instruments.items()}
        state.other_instruments = {s: self._rules(s, old) for s, old in state.other_instruments.items()}
        state.rules_read_ms = fact.asked_ms
        shut = [s for s, rules in state.instruments.items() if not rules.tradable]
        for symbol in shut:
            text = f"{symbol}: the exchange does not let it be traded now: no entries"
            account.concern(Concern("NOT_TRADABLE", "warning", str(symbol), text))
        account.alerts.keep("NOT_TRADABLE", [str(symbol) for symbol in shut])

    def _rules(self, symbol: Symbol, old: Instrument) -> Instrument:
        """As the exchange says now; what it no longer lists cannot be traded."""
        return self._account.exchange.instrument(symbol) or replace(old, tradable=False)

    def _take_marks(self, fact: Fact[Any]) -> None:
        """Prices by REST: used while the stream is down, and held against its last word (R1.4)."""
        account = self._account
        self._marks_read_ms = fact.asked_ms
        for symbol, mark in fact.value.items():
            last = self._stream_marks.get(symbol)
            if not self._market_up and last is not None and last.price > 0:
                account.drift_sum += abs(mark.price - last.price) / last.price
                account.drift_count += 1
            known = account.state.marks.get(symbol)
            if known is None or mark.exchange_ms >= known.exchange_ms:
                account.state.marks[symbol] = mark

    def _read_failed(self, event: ReadDone) -> Wants:
        account, failure = self._account, event.failure
        account.counters["read_failures"] += 1
        account.log("read.failed", {"read": event.want.read.value, "failure": str(failure)})
        self._limited(failure)
        if isinstance(failure, Rejected):
            text = f"reading {event.want.read}: the exchange refuses: {failure.code} {failure.message}"
            severity = "critical" if failure.reason is RejectReason.PERMISSION else "warning"
            account.concern(Concern("READ_FAILING", severity, event.want.read.value, text))
            if failure.reason in DOUBTED_BY:
                yield Want(DOUBTED_BY[failure.reason], None, account.clock.now_ms(), urgent=True)

    def _limited(self, failure: object) -> None:
        if isinstance(failure, Unavailable) and failure.short:
            self._account.held_back(failure.cause)
        elif isinstance(failure, Unavailable) and (failure.retry_after_ms or failure.banned):
            account = self._account
            until = account.clock.now_ms() + failure.retry_after_ms
            account.rate_limited_until_ms = max(account.rate_limited_until_ms, until)
            id_ = "BANNED" if failure.banned else "RATE_LIMITED"
            severity = "critical" if failure.banned else "warning"
            account.concern(Concern(id_, severity, "", failure.cause))

    # --- prices --------------------------------------------------------------------------------

    def mark(self, news: MarkNews, now_ms: int) -> None:
        self._account.state.marks[news.symbol] = news.mark
        self._stream_marks[news.symbol] = news.mark
        self._account.counters["marks"] += 1

    def mark_matters(self, symbol: Symbol) -> bool:
        """Whether a new price of the symbol may change a decision at once."""
        return any(key.symbol == symbol for key in self._account.state.naked.since)

    def price_wants(self, now_ms: int) -> Wants:
        if not self._market_up:
            yield Want(Read.MARKS, None, self._marks_read_ms + REST_PRICE_MS)

    # --- requests ------------------------------------------------------------------------------

    def _answered(self, event: Answered) -> Wants:
        account, journaled, outcome = self._account, event.journaled, event.outcome
        intent = journaled.intent
        known = account.state.intents.get(journaled.client_id)
        if known is None:
            return  # the stream was faster, and conclusive
        account.state.answered(journaled, outcome)
        account.operation(_failed(outcome))
        self._limited(outcome)
        account.log(
            "order.answered",
            {
                "purpose": intent.purpose.value,
                "symbol": str(intent.symbol),
                "client_id": journaled.client_id,
                "outcome": type(outcome).__name__.lower(),
                "detail": journaled.detail,
                "correlation_id": intent.correlation_id,
            },
        )
        if isinstance(outcome, Accepted):
            yield from self._accepted(journaled, outcome, event.at_ms)
        else:
            yield from self._not_accepted(journaled, outcome, event.at_ms)

    def _accepted(self, journaled: Journaled, outcome: Accepted, at_ms: int) -> Wants:
        state, intent = self._account.state, journaled.intent
        visible = at_ms + self._account.settings.freshness.visibility_ms
        match intent.purpose:
            case Purpose.PLACE_STOP:
                local = replace(outcome, stop=self._local(outcome.stop)) if outcome.stop else outcome
                state.accepted_stop(journaled, local, _true_ms(local.stop, at_ms))
                yield Want(Read.STOPS, intent.symbol, visible)
            case Purpose.CANCEL_STOP:
                state.cancelled_stop(intent, at_ms)
                yield Want(Read.STOPS, intent.symbol, visible)
            case Purpose.CANCEL_ORDER:
                state.cancelled_order(intent, at_ms)
            case Purpose.ENTER | Purpose.CLOSE:
                if outcome.order is not None:
                    order = replace(outcome.order, updated_ms=self._ours(outcome.order.updated_ms))
                    self._heard_from_entry(journaled, order, _true_ms(order, at_ms))
                    if journaled.signed_ms < self._account.started_ms:
                        self._books.book_entry(journaled, at_ms)
                yield Want(Read.POSITIONS, None, at_ms, urgent=True)

    def _not_accepted(self, journaled: Journaled, outcome: Outcome, at_ms: int) -> Wants:
        account, intent = self._account, journaled.intent
        name = PositionKey(intent.symbol, intent.position_side).name
        if isinstance(outcome, Rejected) and outcome.reason in DOUBTED_BY:
            yield Want(DOUBTED_BY[outcome.reason], None, at_ms, urgent=True)
        words = (
            f"{intent.purpose.value} {intent.symbol}: {type(outcome).__name__.lower()}: {journaled.detail}"
        )
        match outcome:
            case Unknown(mapped=mapped):
                account.counters["unknown_outcomes"] += 1
                if not mapped:
                    account.concern(Concern("ERROR_UNMAPPED", "warning", str(intent.symbol), words))
                yield Want(Read.POSITIONS, None, at_ms, urgent=True)
            case Rejected(reason=reason) if intent.purpose is Purpose.PLACE_STOP:
                severity = "info" if reason in BENIGN else "critical"
                account.concern(Concern("STOP_REFUSED", severity, name, words))
                yield Want(Read.STOPS, intent.symbol, at_ms, urgent=True)
            case Rejected() if intent.purpose in (Purpose.CANCEL_ORDER, Purpose.CANCEL_STOP):
                read = Read.STOPS if intent.purpose is Purpose.CANCEL_STOP else Read.ORDERS
                yield Want(read, intent.symbol, at_ms, urgent=True)
            case Rejected() if intent.purpose is Purpose.CLOSE:
                account.concern(Concern("CLOSE_REFUSED", "critical", name, words))
                yield Want(Read.POSITIONS, None, at_ms, urgent=True)
            case _:
                account.say("refused", str(intent.symbol), words, intent.correlation_id)

    # --- protection ----------------------------------------------------------------------------

    def was_protected(self, key: PositionKey) -> bool:
        """Whether a covering stop of this very position was believed to stand at some time."""
        tracked = self._account.state.tracked.get(key)
        return tracked is not None and self._protected.get(key, (0, ""))[0] == tracked.trade_id

    def protected(self, key: PositionKey, stop: Stop) -> None:
        """A covering stop is believed to stand: remembered once per stop."""
        account = self._account
        account.relieved("STOP_REFUSED", key.name)
        tracked = account.state.tracked.get(key)
        if tracked is None or self._protected.get(key) == (tracked.trade_id, stop.stop_id):
            return
        self._protected[key] = (tracked.trade_id, stop.stop_id)
        since = account.state.protected_since.get(key, account.clock.now_ms())
        wanted = tracked.stop_price
        if wanted is None:
            # From now on it stays where it is, though the policy's price would move with the mark.
            wanted = stop.trigger_price
            account.state.tracked[key] = replace(tracked, stop_price=wanted)
        # Remembered is where it should stand: a coarser tick or the liquidation price may hold it off.
        account.memory.protect_trade(tracked.trade_id, wanted, since)
        account.say("stop", str(key.symbol), f"stop stands at {stop.trigger_price}")


def _true_ms(told: Order | Stop | None, at_ms: int) -> int:
    """What a reply says was true when the exchange last changed it: what the stream said since is newer."""
    return min(told.updated_ms, at_ms) if told is not None and told.updated_ms else at_ms


def _failed(outcome: Outcome) -> bool:
    benign = isinstance(outcome, Rejected) and outcome.reason in BENIGN
    return not (benign or isinstance(outcome, Accepted))
