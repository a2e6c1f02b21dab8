"""Public market data over REST (exchange sheet §3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from holdfast.domain.account import Candle
from holdfast.domain.numbers import ZERO
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bingx.errors import error, invalid
from holdfast.simulator.bingx.params import Params
from holdfast.simulator.bingx.render import number
from holdfast.simulator.bingx.venue import Call, Whole
from holdfast.simulator.core.instruments import SimInstrument, decimals_of
from holdfast.simulator.wire import venue as venues
from holdfast.simulator.wire.figures import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Levels,
    Row,
    best,
    price,
    quantity,
)

# A month is no fixed time and is left out.
INTERVALS: Mapping[str, int] = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
}
DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
KLINES_MAX = 1_440
STATUSES: Mapping[str, int] = {"TRADING": 1, "PENDING_TRADING": 5, "CLOSE": 0}
FORBIDDEN = 25
"""Of every other status: opening is forbidden."""


def server_time(call: Call) -> Row:
    return {"serverTime": call.now_ms}


def contracts(call: Call) -> list[Row]:
    return [contract(number_, call.core.instrument(one)) for number_, one in enumerate(call.symbols(), 100)]


def contract(number_: int, rules: SimInstrument) -> Row:
    status = STATUSES.get(rules.status, FORBIDDEN)
    return {
        "contractId": str(number_),
        "symbol": rules.symbol.dashed,
        "size": "0",
        "quantityPrecision": decimals_of(rules.quantity_step),
        "pricePrecision": decimals_of(rules.price_step),
        "feeRate": float(rules.taker_fee),
        "makerFeeRate": float(rules.maker_fee),
        "takerFeeRate": float(rules.taker_fee),
        "tradeMinLimit": 0,
        "tradeMinQuantity": number(rules.quantity_min),
        "tradeMinUSDT": number(rules.notional_min),
        "maxLongLeverage": rules.leverage_max,
        "maxShortLeverage": rules.leverage_max,
        "currency": rules.symbol.settle,
        "asset": rules.symbol.base,
        "status": status,
        "apiStateOpen": "true" if status == 1 else "false",
        "apiStateClose": "true" if status in (1, FORBIDDEN) else "false",
        "ensureTrigger": True,
        "triggerFeeRate": "0.00050000",
        "brokerState": "false",
        "launchTime": rules.onboard_ms,
        "maintainTime": 0,
        "offTime": 0,
        "displayName": rules.symbol.dashed,
    }


# --- tickers ---------------------------------------------------------------------------------------


def one_or_all(call: Call, rows: list[Row]) -> Row | list[Row]:
    """An object for the symbol asked for, a list without one."""
    return rows[0] if "symbol" in call.params else rows


def ticker(call: Call) -> Row | list[Row]:
    return one_or_all(call, [_day_row(call, symbol) for symbol in call.symbols()])


def _day_row(call: Call, symbol: Symbol) -> Row:
    venue = call.venue
    instrument, day, tape = venue.core.instrument(symbol), venue.days.day(symbol), venue.core.tape(symbol, 1)
    _, bids, asks = venue.books.read(symbol, 1)
    (bid, bid_size), (ask, ask_size) = best(bids), best(asks)
    return {
        "symbol": symbol.dashed,
        "priceChange": price(instrument, day.change),
        "priceChangePercent": f"{day.change_percent:.2f}" + "%" * call.switches.percent_sign,
        "lastPrice": price(instrument, day.last),
        "lastQty": quantity(instrument, tape[-1].quantity if tape else ZERO),
        "highPrice": price(instrument, day.high),
        "lowPrice": price(instrument, day.low),
        "volume": quantity(instrument, day.volume),
        "quoteVolume": f"{day.quote_volume:.2f}",
        "openPrice": price(instrument, day.open),
        "openTime": day.open_ms,
        "closeTime": day.close_ms,
        "askPrice": ask,
        "askQty": ask_size,
        "bidPrice": bid,
        "bidQty": bid_size,
    }


def ticker_price(call: Call) -> Row | list[Row]:
    rows: list[Row] = []
    for symbol in call.symbols():
        last = price(call.core.instrument(symbol), call.core.prices(symbol).last)
        rows.append({"symbol": symbol.dashed, "price": last, "time": call.now_ms})
    return one_or_all(call, rows)


def book_ticker(call: Call) -> Row:
    symbol = call.instrument().symbol
    _, bids, asks = call.venue.books.read(symbol, 1)
    (bid, bid_size), (ask, ask_size) = best(bids), best(asks)
    row = {"bid_price": bid, "bid_qty": bid_size, "ask_price": ask, "ask_qty": ask_size}
    numbers = {name: number(Decimal(text)) for name, text in row.items()}
    return {"book_ticker": {"symbol": symbol.dashed, **numbers}}


# --- book and tape ---------------------------------------------------------------------------------


def book(venue: venues.Venue, symbol: Symbol, depth_: int) -> tuple[int, Levels, Levels]:
    """Update id, bids and asks; the asks descend: the best is last."""
    update_id, bids, asks = venue.books.read(symbol, depth_)
    return update_id, bids, asks[::-1]


def depth(call: Call) -> Row:
    instrument, limit = call.instrument(), call.params.integer("limit", 20)
    if limit not in DEPTHS:
        raise invalid(f"limit: expected one of {', '.join(map(str, DEPTHS))}, found {limit}.")
    _, bids, asks = book(call.venue, instrument.symbol, limit)
    return {"T": call.now_ms, "bids": bids, "asks": asks, "bidsCoin": bids, "asksCoin": asks}


def _trade_rows(call: Call) -> list[Row]:
    instrument = call.instrument()
    tape = call.core.tape(instrument.symbol, call.params.limit(500, 1_000))
    return [
        {
            "time": trade.at_ms,
            "isBuyerMaker": trade.buyer_is_maker,
            "price": price(instrument, trade.price),
            "qty": quantity(instrument, trade.quantity),
            "quoteQty": f"{trade.price * trade.quantity:.2f}",
            "id": str(trade.trade_id),
        }
        for trade in reversed(tape)
    ]


def trades(call: Call) -> list[Row]:
    return [{name: row[name] for name in row if name != "id"} for row in _trade_rows(call)]


def historical_trades(call: Call) -> list[Row]:
    return _trade_rows(call)


# --- candles ---------------------------------------------------------------------------------------


def interval_ms(params: Params) -> int:
    return params.choice("interval", INTERVALS, invalid("interval"))


def _candles(call: Call, source: str) -> list[Candle]:
    """Newest first."""
    params, limit = call.params, call.params.integer("limit", 500)
    if not 0 < limit <= KLINES_MAX:
        raise error(109414, f"limit: expected 1 to {KLINES_MAX}, found {limit}")
    found = call.core.candles(
        call.instrument().symbol,
        interval_ms(params),
        start_ms=params.integer_or_none("startTime"),
        end_ms=params.integer_or_none("endTime"),
        limit=limit,
        source=source,
    )
    return list(reversed(found))


def _prices(instrument: SimInstrument, candle: Candle) -> Row:
    return {
        "open": price(instrument, candle.open),
        "close": price(instrument, candle.close),
        "high": price(instrument, candle.high),
        "low": price(instrument, candle.low),
    }


def klines(call: Call) -> list[Row]:
    instrument = call.instrument()
    return [
        _prices(instrument, one) | {"volume": quantity(instrument, one.volume), "time": one.open_ms}
        for one in _candles(call, "last")
    ]


def mark_klines(call: Call) -> list[Row]:
    instrument, length = call.instrument(), interval_ms(call.params)
    return [
        _prices(instrument, one)
        | {"volume": "0", "openTime": one.open_ms, "closeTime": one.open_ms + length - 1}
        for one in _candles(call, "mark")
    ]


# --- mark price and funding ------------------------------------------------------------------------


def premium_index(call: Call) -> Row | list[Row]:
    rows: list[Row] = []
    for symbol in call.symbols():
        instrument = call.core.instrument(symbol)
        prices, (rate, at_ms) = call.core.prices(symbol), call.core.funding(symbol)
        rows.append(
            {
                "symbol": symbol.dashed,
                "markPrice": price(instrument, prices.mark),
                "indexPrice": price(instrument, prices.index),
                "lastFundingRate": f"{rate:.8f}",
                "nextFundingTime": at_ms,
                "fundingIntervalHours": instrument.funding_interval_hours,
                "updateTime": call.now_ms,
            }
        )
    return rows if call.switches.index_always_lists else one_or_all(call, rows)


def funding_rates(call: Call) -> list[Row]:
    """Newest first."""
    symbol, params = call.instrument().symbol, call.params
    start, end = params.integer("startTime", 0), params.integer("endTime", call.now_ms)
    past = [(at, rate) for at, rate, _ in call.core.funding_history(symbol) if start <= at <= end]
    limit = params.limit(100, 1_000)
    chosen = past[:limit] if "startTime" in params else past[-limit:]
    return [
        {"symbol": symbol.dashed, "fundingRate": f"{rate:.8f}", "fundingTime": at}
        for at, rate in reversed(chosen)
    ]


def open_interest(call: Call) -> Row:
    """Derived: a tenth of what was traded in 24 hours, in quote."""
    symbol = call.instrument().symbol
    value = call.venue.days.day(symbol).quote_volume / 10
    return {"openInterest": f"{value:.2f}", "symbol": symbol.dashed, "time": call.now_ms}


# --- what clients ask on their way here --------------------------------------------------------------


def no_rows(_call: Call) -> list[Row]:
    return []


def no_symbols(_call: Call) -> Row:
    return {"symbols": []}


def no_currencies(call: Call) -> Whole:
    return Whole({"code": 0, "timestamp": call.now_ms, "data": []})
