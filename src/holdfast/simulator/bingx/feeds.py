"""Market streams: which topics exist and what each tells (sheet §7.2). Payloads are whole frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from holdfast.domain.numbers import ZERO
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bingx.market import INTERVALS, book
from holdfast.simulator.bingx.params import wire_symbol
from holdfast.simulator.bingx.venue import Venue
from holdfast.simulator.core.model import CoreRefusal
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.feeds import Feed, Moment, Tell
from holdfast.simulator.wire.figures import Levels, Row, best, price, quantity

INCREMENT_LEVELS = 100


def framed(feed: Feed, data: object, **top: object) -> Row:
    return {"code": 0, "dataType": feed.name, **top, "data": data}


# --- prices ----------------------------------------------------------------------------------------


def tell_ticker(feed: Feed, moment: Moment) -> list[object]:
    if not feed.moved(moment):
        return []
    venue, symbol = moment.venue, feed.only
    instrument, day, tape = venue.core.instrument(symbol), venue.days.day(symbol), venue.core.tape(symbol, 1)
    _, bids, asks = venue.books.read(symbol, 1)
    (bid, bid_size), (ask, ask_size) = best(bids), best(asks)
    row = {
        "e": "24hTicker",
        "E": moment.now_ms,
        "s": symbol.dashed,
        "p": price(instrument, day.change),
        "P": f"{day.change_percent:.2f}",
        "c": price(instrument, day.last),
        "L": quantity(instrument, tape[-1].quantity if tape else ZERO),
        "h": price(instrument, day.high),
        "l": price(instrument, day.low),
        "v": quantity(instrument, day.volume),
        "q": f"{day.quote_volume:.2f}",
        "o": price(instrument, day.open),
        "O": day.open_ms,
        "C": day.close_ms,
        "A": ask,
        "a": ask_size,
        "B": bid,
        "b": bid_size,
    }
    return [framed(feed, row)]


def _one_price(feed: Feed, moment: Moment, event: str, name: str, value: Decimal) -> list[object]:
    text = price(moment.venue.core.instrument(feed.only), value)
    return [framed(feed, {"e": event, "E": moment.now_ms, "s": feed.only.dashed, name: text})]


def tell_last(feed: Feed, moment: Moment) -> list[object]:
    if not feed.moved(moment):
        return []
    return _one_price(feed, moment, "lastPriceUpdate", "c", moment.venue.core.prices(feed.only).last)


def tell_mark(feed: Feed, moment: Moment) -> list[object]:
    if not feed.due(moment):
        return []
    return _one_price(feed, moment, "markPriceUpdate", "p", moment.venue.core.prices(feed.only).mark)


def tell_book(feed: Feed, moment: Moment) -> list[object]:
    if not feed.moved(moment):
        return []
    update_id, bids, asks = moment.venue.books.read(feed.only, 1)
    (bid, bid_size), (ask, ask_size) = best(bids), best(asks)
    row = {
        "e": "bookTicker",
        "u": update_id,
        "E": moment.now_ms,
        "T": moment.now_ms,
        "s": feed.only.dashed,
        "b": bid,
        "B": bid_size,
        "a": ask,
        "A": ask_size,
    }
    return [framed(feed, row)]


# --- trades and candles ----------------------------------------------------------------------------


def tell_trades(feed: Feed, moment: Moment) -> list[object]:
    instrument = moment.venue.core.instrument(feed.only)
    rows = [
        {
            "q": quantity(instrument, trade.quantity),
            "p": price(instrument, trade.price),
            "T": trade.at_ms,
            "m": trade.buyer_is_maker,
            "s": feed.only.dashed,
        }
        for trade in moment.trades(feed.only)
    ]
    return [framed(feed, rows[::-1])] if rows else []


def tell_klines(feed: Feed, moment: Moment) -> list[object]:
    """The open candle as it grows; the last state of the one before, once, when a new one has begun."""
    if not feed.moved(moment):
        return []
    core, length = moment.venue.core, INTERVALS[feed.argument]
    instrument = core.instrument(feed.only)
    candles = core.candles(feed.only, length, limit=2)
    known, feed.candle_ms = feed.candle_ms, candles[-1].open_ms
    news = candles if known >= 0 and candles[-1].open_ms != known else candles[-1:]
    return [
        framed(
            feed,
            [
                {
                    "c": price(instrument, one.close),
                    "o": price(instrument, one.open),
                    "h": price(instrument, one.high),
                    "l": price(instrument, one.low),
                    "v": quantity(instrument, one.volume),
                    "T": one.open_ms,
                }
            ],
            s=feed.only.dashed,
        )
        for one in news
    ]


# --- the book --------------------------------------------------------------------------------------


def tell_depth(feed: Feed, moment: Moment) -> list[object]:
    """The best levels, complete; the asks descend."""
    if not feed.moved(moment):
        return []
    update_id, bids, asks = book(moment.venue, feed.only, int(feed.argument))
    if update_id == feed.update_id:
        return []
    feed.update_id = update_id
    return [framed(feed, {"bids": bids, "asks": asks}, ts=moment.now_ms)]


def tell_increments(feed: Feed, moment: Moment) -> list[object]:
    """The whole book first, then what changed in it; a quantity of zero deletes a level."""
    if not feed.moved(moment):
        return []
    update_id, bids, asks = book(moment.venue, feed.only, INCREMENT_LEVELS)
    if update_id == feed.update_id:
        return []
    before, now = feed.shown, (_by_price(bids), _by_price(asks))
    first, feed.shown, feed.update_id = feed.update_id < 0, now, update_id
    gone = quantity(moment.venue.core.instrument(feed.only), ZERO)
    row = {
        "action": "all" if first else "update",
        "lastUpdateId": update_id,
        "time": moment.now_ms,
        "bids": bids if first else _changes(before[0], now[0], gone),
        "asks": asks if first else _changes(before[1], now[1], gone),
    }
    return [framed(feed, row)]


def _by_price(levels: Levels) -> dict[str, str]:
    return {level[0]: level[1] for level in levels}


def _changes(before: dict[str, str], now: dict[str, str], gone: str) -> Levels:
    deleted = [[at, gone] for at in before if at not in now]
    return deleted + [[at, size] for at, size in now.items() if before.get(at) != size]


# --- names -----------------------------------------------------------------------------------------

_SPEEDS = {"": 500, "@100ms": 100, "@200ms": 200, "@500ms": 500}
_KLINES = "|".join(INTERVALS)
# (what follows the symbol, period in ms or None = from the name, teller)
_TOPICS: Sequence[tuple[re.Pattern[str], int | None, Tell]] = (
    (re.compile(r"ticker"), 1_000, tell_ticker),
    (re.compile(r"trade"), 100, tell_trades),
    (re.compile(rf"kline_({_KLINES})"), 250, tell_klines),
    (re.compile(r"depth(5|10|20|50|100)(|@100ms|@200ms|@500ms)"), None, tell_depth),
    (re.compile(r"incrDepth"), 100, tell_increments),
    (re.compile(r"bookTicker"), 1, tell_book),
    (re.compile(r"lastPrice"), 1_000, tell_last),
    (re.compile(r"markPrice"), 1_000, tell_mark),
)


def open_topic(venue: Venue, name: str) -> Feed | None:
    """The feed behind a topic's name; None when there is none."""
    base, _, rest = name.partition("@")
    symbol = _listed(venue, base)
    for pattern, period, tell in _TOPICS:
        match = pattern.fullmatch(rest)
        if match and symbol is not None:
            groups = match.groups()
            period_ms = _SPEEDS[groups[1]] if period is None else period
            return Feed(name, "", symbol, period_ms, tell, groups[0] if groups else "")
    return None


def _listed(venue: Venue, base: str) -> Symbol | None:
    try:
        return venue.core.instrument(wire_symbol(base)).symbol
    except (WireError, CoreRefusal):
        return None
