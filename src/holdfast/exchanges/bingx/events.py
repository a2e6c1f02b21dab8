"""Stream messages as news (exchange sheet §7). Raises `BadAnswer` and nothing else."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.domain.account import MarginMode, Mark
from holdfast.domain.orders import ExchangeStatus, Fill, Order, OrderType, Stop, StopKind, StopStatus
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bingx import decode, wire
from holdfast.exchanges.decoding import BadAnswer, Reader, word
from holdfast.exchanges.names import Names
from holdfast.exchanges.port import BalanceNews, MarkNews, News, OrderNews, PositionNews, StopNews

Body = str | bytes
Heard = tuple[News, ...]

LISTEN_KEY_EXPIRED = "listenKeyExpired"
SETTINGS = "ACCOUNT_CONFIG_UPDATE"
"""Every symbol's settings, when a stream begins and every five seconds: `settings` reads it."""
EXECUTIONS = frozenset({"TRADE", "CALCULATED"})
"""Execution types that are fills; CALCULATED is liquidation and auto-deleveraging."""
FRAME_BYTES_MAX = 4 * 1024 * 1024
"""What one frame may hold unpacked: a few bytes can be packed that fill the memory."""
PING = b"Ping"

HEAD = Reader(wire.EventHead)
_ORDER = Reader(wire.OrderEvent)
_ACCOUNT = Reader(wire.AccountEvent)
_SETTINGS = Reader(wire.SettingsEvent)
_MARK = Reader(wire.MarkEvent)


def unpacked(frame: Body) -> bytes:
    """What a frame says: the exchange packs every one with gzip. Raises `BadAnswer`."""
    if isinstance(frame, str):
        return frame.encode("utf-8", "replace")
    if frame[:2] != b"\x1f\x8b":
        return frame
    unzip = zlib.decompressobj(wbits=31)
    try:
        said = unzip.decompress(frame, FRAME_BYTES_MAX)
    except zlib.error as error:
        raise BadAnswer(f"expected a gzip frame, found none: {error}") from error
    if not unzip.eof:
        raise BadAnswer("expected a whole gzip frame of sane size, found another")
    return said


def user_news(kind: str, body: Body, names: Names, *, hedge: bool) -> Heard | None:
    """What a user-stream event of *kind* says; None for kinds we do not use."""
    convert = _USER.get(kind)
    return convert(body, names, hedge) if convert is not None else None


def _order(body: Body, names: Names, hedge: bool) -> Heard:
    event = _ORDER.read(body)
    row = event.o
    if row.o in decode.STOP_KINDS and row.x not in EXECUTIONS:
        return (StopNews(stop=_stop(event, names, hedge), exchange_ms=event.E),)
    filled = decode.amount(row.z)
    order = Order(
        symbol=names.symbol(row.s),
        order_id=str(row.i),
        client_id=row.c,
        side=decode.side(row.S),
        position_side=decode.position_side(row.ps, hedge=hedge),
        type=decode.order_type(row.o),
        status=decode.order_status(row.X, filled),
        quantity=decode.amount(row.q),
        filled=filled,
        average_price=decode.amount(row.ap),
        price=decode.amount(row.p),
        reduce_only=row.ro,
        updated_ms=row.T or event.E,
    )
    news = OrderNews(order=order, fill=_fill(event, order), exchange_ms=event.E)
    return (*_triggered(event, order), news)


def _fill(event: wire.OrderEvent, order: Order) -> Fill | None:
    """The execution, when the event says how large it was (older ones tell only the order's sum)."""
    row = event.o
    quantity = decode.amount(row.l)
    if row.x not in EXECUTIONS or not quantity:
        return None
    return Fill(
        symbol=order.symbol,
        trade_id=str(row.td),
        order_id=order.order_id,
        client_id=order.client_id,
        side=order.side,
        position_side=order.position_side,
        price=decode.price(row.L),
        quantity=quantity,
        fee=-decode.figure(row.n),
        fee_currency=row.N or "",
        realized_pnl=decode.figure(row.rp),
        maker=row.m,
        at_ms=row.T or event.E,
    )


def untold_fill(news: Heard) -> bool:
    """Whether an order filled without the event saying how: its executions must be asked for."""
    return any(
        isinstance(item, OrderNews) and item.fill is None and item.order.status in _FILLED for item in news
    )


_FILLED = (ExchangeStatus.FILLED, ExchangeStatus.PARTIAL)


def _stop(event: wire.OrderEvent, names: Names, hedge: bool) -> Stop:
    """It does not say whether it is for the whole position; a quantity of 0 does."""
    row = event.o
    quantity = decode.amount(row.q)
    return Stop(
        symbol=names.symbol(row.s),
        stop_id=str(row.i),
        client_id=row.c,
        kind=word(decode.STOP_KINDS, row.o, "kind of stop"),
        market=decode.order_type(row.o) is OrderType.MARKET,
        side=decode.side(row.S),
        position_side=decode.position_side(row.ps, hedge=hedge),
        trigger_price=decode.amount(row.sp),
        trigger_source=decode.trigger_source(row.wt),
        quantity=quantity,
        close_position=not quantity,
        reduce_only=row.ro,
        status=decode.stop_status(row.X),
        created_ms=0,  # the event does not say
        updated_ms=row.T or event.E,
    )


def _triggered(event: wire.OrderEvent, order: Order) -> Heard:
    """The stop an order came from has no event of its own; its kind is not told and never protects."""
    row = event.o
    if not row.ti:
        return ()
    done = order.status is ExchangeStatus.FILLED
    stop = Stop(
        symbol=order.symbol,
        stop_id=str(row.ti),
        client_id="",
        kind=StopKind.TAKE_PROFIT,
        market=order.type is OrderType.MARKET,
        side=order.side,
        position_side=order.position_side,
        trigger_price=decode.amount(row.sp),
        trigger_source=decode.trigger_source(row.wt),
        quantity=order.quantity,
        close_position=False,
        reduce_only=order.reduce_only,
        status=StopStatus.FINISHED if done else StopStatus.TRIGGERED,
        created_ms=0,
        updated_ms=order.updated_ms,
        order_id=order.order_id,
    )
    return (StopNews(stop=stop, exchange_ms=event.E),)


def _account(body: Body, names: Names, hedge: bool) -> Heard:
    event = _ACCOUNT.read(body)
    positions = tuple(
        PositionNews(
            symbol=names.symbol(row.s),
            side=decode.position_side(row.ps, hedge=hedge),
            quantity=decode.signed(decode.needed(row.pa), row.ps),
            entry_price=decode.amount(row.ep),
            exchange_ms=event.E,
        )
        for row in event.a.P
    )
    balances = tuple(
        BalanceNews(
            currency=row.a,
            wallet=decode.figure(row.wb),
            change=decode.figure(row.bc),
            exchange_ms=event.E,
            cause=event.a.m,
        )
        for row in event.a.B
    )
    return (*positions, *balances)


_USER: Mapping[str, Callable[[Body, Names, bool], Heard]] = {
    "ORDER_TRADE_UPDATE": _order,
    "TRADE_UPDATE": _order,
    "ACCOUNT_UPDATE": _account,
}


@dataclass(frozen=True, slots=True)
class Setting:
    """Leverage of the long and the short side, and the margin mode of one symbol."""

    long_leverage: int
    short_leverage: int
    margin_mode: MarginMode

    @property
    def leverage(self) -> int:
        """The higher one: what limits are held against."""
        return max(self.long_leverage, self.short_leverage)


def settings(body: Body, names: Names) -> tuple[Symbol, Setting, int]:
    """A symbol's settings and when they were true (ms, exchange's clock)."""
    event = _SETTINGS.read(body)
    row = event.ac
    return names.symbol(row.s), Setting(row.l, row.S, decode.margin_mode(row.mt)), event.E


def mark_news(body: Body, names: Names, heard_ms: int) -> MarkNews:
    """The mark price in a message of a `@markPrice` topic."""
    row = _MARK.read(body).data
    mark = Mark(price=decode.price(row.p), exchange_ms=row.E, heard_ms=heard_ms, source="ws")
    return MarkNews(symbol=names.symbol(row.s), mark=mark)
