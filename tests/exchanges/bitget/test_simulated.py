"""Bitget: adapter and simulator, over loopback: what only it has (the rest: tests/conformance)."""

import time
from decimal import Decimal

import pytest

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
from holdfast.domain.orders import OrderType, StopKind, StopStatus, TriggerSource
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bitget import requests
from holdfast.exchanges.limits import Scope
from holdfast.exchanges.port import ExchangeError
from holdfast.simulator.bitget.limits import Limits
from tests.exchanges.bitget.desk import P, desk
from tests.exchanges.support import BTC, approved, intent

D = Decimal
DAY_MS = 24 * 3600 * 1000
ETH = Symbol("ETH", "USDT", "USDT")
ORDER = "/order/place-order$"


@pytest.mark.parametrize("hidden", [False, True])
async def test_a_whole_position_stop_stands_and_is_found(hidden: bool) -> None:
    """In its book, or where no list shows it by the position that names it; and gone after its cancel."""
    async with desk({"hidden_pos_loss": hidden}) as d:
        await d.enter()
        placed = await d.stop("hf-stop")
        assert isinstance(placed, Accepted)
        (stop,) = (await d.exchange.open_stops(BTC, priority=P)).value
        assert (stop.client_id, stop.kind, stop.status) == ("hf-stop", StopKind.STOP, StopStatus.LIVE)
        assert (stop.close_position, stop.quantity, stop.market) == (True, D(0), True)
        assert stop.trigger_source is TriggerSource.MARK
        assert placed.stop is not None
        assert placed.stop.stop_id == stop.stop_id == placed.exchange_id
        assert len((await d.exchange.open_stops(None, priority=P)).value) == 1
        assert (await d.exchange.open_orders(BTC, priority=P)).value == ()
        assert isinstance(await d.exchange.find_stop(BTC, "hf-stop", priority=P), Accepted)
        d.world.jump(1.2)
        cancelled = await d.send(purpose=Purpose.CANCEL_STOP, target_id=stop.stop_id)
        assert cancelled == Accepted(exchange_id=stop.stop_id)
        assert (await d.exchange.open_stops(BTC, priority=P)).value == ()
        d.world.jump(1.2)
        again = await d.send(purpose=Purpose.CANCEL_STOP, target_id=stop.stop_id)
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.NOT_FOUND


async def test_a_stop_of_unknown_origin_in_no_list_leaves_doubt() -> None:
    """Another process placed it: it cannot be said that ours does not stand."""
    async with desk({"hidden_pos_loss": True}) as d:
        await d.enter()
        await d.stop("hf-stop")
        d.exchange._census._ours.clear()
        (stop,) = (await d.exchange.open_stops(BTC, priority=P)).value
        assert stop.client_id == ""
        assert isinstance(await d.exchange.find_stop(BTC, "hf-stop", priority=P), Unknown)


@pytest.mark.parametrize("reading", ["parameter", "position"])
async def test_a_stop_without_a_position_is_explained(reading: str) -> None:
    """43023, or 40812 in its other reading (R2.8)."""
    async with desk({"condition_means": reading}) as d:
        refused = await d.stop()
        assert isinstance(refused, Rejected)
        assert (refused.reason, refused.code) == (
            RejectReason.NOTHING_TO_REDUCE,
            "43023" if reading == "parameter" else "40812",
        )
        assert "no position" in refused.message


async def test_long_lists_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last page is one that is not full."""
    monkeypatch.setattr(requests, "PAGE", 2)
    async with desk() as d:
        limit = {"type": OrderType.LIMIT, "price": await d.price("0.98")}
        sent = {f"hf-{number}" for number in range(5)}
        for name in sent:
            await d.enter(name, **limit)
        found = await d.exchange.open_orders(None, priority=P)
        assert ({order.client_id for order in found.value}, found.complete) == (sent, True)


async def test_when_the_question_before_it_fails_nothing_is_sent() -> None:
    """Without the symbol's margin mode no order is; what the exchange says of the question holds for it."""
    async with desk() as d:
        refused = await d.send(symbol=Symbol("NOPE", "USDT", "USDT"))
        assert isinstance(refused, Rejected)
        assert refused.reason is RejectReason.SYMBOL
        d.fault(kind="html", method="GET", path="account/account", times=1)
        assert isinstance(await d.send("hf-unsent"), Unavailable)
        assert isinstance(await d.exchange.find_order(BTC, "hf-unsent", priority=P), NotFound)


async def test_nothing_changes_is_said_where_the_exchange_says_so() -> None:
    """It counts as success."""
    async with desk({"unchanged_setting": "refused"}) as d:
        assert isinstance(await d.exchange.set_margin_mode(ETH, MarginMode.ISOLATED), Accepted)
        again = await d.exchange.set_margin_mode(ETH, MarginMode.ISOLATED)
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.NO_CHANGE


@pytest.mark.parametrize("kind", ["endpoint_down", "rate_limited"])
async def test_a_definite_no_is_unavailable_and_had_no_effect(kind: str) -> None:
    """It may be tried later."""
    async with desk() as d:
        d.fault(kind=kind, method="POST", path=ORDER, times=1)
        assert isinstance(await d.send("hf-no", priority=Priority.EMERGENCY), Unavailable)
        found = await d.exchange.find_order(BTC, "hf-no", priority=Priority.PROTECT)
        assert isinstance(found, NotFound)


@pytest.mark.parametrize("sliding", [False, True])
async def test_nothing_is_sent_beyond_an_endpoints_pace(sliding: bool) -> None:
    """What would be too many in a second waits here, whatever second the exchange counts by."""
    async with desk({"limits": Limits(sliding=sliding)}) as d:
        began = time.monotonic()
        for _ in range(8):
            await d.exchange.positions(priority=Priority.OBSERVE)
        assert time.monotonic() - began > 1.9  # three a second of five
        await d.exchange.balance(priority=Priority.OBSERVE)
        assert all(seen.code == 0 for seen in d.world.server.log.listing())


async def test_a_refusal_that_names_nobody_holds_back_who_heard_it() -> None:
    """Another account on this address goes on until it is told the same."""
    async with desk() as d:
        d.fault(kind="rate_limited", method="POST", path=ORDER, times=1)
        assert isinstance(await d.send(), Unavailable)
        other = d.exchange._caller._governor.key()
        assert other.refusal(Priority.OBSERVE) is None
        other.limit(2_000, Scope.KEY)
        third = d.exchange._caller._governor.key()
        assert third.refusal(Priority.OBSERVE) is not None


async def test_a_block_at_the_door_silences_the_address() -> None:
    """403 from a machine before the exchange: what was asked is in doubt, and nothing more is sent."""
    async with desk() as d:
        d.fault(kind="html", status=403, method="POST", path=ORDER, times=1)
        assert isinstance(await d.send(), Unknown)
        held = await d.send(priority=Priority.EMERGENCY)
        assert isinstance(held, Unavailable)
        assert (held.banned, held.held) == (True, True)


async def test_a_late_request_is_refused_by_the_exchange_itself() -> None:
    """Its 30 s are signed down to our window: after that it can never be accepted any more."""
    async with desk() as d:
        await d.enter()
        in_time = approved(intent(), "hf-in-time", d.world.clock.now_ms() - 4_000)
        assert isinstance(await d.exchange.submit(in_time), Accepted)
        late = approved(intent(), "hf-late", d.world.clock.now_ms() - 5_500)
        refused = await d.exchange.submit(late)
        assert isinstance(refused, Rejected)
        assert refused.reason is RejectReason.CLOCK
        assert isinstance(await d.exchange.find_order(BTC, "hf-late", priority=P), NotFound)


@pytest.mark.parametrize("path", ["orders-plan-pending", "single-position"])
async def test_a_census_that_could_not_read_a_book_is_incomplete(path: str) -> None:
    """What the other reads showed stays known; that there is nothing else is not."""
    async with desk() as d:
        await d.enter()
        await d.stop("hf-stop")
        d.fault(kind="html", method="GET", path=path, times=1)
        census = await d.exchange.open_stops(BTC, priority=P)
        assert not census.complete
        assert [stop.client_id for stop in census.value] == ["hf-stop"]


async def test_no_book_at_all_is_an_error() -> None:
    """The positions alone are no census."""
    async with desk() as d:
        await d.enter()
        await d.stop()
        d.fault(kind="html", method="GET", path="orders-plan-pending")
        with pytest.raises(ExchangeError):
            await d.exchange.open_stops(BTC, priority=P)


async def test_a_placed_stop_counts_though_its_verification_failed() -> None:
    """It was taken; the next census tells the rest."""
    async with desk() as d:
        await d.enter()
        d.fault(kind="html", method="GET", path="orders-plan-pending", times=1)
        placed = await d.stop("hf-stop")
        assert isinstance(placed, Accepted)
        assert placed.stop is None
        assert isinstance(await d.exchange.find_stop(BTC, "hf-stop", priority=P), Accepted)


async def test_empty_lists_may_be_null() -> None:
    """Both mean that there is nothing."""
    async with desk({"null_lists": True}) as d:
        assert (await d.exchange.open_stops(BTC, priority=P)).complete
        assert (await d.exchange.open_orders(None, priority=P)).complete
        fills = await d.exchange.fills(BTC, d.world.clock.now_ms() - DAY_MS, priority=P)
        assert (fills.value, fills.complete) == ((), True)
