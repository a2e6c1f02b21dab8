"""Valid values with one change visible in the test."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from holdfast.decisions.gate import OperatorState
from holdfast.domain.intents import Accepted, Intent, Journaled, Purpose
from holdfast.domain.orders import (
    ClientOrderId,
    Direction,
    ExchangeStatus,
    Fill,
    Order,
    OrderType,
    PositionSide,
    Side,
)
from holdfast.domain.symbol import Symbol
from holdfast.store.books import Trade
from holdfast.store.operator import set_operator

D = Decimal
BTC = Symbol.parse("BTC/USDT:USDT")
ETH = Symbol.parse("ETH/USDT:USDT")
ACCOUNT = "acc-1"
NOW = 1_748_000_000_123


def intent(**changes: Any) -> Intent:
    values: dict[str, Any] = {
        "purpose": Purpose.ENTER,
        "symbol": BTC,
        "side": Side.BUY,
        "quantity": D("0.010"),
        "correlation_id": "sig_1",
        "stop_price": D("59000.5"),
        "strategy": "adx",
    }
    return Intent(**values | changes)


def journaled(client_id: str = "hf-1-a", *, account_id: str = ACCOUNT, **changes: Any) -> Journaled:
    return Journaled(
        intent=intent(**changes),
        client_id=ClientOrderId(client_id),
        account_id=account_id,
        signed_ms=NOW,
        window_ms=5000,
    )


def order(client_id: str = "hf-1-a", **changes: Any) -> Order:
    values: dict[str, Any] = {
        "symbol": BTC,
        "order_id": "77",
        "client_id": client_id,
        "side": Side.BUY,
        "position_side": PositionSide.BOTH,
        "type": OrderType.MARKET,
        "status": ExchangeStatus.FILLED,
        "quantity": D("0.010"),
        "filled": D("0.010"),
        "average_price": D("60000.10"),
        "price": D(0),
        "reduce_only": False,
        "updated_ms": NOW,
    }
    return Order(**values | changes)


def accepted(**changes: Any) -> Accepted:
    made = order(**changes)
    return Accepted(exchange_id=made.order_id, order=made)


def fill(trade_id: str = "1", **changes: Any) -> Fill:
    values: dict[str, Any] = {
        "symbol": BTC,
        "trade_id": trade_id,
        "order_id": "77",
        "client_id": "hf-1-a",
        "side": Side.BUY,
        "position_side": PositionSide.BOTH,
        "price": D("60000.10"),
        "quantity": D("0.010"),
        "fee": D("0.24000040"),
        "fee_currency": "USDT",
        "realized_pnl": D(0),
        "maker": False,
        "at_ms": NOW,
    }
    return Fill(**values | changes)


def trade(**changes: Any) -> Trade:
    values: dict[str, Any] = {
        "account_id": ACCOUNT,
        "symbol": BTC,
        "side": Direction.LONG,
        "strategy": "adx",
        "opened_ms": NOW,
        "entry_client_id": "hf-1-a",
        "entry_price": D("60000.10"),
        "quantity": D("0.010"),
    }
    return Trade(**values | changes)


def running(connection: Connection) -> None:
    """The operator lets the whole bot trade."""
    set_operator(connection, OperatorState.RUNNING, "ann", "start of day", NOW)
