"""What the exchange says when nothing goes wrong: rules, clock, balance, settings, prices."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from holdfast.domain.account import MarginMode
from holdfast.domain.intents import Accepted, Rejected, RejectReason
from tests.conformance.case import case
from tests.conformance.stand import BTC, ETH, NONE_SUCH, SYMBOLS, Desk, P, refused

D = Decimal


@case(1, "opening reads the trading rules of every contract, and finds nothing it cannot read")
async def rules(d: Desk) -> None:
    assert set(SYMBOLS) <= set(d.exchange.instruments())
    for symbol in SYMBOLS:
        listed, known = d.core.instrument(symbol), d.rules(symbol)
        assert known.tradable
        assert (known.price_step, known.quantity_step) == (listed.price_step, listed.quantity_step)
        assert (known.quantity_min, known.notional_min) == (listed.quantity_min, listed.notional_min)
    assert d.exchange.instrument(NONE_SUCH) is None
    assert d.exchange.stats.gaps == {}


@case(2, "our clock may be wrong by minutes: it is measured, and requests are signed by the exchange's")
async def clock(d: Desk) -> None:
    d.clock.step(-180_000)
    refused(await d.send("hf-early"), RejectReason.CLOCK)
    await d.exchange.measure_clock()
    assert abs(d.exchange.clock_offset_ms() - 180_000) <= d.exchange.clock_uncertainty_ms() + 2
    await d.enter("hf-late")
    assert await d.held() == D("0.01")


@case(3, "the balance is the exchange's own, before a trade and with one open")
async def balance(d: Desk) -> None:
    for _ in range(2):
        found = (await d.exchange.balance(priority=P)).value
        truth = d.core.summary(d.account)
        assert found.currency == "USDT"
        assert abs(found.wallet - d.account.wallet) < D("0.0001")
        assert abs(found.equity - truth.equity) < 1
        assert abs(found.available - truth.available) < 1
        await d.enter()


@case(4, "a new account is empty, and every read that says so is complete")
async def empty(d: Desk) -> None:
    assert await d.positions() == {}
    for symbol in (None, BTC):
        assert await d.orders(symbol) == ()
        assert await d.stops(symbol) == ()
    assert await d.fills() == ()


@case(5, "position mode, right to trade, leverage and margin mode are read")
async def config(d: Desk) -> None:
    await d.exchange.watch_marks([BTC])
    await d.enter()
    await d.positions()
    found = await d.exchange.account_config(priority=P)
    assert (found.value.position_mode, found.value.can_trade) == (d.stand.mode, True)
    assert found.complete
    assert found.value.leverage[BTC] == d.account.leverage.get(BTC, d.core.config.leverage)
    assert found.value.margin_mode[BTC] is MarginMode.CROSS


@case(6, "bars come in order without gaps; all but the last are closed")
async def bars(d: Desk) -> None:
    found = await d.exchange.candles(BTC, "5m", 30, priority=P)
    assert [later.open_ms - earlier.open_ms for earlier, later in pairwise(found)] == [300_000] * 29
    assert all(bar.closed for bar in found[:-1])
    assert found[-1].open_ms + 300_000 > d.stand.clock.now_ms()


@case(7, "marks and quotes of one symbol and of many; one the exchange does not list is left out")
async def prices(d: Desk) -> None:
    for symbols in ([BTC], [BTC, ETH], [BTC, NONE_SUCH], [*SYMBOLS, NONE_SUCH], []):
        await d.rest(0.3)
        marks = await d.exchange.marks(symbols, priority=P)
        quotes = await d.exchange.quotes(symbols, priority=P)
        assert set(marks) == set(quotes) == set(symbols) - {NONE_SUCH}
        for symbol, mark in marks.items():
            assert abs(mark.price / d.core.prices(symbol).mark - 1) < D("0.001")
            assert quotes[symbol].sane


@case(8, "facts bear the time at which they were asked for and heard")
async def times(d: Desk) -> None:
    before = d.clock.now_ms()
    found = await d.exchange.positions(priority=P)
    assert before <= found.asked_ms < found.answered_ms <= d.clock.now_ms()


@case(9, "a symbol the exchange does not list is refused without a request that changes anything")
async def unknown_symbol(d: Desk) -> None:
    refused(await d.send(symbol=NONE_SUCH), RejectReason.SYMBOL)
    found = await d.exchange.find_order(NONE_SUCH, "hf-1", priority=P)
    assert not isinstance(found, Accepted | Rejected)
    assert d.account.orders == {}
