"""A bot in hedge mode on every exchange: both sides of one instrument are two positions (G25)."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from holdfast.domain.account import PositionKey, PositionMode
from holdfast.domain.orders import Direction, PositionSide, Side, Stop
from holdfast.engine.liquidation import LiquidationState
from holdfast.store.books import Trade, trades
from tests.engine.world import BTC, ETH, RunningBot, World, world

HEDGE, ONE_WAY = PositionMode.HEDGE, PositionMode.ONE_WAY
LONG, SHORT = PositionKey(BTC, PositionSide.LONG), PositionKey(BTC, PositionSide.SHORT)
every_exchange = pytest.mark.parametrize("exchange", ["binance", "bingx", "bitget"])


async def protected(w: World, running: RunningBot, direction: Direction = Direction.LONG) -> None:
    """The bot's own position on BTC, covered and in the books."""
    w.strategy.wishes = {BTC: direction}
    await running.until(lambda: bool(running.bot.account.state.tracked), "books")
    await running.until(lambda: all(p.covered for p in w.truth().positions), "a stop")
    w.strategy.wishes = {}


def quantity_of(w: World, key: PositionKey) -> Decimal:
    """Signed; 0 when it is flat."""
    held = (p for p in w.truth().positions if PositionKey(p.symbol, p.side) == key)
    return sum((p.quantity for p in held), Decimal(0))


async def hand_opens_the_other_side(w: World, running: RunningBot) -> None:
    w.server.core.open_by_hand(w.account_id, BTC, Side.SELL, Decimal("0.02"))
    await running.until(lambda: SHORT in running.bot.account.state.tracked, "the other side in the books")
    await running.until(lambda: all(p.covered for p in w.truth().positions), "two stops")


def booked(running: RunningBot) -> dict[PositionKey, Trade]:
    found = running.store.read(lambda c: trades(c, account_id="main"))
    return {PositionKey(trade.symbol, trade.position_side): trade for trade in found}


@every_exchange
async def test_a_strategy_moves_the_stop_of_its_side_and_leaves_it(tmp_path: Path, exchange: str) -> None:
    """A short of the bot, a long of the hand: the strategy leads the one it opened."""
    async with world(tmp_path, exchange=exchange, mode=HEDGE) as w, w.bot() as running:
        await protected(w, running, Direction.SHORT)
        tracked = running.bot.account.state.tracked
        nearer = (tracked[SHORT].stop_price or Decimal(0)) * Decimal("0.998")
        w.strategy.stops = {BTC: nearer}
        w.server.core.open_by_hand(w.account_id, BTC, Side.BUY, Decimal("0.02"))
        await running.until(lambda: LONG in tracked, "the hand's side in the books")
        await running.until(lambda: abs((tracked[SHORT].stop_price or 0) - nearer) < 1, "the stop moved")
        await running.until(lambda: len(moved(running, nearer)) == 1, "it alone for the short", 25)
        await asyncio.sleep(1.5)  # longer than one that does not count would be left alone
        assert len(moved(running, nearer)) == 1
        assert tracked[LONG].adopted
        w.strategy.exits = {BTC}
        await running.until(lambda: SHORT not in tracked, "the bot's side closed")
        assert quantity_of(w, SHORT) == 0
        assert quantity_of(w, LONG) == Decimal("0.02")
        await running.until(lambda: not w.truth().orphan_stops, "no orphans beside the other side")
        assert all(p.covered for p in w.truth().positions)


@every_exchange
async def test_both_sides_are_protected_and_liquidated(tmp_path: Path, exchange: str) -> None:
    """Each with a stop of its own; one shutdown closes both, and the books say which was which."""
    async with world(tmp_path, exchange=exchange, mode=HEDGE) as w, w.bot() as running:
        await protected(w, running)
        await hand_opens_the_other_side(w, running)
        assert [p.side for p in running.bot.view.positions] == ["long", "short"]
        result = await running.stop()
        assert result.state is LiquidationState.COMPLETED, result
        truth = w.truth()
        assert (truth.positions, truth.orphan_stops, truth.duplicate_orders) == ((), (), 0)
        found = booked(running)
        assert {key: trade.adopted for key, trade in found.items()} == {LONG: False, SHORT: True}
        assert all(trade.exit_price for trade in found.values()), found


@every_exchange
async def test_a_restart_finds_both_sides_as_they_were(tmp_path: Path, exchange: str) -> None:
    """Nothing is opened, adopted or protected a second time."""
    async with world(tmp_path, exchange=exchange, mode=HEDGE) as w:
        async with w.bot() as first:
            await protected(w, first)
            await hand_opens_the_other_side(w, first)
            await first.until(lambda: len(booked(first)) == 2, "both in the store")
        async with w.bot() as second:
            tracked = second.bot.account.state.tracked
            await second.until(lambda: second.bot.account.synced, "the sync")
            await second.until(lambda: len(tracked) == 2, "both in the books")
            assert {key: t.adopted for key, t in tracked.items()} == {LONG: False, SHORT: True}
            w.server.core.close_by_hand(w.account_id, BTC, PositionSide.SHORT)
            await second.until(lambda: SHORT not in tracked, "the hand's side gone from the books")
            assert [p.stops_live for p in w.truth().positions] == [1]
            assert w.truth().entries == 2, "the bot's and the hand's"
            result = await second.stop()
        assert result.state is LiquidationState.COMPLETED
        assert w.truth().positions == ()
        assert w.truth().orphan_stops == ()


@every_exchange
@pytest.mark.parametrize("mode", PositionMode)
async def test_in_the_other_mode_nothing_is_entered_and_everything_is_closed(
    tmp_path: Path, exchange: str, mode: PositionMode
) -> None:
    """The account is not in the mode that the bot is configured for: told, entries refused for it; what
    a hand opens there is protected and closed in the mode that is there."""
    other = HEDGE if mode is ONE_WAY else ONE_WAY
    async with world(tmp_path, exchange=exchange, mode=mode, position_mode=other) as w, w.bot() as running:
        w.strategy.wishes = {BTC: Direction.LONG}
        await running.until(lambda: "position_mode" in said(running, "refused"), "a refusal for the mode")
        assert "ACCOUNT_DRIFT" in {alert.id for alert in running.bot.view.alerts}
        assert w.truth().entries == 0
        w.server.core.open_by_hand(w.account_id, ETH, Side.SELL, Decimal("0.5"))
        await running.until(lambda: bool(running.bot.account.state.tracked), "books")
        await running.until(lambda: all(p.covered for p in w.truth().positions), "a stop")
        result = await running.stop()
        assert result.state is LiquidationState.COMPLETED
        assert w.truth().positions == ()
        assert w.truth().orphan_stops == ()


@every_exchange
@pytest.mark.parametrize("mode", PositionMode)
async def test_the_mode_is_changed_by_hand_and_back(
    tmp_path: Path, exchange: str, mode: PositionMode
) -> None:
    """A position that a hand opens after the change appears once, on the side where it stands."""
    other = HEDGE if mode is ONE_WAY else ONE_WAY
    async with world(tmp_path, exchange=exchange, mode=mode) as w, w.bot() as running:
        await running.until(lambda: running.bot.account.synced, "the sync")
        core, state = w.server.core, running.bot.account.state
        core.set_position_mode(w.account_id, other)
        core.open_by_hand(w.account_id, BTC, Side.SELL, Decimal("0.02"))
        await running.until(lambda: bool(state.tracked), "books")
        await running.until(lambda: all(p.covered for p in w.truth().positions), "a stop")
        assert set(state.tracked) == {PositionKey(BTC, other.side_of(Direction.SHORT))}
        await running.until(lambda: drifted(running), "the drift told")
        core.close_by_hand(w.account_id, BTC, other.side_of(Direction.SHORT))
        books = running.bot.supervisor.books
        await running.until(lambda: not state.tracked and not books.pending, "the true exit")
        assert (books.exits, books.reconciliations) == (1, 2)
        core.set_position_mode(w.account_id, mode)
        await running.until(lambda: not drifted(running), "the drift is over")
        await protected(w, running)
        assert set(state.tracked) == {PositionKey(BTC, mode.side_of(Direction.LONG))}


def moved(running: RunningBot, price: Decimal) -> list[Stop]:
    """All stops of the short, if one of them stands at *price*."""
    stops = [s for s in running.bot.account.state.believed_stops().values() if s.position_side is SHORT.side]
    return stops if any(abs(stop.trigger_price - price) < 1 for stop in stops) else []


def said(running: RunningBot, kind: str) -> str:
    return " ".join(each.text for each in running.bot.view.decisions if each.kind == kind)


def drifted(running: RunningBot) -> bool:
    return "ACCOUNT_DRIFT" in {alert.id for alert in running.bot.view.alerts}
