"""Flattens everything of ours in bounded time and says honestly what came of it (R4.2–R4.6, G15–G18).

Entries and take-profits are cancelled first, positions are closed at once and in parallel, and a
position's protective stop goes only after the position is confirmed flat: a close that fails leaves
it protected. Success is what a read of the positions confirms, never what a request was answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

from holdfast.domain.protocols import Clock, Ids
from holdfast.engine.boundary import Failure, contained, contained_call
from holdfast.engine.liquidation import LiquidationConfig, LiquidationState

CANCEL_GRACE_S = 0.1
"""How long work that was cut off may take to end; then it is left behind."""
LAST_LOOKS = 3
LOOK_SHARE = 4
"""A read of the positions may take this part of the timeout: one that hangs must leave time to close."""
ALREADY_RUNNING = "already_running"
Audit = Callable[[str, str, Mapping[str, object]], None]
PositionRow = Mapping[str, object]
"""`symbol`, `positionAmt` (signed base), `entryPrice`, `unrealizedProfit`, numbers as text or Decimal."""


class OrderManager(Protocol):
    """What a liquidation works with (R4.4). Any call may raise; that is one failed try, nothing more.

    It may offer more, each used if it is there: `symbols_of_ours() -> Sequence[str]` (where something of
    ours may stand), `last_known(symbols) -> Sequence[PositionRow]` (what is closed while the read fails),
    `pending_entries(symbols) -> Sequence[str]` (where an entry has no answer yet),
    `cancel_protective_orders(symbol) -> int` (awaited; only for what is flat),
    `protective_orders(symbol) -> int` (how many stand).
    """

    async def get_all_positions(self, symbols: Sequence[str]) -> Sequence[PositionRow]:
        """Open positions of those symbols (empty: of all), as fresh as the exchange gives them."""
        ...

    async def cancel_all_orders(self, symbol: str) -> int:
        """Cancel entries and take-profits, not protective stops; how many were cancelled."""
        ...

    async def execute_market_close(self, symbol: str, side: str, quantity: Decimal) -> object:
        """Close at market, reduce-only; *side* `SELL` or `BUY`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationResult:
    """The honest account of one run. Symbols, not counts, so that a person knows where to look."""

    state: LiquidationState
    positions_closed: tuple[str, ...] = ()
    positions_failed: tuple[str, ...] = ()
    orders_cancelled: int = 0
    orders_left_protective: int = 0
    duration_seconds: float = 0.0
    correlation_id: str = ""
    errors: tuple[str, ...] = ()


def continued(first: LiquidationResult, then: LiquidationResult) -> LiquidationResult:
    """Two runs as one account: what the second found is how things stand."""
    closed = {*first.positions_closed, *then.positions_closed} - set(then.positions_failed)
    some = then.state is LiquidationState.FAILED and bool(closed)
    return replace(
        then,
        state=LiquidationState.PARTIAL if some else then.state,
        positions_closed=tuple(sorted(closed)),
        orders_cancelled=first.orders_cancelled + then.orders_cancelled,
    )


@dataclass(frozen=True, slots=True, order=True)
class _Open:
    """A position that a read showed."""

    symbol: str
    side: str
    """Of the order that closes it."""
    quantity: Decimal


@dataclass(slots=True)
class _Run:
    """What is known so far; a timeout reports exactly this."""

    correlation_id: str
    began: float
    symbols: tuple[str, ...]
    only_named: bool
    """The caller named the symbols; else they are merely where orders of ours are looked for."""
    wanted: set[str] = field(default_factory=set)
    open: tuple[_Open, ...] = ()
    pending: set[str] = field(default_factory=set)
    """Symbols where an entry was sent that nobody knows the end of."""
    uncancelled: set[str] = field(default_factory=set)
    tidied: set[str] = field(default_factory=set)
    sure: bool = False
    """A read of the positions succeeded after everything that was done."""
    cancelled: int = 0
    left_protective: int = 0
    why_open: dict[tuple[str, str], str] = field(default_factory=dict)
    """What came of the last closing order by symbol and side: the reason, where it stays open."""
    errors: list[str] = field(default_factory=list)

    def still_open(self) -> set[str]:
        return {each.symbol for each in self.open}


class LiquidationManager:
    """Executes liquidations, one at a time. Never raises, never takes longer than its timeout."""

    def __init__(
        self,
        config: LiquidationConfig,
        orders: OrderManager,
        *,
        ids: Ids,
        clock: Clock,
        audit: Audit,
        on_state: Callable[[LiquidationState], None] = lambda state: None,
    ) -> None:
        self._config = config
        self._orders = orders
        self._ids = ids
        self._clock = clock
        self._audit = audit
        self._on_state = on_state
        self._running = False
        self._metrics: dict[str, object] = {
            "execution_count": 0,
            "last_execution_time": None,
            "last_state": LiquidationState.IDLE.value,
            "last_positions_closed": 0,
            "last_orders_cancelled": 0,
            "last_duration_seconds": 0.0,
        }

    def get_metrics(self) -> dict[str, object]:
        """execution_count, last_execution_time (UTC ms), last_state, last_* figures (R4.6)."""
        return dict(self._metrics)

    async def execute_liquidation(self, symbols: Sequence[str] = ()) -> LiquidationResult:
        """Flatten *symbols* (empty: everything of ours). A call beside a running one fails at once."""
        if self._running:
            return LiquidationResult(state=LiquidationState.FAILED, errors=(ALREADY_RUNNING,))
        if not self._config.emergency_liquidation:
            return self._finish(LiquidationResult(state=LiquidationState.SKIPPED))
        self._running = True
        try:
            return self._finish(await self._execute(symbols))
        finally:
            self._running = False
            self._note_state(LiquidationState.IDLE)

    async def _execute(self, symbols: Sequence[str]) -> LiquidationResult:
        loop = asyncio.get_running_loop()
        run = _Run(self._ids.correlation_id("liq"), loop.time(), tuple(symbols), bool(symbols))
        self._note_state(LiquidationState.IN_PROGRESS)
        started = {"state": LiquidationState.IN_PROGRESS.value, "symbols": list(symbols)}
        self._note("LIQUIDATION_START", run, started)
        await self._in_time(run)
        run.left_protective = self._left_protective(run)
        result = self._judge(run, loop.time() - run.began)
        self._conclude(result, run)
        return result

    async def _in_time(self, run: _Run) -> None:
        """The work, cut at the timeout, also when the order manager does not want to be cancelled."""
        work = asyncio.create_task(self._flatten(run), name="liquidation")
        try:
            done, _ = await asyncio.wait({work}, timeout=self._config.timeout_seconds)
            if not done:
                run.errors.append(f"timeout after {self._config.timeout_seconds} s")
                work.cancel()
                await asyncio.wait({work}, timeout=CANCEL_GRACE_S)
        finally:
            work.cancel()
        if work.done() and not work.cancelled() and (error := work.exception()) is not None:
            run.errors.append(f"{type(error).__name__}: {error}")

    # --- the work ------------------------------------------------------------------------------

    async def _flatten(self, run: _Run) -> None:
        """Rounds of read, cancel and close until a read shows nothing open, or the tries are used up."""
        run.symbols = run.symbols or await self._symbols_of_ours(run)
        run.uncancelled = set(run.symbols) if self._config.cancel_orders else set()
        for attempt in range(self._config.max_retries + 1):
            await asyncio.sleep(self._pause(attempt))
            if await self._look(run) or self._blind(run):
                await self._round(run)
            if self._over(run):
                break
        await self._tidy(run)
        await self._look_again(run)

    def _blind(self, run: _Run) -> bool:
        """The read fails: closing what is believed to be open can only reduce, and waiting helps nobody."""
        known = getattr(self._orders, "last_known", None)
        if known is None:
            return False
        rows = contained_call(lambda: _open_rows(known(run.symbols if run.only_named else ())))
        if isinstance(rows, Failure):
            run.errors.append(f"last known positions: {rows.text}")
            return False
        # What a read has shown open stays open until another one shows it flat.
        run.open = tuple({(each.symbol, each.side): each for each in (*run.open, *rows)}.values())
        return bool(run.open)

    async def _round(self, run: _Run) -> None:
        """One try. The last look comes after everything: what was being cancelled may have filled."""
        run.sure = False
        if self._config.cancel_orders:
            run.uncancelled |= run.still_open() - run.wanted
            await self._together([self._cancel(run, symbol) for symbol in sorted(run.uncancelled)])
        run.wanted |= run.still_open()
        if self._config.close_positions:
            await self._together([self._close(run, each) for each in sorted(run.open)])
        await self._look(run)

    def _over(self, run: _Run) -> bool:
        open_ = run.open if self._config.close_positions else ()
        return run.sure and not open_ and not run.uncancelled and not run.pending

    async def _look_again(self, run: _Run) -> None:
        """The tries are used up; what was closed last may still be on its way into the reads."""
        for _ in range(LAST_LOOKS):
            if self._over(run):
                break
            await asyncio.sleep(self._config.retry_delay_seconds)
            await self._look(run)
            await self._tidy(run)

    def _pause(self, attempt: int) -> float:
        """0, d, 2d, 4d … seconds before the tries (R4.4)."""
        return 0.0 if attempt == 0 else self._config.retry_delay_seconds * 2 ** (attempt - 1)

    def _offered(self, name: str) -> Callable[..., Any] | None:
        """What the order manager can do beyond the least."""
        found = contained_call(lambda: getattr(self._orders, name, None))
        return found if callable(found) else None

    async def _symbols_of_ours(self, run: _Run) -> tuple[str, ...]:
        """Everything of ours may be more than what has a position."""
        ours = self._offered("symbols_of_ours")
        names = contained_call(lambda: tuple(ours())) if ours is not None else ()
        if isinstance(names, Failure):
            run.errors.append(f"symbols: {names.text}")
            return ()
        return names

    async def _look(self, run: _Run) -> bool:
        """Read what is open; False when that failed (which confirms nothing)."""

        async def read() -> tuple[_Open, ...]:
            async with asyncio.timeout(self._config.timeout_seconds / LOOK_SHARE):
                return _open_rows(await self._orders.get_all_positions(run.symbols if run.only_named else ()))

        # What is asked first cannot hide behind the read: an entry that fills meanwhile is in either.
        pending = self._pending_entries(run)
        found = await contained(read)
        run.sure = not isinstance(found, Failure)
        if isinstance(found, Failure):
            run.errors.append(f"positions: {found.text}")
            return False
        run.open, run.pending = found, pending
        return True

    def _pending_entries(self, run: _Run) -> set[str]:
        ask = self._offered("pending_entries")
        found = contained_call(lambda: set(ask(run.symbols))) if ask is not None else set[str]()
        if isinstance(found, Failure):
            run.errors.append(f"pending entries: {found.text}")
            return set()
        return found

    async def _cancel(self, run: _Run, symbol: str) -> None:
        async def cancel() -> int:
            return int(await self._orders.cancel_all_orders(symbol))

        count = await contained(cancel)
        if isinstance(count, Failure):
            run.errors.append(f"{symbol}: cancel: {count.text}")
            return
        run.uncancelled.discard(symbol)
        run.cancelled += count
        if count:
            self._note("ORDER_CANCELLED", run, {"symbol": symbol, "count": count})

    async def _close(self, run: _Run, each: _Open) -> None:
        facts: dict[str, object] = {"symbol": each.symbol, "side": each.side, "quantity": each.quantity}
        orders, which = self._orders, (each.symbol, each.side)
        run.why_open[which] = "no answer in time"
        answer = await contained(lambda: orders.execute_market_close(each.symbol, each.side, each.quantity))
        if isinstance(answer, Failure):
            run.why_open[which] = answer.text
            self._note("ORDER_REJECTED", run, {**facts, "error": answer.text})
        else:
            run.why_open[which] = "taken by the exchange, and the position is still there"
            self._note("ORDER_PLACED", run, facts)

    async def _tidy(self, run: _Run) -> None:
        """The stops of what is flat go last; those of what is not stay."""
        cancel = self._offered("cancel_protective_orders")
        if cancel is None or not run.sure:
            return
        flat = sorted(run.wanted - run.still_open() - run.pending - run.tidied)
        run.tidied |= set(flat)
        answers = await asyncio.gather(*(contained(partial(cancel, symbol)) for symbol in flat))
        for symbol, answer in zip(flat, answers, strict=True):
            if isinstance(answer, Failure):
                run.errors.append(f"{symbol}: stop not cancelled: {answer.text}")

    def _left_protective(self, run: _Run) -> int:
        count = self._offered("protective_orders")
        if count is None:
            return 0
        left = contained_call(lambda: sum(int(count(symbol)) for symbol in sorted(run.still_open())))
        if isinstance(left, Failure):
            run.errors.append(f"protective orders: {left.text}")
            return 0
        return left

    @staticmethod
    async def _together(work: Sequence[Awaitable[object]]) -> None:
        await asyncio.gather(*work)

    # --- the result ----------------------------------------------------------------------------

    def _judge(self, run: _Run, seconds: float) -> LiquidationResult:
        """By what is confirmed: all done = COMPLETED, some = PARTIAL, else FAILED (R4.2)."""
        failed = run.still_open() if self._config.close_positions else set[str]()
        closed = run.wanted - run.still_open() if self._config.close_positions else set[str]()
        run.errors += [f"{symbol}: an entry has no answer yet" for symbol in sorted(run.pending)]
        tried = [each for each in sorted(run.open) if (each.symbol, each.side) in run.why_open]
        run.errors += [f"{each.symbol}: close: {run.why_open[each.symbol, each.side]}" for each in tried]
        failed |= run.pending
        closed -= failed
        some = bool(closed) or (not run.wanted and run.cancelled > 0)
        if run.sure and not failed and not run.uncancelled:
            state = LiquidationState.COMPLETED
        else:
            state = LiquidationState.PARTIAL if some else LiquidationState.FAILED
        return LiquidationResult(
            state=state,
            positions_closed=tuple(sorted(closed)),
            positions_failed=tuple(sorted(failed)),
            orders_cancelled=run.cancelled,
            orders_left_protective=run.left_protective,
            duration_seconds=seconds,
            correlation_id=run.correlation_id,
            errors=tuple(run.errors),
        )

    def _conclude(self, result: LiquidationResult, run: _Run) -> None:
        done = result.state is LiquidationState.COMPLETED
        event = "LIQUIDATION_COMPLETE" if done else "LIQUIDATION_FAILED"
        details = {
            "state": result.state.value,
            "symbols": sorted(run.wanted),
            "positions_closed": len(result.positions_closed),
            "positions_failed": len(result.positions_failed),
            "failed": list(result.positions_failed),
            "orders_cancelled": result.orders_cancelled,
            "orders_left_protective": result.orders_left_protective,
            "duration_seconds": round(result.duration_seconds, 3),
            "errors": list(result.errors)[:20],
        }
        self._note(event, run, details)

    def _note(self, event: str, run: _Run, details: Mapping[str, object]) -> None:
        """An audit that cannot be written never stops a liquidation (R4.5)."""
        failure = contained_call(lambda: self._audit(event, run.correlation_id, details))
        if isinstance(failure, Failure):
            run.errors.append(f"audit: {failure.text}")

    def _note_state(self, state: LiquidationState) -> None:
        contained_call(lambda: self._on_state(state))

    def _finish(self, result: LiquidationResult) -> LiquidationResult:
        count = self._metrics["execution_count"]
        self._metrics = {
            "execution_count": (count if isinstance(count, int) else 0) + 1,
            "last_execution_time": self._clock.now_ms(),
            "last_state": result.state.value,
            "last_positions_closed": len(result.positions_closed),
            "last_orders_cancelled": result.orders_cancelled,
            "last_duration_seconds": result.duration_seconds,
        }
        return result


def _open_rows(rows: Sequence[PositionRow]) -> tuple[_Open, ...]:
    return tuple(each for each in map(_parsed, rows) if each.quantity)


def _parsed(row: PositionRow) -> _Open:
    """Binary floats of foreign order managers are read by their shortest text. Raises on a bad row."""
    quantity = Decimal(str(row["positionAmt"]))
    if not quantity.is_finite():
        raise ValueError(f"expected an amount as positionAmt, found {row['positionAmt']!r}")
    return _Open(str(row["symbol"]), "SELL" if quantity > 0 else "BUY", abs(quantity))
