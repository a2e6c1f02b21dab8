"""The simulated exchange as a server: core, wire, admin API and the task that keeps time.

    config = ServerConfig(port=0, admin_port=0)
    server = SimulatorServer(config, market, clock)
    await server.start()        # server.url, server.admin_url
    ...
    await server.stop()

Everything runs on the given clock and the running loop: no thread, no clock of its own, so that the
same server also runs in virtual time. `start(listen=False)` opens no port; `exchange_server` and
`admin_server` then make protocols for any transport.

Any client of the real exchange can be pointed at it. Behind the *open door* (no accounts file) any
key opens a demo account; its secret is unknown, so signatures are checked for their shape only. With
an accounts file, or for accounts opened by the admin API, they are verified in full.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from email.utils import formatdate
from pathlib import Path
from typing import Any

from aiohttp import web

from holdfast.domain.protocols import Clock
from holdfast.simulator.accounts import NamedAccount, read_accounts
from holdfast.simulator.admin import AdminApp
from holdfast.simulator.binance.app import BinanceApp
from holdfast.simulator.binance.limits import Limits
from holdfast.simulator.binance.venue import BinanceConfig, Venue
from holdfast.simulator.bingx.app import BingxApp
from holdfast.simulator.bingx.config import BingxConfig
from holdfast.simulator.bingx.config import Switches as BingxSwitches
from holdfast.simulator.bingx.listing import Listing as BingxListing
from holdfast.simulator.bingx.venue import Venue as BingxVenue
from holdfast.simulator.bitget.app import BitgetApp
from holdfast.simulator.bitget.listing import Listing as BitgetListing
from holdfast.simulator.bitget.venue import BitgetConfig, BitgetOptions, bitget_core
from holdfast.simulator.bitget.venue import Venue as BitgetVenue
from holdfast.simulator.core.engine import Core, CoreConfig
from holdfast.simulator.core.market import Market
from holdfast.simulator.events import EventLog
from holdfast.simulator.faults import FaultPlan
from holdfast.simulator.requests import RequestLog
from holdfast.simulator.wire.app import WireApp

STEP_MS_MAX = 1_000
STOP_WITHIN_S = 2.0


class CannotServe(Exception):
    """The server cannot start; the text names what, expected and found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """One simulated exchange. Times in ms; money in quote currency."""

    exchange: str = "binance"
    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port."""
    admin_port: int = 0
    admin_token: str = ""
    latency_ms: int = 0
    """Round trip: half on the way in, half on the way out; stream messages take half."""
    read_lag_ms: tuple[int, int] = (0, 500)
    seed: int = 0
    accounts_file: Path | None = None
    """Named accounts only; None: the open door."""
    wallet: Decimal = Decimal(10_000)
    limits: Limits = field(default_factory=Limits)
    legacy_ack_fields: bool = False
    bingx: BingxSwitches = field(default_factory=BingxSwitches)
    """Where *exchange* is BingX: its limits and its unverified ways."""
    hold_ms_max: int = 120_000
    bitget: BitgetOptions = field(default_factory=BitgetOptions)
    """Where *exchange* is Bitget: its limits and its unverified ways."""

    def wire(self) -> dict[str, Any]:
        """The fields of every dialect's `WireConfig`."""
        return {
            "latency_ms": self.latency_ms,
            "read_lag_ms": self.read_lag_ms,
            "open_door": self.accounts_file is None,
            "hold_ms_max": self.hold_ms_max,
        }


class SimulatorServer:
    """One simulated exchange, in process. Raises `CannotServe`, `BadAccounts` or `BadMarketData`."""

    def __init__(
        self,
        config: ServerConfig,
        market: Market,
        clock: Clock,
        *,
        core_config: CoreConfig | None = None,
        faults: FaultPlan | None = None,
    ) -> None:
        if config.exchange not in DIALECTS:
            raise CannotServe(f"exchange: expected one of {', '.join(DIALECTS)}, found {config.exchange!r}")
        self.config = config
        self.clock = clock
        dialect = DIALECTS[config.exchange]
        ways = dialect.ways(_core_config(config, core_config), config)
        self.core = Core(dialect.listed(market), ways)
        self.faults = faults if faults is not None else FaultPlan(seed=config.seed)
        self.events = EventLog()
        self.log = RequestLog()
        self.chance = random.Random(f"wire/{config.seed}")  # noqa: S311  (seeded chance is the point)
        self.core.listen(self.events.hear, prices=False)
        self.app = dialect.app(self)
        self.admin = AdminApp(self.app, self.events, config.host, config.admin_token)
        self._runners = [_runner(app.application, clock) for app in (self.app, self.admin)]
        self._driver: asyncio.Task[None] | None = None
        for account in read_accounts(config.accounts_file) if config.accounts_file else ():
            self._open(account)

    def _open(self, named: NamedAccount) -> None:
        account = self.app.name_account(named.key, named.secret, named.wallet, named.passphrase)
        if named.position_mode not in (None, account.position_mode):
            self.core.set_position_mode(account.account_id, named.position_mode)

    # --- life --------------------------------------------------------------------------------------

    async def start(self, *, listen: bool = True) -> None:
        """Serve, and keep the core going with the clock."""
        for runner in self._runners:
            await runner.setup()
        if listen:
            ports = (("port", self.config.port), ("admin port", self.config.admin_port))
            for runner, (name, port) in zip(self._runners, ports, strict=True):
                await self._listen(runner, name, port)
        self.step()
        self._driver = asyncio.create_task(self._drive(), name="simulator-driver")

    async def _listen(self, runner: web.AppRunner, name: str, port: int) -> None:
        try:
            await web.TCPSite(runner, self.config.host, port).start()
        except OSError as error:
            await self.stop()
            where = f"{self.config.host}:{port}"
            raise CannotServe(f"{name}: expected a free port, found {where}: {error.strerror}") from error

    async def stop(self) -> None:
        """Close all connections and stop keeping time; safe to call twice."""
        await self.app.stop()
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.cancel()
            await asyncio.wait([driver])
        for runner in self._runners:
            await runner.cleanup()

    async def wait(self) -> None:
        """Until the task that keeps time ends; raises what ended it."""
        if self._driver is not None:
            await asyncio.shield(self._driver)  # cancelling the wait does not stop time

    def step(self) -> None:
        """Catch up with the clock now."""
        self.app.step()

    async def _drive(self) -> None:
        while True:
            self.step()
            wait_ms = self.app.next_ms() - self.clock.now_ms()
            await asyncio.sleep(min(max(wait_ms, 1), STEP_MS_MAX) / 1_000)

    # --- where it is -------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        return self._port(0)

    @property
    def admin_port(self) -> int:
        return self._port(1)

    @property
    def url(self) -> str:
        return f"http://{self.config.host}:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://{self.config.host}:{self.admin_port}"

    @property
    def exchange_server(self) -> web.Server:
        """Makes protocols for any transport; after `start`."""
        return _server(self._runners[0])

    @property
    def admin_server(self) -> web.Server:
        return _server(self._runners[1])

    def _port(self, number: int) -> int:
        addresses = self._runners[number].addresses
        if not addresses:
            raise CannotServe("port: expected a started server that listens, found none")
        return int(addresses[0][1])


def _binance(server: SimulatorServer) -> BinanceApp:
    config = server.config
    wire = BinanceConfig(**config.wire(), limits=config.limits, legacy_ack_fields=config.legacy_ack_fields)
    venue = Venue(core=server.core, config=wire, chance=server.chance)
    return BinanceApp(venue, server.faults, server.clock, server.log)


def _bingx(server: SimulatorServer) -> BingxApp:
    config = BingxConfig(**server.config.wire(), switches=server.config.bingx)
    venue = BingxVenue(core=server.core, config=config, chance=server.chance)
    return BingxApp(venue, server.faults, server.clock, server.log)


def _bitget(server: SimulatorServer) -> BitgetApp:
    config = BitgetConfig(**server.config.wire(), options=server.config.bitget)
    venue = BitgetVenue(core=server.core, config=config, chance=server.chance)
    return BitgetApp(venue, server.faults, server.clock, server.log)


@dataclass(frozen=True, slots=True)
class Dialect:
    """One exchange: its door, the market under its rules, and its core's ways."""

    app: Callable[[SimulatorServer], WireApp[Any, Any]]
    listed: Callable[[Market], Market] = lambda market: market
    ways: Callable[[CoreConfig, ServerConfig], CoreConfig] = lambda core, _: core


DIALECTS: dict[str, Dialect] = {
    "binance": Dialect(_binance),
    "bingx": Dialect(_bingx, BingxListing, lambda core, config: config.bingx.core(core)),
    "bitget": Dialect(_bitget, BitgetListing, lambda core, config: bitget_core(core, config.bitget)),
}


def _core_config(config: ServerConfig, given: CoreConfig | None) -> CoreConfig:
    base = given if given is not None else CoreConfig()
    return replace(base, seed=config.seed, wallet=config.wallet, read_lag_ms=config.read_lag_ms)


def _runner(application: web.Application, clock: Clock) -> web.AppRunner:
    """Answers carry the given clock's date, not the machine's."""

    async def dated(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(clock.now_ms() // 1_000, usegmt=True)

    application.on_response_prepare.append(dated)
    return web.AppRunner(application, access_log=None, shutdown_timeout=STOP_WITHIN_S)


def _server(runner: web.AppRunner) -> web.Server:
    if runner.server is None:
        raise CannotServe("server: expected a started server, found one that is not")
    return runner.server
