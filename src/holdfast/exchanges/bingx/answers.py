"""What an acknowledgement proves, as domain values: BingX answers before anything is executed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from holdfast.domain.account import Fact
from holdfast.domain.intents import (
    Journaled,
    Lookup,
    NotFound,
    Rejected,
    RejectReason,
    Unavailable,
    Unknown,
)
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import ExchangeStatus, Order, PositionSide, Stop, StopKind, StopStatus
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.decoding import BadAnswer


class OfSymbol(Protocol):
    """A row about one symbol."""

    symbol: str


R = TypeVar("R")
S = TypeVar("S", bound=OfSymbol)


def taken(journaled: Journaled, order_id: str) -> Order:
    """An order as its acknowledgement leaves it: taken, and not a word about fills."""
    intent = journaled.intent
    return Order(
        symbol=intent.symbol,
        order_id=order_id,
        client_id=journaled.client_id,
        side=intent.side,
        position_side=intent.position_side,
        type=intent.type,
        status=ExchangeStatus.OPEN,
        quantity=intent.quantity,
        filled=ZERO,
        average_price=ZERO,
        price=intent.price or ZERO,
        reduce_only=intent.reduce_only,
        updated_ms=journaled.signed_ms,
    )


def standing(journaled: Journaled, stop_id: str, exchange_ms: int) -> Stop:
    """A stop as its acknowledgement leaves it, at *exchange_ms*."""
    intent = journaled.intent
    whole = intent.close_position or not intent.quantity
    return Stop(
        symbol=intent.symbol,
        stop_id=stop_id,
        client_id=journaled.client_id,
        kind=StopKind.STOP,
        market=True,
        side=intent.side,
        position_side=intent.position_side,
        trigger_price=intent.trigger_price or ZERO,
        trigger_source=intent.trigger_source,
        quantity=ZERO if whole else intent.quantity,
        close_position=whole,
        reduce_only=not whole and intent.position_side is PositionSide.BOTH,
        status=StopStatus.LIVE,
        created_ms=exchange_ms,
        updated_ms=exchange_ms,
    )


def no_lookup(word: Rejected | Unknown | Unavailable, asked_ms: int) -> Lookup:
    """What a question that failed says about what was looked for."""
    if not isinstance(word, Rejected):
        return word
    if word.reason is RejectReason.NOT_FOUND:
        return NotFound(asked_ms=asked_ms)
    return Unknown(cause=f"{word.code} {word.message}")


def same(symbol: Symbol, asked: Symbol, client_id: str, asked_id: str) -> None:
    """An answer about another order proves nothing about ours; *asked_id* empty: any will do."""
    if symbol != asked or (asked_id and client_id != asked_id):
        raise BadAnswer(f"expected an answer about {asked} {asked_id}, found {symbol} {client_id}")


def among(
    wanted: Mapping[str, Symbol], read: Callable[[S, Fact[bytes]], R], fact: Fact[bytes]
) -> Callable[[S], tuple[Symbol, R] | None]:
    """Reads the rows of *wanted* symbols and leaves the others out."""

    def convert(row: S) -> tuple[Symbol, R] | None:
        symbol = wanted.get(row.symbol)
        return None if symbol is None else (symbol, read(row, fact))

    return convert
