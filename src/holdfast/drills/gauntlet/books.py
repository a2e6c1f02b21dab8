"""Rows of the gauntlet about the books: what ended elsewhere, reads that fail, a position nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Direction, Side
from holdfast.drills.gauntlet.agreement import in_step
from holdfast.drills.gauntlet.entries import at_once_ms
from holdfast.drills.gauntlet.row import USUAL, row
from holdfast.drills.gauntlet.steps import (
    BTC,
    ETH,
    assert_flat_end,
    assert_protected_once,
    booked,
    by_hand,
    covered,
    enter,
    held,
    live_stops,
    naked_ms,
    started,
)
from holdfast.drills.gauntlet.stops import DEAF
from holdfast.drills.gauntlet.watching import Watch, cycle_ms, gone_ms, sending_ms, stays
from holdfast.drills.world import World
from holdfast.simulator.core.engine import Core
from holdfast.simulator.faults import Fault, FaultKind
from holdfast.store.books import Trade
from holdfast.store.words import EXCHANGE_CLOSED_RECONCILIATION, TradeStatus

CENT = Decimal("0.00000001")


# --- G10: ended elsewhere ------------------------------------------------------------------------


def assert_true_exit(world: World, trade: Trade, cause: str) -> None:
    """Price, fees and profit of the books are those of the exchange's own executions."""
    fills = [fill for fill in world.server.core.view(world.account_id).fills if fill.symbol == trade.symbol]
    out = [fill for fill in fills if fill.side is trade.side.closing]
    quantity = sum((fill.quantity for fill in out), ZERO)
    price = sum((fill.price * fill.quantity for fill in out), ZERO) / quantity
    expected = (price, sum((f.fee for f in fills), ZERO), sum((f.realized for f in fills), ZERO))
    found = (trade.exit_price or ZERO, trade.fees, trade.realized_pnl)
    told_to = max(CENT, world.wire.wallet_step)
    for name, one, other in zip(("price", "fees", "profit"), expected, found, strict=True):
        assert abs(one - other) < told_to, f"{name} of the exit: expected {one}, found {other}"
    assert (trade.exit_reason, trade.exit_cause) == (EXCHANGE_CLOSED_RECONCILIATION, cause), trade


async def ended(
    world: World, cause: str, end: Callable[[Core], object], within_ms: float, *, heard: bool = True
) -> None:
    """A position that ends at the exchange: the books follow in time, and the bot sends nothing for it.

    *heard*: the user stream tells; without it the stop's end may be seen before the position's.
    """
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    await world.run_for(10_000)
    by_hand(world, end)
    await world.until(lambda: not held(world, BTC), "the end of the position", 30_000)
    at_ms = world.now_ms
    await assert_books_follow(world, cause, within_ms)
    assert not watch.closes(), watch.closes()
    if heard:
        assert not watch.stops(at_ms), "a stop for a position that is gone"
        assert not watch.alerts("STOP_LOST"), "an alert about the stop of a position that is gone"
    assert not live_stops(world, BTC), live_stops(world, BTC)
    await assert_flat_end(world)


def closing(world: World) -> Callable[[Core], object]:
    return lambda core: core.close_by_hand(world.account_id, BTC)


async def assert_books_follow(world: World, cause: str, within_ms: float) -> None:
    def is_closed() -> bool:
        return [trade.status for trade in booked(world)] == [TradeStatus.CLOSED]

    await world.until(is_closed, "books closed with the true exit", within_ms)
    assert_true_exit(world, booked(world)[0], cause)


@row(
    "G10",
    "a position is closed by hand in the exchange's app",
    "books closed within a cycle, with true price, fees and profit, as EXCHANGE_CLOSED_RECONCILIATION;"
    " nothing is sent for what is gone",
)
async def closed_by_hand(world: World) -> None:
    await ended(world, "manual", closing(world), cycle_ms(world))


@row("G10-stop", "the price runs through the stop, which closes the position", "the same, cause: stop")
async def closed_by_the_stop(world: World) -> None:
    await ended(world, "stop", lambda core: core.move_price(BTC, Decimal("0.985"), 3), cycle_ms(world))


@row("G10-liquidation", "the exchange liquidates the position", "the same, cause: liquidation")
async def liquidated(world: World) -> None:
    await ended(world, "liquidation", lambda core: core.liquidate(world.account_id, BTC), cycle_ms(world))


@row("G10-adl", "the exchange closes the position by auto-deleveraging", "the same, cause: adl")
async def deleveraged(world: World) -> None:
    await ended(world, "adl", lambda core: core.adl(world.account_id, BTC), cycle_ms(world))


@row(
    "G10-deaf",
    "a position is closed by hand, and the user stream is silent",
    "the same by reading alone: two reads that agree, then the executions",
)
async def closed_unheard(world: World) -> None:
    world.server.faults.add(DEAF)
    bound_ms = gone_ms(world) + 2_500
    await ended(world, "manual", closing(world), bound_ms, heard=False)


@row(
    "G10-down",
    "a position is closed by hand while the bot is down",
    "the same after the next start",
)
async def closed_while_down(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.SHORT)
    await world.run_for(10_000)
    world.kill_bot()
    by_hand(world, closing(world))
    await world.run_for(60_000)
    await started(world)
    await assert_books_follow(world, "manual", gone_ms(world) + 2_500)
    assert not watch.closes()
    await assert_flat_end(world)


# --- G11: reads that lie -------------------------------------------------------------------------

POSITIONS = {"method": "GET", "path": "/positionRisk$"}


async def misread(world: World, fault: Fault, for_ms: float = 20_000) -> None:
    """A position, and reads of the positions that fail: neither books nor orders nor stops change."""
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    await world.run_for(10_000)
    (stop,) = live_stops(world, BTC)
    before, at_ms, naked_before = booked(world), world.now_ms, naked_ms(world)
    number = world.server.faults.add(fault)
    await world.until(lambda: world.server.faults.fired(number) > 0, "a read that fails", 10_000)
    await stays(world, lambda: booked(world) == before, "the same books", for_ms)
    assert not watch.requests("POST", "rder$", at_ms), watch.requests("POST", "rder$", at_ms)
    assert not watch.requests("DELETE", "rder", at_ms), watch.requests("DELETE", "rder", at_ms)
    assert [algo.algo_id for algo in live_stops(world, BTC)] == [stop.algo_id]
    assert naked_ms(world) == naked_before
    world.server.faults.clear()
    await assert_flat_end(world)


def on_positions(kind: FaultKind, times: int = 1) -> Fault:
    return Fault(kind=kind, method="GET", path="/positionRisk$", times=times)


@row("G11", "a read of the positions is answered 503 once", "nothing is closed or opened, nothing is sent")
async def read_unavailable(world: World) -> None:
    await misread(world, on_positions(FaultKind.ERROR_BEFORE))


@row("G11-empty", "a read of the positions answers an empty list once", "the same")
async def read_empty(world: World) -> None:
    await misread(world, on_positions(FaultKind.EMPTY_READ))


@row("G11-nothing", "a read of the positions answers 200 without a body, three times", "the same")
async def read_nothing(world: World) -> None:
    await misread(world, on_positions(FaultKind.EMPTY, 3))


@row("G11-cut", "a read of the positions is cut in half, three times", "the same")
async def read_cut(world: World) -> None:
    await misread(world, on_positions(FaultKind.TRUNCATED, 3))


@row("G11-html", "a proxy answers reads of the positions with a page, three times", "the same")
async def read_html(world: World) -> None:
    await misread(world, on_positions(FaultKind.HTML, 3))


@row(
    "G11-twice",
    "for a minute every answer comes twice, the second one when nobody waits for it",
    "none is taken for the answer to the next request: reads, books and stop stay right",
)
async def answered_twice(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    await enter(world, ETH, Direction.SHORT)
    await world.until(lambda: in_step(world, BTC) and in_step(world, ETH), "books in step", cycle_ms(world))
    at_ms = world.now_ms
    world.server.faults.add(Fault(kind=FaultKind.DOUBLED_REPLY, path="^/fapi/", delay_ms=300))
    right = lambda: all(covered(world, each) and in_step(world, each) for each in (BTC, ETH))  # noqa: E731
    await stays(world, right, "books and stops", 60_000)
    failed = watch.said("read.failed", at_ms)
    assert not failed, f"{len(failed)} answers were another request's, as {failed[0].fields}"
    assert not watch.stops(at_ms), "a stop was placed for no reason"
    world.server.faults.clear()
    await assert_flat_end(world)


@row(
    "G11-long",
    "reads of the positions answer an empty list for half a minute",
    "the same, and an alert while it lasts: no execution ended the position, so books and stop stay",
)
async def read_empty_for_long(world: World) -> None:
    watch = Watch(world)
    await misread(world, on_positions(FaultKind.EMPTY_READ, 0), 30_000)
    assert watch.alerts("POSITION_DOUBTED", severity="warning")
    assert watch.over("POSITION_DOUBTED")


@row(
    "G11-blind",
    "reads of the positions answer an empty list for a minute, the user stream is silent, and meanwhile the"
    " position is closed by hand",
    "the execution tells: books closed within a cycle, with the true exit",
)
async def closed_behind_empty_reads(world: World) -> None:
    world.server.faults.add(DEAF)
    await enter(world, BTC, Direction.LONG)
    await world.run_for(10_000)
    world.server.faults.add(on_positions(FaultKind.EMPTY_READ, 0))
    await world.run_for(20_000)
    assert [trade.status for trade in booked(world)] == [TradeStatus.OPEN]
    by_hand(world, closing(world))
    await assert_books_follow(world, "manual", 2 * gone_ms(world))
    world.server.faults.clear()
    await assert_flat_end(world)


# --- G12: nobody knows it ------------------------------------------------------------------------

SIZE = Decimal("1.5")


def stranger(world: World, side: Side = Side.BUY) -> None:
    """A position that somebody opened in the app."""
    by_hand(world, lambda core: core.open_by_hand(world.account_id, ETH, side, SIZE))


async def adopted(world: World) -> None:
    """The bot starts, wishing to trade; the stranger's position is protected before anything is opened."""
    watch = Watch(world)
    world.scripted.wishes[BTC] = Direction.LONG
    world.start_bot()
    await world.await_sync()
    known_ms = world.now_ms
    await world.until(lambda: covered(world, ETH), "a stop for the unknown position", 5_000)
    stopped_ms = live_stops(world, ETH)[0].created_ms
    assert stopped_ms - known_ms <= sending_ms(world), f"{stopped_ms - known_ms} ms after the first sync"
    await world.until(lambda: held(world, BTC), "an entry")
    assert watch.entries()[0].at_ms > stopped_ms, "traded before what was there was protected"
    world.scripted.wishes.clear()
    await assert_protected_once(world, ETH)
    (trade,) = [trade for trade in booked(world) if trade.symbol == ETH]
    assert (trade.adopted, trade.quantity) == (True, SIZE), trade
    await assert_flat_end(world)


@row(
    "G12",
    "an unknown position stands at the exchange when the bot starts",
    "adopted, and protected one order after the first sync, before anything is opened",
)
async def unknown_at_start(world: World) -> None:
    stranger(world)
    await adopted(world)


@row(
    "G12-under-water",
    "the same, and its price is past the distance at which the policy would have put a stop",
    "the same: the stop stands at that distance from the present price",
)
async def unknown_in_loss(world: World) -> None:
    stranger(world, Side.SELL)
    by_hand(world, lambda core: core.move_price(ETH, Decimal("1.05"), 5))
    await world.run_for(30_000)
    await adopted(world)


@row(
    "G12-alarm",
    "an unknown position stands at the start, and the policy is to leave such positions alone",
    "an alert before anything is opened; it is never touched, nor is it at the end",
    settings={**USUAL.settings, "protection.adopt_unknown": False},
)
async def unknown_left_alone(world: World) -> None:
    watch = Watch(world)
    stranger(world)
    world.scripted.wishes[BTC] = Direction.LONG
    await started(world)
    await world.until(lambda: held(world, BTC), "an entry")
    world.scripted.wishes.clear()
    (told,) = watch.alerts("FOREIGN_POSITION", symbol=str(ETH))
    assert told.at_ms < watch.entries()[0].at_ms, "traded before the alert"
    await world.run_for(30_000)
    await world.stop_bot()
    assert [(p.symbol, p.quantity) for p in world.truth().positions] == [(ETH, SIZE)], world.truth()
    assert not watch.requests("POST", "rder$", symbol=ETH), "an order on a position that is not ours"


@row(
    "G12-later",
    "somebody opens a position while the bot runs",
    "adopted and protected one message and one order later",
)
async def unknown_later(world: World) -> None:
    await started(world)
    await world.run_for(10_000)
    stranger(world)
    await world.until(lambda: covered(world, ETH), "a stop for the unknown position", 5_000)
    assert naked_ms(world) <= at_once_ms(world), f"naked for {naked_ms(world)} ms"
    await assert_protected_once(world, ETH)
    await assert_flat_end(world)
