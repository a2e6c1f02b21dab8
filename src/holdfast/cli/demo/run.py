"""`holdfast demo`: starts the exchange and the bot, shows them, ends them flat, judges them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import aiohttp
from rich.live import Live

from holdfast.cli.demo import judge, screen
from holdfast.cli.demo.children import Child, first_json, start
from holdfast.cli.demo.prepare import DemoOptions, Prepared, prepared, write_config
from holdfast.cli.exits import Failure, say
from holdfast.cli.lifeline import on_signals
from holdfast.console.port import listen
from holdfast.runtime import loop as runtime_loop
from holdfast.runtime.clock import RealClock
from holdfast.runtime.pace import BOT_SLOT, SIMULATOR_SLOT
from holdfast.runtime.pacer import PaceLimits, Pacer

START_PATIENCE_S = 60.0
END_PATIENCE_S = 90.0
REFRESH_S = 0.4
LINE_EVERY_S = 5.0
ENDING_SPEED = 5.0
"""While it ends the clock goes slower: the liquidation's few seconds are market time."""
HTTP_TIMEOUT_S = 5.0


def run_demo(options: DemoOptions) -> int:
    """Run the demo to its end; prints the summary and returns its verdict as exit status."""
    listen("127.0.0.1", options.port).close()
    with prepared(options) as made:
        summary = runtime_loop.run(Demo(options, made).run(), RealClock())
    console = screen.console()
    console.print(screen.summary_table(summary))
    status = judge.verdict(summary)
    say(judge.words(summary, status))
    if options.json:
        sys.stdout.write(json.dumps(summary) + "\n")
        sys.stdout.flush()
    return status


class Demo:
    """One run: phases in order, the pacer and the picture beside them."""

    def __init__(self, options: DemoOptions, made: Prepared) -> None:
        self._options, self._made = options, made
        # While they start they read Python, and block: real time until both are up.
        limits = PaceLimits(ceiling=min(1.0, options.speed))
        self._pacer = Pacer(made.pace, (SIMULATOR_SLOT, BOT_SLOT), limits)
        self._phase = "starting"
        self._status: Mapping[str, Any] | None = None
        self._equity_at_start: float | None = None
        self._asked_to_end = asyncio.Event()
        self._children: list[Child] = []
        self._troubles: list[str] = []
        self._began = time.monotonic()
        self._first_protected_s: float | None = None
        self._admin = ""
        self._bot_url = ""

    async def run(self) -> dict[str, Any]:
        """From nothing to the summary. Raises `Failure` when a process does not come up or dies."""
        on_signals(lambda _name: self._asked_to_end.set())
        timeout = aiohttp.ClientTimeout(total=HTTP_TIMEOUT_S)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as group:
                pacing = group.create_task(self._pacer.run(), name="pacer")
                with self._picture() as show:
                    picture = group.create_task(self._keep_showing(http, show), name="picture")
                    try:
                        summary = await self._phases(http)
                    finally:
                        picture.cancel()
                        pacing.cancel()
                return summary
        finally:
            for child in self._children:
                child.kill()

    async def _phases(self, http: aiohttp.ClientSession) -> dict[str, Any]:
        # Both at once: most of their start is reading Python. The bot waits for its configuration,
        # which is written when the exchange's address is known.
        simulator, bot = await self._start_simulator(), await self._start_bot()
        await self._exchange_is_up(simulator)
        await self._bot_is_up(bot)
        self._pacer.hold(self._options.speed)
        self._pacer.begin()
        self._phase = "trading"
        await self._trade(simulator, bot)
        self._phase = "ending"
        real_s, market_s = self._pacer.elapsed()
        speed = self._pacer.effective_speed()
        self._pacer.hold(min(self._options.speed, ENDING_SPEED))
        status = await bot.stop(END_PATIENCE_S)
        evidence = judge.Evidence(
            truth=await self._admin_says(http, "/truth"),
            events=await self._admin_says(http, "/events"),
            trades=judge.read_books(self._made.home, self._made.trades_before),
            snapshot=judge.read_snapshot(self._made.home),
            bot_status=status,
            troubles=self._troubles,
            effective_speed=speed,
            speed_asked=self._options.speed,
            market_minutes=market_s / 60,
            real_seconds=real_s,
            first_protected_s=self._first_protected_s,
            late_market_ms_max=self._pacer.late_market_ms_max,
        )
        await simulator.stop(END_PATIENCE_S)
        return judge.summary_of(evidence)

    # --- the processes -------------------------------------------------------------------------

    async def _start_simulator(self) -> Child:
        options, made = self._options, self._made
        optional = {
            "--data": options.data,
            "--seed": options.seed,
            "--symbols": options.symbols,
            "--start": options.start,
        }
        given = [str(part) for name, value in optional.items() if value is not None for part in (name, value)]
        ports = ("--port", "0", "--admin-port", "0", "--latency-ms", str(options.latency_ms))
        ours = ("--accounts", str(made.accounts), "--pace", str(made.pace.path), "--parent", str(os.getpid()))
        arguments = ("simulator", "--exchange", options.exchange, "--json", *ports, *ours, *given)
        return await self._start("simulator", arguments, {})

    async def _start_bot(self) -> Child:
        where = ("--home", str(self._made.home.path), "--port", str(self._options.port), "--await-config")
        ours = ("--pace", str(self._made.pace.path), "--parent", str(os.getpid()))
        keys = {
            "HOLDFAST_KEYS__API_KEY": self._made.api_key,
            "HOLDFAST_KEYS__API_SECRET": self._made.api_secret,
        }
        return await self._start("bot", ("run", *where, *ours), keys)

    async def _start(self, name: str, arguments: tuple[str, ...], extra: Mapping[str, str]) -> Child:
        child = await start(name, arguments, self._made.home.logs / f"{name}.out", extra)
        self._children.append(child)
        return child

    async def _exchange_is_up(self, simulator: Child) -> None:
        told = await first_json(simulator, START_PATIENCE_S)
        self._admin = told["admin_url"]
        write_config(self._made, self._options, told["url"])

    async def _bot_is_up(self, bot: Child) -> None:
        """It answers and has read the whole account."""
        until = time.monotonic() + START_PATIENCE_S
        while not self._asked_to_end.is_set():
            if not bot.running:
                raise bot.crashed()
            if self._status is not None and self._status["synced"]:
                return
            if time.monotonic() > until:
                raise Failure(f"the bot did not come up within {START_PATIENCE_S:g} s:\n{bot.tail()}")
            self._find_bot()
            await asyncio.sleep(0.1)

    def _find_bot(self) -> None:
        """Where the bot answers: its own file in the home tells (the port may be any)."""
        if not self._bot_url:
            with suppress(OSError, ValueError):
                told = json.loads((self._made.home.path / "bot.json").read_bytes())
                self._bot_url = f"http://127.0.0.1:{told['port']}"

    async def _trade(self, simulator: Child, bot: Child) -> None:
        """Until the market time is over, somebody asks to end, or a process dies."""
        while not self._asked_to_end.is_set():
            if self._pacer.elapsed()[1] >= self._options.minutes * 60:
                return
            for child in (simulator, bot):
                if not child.running:
                    raise child.crashed()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await self._asked_to_end.wait()

    # --- what they say -------------------------------------------------------------------------

    async def _admin_says(self, http: aiohttp.ClientSession, path: str) -> Any:
        url = f"{self._admin}{path}?account={self._made.api_key}"
        try:
            async with http.get(url) as answer:
                return await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Failure(f"the simulator's admin API gave no answer at {path}: {error}") from error

    async def _look(self, http: aiohttp.ClientSession) -> None:
        """The bot's newest picture; none while it does not answer."""
        if not self._bot_url:
            return
        headers = {"Authorization": f"Bearer {self._made.home.api_token().value}"}
        try:
            async with http.get(f"{self._bot_url}/api/status", headers=headers) as answer:
                if answer.status != 200:
                    return
                self._status = await answer.json()
        except (aiohttp.ClientError, TimeoutError):
            return
        if self._equity_at_start is None:
            self._equity_at_start = self._status["balances"]["equity"]
        protected = any(each["stop_verified"] for each in self._status["positions"])
        if protected and self._first_protected_s is None:
            self._first_protected_s = round(time.monotonic() - self._began, 1)

    # --- the picture ---------------------------------------------------------------------------

    def _heading(self) -> screen.Heading:
        market_s = self._pacer.elapsed()[1]
        now_ms = self._made.pace.segment().market_ns(time.monotonic_ns()) // 1_000_000
        return screen.Heading(
            market_ms=now_ms,
            speed_asked=self._options.speed,
            speed_now=self._made.pace.segment().speed,
            speed_effective=self._pacer.effective_speed(),
            minutes_left=max(0.0, self._options.minutes - market_s / 60),
            phase=self._phase,
            equity_at_start=self._equity_at_start,
        )

    @contextmanager
    def _picture(self) -> Iterator[Live | None]:
        """A live screen on a terminal; None where there is none."""
        console = screen.console()
        if self._options.headless or not console.is_terminal:
            yield None
            return
        with Live(console=console, screen=True, auto_refresh=False) as live:
            yield live

    async def _keep_showing(self, http: aiohttp.ClientSession, live: Live | None) -> None:
        line_due = 0.0
        while True:
            await self._look(http)
            if live is not None:
                width, height = live.console.size
                live.update(screen.screen(self._status, self._heading(), width, height), refresh=True)
            elif time.monotonic() >= line_due:
                line_due = time.monotonic() + LINE_EVERY_S
                say(screen.progress_line(self._status, self._heading()))
            await asyncio.sleep(REFRESH_S)
