"""Rows of the gauntlet about endings: closing everything, a shutdown that is refused, the kill switch."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

from holdfast.domain.orders import Direction
from holdfast.domain.symbol import Symbol
from holdfast.drills.gauntlet.elsewhere import DOWN, code_at
from holdfast.drills.gauntlet.row import row
from holdfast.drills.gauntlet.steps import BTC, ETH, assert_flat_end, covered, enter, held, started
from holdfast.drills.gauntlet.watching import (
    Watch,
    assert_never_naked,
    cycle_ms,
    round_trip_ms,
    sending_ms,
    stays,
)
from holdfast.drills.points import Point, PointKind
from holdfast.drills.world import World
from holdfast.engine.commands import CommandResult, OperatorCommands
from holdfast.engine.liquidation import LiquidationState
from holdfast.engine.liquidator import LiquidationResult
from holdfast.engine.operate import BotCommands
from holdfast.simulator.faults import Fault, FaultKind

T = TypeVar("T")
SOL = Symbol.parse("SOL/USDT")
THREE = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
REFUSED = {"code": -2022, "msg": "ReduceOnly Order is rejected."}
CLOSING = {"reduceOnly": "true"}


async def ordered(world: World, order: Callable[[OperatorCommands], Awaitable[T]]) -> T:
    """An operator's order to the running bot, carried out in the bot's process."""

    async def carry_out() -> T:
        return await order(BotCommands(world.bot))

    return await world.loop.start_in(world.life.process, carry_out(), "operator")


async def three_positions(world: World) -> None:
    for symbol, direction in ((BTC, Direction.LONG), (ETH, Direction.SHORT), (SOL, Direction.LONG)):
        await enter(world, symbol, direction)


def closing_fault(kind: FaultKind, symbol: str = "", **fields: object) -> Fault:
    """A fault on closing orders, of one wire symbol or of all."""
    params = {**CLOSING, **({"symbol": symbol} if symbol else {})}
    return Fault(kind=kind, method="POST", path="/order$", params=params, **fields)  # type: ignore[arg-type]


async def stopped(world: World) -> LiquidationResult:
    """SIGTERM, and what came of it."""
    result = await world.stop_bot()
    assert result is not None
    return result


def assert_reason(result: LiquidationResult, symbol: Symbol, words: str) -> None:
    """The result says of each position that failed why, in the exchange's words."""
    told = [error for error in result.errors if str(symbol) in error and words in error]
    assert told, f"no reason with {words!r} for {symbol} among {result.errors}"


# --- G15: close everything -----------------------------------------------------------------------


@row(
    "G15",
    "everything is to be closed; the exchange refuses one symbol (-2022)",
    "the others are closed at once and side by side; PARTIAL with a reason; the survivor keeps its stop,"
    " and is closed when the exchange lets it",
    symbols=THREE,
)
async def one_symbol_refuses(world: World) -> None:
    watch = Watch(world)
    await three_positions(world)
    fault = world.server.faults.add(closing_fault(FaultKind.REJECT, "BTCUSDT", **REFUSED))
    at_ms = world.now_ms
    result = await ordered(world, lambda bot: bot.flatten(who="drill", why="G15"))
    assert (result.done, result.details["state"]) == (False, LiquidationState.PARTIAL), result
    assert result.details["positions_failed"] == [str(BTC)], result
    reason = code_at(world.spec.exchange, -2022)
    assert any(str(BTC) in str(each) and reason in str(each) for each in _errors(result)), result
    _assert_side_by_side(world, watch, at_ms)
    assert not held(world, ETH)
    assert not held(world, SOL)
    assert covered(world, BTC)
    watch.assert_told("LIQUIDATION_FAILED", at_ms, _liquidation_ms(world), "critical")
    await stays(world, lambda: covered(world, BTC), "the survivor's stop", 20_000)
    assert_never_naked(world, at_ms)
    world.server.faults.remove(fault)
    patience_ms = world.settings.protection.retry_max_ms + cycle_ms(world)
    await world.until(lambda: not held(world, BTC), "the survivor to be closed", patience_ms)
    over = lambda: bool(watch.over("LIQUIDATION_FAILED", at_ms))  # noqa: E731
    await world.until(over, "the end of it told", 2 * cycle_ms(world))
    await _keeps_what_came_since(world)
    await assert_flat_end(world)


async def _keeps_what_came_since(world: World) -> None:
    """A liquidation that was finished late is finished: the next start does not go on with it."""
    await ordered(world, lambda bot: bot.run(who="drill", why="G15"))
    await enter(world, ETH, Direction.LONG)
    await world.run_for(world.disk_ms[1] + cycle_ms(world))
    world.kill_bot()
    await started(world)
    await stays(world, lambda: covered(world, ETH), "a position of after the liquidation", 20_000)


def _errors(result: CommandResult) -> list[object]:
    errors = result.details["errors"]
    assert isinstance(errors, list)
    return errors


def _liquidation_ms(world: World) -> float:
    """A liquidation's timeout, and what may come after it: cutting it off, proving entries."""
    return world.settings.liquidation.timeout_seconds * 1000 + 1_000


def _assert_side_by_side(world: World, watch: Watch, since_ms: int) -> None:
    """The first closing order of each symbol arrives within a read and a sending of the order."""
    firsts = {symbol: watch.closes(since_ms, symbol)[0].at_ms for symbol in (BTC, ETH, SOL)}
    bound_ms = since_ms + 2 * round_trip_ms(world) + sending_ms(world) + 3 * world.disk_ms[1]
    late = {str(symbol): at_ms - since_ms for symbol, at_ms in firsts.items() if at_ms > bound_ms}
    assert not late, f"closing orders came late (ms): {late}"


@row(
    "G15-account",
    "everything is to be closed, and the whole account answers 503",
    "FAILED within the timeout, a reason for each position; every stop stays; the next start closes them",
    symbols=THREE,
)
async def account_is_down(world: World) -> None:
    await three_positions(world)
    world.server.faults.add(Fault(kind=FaultKind.ENDPOINT_DOWN, path="^/fapi/v[13]/(order|positionRisk)$"))
    at_ms = world.now_ms
    result = await stopped(world)
    took_ms = world.now_ms - at_ms
    assert result.state is LiquidationState.FAILED, result
    assert set(result.positions_failed) == {str(BTC), str(ETH), str(SOL)}, result
    for symbol in (BTC, ETH, SOL):
        assert_reason(result, symbol, DOWN[world.spec.exchange])
        assert covered(world, symbol), f"{symbol} lost its stop"
    assert_never_naked(world, at_ms)
    assert took_ms <= _liquidation_ms(world) + SETTLING_MS, f"the end took {took_ms} ms"
    world.server.faults.clear()
    await started(world)
    await world.until(lambda: not world.truth().positions, "what was left to be closed", cycle_ms(world))
    await assert_flat_end(world)


# --- G17: closing refused during a shutdown ------------------------------------------------------

SETTLING_MS = 15_000
"""After the liquidation a shutdown waits, bounded, for true exits, orders and the store."""


async def refused_shutdown(world: World, fault: Fault) -> None:
    """A position, a shutdown whose closing orders fail, and what has to hold of its end."""
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    world.server.faults.add(fault)
    at_ms = world.now_ms
    result = await stopped(world)
    assert result.state is LiquidationState.FAILED, result
    assert result.positions_failed == (str(BTC),), result
    assert result.orders_left_protective == 1, result
    assert world.now_ms - at_ms <= _liquidation_ms(world) + SETTLING_MS
    tries = len(watch.closes(at_ms))
    most = world.settings.liquidation.max_retries + 1
    assert 1 <= tries <= most, f"{tries} closing orders, allowed are {most}"
    watch.assert_told("LIQUIDATION_FAILED", at_ms, _liquidation_ms(world), "critical")
    await stays(world, lambda: covered(world, BTC), "the stop after the end", 60_000)
    assert_never_naked(world, at_ms)


async def resumed_at_start(world: World) -> None:
    """The next start says what was left, closes it once, and leaves what is opened later alone."""
    watch = Watch(world)
    world.server.faults.clear()
    at_ms = world.now_ms
    await started(world)
    watch.assert_told("LIQUIDATION_UNFINISHED", at_ms, 5_000, "critical")
    await world.until(lambda: not held(world, BTC), "what was left to be closed", cycle_ms(world))
    assert len(watch.closes(at_ms)) == 1, watch.closes(at_ms)
    await enter(world, ETH, Direction.LONG)
    world.kill_bot()
    await started(world)
    await stays(world, lambda: covered(world, ETH), "the position opened since", 20_000)
    await assert_flat_end(world)


@row(
    "G17",
    "closing is refused (503, not executed) during a shutdown",
    "the stop stays, tries are bounded, the end says FAILED and an alert says why; the next start closes",
)
async def shutdown_refused(world: World) -> None:
    await refused_shutdown(world, closing_fault(FaultKind.ENDPOINT_DOWN))
    await resumed_at_start(world)


@row(
    "G17-margin",
    "closing is refused (-2019) during a shutdown",
    "the same: the stop stays, bounded tries, FAILED, resumed",
)
async def shutdown_without_margin(world: World) -> None:
    fault = closing_fault(FaultKind.REJECT, code=-2019, msg="Margin is insufficient.")
    await refused_shutdown(world, fault)
    await resumed_at_start(world)


@row(
    "G17-silent",
    "closing orders are lost on the way during a shutdown and never answered",
    "the same: the end comes in bounded time, the stop stays, FAILED, resumed",
)
async def shutdown_unanswered(world: World) -> None:
    await refused_shutdown(world, closing_fault(FaultKind.LOST_REQUEST))
    await resumed_at_start(world)


@row(
    "G17-reply-lost",
    "closing orders are executed during a shutdown, their replies lost",
    "the position is seen flat by reading: COMPLETED, one closing order, no stop left",
)
async def shutdown_replies_lost(world: World) -> None:
    await enter(world, BTC, Direction.SHORT)
    world.server.faults.add(closing_fault(FaultKind.LOST_REPLY))
    await assert_flat_end(world)
    assert world.truth().exits == 1, world.truth()


@row(
    "G17-killed",
    "killed in the middle of a liquidation",
    "the stop stays; the next start closes what it had open, and only that",
)
async def killed_while_liquidating(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    world.server.faults.add(closing_fault(FaultKind.ENDPOINT_DOWN))
    at_ms = world.now_ms
    world.life.stopping.set()
    await world.until(lambda: bool(watch.closes(at_ms)), "a closing order")
    world.kill_bot()
    await stays(world, lambda: covered(world, BTC), "the stop after the kill", 20_000)
    assert_never_naked(world, at_ms)
    await resumed_at_start(world)


# --- G30: the kill switch ------------------------------------------------------------------------


async def assert_killed(world: World, watch: Watch, at_ms: float, wanted: Symbol = ETH) -> None:
    """No entry leaves after the kill; positions keep their stops; it outlives a restart, and is audited."""
    world.scripted.wishes[wanted] = Direction.LONG
    protected = [position.symbol for position in world.truth().positions]
    await stays(world, lambda: all(covered(world, s) for s in protected), "protection under the kill", 15_000)
    world.kill_bot()
    await started(world)
    await world.run_for(15_000)
    late = watch.entries(at_ms)
    assert not late, f"entries after the kill: {late}"
    assert any("kill" in str(event["details"]) for event in audited(world, "OPERATOR_STATE")), "not audited"
    del world.scripted.wishes[wanted]
    answer = await ordered(world, lambda bot: bot.run(who="drill", why="again"))
    assert answer.done, answer
    await enter(world, wanted, Direction.LONG)
    await assert_flat_end(world)


def audited(world: World, event_type: str) -> list[dict[str, object]]:
    """Events of the audit file."""
    lines = world.home.audit.read_text("utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event_type"] == event_type]


@row(
    "G30",
    "the kill switch while trading",
    "in force at once and over restarts; no entry leaves after it; positions keep their stops; audited;"
    " only an operator's run lifts it",
)
async def killed(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    answer = await ordered(world, lambda bot: bot.kill(who="drill", why="G30"))
    assert answer.done, answer
    assert world.now_ms - at_ms <= 4 * world.disk_ms[1], "the kill took too long"
    await assert_killed(world, watch, at_ms)


@row(
    "G30-submit",
    "the kill file appears while an entry is being journaled",
    "the entry is not sent",
)
async def killed_during_submit(world: World) -> None:
    watch = Watch(world)
    await started(world)
    pressed: list[int] = []

    def press(point: Point) -> None:
        if not pressed and point.kind is PointKind.AFTER_WORK and _journaling(world):
            pressed.append(world.now_ms)
            world.home.kill_file.write_text("drill: G30-submit")

    world.watch_points(press)
    world.scripted.wishes[BTC] = Direction.LONG
    await world.until(lambda: bool(pressed), "an entry being journaled")
    await world.run_for(5_000)
    assert not world.truth().positions
    world.home.kill_file.unlink()
    await assert_killed(world, watch, pressed[0], BTC)


def _journaling(world: World) -> bool:
    """An entry is on its way to the journal or the wire."""
    return any(each.intent.purpose.raises_risk for each in world.bot.account.state.intents.values())


@row(
    "G30-sent",
    "the kill switch while an entry is under way to the exchange",
    "what came of that entry is protected; nothing follows it",
)
async def killed_after_submit(world: World) -> None:
    watch = Watch(world)
    await started(world)
    world.server.faults.add(Fault(kind=FaultKind.DELAY, method="POST", path="/order$", delay_ms=2_000))
    world.scripted.wishes[BTC] = Direction.LONG
    await world.until(lambda: _journaling(world), "an entry on its way")
    await world.run_for(sending_ms(world))
    at_ms = world.now_ms
    await ordered(world, lambda bot: bot.kill(who="drill", why="G30"))
    await world.until(lambda: covered(world, BTC), "the entry's stop", 2_000 + cycle_ms(world))
    del world.scripted.wishes[BTC]
    world.server.faults.clear()
    await assert_killed(world, watch, at_ms)


@row(
    "G30-twice",
    "the kill switch twice at once, and while the positions are being read",
    "both say killed; nothing else happens",
)
async def killed_twice(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    fault = Fault(kind=FaultKind.DELAY_REPLY, method="GET", path="/positionRisk$", delay_ms=5_000)
    world.server.faults.add(fault)
    await world.run_for(world.settings.freshness.positions_ms)
    at_ms = world.now_ms
    first, second = [
        world.loop.create_task(ordered(world, lambda bot: bot.kill(who="drill", why="G30"))) for _ in "12"
    ]
    answers = [await first, await second]
    assert all(answer.state == "killed" for answer in answers), answers
    assert world.now_ms - at_ms <= 6 * world.disk_ms[1], "the kill waited for a read"
    world.server.faults.clear()
    await assert_killed(world, watch, at_ms)


@row(
    "G30-stopped",
    "the kill switch, with liquidation, in the stopped state",
    "everything is closed and the kill is latched: no state and no strategy can veto it",
)
async def killed_while_stopped(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    await ordered(world, lambda bot: bot.stop(who="drill", why="G30"))
    world.scripted.wishes[BTC] = Direction.LONG
    at_ms = world.now_ms
    answer = await ordered(world, lambda bot: bot.kill(who="drill", why="G30", liquidate=True))
    assert (answer.done, answer.state) == (True, "killed"), answer
    assert not world.truth().positions
    del world.scripted.wishes[BTC]
    await assert_killed(world, watch, at_ms)


@row(
    "G30-disk",
    "the kill switch while the disk hardly answers",
    "in force at once though it is not durable yet, and that is said",
)
async def killed_on_a_slow_disk(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    world.disk_ms = (3_000, 3_000)
    at_ms = world.now_ms
    await ordered(world, lambda bot: bot.kill(who="drill", why="G30"))
    world.scripted.wishes[ETH] = Direction.LONG
    watch.assert_told("ORDER_NOT_DURABLE", at_ms, 1_500, "critical")
    await world.run_for(10_000)
    assert not watch.entries(at_ms)
    world.disk_ms = world.spec.disk_ms
    await world.until(lambda: bool(watch.over("ORDER_NOT_DURABLE", at_ms)), "a durable kill", 20_000)
    await assert_killed(world, watch, at_ms)
