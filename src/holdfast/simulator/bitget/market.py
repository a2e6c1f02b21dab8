"""Market data over REST (bitget.md §3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.domain.account import Candle
from holdfast.domain.numbers import ZERO, plain
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bitget import errors
from holdfast.simulator.bitget.params import PRODUCT
from holdfast.simulator.bitget.venue import MARGIN_COIN, Call
from holdfast.simulator.core.instruments import SimInstrument
from holdfast.simulator.core.model import TradeEvent
from holdfast.simulator.wire import venue as wire
from holdfast.simulator.wire.figures import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Row,
    best,
    fine,
    price,
    quantity,
    typical,
)

ZONES = ("", "utc")
INTERVALS: Mapping[str, int] = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1H": HOUR_MS,
    "2H": 2 * HOUR_MS,
    "4H": 4 * HOUR_MS,
    **{f"{hours}H{zone}": hours * HOUR_MS for hours in (6, 12) for zone in ZONES},
    **{f"{days}D{zone}": days * DAY_MS for days in (1, 3) for zone in ZONES},
    **{f"1W{zone}": 7 * DAY_MS for zone in ZONES},
}
"""Candles by granularity; both spellings of the long ones are aligned to UTC here."""
SOURCES: Mapping[str, str] = {"market": "last", "mark": "mark", "index": "index"}
STATUSES: Mapping[str, str] = {"TRADING": "normal", "CLOSE": "off"}
DEPTH_MAX = 200
FUNDING_BOUND = "0.003"


def server_time(call: Call) -> Row:
    return {"serverTime": str(call.now_ms)}


def no_rows(_call: Call) -> list[Row]:
    """What clients ask for on their way (coins, spot and margin markets): there is none."""
    return []


def _listed(call: Call) -> tuple[Symbol, ...]:
    """The symbols asked for; other product types have none."""
    return call.symbols() if call.params.product() == PRODUCT else ()


# --- contracts -------------------------------------------------------------------------------------


def contracts(call: Call) -> list[Row]:
    return [contract_row(call.core.instrument(symbol)) for symbol in _listed(call)]


def end_step(instrument: SimInstrument) -> str:
    """The tick in units of its last decimal: 5 at a tick of 0.5."""
    return plain(instrument.price_step.scaleb(instrument.price_decimals))


def contract_row(instrument: SimInstrument) -> Row:
    symbol = instrument.symbol
    return {
        "symbol": symbol.compact,
        "baseCoin": symbol.base,
        "quoteCoin": symbol.quote,
        "buyLimitPriceRatio": plain(instrument.percent_up - 1),
        "sellLimitPriceRatio": plain(1 - instrument.percent_down),
        "feeRateUpRatio": "0.005",
        "makerFeeRate": plain(instrument.maker_fee),
        "takerFeeRate": plain(instrument.taker_fee),
        "openCostUpRatio": "0.01",
        "supportMarginCoins": [MARGIN_COIN],
        "minTradeNum": plain(instrument.quantity_min),
        "priceEndStep": end_step(instrument),
        "volumePlace": str(instrument.quantity_decimals),
        "pricePlace": str(instrument.price_decimals),
        "sizeMultiplier": plain(instrument.quantity_step),
        "symbolType": "perpetual",
        "minTradeUSDT": plain(instrument.notional_min),
        "maxSymbolOrderNum": "200",
        "maxProductOrderNum": "1000",
        "maxPositionNum": "150",
        "symbolStatus": STATUSES.get(instrument.status, "maintain"),
        "offTime": "-1",
        "limitOpenTime": "-1",
        "deliveryTime": "",
        "deliveryStartTime": "",
        "deliveryPeriod": "",
        "launchTime": str(instrument.onboard_ms),
        "fundInterval": str(instrument.funding_interval_hours),
        "minLever": "1",
        "maxLever": str(instrument.leverage_max),
        "posLimit": "0.05",
        "maintainTime": "",
        "maxMarketOrderQty": plain(instrument.market_quantity_max),
        "maxOrderQty": plain(instrument.quantity_max),
    }


def tiers(call: Call) -> list[Row]:
    """Position tiers of the mandatory symbol."""
    call.params.product()
    instrument = call.instrument()
    return [
        {
            "symbol": instrument.symbol.compact,
            "level": str(level),
            "startUnit": plain(bracket.notional_floor),
            "endUnit": plain(bracket.notional_cap),
            "leverage": str(bracket.leverage_max),
            "keepMarginRate": plain(bracket.maintenance_ratio),
        }
        for level, bracket in enumerate(instrument.brackets, 1)
    ]


def vip_fees(_call: Call) -> list[Row]:
    return [
        {
            "level": "1",
            "dealAmount": "100000",
            "assetAmount": "50000",
            "takerFeeRate": "0.0006",
            "makerFeeRate": "0.0002",
            "btcWithdrawAmount": "300",
            "usdtWithdrawAmount": "5000000",
        }
    ]


# --- tickers ---------------------------------------------------------------------------------------


def ticker_figures(venue: wire.Venue, symbol: Symbol) -> Row:
    """What REST and the ticker channel share."""
    instrument, day, prices = venue.core.instrument(symbol), venue.days.day(symbol), venue.core.prices(symbol)
    _, bids, asks = venue.books.read(symbol, 1)
    (bid, bid_size), (ask, ask_size) = best(bids), best(asks)
    rate, _ = venue.core.funding(symbol)
    return {
        "lastPr": price(instrument, prices.last),
        "askPr": ask,
        "bidPr": bid,
        "bidSz": bid_size,
        "askSz": ask_size,
        "high24h": price(instrument, day.high),
        "low24h": price(instrument, day.low),
        "change24h": f"{day.change / day.open if day.open else ZERO:.5f}",
        "baseVolume": quantity(instrument, day.volume),
        "quoteVolume": fine(day.quote_volume),
        "openUtc": price(instrument, day.open),
        "indexPrice": fine(prices.index),
        "fundingRate": plain(rate),
        "holdingAmount": quantity(instrument, day.volume / 10),
        "open24h": price(instrument, day.open),
        "markPrice": fine(prices.mark),
    }


def ticker_row(call: Call, symbol: Symbol) -> Row:
    figures = ticker_figures(call.venue, symbol)
    return (
        {"symbol": symbol.compact}
        | figures
        | {
            "ts": str(call.now_ms),
            "usdtVolume": figures["quoteVolume"],
            "changeUtc24h": figures["change24h"],
            "deliveryStartTime": None,
            "deliveryTime": None,
            "deliveryStatus": "",
        }
    )


def ticker(call: Call) -> list[Row]:
    call.params.product()
    return [ticker_row(call, call.instrument().symbol)]


def tickers(call: Call) -> list[Row]:
    return [ticker_row(call, symbol) for symbol in _listed(call)]


def symbol_price(call: Call) -> list[Row]:
    call.params.product()
    instrument = call.instrument()
    prices = call.core.prices(instrument.symbol)
    return [
        {
            "symbol": instrument.symbol.compact,
            "price": price(instrument, prices.last),
            "indexPrice": fine(prices.index),
            "markPrice": fine(prices.mark),
            "ts": str(call.now_ms),
        }
    ]


# --- book and tape ---------------------------------------------------------------------------------


def depth(call: Call) -> Row:
    """Any limit is taken; `max` gives as much as there is."""
    call.params.product()
    instrument, word = call.instrument(), call.params.text("limit", "100")
    levels = DEPTH_MAX if word == "max" else call.params.limit(100, DEPTH_MAX)
    _, bids, asks = call.venue.books.read(instrument.symbol, levels)
    return {
        "asks": asks,
        "bids": bids,
        "ts": str(call.now_ms),
        "scale": plain(instrument.price_step),
        "precision": "scale0",
        "isMaxPrecision": "NO",
    }


def trade_row(instrument: SimInstrument, trade: TradeEvent) -> Row:
    return {
        "tradeId": str(trade.trade_id),
        "price": price(instrument, trade.price),
        "size": quantity(instrument, trade.quantity),
        "side": "sell" if trade.buyer_is_maker else "buy",
        "ts": str(trade.at_ms),
    }


def trades(call: Call) -> list[Row]:
    """Newest first."""
    call.params.product()
    instrument = call.instrument()
    tape = call.core.tape(instrument.symbol, call.params.limit(100, 1_000))
    return [trade_row(instrument, trade) | {"symbol": instrument.symbol.compact} for trade in reversed(tape)]


# --- candles ---------------------------------------------------------------------------------------


def candle_row(instrument: SimInstrument, candle: Candle) -> list[str]:
    prices = (candle.open, candle.high, candle.low, candle.close)
    volumes = (quantity(instrument, candle.volume), fine(candle.volume * typical(candle)))
    return [str(candle.open_ms), *(price(instrument, value) for value in prices), *volumes]


def _candles(call: Call, source: str, most: int) -> list[list[str]]:
    params = call.params
    params.product()
    instrument, word = call.instrument(), params.need("granularity")
    if word not in INTERVALS:
        raise errors.wrong("granularity")
    start, end = params.integer_or_none("startTime"), params.integer_or_none("endTime")
    limit = params.limit(100, most)
    if start is not None and end is not None and (end - start) // INTERVALS[word] > limit:
        start = None  # the newest of a span that holds more
    found: Sequence[Candle] = call.core.candles(
        instrument.symbol, INTERVALS[word], start_ms=start, end_ms=end, limit=limit, source=source
    )
    return [candle_row(instrument, candle) for candle in found]


def candles(call: Call) -> list[list[str]]:
    source = call.params.choice_or("kLineType", SOURCES, "last", errors.wrong("kLineType"))
    return _candles(call, source, 1_000)


def old_candles(call: Call) -> list[list[str]]:
    return _candles(call, "last", 200)


def old_mark_candles(call: Call) -> list[list[str]]:
    return _candles(call, "mark", 200)


def old_index_candles(call: Call) -> list[list[str]]:
    return _candles(call, "index", 200)


# --- funding ---------------------------------------------------------------------------------------


def funding_rate(call: Call) -> list[Row]:
    rows: list[Row] = []
    for symbol in _listed(call):
        rate, at_ms = call.core.funding(symbol)
        rows.append(
            {
                "symbol": symbol.compact,
                "fundingRate": plain(rate),
                "fundingRateInterval": str(call.core.instrument(symbol).funding_interval_hours),
                "nextUpdate": str(at_ms),
                "minFundingRate": f"-{FUNDING_BOUND}",
                "maxFundingRate": FUNDING_BOUND,
            }
        )
    return rows


def funding_time(call: Call) -> list[Row]:
    call.params.product()
    instrument = call.instrument()
    _, at_ms = call.core.funding(instrument.symbol)
    hours = str(instrument.funding_interval_hours)
    return [{"symbol": instrument.symbol.compact, "nextFundingTime": str(at_ms), "ratePeriod": hours}]


def old_funding(call: Call) -> list[Row]:
    """Newest first, by pages."""
    call.params.product()
    symbol, size = call.instrument().symbol, call.params.integer("pageSize", 20)
    number = call.params.integer("pageNo", 1)
    if not 0 < size <= 100 or number < 1:
        raise errors.wrong("pageSize")
    past = list(reversed(call.core.funding_history(symbol)))[(number - 1) * size : number * size]
    return [
        {"symbol": symbol.compact, "fundingRate": plain(rate), "fundingTime": str(at_ms)}
        for at_ms, rate, _ in past
    ]


def open_interest(call: Call) -> Row:
    """Derived: a tenth of what was traded in 24 hours."""
    call.params.product()
    instrument = call.instrument()
    size = quantity(instrument, call.venue.days.day(instrument.symbol).volume / 10)
    return {
        "openInterestList": [{"symbol": instrument.symbol.compact, "size": size}],
        "ts": str(call.now_ms),
    }
