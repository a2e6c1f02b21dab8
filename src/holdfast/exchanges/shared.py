"""What all accounts of one process share: the HTTP session, and per exchange address a hub.

Passed in explicitly; nothing here is process-global. With it an account costs fractions of a
megabyte instead of several.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import certifi

from holdfast.domain.protocols import Clock, Random
from holdfast.exchanges.governor import Bans
from holdfast.exchanges.hub import Hub
from holdfast.exchanges.transport import CleanTcp, Transport, sent_tracing

Q = TypeVar("Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """Limits towards exchanges. `_s` values run on the event loop's time, `_ms` on the bot's clock."""

    request_timeout_s: float = 10.0
    body_bytes_max: int = 32 * 1024 * 1024
    ping_every_s: float = 5.0
    pong_within_s: float = 5.0
    market_silence_ms: int = 10_000
    """A market stream without a price for so long (loop time) is dead."""
    keepalive_ms: int = 30 * 60 * 1000
    """How often a listen key is extended; it lives an hour."""
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    fills_pages_max: int = 20


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where an exchange is: REST base and WebSocket base, without a trailing slash."""

    rest: str
    ws: str
    margin_currency: str = "USDT"
    paper_mark: bool = False
    """Pretended money behind the real exchange's own host: each request has to carry a mark that says so."""


class ExchangeShared:
    """Make one per process, give it to every `make_exchange`, close it last.

    *connector* makes the connector of the one session (an in-memory network in drills); None = TCP.
    *random* spreads reconnects. *bans* remembers over restarts which exchange banned this address: given
    where one is asked, it tells of that one.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        settings: ExchangeSettings | None = None,
        connector: Callable[[], aiohttp.BaseConnector] | None = None,
        bans: Callable[[str], Bans] | None = None,
    ) -> None:
        self.clock = clock
        self.random = random
        self.settings = settings or ExchangeSettings()
        self._bans = bans
        self._make_connector = connector or _tcp_connector
        self._session: aiohttp.ClientSession | None = None
        self._hubs: dict[Endpoints, Hub[Any]] = {}

    @property
    def session(self) -> aiohttp.ClientSession:
        """The one session, made on first use inside the running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._make_connector(),
                trace_configs=[sent_tracing()],
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
                trust_env=False,
            )
        return self._session

    def transport(self) -> Transport:
        """Requests over the shared session, with the settings' limits."""
        return Transport(
            self.session,
            timeout_s=self.settings.request_timeout_s,
            body_bytes_max=self.settings.body_bytes_max,
        )

    def hub(self, endpoints: Endpoints, make: Callable[[Clock, Bans | None], Hub[Q]]) -> Hub[Q]:
        """The hub of one exchange address; *make* makes it for the first account there."""
        hub = self._hubs.get(endpoints)
        if hub is None:
            bans = self._bans(endpoints.rest) if self._bans is not None else None
            hub = self._hubs[endpoints] = make(self.clock, bans)
        return hub

    async def close(self) -> None:
        """Close the session; the exchanges made from it must be closed before."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _tcp_connector() -> aiohttp.BaseConnector:
    # Unlimited here: a limit would queue an emergency behind slow reads; the governor limits instead.
    return CleanTcp(limit=0, ssl=_ssl_context())


def _ssl_context() -> ssl.SSLContext:
    """The system's certificates and Mozilla's: containers often lack the first."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
