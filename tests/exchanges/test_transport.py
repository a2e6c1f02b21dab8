"""What is proven when an answer does not come."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from holdfast.exchanges.shared import ExchangeSettings, ExchangeShared
from holdfast.exchanges.transport import Answer, NoAnswer, NotSent, Transport
from tests.exchanges.support import HandClock, raw_server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@asynccontextmanager
async def transport(timeout_s: float = 1.0, body_bytes_max: int = 1000) -> AsyncIterator[Transport]:
    settings = ExchangeSettings(request_timeout_s=timeout_s, body_bytes_max=body_bytes_max)
    shared = ExchangeShared(clock=HandClock(), random=random.Random(1), settings=settings)
    try:
        yield shared.transport()
    finally:
        await shared.close()


async def request_of(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            head += await reader.readexactly(int(line.split(b":")[1]))
    return head


async def test_an_answer_comes_back_untouched_whatever_its_status() -> None:
    """Status, lower-case headers, bytes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 418 Teapot\r\nRetry-After: 9\r\nContent-Length: 3\r\n\r\n\xff<>")

    async with raw_server(talk) as url, transport() as http:
        answer = await http.send("GET", url, {}, None)
    assert (answer.status, answer.headers["retry-after"], answer.body) == (418, "9", b"\xff<>")


async def test_a_refused_connection_proves_that_nothing_was_sent() -> None:
    """The one failure that is definite."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)

    async with raw_server(talk) as url:
        pass
    async with transport() as http:
        with pytest.raises(NotSent, match="cannot connect"):
            await http.send("POST", url, {}, b"x=1")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        HEAD[:10],
        HEAD + b"Content-Length: 50\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"garbage that is no HTTP\r\n\r\n",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n{}{}",
    ],
)
async def test_a_connection_lost_after_sending_proves_nothing(said: bytes) -> None:
    """Whatever part of an answer came before."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(said)

    async with raw_server(talk) as url, transport() as http:
        with pytest.raises(NoAnswer):
            await http.send("POST", url, {}, b"x=1")


async def test_silence_ends_at_the_timeout() -> None:
    """Sent, never answered: maybe an effect."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        await asyncio.sleep(10)

    async with raw_server(talk) as url, transport(timeout_s=0.1) as http:
        with pytest.raises(NoAnswer, match="in time"):
            await http.send("POST", url, {}, b"x=1")


async def test_an_endless_answer_is_cut_off() -> None:
    """The exchange's answers are hostile input: they cannot fill the memory."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(HEAD + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000)

    async with raw_server(talk) as url, transport() as http:
        with pytest.raises(NoAnswer, match="larger"):
            await http.send("GET", url, {}, None)


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    """A signed request goes to one place only."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

    async with raw_server(talk) as url, transport() as http:
        assert (await http.send("DELETE", url, {}, None)).status == 307


async def seen_after_a_reset(method: str) -> tuple[int, Answer | NoAnswer]:
    """One good answer, then the kept-alive connection breaks on the second request."""
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await request_of(reader))
            if len(seen) == 2:
                writer.transport.abort()
                return
            writer.write(HEAD + b"Content-Length: 2\r\n\r\n{}")

    async with raw_server(talk) as url, transport() as http:
        await http.send("GET", url, {}, None)
        try:
            found: Answer | NoAnswer = await http.send(method, url, {}, None)
        except NoAnswer as error:
            found = error
    return len(seen), found


@pytest.mark.parametrize("method", ["DELETE", "PUT", "POST"])
async def test_a_change_is_never_silently_sent_twice(method: str) -> None:
    """aiohttp repeats DELETE and PUT on broken kept-alive connections; we do not."""
    count, found = await seen_after_a_reset(method)
    assert count == 2
    assert isinstance(found, NoAnswer)


async def test_a_read_may_be_sent_again() -> None:
    """It has no effect, and connections do break while idle."""
    count, found = await seen_after_a_reset("GET")
    assert count == 3
    assert isinstance(found, Answer)


async def test_without_our_tracing_nothing_is_proven() -> None:
    """A session made elsewhere cannot tell whether bytes left."""
    async with aiohttp.ClientSession() as session:
        http = Transport(session, timeout_s=1, body_bytes_max=1000)
        with pytest.raises(NoAnswer):
            await http.send("POST", "http://127.0.0.1:1/", {}, b"x")


async def test_an_answer_that_came_twice_is_not_the_next_one() -> None:
    """Else each request gets the answer of the one before, for as long as the connection lives (S11, seed
    500000: positions were read from an empty list of orders)."""
    idle = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = (await request_of(reader)).split(b" ")[1]
            said = HEAD + b"Content-Length: %d\r\n\r\n" % len(asked) + asked
            writer.write(said)
            await writer.drain()
            await idle.wait()
            writer.write(said)
            await writer.drain()

    async with raw_server(talk) as url, transport() as http:
        for path in ("/one", "/two", "/three"):
            answer = await http.send("GET", f"{url}{path}", {}, None)
            assert answer.body == path.encode()
            idle.set()
            await asyncio.sleep(0.05)  # the second one arrives while nobody asks
            idle.clear()
