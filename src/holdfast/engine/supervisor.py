"""One owner, one inbox, one consumer per exchange account (architecture rules 2, 3).

The consumer applies what it heard, decides by `decisions.step`, and hands requests to lanes and
questions to the reader. It never waits for the network, the disk or a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from holdfast.decisions import protect as protecting
from holdfast.decisions.facts import Facts, Tracked
from holdfast.decisions.gate import Approved, OperatorState, Refused, approve_protective
from holdfast.decisions.reconcile import Appeared, Finding, reconcile
from holdfast.decisions.step import Concern, Plan, Read, Want, step
from holdfast.domain.account import PositionKey
from holdfast.domain.intents import Intent, Journaled, Outcome, Purpose
from holdfast.domain.symbol import Symbol
from holdfast.engine.account import Account
from holdfast.engine.apply import RULES_MS, Applier
from holdfast.engine.bookkeeper import Bookkeeper
from holdfast.engine.boundary import Boundary
from holdfast.engine.census import census_wants
from holdfast.engine.desk import OperatorDesk, tell
from holdfast.engine.entries import Entries
from holdfast.engine.events import Answered, Applied, Event, Inbox, Ordered, Signals, Tick, Told
from holdfast.engine.executor import Executor, Lane
from holdfast.engine.memory import Remembered
from holdfast.engine.reader import Reader
from holdfast.engine.resolver import Resolver
from holdfast.engine.unfinished import UnfinishedLiquidation
from holdfast.engine.view import View
from holdfast.exchanges.port import MarkNews, News
from holdfast.store.flags import stoploss_missing

SYNC_PATIENCE_MS = 30_000
RECONCILE_ROUNDS = 3
RESTATED = ("FOREIGN_POSITION", "STOP_STUCK", "DUST")
"""Alerts that every step raises anew while their cause lasts."""
OF_POSITIONS = (
    "STOP_LOST",
    "STOP_MISSING",
    "STOP_REFUSED",
    "PROTECTION_FAILED",
    "CLOSE_REFUSED",
    "MARGIN_CALL",
)
"""Alerts that end with the position that they are about."""
WAKE_FLOOR_MS = 20
STILL_S = 0.003
HOPS_TO_DISK = 2
"""Turns of the loop from a dispatched request to the disk's thread: its lane, then the store's writer."""


class Supervisor:
    """Runs one account until it is told to end. `view` is the published picture."""

    def __init__(self, account: Account, publish: Callable[[Account, Bookkeeper], View]) -> None:
        self.account = account
        self.inbox = Inbox()
        self._publish = publish
        self._group: asyncio.TaskGroup | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self._pending: tuple[Tracked, ...] = ()
        self._waiters: dict[str, asyncio.Future[Outcome]] = {}
        self._missing: tuple[str, ...] | None = None
        """The symbols without a stop as last written to the store; None = not yet."""
        self.recalled = asyncio.Event()
        """Set once what the last run left is known."""
        self.boundary = Boundary(account)
        self.unfinished = UnfinishedLiquidation(account)
        settings, state = account.settings, account.state
        self.executor = Executor(
            account_id=settings.account_id,
            exchange=account.exchange,
            memory=account.memory,
            clock=account.clock,
            ids=account.ids,
            inbox=self.inbox,
        )
        self.resolver = Resolver(account.exchange, account.memory, account.clock, self.inbox)
        self.books = Bookkeeper(
            state=state,
            memory=account.memory,
            exchange=account.exchange,
            inbox=self.inbox,
            alerts=account.alerts,
            say=account.say,
            spawn=self.spawn,
            sleep=asyncio.sleep,
        )
        self.applier = Applier(account, self.books)
        equity = self.applier.equity
        self.reader = Reader(
            account.exchange,
            account.clock,
            self.inbox,
            settings.symbols,
            transfers_from_ms=lambda: equity.list_from_ms,
        )
        self.entries = Entries(account, self.executor, self.leave)
        self.desk = OperatorDesk(
            account, self.inbox, sync=self._sync_all, accept_loss=equity.accept, spawn=self.spawn
        )
        self._view: View | None = None

    # --- life ----------------------------------------------------------------------------------

    async def run(self, ended: asyncio.Event) -> None:
        """Recall, sync, then supervise until *ended* is set. Raises `ExchangeError` if it cannot start."""
        account = self.account
        account.started_ms = account.clock.now_ms()
        remembered = await account.memory.recall()
        self._recalled(remembered)
        self.recalled.set()
        async with asyncio.TaskGroup() as group:
            self._group = group
            await account.exchange.start_streams(account.settings.symbols, self._told)
            consumer = group.create_task(self._consume(), name="consumer")
            ticker = group.create_task(self._tick(), name="ticker")
            self._sync_all()
            await ended.wait()
            for task in (consumer, ticker):
                task.cancel()
            self._group = None
            for task in tuple(self._running):
                task.cancel()

    def _recalled(self, remembered: Remembered) -> None:
        account, state = self.account, self.account.state
        account.adopt(remembered.standing)
        account.entries_today = remembered.entries_today
        account.handover_until_ms = remembered.handover_until_ms
        account.entries_day = account.clock.now_ms() // 86_400_000
        self.applier.equity.recalled(remembered.equity, remembered.equity_ms)
        for tracked in remembered.tracked:
            state.tracked[tracked.key] = tracked
            self.books.learn_rules(tracked.key.symbol)
        state.protected_before = dict(remembered.protected_since)
        for journaled in remembered.intents:
            state.intents[journaled.client_id] = journaled
            state.our_ids[journaled.client_id] = journaled.intent.purpose
        stops = [each for each in remembered.intents if each.intent.purpose is Purpose.PLACE_STOP]
        account.exchange.remember_stops(stops)
        for journaled in remembered.unbooked:
            account.entries_today += 1
            self.books.book_entry(journaled, account.started_ms)
        self._pending = remembered.pending_exits
        if account.settings.global_kill_switch:
            account.operator, account.operator_why = OperatorState.KILLED, "GLOBAL_KILL_SWITCH is set"
        if remembered.unfinished_liquidation:
            self.unfinished.found(self.leave)

    def release(self) -> None:
        """A liquidation that did not end the bot is over: what it left open is the step's to close."""
        tracked = self.account.state.tracked
        tracked.update({key: replace(t, hands_off=False) for key, t in tracked.items() if t.hands_off})

    def _sync_all(self) -> None:
        """Read the whole account; entries wait until it was read (R1.9)."""
        now = self.account.clock.now_ms()
        for read in self.applier.begin_sync():
            self.ask(Want(read, None, now, urgent=True))
        for tracked in self._pending:
            self.books.find_exit(tracked, now, tracked.closing_reason)
        self._pending = ()

    async def _tick(self) -> None:
        while True:
            self.inbox.put(Tick())
            await asyncio.sleep(self.account.settings.monitor_interval_ms / 1000)

    # --- what arrives --------------------------------------------------------------------------

    def _told(self, news: News) -> None:
        now = self.account.clock.now_ms()
        if isinstance(news, MarkNews):
            self.applier.mark(news, now)
            if self.applier.mark_matters(news.symbol):
                self.inbox.put(Tick())
            return
        self.inbox.put(Told(news, now), urgent=True)

    async def _consume(self) -> None:
        while True:
            events = await self.inbox.get()
            with self.boundary("consumer"):
                await self._handle(events)

    async def _handle(self, events: tuple[Event, ...]) -> None:
        """Apply, decide and act; then let go of what was decided before anything else is done.

        Nothing that money does not wait for stands between a fill and its stop.
        """
        if self.inbox.overflowed:
            self.inbox.overflowed = False
            self.account.concern(
                Concern("INBOX_OVERFLOW", "warning", "", "events were lost: the account is read again")
            )
            self._sync_all()
        self.desk.obey_kill_file()
        wants: list[Want] = []
        for event in events:
            # One that breaks takes no other with it, and the step comes all the same.
            with self.boundary("event"):
                wants += self._apply(event)
        plan, now = self._step()
        await self._let_go(plan)
        self._follow_up(plan, wants, now)
        self.publish()

    async def _let_go(self, plan: Plan) -> None:
        """What was decided reaches disk and wire before anything else takes the processor.

        The journal's thread shares it with this loop, and what follows a fill (more events, reads) keeps
        the loop busy: so it keeps still for a moment. A moment, not until something is written.
        """
        for _ in range(HOPS_TO_DISK):
            await asyncio.sleep(0)
        if any(intent.purpose in (Purpose.PLACE_STOP, Purpose.CLOSE) for intent in plan.intents):
            await asyncio.sleep(STILL_S)

    def _apply(self, event: Event) -> tuple[Want, ...]:
        """Change what is known; returns what to ask the exchange because of it."""
        if isinstance(event, Answered):
            waiter = self._waiters.pop(event.journaled.client_id, None)
            if waiter is not None and not waiter.done():
                waiter.set_result(event.outcome)
        match event:
            case Signals():
                self.entries.take(event, self.dispatch)
            case Ordered():
                self.desk.obey(event)
            case Tick():
                pass
            case Applied():
                tell(event, "")
            case _:
                return self.applier.apply(event)
        return ()

    def publish(self) -> None:
        """There is a new picture; it is drawn when somebody looks: a stop does not wait for it."""
        self._view = None

    @property
    def view(self) -> View:
        """The account after the last batch of events."""
        if self._view is None:
            self._view = self._publish(self.account, self.books)
        return self._view

    # --- the step ------------------------------------------------------------------------------

    def _step(self) -> tuple[Plan, int]:
        """Bring the books in line, decide, act; the plan and the time it was made at."""
        account = self.account
        now = account.clock.now_ms()
        account.counters["steps"] += 1
        facts, findings = self._reconciled(now)
        self.unfinished.look()
        plan = step(facts, findings)
        self._note_leaves(plan)
        self._note_verdicts(plan, now)
        for batch in _lanes(plan.intents):
            self.dispatch(batch, self._approve)
        return plan, now

    def _follow_up(self, plan: Plan, wants: Sequence[Want], now: int) -> None:
        """What follows from a step beside its requests: alerts, questions (*wants*: the events'), blocks."""
        for concern in plan.concerns:
            self.account.concern(concern)
        for id_ in RESTATED:
            self.account.alerts.keep(id_, [each.symbol for each in plan.concerns if each.id == id_])
        self._resolve_unknown()
        for want in wants:
            self.ask(want)
        self._read(plan.wants, now)
        self.entries.breakers()

    def _reconciled(self, now: int) -> tuple[Facts, tuple[Finding, ...]]:
        """The facts after the books took what reconciliation found; one change may show another."""
        account = self.account
        for _ in range(RECONCILE_ROUNDS):
            facts = account.state.facts(now, entries_wanted=account.entries_wanted)
            findings = reconcile(facts)
            if not self.books.apply(findings, now, manage=self._manages):
                break
        return facts, findings

    def _manages(self, finding: Appeared) -> bool:
        return bool(finding.entry_client_id) or self.account.settings.protection.adopt_unknown

    def _note_leaves(self, plan: Plan) -> None:
        """Remember why a position is being closed: it stays so until flat, over many steps."""
        account = self.account
        for leave in plan.leaves:
            tracked = account.state.tracked.get(leave.key)
            if tracked is None or tracked.closing_reason:
                continue
            self.leave(leave.key, leave.reason)
            text = f"{leave.key.name}: {leave.reason}; closing"
            account.concern(Concern("PROTECTION_FAILED", "critical", leave.key.name, text))

    def leave(self, key: PositionKey, reason: str) -> None:
        """Close a position; every step works on it until the exchange shows it flat."""
        tracked = self.account.state.tracked.get(key)
        if tracked is not None and not tracked.closing_reason:
            self.account.state.tracked[key] = replace(tracked, closing_reason=reason)
            self.account.say("close", str(key.symbol), reason)
            self.account.memory.leave_trade(tracked.trade_id, reason)

    def _note_verdicts(self, plan: Plan, now: int) -> None:
        account, state = self.account, self.account.state
        for key, verdict in plan.verdicts.items():
            name = key.name
            if isinstance(verdict, protecting.Covered):
                state.healthy(key)
                self.applier.protected(key, verdict.stop)
                account.relieved("STOP_LOST", name)
                account.relieved("STOP_MISSING", name)
                continue
            if isinstance(verdict, protecting.Place) and verdict.beside:
                continue  # it is being moved: the one that stands covers meanwhile
            said = protecting.words(verdict)
            if self.applier.was_protected(key):
                text = f"{name}: the stop that covered it is gone, or covers it no more: {said}"
                account.concern(Concern("STOP_LOST", "warning", name, text))
            if now - state.naked.since.get(key, now) >= protecting.MISSING_AFTER_MS:
                text = f"{name} has no covering stop: {said}"
                account.concern(Concern("STOP_MISSING", "critical", name, text))
        held = [key.name for key in plan.verdicts]
        for id_ in OF_POSITIONS:
            account.alerts.keep(id_, held)
        # The gap was told; with the request's end known there is nothing to look at any more.
        account.alerts.keep("ERROR_UNMAPPED", {str(j.intent.symbol) for j in state.intents.values()})
        self._flag_missing(account.alerts.of("STOP_MISSING"))

    def _flag_missing(self, names: tuple[str, ...]) -> None:
        """For whoever reads the database (R2.2): 1 while a stop is missing; the first sync says how it is."""
        account = self.account
        if names == self._missing or not (names or account.synced):
            return
        self._missing = names
        name = stoploss_missing(account.settings.exchange)
        account.memory.flag(name, int(bool(names)), ", ".join(names))

    def _resolve_unknown(self) -> None:
        for journaled in tuple(self.account.state.intents.values()):
            if self.resolver.wanted(journaled):
                self.spawn(f"resolve {journaled.client_id}", self.resolver.resolve(journaled))
        state = self.account.state
        for stop in state.lost.due(state.believed_stops, self.account.clock.now_ms()):
            self.spawn(f"look for {stop.client_id}", self.resolver.look_for(stop))

    def _read(self, wants: tuple[Want, ...], now: int) -> None:
        account = self.account
        fresh = account.settings.freshness
        extra = (
            *census_wants(account.state, fresh, self.applier.gap_ms),
            Want(Read.CLOCK, None, self.applier.clock_ms + fresh.clock_ms),
            Want(Read.RULES, None, (account.state.rules_read_ms or account.started_ms) + RULES_MS),
            *self.applier.price_wants(now),
            *self.applier.equity.wants(),
        )
        start, wake_ms = self.reader.due((*wants, *extra), now)
        for want in start:
            self.ask(want)
        if wake_ms is not None:
            self._wake_in(max(WAKE_FLOOR_MS, wake_ms - now))

    def _wake_in(self, delay_ms: int) -> None:
        loop = asyncio.get_running_loop()
        when = loop.time() + delay_ms / 1000
        if self._wake is not None and not self._wake.cancelled() and loop.time() < self._wake.when() <= when:
            return
        if self._wake is not None:
            self._wake.cancel()
        self._wake = loop.call_at(when, self.inbox.put, Tick())

    # --- acting --------------------------------------------------------------------------------

    def dispatch(
        self, batch: tuple[Intent, ...], approve: Callable[[Journaled], Approved | Refused]
    ) -> tuple[Journaled, ...]:
        """Give requests their ids, count them as in flight, and start their lane."""
        now = self.account.clock.now_ms()
        journaled = tuple(self.executor.identify(intent) for intent in batch)
        for each in journaled:
            self.account.state.sending(each, now)
        self.spawn(f"lane {batch[0].symbol} {batch[0].purpose}", self.executor.run(Lane(journaled, approve)))
        return journaled

    async def perform(self, batch: tuple[Intent, ...]) -> list[Outcome]:
        """Send protective or closing requests and wait for what the exchange answers to each."""
        loop = asyncio.get_running_loop()
        waiting = [loop.create_future() for _ in batch]
        for journaled, future in zip(self.dispatch(batch, self._approve), waiting, strict=True):
            self._waiters[journaled.client_id] = future
        return list(await asyncio.gather(*waiting))

    async def caught_up(self) -> None:
        """Wait until the consumer has applied everything that is in the inbox now."""
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.inbox.put(Applied(done))
        await done

    def _approve(self, journaled: Journaled) -> Approved | Refused:
        intent = journaled.intent
        key = PositionKey(intent.symbol, intent.position_side)
        position = self.account.state.believed_positions().get(key)
        return approve_protective(journaled, position.quantity if position else None)

    def ask(self, want: Want) -> None:
        """Ask the exchange now, unless the same question is under way."""
        if self._group is not None and self.reader.free(want):
            self.reader.begin(want)
            self.spawn(f"read {want.read}", self.reader.ask(want))

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """A named task of this supervisor; an unexpected error ends at the boundary."""
        if self._group is None:
            work.close()
            return
        task = self._group.create_task(self._guarded(name, work), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        # Cancelled before its first step, a task never gets to the work it was given.
        task.add_done_callback(lambda _: work.close())

    async def _guarded(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        with self.boundary(name):
            await work


def _lanes(intents: tuple[Intent, ...]) -> list[tuple[Intent, ...]]:
    """Requests of one symbol that close (with the cancels before them) stay in order; others go alone."""
    lanes: list[tuple[Intent, ...]] = []
    closing: dict[Symbol, list[Intent]] = {}
    closers = {i.symbol for i in intents if i.purpose is Purpose.CLOSE}
    for intent in intents:
        if intent.symbol in closers and intent.purpose in (Purpose.CLOSE, Purpose.CANCEL_ORDER):
            closing.setdefault(intent.symbol, []).append(intent)
        else:
            lanes.append((intent,))
    return lanes + [tuple(batch) for batch in closing.values()]
