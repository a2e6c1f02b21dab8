"""The end of a run: flat or honest about it, whatever became of the last entry (R4, G02, G04, G26)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.domain.orders import Direction, OrderState
from holdfast.engine import bot as running_bot
from holdfast.engine import resolver
from holdfast.engine.events import Tick
from holdfast.engine.liquidation import LiquidationConfig, LiquidationState
from holdfast.engine.liquidator import ALREADY_RUNNING, LiquidationResult
from holdfast.exchanges import factory
from holdfast.exchanges.capabilities import CAPABILITIES
from tests.engine.test_supervisor import kill_latched
from tests.engine.world import BTC, RunningBot, World, world

SHORT = LiquidationConfig(timeout_seconds=1.0, retry_delay_seconds=0.1)


@pytest.fixture
def quick_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry is proven dead after 3 s instead of 8: longer than the liquidation may take, still."""
    quick = replace(CAPABILITIES["binance"], window_ms=2_200, visibility_ms=500)
    monkeypatch.setattr(factory, "CAPABILITIES", {"binance": quick})
    monkeypatch.setattr(resolver, "CLOCK_DOUBT_MS", 300)


async def unanswered(w: World, running: RunningBot) -> None:
    """An entry was sent, and nobody knows what became of it."""
    w.strategy.wishes = {BTC: Direction.LONG}
    intents = running.bot.account.state.intents
    unknown = OrderState.UNKNOWN
    await running.until(lambda: unknown in {j.state for j in intents.values()}, "an entry without an answer")
    w.strategy.wishes = {}


@pytest.mark.usefixtures("quick_proof")
async def test_shutdown_waits_for_the_proof_that_an_entry_is_dead(tmp_path: Path) -> None:
    """It never arrived (G04): the first look finds nothing and may not believe it."""
    async with world(tmp_path, liquidation=SHORT) as w:
        w.request_timeout_s = 0.3
        async with w.bot() as running:
            w.fault(kind="lost_request", method="POST", path="/fapi/v1/order")
            await unanswered(w, running)
            result = await running.stop()
            assert isinstance(result, LiquidationResult)
            assert (result.state, result.positions_failed) == (LiquidationState.COMPLETED, ())
            assert running.bot.account.state.intents == {}
            assert w.truth().entries == 0
            assert not [a for a in running.bot.view.alerts if a.id == "LIQUIDATION_FAILED"]


@pytest.mark.usefixtures("quick_proof")
async def test_entry_that_fills_after_the_first_look_is_closed_too(tmp_path: Path) -> None:
    """It is on its way for longer than the liquidation lasts: ending before would leave it naked."""
    async with world(tmp_path, liquidation=SHORT) as w:
        w.request_timeout_s = 0.3
        async with w.bot() as running:
            w.fault(kind="delay", method="POST", path="/fapi/v1/order", delay_ms=1_800, times=1)
            await unanswered(w, running)
            result = await running.stop()
            assert isinstance(result, LiquidationResult)
            assert result.state is LiquidationState.COMPLETED
            truth = w.truth()
            assert (truth.entries, [p for p in truth.positions if p.quantity]) == (1, [])
            assert truth.orphan_stops == ()


async def test_second_liquidation_beside_a_running_one_changes_nothing(tmp_path: Path) -> None:
    """R4.2; and a shutdown that comes meanwhile waits for its turn instead of leaving things half done."""
    async with world(tmp_path) as w, w.bot() as running:
        w.strategy.wishes = {BTC: Direction.LONG}
        await running.until(lambda: bool(w.truth().positions), "a position")
        w.strategy.wishes = {}
        ordered = asyncio.create_task(running.bot.liquidate("flatten"))
        await asyncio.sleep(0)
        beside = await running.bot.liquidate("flatten")
        assert (beside.state, beside.errors) == (LiquidationState.FAILED, (ALREADY_RUNNING,))
        assert not [a for a in running.bot.view.alerts if a.id == "LIQUIDATION_FAILED"]
        at_the_end = await running.stop()
        assert isinstance(at_the_end, LiquidationResult)
        assert at_the_end.state is (await ordered).state is LiquidationState.COMPLETED


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Somebody else holds the database's write lock."""
    with closing(sqlite3.connect(database, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


async def test_shutdown_tells_what_it_could_not_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G26 at the end: everything is flat, and the books of it wait for a lock that is never let go."""
    monkeypatch.setattr(running_bot, "SETTLE_MS", 300)
    async with world(tmp_path) as w, w.bot() as running:
        w.strategy.wishes = {BTC: Direction.LONG}
        await running.until(lambda: bool(w.truth().positions), "a position")
        await running.until(lambda: not w.truth().unprotected_now, "a stop")
        w.strategy.wishes = {}
        with locked(w.home / "trading.db"):
            result = await running.stop()
        assert isinstance(result, LiquidationResult)
        assert result.state is LiquidationState.COMPLETED
        for words in ("audit events (", "exits (", "outcomes (", "risk flags ("):
            assert words in running.bot.not_durable
        assert "NOT_DURABLE" in {alert.id for alert in running.bot.view.alerts}
        assert "NOT_DURABLE" in str(w.snapshots[-1]["alerts"])


async def test_kill_just_before_the_end_is_still_written(tmp_path: Path) -> None:
    """Nothing is open, nothing else holds the shutdown up: the order must not be lost with its task."""
    async with world(tmp_path, liquidate_on_sigterm=False) as w, w.bot() as running:
        await running.until(lambda: running.bot.account.synced, "the first sync")
        w.kill_file = "the last word"
        running.bot.supervisor.inbox.put(Tick())
        await running.stop()
        assert running.bot.not_durable == ""
        assert kill_latched(running)
