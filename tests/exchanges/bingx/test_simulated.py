"""The adapter against the simulated exchange, over loopback: the whole path of an order and its doubts."""

import asyncio
import time
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from holdfast.domain.account import Fact, MarginMode, PositionMode
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
from holdfast.domain.orders import (
    ExchangeStatus,
    OrderType,
    PositionSide,
    Side,
    StopKind,
    StopStatus,
    TriggerSource,
)
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bingx.stops import StopLedger
from holdfast.exchanges.port import (
    ConfigNews,
    ExchangeError,
    MarkNews,
    OrderNews,
    PositionNews,
    StopNews,
    StreamState,
)
from holdfast.simulator.bingx.config import Limits
from tests.exchanges.bingx.desk import MODES, D, P, desk
from tests.exchanges.support import BTC, approved, intent
from tests.simulator.bingx.clients import Raw

DAY_MS = 24 * 3600 * 1000
ETH = Symbol("ETH", "USDT", "USDT")
both_modes = pytest.mark.parametrize("mode", MODES)


@both_modes
async def test_opening_reads_rules_clock_and_configuration(mode: PositionMode) -> None:
    """What a bot asks before it does anything; settings of the symbols it watches."""
    async with desk(mode) as d:
        rules = d.exchange.instrument(BTC)
        assert rules is not None
        assert (rules.tradable, rules.quantity_step, rules.notional_min) == (True, D("0.0001"), D(2))
        assert abs(d.exchange.clock_offset_ms()) < 100
        await d.exchange.watch_marks([BTC, ETH])
        config = await d.exchange.account_config(priority=P)
        assert (config.value.position_mode, config.value.can_trade) == (mode, True)
        assert config.complete
        assert config.value.leverage == {BTC: 5, ETH: 5}
        assert config.value.margin_mode == {BTC: MarginMode.CROSS, ETH: MarginMode.CROSS}
        balance = await d.exchange.balance(priority=P)
        assert (balance.value.currency, balance.value.wallet) == ("USDT", D(10_000))
        assert d.exchange.stats.gaps == {}


@both_modes
async def test_an_entry_is_taken_first_and_seen_as_order_position_and_fill_then(mode: PositionMode) -> None:
    """The answer says nothing of fills; three sources of the same truth do."""
    async with desk(mode) as d:
        entered = await d.enter("hf-entry")
        assert entered.order is not None
        assert (entered.order.status, entered.order.filled) == (ExchangeStatus.OPEN, 0)
        order = await d.found("hf-entry")
        assert (order.status, order.filled, order.order_id) == (
            ExchangeStatus.FILLED,
            D("0.01"),
            entered.exchange_id,
        )
        (held,) = (await d.exchange.positions(priority=P)).value
        assert (held.symbol, held.quantity, held.side) == (BTC, D("0.01"), d.held_side)
        assert (held.leverage, held.margin_mode) == (5, MarginMode.CROSS)
        assert held.entry_price == order.average_price
        fills = await d.exchange.fills(BTC, d.world.clock.now_ms() - DAY_MS, priority=P)
        assert fills.complete
        assert sum(fill.quantity for fill in fills.value) == D("0.01")
        assert {(fill.order_id, fill.position_side) for fill in fills.value} == {
            (entered.exchange_id, d.held_side)
        }
        assert all(fill.fee > 0 and fill.fee_currency == "USDT" for fill in fills.value)


@both_modes
async def test_a_close_tells_what_it_earned(mode: PositionMode) -> None:
    """The list of fills does not: the closing order does, shared out over its executions."""
    async with desk(mode) as d:
        await d.enter()
        (held,) = (await d.exchange.positions(priority=P)).value
        d.world.server.core.move_price(BTC, D("0.98"))
        d.world.jump(30)
        assert isinstance(await d.close(), Accepted)
        assert (await d.exchange.positions(priority=P)).value == ()
        fills = (await d.exchange.fills(BTC, d.world.clock.now_ms() - DAY_MS, priority=P)).value
        closing = [fill for fill in fills if fill.side is Side.SELL]
        earned = sum(fill.realized_pnl for fill in closing)
        expected = sum((fill.price - held.entry_price) * fill.quantity for fill in closing)
        assert abs(earned - expected) < D("0.01")
        assert earned < 0
        assert sum(fill.realized_pnl for fill in fills if fill.side is Side.BUY) == 0


@both_modes
async def test_a_whole_position_stop_stands_under_our_name_and_is_cancelled(mode: PositionMode) -> None:
    """Among the open orders, where the exchange has forgotten its client id."""
    async with desk(mode) as d:
        await d.enter()
        placed = await d.stop("hf-stop")
        assert isinstance(placed, Accepted)
        (stop,) = (await d.exchange.open_stops(BTC, priority=P)).value
        assert (stop.client_id, stop.kind, stop.status) == ("hf-stop", StopKind.STOP, StopStatus.LIVE)
        assert (stop.close_position, stop.quantity, stop.market) == (True, 0, True)
        assert (stop.trigger_source, stop.position_side) == (TriggerSource.MARK, d.held_side)
        assert stop.stop_id == placed.exchange_id
        assert (await d.exchange.open_stops(None, priority=P)).value == (stop,)
        assert (await d.exchange.open_orders(BTC, priority=P)).value == ()
        found = await d.exchange.find_stop(BTC, "hf-stop", priority=P)
        assert isinstance(found, Accepted)
        cancelled = await d.send(purpose=Purpose.CANCEL_STOP, target_client_id="hf-stop")
        assert cancelled == Accepted(exchange_id=stop.stop_id)
        assert (await d.exchange.open_stops(BTC, priority=P)).value == ()
        ended = await d.exchange.find_stop(BTC, "hf-stop", priority=P)
        assert isinstance(ended, Accepted)
        assert ended.stop is not None
        assert ended.stop.status is StopStatus.CANCELLED


@both_modes
async def test_a_sized_stop_stands_beside_a_whole_one_and_two_whole_ones_do_not(mode: PositionMode) -> None:
    """What `two_stops_may_stand` promises."""
    async with desk(mode) as d:
        await d.enter()
        assert isinstance(await d.stop(), Accepted)
        again = await d.stop(ratio="0.8")
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.STOP_EXISTS
        assert isinstance(await d.stop(ratio="0.8", close_position=False, quantity=D("0.01")), Accepted)
        stops = (await d.exchange.open_stops(BTC, priority=P)).value
        assert sorted((stop.close_position, stop.quantity) for stop in stops) == [
            (False, D("0.01")),
            (True, 0),
        ]


@both_modes
async def test_a_stop_beyond_the_price_or_without_a_position_is_refused(mode: PositionMode) -> None:
    """Act now, says the one; nothing to protect, the other."""
    async with desk(mode) as d:
        orphan = await d.stop()
        assert isinstance(orphan, Rejected)
        assert orphan.reason is RejectReason.NOTHING_TO_REDUCE
        await d.enter()
        refused = await d.stop(ratio="1.1")
        assert isinstance(refused, Rejected)
        assert refused.reason is RejectReason.WOULD_TRIGGER


@both_modes
async def test_a_flat_account_has_nothing_to_reduce(mode: PositionMode) -> None:
    """The whole-position stop ends by itself."""
    async with desk(mode) as d:
        await d.enter()
        await d.stop()
        assert isinstance(await d.close(), Accepted)
        assert (await d.exchange.open_stops(BTC, priority=P)).value == ()
        again = await d.close()
        assert isinstance(again, Rejected)
        assert again.reason in (RejectReason.NOTHING_TO_REDUCE, RejectReason.REDUCE_BLOCKED)


@both_modes
async def test_a_resting_order_is_listed_and_cancelled_once(mode: PositionMode) -> None:
    """A second cancel finds nothing; within a second the exchange calls it the same request."""
    async with desk(mode) as d:
        price = (await d.mark() * D("0.98")).quantize(D("0.1"))
        placed = await d.enter("hf-limit", type=OrderType.LIMIT, price=price)
        (resting,) = (await d.exchange.open_orders(BTC, priority=P)).value
        assert (resting.order_id, resting.client_id, resting.price) == (placed.exchange_id, "hf-limit", price)
        assert (await d.exchange.open_stops(BTC, priority=P)).value == ()
        cancel = {"purpose": Purpose.CANCEL_ORDER, "target_client_id": "hf-limit"}
        cancelled = await d.send(**cancel)
        assert isinstance(cancelled, Accepted)
        assert cancelled.order is not None
        assert cancelled.order.status is ExchangeStatus.CANCELLED
        d.world.jump(1.5)
        again = await d.send(**cancel)
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.NOT_FOUND


async def test_a_cancel_that_still_shows_the_order_as_pending_has_cancelled_it() -> None:
    """Recorded answers do so."""
    async with desk(switches={"cancel_answers": "PENDING"}) as d:
        price = (await d.mark() * D("0.98")).quantize(D("0.1"))
        placed = await d.enter(type=OrderType.LIMIT, price=price)
        cancelled = await d.send(purpose=Purpose.CANCEL_ORDER, target_id=placed.exchange_id)
        assert isinstance(cancelled, Accepted)
        assert cancelled.order is not None
        assert cancelled.order.status is ExchangeStatus.CANCELLED


@pytest.mark.parametrize("code", [101481, 101400])
@pytest.mark.parametrize("wait_s", [0.0, 2.0])
async def test_the_same_id_twice_makes_one_order(code: int, wait_s: float) -> None:
    """In all of the exchange's words for it; the answer proves that the first arrived."""
    async with desk(switches={"duplicate_code": code}) as d:
        price = (await d.mark() * D("0.98")).quantize(D("0.1"))
        limit = {"type": OrderType.LIMIT, "price": price}
        await d.enter("hf-same", **limit)
        d.world.jump(wait_s)
        again = await d.send("hf-same", **limit)
        assert isinstance(again, Rejected)
        assert again.reason is RejectReason.DUPLICATE_ID
        assert len((await d.exchange.open_orders(BTC, priority=P)).value) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quantity": D("0.00001")}, RejectReason.FILTER),
        ({"quantity": D("100")}, RejectReason.MARGIN),
        ({"position_side": PositionSide.LONG}, RejectReason.POSITION_MODE),
        ({"symbol": Symbol("NOPE", "USDT", "USDT")}, RejectReason.SYMBOL),
    ],
)
async def test_refusals_of_entries_come_with_their_reason(
    changes: dict[str, Any], reason: RejectReason
) -> None:
    """As the exchange sheet orders them."""
    async with desk() as d:
        refused = await d.send(**changes)
        assert isinstance(refused, Rejected), refused
        assert refused.reason is reason
        assert (await d.exchange.positions(priority=P)).value == ()


async def test_an_order_of_the_other_mode_is_refused() -> None:
    """Hedge mode is what new accounts are in."""
    async with desk(PositionMode.HEDGE) as d:
        refused = await d.send(position_side=PositionSide.BOTH)
        assert isinstance(refused, Rejected)
        assert refused.reason is RejectReason.POSITION_MODE


@both_modes
async def test_settings_of_both_sides_are_set(mode: PositionMode) -> None:
    """Leverage of each side in hedge mode; to be in a margin mode already is no error."""
    async with desk(mode) as d:
        await d.exchange.watch_marks([BTC, ETH])
        assert isinstance(await d.exchange.set_leverage(BTC, 3), Accepted)
        await d.enter()
        assert (await d.exchange.positions(priority=P)).value[0].leverage == 3
        assert isinstance(await d.exchange.set_margin_mode(ETH, MarginMode.ISOLATED), Accepted)
        await asyncio.sleep(1.2)  # two a second are allowed
        assert isinstance(await d.exchange.set_margin_mode(ETH, MarginMode.ISOLATED), Accepted)
        config = (await d.exchange.account_config(priority=P)).value
        assert (config.leverage[BTC], config.margin_mode[ETH]) == (3, MarginMode.ISOLATED)


async def test_hedge_mode_holds_both_sides_with_their_signs() -> None:
    """Orders and stops name their side, and a close takes from its own."""
    async with desk(PositionMode.HEDGE) as d:
        await d.enter()
        short = {"position_side": PositionSide.SHORT, "quantity": D("0.02")}
        await d.enter(side=Side.SELL, **short)
        held = {p.side: p.quantity for p in (await d.exchange.positions(priority=P)).value}
        assert held == {PositionSide.LONG: D("0.01"), PositionSide.SHORT: D("-0.02")}
        assert isinstance(await d.close(side=Side.BUY, **short), Accepted)
        held = {p.side: p.quantity for p in (await d.exchange.positions(priority=P)).value}
        assert held == {PositionSide.LONG: D("0.01")}


# --- doubt -----------------------------------------------------------------------------------------

DOUBTS = {
    "lost_reply": True,
    "error_after": True,
    "empty": True,
    "truncated": True,
    "html": False,
    "lost_request": False,
}
"""Fault → whether the order happened all the same."""
PLACE = {"method": "POST", "path": "/openApi/swap/v2/trade/order$", "times": 1}


@pytest.mark.parametrize(("kind", "happened"), list(DOUBTS.items()))
async def test_a_doubtful_order_is_unknown_until_it_is_asked_for(kind: str, happened: bool) -> None:
    """An empty 200 among them: ccxt takes it for a success."""
    async with desk(request_timeout_s=0.3) as d:
        d.fault(kind=kind, **PLACE)
        assert isinstance(await d.send("hf-doubt"), Unknown)
        found = await d.exchange.find_order(BTC, "hf-doubt", priority=P)
        assert isinstance(found, Accepted if happened else NotFound)
        assert len((await d.exchange.positions(priority=P)).value) == (1 if happened else 0)


@both_modes
@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize(("kind", "happened"), list(DOUBTS.items()))
async def test_a_doubtful_stop_is_recognised_without_its_name(
    kind: str, happened: bool, keeps: bool, mode: PositionMode
) -> None:
    """By what was asked for, since the exchange keeps no name; then it bears ours everywhere."""
    async with desk(mode, request_timeout_s=0.3, switches={"stops_keep_client_ids": keeps}) as d:
        await d.enter()
        d.fault(kind=kind, **PLACE)
        assert isinstance(await d.stop("hf-doubt"), Unknown)
        found = await d.exchange.find_stop(BTC, "hf-doubt", priority=P)
        assert isinstance(found, Accepted if happened else NotFound), found
        stops = (await d.exchange.open_stops(BTC, priority=P)).value
        assert [stop.client_id for stop in stops] == (["hf-doubt"] if happened else [])


async def test_of_two_stops_alike_one_stands_and_one_does_not() -> None:
    """Both answers were lost, one request as well: whose the stop is does not matter, that it is one does."""
    async with desk(request_timeout_s=0.3) as d:
        await d.enter()
        sized = {"close_position": False, "quantity": D("0.005"), "trigger_price": D("50000")}
        for name, kind in (("hf-a", "lost_reply"), ("hf-b", "lost_request")):
            d.fault(kind=kind, **PLACE)
            assert isinstance(await d.stop(name, **sized), Unknown)
        found = [await d.exchange.find_stop(BTC, name, priority=P) for name in ("hf-a", "hf-b")]
        assert sorted(type(each).__name__ for each in found) == ["Accepted", "NotFound"]
        (stop,) = (await d.exchange.open_stops(BTC, priority=P)).value
        assert stop.client_id in ("hf-a", "hf-b")


async def test_a_stop_made_after_a_lost_request_could_still_arrive_is_not_its() -> None:
    """The exchange refuses a request five seconds after it was signed."""
    async with desk(request_timeout_s=0.3) as d:
        await d.enter()
        sized = {"close_position": False, "quantity": D("0.005"), "trigger_price": D("50000")}
        d.fault(kind="lost_request", **PLACE)
        assert isinstance(await d.stop("hf-lost", **sized), Unknown)
        d.world.jump(8)
        by_hand = {"symbol": "BTC-USDT", "side": "SELL", "positionSide": "BOTH", "type": "STOP_MARKET"}
        placed = await Raw(d.world).order(**by_hand, quantity="0.005", stopPrice="50000", reduceOnly="true")
        assert placed.code == 0
        (stop,) = (await d.exchange.open_stops(BTC, priority=P)).value
        assert stop.client_id == ""
        assert isinstance(await d.exchange.find_stop(BTC, "hf-lost", priority=P), NotFound)


async def test_a_stop_of_another_life_is_unknown_never_not_found() -> None:
    """The exchange keeps no names: an empty answer cannot prove that it is not there."""
    async with desk() as d:
        assert isinstance(await d.exchange.find_stop(BTC, "hf-before", priority=P), Unknown)
        assert isinstance(await d.exchange.find_stop(BTC, "", priority=P), Unknown)
    async with desk(switches={"stops_keep_client_ids": True}) as d:
        await d.enter()
        assert isinstance(await d.stop("hf-stop"), Accepted)
        d.exchange._stops = StopLedger()  # as after a restart
        assert isinstance(await d.exchange.find_stop(BTC, "hf-stop", priority=P), Accepted)


@both_modes
@pytest.mark.parametrize("answered", [True, False])
async def test_the_journal_gives_a_stop_its_name_back(answered: bool, mode: PositionMode) -> None:
    """After a restart: by the exchange's id, or when no answer had come by what was asked for."""
    async with desk(mode, request_timeout_s=0.3) as d:
        await d.enter()
        if not answered:
            d.fault(kind="lost_reply", **PLACE)
        outcome = await d.stop("hf-stop")
        d.exchange._stops = StopLedger()  # as after a restart
        known = outcome.exchange_id if isinstance(outcome, Accepted) else ""
        d.exchange.remember_stops([replace(d.sent[-1], exchange_id=known)])
        (stop,) = (await d.exchange.open_stops(BTC, priority=P)).value
        assert stop.client_id == "hf-stop"
        found = await d.exchange.find_stop(BTC, "hf-stop", priority=P)
        assert isinstance(found, Accepted)
        assert found.exchange_id == stop.stop_id
        gone = await d.send(purpose=Purpose.CANCEL_STOP, target_client_id="hf-stop")
        assert isinstance(gone, Accepted)
        over = await d.exchange.find_stop(BTC, "hf-stop", priority=P)
        assert isinstance(over, Accepted)
        assert over.stop is not None
        assert over.stop.status is StopStatus.CANCELLED


async def test_orders_and_stops_wanted_together_are_one_question() -> None:
    """They stand in one list. A failure is everybody's, and who gives up spoils nobody's next answer."""
    async with desk() as d:
        await d.enter()
        await d.stop("hf-stop")
        ask = d.exchange

        async def both() -> list[object]:
            reads = (ask.open_orders(BTC, priority=P), ask.open_stops(BTC, priority=P))
            return await asyncio.gather(*reads, return_exceptions=True)

        counted = d.fault(kind="delay", path="openOrders", delay_ms=30)
        orders, stops = await both()
        assert isinstance(orders, Fact)
        assert isinstance(stops, Fact)
        assert (orders.value, len(stops.value), orders.asked_ms) == ((), 1, stops.asked_ms)
        assert d.world.server.faults.fired(counted) == 1
        d.fault(kind="empty", path="openOrders", times=1)
        assert [type(each) for each in await both()] == [ExchangeError, ExchangeError]
        given_up = asyncio.create_task(ask.open_orders(BTC, priority=P))
        joined = asyncio.create_task(ask.open_stops(BTC, priority=P))
        await asyncio.sleep(0.01)
        given_up.cancel()
        with pytest.raises(ExchangeError, match="given up"):
            await joined
        assert len((await ask.open_stops(BTC, priority=P)).value) == 1


async def test_a_foreign_stop_bears_no_name_of_ours() -> None:
    """Placed by hand: seen, and nobody's."""
    async with desk() as d:
        await d.enter()
        mine = await d.stop("hf-stop")
        assert isinstance(mine, Accepted)
        d.exchange._stops = StopLedger()  # as after a restart
        (stop,) = (await d.exchange.open_stops(BTC, priority=P)).value
        assert (stop.stop_id, stop.client_id, stop.kind) == (mine.exchange_id, "", StopKind.STOP)


async def test_a_rate_limit_is_a_definite_no() -> None:
    """It had no effect, may be tried later, and does not hold an emergency back."""
    async with desk() as d:
        d.fault(kind="rate_limited", **PLACE)
        assert isinstance(await d.send("hf-no"), Unavailable)
        found = await d.exchange.find_order(BTC, "hf-no", priority=Priority.PROTECT)
        assert isinstance(found, NotFound)
        held = await d.send()
        assert isinstance(held, Unavailable)
        assert held.held
        assert isinstance(await d.send(priority=Priority.EMERGENCY), Accepted)


async def test_a_late_request_is_refused_by_the_exchange_itself() -> None:
    """Signed with the journal's time: after its window it can never be accepted any more."""
    async with desk() as d:
        late = approved(intent(), "hf-late", d.world.clock.now_ms() - 5500)
        refused = await d.exchange.submit(late)
        assert isinstance(refused, Rejected)
        assert refused.reason is RejectReason.CLOCK
        assert isinstance(await d.exchange.find_order(BTC, "hf-late", priority=P), NotFound)


@pytest.mark.parametrize("kind", ["empty", "html", "truncated", "error_before", "lost_request", "lost_reply"])
@pytest.mark.parametrize("path", ["user/positions", "trade/openOrders"])
async def test_a_failed_read_is_an_error_never_an_empty_list(kind: str, path: str) -> None:
    """Absence is not proven by failure (R3.3)."""
    async with desk(request_timeout_s=0.3) as d:
        await d.enter()
        await d.stop()
        fault = d.fault(kind=kind, method="GET", path=path)
        read = d.exchange.positions if path == "user/positions" else d.exchange.open_stops
        args = () if path == "user/positions" else (None,)
        with pytest.raises(ExchangeError):
            await read(*args, priority=P)  # type: ignore[operator]
        d.world.server.faults.remove(fault)
        d.world.jump(3)
        assert len((await read(*args, priority=P)).value) == 1  # type: ignore[operator]


@pytest.mark.parametrize("sliding", [False, True])
async def test_nothing_is_sent_beyond_an_endpoints_pace(sliding: bool) -> None:
    """What would be too many in a second waits here, whatever second the exchange counts by."""
    async with desk(switches={"limits": Limits(sliding=sliding)}) as d:
        began = time.monotonic()
        asked = [d.exchange.balance(priority=Priority.OBSERVE) for _ in range(8)]
        for each in asked:
            await each
        assert time.monotonic() - began > 1.9  # three a second: the rest is kept for more urgent ones
        await d.exchange.positions(priority=Priority.OBSERVE)
        assert all(seen.code == 0 for seen in d.world.server.log.listing())


async def test_closes_of_many_positions_leave_at_the_pace_allowed() -> None:
    """Five orders a second: an emergency waits for its second here, not for the engine's pauses."""
    async with desk() as d:
        began = time.monotonic()
        close = {"side": Side.SELL, "purpose": Purpose.CLOSE, "priority": Priority.EMERGENCY}
        outcomes = await asyncio.gather(*(d.send(**close) for _ in range(10)))
        assert all(isinstance(found, Rejected) for found in outcomes), "nothing was held: flat is flat"
        assert 1.0 < time.monotonic() - began < 2.0


async def test_a_pause_of_one_account_is_no_other_ones() -> None:
    """109429 says: too many bad requests of this account."""
    async with desk() as d:
        d.fault(kind="rate_limited", code=109429, msg="too many invalid requests", times=1)
        assert isinstance(await d.send(), Unavailable)
        assert isinstance(await d.send(), Unavailable)
        other = d.exchange._caller._governor.key()
        assert other.refusal(Priority.OBSERVE) is None


async def test_what_other_programs_use_is_seen() -> None:
    """The header tells what is left of the address's requests."""
    async with desk() as d:
        d.world.server.app.use_up("127.0.0.1", 900, d.world.clock.now_ms())
        await d.exchange.positions(priority=Priority.TRADE)
        assert d.exchange.budget()["budget_account_others"] > 890
        with pytest.raises(ExchangeError) as held:
            await d.exchange.balance(priority=Priority.OBSERVE)
        assert held.value.outcome.short  # type: ignore[union-attr]
        await d.exchange.balance(priority=Priority.PROTECT)


# --- streams ---------------------------------------------------------------------------------------

FAST = {"ping_every_s": 0.2, "pong_within_s": 0.2, "backoff_first_s": 0.05}


@both_modes
async def test_streams_tell_entry_stop_and_marks(mode: PositionMode) -> None:
    """The fill with its id, fee and side; the stop under our name; position and prices."""
    async with desk(mode, **FAST) as d:
        await d.exchange.start_streams([BTC, ETH], d.heard.append)
        await d.until(lambda: any(state.stream == "user" and state.up for state in d.of(StreamState)))
        await d.enter("hf-entry")
        await d.stop("hf-stop")
        await d.until(lambda: bool(d.of(StopNews)) and bool(d.of(PositionNews)))
        d.world.jump(1.1)
        await d.until(lambda: len({news.symbol for news in d.of(MarkNews)}) == 2)
        fills = [news.fill for news in d.of(OrderNews) if news.fill is not None]
        assert sum(fill.quantity for fill in fills) == D("0.01")
        assert {(fill.client_id, fill.position_side) for fill in fills} == {("hf-entry", d.held_side)}
        assert all(fill.fee > 0 for fill in fills)
        rest = await d.exchange.fills(BTC, d.world.clock.now_ms() - DAY_MS, priority=P)
        assert {fill.trade_id for fill in fills} == {fill.trade_id for fill in rest.value}
        news = d.of(PositionNews)[-1]
        assert (news.quantity, news.side) == (D("0.01"), d.held_side)
        stop = d.of(StopNews)[-1].stop
        assert (stop.client_id, stop.close_position, stop.status) == ("hf-stop", True, StopStatus.LIVE)
        assert d.exchange.stats.bad_events == {}
        assert d.exchange.stats.ignored_events == {}
        assert all(state.up for state in d.of(StreamState))


@both_modes
async def test_a_short_and_its_end_are_told_with_their_signs(mode: PositionMode) -> None:
    """The exchange's amounts are never negative."""
    async with desk(mode, **FAST) as d:
        await d.exchange.start_streams([], d.heard.append)
        await d.until(lambda: bool(d.of(StreamState)))
        side = PositionSide.SHORT if d.hedge else PositionSide.BOTH
        await d.enter(side=Side.SELL, position_side=side)
        await d.until(lambda: bool(d.of(PositionNews)))
        assert (d.of(PositionNews)[-1].quantity, d.of(PositionNews)[-1].side) == (D("-0.01"), side)
        assert isinstance(await d.close(side=Side.BUY, position_side=side), Accepted)
        await d.until(lambda: d.of(PositionNews)[-1].quantity == 0)
        assert d.of(PositionNews)[-1].side is side


@both_modes
@pytest.mark.parametrize("own_id", [True, False])
async def test_a_triggered_stop_is_told_with_the_order_it_became(mode: PositionMode, own_id: bool) -> None:
    """Whether that has an id of its own or goes on under the stop's."""
    async with desk(mode, **FAST, switches={"child_gets_new_id": own_id}) as d:
        await d.exchange.start_streams([BTC], d.heard.append)
        await d.until(lambda: any(state.stream == "user" for state in d.of(StreamState)))
        await d.enter()
        placed = await d.stop("hf-stop", ratio="0.99")
        assert isinstance(placed, Accepted)
        d.world.server.core.move_price(BTC, D("0.95"))
        for _ in range(40):
            d.world.jump(1)
            await asyncio.sleep(0)
        await d.until(lambda: any(n.stop.status is StopStatus.FINISHED for n in d.of(StopNews)))
        finished = [n.stop for n in d.of(StopNews) if n.stop.status is StopStatus.FINISHED][-1]
        assert (finished.client_id, finished.kind) == ("hf-stop", StopKind.STOP)
        assert (finished.order_id == placed.exchange_id) is not own_id
        fills = [
            n.fill for n in d.of(OrderNews) if n.fill is not None and n.fill.order_id == finished.order_id
        ]
        assert sum(fill.quantity for fill in fills) == D("0.01")
        assert all(fill.realized_pnl < 0 for fill in fills)
        await d.until(lambda: d.of(PositionNews)[-1].quantity == 0)
        found = await d.exchange.find_stop(BTC, "hf-stop", priority=P)
        assert isinstance(found, Accepted)
        assert found.stop is not None
        assert found.stop.order_id == finished.order_id


async def test_settings_are_news_only_when_they_change() -> None:
    """The exchange repeats them every five seconds; they spare the questions, too."""
    async with desk(**FAST) as d:
        await d.exchange.start_streams([BTC], d.heard.append)
        await d.until(lambda: any(state.stream == "user" and state.up for state in d.of(StreamState)))
        for _ in range(3):
            d.world.jump(5.1)
            await asyncio.sleep(0.05)
        assert d.of(ConfigNews) == []
        asked = d.exchange.stats.outcomes["ok"]
        config = (await d.exchange.account_config(priority=P)).value
        assert config.leverage == {BTC: 5}
        assert d.exchange.stats.outcomes["ok"] == asked + 2  # the two modes; the stream told the rest
        d.world.server.core.set_leverage("key", BTC, 7, PositionSide.BOTH)
        d.world.jump(5.1)
        await d.until(lambda: bool(d.of(ConfigNews)))
        assert [(news.symbol, news.leverage) for news in d.of(ConfigNews)] == [(BTC, 7)]


async def test_a_silent_market_stream_goes_down_and_comes_back() -> None:
    """The socket stands and answers pings; only prices are missing."""
    async with desk(**FAST, market_silence_ms=1500) as d:
        await d.exchange.start_streams([BTC], d.heard.append)
        await d.until(lambda: bool(d.of(MarkNews)))
        fault = d.fault(kind="ws_silent", stream="market")
        await d.until(lambda: any(not state.up for state in d.of(StreamState) if state.stream == "market"))
        d.world.server.faults.remove(fault)
        await d.until(lambda: [s for s in d.of(StreamState) if s.stream == "market"][-1].up)


async def test_a_closed_user_stream_comes_back_by_itself() -> None:
    """Down, up, and events flow again."""
    async with desk(**FAST) as d:
        await d.exchange.start_streams([], d.heard.append)
        await d.until(lambda: len(d.of(StreamState)) == 1)
        d.fault(kind="ws_close", stream="user", times=1)
        await d.enter("hf-1")
        await d.until(lambda: [state.up for state in d.of(StreamState)][-2:] == [False, True])
        seen = len(d.of(OrderNews))
        await d.enter("hf-2")
        await d.until(lambda: len(d.of(OrderNews)) > seen)


async def test_an_ended_listen_key_is_replaced() -> None:
    """ccxt ignores the event and stays deaf."""
    async with desk(**FAST) as d:
        await d.exchange.start_streams([], d.heard.append)
        await d.until(lambda: len(d.of(StreamState)) == 1)
        d.world.jump(3700)
        await d.until(lambda: [state.up for state in d.of(StreamState)][-2:] == [False, True])
        await d.enter()
        await d.until(lambda: bool(d.of(OrderNews)))


# --- prices ----------------------------------------------------------------------------------------


async def test_bars_come_closed_and_in_order() -> None:
    """The last may still be open."""
    async with desk() as d:
        bars = await d.exchange.candles(BTC, "5m", 30, priority=P)
        assert len(bars) == 30
        assert [b.open_ms - a.open_ms for a, b in pairwise(bars)] == [300_000] * 29
        assert all(bar.closed for bar in bars[:-1])


@pytest.mark.parametrize("lists", [True, False])
async def test_marks_and_quotes_come_one_by_one_or_all_at_once(lists: bool) -> None:
    """A mark may come as a list for one symbol, too."""
    async with desk(switches={"index_always_lists": lists}) as d:
        marks = await d.exchange.marks([BTC, ETH], priority=P)
        assert set(marks) == {BTC, ETH}
        quotes = await d.exchange.quotes([BTC, ETH], priority=P)
        assert all(quotes[symbol].sane for symbol in (BTC, ETH))
        gone = Symbol("GONE", "USDT", "USDT")
        many = [BTC, ETH, gone, Symbol("XRP", "USDT", "USDT")]
        assert gone not in await d.exchange.marks(many, priority=P)
        assert isinstance(quotes[BTC].bid, Decimal)
