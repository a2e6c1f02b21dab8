"""One bot put together out of settings and a place to live; the command line and the drills use the same."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import aiohttp
import orjson
from sqlalchemy import Connection

from holdfast.decisions.gate import OperatorState
from holdfast.domain.protocols import Clock
from holdfast.engine.account import LogLine
from holdfast.engine.bot import Bot, BotParts
from holdfast.engine.liquidator import LiquidationResult
from holdfast.engine.recall import StoreMemory
from holdfast.engine.settings import BotSettings
from holdfast.engine.snapshot import snapshot, stops_textfile
from holdfast.engine.view import View
from holdfast.exchanges.factory import Credentials, make_exchange
from holdfast.exchanges.shared import ExchangeSettings, ExchangeShared
from holdfast.runtime.clock import SteadyClock
from holdfast.runtime.disk import SYSTEM_DISK, Disk
from holdfast.runtime.ids import BotIds
from holdfast.runtime.logs import Logs
from holdfast.store import audit
from holdfast.store.atomic import write_atomic
from holdfast.store.audit_file import AuditFile
from holdfast.store.bans import BanFile
from holdfast.store.database import Store, open_store
from holdfast.store.errors import StoreError
from holdfast.store.home import Home
from holdfast.store.lease import Claim, claim_lease, release_lease
from holdfast.store.operator import operator_of, set_operator
from holdfast.store.writer import Blocking, GroupWriter
from holdfast.strategies.base import Strategy
from holdfast.strategies.registry import make_strategy

HANDOVER_MS = 10_000
"""So long an order of another instance may be under way: longer than a receive window, clocks allowed for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a bot lives, and what it is given from outside."""

    home: Home
    """Prepared, and locked by the caller."""
    clock: Clock
    blocking: Blocking
    chance: random.Random
    """For ids and the spread of reconnects."""
    log: LogLine
    credentials: Credentials
    base_url: str | None
    """None = the real exchange."""
    ws_url: str | None = None
    """None = at the same host."""
    holder: str
    """Who takes the lease: host and process, for people."""
    host: str
    """On which machine the home's lock is held; "" = it is not held, and its last bot may live."""
    config_hash: str = ""
    connector: Callable[[], aiohttp.BaseConnector] | None = None
    """Another network than TCP."""
    shared: ExchangeShared | None = None
    """What several accounts of one process share: session, markets, the budget of each exchange's address.
    Whoever made it closes it. None: this bot makes its own, and its home remembers bans."""
    disk: Disk = SYSTEM_DISK
    log_problem: Callable[[], str] = lambda: ""
    """Why the log cannot be written just now; "" = it can."""
    open_store: Callable[[Path], Store] = open_store
    make_strategy: Callable[[str, dict[str, object]], Strategy] = make_strategy


def log_line(logs: Logs, account_id: str) -> LogLine:
    """The engine's door to the log: the level follows from what is said."""

    def write(event: str, fields: dict[str, object]) -> None:
        severity = str(fields.get("severity", ""))
        if event.startswith("error") or severity == "critical":
            level = "error"
        elif severity == "warning" or "RECONCILIATION" in str(fields.get("text", "")):
            level = "warning"
        else:
            level = "info"
        getattr(logs.logger, level)(event, account=account_id, **fields)

    return write


@asynccontextmanager
async def assembled(settings: BotSettings, place: Place) -> AsyncIterator[Bot]:
    """A bot ready to run; what it opened is closed in reverse order. Raises `StoreError`,
    `UnsafeAddress`, `StrategyError`."""
    place = replace(place, clock=SteadyClock(place.clock))
    async with AsyncExitStack() as stack:
        memory, files, epoch = await _memory(stack, settings, place)
        shared = place.shared or _shared(stack, settings, place, files)
        exchange = make_exchange(
            settings.exchange,
            credentials=place.credentials,
            base_url=place.base_url,
            ws_url=place.ws_url,
            clock=place.clock,
            shared=shared,
            live=settings.trading_mode == "live",
            testnet=settings.trading_mode == "testnet",
        )
        named = settings.trading.strategies.items()
        yield Bot(
            BotParts(
                settings=settings,
                exchange=exchange,
                memory=memory,
                clock=place.clock,
                ids=BotIds(place.clock, epoch, place.chance),
                strategies=[place.make_strategy(name, dict(params)) for name, params in named],
                log=place.log,
                leave_files=files.leave,
                kill_ordered=place.home.kill_ordered,
            )
        )


def _shared(stack: AsyncExitStack, settings: BotSettings, place: Place, files: Files) -> ExchangeShared:
    made = ExchangeShared(
        clock=place.clock,
        random=place.chance,
        settings=ExchangeSettings(request_timeout_s=settings.request_timeout_ms / 1000),
        connector=place.connector,
        bans=files.bans.of,
    )
    stack.push_async_callback(made.close)
    return made


async def _memory(
    stack: AsyncExitStack, settings: BotSettings, place: Place
) -> tuple[StoreMemory, Files, int]:
    """The open store with its writer, and the files; the account's lease is ours from now on."""
    clock, blocking = place.clock, place.blocking
    store = await blocking(lambda: place.open_store(place.home.database))
    stack.callback(store.close)
    claim = await blocking(lambda: store.write(lambda c: _take_over(c, settings, place)))
    audit_file = AuditFile(place.home.audit, store, clock.now_ms, place.disk)
    writer = GroupWriter(store, blocking, project=audit_file.catch_up)
    stack.push_async_callback(_close_writer, writer, blocking, audit_file, place.log)
    stack.push_async_callback(_release, writer, settings.account_id, claim.epoch)
    memory = StoreMemory(
        store=store,
        writer=writer,
        blocking=blocking,
        clock=clock,
        account_id=settings.account_id,
        user_id=settings.user_id,
        exchange=settings.exchange,
        lease_epoch=claim.epoch,
        handover_until_ms=clock.now_ms() + HANDOVER_MS if claim.from_other else 0,
        log=place.log,
    )
    return memory, Files(place, audit_file, writer), claim.epoch


async def _release(writer: GroupWriter, account_id: str, epoch: int) -> None:
    """Nobody has to wait for a lease whose holder ended in order."""
    with suppress(StoreError):
        await writer.submit(lambda c: release_lease(c, account_id, epoch))


async def _close_writer(writer: GroupWriter, blocking: Blocking, file: AuditFile, log: LogLine) -> None:
    await writer.close()
    await blocking(file.catch_up)
    if file.problem:
        log("error.audit_file", {"text": file.problem})


def _take_over(connection: Connection, settings: BotSettings, place: Place) -> Claim:
    """Take the lease, say so, and start to trade where nobody ever ordered otherwise. Raises `LeaseHeld`."""
    at_ms, account = place.clock.now_ms(), settings.account_id
    claim = claim_lease(connection, account, place.holder, at_ms, host=place.host, user_id=settings.user_id)
    details = {
        "version": version("holdfast"),
        "config_hash": place.config_hash,
        "trading_mode": settings.trading_mode,
        "address": settings.address,
        "symbols": [str(symbol) for symbol in settings.symbols],
    }
    audit.append(connection, "BOT_STARTED", "", details, at_ms, account_id=account)
    if operator_of(connection, account).state_ms == 0:
        set_operator(connection, OperatorState.RUNNING, place.holder, "first start of this home", at_ms)
    return claim


class Files:
    """What a bot leaves in its home beside the database: snapshot and textfile, each replaced whole, the
    audit file, the log, a ban by the exchange."""

    def __init__(self, place: Place, audit_file: AuditFile, writer: GroupWriter) -> None:
        self._place = place
        self._audit_file = audit_file
        self._writer = writer
        self.bans = BanFile(place.home.ban_file, place.clock, place.log, place.disk)

    async def leave(self, view: View, result: LiquidationResult | None) -> str:
        """Write snapshot and textfile; which files cannot be written and why, "" = all can."""
        shown = orjson.dumps(snapshot(view, result), default=str, option=orjson.OPT_INDENT_2) + b"\n"
        name, text = stops_textfile(view)
        home, disk = self._place.home, self._place.disk

        def write() -> None:
            self.bans.keep()
            write_atomic(home.snapshot, shown, durable=False, disk=disk)
            write_atomic(home.metrics / name, text.encode(), durable=False, disk=disk)

        problems = [self._audit_file.problem, self._place.log_problem()]
        if self._audit_file.problem:
            # It is tried after each commit; without one nobody would see that it works again.
            self._writer.project()
        try:
            await self._place.blocking(write)
        except StoreError as error:
            problems.append(str(error))
        problems.append(self.bans.problem)
        return "; ".join(filter(None, problems))
