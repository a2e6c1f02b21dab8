"""`engine.memory` over the store: the awaited write-ahead, and the ordered outbox for everything else."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from holdfast.decisions.equity import DAY_MS, EquityTrack
from holdfast.decisions.facts import Tracked
from holdfast.decisions.gate import Mode, OperatorState
from holdfast.domain.account import Balance, PositionKey
from holdfast.domain.intents import Journaled, Outcome
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import ClientOrderId, Fill, Heard, OrderState, Stop
from holdfast.domain.protocols import Clock
from holdfast.engine.account import LogLine
from holdfast.engine.memory import LIQUIDATING, Exit, JournalSaysNo, MemoryUnwritable, Remembered, Standing
from holdfast.store import audit, books, equity, flags, journal, lease
from holdfast.store.database import Store
from holdfast.store.errors import JournalRefused, StoreError, StoreUnwritable, UnknownIntent
from holdfast.store.operator import operator_of, set_mode, set_operator
from holdfast.store.writer import Blocking, GroupWriter

Job = Callable[[Connection], object]
RETRY_S = 1.0
OUTBOX_MAX = 20_000
BATCH = 128
PAGE = 1_000
"""Closed lives that are read at once; some ten milliseconds."""


class StoreMemory:
    """One account's memory. The outbox keeps its order and retries until the store takes it."""

    def __init__(
        self,
        *,
        store: Store,
        writer: GroupWriter,
        blocking: Blocking,
        clock: Clock,
        account_id: str,
        user_id: str,
        exchange: str,
        lease_epoch: int,
        log: LogLine,
        handover_until_ms: int = 0,
    ) -> None:
        self._store = store
        self._writer = writer
        self._blocking = blocking
        self._clock = clock
        self._account_id = account_id
        self._user_id = user_id
        self._exchange = exchange
        self._lease_epoch = lease_epoch
        self._handover_until_ms = handover_until_ms
        self._log = log
        self._trade_ids: dict[int, int] = {}
        self._outbox: deque[tuple[str, Job]] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._trouble = ""
        self._lost = ""
        self._rates: Mapping[str, tuple[int, int]] | None = None
        self._rates_stale = False

    # --- start ---------------------------------------------------------------------------------

    async def recall(self) -> Remembered:
        """What the last run left; requests that were being sent are Unknown from now on (R1.9)."""
        now = self._clock.now_ms()
        found = await self._writer.submit(lambda c: journal.forget_unsent(c, self._account_id, now))
        # Nothing that is remembered lies ahead: a clock that was set back would wait for it (G23).
        intents = tuple(replace(each, signed_ms=min(each.signed_ms, now)) for each in found)
        return await self._blocking(lambda: self._store.read(lambda c: self._recall(c, intents, now)))

    def _recall(self, connection: Connection, intents: tuple[Journaled, ...], now: int) -> Remembered:
        account = self._account_id
        operator = operator_of(connection, account)
        today = books.trades(connection, account_id=account, since_ms=now - now % DAY_MS)
        last = equity.latest(connection, account)
        flag = flags.get_flag(connection, LIQUIDATING, account)
        trades = books.open_trades(connection, account)
        tracked = tuple(self._tracked(connection, trade) for trade in trades)
        since = {t.key: trade.protected_since_ms for t, trade in zip(tracked, trades, strict=True)}
        return Remembered(
            intents=intents,
            unbooked=journal.unbooked_entries(connection, account),
            tracked=tracked,
            protected_since={key: at_ms for key, at_ms in since.items() if at_ms},
            pending_exits=tuple(self._tracked(connection, t) for t in books.to_correct(connection, account)),
            standing=Standing(
                operator=operator.state,
                operator_why=operator.state_why,
                mode=operator.mode,
                mode_why=operator.mode_why,
            ),
            entries_today=sum(1 for trade in today if not trade.adopted),
            handover_until_ms=self._handover_until_ms,
            equity=_track(last) if last else None,
            equity_ms=last.at_ms if last else 0,
            unfinished_liquidation=bool(flag and flag.value),
        )

    def _tracked(self, connection: Connection, trade: books.Trade) -> Tracked:
        self._trade_ids[trade.id] = trade.id
        entry = journal.find(connection, trade.entry_client_id) if trade.entry_client_id else None
        return Tracked(
            trade_id=trade.id,
            key=PositionKey(trade.symbol, trade.position_side),
            direction=trade.side,
            quantity=trade.quantity or trade.entry_quantity,
            entry_price=trade.entry_price,
            opened_ms=min(trade.opened_ms, self._clock.now_ms()),
            stop_price=trade.stop_price,
            strategy=trade.strategy,
            adopted=trade.adopted,
            adopted_quantity=(trade.order_quantity or trade.entry_quantity) if trade.adopted else ZERO,
            entry_client_id=trade.entry_client_id,
            entry_signed_ms=entry.signed_ms if entry else 0,
            closing_reason=trade.exit_reason,
        )

    # --- write ahead ---------------------------------------------------------------------------

    async def write_ahead(self, journaled: Journaled) -> None:
        now = self._clock.now_ms()

        def write(connection: Connection) -> None:
            journal.write_ahead(
                connection, journaled, at_ms=now, lease_epoch=self._lease_epoch, user_id=self._user_id
            )

        # An entry is judged by what is in the journal: it waits behind the outcomes submitted before it.
        # Whatever reduces risk is judged by nothing and overtakes the bookkeeping.
        urgent = not journaled.intent.purpose.raises_risk
        try:
            await self._writer.submit(write, urgent=urgent)
        except JournalRefused as no:
            raise JournalSaysNo(str(no)) from no
        except StoreUnwritable as error:
            self._trouble = str(error)
            raise MemoryUnwritable(str(error)) from error
        self._trouble = ""

    def note_outcome(self, journaled: Journaled, outcome: Outcome, at_ms: int) -> None:
        self._later(
            "outcomes",
            lambda c: self._known(
                c, journaled, lambda: journal.record_outcome(c, journaled.client_id, outcome, at_ms)
            ),
        )

    def note_dead(self, journaled: Journaled, why: str, at_ms: int) -> None:
        def write(connection: Connection) -> object:
            held = journal.find(connection, journaled.client_id)
            # What rested and is known no more was taken off the book; dead is what never arrived.
            rested = held is not None and held.state is OrderState.WORKING
            heard = Heard.CANCELLED if rested else Heard.PROVEN_DEAD
            return journal.resolve(connection, journaled.client_id, heard, detail=why, at_ms=at_ms)

        self._later("outcomes", lambda c: self._known(c, journaled, lambda: write(c)))

    def note_stop(self, stop: Stop, at_ms: int) -> None:
        def write(connection: Connection) -> object:
            known = journal.find(connection, ClientOrderId(stop.client_id))
            return journal.record_stop(connection, stop, at_ms) if known is not None else None

        self._later("ends of stops", write)

    def _known(self, connection: Connection, journaled: Journaled, write: Callable[[], object]) -> object:
        """A protective request that was sent while the journal failed is written after the fact.

        An entry that the journal does not hold was never sent: there is nothing to write.
        """
        try:
            return write()
        except UnknownIntent:
            if journaled.intent.purpose.raises_risk:
                return None
            unsent = replace(journaled, state=OrderState.SENDING, exchange_id="", filled=ZERO)
            unsent = replace(unsent, average_price=ZERO, detail="", resolved_ms=0)
            at_ms = journaled.signed_ms
            journal.write_ahead(
                connection, unsent, at_ms=at_ms, lease_epoch=self._lease_epoch, user_id=self._user_id
            )
            return write()

    # --- books ---------------------------------------------------------------------------------

    def open_trade(self, tracked: Tracked, journaled: Journaled | None, leverage: int) -> None:
        intent = journaled.intent if journaled else None
        trade = books.Trade(
            account_id=self._account_id,
            user_id=self._user_id,
            symbol=tracked.key.symbol,
            side=tracked.direction,
            position_side=tracked.key.side,
            strategy=tracked.strategy,
            opened_ms=tracked.opened_ms,
            entry_client_id=tracked.entry_client_id,
            entry_price=tracked.entry_price,
            entry_quantity=tracked.quantity,
            quantity=tracked.quantity,
            # Of an adopted position: the size it was adopted with (`entry_quantity` grows with it).
            order_quantity=intent.quantity if intent else tracked.adopted_quantity,
            order_price=intent.price if intent else None,
            leverage=leverage,
            stop_price=tracked.stop_price,
            take_profit=intent.take_profit if intent else None,
            adopted=tracked.adopted,
            correlation_id=intent.correlation_id if intent else "",
        )

        def write(connection: Connection) -> None:
            self._trade_ids[tracked.trade_id] = books.open_trade(connection, trade).id

        self._later("openings", write)

    def _id(self, handle: int) -> int:
        return self._trade_ids.get(handle, 0)

    def resize_trade(self, handle: int, quantity: Decimal, entry_price: Decimal) -> None:
        now = self._clock.now_ms()
        self._later(
            "sizes of positions",
            lambda c: books.resize_trade(
                c, self._id(handle), quantity=quantity, entry_price=entry_price, at_ms=now
            ),
        )

    def protect_trade(self, handle: int, stop_price: Decimal, since_ms: int) -> None:
        now = self._clock.now_ms()
        self._later(
            "stops of positions",
            lambda c: books.protect_trade(
                c, self._id(handle), stop_price=stop_price, since_ms=since_ms, at_ms=now
            ),
        )

    def move_stop(self, handle: int, stop_price: Decimal) -> None:
        now = self._clock.now_ms()

        def write(connection: Connection) -> object:
            trade = books.get_trade(connection, self._id(handle))
            since = trade.protected_since_ms
            return books.protect_trade(connection, trade.id, stop_price=stop_price, since_ms=since, at_ms=now)

        self._later("stops of positions", write)

    def leave_trade(self, handle: int, reason: str) -> None:
        now = self._clock.now_ms()
        self._later(
            "decisions to close",
            lambda c: books.leave_trade(c, self._id(handle), reason=reason, at_ms=now),
        )

    def close_trade(self, handle: int, exit_: Exit) -> None:
        self._book_exit(
            lambda c: books.close_trade(
                c,
                self._id(handle),
                exit_reason=exit_.reason,
                exit_cause=exit_.cause,
                exit_price=exit_.price,
                at_ms=exit_.at_ms,
            ),
        )

    def correct_exit(self, handle: int, exit_: Exit) -> None:
        price = exit_.price
        if price is None:
            return
        now = self._clock.now_ms()
        self._book_exit(
            lambda c: books.correct_exit(
                c,
                self._id(handle),
                exit_price=price,
                exit_cause=exit_.cause,
                realized_pnl=exit_.realized_pnl,
                fees=exit_.fees,
                closed_ms=exit_.at_ms,
                at_ms=now,
            ),
        )

    def _book_exit(self, job: Job) -> None:
        def write(connection: Connection) -> object:
            self._rates_stale = True
            return job(connection)

        self._later("exits", write)

    def add_fills(self, fills: Sequence[Fill]) -> None:
        now, mine = self._clock.now_ms(), tuple(fills)
        self._later("fills", lambda c: books.add_fills(c, self._account_id, mine, now, user_id=self._user_id))

    def equity(self, balance: Balance, at_ms: int, track: EquityTrack, transferred: Decimal) -> None:
        def write(connection: Connection) -> object:
            return equity.record_equity(
                connection,
                self._account_id,
                balance,
                at_ms,
                cause=equity.CYCLE,
                peak=track.peak,
                day_start=track.day_start,
                transferred=transferred,
                user_id=self._user_id,
            )

        self._later("equity snapshots", write)

    def flag(self, name: str, value: int, detail: str) -> None:
        risk = flags.RiskFlag(
            flag=name,
            value=value,
            exchange=self._exchange,
            account_id=self._account_id,
            user_id=self._user_id,
            detail=detail,
            updated_ms=self._clock.now_ms(),
        )
        self._later("risk flags", lambda c: flags.set_flag(c, risk))

    def audit(self, event_type: str, correlation_id: str, details: Mapping[str, object]) -> None:
        now, facts = self._clock.now_ms(), dict(details)
        self._later(
            "audit events",
            lambda c: audit.append(
                c,
                event_type,
                correlation_id,
                facts,
                now,
                account_id=self._account_id,
                user_id=self._user_id,
            ),
        )

    # --- standing ------------------------------------------------------------------------------

    async def set_operator(self, state: OperatorState, who: str, why: str) -> None:
        now = self._clock.now_ms()
        try:
            await self._writer.submit(lambda c: set_operator(c, state, who, why, now))
        except StoreUnwritable as error:
            raise MemoryUnwritable(str(error)) from error

    def note_mode(self, mode: Mode, who: str, why: str) -> None:
        now = self._clock.now_ms()
        self._later("modes", lambda c: set_mode(c, mode, who, why, now, by_person=False))

    async def renew_lease(self) -> bool:
        account, epoch, now = self._account_id, self._lease_epoch, self._clock.now_ms()
        try:
            return await self._writer.submit(lambda c: lease.renew_lease(c, account, epoch, now))
        except StoreUnwritable as error:
            raise MemoryUnwritable(str(error)) from error

    async def win_rates(self) -> Mapping[str, tuple[int, int]]:
        """Read again only once a life was closed or corrected: it is asked for in every cycle."""
        if self._rates is None or self._rates_stale:
            self._rates_stale = False
            try:
                found = await self._records()
            except StoreError as error:
                self._rates_stale = True
                raise MemoryUnwritable(str(error)) from error
            self._rates = {name: (record.wins, record.count) for name, record in found.items()}
        return self._rates

    async def _records(self) -> dict[str, books.Record]:
        """Page by page: a stop's intent waits for one of them at most."""
        found: dict[str, books.Record] = {}
        last = 0
        while page := await self._blocking(partial(self._store.read, partial(self._results, last))):
            for each in page:
                found[each.strategy] = found.get(each.strategy, books.Record()).plus(each.net)
            last = page[-1].trade_id
            if len(page) < PAGE:
                break
        return found

    def _results(self, after_id: int, connection: Connection) -> tuple[books.Result, ...]:
        return books.results(connection, self._account_id, after_id=after_id, limit=PAGE)

    # --- the outbox ----------------------------------------------------------------------------

    def trouble(self) -> str:
        return self._lost or self._trouble

    def _later(self, what: str, job: Job) -> None:
        """*what* names such writes for an operator who has to know which are missing."""
        if len(self._outbox) >= OUTBOX_MAX:
            # Stays until a restart: what is lost is missing from the books for good.
            self._lost = f"outbox: expected at most {OUTBOX_MAX} writes waiting, found more: some are lost"
            return
        self._outbox.append((what, job))
        if self._pump is None:
            self._pump = asyncio.create_task(self._drain(), name="outbox")

    async def _drain(self) -> None:
        try:
            while self._outbox:
                batch = tuple(islice(self._outbox, BATCH))
                # Not one task each: the order of the outbox is that of what happened.
                places = [self._writer.enqueue(job, patient=True) for _, job in batch]
                results = await asyncio.gather(*places, return_exceptions=True)
                done = self._note(results)
                for _ in range(done):
                    self._outbox.popleft()
                if done < len(batch):
                    await asyncio.sleep(RETRY_S)
        finally:
            self._pump = None

    def _note(self, results: Sequence[Any]) -> int:
        """How many of the batch are over, in order: durable, or refused for good.

        A write that fails by itself must not keep those behind it from their turn.
        """
        for index, result in enumerate(results):
            if isinstance(result, StoreUnwritable):
                self._trouble = str(result)
                return index
            if isinstance(result, StoreError | JournalRefused):
                self._log("books.contradiction", {"error": str(result)})
            elif isinstance(result, Exception):
                self._lost = f"a write failed by itself and is lost: {type(result).__name__}: {result}"
                self._log("books.write_lost", {"error": self._lost})
            elif isinstance(result, BaseException):
                raise result
        self._trouble = ""
        return len(results)

    async def settle(self, timeout_ms: int) -> str:
        if self._pump is not None:
            await asyncio.wait({self._pump}, timeout=timeout_ms / 1000)
        if not self._outbox:
            return self._lost
        counts = Counter(what for what, _ in self._outbox)
        missing = ", ".join(f"{what} ({count})" for what, count in sorted(counts.items()))
        return f"{missing}: {self.trouble() or 'the database does not answer'}"


def _track(point: equity.EquityPoint) -> EquityTrack:
    day = point.at_ms // DAY_MS
    return EquityTrack(equity=point.equity, peak=point.peak, day_start=point.day_start, day=day)
