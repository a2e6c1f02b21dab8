"""`holdfast run`: the bot as a process, from configuration to a flat end."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from holdfast.cli import botfile
from holdfast.cli.botfile import BotFile
from holdfast.cli.compose import Built, build_bot
from holdfast.cli.config import Loaded, load
from holdfast.cli.exits import Exit, Failure, say
from holdfast.cli.lifeline import on_signals, orphaned
from holdfast.cli.paths import CHECKED_NAME, CONFIG_NAME, config_path
from holdfast.cli.preflight import preflight
from holdfast.console.port import listen
from holdfast.console.server import HttpServer
from holdfast.domain.protocols import Clock
from holdfast.engine.liquidation import LiquidationState
from holdfast.engine.liquidator import LiquidationResult
from holdfast.engine.view import View
from holdfast.exchanges.port import ExchangeError
from holdfast.runtime import loop as runtime_loop
from holdfast.runtime.clock import RealClock, SharedClock, SteadyClock
from holdfast.runtime.pace import PaceFile
from holdfast.store.books import open_trades
from holdfast.store.database import open_store
from holdfast.store.home import Home
from holdfast.store.journal import open_intents

AWAIT_CONFIG_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """As on the command line; None = not given."""

    home: Path
    config: Path | None
    exchange: str | None
    base_url: str | None
    symbols: str | None
    port: int | None
    live: bool
    pace: Path | None
    pace_slot: int
    """Ours on that clock."""
    parent: int | None
    await_config: bool
    """The configuration file appears a little later: who starts us does not wait for our imports."""

    def overrides(self) -> dict[str, object]:
        """The given ones as dotted paths of the configuration."""
        symbols = [part.strip() for part in self.symbols.split(",") if part.strip()] if self.symbols else None
        given = {
            "account.exchange": self.exchange,
            "account.base_url": self.base_url,
            "symbols": symbols,
            "http.port": self.port,
        }
        return {path: value for path, value in given.items() if value is not None}


def run_bot_command(options: RunOptions) -> int:
    """Run until told to stop; the exit status tells how the shutdown ended."""
    home = Home(options.home)
    if options.await_config:
        _await(options.config or home.path / CONFIG_NAME)
    loaded = load(config_path(home, options.config), os.environ, options.overrides(), live=options.live)
    if options.live:
        require_checked(home, loaded)
    clock: Clock = SharedClock(PaceFile.open(options.pace)) if options.pace else SteadyClock(RealClock())
    # Before anything is written: a port in use changes nothing.
    listening = listen(loaded.http.host, loaded.http.port)
    home.prepare()
    with home.lock():
        main = _run(loaded, home, clock, listening, options.parent)
        return runtime_loop.run(main, clock, slot=options.pace_slot if options.pace else None)


def _await(path: Path) -> None:
    until = time.monotonic() + AWAIT_CONFIG_S
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.02)


def require_checked(home: Home, loaded: Loaded) -> None:
    """Live trading needs a passed `check config --live` of exactly these values. Raises `Failure`."""
    path = home.path / CHECKED_NAME
    try:
        checked = json.loads(path.read_bytes()).get("hash")
    except (OSError, ValueError, AttributeError):
        checked = None
    if checked != loaded.hash:
        found = "no check" if checked is None else "a check of other values"
        raise Failure(
            f"{path}: expected a passed `holdfast check config --live` of this configuration, found {found}",
            Exit.BAD_USE,
        )


async def _run(loaded: Loaded, home: Home, clock: Clock, listening: socket, parent: int | None) -> int:
    stop = asyncio.Event()
    async with build_bot(loaded, home, clock) as built:
        on_signals(lambda name: _asked_to_stop(built, stop, name))
        server = HttpServer(built.app, listening)
        await server.start()
        where = BotFile(
            pid=os.getpid(),
            host=loaded.http.host,
            port=server.port,
            address=loaded.settings.address,
            started_ms=clock.now_ms(),
        )
        botfile.write(home, where)
        _greet(loaded, home, where)
        runtime_loop.keep_collector_away()
        watch = asyncio.create_task(_watch_parent(parent, stop), name="parent")
        try:
            await _look_first(built, home, loaded)
            result = await built.bot.run(stop)
        except ExchangeError as error:
            words = (
                f"{loaded.settings.address}: expected {loaded.settings.exchange} to answer, found: {error}"
            )
            raise Failure(words) from error
        finally:
            watch.cancel()
            botfile.remove(home)
            await server.stop()
        bot = built.bot
        return ended(result, bot.view, bot.not_durable, lease_lost=bot.lease_lost)


async def _look_first(built: Built, home: Home, loaded: Loaded) -> None:
    """What the exchange says of keys and symbols before anything is traded. Raises `Failure`."""
    account = loaded.settings.account_id
    for words in await preflight(built.bot.account.exchange, loaded.settings, lambda: _holds(home, account)):
        say(f"warning: {words}")
        built.logs.logger.warning("start.warning", account=account, text=words)


def _holds(home: Home, account_id: str) -> bool:
    """Whether something of ours may be open: by the books, or by an intent whose fate is not known."""
    store = open_store(home.database, read_only=True)
    try:
        return store.read(lambda c: bool(open_trades(c, account_id) or open_intents(c, account_id)))
    finally:
        store.close()


def _asked_to_stop(built: Built, stop: asyncio.Event, name: str) -> None:
    if stop.is_set():
        say(f"{name}: already shutting down")
        return
    say(f"{name}: shutting down, closing what is open")
    built.logs.logger.info("shutdown.asked", signal=name)
    stop.set()


async def _watch_parent(parent: int | None, stop: asyncio.Event) -> None:
    if parent is not None:
        await orphaned(parent)
        stop.set()


def _greet(loaded: Loaded, home: Home, where: BotFile) -> None:
    settings = loaded.settings
    say(f"{settings.trading_mode} trading on {settings.exchange} at {settings.address}, home {home.path}")
    say(f"{len(settings.symbols)} symbols: {', '.join(str(symbol) for symbol in settings.symbols)}")
    say(f"HTTP on http://{where.host}:{where.port} (token in {home.token_file}); Ctrl-C closes all and ends")
    for warning in loaded.warnings:
        say(f"warning: {warning}")


def ended(result: LiquidationResult | None, view: View, not_durable: str, *, lease_lost: bool) -> int:
    """Say how the shutdown ended, and its exit status (R4.7). *not_durable*: what the store did not take."""
    if lease_lost:
        say(f"another instance has taken the account over; {len(view.positions)} positions are left to it")
    elif result is None:
        say(f"ended without a liquidation; {len(view.positions)} positions keep their stops")
    else:
        say(
            f"liquidation {result.state}: {len(result.positions_closed)} closed,"
            f" {len(result.positions_failed)} failed, {result.orders_cancelled} orders cancelled"
            f" in {result.duration_seconds:.2f} s ({result.correlation_id})"
        )
        for words in result.errors:
            say(f"  {words}")
    if not_durable:
        say(f"NOT WRITTEN: {not_durable}")
    if view.unprotected:
        say(f"WITHOUT A STOP: {', '.join(view.unprotected)}")
        return Exit.GUARANTEE_VIOLATED
    fine = result is None or result.state in (LiquidationState.COMPLETED, LiquidationState.SKIPPED)
    return Exit.FINE if fine and not not_durable and not lease_lost else Exit.FAILED
