"""Market streams: which names exist, where they are served, and what each tells (sheet §7.1, §7.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from holdfast.domain.numbers import plain
from holdfast.domain.symbol import Symbol
from holdfast.simulator.binance.market import INTERVALS, agg_row, kline_row
from holdfast.simulator.binance.params import wire_symbol
from holdfast.simulator.binance.render import amount
from holdfast.simulator.core.model import CoreRefusal, OrderEvent
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.feeds import Feed, Moment, Tell
from holdfast.simulator.wire.figures import DAY_MS, Day, Levels, Row, best, price, quantity
from holdfast.simulator.wire.venue import Venue

DEPTH_LEVELS = 1_000
"""A diff stream tells of as many levels as a snapshot holds."""


def _head(event: str, symbol: Symbol, now_ms: int) -> Row:
    return {"e": event, "E": now_ms, "s": symbol.compact, "st": 1}


# --- trades ----------------------------------------------------------------------------------------


def tell_agg_trades(feed: Feed, moment: Moment) -> list[object]:
    instrument = moment.venue.core.instrument(feed.only)
    return [
        _head("aggTrade", feed.only, moment.now_ms) | agg_row(instrument, trade)
        for trade in moment.trades(feed.only)
    ]


def tell_trades(feed: Feed, moment: Moment) -> list[object]:
    instrument = moment.venue.core.instrument(feed.only)
    return [
        _head("trade", feed.only, moment.now_ms)
        | {
            "T": trade.at_ms,
            "t": trade.trade_id,
            "p": price(instrument, trade.price),
            "q": quantity(instrument, trade.quantity),
            "X": "MARKET",
            "m": trade.buyer_is_maker,
        }
        for trade in moment.trades(feed.only)
    ]


def tell_forced(feed: Feed, moment: Moment) -> list[object]:
    return [
        _forced(moment.venue, event)
        for event in moment.forced
        if feed.symbol is None or event.order.symbol == feed.symbol
    ]


def _forced(venue: Venue, event: OrderEvent) -> Row:
    order, instrument = event.order, venue.core.instrument(event.order.symbol)
    last = event.fill.quantity if event.fill else order.filled
    return {
        "e": "forceOrder",
        "E": event.at_ms,
        "st": 1,
        "o": {
            "s": order.symbol.compact,
            "S": order.side.value.upper(),
            "o": "LIMIT",
            "f": "IOC",
            "q": quantity(instrument, order.quantity),
            "p": price(instrument, order.price or order.average_price),
            "ap": price(instrument, order.average_price),
            "X": order.status.value.upper(),
            "l": quantity(instrument, last),
            "z": quantity(instrument, order.filled),
            "T": event.at_ms,
        },
    }


# --- prices ----------------------------------------------------------------------------------------


def mark_row(venue: Venue, symbol: Symbol, now_ms: int) -> Row:
    prices, (rate, at_ms) = venue.core.prices(symbol), venue.core.funding(symbol)
    mark, index = amount(prices.mark), amount(prices.index)
    return _head("markPriceUpdate", symbol, now_ms) | {
        "p": mark,
        "ap": mark,
        "i": index,
        "P": index,
        "r": amount(rate),
        "T": at_ms,
    }


def tell_mark(feed: Feed, moment: Moment) -> list[object]:
    return [mark_row(moment.venue, feed.only, moment.now_ms)] if feed.due(moment) else []


def tell_marks(feed: Feed, moment: Moment) -> list[object]:
    if not feed.due(moment):
        return []
    return [[mark_row(moment.venue, symbol, moment.now_ms) for symbol in moment.venue.core.symbols()]]


def tell_klines(feed: Feed, moment: Moment) -> list[object]:
    """The open candle as it grows; when a new one has begun, the closed one first (`x` true)."""
    if not feed.moved(moment):
        return []
    core, length = moment.venue.core, INTERVALS[feed.argument]
    since = feed.candle_ms if feed.candle_ms >= 0 else None
    candles = core.candles(feed.only, length, start_ms=since, limit=2 if since is None else 1_500)
    if since is None:
        candles = candles[-1:]
    if candles:
        feed.candle_ms = candles[-1].open_ms
    instrument, rows = (
        core.instrument(feed.only),
        [kline_row(core.instrument(feed.only), c, length) for c in candles],
    )
    return [
        _kline(feed, moment.now_ms, row, closed=number < len(rows), instrument_id=instrument.symbol.compact)
        for number, row in enumerate(rows, 1)
    ]


def _kline(feed: Feed, now_ms: int, row: list[object], *, closed: bool, instrument_id: str) -> Row:
    keys = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")
    candle = dict(zip(keys, row, strict=True))
    # Candles know no trade ids; 0 and -1 say that there are none to look up.
    candle |= {"s": instrument_id, "i": feed.argument, "f": 0, "L": -1, "x": closed}
    return _head("kline", feed.only, now_ms) | {"k": candle}


# --- the book --------------------------------------------------------------------------------------


def book_row(venue: Venue, symbol: Symbol, now_ms: int) -> Row:
    update_id, bids, asks = venue.books.read(symbol, 1)
    (bid, bid_size), (ask, ask_size) = best(bids), best(asks)
    return _head("bookTicker", symbol, now_ms) | {
        "u": update_id,
        "T": now_ms,
        "ps": symbol.compact,
        "b": bid,
        "B": bid_size,
        "a": ask,
        "A": ask_size,
    }


def tell_book(feed: Feed, moment: Moment) -> list[object]:
    return [book_row(moment.venue, feed.only, moment.now_ms)] if feed.moved(moment) else []


def tell_books(feed: Feed, moment: Moment) -> list[object]:
    if not feed.due(moment):
        return []
    return [book_row(moment.venue, symbol, moment.now_ms) for symbol in moment.venue.core.symbols()]


def _depth(feed: Feed, now_ms: int, update_id: int, bids: Levels, asks: Levels) -> Row:
    row = _head("depthUpdate", feed.only, now_ms) | {
        "T": now_ms,
        "ps": feed.only.compact,
        "U": feed.update_id + 1,
        "u": update_id,
        "pu": feed.update_id,
        "b": bids,
        "a": asks,
    }
    feed.update_id = update_id
    return row


def tell_top(feed: Feed, moment: Moment) -> list[object]:
    """Partial depth: the best levels, complete."""
    if not feed.moved(moment):
        return []
    update_id, bids, asks = moment.venue.books.read(feed.only, int(feed.argument))
    if update_id == feed.update_id:
        return []
    if feed.update_id < 0:
        feed.update_id = update_id - 1
    return [_depth(feed, moment.now_ms, update_id, bids, asks)]


def tell_diff(feed: Feed, moment: Moment) -> list[object]:
    """What changed in the book since the last message; the first look only remembers it."""
    if not feed.moved(moment):
        return []
    update_id, bids, asks = moment.venue.books.read(feed.only, DEPTH_LEVELS)
    if update_id == feed.update_id:
        return []
    before, now = feed.shown, (_by_price(bids), _by_price(asks))
    feed.shown = now
    if feed.update_id < 0:
        feed.update_id = update_id
        return []
    return [_depth(feed, moment.now_ms, update_id, *(map(_changes, before, now)))]


def _by_price(levels: Levels) -> dict[str, str]:
    return {level[0]: level[1] for level in levels}


def _changes(before: dict[str, str], now: dict[str, str]) -> Levels:
    """Levels that are new or of another size; quantity "0" deletes one."""
    gone = [[at, "0"] for at in before if at not in now]
    return gone + [[at, size] for at, size in now.items() if before.get(at) != size]


# --- tickers ---------------------------------------------------------------------------------------


def mini_row(venue: Venue, symbol: Symbol, now_ms: int) -> Row:
    return _head("24hrMiniTicker", symbol, now_ms) | _day(venue, symbol, venue.days.day(symbol))


def _day(venue: Venue, symbol: Symbol, day: Day) -> Row:
    instrument = venue.core.instrument(symbol)
    return {
        "ps": symbol.compact,
        "c": price(instrument, day.last),
        "o": price(instrument, day.open),
        "h": price(instrument, day.high),
        "l": price(instrument, day.low),
        "v": quantity(instrument, day.volume),
        "q": f"{day.quote_volume:.2f}",
    }


def ticker_row(venue: Venue, symbol: Symbol, now_ms: int) -> Row:
    instrument, day = venue.core.instrument(symbol), venue.days.day(symbol)
    tape = venue.core.tape(symbol, 1)
    return (
        _head("24hrTicker", symbol, now_ms)
        | _day(venue, symbol, day)
        | {
            "p": price(instrument, day.change),
            "P": f"{day.change_percent:.3f}",
            "w": price(instrument, day.average),
            "Q": quantity(instrument, tape[-1].quantity) if tape else plain(day.volume * 0),
            "O": day.open_ms,
            "C": day.close_ms,
            "F": 0,
            "L": tape[-1].trade_id if tape else -1,
            "n": DAY_MS // 1_000,
        }
    )


def tell_ticker(feed: Feed, moment: Moment) -> list[object]:
    return [ticker_row(moment.venue, feed.only, moment.now_ms)] if feed.moved(moment) else []


def tell_mini(feed: Feed, moment: Moment) -> list[object]:
    return [mini_row(moment.venue, feed.only, moment.now_ms)] if feed.moved(moment) else []


def tell_tickers(feed: Feed, moment: Moment) -> list[object]:
    if not feed.due(moment):
        return []
    return [[ticker_row(moment.venue, symbol, moment.now_ms) for symbol in moment.venue.core.symbols()]]


def tell_minis(feed: Feed, moment: Moment) -> list[object]:
    if not feed.due(moment):
        return []
    return [[mini_row(moment.venue, symbol, moment.now_ms) for symbol in moment.venue.core.symbols()]]


# --- names -----------------------------------------------------------------------------------------

_SPEEDS = {"": 250, "@100ms": 100, "@250ms": 250, "@500ms": 500}
_KLINES = "|".join(INTERVALS)
# (what follows the symbol, category, period in ms or None = from the name, teller)
_OF_ONE: Sequence[tuple[re.Pattern[str], str, int | None, Tell]] = (
    (re.compile(r"aggTrade"), "market", 100, tell_agg_trades),
    (re.compile(r"trade"), "public", 100, tell_trades),
    (re.compile(r"markPrice@1s"), "market", 1_000, tell_mark),
    (re.compile(r"markPrice"), "market", 3_000, tell_mark),
    (re.compile(rf"kline_({_KLINES})"), "market", 250, tell_klines),
    (re.compile(r"bookTicker"), "public", 1, tell_book),
    (re.compile(r"depth(5|10|20)(|@100ms|@250ms|@500ms)"), "public", None, tell_top),
    (re.compile(r"depth()(|@100ms|@250ms|@500ms)"), "public", None, tell_diff),
    (re.compile(r"ticker"), "market", 2_000, tell_ticker),
    (re.compile(r"miniTicker"), "market", 2_000, tell_mini),
    (re.compile(r"forceOrder"), "market", 1, tell_forced),
)
_OF_ALL: Mapping[str, tuple[str, int, Tell]] = {
    "!markPrice@arr@1s": ("market", 1_000, tell_marks),
    "!markPrice@arr": ("market", 3_000, tell_marks),
    "!ticker@arr": ("market", 1_000, tell_tickers),
    "!miniTicker@arr": ("market", 1_000, tell_minis),
    "!bookTicker": ("public", 5_000, tell_books),
    "!forceOrder@arr": ("market", 1, tell_forced),
}


def open_feed(venue: Venue, name: str) -> Feed | None:
    """The feed behind a stream's name; None when there is none (subscribing to it is no error)."""
    if name in _OF_ALL:
        category, period_ms, tell = _OF_ALL[name]
        return Feed(name, category, None, period_ms, tell)
    base, _, rest = name.partition("@")
    symbol = _listed(venue, base)
    for pattern, category, period, tell in _OF_ONE:
        match = pattern.fullmatch(rest)
        if match and symbol is not None:
            groups = match.groups()
            period_ms = _SPEEDS[groups[1]] if period is None else period
            argument = groups[0] if groups else ""
            return Feed(name, category, symbol, period_ms, tell, argument, looks_first="@depth" in name)
    return None


def _listed(venue: Venue, base: str) -> Symbol | None:
    """Stream names are lower case; another spelling names nothing."""
    if base != base.lower():
        return None
    try:
        return venue.core.instrument(wire_symbol(base.upper())).symbol
    except (WireError, CoreRefusal):
        return None
