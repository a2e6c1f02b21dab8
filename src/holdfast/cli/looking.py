"""One account as its exchange shows it, for commands that look and send nothing that changes anything."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from holdfast.cli.compose import credentials_of
from holdfast.cli.config import Loaded, load
from holdfast.cli.exits import Exit, Failure
from holdfast.cli.paths import config_path
from holdfast.decisions.protect import MISSING_AFTER_MS, covers
from holdfast.domain.account import Fact, Position, PositionKey
from holdfast.domain.intents import Priority, Unavailable
from holdfast.domain.numbers import ZERO
from holdfast.domain.protocols import Clock
from holdfast.exchanges.factory import MadeExchange, make_exchange
from holdfast.exchanges.port import ExchangeError
from holdfast.exchanges.shared import ExchangeSettings, ExchangeShared
from holdfast.runtime.clock import RealClock, SteadyClock
from holdfast.store.bans import BanFile
from holdfast.store.books import open_trades
from holdfast.store.database import open_store
from holdfast.store.home import Home

T = TypeVar("T")
PATIENCE_S, PAUSE_MS = 15.0, 1_000
SIMULATED = frozenset({"paper", "demo"})
"""Modes that name a simulator's address, often on the command line only."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What such a command works with."""

    home: Home
    loaded: Loaded
    exchange: MadeExchange
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which account is looked at: that of a home, which knows its exchange once a bot ran in it."""

    home: Path
    config: Path | None = None
    exchange: str | None = None
    base_url: str | None = None
    live: bool = False

    def loaded(self) -> Loaded:
        """Its configuration. Raises `ConfigError`, `StoreError`."""
        home = Home(self.home)
        bound = home.address()
        known = bound if bound is not None and bound.mode in SIMULATED else None
        given = {
            "account.exchange": self.exchange or (known.exchange if known else None),
            "account.base_url": self.base_url or (known.base_url if known else None),
        }
        overrides = {path: value for path, value in given.items() if value}
        live = self.live or (bound is not None and bound.mode == "live")
        return load(config_path(home, self.config), os.environ, overrides, live=live)


def at_desk(where: Where, work: Callable[[Desk], Awaitable[int]]) -> int:
    """Run *work* with the account's exchange, not opened yet. Raises `ConfigError`, `StoreError`."""
    home, loaded = Home(where.home), where.loaded()

    async def run() -> int:
        async with _desk(home, loaded) as desk:
            return await work(desk)

    return asyncio.run(run())


@asynccontextmanager
async def _desk(home: Home, loaded: Loaded) -> AsyncIterator[Desk]:
    """A ban that a bot of this home met is kept; one that is met here is left in the home for it."""
    clock, settings = SteadyClock(RealClock()), loaded.settings
    bans = BanFile(home.ban_file, clock, lambda _event, _fields: None)
    shared = ExchangeShared(
        clock=clock,
        random=secrets.SystemRandom(),
        settings=ExchangeSettings(request_timeout_s=settings.request_timeout_ms / 1000),
        bans=bans.of if home.path.exists() else None,
    )
    try:
        exchange = make_exchange(
            settings.exchange,
            credentials=credentials_of(loaded, home),
            base_url=loaded.base_url or None,
            ws_url=loaded.ws_url or None,
            clock=clock,
            shared=shared,
            live=settings.trading_mode == "live",
            testnet=settings.trading_mode == "testnet",
        )
        yield Desk(home, loaded, exchange, clock)
    finally:
        await shared.close()


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer to *ask*, again after a pause while the exchange has no time for us: a bot beside us uses
    the same budget, and comes first. Raises `ExchangeError`."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE_S
    while True:
        try:
            return await ask()
        except ExchangeError as error:
            outcome = error.outcome
            later = isinstance(outcome, Unavailable) and not outcome.banned
            pause_s = max(PAUSE_MS, outcome.retry_after_ms) / 1000 if isinstance(outcome, Unavailable) else 0
            if not later or loop.time() + pause_s > until:
                raise
        await asyncio.sleep(pause_s)


def not_known(error: ExchangeError, what: str) -> Failure:
    """A question without a whole answer proves neither that all is well nor that it is not."""
    return Failure(f"{what}: expected an answer of the exchange, found: {error}", Exit.NOT_KNOWN)


async def positions_of(desk: Desk) -> Fact[tuple[Position, ...]]:
    return await patiently(lambda: desk.exchange.positions(priority=Priority.OBSERVE))


def whole(fact: Fact[tuple[Position, ...]]) -> tuple[Position, ...]:
    """The positions, if all rows could be read. Raises `Failure`."""
    if not fact.complete:
        words = "positions: expected rows that can be read, found one that cannot: look at the exchange"
        raise Failure(words, Exit.NOT_KNOWN)
    return fact.value


# --- stops ---------------------------------------------------------------------------------------


async def without_stop(desk: Desk) -> tuple[Position, ...]:
    """Positions that no stop at the exchange covers, twice in a row: one that was just opened is not among
    them. Raises `Failure` when that cannot be known."""
    try:
        first = await _uncovered(desk)
        if not first:
            return ()
        await asyncio.sleep(MISSING_AFTER_MS / 1000)
        again = await _uncovered(desk)
    except ExchangeError as error:
        raise not_known(error, "stops") from error
    return tuple(position for key, position in again.items() if key in first)


async def _uncovered(desk: Desk) -> dict[PositionKey, Position]:
    positions = whole(await positions_of(desk))
    if not positions:
        return {}
    stops = await patiently(lambda: desk.exchange.open_stops(None, priority=Priority.OBSERVE))
    now, protection = desk.clock.now_ms(), desk.loaded.settings.protection
    naked = {p.key: p for p in positions if not any(covers(s, p, protection, now) for s in stops.value)}
    if naked and not stops.complete:
        words = "stops: expected all order books of the exchange, found one that did not answer whole"
        raise Failure(words, Exit.NOT_KNOWN)
    return naked


# --- books ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """One position as the books have it and as the exchange has it: signed quantities, in base."""

    key: PositionKey
    booked: Decimal
    held: Decimal

    @property
    def words(self) -> str:
        return f"{self.key.symbol} {self.key.side}: books {self.booked}, exchange {self.held}"


async def differences(desk: Desk) -> tuple[int, tuple[Difference, ...]]:
    """How many positions were compared, and those that differ twice in a row: a fill on its way is none.

    Raises `Failure` when it cannot be known.
    """
    try:
        count, first = await _compared(desk)
        if not first:
            return count, ()
        await asyncio.sleep(MISSING_AFTER_MS / 1000)
        count, again = await _compared(desk)
    except ExchangeError as error:
        raise not_known(error, "positions") from error
    return count, tuple(each for key, each in again.items() if first.get(key) == each)


async def _compared(desk: Desk) -> tuple[int, Mapping[PositionKey, Difference]]:
    held = {p.key: p.quantity for p in whole(await positions_of(desk))}
    booked = _booked(desk)
    keys = sorted(held.keys() | booked.keys(), key=lambda key: (key.symbol, key.side))
    found = {key: Difference(key, booked.get(key, ZERO), held.get(key, ZERO)) for key in keys}
    return len(keys), {key: each for key, each in found.items() if each.booked != each.held}


def _booked(desk: Desk) -> dict[PositionKey, Decimal]:
    store = open_store(desk.home.database, read_only=True)
    try:
        trades = store.read(lambda c: open_trades(c, desk.loaded.settings.account_id))
    finally:
        store.close()
    return {
        PositionKey(trade.symbol, trade.position_side): trade.quantity * trade.side.sign for trade in trades
    }
