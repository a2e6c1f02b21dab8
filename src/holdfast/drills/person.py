"""The operator: orders to the running bot, at the worst moments, and their taking back."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from typing import Any

from holdfast.domain.symbol import Symbol
from holdfast.drills.kinds import KINDS
from holdfast.drills.plan import Heal, Trouble
from holdfast.drills.world import World
from holdfast.engine.operate import BotCommands
from holdfast.engine.settings import BotSettings

WHO, WHY = "drill", "rehearsal"
ANSWER_WITHIN_MS = 60_000
AGAIN_AFTER_MS = 2_000
TRIES = 30

Order = Callable[[BotCommands], Coroutine[Any, Any, Any]]


async def _run(commands: BotCommands) -> None:
    await commands.run(who=WHO, why=WHY)


async def _stop(commands: BotCommands) -> None:
    await commands.stop(who=WHO, why=WHY)


async def _kill(commands: BotCommands) -> None:
    await commands.kill(who=WHO, why=WHY)


async def _kill_twice(commands: BotCommands) -> None:
    await asyncio.gather(_kill(commands), _kill(commands))


async def _kill_liquidate(commands: BotCommands) -> None:
    await commands.kill(who=WHO, why=WHY, liquidate=True)


async def _flatten(commands: BotCommands) -> None:
    await commands.flatten(who=WHO, why=WHY)


_ORDERS: Mapping[str, Order] = {
    "run": _run,
    "stop": _stop,
    "kill": _kill,
    "kill_twice": _kill_twice,
    "kill_liquidate": _kill_liquidate,
    "flatten": _flatten,
}


def _without_a_symbol(settings: BotSettings, held: Sequence[Symbol]) -> BotSettings:
    """One that is held, if any is; never the last one."""
    gone = next((symbol for symbol in held if symbol in settings.symbols), settings.symbols[-1])
    return dataclasses.replace(
        settings, symbols=tuple(s for s in settings.symbols if s != gone) or settings.symbols
    )


def _other_strategies(settings: BotSettings, _held: Sequence[Symbol]) -> BotSettings:
    """The bot only looks after what it has."""
    return dataclasses.replace(settings, trading=dataclasses.replace(settings.trading, strategies={}))


def _other_stop(settings: BotSettings, _held: Sequence[Symbol]) -> BotSettings:
    half = settings.protection.default_stop_pct / 2
    return dataclasses.replace(
        settings, protection=dataclasses.replace(settings.protection, default_stop_pct=half)
    )


def _other_leverage(settings: BotSettings, _held: Sequence[Symbol]) -> BotSettings:
    return dataclasses.replace(settings, trading=dataclasses.replace(settings.trading, leverage=2))


def _no_more_positions(settings: BotSettings, _held: Sequence[Symbol]) -> BotSettings:
    return dataclasses.replace(settings, limits=dataclasses.replace(settings.limits, max_positions=1))


CHANGES: Mapping[str, Callable[[BotSettings, Sequence[Symbol]], BotSettings]] = {
    "symbol": _without_a_symbol,
    "strategies": _other_strategies,
    "stop": _other_stop,
    "leverage": _other_leverage,
    "positions": _no_more_positions,
}
"""What the settings are changed to between two runs; they are given those symbols that are held."""


class Person:
    """Plane OPERATOR. Whatever was ordered, in the end the bot is ordered to run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._orders = 0
        """That stand: only the last one to be taken back lets the bot run."""
        self._changed: list[str] = []
        """Changes of the settings that stand."""

    async def strike(self, trouble: Trouble) -> Heal:
        """Give the order and wait a while for its answer; an order that nobody takes strikes nothing."""
        verb = KINDS[trouble.kind].begin
        if verb == "tighten":
            return self._tighten(Decimal(str(trouble.numbers["ratio"])))
        if verb == "configure":
            return self._configure(trouble.word)
        count = int(await self._give(_ORDERS[verb]))
        self._orders += 1

        async def heal() -> int:
            self._orders -= 1
            if trouble.for_ms and not self._orders:
                await self._let_run()
            return count

        return heal

    async def _let_run(self) -> None:
        """Patiently: the bot may be dead or starting just now."""
        for _ in range(TRIES):
            if await self._give(_run):
                return
            await self._world.run_for(AGAIN_AFTER_MS)

    async def _give(self, order: Order) -> bool:
        """Within the bot's process: it may die of it, or before it answers."""
        world = self._world
        if not world.bot_runs or world.life.bot is None:
            return False
        work = order(BotCommands(world.life.bot))
        task = world.loop.start_in(world.life.process, work, "operator")
        done, _ = await asyncio.wait({task}, timeout=ANSWER_WITHIN_MS / 1000)
        if done:
            task.result()
        return bool(done)

    def _configure(self, change: str) -> Heal:
        """Started again with other settings; and later with what else stands by then."""
        self._changed.append(change)
        running = self._start_with(CHANGES[change](self._world.settings, self._held()))

        async def heal() -> int:
            self._changed.remove(change)
            settings = dataclasses.replace(
                self._world.spec.bot_settings(), limits=self._world.settings.limits
            )
            for each in self._changed:
                settings = CHANGES[each](settings, self._held())
            self._start_with(settings)
            return int(running)

        return heal

    def _held(self) -> list[Symbol]:
        return sorted(position.symbol for position in self._world.truth().positions)

    def _tighten(self, ratio: Decimal) -> Heal:
        """Started again with limits that what is held may exceed; and later with the old ones."""
        before = self._world.settings
        limits = dataclasses.replace(
            before.limits,
            order_notional_max_ratio=before.limits.order_notional_max_ratio * ratio,
            position_notional_max_ratio=before.limits.position_notional_max_ratio * ratio,
            gross_exposure_max_ratio=before.limits.gross_exposure_max_ratio * ratio,
        )
        running = self._start_with(dataclasses.replace(before, limits=limits))

        async def heal() -> int:
            self._start_with(dataclasses.replace(self._world.settings, limits=before.limits))
            return int(running)

        return heal

    def _start_with(self, settings: BotSettings) -> bool:
        """False while the bot is down: then its next start takes them."""
        world = self._world
        world.settings = settings
        if not world.bot_runs:
            return False
        world.kill_bot()
        world.start_bot()
        return True
