"""Where the parts are put together: one bot out of settings, home and clock."""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

import orjson
from sqlalchemy import Connection
from starlette.types import ASGIApp

from holdfast.cli.config import Loaded
from holdfast.console.app import create_app
from holdfast.decisions.gate import OperatorState
from holdfast.domain.protocols import Clock
from holdfast.engine.account import LogLine
from holdfast.engine.bot import Bot, BotParts
from holdfast.engine.operate import BotCommands
from holdfast.engine.recall import StoreMemory
from holdfast.engine.view import View
from holdfast.exchanges.factory import Credentials, make_exchange
from holdfast.exchanges.port import Exchange
from holdfast.exchanges.shared import ExchangeSettings, ExchangeShared
from holdfast.runtime.blocking import Blocking
from holdfast.runtime.clock import SharedClock
from holdfast.runtime.ids import BotIds
from holdfast.runtime.logs import Logs
from holdfast.store import audit
from holdfast.store.atomic import write_atomic
from holdfast.store.audit_file import AuditFile
from holdfast.store.database import Store, open_store
from holdfast.store.errors import StoreError
from holdfast.store.home import ExchangeAddress, Home
from holdfast.store.lease import take_lease
from holdfast.store.operator import operator_of, set_operator
from holdfast.store.writer import GroupWriter
from holdfast.strategies.registry import make_strategy


def paper_key(home: Home) -> str:
    """What a simulator with an open door is told where no key is configured: one account per home."""
    return f"holdfast-paper-{hashlib.sha256(str(home.path.resolve()).encode()).hexdigest()[:12]}"


_SECRET_PLACES = ("wallet", "equity", "available")


@dataclass(frozen=True, slots=True)
class Built:
    """A bot ready to run, and the HTTP interface over it."""

    bot: Bot
    app: ASGIApp
    logs: Logs


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
async def build_bot(loaded: Loaded, home: Home, clock: Clock) -> AsyncIterator[Built]:
    """Everything a bot consists of, in a home that is locked by the caller; closed in reverse order.

    Raises `StoreError` (home bound elsewhere, newer database …), `UnsafeAddress`, `StrategyError`.
    """
    settings = loaded.settings
    home.bind(
        ExchangeAddress(exchange=settings.exchange, base_url=settings.address, mode=settings.trading_mode)
    )
    token = home.api_token()
    key = loaded.api_key.reveal_to_signer() or paper_key(home)
    async with AsyncExitStack() as stack:
        known = [token.value, loaded.api_secret.reveal_to_signer()]
        logs = Logs(home.logs / "bot.log", clock, secrets=[*known, *([key] if loaded.api_key else [])])
        stack.callback(logs.close)
        logs.install()
        for warning in filter(None, (token.warning, *loaded.warnings)):
            logs.logger.warning("start.warning", account=settings.account_id, text=warning)
        log = log_line(logs, settings.account_id)
        memory, epoch, blocking = await _memory(stack, loaded, home, clock, log)
        shared = ExchangeShared(
            clock=clock,
            random=random.SystemRandom(),
            settings=ExchangeSettings(request_timeout_s=settings.request_timeout_ms / 1000),
        )
        stack.push_async_callback(shared.close)
        bot = Bot(
            BotParts(
                settings=settings,
                exchange=_exchange(loaded, key, clock, shared),
                memory=memory,
                clock=clock,
                ids=BotIds(clock, epoch, secrets.SystemRandom()),
                strategies=[
                    make_strategy(name, params) for name, params in settings.trading.strategies.items()
                ],
                log=log,
                write_snapshot=_snapshot_writer(home, blocking, log),
                kill_ordered=home.kill_ordered,
            )
        )
        yield Built(bot, _app(loaded, bot, home, token.value, logs, clock), logs)


def _exchange(loaded: Loaded, key: str, clock: Clock, shared: ExchangeShared) -> Exchange:
    mode = loaded.settings.trading_mode
    secret = loaded.api_secret if loaded.api_secret else type(loaded.api_secret)(key)
    return make_exchange(
        loaded.settings.exchange,
        credentials=Credentials(key, secret),
        base_url=loaded.base_url or None,
        ws_url=loaded.ws_url or None,
        clock=clock,
        shared=shared,
        live=mode == "live",
        allow_remote=mode == "testnet",
    )


async def _memory(
    stack: AsyncExitStack, loaded: Loaded, home: Home, clock: Clock, log: LogLine
) -> tuple[StoreMemory, int, Blocking]:
    """The open store with its writer; the account's lease is ours from now on."""
    settings = loaded.settings
    blocking = Blocking("store")
    if isinstance(clock, SharedClock):
        clock.waits.append(blocking.waiting_ns)
    stack.callback(blocking.close)
    store = await blocking(lambda: open_store(home.database))
    stack.callback(store.close)
    epoch = await blocking(lambda: store.write(lambda c: _take_over(c, loaded, clock.now_ms())))
    audit_file = AuditFile(home.audit, store, clock.now_ms)
    writer = GroupWriter(store, blocking, project=audit_file.catch_up)
    stack.push_async_callback(_close_writer, writer, blocking, audit_file, log)
    memory = StoreMemory(
        store=store,
        writer=writer,
        blocking=blocking,
        clock=clock,
        account_id=settings.account_id,
        user_id=settings.user_id,
        exchange=settings.exchange,
        lease_epoch=epoch,
        log=log,
    )
    return memory, epoch, blocking


async def _close_writer(writer: GroupWriter, blocking: Blocking, file: AuditFile, log: LogLine) -> None:
    await writer.close()
    await blocking(file.catch_up)
    if file.problem:
        log("error.audit_file", {"text": file.problem})


def _take_over(connection: Connection, loaded: Loaded, at_ms: int) -> int:
    """Take the lease, say so, and start to trade where nobody ever ordered otherwise."""
    settings = loaded.settings
    holder = f"{socket.gethostname()}:{os.getpid()}"
    epoch = take_lease(connection, settings.account_id, holder, at_ms, user_id=settings.user_id)
    details = {
        "version": version("holdfast"),
        "config_hash": loaded.hash,
        "trading_mode": settings.trading_mode,
        "address": settings.address,
        "symbols": [str(symbol) for symbol in settings.symbols],
    }
    audit.append(connection, "BOT_STARTED", "", details, at_ms, account_id=settings.account_id)
    if operator_of(connection, settings.account_id).state_ms == 0:
        set_operator(connection, OperatorState.RUNNING, holder, "first start of this home", at_ms)
    return epoch


def _snapshot_writer(
    home: Home, blocking: Blocking, log: LogLine
) -> Callable[[dict[str, object]], Awaitable[None]]:
    async def write(snapshot: dict[str, object]) -> None:
        data = orjson.dumps(snapshot, default=str, option=orjson.OPT_INDENT_2) + b"\n"
        try:
            await blocking(lambda: write_atomic(home.snapshot, data, durable=False))
        except StoreError as error:
            # A snapshot that cannot be written is no reason to trade differently; the store's own
            # trouble blocks entries.
            log("error.snapshot", {"text": str(error)})

    return write


def _app(loaded: Loaded, bot: Bot, home: Home, token: str, logs: Logs, clock: Clock) -> ASGIApp:
    def view() -> View:
        return bot.view

    def metrics() -> dict[str, float]:
        speed = clock.speed() if isinstance(clock, SharedClock) else 1.0
        return {"clock_speed": speed, "log_lines_dropped_total": float(logs.dropped)}

    return create_app(
        view,
        BotCommands(bot),
        token=token,
        logs=logs,
        clock=clock,
        metrics=metrics,
        hosts=loaded.http.hosts,
    )


__all__ = ["Built", "Store", "build_bot", "log_line"]
