"""Rounds of a bot's life: twenty entries one after the other, each protected, then everything flat.

The exchange is another process at a fixed latency; the bot is the real one, in this process so that
its inbox can be listened to. Times are taken where events reach the bot, and from the exchange's own
events, never from what the bot says of itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.parts import built
from bench.report import BenchFailed
from bench.simulator import Simulator
from holdfast.domain.intents import Accepted, Purpose
from holdfast.domain.symbol import Symbol
from holdfast.engine.bot import Bot
from holdfast.engine.events import Answered, Event, Told
from holdfast.exchanges.port import OrderNews, PositionNews, StopNews
from holdfast.runtime.loop import keep_collector_away

PATIENCE_S = 90.0


@dataclass(slots=True)
class Protected:
    """When one entry's fill became known to the bot and when its stop was confirmed (s), and the same
    at the exchange (ms since 1970)."""

    known_s: float = 0.0
    confirmed_s: float = 0.0
    confirmed_ms: int = 0
    filled_ms: int = 0
    stands_ms: int = 0

    @property
    def complete(self) -> bool:
        return bool(self.known_s and self.confirmed_s)


@dataclass(slots=True)
class Round:
    """One life: its entries by symbol, and the flattening at its end."""

    entries: dict[str, Protected] = field(default_factory=dict)
    positions: int = 0
    ordered_ms: float = 0.0
    """When the bot was told to end."""
    flat_ms: float = 0.0
    """When the exchange held nothing more."""
    completed_ms: float = 0.0
    """When the bot had confirmed that by a read and taken the stops away."""
    state: str = ""


class Listener:
    """Hears what reaches the supervisor's inbox, at the moment it does."""

    def __init__(self, bot: Bot, into: dict[str, Protected]) -> None:
        inbox = bot.supervisor.inbox
        self._put = inbox.put
        self._into = into
        inbox.put = self.put  # type: ignore[method-assign]

    def put(self, event: Event, *, urgent: bool = False) -> None:
        now_s, now_ms = time.perf_counter(), time.time_ns() // 1_000_000
        for symbol in _filled(event):
            entry = self._entry(symbol)
            entry.known_s = entry.known_s or now_s
        for symbol in _stopped(event):
            entry = self._entry(symbol)
            if not entry.confirmed_s:
                entry.confirmed_s, entry.confirmed_ms = now_s, now_ms
        self._put(event, urgent=urgent)

    def _entry(self, symbol: Symbol) -> Protected:
        return self._into.setdefault(str(symbol), Protected())


def _filled(event: Event) -> Iterator[Symbol]:
    match event:
        case Told(news=OrderNews(order=order)) if order.filled > 0 and not order.reduce_only:
            yield order.symbol
        case Told(news=PositionNews(symbol=symbol, quantity=quantity)) if quantity:
            yield symbol
        case Answered(journaled=journaled) if (
            journaled.intent.purpose is Purpose.ENTER and journaled.filled > 0
        ):
            yield journaled.intent.symbol


def _stopped(event: Event) -> Iterator[Symbol]:
    match event:
        case Told(news=StopNews(stop=stop)):
            yield stop.symbol
        case Answered(journaled=journaled, outcome=Accepted()) if (
            journaled.intent.purpose is Purpose.PLACE_STOP
        ):
            yield journaled.intent.symbol


async def live(simulator: Simulator) -> Round:
    """One round. Raises `BenchFailed` when the bot does not get there within `PATIENCE_S`."""
    made = Round()
    simulator.reset_limits()
    before = _last_seq(simulator)
    async with built(simulator) as parts:
        keep_collector_away()  # as `holdfast run` does
        bot, stop = parts.bot, asyncio.Event()
        Listener(bot, made.entries)
        wanted = len(bot.account.settings.symbols)
        task = asyncio.create_task(bot.run(stop), name="bot")
        try:
            await _until(task, bot, lambda: sum(e.complete for e in made.entries.values()) >= wanted)
            await _until(task, bot, lambda: len(bot.view.positions) >= wanted and not bot.view.unprotected)
            made.positions = len(bot.view.positions)
            await _flatten(task, stop, made)
        finally:
            task.cancel()
            await asyncio.wait([task])
    _add_exchange_times(made, [e for e in simulator.events(before) if e["seq"] > before])
    return made


async def _until(task: asyncio.Task[Any], bot: Bot, condition: Callable[[], bool]) -> None:
    loop = asyncio.get_running_loop()
    end_s = loop.time() + PATIENCE_S
    while not condition():
        if task.done():
            task.result()
            raise BenchFailed("protect: expected the bot to trade, found that it ended")
        if loop.time() > end_s:
            raise BenchFailed(_stuck(bot))
        await asyncio.sleep(0.02)


def _stuck(bot: Bot) -> str:
    view = bot.view
    said = "; ".join(f"{each.symbol} {each.text}" for each in view.decisions[:3])
    return (
        f"protect: expected {len(bot.account.settings.symbols)} protected positions within {PATIENCE_S:g} s,"
        f" found {len(view.positions)}, unprotected {list(view.unprotected)}, mode {view.mode}"
        f" ({view.state_why}), blocks {list(view.blocks)}; last decisions: {said}"
    )


async def _flatten(task: asyncio.Task[Any], stop: asyncio.Event, made: Round) -> None:
    made.ordered_ms = time.time_ns() / 1e6
    stop.set()
    result = await task
    made.state = result.state.value
    made.completed_ms = made.ordered_ms + result.duration_seconds * 1000


def _last_seq(simulator: Simulator) -> int:
    return max((int(event["seq"]) for event in simulator.events()), default=0)


def _add_exchange_times(made: Round, events: list[dict[str, Any]]) -> None:
    """What the exchange wrote down of fills and stops; its clock is this machine's too."""
    for event in events:
        if event["kind"] == "order" and event.get("fill"):
            entry = made.entries[event["order"]["symbol"]]
            if event["order"]["reduce_only"]:
                made.flat_ms = max(made.flat_ms, event["at_ms"])
            else:
                entry.filled_ms = entry.filled_ms or event["at_ms"]
        elif event["kind"] == "algo":
            entry = made.entries[event["algo"]["symbol"]]
            entry.stands_ms = entry.stands_ms or event["at_ms"]
