"""Asks the exchange what the step wants to know: one question of a kind at a time, failures paced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec.structs import replace

from holdfast.decisions.step import Read, Want
from holdfast.domain.account import Fact
from holdfast.domain.intents import Outcome, Priority, Unavailable
from holdfast.domain.protocols import Clock
from holdfast.domain.symbol import Symbol
from holdfast.engine.events import Inbox, ReadDone
from holdfast.exchanges.port import Exchange, ExchangeError

PAUSE_MS = 500
PAUSE_MAX_MS = 10_000
PATIENT = frozenset({Read.TRANSFERS})
"""Dear questions that nothing is decided on at once: while they fail they are asked once a minute."""
PATIENT_MAX_MS = 60_000
HELD_MS = 5_000
"""After our own budget held a question back: it costs nothing to try again, perhaps as a more urgent one."""
LATE_MS = 30_000
GUARDING = frozenset({Read.POSITIONS, Read.STOPS, Read.ORDERS})
"""What protection is decided on: so long overdue, it may use what is kept for protecting."""
OTHER_OF_LIST = {Read.STOPS: Read.ORDERS, Read.ORDERS: Read.STOPS}
RULES_AGE_MS = 1_000
"""Trading rules this young are not read again: a burst of refusals asks once."""

Key = tuple[Read, Symbol | None]


class Reader:
    """Runs reads as tasks of the supervisor's group; results reach the inbox as `ReadDone`."""

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        inbox: Inbox,
        symbols: Sequence[Symbol],
        *,
        transfers_from_ms: Callable[[], int],
    ) -> None:
        """*transfers_from_ms* says, by our clock, since when deposits and withdrawals are asked for."""
        self._exchange = exchange
        self._clock = clock
        self._inbox = inbox
        self._symbols = tuple(symbols)
        self._transfers_from_ms = transfers_from_ms
        self._running: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._not_before: dict[Key, int] = {}

    def due(self, wants: Sequence[Want], now_ms: int) -> tuple[list[Want], int | None]:
        """The wants to start now, and when to look again for the others (None: nothing waits)."""
        start: dict[Key, Want] = {}
        later: list[int] = []
        for want in wants:
            key = (want.read, want.symbol)
            if want.at_ms > now_ms:
                # Also while it may not be asked: a step may have to decide then (a deadline).
                later.append(want.at_ms)
            elif key not in self._running and key not in start:
                if self._not_before.get(key, 0) <= now_ms:
                    start[key] = want
                else:
                    later.append(self._not_before[key])
        return list(start.values()), min(later, default=None)

    def free(self, want: Want) -> bool:
        """No question of this kind is under way."""
        return (want.read, want.symbol) not in self._running

    def begin(self, want: Want) -> None:
        """Mark the question as asked; `ask` must follow."""
        self._running.update((each.read, each.symbol) for each in self._asked_with(want))

    async def ask(self, want: Want) -> None:
        """Report the answer or the failure. However it ends, the question may be asked again."""
        await asyncio.gather(*(self._ask_one(each) for each in self._asked_with(want)))

    def _asked_with(self, want: Want) -> tuple[Want, ...]:
        """Where one list tells of orders and stops, both are always asked for: that is one question."""
        if want.read not in OTHER_OF_LIST or not self._exchange.capabilities.one_list:
            return (want,)
        return (want, replace(want, read=OTHER_OF_LIST[want.read]))

    async def _ask_one(self, want: Want) -> None:
        key = (want.read, want.symbol)
        try:
            fact = await self._read(want)
        except ExchangeError as error:
            self._pace_by(key, error.outcome)
            self._inbox.put(ReadDone(want, None, error.outcome), urgent=want.urgent)
        else:
            if fact.complete:
                self._failures.pop(key, None)
            else:
                # It leaves the last whole answer as old as it is, so the question stays due.
                self._pace(key, 0)
            self._inbox.put(ReadDone(want, fact), urgent=want.urgent)
        finally:
            self._running.discard(key)

    def _pace_by(self, key: Key, outcome: Outcome) -> None:
        if isinstance(outcome, Unavailable) and outcome.short:
            self._not_before[key] = self._clock.now_ms() + HELD_MS
        else:
            self._pace(key, outcome.retry_after_ms if isinstance(outcome, Unavailable) else 0)

    def _pace(self, key: Key, asked_for_ms: int) -> None:
        """Each time longer, and not shorter than the exchange asked for."""
        self._failures[key] = self._failures.get(key, 0) + 1
        longest = PATIENT_MAX_MS if key[0] in PATIENT else PAUSE_MAX_MS
        pause = min(PAUSE_MS << min(self._failures[key] - 1, 10), longest)
        self._not_before[key] = self._clock.now_ms() + max(pause, asked_for_ms)

    async def _read(self, want: Want) -> Fact[Any]:
        late = want.read in GUARDING and self._clock.now_ms() - want.at_ms >= LATE_MS
        priority = Priority.PROTECT if want.urgent or late else Priority.OBSERVE
        ask, symbol, symbols = self._exchange, want.symbol, self._symbols
        readers: dict[Read, Callable[[], Awaitable[Fact[Any]]]] = {
            Read.POSITIONS: lambda: ask.positions(priority=priority),
            Read.BALANCE: lambda: ask.balance(priority=priority),
            Read.TRANSFERS: lambda: ask.transfers(
                self._transfers_from_ms() + ask.clock_offset_ms(), priority=priority
            ),
            Read.STOPS: lambda: ask.open_stops(symbol, priority=priority),
            Read.ORDERS: lambda: ask.open_orders(symbol, priority=priority),
            Read.CONFIG: lambda: ask.account_config(priority=priority),
            Read.MARKS: lambda: self._stamped(lambda: ask.marks(symbols, priority=priority)),
            Read.RULES: lambda: self._stamped(lambda: ask.load_instruments(age_max_ms=RULES_AGE_MS)),
            Read.CLOCK: lambda: self._stamped(ask.measure_clock),
        }
        return await readers[want.read]()

    async def _stamped(self, ask: Callable[[], Awaitable[Any]]) -> Fact[Any]:
        asked = self._clock.now_ms()
        value = await ask()
        return Fact(value, asked, self._clock.now_ms())
