"""One bot put together out of settings and a place to live; the command line and the drills use the same."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
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
from holdfast.runtime.ids import BotIds
from holdfast.runtime.logs import Logs
from holdfast.store import audit
from holdfast.store.atomic import write_atomic
from holdfast.store.audit_file import AuditFile
from holdfast.store.bans import BanFile
from holdfast.store.database import Store, open_store
from holdfast.store.errors import StoreError
from holdfast.store.home import Home
from holdfast.store.lease import take_lease
from holdfast.store.operator import operator_of, set_operator
from holdfast.store.writer import Blocking, GroupWriter
from holdfast.strategies.base import Strategy
from holdfast.strategies.registry import make_strategy


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
    config_hash: str = ""
    connector: Callable[[], aiohttp.BaseConnector] | None = None
    """Another network than TCP."""
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
        memory, epoch = await _memory(stack, settings, place)
        shared = ExchangeShared(
            clock=place.clock,
            random=place.chance,
            settings=ExchangeSettings(request_timeout_s=settings.request_timeout_ms / 1000),
            connector=place.connector,
            bans=BanFile(place.home.ban_file, place.clock, place.log),
        )
        stack.push_async_callback(shared.close)
        exchange = make_exchange(
            settings.exchange,
            credentials=place.credentials,
            base_url=place.base_url,
            ws_url=place.ws_url,
            clock=place.clock,
            shared=shared,
            live=settings.trading_mode == "live",
            allow_remote=settings.trading_mode == "testnet",
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
                leave_files=_file_writer(place),
                kill_ordered=place.home.kill_ordered,
            )
        )


async def _memory(stack: AsyncExitStack, settings: BotSettings, place: Place) -> tuple[StoreMemory, int]:
    """The open store with its writer; the account's lease is ours from now on."""
    clock, blocking = place.clock, place.blocking
    store = await blocking(lambda: place.open_store(place.home.database))
    stack.callback(store.close)
    epoch = await blocking(lambda: store.write(lambda c: _take_over(c, settings, place)))
    audit_file = AuditFile(place.home.audit, store, clock.now_ms)
    writer = GroupWriter(store, blocking, project=audit_file.catch_up)
    stack.push_async_callback(_close_writer, writer, blocking, audit_file, place.log)
    memory = StoreMemory(
        store=store,
        writer=writer,
        blocking=blocking,
        clock=clock,
        account_id=settings.account_id,
        user_id=settings.user_id,
        exchange=settings.exchange,
        lease_epoch=epoch,
        log=place.log,
    )
    return memory, epoch


async def _close_writer(writer: GroupWriter, blocking: Blocking, file: AuditFile, log: LogLine) -> None:
    await writer.close()
    await blocking(file.catch_up)
    if file.problem:
        log("error.audit_file", {"text": file.problem})


def _take_over(connection: Connection, settings: BotSettings, place: Place) -> int:
    """Take the lease, say so, and start to trade where nobody ever ordered otherwise."""
    at_ms, account = place.clock.now_ms(), settings.account_id
    epoch = take_lease(connection, account, place.holder, at_ms, user_id=settings.user_id)
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
    return epoch


def _file_writer(place: Place) -> Callable[[View, LiquidationResult | None], Awaitable[None]]:
    """Snapshot and textfile, each replaced whole."""
    home = place.home

    async def leave(view: View, result: LiquidationResult | None) -> None:
        shown = orjson.dumps(snapshot(view, result), default=str, option=orjson.OPT_INDENT_2) + b"\n"
        name, text = stops_textfile(view)

        def write() -> None:
            write_atomic(home.snapshot, shown, durable=False)
            write_atomic(home.metrics / name, text.encode(), durable=False)

        try:
            await place.blocking(write)
        except StoreError as error:
            # Files that cannot be written are no reason to trade differently; the store's own trouble
            # blocks entries.
            place.log("error.files", {"text": str(error)})

    return leave
