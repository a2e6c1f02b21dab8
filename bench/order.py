"""An entry written ahead, sent and understood, against the same request signed by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from bench.byhand import BinanceByHand, by_hand
from bench.parts import built
from bench.report import BenchFailed, Row, median, p99
from bench.simulator import Simulator, simulator
from holdfast.decisions.gate import Approved, GateContext, Mode, OperatorState, Refused, Room, gate
from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.intents import Accepted, Intent, Journaled, Priority, Purpose
from holdfast.domain.invariant import require
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Side
from holdfast.domain.symbol import Symbol
from holdfast.engine.bot import Bot
from holdfast.engine.executor import settle

BTC = Symbol.parse("BTC/USDT")
QUANTITY = Decimal("0.003")
ORDERS, ORDERS_QUICK = 120, 30
LATENCIES_MS = (0, 50)
SETTLE_MS = 5_000
Tell = Callable[[str], None]


@dataclass(slots=True)
class _Times:
    ours: list[float] = field(default_factory=list)
    by_hand: list[float] = field(default_factory=list)


def run(quick: bool, tell: Tell) -> list[Row]:
    """Our entry buys, the hand-made order sells it again, and so on: the same load in the same minute."""
    count = ORDERS_QUICK if quick else ORDERS
    rows: list[Row] = []
    for latency_ms in LATENCIES_MS:
        tell(f"order: {count} entries of each kind at a latency of {latency_ms} ms")
        with simulator(latency_ms=latency_ms, symbols=("BTC/USDT",)) as exchange:
            times = asyncio.run(_measure(exchange, count))
        rows += _rows(times, latency_ms)
    return rows


def _rows(times: _Times, latency_ms: int) -> list[Row]:
    return [
        Row(
            bench="order",
            what=f"journal and submit, latency {latency_ms} ms, {name}",
            unit="ms",
            ours=figure(times.ours),
            reference=figure(times.by_hand),
            against="the same order signed by hand, not journaled",
            samples=len(times.ours),
        )
        for name, figure in (("median", median), ("p99", p99))
    ]


async def _measure(exchange: Simulator, count: int) -> _Times:
    times = _Times()
    async with by_hand(exchange.url) as hand, built(exchange, ("BTC/USDT",)) as parts:
        bot = parts.bot
        await bot.account.exchange.open()
        await bot.account.memory.recall()
        context = await _context(bot)
        for number in range(count + 3):
            if number % 100 == 0:
                exchange.reset_limits()
            ours, by_hand_ms = await _enter(bot, context), await _sell(hand, bot)
            if number >= 3:  # connections, caches and compiled statements are warm by then
                times.ours.append(ours)
                times.by_hand.append(by_hand_ms)
    return times


async def _enter(bot: Bot, context: GateContext) -> float:
    """Milliseconds from an approved intent to its understood outcome; durable before it was sent."""
    account = bot.account
    approved = _approved(bot, context)
    began = time.perf_counter()
    await account.memory.write_ahead(approved.journaled)
    outcome = await account.exchange.submit(approved)
    ms = (time.perf_counter() - began) * 1000
    require(isinstance(outcome, Accepted), f"the exchange takes the entry, it said {outcome}")
    at_ms = account.clock.now_ms()
    account.memory.note_outcome(settle(approved.journaled, outcome, at_ms), outcome, at_ms)
    await account.memory.settle(SETTLE_MS)
    return ms


async def _sell(hand: BinanceByHand, bot: Bot) -> float:
    client_id = bot.account.ids.client_order_id("hand")
    began = time.perf_counter()
    await hand.order(
        symbol="BTCUSDT",
        side="SELL",
        type="MARKET",
        quantity=str(QUANTITY),
        newClientOrderId=client_id,
        newOrderRespType="RESULT",
    )
    return (time.perf_counter() - began) * 1000


def _approved(bot: Bot, context: GateContext) -> Approved:
    account = bot.account
    intent = Intent(
        purpose=Purpose.ENTER,
        symbol=BTC,
        side=Side.BUY,
        quantity=QUANTITY,
        priority=Priority.TRADE,
        reason="the benchmark says so",
        correlation_id="bench",
        stop_price=(context.reference_price or ZERO) * Decimal("0.97"),
    )
    journaled = Journaled(
        intent=intent,
        client_id=account.ids.client_order_id("in"),
        account_id=account.settings.account_id,
        signed_ms=account.clock.now_ms(),
        window_ms=account.exchange.capabilities.window_ms,
    )
    # Judged at the moment the facts were read: what is measured begins after the gate.
    now_ms = context.positions_asked_ms or 0
    verdict = gate(journaled, context=context, limits=account.settings.limits, now_ms=now_ms)
    if isinstance(verdict, Refused):
        raise BenchFailed(f"order: expected the gate to approve, found {verdict.reasons}")
    return verdict


async def _context(bot: Bot) -> GateContext:
    """An account in which nothing speaks against an entry."""
    exchange, clock = bot.account.exchange, bot.account.clock
    await exchange.set_leverage(BTC, bot.account.settings.trading.leverage)
    balance = await exchange.balance(priority=Priority.PROTECT)
    marks = await exchange.marks((BTC,), priority=Priority.PROTECT)
    quotes = await exchange.quotes((BTC,), priority=Priority.PROTECT)
    instrument = exchange.instrument(BTC)
    if instrument is None:
        raise BenchFailed("order: expected BTC/USDT at the simulator, found it is not listed")
    now_ms = clock.now_ms()
    mark = replace(marks[BTC], heard_ms=now_ms)
    return GateContext(
        operator=OperatorState.RUNNING,
        mode=Mode.NORMAL,
        shutting_down=False,
        blocks=frozenset(),
        synced=True,
        positions_asked_ms=now_ms,
        read_whole=True,
        balance=balance,
        expected_position_mode=PositionMode.ONE_WAY,
        actual_position_mode=PositionMode.ONE_WAY,
        expected_margin_mode=MarginMode.CROSS,
        actual_margin_mode=MarginMode.CROSS,
        can_trade=True,
        instrument=instrument,
        mark=mark,
        quote=quotes.get(BTC),
        reference_price=mark.price,
        leverage=bot.account.settings.trading.leverage,
        position_quantity=ZERO,
        symbol_notional=ZERO,
        pending_notional=ZERO,
        room=Room(position_count=0, entries_today=0, last_entry_ms=None, gross_notional=ZERO),
        unresolved_intents=0,
        foreign_orders=0,
        volatility=Decimal("0.001"),
        correlation=None,
    )
