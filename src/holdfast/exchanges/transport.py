"""HTTP as the dialects need it: raw answers, and what is proven when there is none.

ccxt's own `fetch` turns "refused before a byte was sent" and "sent, no reply" into one exception
class and decodes every body; here the two stay apart, and bytes stay bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp
import yarl
from aiohttp.connector import Connection
from aiohttp.tracing import Trace


class NotSent(Exception):
    """Proven: no byte of the request left. It had no effect."""


class NoAnswer(Exception):
    """The request may have arrived, but no complete answer came back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, untouched. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class _Trace:
    """How far one request got. *once*: it must not be written a second time."""

    once: bool
    seen: bool = False
    """The session reports to us; without that nothing is proven."""
    written: bool = False


def sent_tracing() -> aiohttp.TraceConfig:
    """Records, just before bytes are written, that they were; stops aiohttp's silent second sending.

    aiohttp repeats GET, PUT and DELETE by itself when a kept-alive connection breaks. A cancel sent
    twice answers "not found", and the caller would draw a wrong conclusion.
    """
    config = aiohttp.TraceConfig()

    async def started(
        session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestStartParams
    ) -> None:
        if isinstance(context.trace_request_ctx, _Trace):
            context.trace_request_ctx.seen = True

    async def headers_sent(
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestHeadersSentParams,
    ) -> None:
        trace = context.trace_request_ctx
        if not isinstance(trace, _Trace):
            return
        if trace.once and trace.written:
            raise NoAnswer("connection lost after the request was sent")
        trace.written = True

    config.on_request_start.append(started)
    config.on_request_headers_sent.append(headers_sent)
    return config


class CleanConnections(aiohttp.BaseConnector):
    """A pool that gives no connection again on which something lies that nobody asked for.

    An answer that came twice would be taken for the answer to the next request, that one's for the one
    after, and so on for as long as the connection lives: aiohttp looks at such leftovers only when a
    connection is given back, and what comes later stays unseen.
    """

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()


class CleanTcp(CleanConnections, aiohttp.TCPConnector):
    """The same over TCP."""


class Transport:
    """Sends one request over the shared session, with a limit on time and on the answer's size.

    The session must have been made with `sent_tracing()`; without it every failure is `NoAnswer`.
    """

    def __init__(self, session: aiohttp.ClientSession, *, timeout_s: float, body_bytes_max: int) -> None:
        self._session = session
        self._timeout_s = timeout_s
        self._body_bytes_max = body_bytes_max

    async def send(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: bytes | None
    ) -> Answer:
        """The answer whatever its status; raises `NotSent` or `NoAnswer`. Redirects are not followed."""
        trace = _Trace(once=method != "GET")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(method, url, headers, body, trace)
        except (aiohttp.ClientError, OSError) as error:
            cause = _words(error)
            proven = trace.seen and not trace.written
            raise (NotSent(cause) if proven else NoAnswer(cause)) from error

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: bytes | None, trace: _Trace
    ) -> Answer:
        async with self._session.request(
            method,
            yarl.URL(url, encoded=True),  # signed bytes must not be quoted again
            headers=headers,
            data=body,
            allow_redirects=False,
            trace_request_ctx=trace,
        ) as response:
            content = await self._read_body(response)
            lower = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, lower, content)

    async def _read_body(self, response: aiohttp.ClientResponse) -> bytes:
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self._body_bytes_max:
                raise NoAnswer(f"answer larger than {self._body_bytes_max} bytes")
            chunks.append(chunk)
        return b"".join(chunks)


def _words(error: BaseException) -> str:
    """One line for people; never the URL, which carries the signature."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {error.os_error.strerror or type(error.os_error).__name__}"
    return type(error).__name__
