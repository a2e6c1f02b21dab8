"""`holdfast demo`: starts the exchange and a bot at each, shows them, ends them flat, judges them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import aiohttp
from rich.live import Live

from holdfast.cli.demo import judge, screen
from holdfast.cli.demo.children import Child, first_json, start
from holdfast.cli.demo.prepare import ALL, SIMULATOR_OUT, DemoOptions, Prepared, prepared
from holdfast.cli.demo.seat import END_PATIENCE_S, START_PATIENCE_S, Seat
from holdfast.cli.exits import say
from holdfast.cli.lifeline import on_signals
from holdfast.console.port import listen
from holdfast.runtime import loop as runtime_loop
from holdfast.runtime.clock import RealClock
from holdfast.runtime.pace import SIMULATOR_SLOT
from holdfast.runtime.pacer import PaceLimits, Pacer

REFRESH_S = 0.4
LINE_EVERY_S = 5.0
ENDING_SPEED = 5.0
"""While it ends the clock goes slower: the liquidation's few seconds are market time."""
HTTP_TIMEOUT_S = 5.0


def run_demo(options: DemoOptions) -> int:
    """Run the demo to its end; prints the summary and returns its verdict as exit status."""
    for number, _ in enumerate(options.exchanges):
        listen("127.0.0.1", options.port and options.port + number).close()
    with prepared(options) as made:
        summary = runtime_loop.run(Demo(options, made).run(), RealClock())
    console = screen.console()
    for name, one in summary.get("exchanges", {}).items():
        console.print(screen.summary_table(one, f"how it ended at {name}"))
    console.print(screen.summary_table(summary, "how it ended"))
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
        self._seats = [Seat(made, place) for place in made.places]
        # While they start they read Python, and block: real time until all are up.
        limits = PaceLimits(ceiling=min(1.0, options.speed))
        slots = (SIMULATOR_SLOT, *(place.slot for place in made.places))
        self._pacer = Pacer(made.pace, slots, limits)
        self._phase = "starting"
        self._asked_to_end = asyncio.Event()
        self._children: list[Child] = []

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
        # All at once: most of their start is reading Python. The bots wait for their configuration,
        # which is written when the exchange's address is known.
        simulator = await self._start_simulator()
        self._children += [simulator, *[await seat.start() for seat in self._seats]]
        await self._exchanges_are_up(simulator)
        await asyncio.gather(*(seat.up(self._asked_to_end) for seat in self._seats))
        self._pacer.hold(self._options.speed)
        self._pacer.begin()
        self._phase = "trading"
        await self._trade()
        self._phase = "ending"
        paced = self._paced()
        self._pacer.hold(min(self._options.speed, ENDING_SPEED))
        await asyncio.gather(*(seat.end() for seat in self._seats))
        found = {seat.name: judge.summary_of(await seat.evidence(http, paced)) for seat in self._seats}
        await simulator.stop(END_PATIENCE_S)
        return judge.joined(found) if self._options.exchange == ALL else found[self._seats[0].name]

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
        named = [part for seat in self._seats for part in ("--exchange", seat.name)]
        ports = ("--port", "0", "--admin-port", "0", "--latency-ms", str(options.latency_ms))
        ours = ("--accounts", str(made.accounts), "--pace", str(made.pace.path), "--parent", str(os.getpid()))
        arguments = ("simulator", *named, "--json", *ports, *ours, *given)
        return await start("simulator", arguments, made.logs / SIMULATOR_OUT, {})

    async def _exchanges_are_up(self, simulator: Child) -> None:
        told = await first_json(simulator, START_PATIENCE_S)
        served = {each["exchange"]: each for each in told["exchanges"]}
        for seat in self._seats:
            seat.exchange_is_at(served[seat.name]["url"], served[seat.name]["admin_url"])

    async def _trade(self) -> None:
        """Until the market time is over, somebody asks to end, or a process dies."""
        while not self._asked_to_end.is_set():
            if self._pacer.elapsed()[1] >= self._options.minutes * 60:
                return
            for child in self._children:
                if not child.running:
                    raise child.crashed()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await self._asked_to_end.wait()

    def _paced(self) -> judge.Paced:
        real_s, market_s = self._pacer.elapsed()
        return judge.Paced(
            effective_speed=self._pacer.effective_speed(),
            speed_asked=self._options.speed,
            market_s=market_s,
            real_s=real_s,
            late_market_ms_max=self._pacer.late_market_ms_max,
        )

    # --- the picture ---------------------------------------------------------------------------

    def _heading(self) -> screen.Heading:
        market_s = self._pacer.elapsed()[1]
        now_ms = self._made.pace.segment().market_ns(time.monotonic_ns()) // 1_000_000
        at_start = [seat.equity_at_start for seat in self._seats if seat.equity_at_start is not None]
        return screen.Heading(
            market_ms=now_ms,
            speed_asked=self._options.speed,
            speed_now=self._made.pace.segment().speed,
            speed_effective=self._pacer.effective_speed(),
            minutes_left=max(0.0, self._options.minutes - market_s / 60),
            phase=self._phase,
            equity_at_start=sum(at_start) if len(at_start) == len(self._seats) else None,
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
            await asyncio.gather(*(seat.look(http) for seat in self._seats))
            told = {seat.name: seat.status for seat in self._seats}
            if live is not None:
                width, height = live.console.size
                live.update(screen.screens(told, self._heading(), width, height), refresh=True)
            elif time.monotonic() >= line_due:
                line_due = time.monotonic() + LINE_EVERY_S
                for line in screen.progress_lines(told, self._heading()):
                    say(line)
            await asyncio.sleep(REFRESH_S)
