"""The parts of a real bot, put together as `holdfast run` does, in a home that is thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from bench.simulator import KEY, PASSPHRASE, SECRET, SYMBOLS, Simulator
from bench.wishes import NAME
from holdfast.cli.compose import Built, build_bot
from holdfast.cli.config import Loaded, load
from holdfast.engine.bot import Bot
from holdfast.runtime.clock import RealClock
from holdfast.store.home import Home

CONFIG = """
mode = "demo"
symbols = [{symbols}]
[account]
id = "bench"
exchange = "{exchange}"
base_url = "{url}"
[keys]
api_key = "{key}"
api_secret = "{secret}"
passphrase = "{passphrase}"
[limits]
max_positions = 25
correlation_max = 1
price_collar_ratio = 0.05
volatility_max = 0.5
[breakers]
settle_ms = 500
error_rate_max_ratio = 0.9
[trading]
risk_per_trade_ratio = 0.0005
check_interval_ms = 1000
cooldown_minutes = 0
[trading.strategies."{strategy}"]
"""
PLENTY = 10**9
CHECK_INTERVAL_MS = 500
"""Quicker than configuration allows, so that twenty entries do not take minutes; slow enough that the
next look at the strategies does not fall into the protection of the last entry, as in a real bot."""


def loaded(folder: Path, simulator: Simulator, symbols: tuple[str, ...] = SYMBOLS) -> Loaded:
    """A checked configuration for this exchange."""
    path = folder / "holdfast.toml"
    names = ", ".join(f'"{symbol}"' for symbol in symbols)
    values = {"symbols": names, "url": simulator.url, "exchange": simulator.exchange, "strategy": NAME}
    passphrase = PASSPHRASE if simulator.exchange == "bitget" else ""
    path.write_text(CONFIG.format(key=KEY, secret=SECRET, passphrase=passphrase, **values))
    path.chmod(0o600)
    found = load(path, {})
    trading = replace(found.settings.trading, check_interval_ms=CHECK_INTERVAL_MS)
    return replace(found, settings=replace(found.settings, trading=trading))


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        yield Path(folder)


@asynccontextmanager
async def built(simulator: Simulator, symbols: tuple[str, ...] = SYMBOLS) -> AsyncIterator[Built]:
    """A bot with its store, its audit file and its log, not yet started."""
    with scratch() as folder:
        home = Home(folder / "home")
        home.prepare()
        async with build_bot(loaded(folder, simulator, symbols), home, RealClock()) as made:
            yield made


def unpaced(bot: Bot) -> None:
    """The governor counts as ever, and has so much to give that nothing waits: only work is measured."""
    for count in bot.account.exchange._caller.budget.counters.values():  # type: ignore[attr-defined]
        count.limit = replace(count.limit, amount=PLENTY)
