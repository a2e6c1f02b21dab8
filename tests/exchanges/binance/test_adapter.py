"""The port over real HTTP against scripted answers."""

import asyncio
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from holdfast.domain.account import MarginMode
from holdfast.domain.intents import (
    Accepted,
    NotFound,
    Priority,
    Purpose,
    Rejected,
    RejectReason,
    Unavailable,
    Unknown,
)
from holdfast.domain.orders import ExchangeStatus, Side, StopStatus
from holdfast.exchanges.port import Exchange, ExchangeError
from tests.exchanges.support import (
    BTC,
    NOW_MS,
    RECORDED,
    SYMBOL_ROW,
    HandClock,
    approved,
    binance,
    body,
    exchange_server,
    intent,
)

D = Decimal
ANSWERS: dict[str, Any] = RECORDED["answers"]
P = Priority.TRADE
ORDER = ("POST", "/fapi/v1/order")
ALGO = ("POST", "/fapi/v1/algoOrder")
OPENING = {
    ("GET", "/fapi/v1/time"): (200, body({"serverTime": NOW_MS + 1500})),
    ("GET", "/fapi/v1/exchangeInfo"): (200, body({"symbols": [SYMBOL_ROW]})),
    ("GET", "/fapi/v1/leverageBracket"): (200, body(ANSWERS["brackets"])),
}


def ack(**changes: Any) -> bytes:
    return body({**ANSWERS["market_ack"], "symbol": "BTCUSDT", "clientOrderId": "hf-1", **changes})


def algo_ack(**changes: Any) -> bytes:
    return body({**ANSWERS["algo"], "symbol": "BTCUSDT", "clientAlgoId": "hf-1", **changes})


async def test_opening_measures_the_clock_and_loads_the_rules() -> None:
    """Two time questions (the first connects), then markets once for all accounts of the address."""
    async with exchange_server(OPENING) as server, binance(server.url) as exchange:
        port: Exchange = exchange
        await port.open()
        found = port.instrument(BTC)
        assert found is not None
        assert (found.notional_min, len(found.brackets)) == (D(100), 2)
        assert port.clock_offset_ms() == 1500
        await port.open()
        assert len(server.sent_to("GET", "/fapi/v1/exchangeInfo")) == 1


async def test_a_request_is_signed_with_the_journaled_time() -> None:
    """The intent's time, corrected by the clock's offset, whatever time it is now."""
    async with exchange_server({**OPENING, ORDER: (200, ack())}) as server:
        clock = HandClock()
        async with binance(server.url, clock) as exchange:
            await exchange.open()
            clock.pass_ms(700)
            outcomes = await asyncio.gather(
                *(exchange.submit(approved(intent(), "hf-1", NOW_MS - n)) for n in range(5))
            )
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        sent = [dict(parse_qsl(text)) for text in server.sent_to(*ORDER)]
        assert sorted(int(params["timestamp"]) for params in sent) == [
            NOW_MS + 1500 - n for n in (4, 3, 2, 1, 0)
        ]
        assert {params["recvWindow"] for params in sent} == {"5000"}


async def test_a_filled_market_order_is_accepted_without_its_price() -> None:
    """The acknowledgement has no average price; 0 says so."""
    async with exchange_server({ORDER: (200, ack())}) as server, binance(server.url) as exchange:
        outcome = await exchange.submit(approved(intent()))
    assert isinstance(outcome, Accepted)
    assert outcome.order is not None
    assert (outcome.exchange_id, outcome.order.status) == ("22542179", ExchangeStatus.FILLED)
    assert (outcome.order.filled, outcome.order.average_price) == (D("0.100"), D(0))


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b""),
        (200, b"<html>maintenance</html>"),
        (200, b'{"orderId":225421'),
        (200, b"[]"),
        (200, b"null"),
        (200, b"{}"),
        (200, ack(clientOrderId="somebody-else")),
        (200, ack(symbol="ETHUSDT")),
        (200, ack(executedQty="NaN")),
        (200, ack(orderId=None)),
        (500, b""),
        (502, b"<html>Bad Gateway</html>"),
        (504, b"<html>Gateway Timeout</html>"),
        (408, b'{"code":-1007,"msg":"Timeout"}'),
        (503, b'{"code":-1001,"msg":"Internal error; unable to process your request."}'),
        (400, b'{"code":-7777,"msg":"New in town."}'),
        (307, b""),
    ],
)
async def test_a_doubtful_answer_to_an_order_is_unknown(status: int, content: bytes) -> None:
    """Never an exception, never a guess: ask by client id."""
    async with exchange_server({ORDER: (status, content)}) as server, binance(server.url) as exchange:
        assert isinstance(await exchange.submit(approved(intent())), Unknown)


async def test_a_refusal_is_told_with_its_reason_and_code() -> None:
    """Definite."""
    refused = (400, b'{"code":-2019,"msg":"Margin is insufficient."}')
    async with exchange_server({ORDER: refused}) as server, binance(server.url) as exchange:
        outcome = await exchange.submit(approved(intent()))
        assert outcome == Rejected(
            reason=RejectReason.MARGIN, code="-2019", message="Margin is insufficient."
        )
        assert exchange.stats.codes == {"-2019": 1}


async def test_silence_and_resets_are_unknown_but_refused_connections_are_not() -> None:
    """Only what never left is definite."""

    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    async def reset(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with exchange_server({ORDER: silent}) as server:
        async with binance(server.url, request_timeout_s=0.1) as exchange:
            assert isinstance(await exchange.submit(approved(intent())), Unknown)
        server.routes[ORDER] = reset
        async with binance(server.url) as exchange:
            assert isinstance(await exchange.submit(approved(intent())), Unknown)
        url = server.url
    async with binance(url) as exchange:
        assert isinstance(await exchange.submit(approved(intent())), Unavailable)
        with pytest.raises(ExchangeError) as failed:
            await exchange.positions(priority=P)
        assert isinstance(failed.value.outcome, Unavailable)


async def test_a_stop_is_placed_at_the_algo_service() -> None:
    """And its cancel answers with a code in quotes."""
    routes = {
        ALGO: (200, algo_ack()),
        ("DELETE", "/fapi/v1/algoOrder"): (200, body(ANSWERS["algo_cancel"])),
    }
    async with exchange_server(routes) as server, binance(server.url) as exchange:
        place = intent(purpose=Purpose.PLACE_STOP, side=Side.SELL, trigger_price=D(40), close_position=True)
        placed = await exchange.submit(approved(place))
        assert isinstance(placed, Accepted)
        assert placed.stop is not None
        assert placed.stop.status is StopStatus.LIVE
        cancel = intent(purpose=Purpose.CANCEL_STOP, target_id=placed.exchange_id)
        assert await exchange.submit(approved(cancel)) == Accepted(exchange_id="2146760")
        assert "algoId=2146760" in server.sent_to("DELETE", "/fapi/v1/algoOrder")[0]


async def test_a_limit_answer_holds_back_the_lower_priorities() -> None:
    """429: trade and observe are refused here until the time is over; protection is sent."""
    limited = (429, b'{"code":-1003,"msg":"Too many requests"}', {"Retry-After": "3"})
    clock = HandClock()
    async with exchange_server({ORDER: limited}) as server, binance(server.url, clock) as exchange:
        expected = Unavailable(cause="-1003 Too many requests", retry_after_ms=3000)
        assert await exchange.submit(approved(intent())) == expected
        held = await exchange.submit(approved(intent()))
        assert isinstance(held, Unavailable)
        assert len(server.requests) == 1
        await exchange.submit(approved(intent(priority=Priority.PROTECT)))
        assert len(server.requests) == 2
        clock.pass_ms(3000)
        server.routes[ORDER] = (200, ack())
        assert isinstance(await exchange.submit(approved(intent())), Accepted)


async def test_the_order_limit_of_one_account_holds_nobody_else() -> None:
    """-1015 counts orders of an account, not the address's weight."""
    limited = (429, b'{"code":-1015,"msg":"Too many new orders"}', {"Retry-After": "3"})
    async with exchange_server({ORDER: limited}) as server, binance(server.url) as exchange:
        for _ in range(2):
            assert isinstance(await exchange.submit(approved(intent())), Unavailable)
        assert len(server.requests) == 2


async def test_after_a_ban_nothing_is_sent() -> None:
    """418: not even an emergency."""
    banned = (418, b'{"code":-1003,"msg":"Way too many requests"}', {"Retry-After": "120"})
    async with exchange_server({ORDER: banned}) as server, binance(server.url) as exchange:
        await exchange.submit(approved(intent()))
        outcome = await exchange.submit(approved(intent(priority=Priority.EMERGENCY)))
        assert isinstance(outcome, Unavailable)
        assert (outcome.banned, outcome.retry_after_ms) == (True, 120_000)
        assert len(server.requests) == 1


# --- reads ---------------------------------------------------------------------------------------

POSITIONS = ("GET", "/fapi/v3/positionRisk")
QUARTER = {**ANSWERS["positions"][0], "symbol": "BTCUSDT_261225"}


async def test_positions_join_the_configuration_read_before() -> None:
    """The v3 rows carry neither leverage nor margin mode."""
    routes = {
        POSITIONS: (200, body(ANSWERS["positions"])),
        ("GET", "/fapi/v1/accountConfig"): (
            200,
            body({"canTrade": True, "dualSidePosition": True, "multiAssetsMargin": False}),
        ),
        ("GET", "/fapi/v1/symbolConfig"): (200, body(ANSWERS["symbol_config"])),
        ("POST", "/fapi/v1/leverage"): (200, body({"symbol": "BTCUSDT", "leverage": 7})),
        ("POST", "/fapi/v1/marginType"): (200, body({"code": 200, "msg": "success"})),
    }
    async with exchange_server(routes) as server, binance(server.url) as exchange:
        config = await exchange.account_config(priority=P)
        assert (config.value.position_mode, config.value.leverage) == ("hedge", {BTC: 20})
        (held,) = (await exchange.positions(priority=P)).value
        assert (held.leverage, held.margin_mode) == (20, MarginMode.CROSS)
        assert isinstance(await exchange.set_leverage(BTC, 7), Accepted)
        assert isinstance(await exchange.set_margin_mode(BTC, MarginMode.ISOLATED), Accepted)
        (held,) = (await exchange.positions(priority=P)).value
        assert (held.leverage, held.margin_mode) == (7, MarginMode.ISOLATED)


async def test_an_unreadable_position_makes_the_fact_incomplete() -> None:
    """Absence from it proves nothing; a delivery contract is a position like others."""
    rows = [*ANSWERS["positions"], QUARTER, {**QUARTER, "positionAmt": "many"}]
    async with exchange_server({POSITIONS: (200, body(rows))}) as server, binance(server.url) as exchange:
        fact = await exchange.positions(priority=P)
        assert (len(fact.value), fact.complete) == (2, False)
        assert exchange.stats.bad_rows == {"fapiPrivateV3GetPositionRisk": 1}


@pytest.mark.parametrize("content", [b"", b"{}", b"<html>", b'[{"symbol":"BTC', b'"x"', b"null"])
async def test_a_read_that_cannot_be_decoded_raises_our_word(content: bytes) -> None:
    """An empty answer is not an empty list."""
    async with exchange_server({POSITIONS: (200, content)}) as server, binance(server.url) as exchange:
        with pytest.raises(ExchangeError) as failed:
            await exchange.positions(priority=P)
        assert isinstance(failed.value.outcome, Unknown)


async def test_finding_an_order_tells_found_absent_and_unclear_apart() -> None:
    """-2013 is an answer, anything else is not."""
    find = ("GET", "/fapi/v1/order")
    async with exchange_server({find: (200, ack())}) as server, binance(server.url) as exchange:
        found = await exchange.find_order(BTC, "hf-1", priority=P)
        assert isinstance(found, Accepted)
        assert isinstance(await exchange.find_order(BTC, "hf-2", priority=P), Unknown)
        server.routes[find] = (400, b'{"code":-2013,"msg":"Order does not exist."}')
        assert await exchange.find_order(BTC, "hf-1", priority=P) == NotFound(asked_ms=NOW_MS)
        server.routes[find] = (401, b'{"code":-2015,"msg":"Invalid API-key"}')
        assert await exchange.find_order(BTC, "hf-1", priority=P) == Unknown(cause="-2015 Invalid API-key")


async def test_finding_a_stop_asks_the_algo_service() -> None:
    """By its client id."""
    find = ("GET", "/fapi/v1/algoOrder")
    async with exchange_server({find: (200, algo_ack())}) as server, binance(server.url) as exchange:
        found = await exchange.find_stop(BTC, "hf-1", priority=P)
        assert isinstance(found, Accepted)
        assert found.stop is not None
        server.routes[find] = (400, b'{"code":-2013,"msg":"Order does not exist."}')
        assert isinstance(await exchange.find_stop(BTC, "hf-1", priority=P), NotFound)


def trades(trade_ids: range, at_ms: int) -> list[dict[str, Any]]:
    row = {**ANSWERS["trades"][0], "time": at_ms}
    return [{**row, "id": trade_id} for trade_id in trade_ids]


TRADES = ("GET", "/fapi/v1/userTrades")
DAY_MS = 24 * 3600 * 1000


async def test_fills_are_asked_week_by_week_and_page_by_page() -> None:
    """Seven days a question; a full page goes on by trade id."""
    asked: list[dict[str, str]] = []

    async def history(request: web.Request) -> web.StreamResponse:
        where = dict(request.query)
        asked.append(where)
        if "fromId" in where:
            rows = trades(range(int(where["fromId"]), 1201), NOW_MS)
        elif "endTime" in where:
            rows = trades(range(100, 103), NOW_MS - 9 * DAY_MS)
        else:
            rows = trades(range(200, 1200), NOW_MS)
        return web.json_response(rows)

    async with exchange_server({TRADES: history}) as server, binance(server.url) as exchange:
        since = NOW_MS - 10 * DAY_MS
        fact = await exchange.fills(BTC, since, priority=P)
    ids = [int(fill.trade_id) for fill in fact.value]
    assert ids == [*range(100, 103), *range(200, 1201)]
    assert fact.complete
    assert asked[0]["startTime"] == str(since)
    assert int(asked[0]["endTime"]) - since == 7 * DAY_MS - 1
    assert asked[1]["startTime"] == str(int(asked[0]["endTime"]) + 1)
    assert "endTime" not in asked[1]
    assert asked[2]["fromId"] == "1200"
    assert "startTime" not in asked[2]


async def test_fills_say_when_history_is_cut_off() -> None:
    """Three months is all there is; an endless list ends at the page limit."""

    async def endless(request: web.Request) -> web.StreamResponse:
        start = int(request.query.get("fromId", 1))
        return web.json_response(trades(range(start, start + 1000), NOW_MS))

    async with exchange_server({TRADES: (200, b"[]")}) as server, binance(server.url) as exchange:
        assert (await exchange.fills(BTC, NOW_MS - DAY_MS, priority=P)).complete
        assert not (await exchange.fills(BTC, NOW_MS - 100 * DAY_MS, priority=P)).complete
        server.routes[TRADES] = endless
        fact = await exchange.fills(BTC, NOW_MS - 1000, priority=P)
        assert (len(fact.value), fact.complete) == (20_000, False)


async def test_bars_are_fetched_backwards_until_there_are_enough() -> None:
    """1500 a question at most; fewer when the market is younger."""

    async def klines(request: web.Request) -> web.StreamResponse:
        last = int(request.query.get("endTime", 2_000 * 60_000)) // 60_000
        first = max(0, last - int(request.query["limit"]) + 1)
        rows = [[n * 60_000, "1", "2", "1", "1", "9", n * 60_000 + 59_999] for n in range(first, last + 1)]
        return web.json_response(rows)

    route = {("GET", "/fapi/v1/klines"): klines}
    async with exchange_server(route) as server, binance(server.url) as exchange:
        bars = await exchange.candles(BTC, "1m", 1700, priority=P)
        assert [bars[0].open_ms, bars[-1].open_ms, len(bars)] == [301 * 60_000, 2_000 * 60_000, 1700]
        assert len(await exchange.candles(BTC, "1m", 5000, priority=P)) == 2001


async def test_marks_come_for_the_symbols_asked() -> None:
    """An object for one symbol; others in the answer are left out."""
    mark = {("GET", "/fapi/v1/premiumIndex"): (200, body(ANSWERS["premium"]))}
    async with exchange_server(mark) as server, binance(server.url) as exchange:
        found = await exchange.marks([BTC], priority=P)
        assert found[BTC].price == D("11793.63104562")
        assert found[BTC].source == "rest"
        server.routes[("GET", "/fapi/v1/premiumIndex")] = (
            200,
            body({**ANSWERS["premium"], "symbol": "XUSDT"}),
        )
        assert await exchange.marks([BTC], priority=P) == {}


TICKER = {"symbol": "BTCUSDT", "bidPrice": "60000.1", "bidQty": "2", "askPrice": "60000.2", "askQty": "1"}


async def test_best_bid_and_ask_come_for_the_symbols_asked() -> None:
    """With the time of asking: the answer may be older than its arrival."""
    route = ("GET", "/fapi/v1/ticker/bookTicker")
    async with exchange_server({route: (200, body(TICKER))}) as server, binance(server.url) as exchange:
        quote = (await exchange.quotes([BTC], priority=P))[BTC]
        assert (quote.bid, quote.ask, quote.asked_ms) == (D("60000.1"), D("60000.2"), NOW_MS)
        server.routes[route] = (200, body([{**TICKER, "symbol": "XUSDT"}, TICKER]))
        assert set(await exchange.quotes([BTC], priority=P)) == {BTC}
        assert await exchange.quotes([], priority=P) == {}


@pytest.mark.parametrize(
    "change", [{"bidQty": "0"}, {"askPrice": "0.00"}, {"bidPrice": "NaN"}, {"askQty": ""}, {"bidPrice": None}]
)
async def test_half_a_book_is_no_quote(change: dict[str, Any]) -> None:
    """Nothing on one side, or a price that is none: left out, so that nobody enters on it."""
    route = ("GET", "/fapi/v1/ticker/bookTicker")
    answers = {route: (200, body({**TICKER, **change}))}
    async with exchange_server(answers) as server, binance(server.url) as exchange:
        assert await exchange.quotes([BTC], priority=P) == {}


async def test_no_secret_and_no_signature_shows_in_an_error() -> None:
    """Causes end in journals and on screens."""
    async with binance("http://127.0.0.1:1") as exchange:
        outcome = await exchange.submit(approved(intent()))
    assert "signature" not in repr(outcome)
