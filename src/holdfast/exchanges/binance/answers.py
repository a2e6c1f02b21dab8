"""What answers have to say to be believed."""

from __future__ import annotations

from holdfast.domain.intents import Accepted
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.binance import decode
from holdfast.exchanges.decoding import BadAnswer


def same(symbol: Symbol, asked: Symbol, client_id: str, asked_id: str | None) -> None:
    """An answer about another order proves nothing about ours."""
    if symbol != asked or (asked_id is not None and client_id != asked_id):
        raise BadAnswer(f"expected an answer about {asked} {asked_id or ''}, found {symbol} {client_id}")


def stop_cancelled(body: bytes) -> Accepted:
    row = decode.ALGO_CANCEL.read(body)
    if row.code != 200:
        raise BadAnswer(f"expected code 200, found {row.code}")
    return Accepted(exchange_id=str(row.algoId))
