"""One account's supervisor at work: the whole bot against the whole exchange."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from holdfast.decisions.breakers import FALL_PROVEN_MS
from holdfast.decisions.gate import Mode, OperatorState
from holdfast.decisions.policy import Protection
from holdfast.domain.orders import Direction
from holdfast.domain.symbol import Symbol
from holdfast.engine import bot as running_bot
from holdfast.engine import supervisor as supervising
from holdfast.engine.events import Applied, Told
from holdfast.store.flags import get_flag
from holdfast.store.operator import operator_of
from tests.engine.world import BTC, ETH, RunningBot, breakers, world

PATIENCE_S = 5
LABELS = '{account="main",exchange="binance"}'


async def test_answer_nobody_waits_for_any_more_harms_nobody(tmp_path: Path) -> None:
    """A liquidation's read was cut off before the consumer came to it; the next who asks is answered."""
    async with world(tmp_path) as w, w.bot() as running:
        account = running.bot.account
        await running.until(lambda: account.synced, "the first sync")
        given_up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        running.bot.supervisor.inbox.put(Applied(given_up))
        given_up.cancel()
        async with asyncio.timeout(PATIENCE_S):
            await running.bot.supervisor.caught_up()
        assert (account.mode, account.counters["unexpected_errors"]) == (Mode.NORMAL, 0)


async def test_event_that_breaks_takes_no_other_with_it(tmp_path: Path) -> None:
    """A bug in one handler: what came beside it is applied, and the step that protects is made."""
    async with world(tmp_path) as w, w.bot() as running:
        account, inbox = running.bot.account, running.bot.supervisor.inbox
        await running.until(lambda: account.synced, "the first sync")
        inbox.put(Told("no news at all", 0), urgent=True)  # type: ignore[arg-type]
        steps = account.counters["steps"]
        async with asyncio.timeout(PATIENCE_S):
            await running.bot.supervisor.caught_up()
        await running.until(lambda: account.counters["steps"] > steps, "a step")
        assert (account.mode, account.counters["unexpected_errors"]) == (Mode.REDUCE_ONLY, 1)


async def test_price_that_comes_while_a_stop_leaves_is_not_of_the_future(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop keeps still for the stop's sake; what it hears then is newer than the step, and fresh."""
    monkeypatch.setattr(supervising, "STILL_S", 1.2)  # there is a price every second
    settling = replace(breakers(), settle_ms=2_500)
    async with world(tmp_path, breakers=settling) as w, w.bot() as running:
        account = running.bot.account
        await running.until(lambda: account.synced and not account.breakers.symbol_blocks, "a quiet start")
        w.strategy.wishes = {BTC: Direction.LONG}
        await running.until(lambda: bool(w.truth().positions), "a position")
        end_ms = account.clock.now_ms() + 2_000
        while account.clock.now_ms() < end_ms:
            assert not account.breakers.symbol_blocks
            await asyncio.sleep(0.01)


async def test_person_who_lets_it_run_again_raises_the_mode(tmp_path: Path) -> None:
    """After a fall of equity: it is taken as the new start, or the next step would step down again."""
    async with world(tmp_path) as w, w.bot() as running:
        account, desk = running.bot.account, running.bot.supervisor.desk
        await running.until(lambda: account.synced and account.equity is not None, "equity")
        assert account.equity is not None
        fallen = replace(account.equity, peak=account.equity.equity * 3)
        running.bot.supervisor.applier.equity.recalled(fallen, account.clock.now_ms())
        long_ago = account.clock.now_ms() - 2 * FALL_PROVEN_MS
        account.breakers = replace(account.breakers, fallen_since_ms=long_ago)
        await running.until(lambda: account.mode is Mode.REDUCE_ONLY, "a step down", 3)
        await running.until(lambda: mode_in(running) is Mode.REDUCE_ONLY, "the latch", 3)
        assert await desk.command("run", "ann", "looked at it") == "running"
        assert (account.mode, mode_in(running)) == (Mode.NORMAL, Mode.NORMAL)
        w.strategy.wishes = {BTC: Direction.LONG}
        await running.until(lambda: w.truth().entries == 1, "an entry")
        assert account.mode is Mode.NORMAL


def mode_in(running: RunningBot) -> Mode:
    return running.store.read(operator_of).mode


async def test_kill_file_is_in_force_before_the_entry_of_the_same_step(tmp_path: Path) -> None:
    """It appears together with a wish to enter, long before the next supervision cycle (R1.6, G30)."""
    async with world(tmp_path, monitor_interval_ms=60_000) as w, w.bot() as running:
        account = running.bot.account
        await running.until(lambda: account.synced and not account.breakers.blocks, "a bot that may trade")
        w.kill_file, w.strategy.wishes = "the market is mad", {BTC: Direction.LONG}
        await running.until(lambda: account.counters["refused"] > 0, "the wish refused", 3)
        assert account.operator is OperatorState.KILLED
        assert account.operator_why == "kill file: the market is mad"
        assert w.truth().entries == 0
        assert [d.text for d in account.decisions if d.kind == "operator"] == [
            "kill by kill file: the market is mad"
        ]
        await running.until(lambda: kill_latched(running), "the kill in the store")


def kill_latched(running: RunningBot) -> bool:
    return running.store.read(operator_of).state is OperatorState.KILLED


async def test_missing_stop_is_flagged_in_the_database_until_it_is_back(tmp_path: Path) -> None:
    """R2.2: what scripts and people query; 0 is written too, so that no row does not mean "well"."""

    def flag() -> tuple[int, str] | None:
        found = running.store.read(lambda c: get_flag(c, "binance_stoploss_missing", "main"))
        return (found.value, found.detail) if found else None

    async with world(tmp_path) as w, w.bot() as running:
        w.strategy.wishes = {BTC: Direction.LONG}
        await running.until(lambda: bool(w.truth().positions), "a position")
        await running.until(lambda: not w.truth().unprotected_now, "a stop")
        await running.until(lambda: flag() == (0, ""), "the flag down")
        number = w.fault(kind="endpoint_down", method="POST", path="algoOrder")
        w.server.core.cancel_stops_by_hand(w.account_id, BTC)
        await running.until(lambda: flag() == (1, str(BTC)), "the flag up", 4)
        assert running.bot.view.metrics["binance_stoploss_missing_count"] == 1
        await running.until(lambda: f"binance_stoploss_missing{LABELS} 1\n" in w.textfile, "the file", 2)
        w.server.faults.remove(number)
        await running.until(lambda: flag() == (0, ""), "the flag down again", 4)
        await running.until(lambda: f"binance_stoploss_missing{LABELS} 0\n" in w.textfile, "the file", 2)
        assert f"binance_stoploss_missing_count{LABELS} 0\n" in w.textfile
        assert w.truth().exits == 0


async def test_stop_that_hangs_is_told_while_the_second_line_acts(tmp_path: Path) -> None:
    """G32: the exchange takes its trigger and does nothing more, and it cannot be cancelled."""
    quick = Protection(default_stop_pct=Decimal(2), protect_deadline_ms=2_000, trigger_stuck_ms=500)
    async with world(tmp_path, protection=quick) as w, w.bot() as running:
        w.strategy.wishes = {BTC: Direction.LONG}
        await running.until(lambda: bool(w.truth().positions), "a position")
        await running.until(lambda: not w.truth().unprotected_now, "a stop")
        w.strategy.wishes = {}
        w.server.core.stick_triggering(BTC)
        w.server.core.move_price(BTC, Decimal("0.97"))
        await running.until(lambda: w.truth().exits == 1, "the second line to close")
        alerts = running.bot.account.alerts
        await running.until(lambda: alerts.of("STOP_STUCK") == (str(BTC),), "the alert")
        await running.until(lambda: not running.bot.account.state.tracked, "books closed")
        assert alerts.of("STOP_STUCK") == (str(BTC),), "it hangs on although the position is gone"
        w.server.core.unstick_triggering(BTC)
        await running.until(lambda: alerts.of("STOP_STUCK") == (), "the exchange to let go")


async def test_leverage_that_cannot_be_set_is_told_and_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer about one symbol does not come: others trade, the files stay young; then it is set too."""
    monkeypatch.setattr(running_bot, "LEVERAGE_RETRY_MS", 300)
    async with world(tmp_path) as w, w.bot() as running:
        number = w.fault(kind="lost_request", path="/fapi/v1/leverage", params={"symbol": "ETHUSDT"})
        state, alerts = running.bot.account.state, running.bot.account.alerts
        await running.until(lambda: w.fired(number) > 0 and state.leverage_of(BTC) == 5, "the question")
        before = len(w.snapshots)
        await running.until(lambda: len(w.snapshots) > before + 1, "files", 1.4)
        await running.until(lambda: alerts.of("LEVERAGE_NOT_SET") == (str(ETH),), "the alert", 4)
        w.server.faults.remove(number)
        await running.until(lambda: state.leverage_of(ETH) == 5, "the leverage", 4)
        await running.until(lambda: alerts.of("LEVERAGE_NOT_SET") == (), "the end of the alert", 2)


async def test_leverage_our_own_budget_holds_back_is_asked_for_with_the_next_look(tmp_path: Path) -> None:
    """Bitget takes five a second: the sixth symbol has its turn soon, and that is nothing to raise."""
    names = ("BTC", "ETH", "SOL", "XRP", "BNB", "LAYER", "ADA", "DOT")
    symbols = tuple(Symbol.parse(f"{name}/USDT") for name in names)
    async with world(tmp_path, exchange="bitget", symbols=symbols) as w, w.bot() as running:
        state = running.bot.account.state
        await running.until(lambda: all(state.leverage_of(each) == 5 for each in symbols), "all of them", 20)
        assert running.bot.account.alerts.of("LEVERAGE_NOT_SET") == ()
