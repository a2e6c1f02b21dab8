"""Over a real port, in the bot's own loop, in real and in market time."""

import asyncio
import socket
import time

import pytest
from aiohttp import ClientSession

from holdfast.console.app import create_app
from holdfast.console.port import PortUnusable, listen
from holdfast.console.server import HttpServer
from holdfast.runtime import loop as runtime_loop
from holdfast.runtime.clock import RealClock, SharedClock
from holdfast.runtime.logs import Logs
from holdfast.runtime.pace import PaceFile

from .views import FixedClock, RememberingCommands, view

TOKEN = "0123456789abcdef0123456789abcdef"


async def serve_and_ask(app):
    server = HttpServer(app, listen("127.0.0.1", 0))
    await server.start()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    try:
        async with ClientSession(f"http://127.0.0.1:{server.port}", headers=headers) as http:
            async with http.get("/health") as health:
                told = await health.json()
            async with http.post("/stop", json={"reason": "test"}) as stopped:
                return told, await stopped.json(), server.port
    finally:
        await server.stop()


@pytest.mark.parametrize("speed", [None, 20.0])
def test_a_real_port_answers_and_is_free_again_afterwards(tmp_path, speed):
    clock = RealClock()
    if speed:
        clock = SharedClock(PaceFile.create(tmp_path / "pace", start_ms=1, speed=speed))
    logs = Logs(tmp_path / "bot.log", FixedClock())
    app = create_app(view, RememberingCommands(), token=TOKEN, logs=logs, clock=FixedClock())
    health, stopped, port = runtime_loop.run(serve_and_ask(app), clock)
    logs.close()
    assert health["status"] == "ok"
    assert stopped["state"] == "stopped"
    listen("127.0.0.1", port).close()


async def test_an_open_connection_does_not_hold_up_the_end(tmp_path):
    logs = Logs(tmp_path / "bot.log", FixedClock())
    app = create_app(view, RememberingCommands(), token=TOKEN, logs=logs, clock=FixedClock())
    server = HttpServer(app, listen("127.0.0.1", 0))
    await server.start()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    await writer.drain()
    started = time.monotonic()
    await server.stop()
    assert time.monotonic() - started < 4
    writer.close()
    logs.close()


def test_a_port_in_use_is_one_clear_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortUnusable, match=f"127.0.0.1:{port}: expected a port.*in use"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host_port", [("127.0.0.1", 70_000), ("192.0.2.1", 0)])
def test_an_impossible_address_is_one_clear_sentence(host_port):
    with pytest.raises(PortUnusable, match="expected a port"):
        listen(*host_port)
