"""One account's bot put together: supervisor, trading loop, housekeeping, commands, shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from holdfast.decisions.select import Performance
from holdfast.decisions.step import Concern, Read, Want
from holdfast.domain.intents import Accepted, Unavailable
from holdfast.domain.protocols import Clock, Ids
from holdfast.domain.symbol import Symbol
from holdfast.engine.account import Account, LogLine
from holdfast.engine.liquidation import LiquidationState
from holdfast.engine.liquidator import (
    ALREADY_RUNNING,
    LiquidationManager,
    LiquidationResult,
    continued,
)
from holdfast.engine.memory import LIQUIDATING, Memory, MemoryUnwritable
from holdfast.engine.orders import AccountOrders
from holdfast.engine.publish import publish
from holdfast.engine.settings import BotSettings
from holdfast.engine.state import AccountState
from holdfast.engine.supervisor import Supervisor
from holdfast.engine.trading import TradingLoop
from holdfast.engine.view import View
from holdfast.exchanges.port import Exchange
from holdfast.store.lease import RENEW_MS
from holdfast.strategies.base import Strategy

SETTLE_MS = 5_000
PROOF_MS = 10_000
"""Receive window, doubt about the clock, visibility, and a look: by then an entry's fate is proven."""
LEVERAGE_RETRY_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BotParts:
    """What a bot is made of. *leave_files* writes what `engine.snapshot` makes of the view, and says which
    of the bot's files cannot be written and why, "" = all can;
    *kill_ordered* says why the kill file orders a kill, or None; it is asked on every step."""

    settings: BotSettings
    exchange: Exchange
    memory: Memory
    clock: Clock
    ids: Ids
    strategies: Sequence[Strategy]
    log: LogLine
    leave_files: Callable[[View, LiquidationResult | None], Awaitable[str]]
    kill_ordered: Callable[[], str | None]


class Bot:
    """Runs one account until told to stop."""

    def __init__(self, parts: BotParts) -> None:
        self._parts = parts
        settings, exchange = parts.settings, parts.exchange
        state = AccountState(
            settings=settings,
            two_stops_may_stand=exchange.capabilities.two_stops_may_stand,
            whole_stops=exchange.capabilities.stop_closes_position,
        )
        self.account = Account(
            settings=settings,
            exchange=exchange,
            memory=parts.memory,
            clock=parts.clock,
            ids=parts.ids,
            state=state,
            log=parts.log,
            kill_ordered=parts.kill_ordered,
        )
        self.supervisor = Supervisor(self.account, publish)
        self._orders = AccountOrders(self.supervisor)
        self.liquidator = LiquidationManager(
            settings.liquidation,
            self._orders,
            ids=parts.ids,
            clock=parts.clock,
            audit=parts.memory.audit,
            on_state=self._liquidation_state,
        )
        self._ended = asyncio.Event()
        self._flattening = asyncio.Lock()
        self._leverage_asked: dict[Symbol, int] = {}
        self.result: LiquidationResult | None = None
        self.lease_lost = False
        """Another instance trades the account now."""
        self.not_durable = ""
        """After the end: what the store did not take, in words."""

    @property
    def view(self) -> View:
        return self.supervisor.view

    # --- life ----------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> LiquidationResult | None:
        """Trade until *stop* is set, then shut down; the liquidation's result, None when none was wanted.

        It sets *stop* itself when another instance has taken the account over, and closes nothing then.
        Raises `ExchangeError` when the exchange cannot be reached at start.
        """
        await self._parts.exchange.open()
        symbols = self._parts.settings.symbols
        known = {s: self._parts.exchange.instrument(s) for s in symbols}
        self.account.state.instruments = {s: i for s, i in known.items() if i is not None}
        for symbol in (s for s, i in known.items() if i is None):
            text = f"{symbol} is not listed at {self._parts.settings.exchange}: it is left out"
            self.account.concern(Concern("SYMBOL_UNKNOWN", "warning", str(symbol), text))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.supervisor.run(self._ended), name="supervisor")
                trading = group.create_task(self._trade(), name="trading")
                leverage = group.create_task(self._keep_leverage(), name="leverage")
                house = group.create_task(self._keep_house(), name="house")
                lease = group.create_task(self._keep_lease(stop), name="lease")
                await stop.wait()
                trading.cancel()
                leverage.cancel()
                await self._shut_down()
                house.cancel()
                lease.cancel()
                self._ended.set()
            await self._settle()
            await self._leave_files()
        finally:
            await self._parts.exchange.close()
        return self.result

    async def _trade(self) -> None:
        """The trading loop; an error of a strategy ends at the boundary, and the loop begins anew."""
        settings = self._parts.settings
        loop = TradingLoop(
            exchange=self._parts.exchange,
            clock=self._parts.clock,
            inbox=self.supervisor.inbox,
            trading=settings.trading,
            symbols=tuple(s for s in settings.symbols if s in self.account.state.instruments),
            strategies=self._parts.strategies,
            held=lambda: {key.symbol: t for key, t in self.account.state.tracked.items() if t.strategy},
            beside=lambda: {key.symbol for key in self.account.state.believed_positions()},
            wanted=lambda: self.account.synced,
        )
        while True:
            with self.supervisor.boundary("trading"):
                await loop.run()
            await asyncio.sleep(settings.trading.check_interval_ms / 1000)

    async def _keep_house(self) -> None:
        """Each supervision cycle: performance figures, the files."""
        while True:
            with self.supervisor.boundary("house"):
                await self._learn_performance()
                await self._leave_files()
            await asyncio.sleep(self._parts.settings.monitor_interval_ms / 1000)

    async def _learn_performance(self) -> None:
        """A database that does not answer leaves the last figures; that is no error of ours (G26)."""
        with suppress(MemoryUnwritable):
            rates = await self._parts.memory.win_rates()
            self.supervisor.entries.performance = {
                name: Performance(trades=count, wins=wins) for name, (wins, count) in rates.items()
            }

    async def _keep_leverage(self) -> None:
        """Beside the house's other work: an answer that does not come must not hold that up."""
        while True:
            with self.supervisor.boundary("leverage"):
                await asyncio.gather(*(self._set_leverage(symbol) for symbol in self._misaligned()))
            await asyncio.sleep(self._parts.settings.monitor_interval_ms / 1000)

    def _misaligned(self) -> list[Symbol]:
        """Where leverage is not as configured, no position stands and nobody asked lately; entries are
        gated by what is set."""
        state, now = self.account.state, self._parts.clock.now_ms()
        if state.config is None or not self.account.synced:
            return []
        wanted = self._parts.settings.trading.leverage
        wrong = [symbol for symbol in state.instruments if state.leverage_of(symbol) != wanted]
        self.account.alerts.keep("LEVERAGE_NOT_SET", map(str, wrong))
        held = {key.symbol for key in state.believed_positions()}
        return [
            s for s in wrong if s not in held and now - self._leverage_asked.get(s, 0) >= LEVERAGE_RETRY_MS
        ]

    async def _set_leverage(self, symbol: Symbol) -> None:
        parts, wanted = self._parts, self._parts.settings.trading.leverage
        self._leverage_asked[symbol] = parts.clock.now_ms()
        outcome = await parts.exchange.set_leverage(symbol, wanted)
        now = parts.clock.now_ms()
        if isinstance(outcome, Unavailable) and outcome.short:
            # Too many at once for our own budget: nothing was asked, its turn comes with the next look.
            del self._leverage_asked[symbol]
            return
        if isinstance(outcome, Accepted):
            self.account.state.hear_leverage(symbol, wanted, now)
        else:
            text = f"{symbol}: leverage {wanted} could not be set, no entries on it: {outcome}"
            self.account.concern(Concern("LEVERAGE_NOT_SET", "warning", str(symbol), text))
            # It may have been set all the same.
            self.supervisor.ask(Want(Read.CONFIG, None, now))
        details = {"symbol": str(symbol), "leverage": wanted, "outcome": type(outcome).__name__}
        parts.memory.audit("LEVERAGE_SET", "", details)

    async def _keep_lease(self, stop: asyncio.Event) -> None:
        """Whoever has taken it trades now; two that look after one account would work against each other."""
        while not self.lease_lost:
            await asyncio.sleep(RENEW_MS / 1000)
            with self.supervisor.boundary("lease"), suppress(MemoryUnwritable):
                self.lease_lost = not await self._parts.memory.renew_lease()
        text = (
            "another instance has taken the account over: this one ends, and leaves positions and stops to it"
        )
        self.account.concern(Concern("LEASE_LOST", "critical", "", text))
        stop.set()

    async def _leave_files(self) -> None:
        """Files that cannot be written are told of, and no reason to trade differently (R4.5)."""
        trouble = await self._parts.leave_files(self.view, self.result)
        if trouble:
            self.account.concern(Concern("FILES_UNWRITABLE", "warning", "", trouble))
        else:
            self.account.relieved("FILES_UNWRITABLE")

    # --- shutdown ------------------------------------------------------------------------------

    async def _shut_down(self) -> None:
        """No new entries, then flat if that is wanted, then everything durable (R4.3)."""
        self.account.shutting_down = True
        liquidate = self._parts.settings.liquidate_on_sigterm and not self.lease_lost
        self._parts.memory.audit("SHUTDOWN", "", {"liquidate": liquidate, "lease_lost": self.lease_lost})
        if liquidate:
            # Told to stop while starting: what the last run left has to be known before it is closed, and
            # its unfinished liquidation is not the one that begins now.
            await _a_moment(self.supervisor.recalled.wait(), SETTLE_MS)
            # One that an operator ordered just before has its turn; each is bounded.
            async with self._flattening:
                self.result = await self._flatten("shutdown", ())
        # The true exits of what was just closed; the next start reads the rest.
        await _a_moment(self.supervisor.books.idle.wait(), SETTLE_MS)
        # An order that was given just now is taken, and then written.
        await _a_moment(self.supervisor.caught_up(), SETTLE_MS)
        await _a_moment(self.supervisor.desk.written.wait(), SETTLE_MS)

    async def _settle(self) -> None:
        """Nothing is added any more: what is not durable in time is told, for the next start lacks it."""
        unsettled = await self._parts.memory.settle(SETTLE_MS)
        self.not_durable = "; ".join(filter(None, (self.supervisor.desk.unwritten, unsettled)))
        if self.not_durable:
            self.account.concern(Concern("NOT_DURABLE", "critical", "", f"not written: {self.not_durable}"))
        self.supervisor.publish()

    async def liquidate(self, reason: str, symbols: Sequence[str] = ()) -> LiquidationResult:
        """Flatten; the books say *reason* of the exits. Beside a running one it fails and changes nothing."""
        if self._flattening.locked():
            return LiquidationResult(state=LiquidationState.FAILED, errors=(ALREADY_RUNNING,))
        async with self._flattening:
            return await self._flatten(reason, symbols)

    async def _flatten(self, reason: str, symbols: Sequence[str]) -> LiquidationResult:
        """A flag in the store stands while it is under way, so that a crash is noticed (R4.8).

        The timeout may be shorter than the proof of what became of an entry. Ending then would leave to
        nobody what it may open yet: so a bounded time is waited for the proof, and what came is closed too.
        """
        self._orders.reason = reason
        self._parts.memory.flag(LIQUIDATING, 1, "began")
        result = await self.liquidator.execute_liquidation(symbols)
        if result.state is not LiquidationState.SKIPPED and self._orders.pending_entries(symbols):
            await _a_moment(self._orders.proven(symbols), PROOF_MS)
            result = continued(result, await self.liquidator.execute_liquidation(symbols))
        self._note_liquidation(result)
        return result

    def _note_liquidation(self, result: LiquidationResult) -> None:
        if result.state in (LiquidationState.COMPLETED, LiquidationState.SKIPPED):
            self._parts.memory.flag(LIQUIDATING, 0, result.state.value)
            self.account.relieved("LIQUIDATION_FAILED")
        else:
            text = (
                f"liquidation {result.state}: still open: {', '.join(result.positions_failed) or 'unknown'}"
            )
            self.account.concern(Concern("LIQUIDATION_FAILED", "critical", "", text))
            self.supervisor.unfinished.left_open()
        # What is shown of the balance is of before: it is read again at once, if the exchange lets us.
        self.supervisor.ask(Want(Read.BALANCE, None, self._parts.clock.now_ms()))
        self.account.liquidation_state = result.state.value
        self.account.say("liquidation", "", f"{result.state}: {len(result.positions_closed)} closed")

    def _liquidation_state(self, state: LiquidationState) -> None:
        if state is not LiquidationState.IDLE:
            self.account.liquidation_state = state.value


async def _a_moment(work: Awaitable[object], timeout_ms: int) -> None:
    """Shutting down waits for what should be over soon, and goes on without it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_ms / 1000):
            await work
