"""From signals to entries: exits and moves of stops first, then the one best entry through the gate (R5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from holdfast.decisions.breakers import BreakerFacts, assess, error_rate, stricter
from holdfast.decisions.exposure import Exposure, exposure
from holdfast.decisions.gate import (
    Approved,
    GateContext,
    Mode,
    OperatorState,
    Refusal,
    Refused,
    Room,
    gate,
    room_refusals,
)
from holdfast.decisions.refusals import WORDS
from holdfast.decisions.select import Candidate, Performance, SelectPolicy, select
from holdfast.decisions.size import NotSized, Sized, SizeFacts, SizePolicy, size
from holdfast.decisions.step import Concern
from holdfast.domain.account import Mark, PositionKey
from holdfast.domain.instrument import Instrument
from holdfast.domain.intents import Intent, Journaled, Priority, Purpose
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Direction, OrderState
from holdfast.domain.signals import Action, Signal
from holdfast.domain.symbol import Symbol
from holdfast.engine.account import Account
from holdfast.engine.apply import EXPOSURE_READS
from holdfast.engine.events import Signals
from holdfast.engine.executor import Executor

Dispatch = Callable[[tuple[Intent, ...], Callable[[Journaled], Approved | Refused]], object]
Leave = Callable[[PositionKey, str], None]
ENTRIES_KEPT = 100
STANDSTILL_MS = 10_000
"""Without a step for so long the process stood still, as on a laptop that sleeps."""


class Entries:
    """Decides on signals; called by the consumer only."""

    def __init__(self, account: Account, executor: Executor, leave: Leave) -> None:
        self._account = account
        self._executor = executor
        self._leave = leave
        self.performance: Mapping[str, Performance] = {}
        self._marks_seen: dict[Symbol, Mark] = {}
        self._looked_ms = 0
        self._asking_since_ms = 0

    # --- signals -------------------------------------------------------------------------------

    def take(self, event: Signals, dispatch: Dispatch) -> None:
        account = self._account
        account.counters["signals"] += len(event.signals)
        account.counters["signal_checks"] += 1
        account.state.quotes = event.quotes
        for problem in event.problems:
            account.say("data", "", problem)
        for signal in event.signals:
            self._manage(signal)
        self._enter(event, dispatch)

    def _manage(self, signal: Signal) -> None:
        """Exits and moves of the stop concern only a position that the same strategy opened."""
        key = self._led(signal)
        if key is None:
            return
        if signal.action is Action.EXIT:
            self._leave(key, f"{signal.strategy}: {signal.reason}")
        elif signal.action is Action.ADJUST and signal.stop_price is not None:
            self._move_stop(key, signal.stop_price, signal.reason)

    def _led(self, signal: Signal) -> PositionKey | None:
        """In the mode that it was opened in, whatever the account is configured for now."""
        tracked = self._account.state.tracked.values()
        mine = (t for t in tracked if t.key.symbol == signal.symbol and t.strategy == signal.strategy)
        return next((t.key for t in mine if t.direction is signal.direction), None)

    def _move_stop(self, key: PositionKey, price: Decimal, reason: str) -> None:
        """A stop only ever moves towards profit; rounding is the side nearer to the market."""
        account = self._account
        tracked = account.state.tracked[key]
        instrument = account.state.instruments.get(key.symbol)
        sign = tracked.direction.sign
        if instrument is not None:
            price = instrument.price_up(price) if sign > 0 else instrument.price_down(price)
        if tracked.stop_price is not None and (price - tracked.stop_price) * sign <= 0:
            return
        account.state.tracked[key] = replace(tracked, stop_price=price)
        account.memory.move_stop(tracked.trade_id, price)
        account.say("adjust", str(key.symbol), f"stop to {price}: {reason}")

    # --- the one entry -------------------------------------------------------------------------

    def _enter(self, event: Signals, dispatch: Dispatch) -> None:
        account = self._account
        now = account.clock.now_ms()
        exposed = self._exposure(exclude="")
        closed_doors = self._doors(exposed, now)
        selection = select(
            event.signals,
            held=frozenset(k.symbol for k in account.state.believed_positions())
            | frozenset(k.symbol for k in account.state.tracked),
            pending=frozenset(
                j.intent.symbol for j in account.state.intents.values() if j.intent.purpose is Purpose.ENTER
            ),
            performance=self.performance,
            policy=SelectPolicy(
                min_signal_score=account.settings.trading.min_signal_score,
                signal_age_ms_max=account.settings.trading.signal_age_ms_max,
                candidates_max=account.settings.trading.candidates_max,
            ),
            now_ms=now,
        )
        best = selection.best
        if best is None:
            return
        if closed_doors:
            self._refused(best.signal, closed_doors)
            return
        self._open(best, event, dispatch)

    def _doors(self, exposed: Exposure, now: int) -> tuple[Refusal, ...]:
        """Why no entry at all is possible now: said before anything is sized (R5.2)."""
        account = self._account
        equity = account.state.balance.value.equity if account.state.balance else ZERO
        doors = {
            Refusal.KILLED: account.operator is OperatorState.KILLED,
            Refusal.STOPPED: account.operator is OperatorState.STOPPED,
            Refusal.SHUTTING_DOWN: account.shutting_down,
            Refusal.HALTED: account.mode is Mode.HALTED,
            Refusal.REDUCE_ONLY: account.mode is Mode.REDUCE_ONLY,
            Refusal.NOT_SYNCED: not account.synced,
        }
        shut = tuple(refusal for refusal, is_shut in doors.items() if is_shut)
        return shut or room_refusals(self._room(exposed), account.settings.limits, equity, now)

    def _open(self, candidate: Candidate, event: Signals, dispatch: Dispatch) -> None:
        account, signal = self._account, candidate.signal
        instrument, mark = (
            account.state.instruments.get(signal.symbol),
            account.state.marks.get(signal.symbol),
        )
        if instrument is None or mark is None:
            self._refused(signal, (Refusal.NOT_TRADABLE if instrument is None else Refusal.MARK_STALE,))
            return
        sized = self._size(signal, instrument, mark.price)
        if isinstance(sized, NotSized):
            account.counters["refused"] += 1
            account.say("refused", str(signal.symbol), f"{sized.reason}: {sized.explanation}")
            return
        correlation_id = account.ids.correlation_id("trade")
        intent = self._intent(signal, sized, correlation_id)
        correlation = event.correlation_with(signal.symbol, signal.direction, self._held())

        def approve(journaled: Journaled) -> Approved | Refused:
            return self._gate(journaled, signal, instrument, correlation)

        verdict = approve(self._executor.identify(intent))
        if isinstance(verdict, Refused):
            self._refused(signal, verdict.reasons)
            return
        self._count_entry(signal.symbol)
        text = f"{signal.direction} {sized.quantity} @ {mark.price}, stop {sized.stop_price}: {signal.reason}"
        account.say("entry", str(signal.symbol), f"{text}; {candidate.quality.describe()}", correlation_id)
        dispatch((intent,), approve)

    def _held(self) -> list[tuple[Symbol, Direction]]:
        """What is open, in the books or not: a position that is left alone counts as well (R0.4)."""
        state = self._account.state
        booked = {key: tracked.direction for key, tracked in state.tracked.items()}
        held = booked | {key: each.direction for key, each in state.believed_positions().items()}
        return [(key.symbol, direction) for key, direction in held.items()]

    def _size(self, signal: Signal, instrument: Instrument, price: Decimal) -> Sized | NotSized:
        account, exposed = self._account, self._exposure(exclude="")
        balance, trading = account.state.balance, account.settings.trading
        facts = SizeFacts(
            instrument=instrument,
            direction=signal.direction,
            price=price,
            stop_price=signal.stop_price,
            equity=balance.value.equity if balance else ZERO,
            available=balance.value.available if balance else ZERO,
            leverage=account.state.leverage_of(signal.symbol),
            symbol_notional=exposed.by_symbol.get(signal.symbol, ZERO),
            gross_notional=exposed.gross,
            pending_notional=exposed.pending,
        )
        policy = SizePolicy(
            risk_per_trade_ratio=trading.risk_per_trade_ratio,
            default_stop_ratio=account.settings.protection.default_stop_pct / 100,
        )
        return size(facts, account.settings.limits, policy)

    def _intent(self, signal: Signal, sized: Sized, correlation_id: str) -> Intent:
        """In the configured mode: the gate lets none through while the account is in the other (G25)."""
        return Intent(
            purpose=Purpose.ENTER,
            symbol=signal.symbol,
            side=signal.direction.opening,
            position_side=self._account.settings.position_mode.side_of(signal.direction),
            quantity=sized.quantity,
            priority=Priority.TRADE,
            reason=signal.reason,
            correlation_id=correlation_id,
            stop_price=sized.stop_price,
            take_profit=signal.take_profit,
            strategy=signal.strategy,
        )

    def _count_entry(self, symbol: Symbol) -> None:
        account = self._account
        now = account.clock.now_ms()
        if now // 86_400_000 != account.entries_day:
            account.entries_day, account.entries_today = now // 86_400_000, 0
        account.entries_today += 1
        account.last_entry_ms = now
        account.entries_sent[symbol] = (*account.entries_sent.get(symbol, ()), now)[-ENTRIES_KEPT:]
        account.counters["entries_sent"] += 1

    def _refused(self, signal: Signal, reasons: tuple[Refusal, ...]) -> None:
        self._account.counters["refused"] += 1
        words = "; ".join(f"{reason.value} ({WORDS[reason]})" for reason in reasons)
        self._account.say("refused", str(signal.symbol), f"{signal.strategy} {signal.direction}: {words}")

    # --- the gate's facts ----------------------------------------------------------------------

    def _gate(
        self, journaled: Journaled, signal: Signal, instrument: Instrument, correlation: Decimal | None
    ) -> Approved | Refused:
        """Judged on the facts of the moment of sending, not of the moment of deciding."""
        account, state = self._account, self._account.state
        symbol, now = signal.symbol, account.clock.now_ms()
        exposed = self._exposure(exclude=journaled.client_id)
        config = state.config.value if state.config else None
        # The kill file is looked at here too: the journal's write lies between step and sending (G30).
        ordered = OperatorState.KILLED if account.kill_ordered() is not None else account.operator
        context = GateContext(
            operator=ordered,
            mode=account.mode,
            shutting_down=account.shutting_down,
            blocks=account.breakers.blocks_on(symbol),
            synced=account.synced,
            positions_asked_ms=state.positions_read.asked_ms if state.positions_read else None,
            balance=state.balance,
            expected_position_mode=account.settings.position_mode,
            actual_position_mode=config.position_mode if config else None,
            expected_margin_mode=account.settings.margin_mode,
            actual_margin_mode=state.margin_mode_of(symbol),
            can_trade=config.can_trade if config else None,
            instrument=instrument,
            mark=state.marks.get(symbol),
            quote=state.quotes.get(symbol),
            read_whole=not any(
                read in EXPOSURE_READS and of in (None, symbol) for read, of in account.incomplete
            ),
            reference_price=signal.price,
            leverage=state.leverage_of(symbol),
            position_quantity=sum(
                (abs(p.quantity) for p in state.believed_positions().values() if p.symbol == symbol), ZERO
            ),
            symbol_notional=exposed.by_symbol.get(symbol, ZERO),
            pending_notional=exposed.pending,
            room=self._room(exposed, exclude=journaled.client_id),
            unresolved_intents=sum(
                1
                for j in state.intents.values()
                if j.intent.symbol == symbol and j.client_id != journaled.client_id
            ),
            foreign_orders=sum(
                1
                for o in state.believed_orders().values()
                if o.symbol == symbol and o.client_id not in state.our_ids
            ),
            volatility=signal.volatility,
            correlation=correlation,
        )
        return gate(journaled, context=context, limits=account.settings.limits, now_ms=now)

    def _exposure(self, *, exclude: str) -> Exposure:
        state = self._account.state
        asked = state.positions_read.asked_ms if state.positions_read else 0
        entries = [j for j in (*state.intents.values(), *state.recent_entries) if j.client_id != exclude]
        return exposure(
            state.believed_positions().values(),
            entries,
            {symbol: mark.price for symbol, mark in state.marks.items()},
            positions_asked_ms=asked - self._account.settings.freshness.visibility_ms,
        )

    def _room(self, exposed: Exposure, *, exclude: str = "") -> Room:
        """An entry that was counted already when it was decided is not held against itself."""
        account = self._account
        own = bool(exclude) and exclude in account.state.intents
        times = account.entries_sent.values()
        before = sorted(at for each in times for at in each)[:-1] if own else None
        last = account.last_entry_ms if before is None else (before[-1] if before else None)
        return Room(
            position_count=exposed.count,
            entries_today=account.entries_today - own,
            last_entry_ms=last,
            gross_notional=exposed.gross,
        )

    # --- breakers ------------------------------------------------------------------------------

    def breakers(self) -> None:
        """Assess what blocks entries; step the mode down where a breaker says so (it latches).

        By the clock of this moment: prices came since the step, and none of them is of the future.
        """
        account, state = self._account, self._account.state
        now_ms = account.clock.now_ms()
        facts = BreakerFacts(
            now_ms=now_ms,
            positions_asked_ms=state.positions_read.asked_ms if state.positions_read else None,
            balance_asked_ms=state.balance.asked_ms if state.balance else None,
            marks={symbol: state.marks.get(symbol) for symbol in account.settings.symbols},
            marks_before=self._marks_seen,
            clock_uncertainty_ms=account.clock_uncertainty_ms,
            rate_limited_until_ms=account.rate_limited_until_ms,
            socket_down_since_ms=account.socket_down_since_ms,
            handover_until_ms=account.handover_until_ms,
            asking_since_ms=self._asking_since(now_ms),
            naked_since_ms=min(
                (since for key, since in state.naked.since.items() if key in state.tracked), default=None
            ),
            store_writable=not account.memory.trouble(),
            operations=tuple(account.operations),
            equity=account.equity,
            entries=account.entries_sent,
            unresolved=tuple(j for j in state.intents.values() if j.state is OrderState.UNKNOWN),
        )
        verdict = assess(facts, account.settings.breakers, account.breakers)
        self._marks_seen = dict(state.marks)
        account.breakers = verdict
        if verdict.mode is not None and stricter(account.mode, verdict.mode) is not account.mode:
            account.mode, account.mode_why = verdict.mode, "; ".join(verdict.reasons)
            text = f"mode is now {verdict.mode}: {account.mode_why}"
            account.concern(Concern("MODE_STEPPED_DOWN", "critical", "", text))
            account.say("mode", "", text)
            account.note_mode()
        self._house_alerts(now_ms)

    def _asking_since(self, now_ms: int) -> int:
        """Since when it can be asked what became of requests: the start, or when a standstill was over."""
        turns_ms = 2 * self._account.settings.monitor_interval_ms
        if now_ms - self._looked_ms > max(STANDSTILL_MS, turns_ms):
            self._asking_since_ms = now_ms
        self._looked_ms = now_ms
        return self._asking_since_ms

    def _house_alerts(self, now_ms: int) -> None:
        account = self._account
        self._tell_unled()
        trouble = account.memory.trouble()
        if trouble:
            account.concern(Concern("STORE_UNWRITABLE", "critical", "", trouble))
        else:
            account.relieved("STORE_UNWRITABLE")
        if now_ms >= account.rate_limited_until_ms:
            account.relieved("RATE_LIMITED")
            account.relieved("BANNED")
        if now_ms >= account.budget_short_until_ms:
            account.relieved("BUDGET_SHORT")
        limits = account.settings.breakers
        rate = error_rate(
            tuple(account.operations),
            now_ms=now_ms,
            window_ms=limits.error_window_ms,
            sample_min=limits.error_sample_min,
        )
        if rate is not None and rate > limits.error_rate_max_ratio:
            text = f"error rate {rate:.2%} is above {limits.error_rate_max_ratio:.2%}"
            account.concern(Concern("ERROR_RATE", "warning", "", text))
        else:
            account.relieved("ERROR_RATE")

    def _tell_unled(self) -> None:
        """The settings may be others than those that a position was opened with: it keeps its stop, but no
        strategy moves that or leaves."""
        account, state = self._account, self._account.state
        told = []
        for key, tracked in state.tracked.items():
            why = ""
            if key.symbol not in state.instruments:
                why = "it is not among the configured symbols any more"
            elif tracked.strategy and tracked.strategy not in account.settings.trading.strategies:
                why = f"its strategy {tracked.strategy} is not configured any more"
            if why and not tracked.adopted:
                text = f"{key.name}: {why}; its stop stays, no strategy leads it"
                account.concern(Concern("NOT_LED", "warning", key.name, text))
                told.append(key.name)
        account.alerts.keep("NOT_LED", told)
