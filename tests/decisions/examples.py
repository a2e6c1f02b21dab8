"""A valid value of each kind that gate, sizing and breakers look at, with one change visible in the test."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from holdfast.decisions.gate import GateContext, Limits, Mode, OperatorState, Room
from holdfast.domain.account import Balance, Fact, MarginMode, Mark, PositionMode, Quote
from holdfast.domain.instrument import Bracket, Instrument
from holdfast.domain.intents import Intent, Journaled, Purpose
from holdfast.domain.orders import ClientOrderId, Side
from holdfast.domain.symbol import Symbol

D = Decimal
NOW_MS = 1_746_500_000_000
BTC = Symbol.parse("BTC/USDT:USDT")
ETH = Symbol.parse("ETH/USDT:USDT")

INSTRUMENT = Instrument(
    symbol=BTC,
    price_step=D("0.10"),
    quantity_step=D("0.001"),
    quantity_min=D("0.001"),
    quantity_max=D(1000),
    market_quantity_max=D(120),
    notional_min=D(100),
    brackets=(
        Bracket(
            notional_floor=D(0),
            notional_cap=D(300_000),
            leverage_max=125,
            maintenance_ratio=D("0.004"),
            maintenance_amount=D(0),
        ),
        Bracket(
            notional_floor=D(300_000),
            notional_cap=D(800_000),
            leverage_max=100,
            maintenance_ratio=D("0.005"),
            maintenance_amount=D(300),
        ),
    ),
)

LIMITS = Limits(
    order_notional_max_ratio=D("0.25"),
    position_notional_max_ratio=D("0.5"),
    gross_exposure_max_ratio=D(1),
    price_collar_ratio=D("0.01"),
    spread_max_ratio=D("0.005"),
    mark_age_ms_max=3_000,
    positions_age_ms_max=60_000,
    balance_age_ms_max=60_000,
    max_positions=5,
    daily_trades_max=50,
    cooldown_sec=60,
    volatility_max=D("0.05"),
    correlation_max=D("0.95"),
    stop_distance_min_ratio=D("0.002"),
    stop_distance_max_ratio=D("0.1"),
    leverage_max=5,
    margin_buffer_ratio=D("0.002"),
)

BALANCE = Balance(currency="USDT", wallet=D(10_000), equity=D(10_000), available=D(10_000))
ROOM = Room(position_count=1, entries_today=3, last_entry_ms=NOW_MS - 600_000, gross_notional=D(2_000))


def mark(price: object = 50_000, *, age_ms: int = 500) -> Mark:
    at_ms = NOW_MS - age_ms
    return Mark(price=D(str(price)), exchange_ms=at_ms, heard_ms=at_ms, source="ws")


def quote(price: object = 50_000, *, spread: object = 2, age_ms: int = 200) -> Quote:
    half, middle = D(str(spread)) / 2, D(str(price))
    return Quote(bid=middle - half, ask=middle + half, asked_ms=NOW_MS - age_ms)


def intent(**changes: Any) -> Intent:
    """Buy 0.02 BTC at market with a stop 2 % below: passes the example gate."""
    base = Intent(purpose=Purpose.ENTER, symbol=BTC, side=Side.BUY, quantity=D("0.02"), stop_price=D(49_000))
    return replace(base, **changes)


def journaled(intent: Intent, **changes: Any) -> Journaled:
    base = Journaled(
        intent=intent,
        client_id=ClientOrderId("hf-1-1-e"),
        account_id="main",
        signed_ms=NOW_MS,
        window_ms=5_000,
    )
    return replace(base, **changes)


def context(**changes: Any) -> GateContext:
    base = GateContext(
        operator=OperatorState.RUNNING,
        mode=Mode.NORMAL,
        shutting_down=False,
        blocks=frozenset(),
        synced=True,
        positions_asked_ms=NOW_MS - 1_000,
        read_whole=True,
        balance=Fact(BALANCE, NOW_MS - 2_000, NOW_MS - 1_900),
        expected_position_mode=PositionMode.ONE_WAY,
        actual_position_mode=PositionMode.ONE_WAY,
        expected_margin_mode=MarginMode.CROSS,
        actual_margin_mode=MarginMode.CROSS,
        can_trade=True,
        instrument=INSTRUMENT,
        mark=mark(),
        quote=quote(),
        reference_price=D(50_010),
        leverage=3,
        position_quantity=D(0),
        symbol_notional=D(0),
        pending_notional=D(0),
        room=ROOM,
        unresolved_intents=0,
        foreign_orders=0,
        volatility=D("0.01"),
        correlation=D("0.6"),
    )
    return replace(base, **changes)


def funds(**changes: Any) -> Fact[Balance]:
    return Fact(replace(BALANCE, **changes), NOW_MS - 2_000, NOW_MS - 1_900)


def room(**changes: Any) -> Room:
    return replace(ROOM, **changes)
