"""A bare WebSocket client: sends frames as they are given and keeps what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from holdfast.simulator.bitget.auth import VERIFY, sign
from tests.simulator.bitget.clients import KEY, PASSPHRASE, SECRET
from tests.simulator.world import World

PRODUCT = "USDT-FUTURES"


class Heard:
    """One connection, and all frames it has heard."""

    def __init__(self, world: World, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.world = world
        self.ws = ws
        self.frames: list[Any] = []

    async def say(self, frame: Any) -> None:
        await self.ws.send_str(frame if isinstance(frame, str) else orjson.dumps(frame).decode())

    async def login(self, stamp: str | None = None, **changes: str) -> None:
        stamp = stamp or str(self.world.clock.now_ms())
        shown = {
            "apiKey": KEY,
            "passphrase": PASSPHRASE,
            "timestamp": stamp,
            "sign": sign(SECRET, stamp + VERIFY),
        }
        await self.say({"op": "login", "args": [shown | changes], "url": "ccxt adds it"})

    async def subscribe(self, channel: str, **arg: str) -> None:
        wanted = {"instType": PRODUCT, "channel": channel} | (arg or {"instId": "default"})
        await self.say({"op": "subscribe", "args": [wanted]})

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        """The first frame that is wanted, heard already or still to come."""
        async with asyncio.timeout(5):
            while True:
                for frame in self.frames:
                    if wanted(frame):
                        return frame
                await self.next()

    async def next(self) -> Any:
        text = await self.ws.receive_str()
        self.frames.append("pong" if text == "pong" else orjson.loads(text))
        return self.frames[-1]

    async def drain(self, quiet_s: float = 0.3) -> list[Any]:
        """Everything until nothing has come for a while."""
        while True:
            try:
                await asyncio.wait_for(self.next(), quiet_s)
            except TimeoutError:
                return self.frames

    def pushes(self, channel: str) -> list[Any]:
        return [
            frame
            for frame in self.frames
            if isinstance(frame, dict) and "action" in frame and frame["arg"]["channel"] == channel
        ]


@asynccontextmanager
async def connected(world: World, category: str = "private") -> AsyncIterator[Heard]:
    # Waiting is done by reading: a cancelled read must not close the connection.
    async with world.http.ws_connect(f"{world.server.url}/v2/ws/{category}", timeout=5) as ws:
        yield Heard(world, ws)


def event(kind: str, **fields: Any) -> Callable[[Any], bool]:
    """A frame of that event with those fields."""

    def wanted(frame: Any) -> bool:
        return (
            isinstance(frame, dict)
            and frame.get("event") == kind
            and all(frame.get(name) == value for name, value in fields.items())
        )

    return wanted


def push(channel: str) -> Callable[[Any], bool]:
    def wanted(frame: Any) -> bool:
        return isinstance(frame, dict) and "action" in frame and frame["arg"]["channel"] == channel

    return wanted
