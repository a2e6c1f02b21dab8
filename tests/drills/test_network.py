"""aiohttp's own client and server over links in memory: order, latency, and everything that goes wrong."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from holdfast.drills.loop import Process, SimLoop, bury, run_drill
from holdfast.drills.network import Conditions, Link, LinkKind, Network, kind_of

BASE = "http://exchange:80"


@dataclass
class Site:
    """A network with one server on it, and a session that talks to it."""

    loop: SimLoop
    network: Network
    session: aiohttp.ClientSession
    arrived: list[str]

    async def get(self, path: str = "/", timeout_s: float = 100) -> str:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with self.session.get(BASE + path, timeout=timeout) as answer:
            return await answer.text()


@asynccontextmanager
async def site(loop: SimLoop, seed: int = 1) -> AsyncIterator[Site]:
    arrived: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        arrived.append(request.path)
        if request.path == "/market/ws":
            return await _echo(request)
        if request.path == "/big":
            return web.Response(body=b"x" * 1_000_000)
        return web.Response(text=f"{request.path} {await request.text()}")

    conditions = {kind: Conditions(latency_ms=(10, 20)) for kind in LinkKind}
    network = Network(loop, lambda number: random.Random(f"{seed}/{number}"), conditions)
    server = web.Server(handle)  # type: ignore[arg-type]
    network.listen("exchange", 80, server)
    session = aiohttp.ClientSession(connector=network.connector())
    try:
        yield Site(loop, network, session, arrived)
    finally:
        await session.close()
        await server.shutdown(1)


async def _post(made: Site) -> None:
    async with made.session.post(BASE + "/one") as answer:
        await answer.read()


async def _echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(f"heard {message.data}")
    return socket


def play(work: Callable[[Site], Awaitable[None]], seed: int = 1) -> None:
    loop = SimLoop(random.Random(seed))

    async def main() -> None:
        async with site(loop, seed) as made:
            await work(made)

    run_drill(loop, main())
    assert loop.problems == []


def test_requests_and_streams_pass_in_virtual_time() -> None:
    async def work(made: Site) -> None:
        assert await made.get("/one") == "/one "
        first_s = made.loop.time()
        assert 0.04 <= first_s <= 0.08, "a round trip to connect, one to ask"
        assert await made.get("/two") == "/two "
        assert 0.02 <= made.loop.time() - first_s <= 0.04, "the connection was kept"
        assert made.network.opened == 1
        socket = await made.session.ws_connect("ws://exchange:80/market/ws")
        await socket.send_str("you")
        assert await socket.receive_str() == "heard you"
        await socket.close()

    play(work)


def test_links_are_told_apart_by_what_they_are_for() -> None:
    assert kind_of(URL("http://127.0.0.1:1/fapi/v1/order")) is LinkKind.REST
    assert kind_of(URL("ws://127.0.0.1:1/private/ws?listenKey=abc")) is LinkKind.USER
    assert kind_of(URL("ws://127.0.0.1:1/market/ws")) is LinkKind.MARKET

    async def work(made: Site) -> None:
        socket = await made.session.ws_connect("ws://exchange:80/market/ws")
        await made.get()
        assert [link.kind for link in made.network.links()] == [LinkKind.MARKET, LinkKind.REST]
        await made.session.ws_connect("ws://exchange:80/market/ws")
        kinds = [(link.number, link.kind) for link in made.network.links()]
        assert kinds == [(1, LinkKind.MARKET), (2, LinkKind.MARKET)], "a kept connection took the stream"
        await socket.close()

    play(work)


def test_kept_connections_expire_in_virtual_time() -> None:
    """Fails when aiohttp's monotonic clock is real: then nothing ever expires."""
    from holdfast.drills.patches import Sources, patched

    async def work(made: Site) -> None:
        with patched(Sources(made.loop.time, made.loop.time, random.Random(1))):
            await made.get()
            await asyncio.sleep(60)
            await made.get()
            assert made.network.opened == 2

    play(work)


def test_what_is_written_arrives_whole_and_in_order_whatever_the_weather() -> None:
    async def work(made: Site) -> None:
        weather = made.network.conditions[LinkKind.MARKET]
        weather.loss, weather.latency_ms = 0.3, (1, 200)
        socket = await made.session.ws_connect("ws://exchange:80/market/ws")

        async def send() -> None:
            for number in range(200):
                await socket.send_str(str(number))
                await asyncio.sleep(0.01)

        sending = asyncio.create_task(send())
        heard = [await socket.receive_str() for _ in range(200)]
        assert heard == [f"heard {number}" for number in range(200)]
        assert made.loop.time() > 3, "loss delays"
        await sending

    play(work)


def test_a_stall_keeps_everything_and_lets_it_go_in_order() -> None:
    async def work(made: Site) -> None:
        await made.get("/warm")
        made.network.stall(LinkKind.REST, on=True)
        asking = asyncio.create_task(made.get("/stalled"))
        await asyncio.sleep(30)
        assert made.arrived == ["/warm"]
        made.network.stall(LinkKind.REST, on=False)
        assert await asking == "/stalled "
        assert made.loop.time() < 31

    play(work)


def test_a_cut_link_swallows_everything_and_tells_nobody() -> None:
    async def work(made: Site) -> None:
        await made.get("/warm")
        assert made.network.cut(LinkKind.REST) == 1
        with pytest.raises(TimeoutError):
            await made.get("/lost", timeout_s=20)
        assert made.arrived == ["/warm"]
        assert await made.get("/new") == "/new ", "a new link works"

    play(work)


def test_a_reset_is_told_to_both_ends() -> None:
    async def work(made: Site) -> None:
        # A POST: what is idempotent aiohttp would send again by itself.
        asking = asyncio.create_task(_post(made))
        await asyncio.sleep(0.045)
        assert made.network.reset() == 1
        with pytest.raises(aiohttp.ClientError):
            await asking
        assert made.network.links() == []

    play(work)


def test_a_refused_and_an_unreachable_host() -> None:
    async def work(made: Site) -> None:
        rest = made.network.conditions[LinkKind.REST]
        rest.refuse = True
        with pytest.raises(aiohttp.ClientConnectorError, match="Connect call failed"):
            await made.get()
        rest.refuse, rest.unreachable = False, True
        with pytest.raises(TimeoutError):
            await made.get(timeout_s=5)
        rest.unreachable = False
        assert await made.get("/now") == "/now "

    play(work)


def test_a_writer_waits_for_a_reader_that_takes_nothing() -> None:
    async def work(made: Site) -> None:
        async with made.session.get(BASE + "/big") as answer:
            (link,) = made.network.links()
            await asyncio.sleep(5)
            held = link.server.get_write_buffer_size()
            body = await answer.read()
        assert len(body) == 1_000_000
        assert link.server.get_write_buffer_size() == 0
        assert held > 0, "the client's buffer was full, and what was left stayed with the server"

    play(work)


async def _dying_at(made: Site, hook: str) -> None:
    """A process that asks once, and dies at that moment."""
    process = Process("bot")
    sessions: list[aiohttp.ClientSession] = []

    def die(link: Link, data: bytes) -> None:
        made.loop.kill(process)
        made.network.kill(process)

    async def live() -> None:
        sessions.append(aiohttp.ClientSession(connector=made.network.connector()))
        async with sessions[0].get(BASE + "/order"):
            raise AssertionError("it was dead by then")

    setattr(made.network, hook, die)
    made.loop.start_in(process, live(), "live")
    await asyncio.sleep(5)
    bury(process)
    sessions[0]._connector = None  # its owner is dead: nobody closes it


def test_a_dead_process_has_its_sent_bytes_delivered_and_its_links_reset() -> None:
    async def work(made: Site) -> None:
        await _dying_at(made, "after_bytes")
        assert made.arrived == ["/order"]
        assert made.network.links() == []

    play(work)


def test_a_process_that_dies_before_its_bytes_has_sent_nothing() -> None:
    async def work(made: Site) -> None:
        await _dying_at(made, "before_bytes")
        assert made.arrived == []
        assert made.network.links() == []

    play(work)


def test_the_same_seed_gives_the_same_bytes_at_the_same_moments() -> None:
    def course(seed: int) -> list[tuple[float, int, bool, bytes]]:
        passed: list[tuple[float, int, bool, bytes]] = []

        async def work(made: Site) -> None:
            made.network.taps.append(
                lambda link, from_client, data: passed.append(
                    (made.loop.time(), link.number, from_client, data.split(b"Date")[0])
                )
            )
            await asyncio.gather(*(made.get(f"/{number}") for number in range(10)))

        play(work, seed)
        return passed

    assert course(1) == course(1)
    assert course(1) != course(2)
