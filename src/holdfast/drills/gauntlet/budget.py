"""Rows of the gauntlet about the exchange's budget: told to wait, banned, used up by others, by ourselves."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal

from holdfast.domain.intents import Priority
from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.agreement import in_step
from holdfast.drills.gauntlet.endings import ordered
from holdfast.drills.gauntlet.row import row
from holdfast.drills.gauntlet.steps import BTC, ETH, assert_flat_end, covered, enter, held
from holdfast.drills.gauntlet.watching import (
    LOOK_MS,
    Watch,
    cycle_ms,
    gone_ms,
    one_way_ms,
    round_trip_ms,
    sending_ms,
)
from holdfast.drills.network import CLIENT_ADDRESS
from holdfast.drills.world import World
from holdfast.exchanges.governor import OBSERVE_AT_ONCE
from holdfast.exchanges.port import ExchangeError
from holdfast.simulator.faults import Fault, FaultKind

# --- G22: rate limits ----------------------------------------------------------------------------

LANE_MS = 50
"""So long an emergency may wait for anything of ours before it is sent."""
OBSERVING = r"/(klines|premiumIndex|account|bookTicker|exchangeInfo|userTrades)$"
"""What is asked only to look around or to trade."""


@row(
    "G22",
    "429 with Retry-After 20 s",
    "nothing that only observes or trades is sent until it is over; stops and closes pass; told; back by"
    " itself",
)
async def rate_limited(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    await enter(world, ETH, Direction.SHORT)
    fault = Fault(kind=FaultKind.RATE_LIMITED, path="/klines$", times=1, retry_after_s=20)
    number = world.server.faults.add(fault)
    await world.until(lambda: world.server.faults.fired(number) > 0, "the 429")
    at_ms = world.now_ms
    until_ms = at_ms + 20_000
    world.server.core.cancel_stops_by_hand(world.account_id, BTC)
    await world.until(lambda: covered(world, BTC), "the stop again", 2 * sending_ms(world) + 1_000)
    answer = await ordered(world, lambda bot: bot.flatten(who="drill", why="G22"))
    assert answer.done, answer
    assert world.now_ms < until_ms, "closing waited for the end of the limit"
    heard_ms = at_ms + one_way_ms(world) + LOOK_MS
    await world.run_for(until_ms - world.now_ms)
    sent = watch.requests("GET", OBSERVING, heard_ms)
    assert not sent, f"sent within Retry-After: {[(each.at_ms - at_ms, each.path) for each in sent]}"
    watch.assert_told("RATE_LIMITED", at_ms, cycle_ms(world), "warning")
    await world.until(lambda: bool(watch.over("RATE_LIMITED", at_ms)), "the end of it told", 10_000)
    await ordered(world, lambda bot: bot.run(who="drill", why="G22"))
    await enter(world, ETH, Direction.LONG)
    await assert_flat_end(world)


def others_used(world: World, weight: int) -> None:
    """Other programs on the same address use up that much of this minute's weight."""
    world.server.app.use_up(CLIENT_ADDRESS[0], weight, world.now_ms)


def banned(world: World) -> bool:
    """Whether the exchange has banned the bot's address."""
    return any(seen.status == 418 for seen in world.server.log.listing())


@row(
    "G22-flood",
    "other programs on the address use up the minute's weight: the exchange answers 429 to everything",
    "our own requests are so few that they bring no ban about; told; back when the minute is over",
)
async def flooded(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    await enter(world, ETH, Direction.SHORT)
    await world.run_for(60_000 - world.now_ms % 60_000 + 1_000)
    at_ms = world.now_ms
    others_used(world, 2_400)
    world.server.core.cancel_stops_by_hand(world.account_id, BTC)
    world.scripted.exits.add(ETH)
    await world.run_for(58_000)
    assert not banned(world), "our requests after the 429 brought a ban about"
    # Whether it meets a 429 or reads of the spent weight before: it holds back, and says so.
    word = "RATE_LIMITED" if watch.alerts("RATE_LIMITED", at_ms) else "BUDGET_SHORT"
    watch.assert_told(word, at_ms, cycle_ms(world), "warning")
    await world.until(lambda: covered(world, BTC) or not held(world, BTC), "protected or flat", 3_000)
    await world.until(lambda: not held(world, ETH), "the strategy's exit", 10_000)
    world.scripted.exits.clear()
    await assert_flat_end(world)


@row(
    "G22-shared",
    "other programs on the address use nearly all of its weight, minute after minute",
    "the bot holds back by itself what only observes or trades, and never meets a 429",
)
async def nearly_used_up(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    await world.run_for(60_000 - world.now_ms % 60_000)
    at_ms = world.now_ms
    for _ in range(3):
        others_used(world, 2_330)
        await world.run_for(60_000 - world.now_ms % 60_000)
        assert covered(world, BTC)
    refused = [seen for seen in world.server.log.listing() if seen.status == 429 and seen.at_ms >= at_ms]
    assert not refused, f"{len(refused)} requests met a 429"
    assert watch.requests("GET", "/positionRisk$", at_ms), "the positions were not read any more"
    await assert_flat_end(world)


@row(
    "G22-lane",
    "two hundred questions are under way, none of them answered for 8 s, and more are asked all the time",
    "what an emergency sends leaves within 50 ms of being due: nothing of it waits for what only observes",
)
async def saturated(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    await enter(world, ETH, Direction.SHORT)
    world.server.faults.add(Fault(kind=FaultKind.DELAY_REPLY, path="/klines$", delay_ms=8_000))
    exchange, wished = world.bot.account.exchange, 200

    async def observe() -> None:
        with suppress(ExchangeError):
            await exchange.candles(BTC, "1m", 50, priority=Priority.OBSERVE)

    asked_ms = world.now_ms
    crowd = [world.loop.start_in(world.life.process, observe(), "observer") for _ in range(wished)]
    await world.run_for(1_000)
    flying = len(watch.requests("GET", "/klines$", asked_ms))
    assert OBSERVE_AT_ONCE // 2 <= flying <= OBSERVE_AT_ONCE, f"{flying} questions under way"
    at_ms = world.now_ms
    answer = await ordered(world, lambda bot: bot.flatten(who="drill", why="G22"))
    assert answer.done, answer
    await asyncio.gather(*crowd)
    sent = [*watch.requests("GET", "/positionRisk$", at_ms)[:1], *watch.closes(at_ms)]
    assert len(sent) == 3, f"expected a look and two closes, found {len(sent)}"
    # A look (one trip and back), then the closes: each of them is due when what it hangs on is known.
    look, *closes = [each.at_ms - at_ms for each in sent]
    late = max(look - one_way_ms(world), max(closes) - look - one_way_ms(world) - sending_ms(world))
    assert late <= LANE_MS, f"an emergency left {late:g} ms late"
    await ordered(world, lambda bot: bot.run(who="drill", why="G22"))
    await assert_flat_end(world)


@row(
    "G22-storm",
    "every read fails (503) and the streams are closed again and again for two minutes, five positions held",
    "retries are bounded: less than half of the minute's weight is used",
    symbols=("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "BNB/USDT"),
    settings={
        "trading.check_interval_ms": 500,
        "trading.cooldown_minutes": "0.05",
        "limits.max_positions": 5,
    },
)
async def own_load_in_a_storm(world: World) -> None:
    watch = Watch(world)
    for symbol in world.settings.symbols:
        await enter(world, symbol, Direction.LONG)
    at_ms = world.now_ms
    world.server.faults.add(Fault(kind=FaultKind.ENDPOINT_DOWN, method="GET", path="^/fapi/"))
    world.server.faults.add(Fault(kind=FaultKind.WS_CLOSE, probability=0.2))
    await world.run_for(120_000)
    world.server.faults.clear()
    await world.run_for(30_000)
    weights: dict[int, int] = {}
    for each in watch.arrived:
        if each.at_ms >= at_ms:
            minute = each.at_ms // 60_000
            weights[minute] = weights.get(minute, 0) + each.weight
    most = max(weights.values())
    assert most <= 1_200, f"{most} weight in a minute"
    assert all(covered(world, symbol) for symbol in world.settings.symbols)
    await assert_flat_end(world)


@row(
    "G22-ban",
    "418: the address is banned for two minutes; meanwhile the stop triggers",
    "nothing is sent until it ends; critical alert; the exchange-side stop closes; then the books are true",
)
async def ban(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    await enter(world, ETH, Direction.LONG)
    fault = Fault(kind=FaultKind.RATE_LIMITED, status=418, times=1, retry_after_s=120)
    number = world.server.faults.add(fault)
    await world.until(lambda: world.server.faults.fired(number) > 0, "the 418")
    at_ms = world.now_ms
    heard_ms = at_ms + round_trip_ms(world) + LOOK_MS
    await world.run_for(20_000)
    watch.assert_told("BANNED", at_ms - LOOK_MS, cycle_ms(world), "critical")
    world.server.core.move_price(BTC, Decimal("0.98"), 5)
    await world.run_for(at_ms + 120_000 - LOOK_MS - world.now_ms)
    sent = [each for each in watch.arrived if each.at_ms >= heard_ms]
    assert not sent, f"sent while banned: {[(each.at_ms - at_ms, each.path) for each in sent]}"
    assert not held(world, BTC), "the stop did not carry"
    assert covered(world, ETH)
    await world.until(lambda: in_step(world, BTC), "the books true again", cycle_ms(world) + gone_ms(world))
    await world.until(lambda: bool(watch.over("BANNED", at_ms)), "the end of it told", 10_000)
    await enter(world, BTC, Direction.LONG)
    await assert_flat_end(world)
