"""Where an `Exchange` is made, and the one check that a test never reaches a real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from holdfast.domain.instrument import Instrument
from holdfast.domain.protocols import Clock
from holdfast.domain.secret import Secret
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.binance import dialect as binance
from holdfast.exchanges.binance.adapter import BinanceExchange
from holdfast.exchanges.binance.streams import BinanceStreams
from holdfast.exchanges.bingx import dialect as bingx
from holdfast.exchanges.bingx.account import AccountSettings
from holdfast.exchanges.bingx.adapter import BingxExchange
from holdfast.exchanges.bingx.stops import StopLedger
from holdfast.exchanges.bingx.streams import BingxStreams
from holdfast.exchanges.bitget import dialect as bitget
from holdfast.exchanges.bitget.adapter import BitgetExchange
from holdfast.exchanges.bitget.streams import BitgetStreams, login_frame
from holdfast.exchanges.caller import Caller
from holdfast.exchanges.capabilities import CAPABILITIES
from holdfast.exchanges.port import Exchange
from holdfast.exchanges.shared import Endpoints, ExchangeShared
from holdfast.exchanges.stats import AdapterStats
from holdfast.exchanges.streaming import Source, StreamKeeper, Timing

REAL: Mapping[str, Endpoints] = {
    "binance": Endpoints("https://fapi.binance.com", "wss://fstream.binance.com"),
    "bingx": Endpoints("https://open-api.bingx.com", "wss://open-api-swap.bingx.com"),
    "bitget": Endpoints("https://api.bitget.com", "wss://ws.bitget.com"),
}
"""Where the money is."""
TEST: Mapping[str, Endpoints] = {
    "binance": Endpoints("https://demo-fapi.binance.com", "wss://demo-fstream.binance.com"),
    "bingx": Endpoints("https://open-api-vst.bingx.com", "wss://vst-open-api-ws.bingx.com", "VST"),
    "bitget": Endpoints("https://api.bitget.com", "wss://wspap.bitget.com", paper_mark=True),
}
"""The exchanges' own test environments, with pretended money and keys of their own (exchange sheets §1)."""
ALSO_REAL = frozenset({"open-api.bingx.pro"})
"""Other hosts of the real exchanges."""


class UnsafeAddress(ValueError):
    """The address asked for is not one this run may talk to."""


@dataclass(frozen=True, slots=True, eq=False)
class Credentials:
    """One account's key pair; the secret cannot be shown or compared."""

    api_key: str
    secret: Secret
    passphrase: Secret = field(default_factory=lambda: Secret(""))
    """Only Bitget's keys have one."""


class MadeExchange(Exchange, Protocol):
    """What every adapter has beside the port."""

    @property
    def stats(self) -> AdapterStats: ...

    def clock_uncertainty_ms(self) -> int:
        """How wrong the measured clock offset may be."""
        ...

    def instruments(self) -> Mapping[Symbol, Instrument]:
        """All perpetual contracts the exchange lists."""
        ...

    async def watch_marks(self, symbols: Sequence[Symbol]) -> None:
        """Add symbols to the running market stream."""
        ...


def make_exchange(
    name: str,
    *,
    credentials: Credentials,
    base_url: str | None,
    ws_url: str | None = None,
    clock: Clock,
    shared: ExchangeShared,
    live: bool = False,
    testnet: bool = False,
) -> MadeExchange:
    """An account at exchange *name*; `open()` it before use. Raises `UnsafeAddress`, `ValueError`.

    Real hosts only with `live=True` and no *base_url*; with *testnet* the exchange's own test
    environment. A *base_url* must be on this machine, unless *testnet*. Without *ws_url* streams are
    sought at the same host.
    """
    endpoints = resolve(name, base_url=base_url, ws_url=ws_url, live=live, testnet=testnet)
    return _MAKERS[name](endpoints, credentials, clock, shared)


def resolve(name: str, *, base_url: str | None, ws_url: str | None, live: bool, testnet: bool) -> Endpoints:
    """The addresses that may be used; see `make_exchange`."""
    if name not in REAL:
        raise ValueError(f"expected an exchange out of {', '.join(sorted(REAL))}, found {name!r}")
    if base_url is None:
        return _own(name, ws_url, live=live, testnet=testnet)
    rest = _checked(base_url, "https", "http", allow_remote=testnet)
    streams = _checked(ws_url or _as_ws(rest), "wss", "ws", allow_remote=testnet)
    return Endpoints(rest, streams)


def _own(name: str, ws_url: str | None, *, live: bool, testnet: bool) -> Endpoints:
    """The exchange's own addresses."""
    if live and testnet:
        raise UnsafeAddress(f"{name}: expected live=True or testnet=True, found both")
    if not live and not testnet:
        raise UnsafeAddress(f"{name}: expected a base_url, found none; the real exchange needs live=True")
    if ws_url is not None:
        raise UnsafeAddress(f"{name}: expected no ws_url beside the exchange's own, found {ws_url!r}")
    return REAL[name] if live else TEST[name]


def _checked(url: str, safe: str, local: str, *, allow_remote: bool) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or parts.scheme not in (safe, local):
        raise UnsafeAddress(f"expected an address like {local}://127.0.0.1:8080, found {url!r}")
    if _is_real(host):
        raise UnsafeAddress(f"expected no real exchange as a test address, found {url!r}")
    if not _is_loopback(host) and not (allow_remote and parts.scheme == safe):
        raise UnsafeAddress(
            f"expected an address on this machine, found {url!r}; "
            f"a remote one has to be allowed and to begin with {safe}://"
        )
    return url.rstrip("/")


def _is_real(host: str) -> bool:
    known = {urlsplit(url).hostname for ends in REAL.values() for url in (ends.rest, ends.ws)}
    return host in known | ALSO_REAL


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _as_ws(rest: str) -> str:
    return "ws" + rest.removeprefix("http")


def _binance(
    endpoints: Endpoints, credentials: Credentials, clock: Clock, shared: ExchangeShared
) -> BinanceExchange:
    from holdfast.exchanges.binance.client import BinanceClient  # brings ccxt: seconds, so not before use

    capabilities, settings, stats = CAPABILITIES["binance"], shared.settings, AdapterStats()
    hub = shared.hub(endpoints, binance.hub)
    client = BinanceClient(
        base_url=endpoints.rest,
        api_key=credentials.api_key,
        secret=credentials.secret,
        clock=clock,
        transport=shared.transport(),
    )
    caller = Caller(
        client=client,
        dialect=binance.DIALECT,
        clock=clock,
        governor=hub.governor,
        window_ms=capabilities.window_ms,
        stats=stats,
    )
    streams = BinanceStreams(
        caller=caller,
        clock=clock,
        ws_url=endpoints.ws,
        names=lambda: hub.markets.names,
        keeper=lambda source, report: _keeper(source, report, shared, stats),
        keepalive_ms=settings.keepalive_ms,
        stats=stats,
    )
    return BinanceExchange(
        caller=caller,
        hub=hub,
        clock=clock,
        capabilities=capabilities,
        streams=streams,
        stats=stats,
        margin_currency=endpoints.margin_currency,
        fills_pages_max=settings.fills_pages_max,
    )


def _bingx(
    endpoints: Endpoints, credentials: Credentials, clock: Clock, shared: ExchangeShared
) -> BingxExchange:
    from holdfast.exchanges.bingx.client import BingxClient  # brings ccxt: seconds, so not before use

    capabilities, settings, stats = CAPABILITIES["bingx"], shared.settings, AdapterStats()
    hub, account, stops = shared.hub(endpoints, bingx.hub), AccountSettings(), StopLedger()
    client = BingxClient(
        base_url=endpoints.rest,
        api_key=credentials.api_key,
        secret=credentials.secret,
        clock=clock,
        transport=shared.transport(),
    )
    caller = Caller(
        client=client,
        dialect=bingx.DIALECT,
        clock=clock,
        governor=hub.governor,
        window_ms=capabilities.window_ms,
        stats=stats,
    )
    streams = BingxStreams(
        caller=caller,
        clock=clock,
        ws_url=endpoints.ws,
        names=lambda: hub.markets.names,
        account=account,
        stops=stops,
        keeper=lambda source, report: _keeper(source, report, shared, stats),
        keepalive_ms=settings.keepalive_ms,
        stats=stats,
    )
    return BingxExchange(
        caller=caller,
        hub=hub,
        clock=clock,
        capabilities=capabilities,
        streams=streams,
        account=account,
        stops=stops,
        stats=stats,
        margin_currency=endpoints.margin_currency,
        fills_pages_max=settings.fills_pages_max,
    )


def _bitget(
    endpoints: Endpoints, credentials: Credentials, clock: Clock, shared: ExchangeShared
) -> BitgetExchange:
    from holdfast.exchanges.bitget.client import BitgetClient  # brings ccxt: seconds, so not before use

    capabilities, settings, stats = CAPABILITIES["bitget"], shared.settings, AdapterStats()
    hub = shared.hub(endpoints, bitget.hub)
    key, secret, passphrase = credentials.api_key, credentials.secret, credentials.passphrase
    client = BitgetClient(
        base_url=endpoints.rest,
        api_key=key,
        secret=secret,
        passphrase=passphrase,
        transport=shared.transport(),
        paper_mark=endpoints.paper_mark,
    )
    caller = Caller(
        client=client,
        dialect=bitget.DIALECT,
        clock=clock,
        governor=hub.governor,
        window_ms=capabilities.window_ms,
        stats=stats,
    )
    streams = BitgetStreams(
        caller=caller,
        clock=clock,
        ws_url=endpoints.ws,
        login=lambda exchange_now_ms: login_frame(key, secret, passphrase, exchange_now_ms),
        names=lambda: hub.markets.names,
        keeper=lambda source, report: _keeper(source, report, shared, stats),
        stats=stats,
    )
    return BitgetExchange(
        caller=caller,
        hub=hub,
        clock=clock,
        capabilities=capabilities,
        streams=streams,
        stats=stats,
        margin_currency=endpoints.margin_currency,
        fills_pages_max=settings.fills_pages_max,
    )


def _keeper(
    source: Source, report: Callable[[bool, str], None], shared: ExchangeShared, stats: AdapterStats
) -> StreamKeeper:
    settings = shared.settings
    timing = Timing(
        ping_every_s=settings.ping_every_s,
        pong_within_s=settings.pong_within_s,
        backoff_first_s=settings.backoff_first_s,
        backoff_max_s=settings.backoff_max_s,
        data_within_s=settings.market_silence_ms / 1000 if source.up_on_data else None,
    )
    return StreamKeeper(
        source=source,
        timing=timing,
        session=lambda: shared.session,
        report=report,
        random=shared.random,
        stats=stats,
    )


_MAKERS: Mapping[str, Callable[[Endpoints, Credentials, Clock, ExchangeShared], MadeExchange]] = {
    "binance": _binance,
    "bingx": _bingx,
    "bitget": _bitget,
}
