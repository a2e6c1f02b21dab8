"""Stream messages as news (exchange sheet §7). Raises `BadAnswer` and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from holdfast.domain.account import Mark
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Fill, Order, Stop
from holdfast.exchanges import decoding
from holdfast.exchanges.binance import decode, wire
from holdfast.exchanges.decoding import Reader
from holdfast.exchanges.names import Names
from holdfast.exchanges.port import (
    BalanceNews,
    ConfigNews,
    MarginCall,
    MarkNews,
    News,
    OrderNews,
    PositionNews,
    StopNews,
)

Body = str | bytes
Heard = tuple[News, ...]

LISTEN_KEY_EXPIRED = "listenKeyExpired"
USD_MARGINED = 1
"""`st` of a USDⓈ-M symbol: since the integration with COIN-M, feeds carry both."""
IGNORED = frozenset({"TRADE_LITE", "STRATEGY_UPDATE", "GRID_UPDATE", "CONDITIONAL_ORDER_TRIGGER_REJECT"})
"""Kinds that say nothing we need; any other unknown kind is counted as such."""
EXECUTIONS = frozenset({"TRADE", "CALCULATED"})
"""Execution types that are fills; CALCULATED is liquidation and auto-deleveraging."""

HEAD = Reader(wire.EventHead)
_ORDER = Reader(wire.OrderEvent)
_ALGO = Reader(wire.AlgoEvent)
_ACCOUNT = Reader(wire.AccountEvent)
_CONFIG = Reader(wire.ConfigEvent)
_MARGIN_CALL = Reader(wire.MarginCallEvent)
_MARK = Reader(wire.MarkEvent)


def user_news(kind: str, body: Body, names: Names) -> Heard | None:
    """What a user-stream event of *kind* says; None for kinds we do not use.

    TRADE_LITE is among those: the ORDER_TRADE_UPDATE of the same fill follows and says more.
    """
    convert = _USER.get(kind)
    return convert(body, names) if convert is not None else None


def _order(body: Body, names: Names) -> Heard:
    event = _ORDER.read(body)
    row = event.o
    filled = decoding.amount(row.z)
    order = Order(
        symbol=names.symbol(row.s),
        order_id=str(row.i),
        client_id=row.c,
        side=decode.side(row.S),
        position_side=decode.position_side(row.ps),
        type=decode.order_type(row.o),
        status=decode.order_status(row.X, filled),
        quantity=decoding.amount(row.q),
        filled=filled,
        average_price=decoding.amount(row.ap),
        price=decoding.amount(row.p),
        reduce_only=row.R,
        updated_ms=event.T,
    )
    return (OrderNews(order=order, fill=_fill(row, order), exchange_ms=event.E),)


def _fill(row: wire.OrderEventBody, order: Order) -> Fill | None:
    quantity = decoding.amount(row.l)
    if row.x not in EXECUTIONS or not quantity:
        return None
    return Fill(
        symbol=order.symbol,
        trade_id=str(row.t),
        order_id=order.order_id,
        client_id=order.client_id,
        side=order.side,
        position_side=order.position_side,
        price=decoding.price(row.L),
        quantity=quantity,
        fee=decoding.number(row.n) if row.n else ZERO,
        fee_currency=row.N or "",
        realized_pnl=decoding.number(row.rp),
        maker=row.m,
        at_ms=row.T,
    )


def _stop(body: Body, names: Names) -> Heard:
    event = _ALGO.read(body)
    row = event.o
    stop = Stop(
        symbol=names.symbol(row.s),
        stop_id=str(row.aid),
        client_id=row.caid,
        kind=decode.stop_kind(row.o),
        market=row.o.endswith("MARKET"),
        side=decode.side(row.S),
        position_side=decode.position_side(row.ps),
        trigger_price=decoding.amount_or_zero(row.tp),
        trigger_source=decode.trigger_source(row.wt),
        quantity=ZERO if row.cp else decoding.amount_or_zero(row.q),
        close_position=row.cp,
        reduce_only=row.R,
        status=decode.stop_status(row.X),
        created_ms=0,  # the event does not say
        updated_ms=event.T,
        order_id=decode.order_link(row.ai),
    )
    return (StopNews(stop=stop, exchange_ms=event.E),)


def _account(body: Body, names: Names) -> Heard:
    event = _ACCOUNT.read(body)
    positions = tuple(_position(row, event.E, names) for row in event.a.P)
    balances = tuple(
        BalanceNews(
            currency=row.a,
            wallet=decoding.number(row.wb),
            change=decoding.number(row.bc),
            exchange_ms=event.E,
            cause=event.a.m,
        )
        for row in event.a.B
    )
    # The only event there is about a changed margin mode; it does not say the new one.
    changed = (ConfigNews(symbol=None, leverage=None, exchange_ms=event.E),)
    return (*positions, *balances, *(changed if event.a.m == "MARGIN_TYPE_CHANGE" else ()))


def _position(row: wire.PositionChange, exchange_ms: int, names: Names) -> PositionNews:
    side = decode.position_side(row.ps)
    return PositionNews(
        symbol=names.symbol(row.s),
        side=side,
        quantity=decoding.signed(decoding.number(row.pa), side),
        entry_price=decoding.amount(row.ep),
        exchange_ms=exchange_ms,
    )


def _config(body: Body, names: Names) -> Heard:
    event = _CONFIG.read(body)
    if event.ac is None:
        return (ConfigNews(symbol=None, leverage=None, exchange_ms=event.E),)
    return (ConfigNews(symbol=names.symbol(event.ac.s), leverage=event.ac.l, exchange_ms=event.E),)


def _margin_call(body: Body, names: Names) -> Heard:
    event = _MARGIN_CALL.read(body)
    return (MarginCall(symbols=tuple(names.symbol(row.s) for row in event.p), exchange_ms=event.E),)


_USER: Mapping[str, Callable[[Body, Names], Heard]] = {
    "ORDER_TRADE_UPDATE": _order,
    "ALGO_UPDATE": _stop,
    "ACCOUNT_UPDATE": _account,
    "ACCOUNT_CONFIG_UPDATE": _config,
    "MARGIN_CALL": _margin_call,
}


def mark_news(body: Body, names: Names, heard_ms: int) -> MarkNews | None:
    """The mark price in a market-stream message; None when it is no mark price of USDⓈ-M."""
    event = _MARK.read(body)
    if event.e != "markPriceUpdate" or event.st != USD_MARGINED:
        return None
    mark = Mark(price=decoding.price(event.p), exchange_ms=event.E, heard_ms=heard_ms, source="ws")
    return MarkNews(symbol=names.symbol(event.s), mark=mark)
