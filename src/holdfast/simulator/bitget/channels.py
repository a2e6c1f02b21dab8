"""Public channels: what each tells first, and what it tells from then on (bitget.md §7.2).

A subscriber gets a snapshot of its own at once; the feed, which all subscribers share, only tells
what has changed since.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.domain.symbol import Symbol
from holdfast.simulator.bitget.market import INTERVALS, candle_row, ticker_figures, trade_row
from holdfast.simulator.bitget.params import PRODUCT, wire_symbol
from holdfast.simulator.core.model import CoreRefusal
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.feeds import Feed, Moment, Tell
from holdfast.simulator.wire.figures import Levels, Row
from holdfast.simulator.wire.venue import Venue

Data = list[object]
BOOK_LEVELS = 200
CHECKED_LEVELS = 25
CANDLES_FIRST = 100
TRADES_FIRST = 20
_CANDLES = re.compile(r"candle(" + "|".join(INTERVALS) + ")")
_TOPS = re.compile(r"books(1|5|15)")


def name_of(channel: str, symbol: Symbol) -> str:
    return f"{channel}/{symbol.compact}"


def message(name: str, action: str, data: object, now_ms: int) -> Row:
    """One push of a public channel."""
    channel, _, instrument = name.partition("/")
    arg = {"instType": PRODUCT, "channel": channel, "instId": instrument}
    return {"action": action, "arg": arg, "data": data, "ts": now_ms}


# --- ticker ----------------------------------------------------------------------------------------


def ticker_row(venue: Venue, symbol: Symbol) -> Row:
    _, at_ms = venue.core.funding(symbol)
    return (
        {"instId": symbol.compact, "symbol": symbol.compact}
        | ticker_figures(venue, symbol)
        | {
            "nextFundingTime": str(at_ms),
            "symbolType": "1",
            "deliveryPrice": "0",
            "ts": str(venue.core.now_ms),
        }
    )


def first_ticker(venue: Venue, feed: Feed) -> Data:
    return [ticker_row(venue, feed.only)]


def tell_ticker(feed: Feed, moment: Moment) -> list[object]:
    """Always complete."""
    if not feed.moved(moment):
        return []
    return [message(feed.name, "snapshot", first_ticker(moment.venue, feed), moment.now_ms)]


# --- candles ---------------------------------------------------------------------------------------


def _candle_rows(venue: Venue, feed: Feed, since_ms: int | None, limit: int) -> Data:
    instrument = venue.core.instrument(feed.only)
    length = INTERVALS[feed.argument]
    found = venue.core.candles(feed.only, length, start_ms=since_ms, limit=limit)
    rows = [candle_row(instrument, candle) for candle in found]
    return [[*row, row[-1]] for row in rows]  # the turnover in USDT is the quote volume


def first_candles(venue: Venue, feed: Feed) -> Data:
    rows = _candle_rows(venue, feed, None, CANDLES_FIRST)
    if feed.candle_ms < 0 and rows:
        feed.candle_ms = _opening(rows[-1])
    return rows


def _opening(row: object) -> int:
    return int(row[0]) if isinstance(row, list) else -1


def tell_candles(feed: Feed, moment: Moment) -> list[object]:
    """The open candle as it grows; when a new one has begun, the closed one once more before it."""
    if not feed.moved(moment):
        return []
    since_ms = feed.candle_ms if feed.candle_ms >= 0 else None
    rows = _candle_rows(moment.venue, feed, since_ms, 1 if since_ms is None else 1_000)
    if not rows:
        return []
    feed.candle_ms = _opening(rows[-1])
    return [message(feed.name, "update", rows, moment.now_ms)]


# --- trades ----------------------------------------------------------------------------------------


def first_trades(venue: Venue, feed: Feed) -> Data:
    """Newest first."""
    instrument = venue.core.instrument(feed.only)
    return [trade_row(instrument, trade) for trade in reversed(venue.core.tape(feed.only, TRADES_FIRST))]


def tell_trades(feed: Feed, moment: Moment) -> list[object]:
    instrument = moment.venue.core.instrument(feed.only)
    rows = [trade_row(instrument, trade) for trade in reversed(moment.trades(feed.only))]
    return [message(feed.name, "update", rows, moment.now_ms)] if rows else []


# --- books -----------------------------------------------------------------------------------------


def checksum(bids: Levels, asks: Levels) -> int:
    """Signed CRC32 over the 25 best levels, `bid:size:ask:size:…`."""
    parts: list[str] = []
    for place in range(CHECKED_LEVELS):
        for side in (bids, asks):
            parts += side[place] if place < len(side) else []
    crc = zlib.crc32(":".join(parts).encode())
    return crc - (1 << 32) if crc >= 1 << 31 else crc


def book_row(bids: Levels, asks: Levels, shown: tuple[Levels, Levels], number: int, now_ms: int) -> Row:
    """*bids* and *asks* as told; *shown* is the whole book after that."""
    return {"asks": asks, "bids": bids, "checksum": checksum(*shown), "seq": number, "ts": str(now_ms)}


def first_book(venue: Venue, feed: Feed) -> Data:
    """The book as the feed has told it so far, so that what it tells next fits."""
    if feed.update_id < 0:
        depth = int(feed.argument) if feed.argument else BOOK_LEVELS
        feed.update_id, bids, asks = venue.books.read(feed.only, depth)
        feed.shown = (_by_price(bids), _by_price(asks))
    bids, asks = _levels(feed.shown)
    return [book_row(bids, asks, (bids, asks), feed.update_id, venue.core.now_ms)]


def tell_top(feed: Feed, moment: Moment) -> list[object]:
    """The best levels, complete."""
    if not feed.moved(moment):
        return []
    number, bids, asks = moment.venue.books.read(feed.only, int(feed.argument))
    if number == feed.update_id:
        return []
    feed.update_id, feed.shown = number, (_by_price(bids), _by_price(asks))
    row = book_row(bids, asks, (bids, asks), number, moment.now_ms)
    return [message(feed.name, "snapshot", [row], moment.now_ms)]


def tell_changes(feed: Feed, moment: Moment) -> list[object]:
    """What differs from what was told; size "0" deletes a level."""
    if not feed.moved(moment):
        return []
    number, bids, asks = moment.venue.books.read(feed.only, BOOK_LEVELS)
    if number == feed.update_id:
        return []
    before, now = feed.shown, (_by_price(bids), _by_price(asks))
    feed.update_id, feed.shown = number, now
    bid_changes, ask_changes = (_changes(*pair) for pair in zip(before, now, strict=True))
    row = book_row(bid_changes, ask_changes, (bids, asks), number, moment.now_ms)
    return [message(feed.name, "update", [row], moment.now_ms)]


def _by_price(levels: Levels) -> dict[str, str]:
    return {level[0]: level[1] for level in levels}


def _levels(shown: tuple[dict[str, str], dict[str, str]]) -> tuple[Levels, Levels]:
    bids, asks = shown
    return [list(level) for level in bids.items()], [list(level) for level in asks.items()]


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> Levels:
    gone = [[at, "0"] for at in before if at not in now]
    return gone + [[at, size] for at, size in now.items() if before.get(at) != size]


# --- names -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Channel:
    """One kind of public channel. *period_ms*: at most one push in it."""

    period_ms: int
    first: Callable[[Venue, Feed], Data]
    tell: Tell


TICKER = Channel(200, first_ticker, tell_ticker)
CANDLES = Channel(500, first_candles, tell_candles)
TRADES = Channel(1, first_trades, tell_trades)
TOP = Channel(150, first_book, tell_top)
CHANGES = Channel(150, first_book, tell_changes)


def channel_of(word: str) -> tuple[Channel, str] | None:
    """The kind behind a channel's word, and what the word says of it (an interval, a depth)."""
    plain = {"ticker": TICKER, "trade": TRADES, "books": CHANGES}.get(word)
    if plain is not None:
        return plain, ""
    for pattern, channel in ((_CANDLES, CANDLES), (_TOPS, TOP)):
        match = pattern.fullmatch(word)
        if match:
            return channel, match.group(1)
    return None


def listed_symbol(venue: Venue, text: str) -> Symbol | None:
    try:
        return venue.core.instrument(wire_symbol(text)).symbol
    except (WireError, CoreRefusal):
        return None


def open_feed(venue: Venue, name: str) -> Feed | None:
    """The feed behind a name; None when there is none."""
    word, _, instrument = name.partition("/")
    found, symbol = channel_of(word), listed_symbol(venue, instrument)
    if found is None or symbol is None:
        return None
    channel, argument = found
    return Feed(name, "public", symbol, channel.period_ms, channel.tell, argument)
