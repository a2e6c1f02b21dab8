"""Positions that the reads no longer show, until an execution says that they ended (R3.3, G11).

Two reads that agree may both be empty by the same failure of the exchange. Whoever believed them would
close books and cancel the stop of a position that stands. But no position ends without an execution, be
it a hand's, a stop's or a liquidation's: so the executions decide, and until then books and stop stay.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from holdfast.decisions.facts import Tracked
from holdfast.decisions.reconcile import Doubtful, Finding
from holdfast.decisions.step import Concern
from holdfast.domain.intents import Priority
from holdfast.engine.alerts import Alerts
from holdfast.engine.events import FillsRead, Inbox
from holdfast.engine.lives import CLOCK_DOUBT_MS, first_fill_ms, life
from holdfast.engine.state import AccountState
from holdfast.exchanges.port import Exchange, ExchangeError

FIRST_PAUSE_MS = 100
PAUSE_MAX_MS = 10_000
PATIENCE = 6
"""After so many looks executions are taken that began where their times do not say so."""
TOLD_AFTER_MS = 5_000
BELIEVED_AFTER_MS = 3_600_000
"""An hour of reads without it is believed even so: its executions may be out of the exchange's reach."""


@dataclass(slots=True, eq=False)
class _Doubt:
    tracked: Tracked
    since_ms: int
    looks: int = 0


class Doubts:
    """Changed by the consumer only; asks for executions in tasks of its own."""

    def __init__(
        self,
        *,
        state: AccountState,
        exchange: Exchange,
        inbox: Inbox,
        alerts: Alerts,
        spawn: Callable[[str, Coroutine[Any, Any, None]], None],
        sleep: Callable[[float], Coroutine[Any, Any, None]],
    ) -> None:
        self._state = state
        self._exchange = exchange
        self._inbox = inbox
        self._alerts = alerts
        self._spawn = spawn
        self._sleep = sleep
        self._open: dict[int, _Doubt] = {}

    def see(self, findings: tuple[Finding, ...], now_ms: int) -> None:
        """Take note of what two reads do not show; what is shown again is doubted no more."""
        found = (f for f in findings if isinstance(f, Doubtful) and f.confirmed)
        doubtful = {each.tracked.trade_id: each.tracked for each in found}
        self._open = {handle: doubt for handle, doubt in self._open.items() if handle in doubtful}
        for handle, tracked in doubtful.items():
            if handle not in self._open:
                doubt = self._open[handle] = _Doubt(tracked, now_ms)
                self._spawn(f"doubt {tracked.key.symbol}", self._ask(doubt))
        self._tell(now_ms)
        for doubt in self._open.values():
            if now_ms - doubt.since_ms >= BELIEVED_AFTER_MS:
                self._state.hear_flat(doubt.tracked.key, now_ms)

    def _tell(self, now_ms: int) -> None:
        lasting = [doubt for doubt in self._open.values() if now_ms - doubt.since_ms >= TOLD_AFTER_MS]
        names = sorted({doubt.tracked.key.name for doubt in lasting})
        for name in names:
            text = f"{name}: the exchange no longer shows the position, but no execution ended it"
            self._alerts.raise_(Concern("POSITION_DOUBTED", "warning", name, text), now_ms)
        self._alerts.keep("POSITION_DOUBTED", names)

    async def _ask(self, doubt: _Doubt) -> None:
        pause, tracked = FIRST_PAUSE_MS, doubt.tracked
        while self._open.get(tracked.trade_id) is doubt:
            await self._sleep(pause / 1000)
            pause = min(pause * 2, PAUSE_MAX_MS)
            since = first_fill_ms(tracked) + self._exchange.clock_offset_ms()
            if doubt.looks > PATIENCE:
                since -= CLOCK_DOUBT_MS
            try:
                fact = await self._exchange.fills(tracked.key.symbol, since, priority=Priority.OBSERVE)
            except ExchangeError:
                continue
            self._inbox.put(FillsRead(tracked.trade_id, fact.value, fact.complete))

    def read(self, event: FillsRead) -> bool:
        """True when the executions were asked for here; if they end flat, that is conclusive news.

        To the last of them: what was closed before it turned over stands, on its other side.
        """
        doubt = self._open.get(event.handle)
        if doubt is None:
            return False
        doubt.looks += 1
        offset, lenient = self._exchange.clock_offset_ms(), doubt.looks >= PATIENCE
        found = life(event.fills, doubt.tracked, offset_ms=offset, lenient=lenient)
        if found is not None and found.flat_now:
            ended_ms = found.leaving[-1].at_ms - offset
            self._state.hear_flat(doubt.tracked.key, max(ended_ms, doubt.tracked.opened_ms))
        return True
