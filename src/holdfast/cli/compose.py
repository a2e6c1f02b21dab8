"""Where the parts are put together: one bot out of settings, home and clock."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from holdfast.cli.config import Loaded
from holdfast.console.app import create_app
from holdfast.domain.protocols import Clock
from holdfast.domain.secret import Secret
from holdfast.engine.assembly import Place, assembled, log_line
from holdfast.engine.bot import Bot
from holdfast.engine.operate import BotCommands
from holdfast.engine.view import View
from holdfast.exchanges.factory import Credentials
from holdfast.runtime.blocking import Blocking
from holdfast.runtime.clock import SharedClock
from holdfast.runtime.logs import Logs
from holdfast.store.home import ExchangeAddress, Home


def paper_key(home: Home) -> str:
    """What a simulator with an open door is told where no key is configured: one account per home."""
    return f"holdfast-paper-{hashlib.sha256(str(home.path.resolve()).encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Built:
    """A bot ready to run, and the HTTP interface over it."""

    bot: Bot
    app: ASGIApp
    logs: Logs


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
    credentials = credentials_of(loaded, home)
    async with AsyncExitStack() as stack:
        secret = (loaded.api_key, loaded.api_secret, loaded.passphrase)
        known = [token.value, *(each.reveal_to_signer() for each in secret)]
        logs = Logs(home.logs / "bot.log", clock, secrets=known)
        stack.callback(logs.close)
        logs.install()
        for warning in filter(None, (token.warning, *loaded.warnings)):
            logs.logger.warning("start.warning", account=settings.account_id, text=warning)
        blocking = Blocking("store")
        if isinstance(clock, SharedClock):
            clock.waits.append(blocking.waiting_ns)
        stack.callback(blocking.close)
        place = Place(
            home=home,
            clock=clock,
            blocking=blocking,
            chance=secrets.SystemRandom(),
            log=log_line(logs, settings.account_id),
            credentials=credentials,
            base_url=loaded.base_url or None,
            ws_url=loaded.ws_url or None,
            holder=f"{socket.gethostname()}:{os.getpid()}",
            host=socket.gethostname(),
            config_hash=loaded.hash,
            log_problem=logs.problem,
        )
        bot = await stack.enter_async_context(assembled(settings, place))
        yield Built(bot, _app(loaded, bot, home, token.value, logs, clock), logs)


def credentials_of(loaded: Loaded, home: Home) -> Credentials:
    """Behind a simulator's open door any secret and passphrase do, but there have to be some."""
    key = loaded.api_key.reveal_to_signer() or paper_key(home)
    made_up = Secret(key)
    return Credentials(key, loaded.api_secret or made_up, loaded.passphrase or made_up)


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
