"""Stops are looked for in every book of the exchange; "there is none" takes an answer of each (G14)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest

from holdfast.decisions.policy import Freshness, Protection
from holdfast.domain.orders import Direction
from holdfast.engine.liquidation import LiquidationState
from tests.engine.world import BTC, RunningBot, World, world


@dataclass(frozen=True)
class Book:
    """One of the questions that a census of an exchange consists of."""

    exchange: str
    path: str
    params: dict[str, str] = field(default_factory=dict)


BOOKS = {
    "binance": Book("binance", "/openAlgoOrders$"),
    "bingx": Book("bingx", "/trade/openOrders$"),
    "bitget-stops": Book("bitget", "/orders-plan-pending$", {"planType": "profit_loss"}),
    "bitget-triggers": Book("bitget", "/orders-plan-pending$", {"planType": "normal_plan"}),
    "bitget-trailing": Book("bitget", "/orders-plan-pending$", {"planType": "track_plan"}),
    "bitget-positions": Book("bitget", "/single-position$"),
}
FAILURES = {
    "fails": {"kind": "endpoint_down"},
    "hangs": {"kind": "delay", "delay_ms": 60_000},
    "empty": {"kind": "empty"},
}
CASES = [(book, "fails") for book in BOOKS] + [
    (book, failure) for book in ("binance", "bingx", "bitget-stops") for failure in ("hangs", "empty")
]
DEADLINE_S = 2
"""A position without a stop is left by then."""
QUICK = Protection(default_stop_pct=Decimal(2), protect_deadline_ms=DEADLINE_S * 1_000, retry_ms=200)
FRESH = Freshness(positions_ms=1_000, orders_ms=1_000, balance_ms=2_000)


async def protected(w: World, running: RunningBot) -> None:
    w.strategy.wishes = {BTC: Direction.LONG}
    await running.until(lambda: bool(running.bot.view.positions), "a position")
    await running.until(lambda: not w.truth().unprotected_now, "a stop")
    await running.until(lambda: bool(running.bot.account.state.stops.reads), "a whole census")
    w.strategy.wishes = {}


@pytest.mark.parametrize(("book", "failure"), CASES)
async def test_no_stop_is_concluded_until_every_book_was_read(
    tmp_path: Path, book: str, failure: str
) -> None:
    """The stop is cancelled by hand, and no event tells. While one book does not answer nothing may be
    concluded from the others; once it does, the stop is missed and placed anew."""
    asked = BOOKS[book]
    async with world(tmp_path, exchange=asked.exchange, protection=QUICK, freshness=FRESH) as w:
        w.request_timeout_s = 0.5
        async with w.bot() as running:
            await protected(w, running)
            fault = w.fault(path=asked.path, params=asked.params, **FAILURES[failure])
            deaf = w.fault(kind="events_dropped", stream="user")
            w.server.core.cancel_stops_by_hand(w.account_id, BTC)
            await asyncio.sleep(DEADLINE_S + 1)
            assert w.fired(fault) > 0, "the book was not asked"
            (held,) = w.truth().positions
            assert held.stops_live == 0, "a stop was placed on the word of the other books"
            assert running.bot.account.state.tracked, "the position was left"
            w.server.faults.remove(fault)
            await running.until(lambda: w.truth().positions[0].stops_live == 1, "the stop again", 20)
            w.server.faults.remove(deaf)
            result = await running.stop()
        assert result.state is LiquidationState.COMPLETED
        assert w.truth().exits == 1


@pytest.mark.parametrize("book", BOOKS)
async def test_a_start_finds_its_stop_though_one_book_fails(tmp_path: Path, book: str) -> None:
    """What the other books or the journal's own names show is there: no second stop, and nothing is left."""
    asked = BOOKS[book]
    async with world(tmp_path, exchange=asked.exchange, protection=QUICK, freshness=FRESH) as w:
        async with w.bot() as first:
            await protected(w, first)
        fault = w.fault(path=asked.path, params=asked.params, kind="endpoint_down")
        async with w.bot() as second:
            await asyncio.sleep(DEADLINE_S + 1)
            assert w.fired(fault) > 0, "the book was not asked"
            (held,) = w.truth().positions
            assert (held.stops_live, held.covered) == (1, True)
            assert (w.truth().exits, second.bot.view.unprotected) == (0, ())
            w.server.faults.remove(fault)
            result = await second.stop()
        assert result.state is LiquidationState.COMPLETED
