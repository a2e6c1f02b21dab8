"""What a demo needs before it starts: a home for each bot, configurations, keys, accounts, a clock."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.cli.exits import Exit, Failure
from holdfast.cli.market import MarketChoice, load_market
from holdfast.cli.paths import CONFIG_NAME
from holdfast.decisions.gate import OperatorState
from holdfast.domain.account import PositionMode
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.capabilities import CAPABILITIES
from holdfast.runtime.pace import BOT_SLOT, PaceFile
from holdfast.store.atomic import write_atomic
from holdfast.store.home import Home
from holdfast.store.operator import operator_of

WALLET = 10_000
PROTECT_DEADLINE_MS = 10_000
ALL = "all"
SPEED = 20.0
SPEED_OF_ALL = 8.0
"""Three bots share the machine: faster than this its seconds of work become many seconds of market."""
POSITION_MODE = PositionMode.ONE_WAY
SIMULATOR_OUT = "simulator.out"
"""What the exchange's process said."""


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
    asked_speed: float | None
    """None: as fast as usual for so many bots."""
    home: Path | None
    port: int
    start: str | None
    latency_ms: int

    @property
    def speed(self) -> float:
        """The ceiling: times real time."""
        return self.asked_speed or (SPEED_OF_ALL if self.exchange == ALL else SPEED)

    @property
    def exchanges(self) -> tuple[str, ...]:
        """Those asked for. Raises `Failure`."""
        if self.exchange == ALL:
            return tuple(CAPABILITIES)
        if self.exchange not in CAPABILITIES:
            expected = f"one of {', '.join(CAPABILITIES)}, or {ALL}"
            raise Failure(f"--exchange: expected {expected}, found {self.exchange!r}", Exit.BAD_USE)
        return (self.exchange,)

    @property
    def choice(self) -> MarketChoice:
        return MarketChoice(data=self.data, seed=self.seed, symbols=self.symbols, start=self.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One bot's: its exchange, its home, its place on the shared clock and its port."""

    exchange: str
    home: Home
    slot: int
    port: int
    """0 = any."""
    trades_before: int
    """The last trade's id of an earlier demo in this home."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything on disk. The key opens an account at each exchange."""

    places: tuple[Place, ...]
    logs: Path
    """Where the exchange's process leaves its words."""
    symbols: tuple[Symbol, ...]
    pace: PaceFile
    accounts: Path
    api_key: str
    api_secret: str
    passphrase: str


CONFIG = """\
# Written by `holdfast demo`: limits are those of the paper profile (`holdfast check config` shows all).
mode = "demo"
symbols = {symbols}

[account]
id = "demo"
exchange = "{exchange}"
base_url = "{base_url}"

[engine]
position_mode = "{position_mode}"

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
    exchanges, market = options.exchanges, load_market(options.choice)
    with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as scratch:
        top = Home(options.home if options.home is not None else Path(scratch) / "home").path
        places = _places(exchanges, top, options.port)
        for place in places:
            place.home.prepare()
            # An earlier demo's file names an exchange that is gone; the bot waits for the new one.
            (place.home.path / CONFIG_NAME).unlink(missing_ok=True)
        pace = PaceFile.create(
            Path(scratch) / "pace", start_ms=market.start_ms, speed=min(1.0, options.speed)
        )
        api_key, api_secret, passphrase = (secrets.token_hex(32) for _ in range(3))
        accounts = Path(scratch) / "accounts.json"
        named = {"key": api_key, "secret": api_secret, "passphrase": passphrase, "wallet": str(WALLET)}
        write_atomic(accounts, json.dumps([named | {"position_mode": POSITION_MODE}]).encode(), mode=0o600)
        try:
            yield Prepared(
                places=places,
                logs=places[0].home.logs if len(places) == 1 else top,
                symbols=market.symbols(),
                pace=pace,
                accounts=accounts,
                api_key=api_key,
                api_secret=api_secret,
                passphrase=passphrase,
            )
        finally:
            pace.close()


def _places(exchanges: Sequence[str], top: Path, port: int) -> tuple[Place, ...]:
    """One bot lives in *top* itself, several in a folder each. Raises `Failure`, `StoreError`."""
    alone = len(exchanges) == 1
    if not alone:
        _require_only(top, exchanges)
    homes = [Home(top if alone else top / exchange) for exchange in exchanges]
    return tuple(
        Place(
            exchange=exchange,
            home=home,
            slot=BOT_SLOT + number,
            port=port and port + number,
            trades_before=_earlier(home, exchange),
        )
        for number, (exchange, home) in enumerate(zip(exchanges, homes, strict=True))
    )


def _earlier(home: Home, exchange: str) -> int:
    """The last trade of an earlier demo in this home, 0 for a fresh one. Raises `Failure`, `StoreError`."""
    bound = home.address()
    if bound is not None and (bound.mode != "demo" or bound.exchange != exchange):
        expected = f"a demo's home of {exchange} or a new folder"
        words = f"home {home.path}: expected {expected}, found the home of {bound}"
        raise Failure(words, Exit.BAD_USE)
    if not home.database.exists():
        _require_only(home.path, ())
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


def _require_only(folder: Path, known: Sequence[str]) -> None:
    """Nothing of anybody else's is there: at most the homes of an earlier demo. Raises `Failure`."""
    if not folder.exists():
        return
    if not folder.is_dir() or {each.name for each in folder.iterdir()} - {*known, SIMULATOR_OUT}:
        words = f"home {folder}: expected a new or empty folder, or an earlier demo's, found something else"
        raise Failure(words, Exit.BAD_USE)


def write_config(made: Prepared, place: Place, base_url: str) -> Path:
    """A bot's configuration file, in its home. Raises `StoreError`."""
    text = CONFIG.format(
        symbols=json.dumps([str(symbol) for symbol in made.symbols]),
        exchange=place.exchange,
        base_url=base_url,
        position_mode=POSITION_MODE,
        deadline_ms=PROTECT_DEADLINE_MS,
        port=place.port,
    )
    path = place.home.path / CONFIG_NAME
    write_atomic(path, text.encode(), mode=0o600)
    return path
