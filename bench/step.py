"""Processor time of the decision alone: facts gathered, books compared, step decided; nothing sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal

from bench.byhand import signed
from bench.parts import loaded, scratch
from bench.report import Row, median
from bench.simulator import SYMBOLS, Simulator
from holdfast.decisions.facts import Tracked
from holdfast.decisions.reconcile import reconcile
from holdfast.decisions.step import step
from holdfast.domain.account import Fact, MarginMode, Mark, Position
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import (
    Direction,
    PositionSide,
    Side,
    Stop,
    StopKind,
    StopStatus,
    TriggerSource,
)
from holdfast.domain.symbol import Symbol
from holdfast.engine.settings import BotSettings
from holdfast.engine.state import AccountState

COUNTS = (1, 5, 20)
TIMES, TIMES_QUICK = 400, 100
NOW = 1_748_000_000_000
PRICE, QUANTITY = Decimal(100), Decimal(2)
NOWHERE = Simulator("http://127.0.0.1:1", "", 0)
Tell = Callable[[str], None]


def run(quick: bool, tell: Tell) -> list[Row]:
    times = TIMES_QUICK if quick else TIMES
    tell(f"step: {times} decisions with {', '.join(map(str, COUNTS))} positions")
    with scratch() as folder:
        settings = loaded(folder, NOWHERE).settings
    sign = _cost(lambda: signed({"symbol": "BTCUSDT", "side": "BUY", "quantity": "1"}), times * 10)
    costs = {count: _cost(_decision(settings, count), times) for count in COUNTS}
    return [
        _row(f"decision with {count} positions", costs[count], sign, "signing one request by hand", times)
        for count in COUNTS
    ] + [
        _row("decision with 20 positions", costs[20], costs[1], "decision with 1 position", times),
    ]


def _row(what: str, ours: float, reference: float, against: str, times: int) -> Row:
    return Row(
        bench="step",
        what=what,
        unit="ms CPU",
        ours=ours,
        reference=reference,
        against=against,
        samples=times,
    )


def _cost(work: Callable[[], object], times: int) -> float:
    """Median of ten batches, in milliseconds of processor time per call."""
    work()
    batches: list[float] = []
    for _ in range(10):
        began = time.process_time()
        for _ in range(times // 10):
            work()
        batches.append((time.process_time() - began) * 1000 / (times // 10))
    return median(batches)


def _decision(settings: BotSettings, count: int) -> Callable[[], object]:
    state = _account(settings, tuple(Symbol.parse(text) for text in SYMBOLS[:count]))

    def decide() -> object:
        facts = state.facts(NOW, entries_wanted=True)
        return step(facts, reconcile(facts))

    return decide


def _account(settings: BotSettings, symbols: tuple[Symbol, ...]) -> AccountState:
    """At rest: each position in the books and covered by one stop that a read has shown."""
    state = AccountState(settings=settings, two_stops_may_stand=True, whole_stops=True)
    state.read_positions(Fact(tuple(_position(symbol) for symbol in symbols), NOW - 60, NOW - 10))
    for number, symbol in enumerate(symbols, start=1):
        state.read_stops(symbol, Fact((_stop(symbol, number),), NOW - 60, NOW - 10))
        state.marks[symbol] = Mark(price=PRICE, exchange_ms=NOW - 20, heard_ms=NOW - 20, source="ws")
        tracked = _tracked(symbol, number)
        state.tracked[tracked.key] = tracked
    return state


def _position(symbol: Symbol) -> Position:
    return Position(
        symbol=symbol,
        side=PositionSide.BOTH,
        quantity=QUANTITY,
        entry_price=PRICE,
        mark_price=PRICE,
        unrealized_pnl=ZERO,
        liquidation_price=Decimal(20),
        leverage=5,
        margin_mode=MarginMode.CROSS,
        updated_ms=NOW - 100_000,
    )


def _stop(symbol: Symbol, number: int) -> Stop:
    return Stop(
        symbol=symbol,
        stop_id=str(number),
        client_id=f"hf-bench-{number}",
        kind=StopKind.STOP,
        market=True,
        side=Side.SELL,
        position_side=PositionSide.BOTH,
        trigger_price=Decimal(97),
        trigger_source=TriggerSource.MARK,
        quantity=ZERO,
        close_position=True,
        reduce_only=False,
        status=StopStatus.LIVE,
        created_ms=NOW - 90_000,
        updated_ms=NOW - 90_000,
    )


def _tracked(symbol: Symbol, number: int) -> Tracked:
    return Tracked(
        trade_id=number,
        key=_position(symbol).key,
        direction=Direction.LONG,
        quantity=QUANTITY,
        entry_price=PRICE,
        opened_ms=NOW - 100_000,
        stop_price=Decimal(97),
        strategy="bench",
        adopted=False,
    )
