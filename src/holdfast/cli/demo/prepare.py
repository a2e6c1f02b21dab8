"""What a demo needs before it starts: a home, a configuration, keys, accounts, a clock."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.cli.exits import Exit, Failure
from holdfast.cli.market import MarketChoice, load_market
from holdfast.cli.paths import CONFIG_NAME
from holdfast.decisions.gate import OperatorState
from holdfast.domain.symbol import Symbol
from holdfast.runtime.pace import PaceFile
from holdfast.store.atomic import write_atomic
from holdfast.store.home import Home
from holdfast.store.operator import operator_of

WALLET = 10_000
PROTECT_DEADLINE_MS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """As on the command line."""

    headless: bool
    json: bool
    exchange: str
    symbols: str | None
    data: Path | None
    seed: int | None
    minutes: float
    speed: float
    home: Path | None
    port: int
    start: str | None
    latency_ms: int

    @property
    def choice(self) -> MarketChoice:
        return MarketChoice(data=self.data, seed=self.seed, symbols=self.symbols, start=self.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything on disk; *trades_before* is the last trade's id of an earlier demo in this home."""

    home: Home
    symbols: tuple[Symbol, ...]
    pace: PaceFile
    accounts: Path
    api_key: str
    api_secret: str
    trades_before: int


CONFIG = """\
# Written by `holdfast demo`: limits are those of the paper profile (`holdfast check config` shows all).
mode = "demo"
symbols = {symbols}

[account]
id = "demo"
exchange = "{exchange}"
base_url = "{base_url}"

[limits]
max_positions = 4

[protection]
default_stop_pct = 2
protect_deadline_ms = {deadline_ms}

[trading]
leverage = 5
risk_per_trade_ratio = 0.01
check_interval_ms = 20_000
cooldown_minutes = 1

[trading.strategies.adx_trend]
timeframe = "1m"

[trading.strategies.donchian]
timeframe = "1m"

[http]
port = {port}
"""


@contextmanager
def prepared(options: DemoOptions) -> Iterator[Prepared]:
    """Make what is needed; what is only for this run is removed afterwards.

    Raises `BadMarketData`, `BadSymbol`, `StoreError`, `Failure`: before anything was written to a
    folder of the user's.
    """
    market = load_market(options.choice)
    with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as scratch:
        home = Home(options.home if options.home is not None else Path(scratch) / "home")
        before = _earlier(home)
        home.prepare()
        # An earlier demo's file names an exchange that is gone; the bot waits for the new one.
        (home.path / CONFIG_NAME).unlink(missing_ok=True)
        pace = PaceFile.create(
            Path(scratch) / "pace", start_ms=market.start_ms, speed=min(1.0, options.speed)
        )
        api_key, api_secret = secrets.token_hex(32), secrets.token_hex(32)
        accounts = Path(scratch) / "accounts.json"
        named = [{"key": api_key, "secret": api_secret, "wallet": str(WALLET)}]
        write_atomic(accounts, json.dumps(named).encode(), mode=0o600)
        try:
            yield Prepared(
                home=home,
                symbols=market.symbols(),
                pace=pace,
                accounts=accounts,
                api_key=api_key,
                api_secret=api_secret,
                trades_before=before,
            )
        finally:
            pace.close()


def _earlier(home: Home) -> int:
    """The last trade of an earlier demo in this home, 0 for a fresh one. Raises `Failure`, `StoreError`."""
    bound = home.address()
    if bound is not None and bound.mode != "demo":
        words = f"home {home.path}: expected a demo's home or a new folder, found the home of {bound}"
        raise Failure(words, Exit.BAD_USE)
    if not home.database.exists():
        _require_empty(home)
        return 0
    from holdfast.store import books
    from holdfast.store.database import open_store

    store = open_store(home.database, read_only=True)
    try:
        state = store.read(lambda c: operator_of(c, "demo"))
        last = max(
            (trade.id for trade in store.read(lambda c: books.trades(c, account_id="demo"))), default=0
        )
    finally:
        store.close()
    if state.state is not OperatorState.RUNNING or home.kill_ordered() is not None:
        found = f"{state.state} ({state.state_why})"
        words = f"home {home.path}: expected a demo that may trade, found it {found}; see holdfast resume"
        raise Failure(words, Exit.BAD_USE)
    return last


def _require_empty(home: Home) -> None:
    if home.path.exists() and (not home.path.is_dir() or any(home.path.iterdir())):
        words = (
            f"home {home.path}: expected a new or empty folder, or an earlier demo's, found something else"
        )
        raise Failure(words, Exit.BAD_USE)


def write_config(made: Prepared, options: DemoOptions, base_url: str) -> Path:
    """The demo's configuration file, in its home. Raises `StoreError`."""
    text = CONFIG.format(
        symbols=json.dumps([str(symbol) for symbol in made.symbols]),
        exchange=options.exchange,
        base_url=base_url,
        deadline_ms=PROTECT_DEADLINE_MS,
        port=options.port,
    )
    path = made.home.path / CONFIG_NAME
    write_atomic(path, text.encode(), mode=0o600)
    return path
