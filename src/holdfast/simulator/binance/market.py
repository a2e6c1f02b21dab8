"""Market data over REST, and the shared figures its streams use, too (exchange sheet §3.1, §3.2).

The core's candles know prices and volume, not single trades behind them. What the exchange tells
beyond that is derived and marked: trade counts and taker volumes of candles, open interest.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from holdfast.domain.account import Candle
from holdfast.domain.numbers import ONE, ZERO, plain
from holdfast.domain.symbol import Symbol
from holdfast.simulator.binance.params import Params, wire_symbol
from holdfast.simulator.binance.render import amount
from holdfast.simulator.binance.venue import Call
from holdfast.simulator.core.instruments import SimInstrument
from holdfast.simulator.core.model import TradeEvent
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.figures import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Day,
    Row,
    best,
    price,
    quantity,
    typical,
)

PERPETUAL_DELIVERY_MS = 4_133_404_800_000
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
DEPTH_WEIGHTS: Mapping[int, int] = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
USUAL_FUNDING_HOURS = 8


def interval_ms(params: Params) -> int:
    return params.choice("interval", INTERVALS, WireError(-1120, "Invalid interval."))


# --- times and symbols ---------------------------------------------------------------------------


def ping(_call: Call) -> Row:
    return {}


def server_time(call: Call) -> Row:
    return {"serverTime": call.now_ms}


def exchange_info(call: Call) -> Row:
    limits, quote = call.venue.config.limits, call.core.config.quote
    rates = (
        ("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute),
        ("ORDERS", "MINUTE", 1, limits.orders_per_minute),
        ("ORDERS", "SECOND", 10, limits.orders_per_10s),
    )
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
            for kind, interval, number, limit in rates
        ],
        "exchangeFilters": [],
        "assets": [{"asset": quote, "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [symbol_info(call.core.instrument(symbol)) for symbol in call.core.symbols()],
    }


def symbol_info(instrument: SimInstrument) -> Row:
    symbol, first = instrument.symbol, instrument.brackets[0]
    return {
        "symbol": symbol.compact,
        "pair": symbol.compact,
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_DELIVERY_MS,
        "onboardDate": instrument.onboard_ms,
        "status": instrument.status,
        "maintMarginPercent": f"{first.maintenance_ratio * 100:.4f}",
        "requiredMarginPercent": f"{100 / Decimal(first.leverage_max):.4f}",
        "baseAsset": symbol.base,
        "quoteAsset": symbol.quote,
        "marginAsset": symbol.settle,
        "pricePrecision": instrument.price_decimals,
        "quantityPrecision": instrument.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": f"{instrument.trigger_protect:.4f}",
        "liquidationFee": f"{instrument.liquidation_fee:.6f}",
        "marketTakeBound": plain(instrument.market_take_bound),
        "maxMoveOrderLimit": 10_000,
        "filters": _filters(instrument),
        # The stops are listed though they are placed elsewhere: clients look here for them.
        "orderTypes": [
            "LIMIT",
            "MARKET",
            "STOP",
            "STOP_MARKET",
            "TAKE_PROFIT",
            "TAKE_PROFIT_MARKET",
            "TRAILING_STOP_MARKET",
        ],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        "permissionSets": ["GRID", "COPY"],
    }


def _filters(instrument: SimInstrument) -> list[Row]:
    step, least = plain(instrument.quantity_step), plain(instrument.quantity_min)
    tick = price(instrument, instrument.price_step)
    most = {"LOT_SIZE": instrument.quantity_max, "MARKET_LOT_SIZE": instrument.market_quantity_max}
    lots: list[Row] = [
        {"filterType": name, "minQty": least, "maxQty": plain(value), "stepSize": step}
        for name, value in most.items()
    ]
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": plain(instrument.price_min),
            "maxPrice": plain(instrument.price_max),
            "tickSize": tick,
        },
        *lots,
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": plain(instrument.notional_min)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": f"{instrument.percent_up:.4f}",
            "multiplierDown": f"{instrument.percent_down:.4f}",
            "multiplierDecimal": "4",
        },
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ]


# --- candles -------------------------------------------------------------------------------------


def trade_count(candle: Candle) -> int:
    """Derived: one trade a second while anything traded."""
    return 60 if candle.volume else 0


def kline_row(instrument: SimInstrument, candle: Candle, length_ms: int) -> list[object]:
    quote = candle.volume * typical(candle)
    return [
        candle.open_ms,
        price(instrument, candle.open),
        price(instrument, candle.high),
        price(instrument, candle.low),
        price(instrument, candle.close),
        quantity(instrument, candle.volume),
        candle.open_ms + length_ms - 1,
        f"{quote:.5f}",
        trade_count(candle),
        quantity(instrument, candle.volume / 2),
        f"{quote / 2:.5f}",
        "0",
    ]


def _price_row(instrument: SimInstrument, candle: Candle, length_ms: int) -> list[object]:
    """Of mark and index: volume fields are "0"."""
    row = kline_row(instrument, candle, length_ms)
    prices = [amount(value) for value in (candle.open, candle.high, candle.low, candle.close)]
    return [row[0], *prices, "0", row[6], "0", 60, "0", "0", "0"]


def _candles(call: Call, symbol: Symbol, source: str) -> tuple[Candle, ...]:
    params = call.params
    return call.core.candles(
        symbol,
        interval_ms(params),
        start_ms=params.integer_or_none("startTime"),
        end_ms=params.integer_or_none("endTime"),
        limit=params.limit(500, 1500),
        source=source,
    )


def _pair(call: Call) -> SimInstrument:
    return call.core.instrument(wire_symbol(call.params.need("pair")))


def klines(call: Call) -> list[list[object]]:
    instrument, length = call.instrument(), interval_ms(call.params)
    return [kline_row(instrument, c, length) for c in _candles(call, instrument.symbol, "last")]


def continuous_klines(call: Call) -> list[list[object]]:
    instrument, length = _pair(call), interval_ms(call.params)
    return [kline_row(instrument, c, length) for c in _candles(call, instrument.symbol, "last")]


def mark_klines(call: Call) -> list[list[object]]:
    instrument, length = call.instrument(), interval_ms(call.params)
    return [_price_row(instrument, c, length) for c in _candles(call, instrument.symbol, "mark")]


def index_klines(call: Call) -> list[list[object]]:
    instrument, length = _pair(call), interval_ms(call.params)
    return [_price_row(instrument, c, length) for c in _candles(call, instrument.symbol, "index")]


def premium_klines(call: Call) -> list[list[object]]:
    """The premium of the last price over the index, as a ratio."""
    instrument, length = call.instrument(), interval_ms(call.params)
    last = _candles(call, instrument.symbol, "last")
    index = {candle.open_ms: candle for candle in _candles(call, instrument.symbol, "index")}
    rows: list[list[object]] = []
    for candle in last:
        base = index.get(candle.open_ms, candle).close
        premium = amount(candle.close / base - ONE if base else ZERO)
        rows.append(
            [candle.open_ms, *[premium] * 4, "0", candle.open_ms + length - 1, "0", 60, "0", "0", "0"]
        )
    return rows


# --- book and tape -------------------------------------------------------------------------------


def depth(call: Call) -> Row:
    instrument, limit = call.instrument(), call.params.integer("limit", 500)
    if limit not in DEPTH_WEIGHTS:
        raise WireError(-4021, f"{limit} is not valid depth limit.")
    update_id, bids, asks = call.venue.books.read(instrument.symbol, limit)
    return {"lastUpdateId": update_id, "E": call.now_ms, "T": call.now_ms, "bids": bids, "asks": asks}


def trades(call: Call) -> list[Row]:
    instrument = call.instrument()
    tape = call.core.tape(instrument.symbol, call.params.limit(500, 1000))
    return [
        {
            "id": trade.trade_id,
            "price": price(instrument, trade.price),
            "qty": quantity(instrument, trade.quantity),
            "quoteQty": f"{trade.price * trade.quantity:.5f}",
            "time": trade.at_ms,
            "isBuyerMaker": trade.buyer_is_maker,
            "isRPITrade": False,
        }
        for trade in tape
    ]


def agg_trades(call: Call) -> list[Row]:
    """Each print of the tape is one aggregate trade here."""
    instrument, params = call.instrument(), call.params
    limit = params.limit(500, 1000)
    tape = call.core.tape(instrument.symbol, 1000)
    first = params.integer("fromId", 0)
    start, end = params.integer("startTime", 0), params.integer("endTime", call.now_ms)
    chosen = [trade for trade in tape if trade.trade_id >= first and start <= trade.at_ms <= end]
    forward = "fromId" in params or "startTime" in params
    return [agg_row(instrument, trade) for trade in (chosen[:limit] if forward else chosen[-limit:])]


def agg_row(instrument: SimInstrument, trade: TradeEvent) -> Row:
    size = quantity(instrument, trade.quantity)
    return {
        "a": trade.trade_id,
        "p": price(instrument, trade.price),
        "q": size,
        "nq": size,
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": trade.at_ms,
        "m": trade.buyer_is_maker,
    }


# --- tickers -------------------------------------------------------------------------------------


def one_or_all(call: Call, rows: list[Row]) -> Row | list[Row]:
    """An object for the symbol asked for, a list without one."""
    return rows[0] if "symbol" in call.params else rows


def ticker_24h(call: Call) -> Row | list[Row]:
    return one_or_all(
        call, [_day_row(call, symbol, call.venue.days.day(symbol)) for symbol in call.symbols()]
    )


def _day_row(call: Call, symbol: Symbol, day: Day) -> Row:
    instrument = call.core.instrument(symbol)
    tape = call.core.tape(symbol, 1)
    last_id = tape[-1].trade_id if tape else -1
    return {
        "symbol": symbol.compact,
        "priceChange": price(instrument, day.change),
        "priceChangePercent": f"{day.change_percent:.3f}",
        "weightedAvgPrice": price(instrument, day.average),
        "lastPrice": price(instrument, day.last),
        "lastQty": quantity(instrument, tape[-1].quantity if tape else ZERO),
        "openPrice": price(instrument, day.open),
        "highPrice": price(instrument, day.high),
        "lowPrice": price(instrument, day.low),
        "volume": quantity(instrument, day.volume),
        "quoteVolume": f"{day.quote_volume:.2f}",
        "openTime": day.open_ms,
        "closeTime": day.close_ms,
        "firstId": max(0, last_id - DAY_MS // 1000),
        "lastId": last_id,
        "count": DAY_MS // 1000 if tape else 0,
    }


def ticker_price(call: Call) -> Row | list[Row]:
    rows: list[Row] = []
    for symbol in call.symbols():
        last = price(call.core.instrument(symbol), call.core.prices(symbol).last)
        rows.append({"symbol": symbol.compact, "price": last, "time": call.now_ms})
    return one_or_all(call, rows)


def book_ticker(call: Call) -> Row | list[Row]:
    rows: list[Row] = []
    for symbol in call.symbols():
        update_id, bids, asks = call.venue.books.read(symbol, 1)
        (bid, bid_size), (ask, ask_size) = best(bids), best(asks)
        rows.append(
            {
                "symbol": symbol.compact,
                "bidPrice": bid,
                "bidQty": bid_size,
                "askPrice": ask,
                "askQty": ask_size,
                "time": call.now_ms,
                "lastUpdateId": update_id,
            }
        )
    return one_or_all(call, rows)


# --- mark price and funding ----------------------------------------------------------------------


def premium_index(call: Call) -> Row | list[Row]:
    rows: list[Row] = []
    for symbol in call.symbols():
        prices, (rate, at_ms) = call.core.prices(symbol), call.core.funding(symbol)
        rows.append(
            {
                "symbol": symbol.compact,
                "markPrice": amount(prices.mark),
                "indexPrice": amount(prices.index),
                "estimatedSettlePrice": amount(prices.index),
                "lastFundingRate": amount(rate),
                "interestRate": "0.00010000",
                "nextFundingTime": at_ms,
                "time": call.now_ms,
            }
        )
    return one_or_all(call, rows)


def funding_rates(call: Call) -> list[Row]:
    params = call.params
    call.venue.limiter.weigh_funding(call.address, call.now_ms)
    start, end = params.integer("startTime", 0), params.integer("endTime", call.now_ms)
    rows = sorted(
        (at_ms, symbol.compact, rate, mark)
        for symbol in call.symbols()
        for at_ms, rate, mark in call.core.funding_history(symbol)
        if start <= at_ms <= end
    )
    limit = params.limit(100, 1000)
    chosen = rows[:limit] if "startTime" in params else rows[-limit:]
    return [
        {
            "symbol": name,
            "fundingTime": at_ms,
            "fundingRate": amount(rate),
            "markPrice": amount(mark),
            "rateType": "Regular",
        }
        for at_ms, name, rate, mark in chosen
    ]


def funding_info(call: Call) -> list[Row]:
    """Only symbols whose interval is not the usual one."""
    call.venue.limiter.weigh_funding(call.address, call.now_ms)
    unusual = (
        instrument
        for instrument in (call.core.instrument(symbol) for symbol in call.core.symbols())
        if instrument.funding_interval_hours != USUAL_FUNDING_HOURS
    )
    return [
        {
            "symbol": instrument.symbol.compact,
            "adjustedFundingRateCap": "0.02000000",
            "adjustedFundingRateFloor": "-0.02000000",
            "fundingIntervalHours": instrument.funding_interval_hours,
            "disclaimer": False,
        }
        for instrument in unusual
    ]


def open_interest(call: Call) -> Row:
    """Derived: a tenth of what was traded in 24 hours."""
    instrument = call.instrument()
    size = quantity(instrument, call.venue.days.day(instrument.symbol).volume / 10)
    return {"openInterest": size, "symbol": instrument.symbol.compact, "time": call.now_ms}


def adl_risk(call: Call) -> Row | list[Row]:
    rows: list[Row] = [
        {"symbol": symbol.compact, "adlRisk": "low", "updateTime": call.now_ms} for symbol in call.symbols()
    ]
    return one_or_all(call, rows)
