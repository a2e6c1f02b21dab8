"""Every clock and every source of chance that ccxt and aiohttp reach, replaced by name.

Replaced in the module that uses it, never in `time` or `random` themselves: test runners use those. A
test searches the installed versions for uses that are not listed here.
"""

from __future__ import annotations

import os
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest import mock

import aiohttp.web  # noqa: F401  (the modules to patch have to be there)

from holdfast.exchanges.binance import client as _of_binance  # noqa: F401
from holdfast.exchanges.bingx import client as _of_bingx  # noqa: F401
from holdfast.exchanges.bitget import client as _of_bitget  # noqa: F401


@dataclass(frozen=True, slots=True)
class Sources:
    """Where time and chance come from instead. Seconds."""

    wall_s: Callable[[], float]
    monotonic_s: Callable[[], float]
    chance: random.Random


def _time(sources: Sources) -> SimpleNamespace:
    """The module `time` without its clocks; formatting stays."""
    return SimpleNamespace(
        **{
            **vars(time),
            "time": sources.wall_s,
            "time_ns": lambda: int(sources.wall_s() * 1e9),
            "monotonic": sources.monotonic_s,
            "monotonic_ns": lambda: int(sources.monotonic_s() * 1e9),
            "perf_counter": sources.monotonic_s,
            "sleep": _forbidden_sleep,
        }
    )


def _forbidden_sleep(_seconds: float) -> None:
    raise RuntimeError("time.sleep in a drill: it would wait in real time")


def _os(sources: Sources) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(os), "urandom": sources.chance.randbytes})


def _uuid(sources: Sources) -> SimpleNamespace:
    def uuid4() -> uuid.UUID:
        return uuid.UUID(int=sources.chance.getrandbits(128), version=4)

    return SimpleNamespace(**{**vars(uuid), "uuid4": uuid4, "uuid1": uuid4})


PATCHES: Mapping[tuple[str, str], Callable[[Sources], Any]] = {
    # (module, name in it) → what stands there during a drill
    ("ccxt.base.exchange", "time"): _time,
    ("ccxt.base.exchange", "random"): lambda sources: sources.chance,
    ("ccxt.base.exchange", "uuid"): _uuid,
    ("ccxt.base.order_router", "time"): _time,
    ("ccxt.async_support.base.throttler", "time"): lambda sources: sources.wall_s,
    ("aiohttp.client", "os"): _os,
    ("aiohttp.client_middleware_digest_auth", "os"): _os,
    ("aiohttp.client_middleware_digest_auth", "time"): _time,
    ("aiohttp.connector", "monotonic"): lambda sources: sources.monotonic_s,
    ("aiohttp.connector", "random"): lambda sources: sources.chance,
    ("aiohttp.cookiejar", "time"): _time,
    ("aiohttp.helpers", "time"): _time,
    ("aiohttp.multipart", "uuid"): _uuid,
    ("aiohttp.web_log", "time_mod"): _time,
    ("aiohttp.web_response", "time"): _time,
}

HARMLESS: Mapping[tuple[str, str], str] = {
    # Uses that need no replacement, and why.
    ("aiohttp.web_log", "datetime"): "the simulator writes no access log",
    ("aiohttp._websocket.writer", "random"): "a default argument; `WebSocketWriter` is given our chance",
}


@contextmanager
def patched(sources: Sources) -> Iterator[None]:
    """For its duration ccxt and aiohttp know no time and no chance but *sources*'."""
    with ExitStack() as stack:
        for (module, name), make in PATCHES.items():
            stack.enter_context(mock.patch.object(sys.modules[module], name, make(sources)))
        stack.enter_context(_masks(sources.chance))
        yield


@contextmanager
def _masks(chance: random.Random) -> Iterator[None]:
    """The masks of WebSocket frames come from a generator that is a default argument."""
    writer = sys.modules["aiohttp._websocket.writer"].WebSocketWriter
    original = writer.__init__

    def seeded(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **{**options, "random": chance})

    with mock.patch.object(writer, "__init__", seeded):
        yield
