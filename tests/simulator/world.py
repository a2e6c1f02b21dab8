"""A small exchange for tests: generated markets, a clock that can jump, a server on free ports."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp

from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.market import GENERATED_START_MS, generated_market
from holdfast.simulator.server import ServerConfig, SimulatorServer

SYMBOLS = tuple(Symbol.parse(name) for name in ("BTCUSDT", "ETHUSDT", "XRPUSDT"))
BTC = SYMBOLS[0]
PROMPT = ServerConfig(read_lag_ms=(0, 0), seed=7)
"""Reads show effects at once."""


class JumpClock:
    """Real time from the market's start on; `jump` moves it ahead."""

    def __init__(self, start_ms: int = GENERATED_START_MS) -> None:
        self._begun = time.monotonic_ns()
        self._ahead_ms = start_ms

    def now_ms(self) -> int:
        return self._ahead_ms + (time.monotonic_ns() - self._begun) // 1_000_000

    def monotonic_ms(self) -> int:
        return self.now_ms()

    def jump(self, ms: int) -> None:
        self._ahead_ms += ms


class World:
    """A running server with its clock and an HTTP session for the admin API."""

    def __init__(self, server: SimulatorServer, clock: JumpClock, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.clock = clock
        self.http = http

    def jump(self, seconds: float) -> None:
        """Let market time pass; clients notice nothing but its effects."""
        self.clock.jump(round(seconds * 1_000))
        self.server.step()

    async def admin(self, method: str, path: str, /, **json: Any) -> Any:
        """Call the admin API; the answer's JSON. Fails on anything but 200."""
        args: dict[str, Any] = {"json": json} if method == "POST" else {"params": json}
        async with self.http.request(method, self.server.admin_url + path, **args) as answer:
            body = await answer.json()
            assert answer.status == 200, body
            return body

    async def fault(self, **fault: Any) -> int:
        ids = (await self.admin("POST", "/faults", **fault))["ids"]
        return int(ids[0])

    def truth(self, key: str = "key") -> Any:
        return self.server.core.truth(key)


@asynccontextmanager
async def world(
    config: ServerConfig = PROMPT, *, symbols: tuple[Symbol, ...] = SYMBOLS, **changes: Any
) -> AsyncIterator[World]:
    """A server with a few seconds of market behind it; *changes* are those of its configuration."""
    clock = JumpClock()
    market = generated_market(symbols, history_ms=3 * 3_600_000, seed=config.seed)
    server = SimulatorServer(replace(config, **changes), market, clock)
    await server.start()
    clock.jump(3_000)
    server.step()
    try:
        async with aiohttp.ClientSession() as http:
            yield World(server, clock, http)
    finally:
        await server.stop()
