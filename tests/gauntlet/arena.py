"""A real simulator process and a real bot process, joined by sockets only.

The drill meddles by the admin API and judges by it: what the bot says of itself is never believed.
Machines are noisy: bounds of time here only tell "at once" from "at the deadline" or "never"; the exact
ones are held in virtual time.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.gauntlet.scripted import NAME

ROOT = Path(__file__).resolve().parents[2]
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
KEY, SECRET = "gauntlet-key-0001", "gauntlet-secret-0001"
DEADLINE_MS = 15_000
STARTED_S = 60
"""Patience for a process to start and make its first entry: machines may be busy."""
AT_ONCE_S = 10
"""Sooner than by any deadline."""
ORDER, ALGO = r"/fapi/v1/order$", r"/fapi/v1/algoOrder$"

CONFIG = """
mode = "demo"
symbols = ["BTC/USDT", "ETH/USDT"]
[account]
id = "main"
exchange = "binance"
base_url = "{url}"
[keys]
api_key = "{key}"
api_secret = "{secret}"
[http]
port = {port}
[engine]
monitor_interval_ms = 500
request_timeout_ms = 3000
[freshness]
positions_ms = 1000
orders_ms = 2000
balance_ms = 3000
[breakers]
settle_ms = 500
error_rate_max_ratio = 0.9
[limits]
correlation_max = 1
price_collar_ratio = 0.05
mark_age_ms_max = 15000
stop_distance_max_ratio = 0.2
[protection]
default_stop_pct = 2
protect_deadline_ms = {deadline}
retry_ms = 200
[liquidation]
timeout_seconds = {liquidation_s}
[trading]
leverage = 5
risk_per_trade_ratio = 0.002
check_interval_ms = 1000
cooldown_minutes = 0.002
[trading.strategies."{strategy}"]
file = "{wishes}"
"""


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST_", "DRY_RUN", "BOT_TEST"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@dataclass
class Arena:
    """One exchange, one home, and the bot that runs on it (again and again)."""

    folder: Path
    url: str = ""
    admin: str = ""
    simulator: subprocess.Popen[bytes] | None = None
    bot: subprocess.Popen[bytes] | None = None
    starts: int = 0
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=10))
    deadline_ms: int = DEADLINE_MS
    liquidation_s: float = 30.0

    # --- processes -----------------------------------------------------------------------------

    def start_simulator(self, *, latency_ms: int = 20, seed: int = 3) -> None:
        accounts = self.folder / "accounts.json"
        accounts.write_text(json.dumps([{"key": KEY, "secret": SECRET, "wallet": "10000"}]))
        arguments = ["simulator", "--port", "0", "--admin-port", "0", "--seed", str(seed), "--json"]
        arguments += ["--latency-ms", str(latency_ms), "--accounts", str(accounts)]
        arguments += ["--symbols", "BTC/USDT,ETH/USDT"]
        self.simulator = self._spawn("simulator", arguments)
        told = self._first_line("simulator")
        self.url, self.admin = told["url"], told["admin_url"]

    def start_bot(self) -> None:
        self.starts += 1
        config = self.folder / "holdfast.toml"
        config.write_text(
            CONFIG.format(
                url=self.url,
                key=KEY,
                secret=SECRET,
                port=0,
                deadline=self.deadline_ms,
                liquidation_s=self.liquidation_s,
                strategy=NAME,
                wishes=self.folder / "wishes.json",
            )
        )
        config.chmod(0o600)
        arguments = ["run", "--home", str(self.folder / "home"), "--config", str(config)]
        self.bot = self._spawn(f"bot{self.starts}", arguments)
        self.until(self._bot_is_up, "the bot to start", STARTED_S)

    def _bot_is_up(self) -> bool:
        """The bot says where it serves once it supervises; the file of a killed one names another process."""
        assert self.bot is not None
        try:
            told = json.loads((self.folder / "home" / "bot.json").read_text())
        except (OSError, ValueError):
            return False
        return bool(told["pid"] == self.bot.pid)

    def _spawn(self, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.out").open("wb") as out, (self.folder / f"{name}.err").open("wb") as err:
            return subprocess.Popen(
                [sys.executable, "-m", "holdfast", *arguments],
                stdout=out,
                stderr=err,
                env=_environment(),
                cwd=self.folder,
            )

    def _first_line(self, name: str) -> dict[str, Any]:
        file = self.folder / f"{name}.out"
        self.until(lambda: b"\n" in file.read_bytes(), f"{name} to start", STARTED_S)
        return dict(json.loads(file.read_bytes().splitlines()[0]))

    def kill_bot(self) -> None:
        """kill -9: nothing is said, nothing is written any more."""
        assert self.bot is not None
        self.bot.send_signal(signal.SIGKILL)
        self.bot.wait(10)

    def stop_bot(self, patience_s: float = 60) -> int:
        """SIGTERM; the exit status."""
        assert self.bot is not None
        self.bot.send_signal(signal.SIGTERM)
        return self.bot.wait(patience_s)

    def close(self) -> None:
        for process in (self.bot, self.simulator):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(10)
        self.http.close()

    # --- meddling ------------------------------------------------------------------------------

    def wish(self, **enter: str) -> None:
        """`wish(BTC="long")`: what the strategy asks for from now on; nothing = no entries."""
        self._wishes({"enter": {f"{base}/USDT": way for base, way in enter.items()}})

    def wish_exit(self, *bases: str) -> None:
        self._wishes({"exit": [f"{base}/USDT" for base in bases]})

    def _wishes(self, wishes: Mapping[str, object]) -> None:
        temporary = self.folder / "wishes.tmp"
        temporary.write_text(json.dumps(wishes))
        temporary.replace(self.folder / "wishes.json")

    def fault(self, **what: object) -> None:
        self.post("/faults", **what)

    def heal(self) -> None:
        """Take all faults away."""
        self.http.delete(f"{self.admin}/faults").raise_for_status()

    def post(self, path: str, /, **body: object) -> Any:
        answer = self.http.post(f"{self.admin}{path}", json=body)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.json()

    # --- seeing --------------------------------------------------------------------------------

    def truth(self) -> dict[str, Any]:
        answer = self.http.get(f"{self.admin}/truth", params={"account": KEY})
        return dict(answer.raise_for_status().json())

    def position(self, symbol: str = BTC) -> float:
        """Signed size at the exchange."""
        return next((float(p["quantity"]) for p in self.truth()["positions"] if p["symbol"] == symbol), 0.0)

    def covered(self, symbol: str = BTC) -> bool:
        return any(p["covered"] for p in self.truth()["positions"] if p["symbol"] == symbol)

    def stops(self, symbol: str = BTC) -> list[dict[str, Any]]:
        """Live conditional orders of the symbol at the exchange."""
        compact = symbol.split(":", maxsplit=1)[0].replace("/", "")
        return [a for a in self.truth()["algos"] if a["symbol"] in (symbol, compact)]

    def requests(self, method: str, path: str) -> list[dict[str, Any]]:
        """What the exchange was asked, oldest first."""
        rows = self.http.get(f"{self.admin}/requests", params={"account": KEY}).raise_for_status().json()
        found = rows["requests"] if isinstance(rows, dict) else rows
        return [r for r in found if r["method"] == method and r["path"] == path]

    def alerts(self) -> str:
        """Every alert the bot raised so far, from its log."""
        log = self.folder / "home" / "logs" / "bot.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return "\n".join(line for line in lines if "alert.raised" in line)

    def trades(self) -> list[dict[str, Any]]:
        """The bot's books, read from its database."""
        return self._rows("select * from trades order by id")

    def intents(self, purpose: str) -> list[dict[str, Any]]:
        """What the bot journaled before it sent it."""
        return self._rows("select * from intents where purpose = ?", purpose)

    def _rows(self, query: str, *values: str) -> list[dict[str, Any]]:
        base = self.folder / "home" / "trading.db"
        with closing(sqlite3.connect(f"file:{base}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            try:
                return [dict(row) for row in connection.execute(query, values)]
            except sqlite3.OperationalError:
                return []  # not migrated yet

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 40) -> None:
        end = time.monotonic() + seconds
        while not condition():
            for name, process in (("simulator", self.simulator), ("bot", self.bot)):
                ended = process is not None and process.poll() not in (None, -9)
                assert not ended, f"the {name} ended while waiting for {what}\n{self.said()}"
            assert time.monotonic() < end, f"waited {seconds} s for {what}\n{self.said()}"
            time.sleep(0.02)

    def said(self) -> str:
        """The last words of all processes, for a failing drill."""
        files = [*sorted(self.folder.glob("*.err")), self.folder / "home" / "logs" / "bot.log"]
        tails = [f"--- {f.name}\n" + "\n".join(f.read_text().splitlines()[-25:]) for f in files if f.exists()]
        return "\n".join(tails)

    def stays(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """The condition has to hold the whole time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert condition(), f"no longer: {what}\n{self.said()}"
            time.sleep(0.05)

    # --- judging -------------------------------------------------------------------------------

    def enter_and_protect(self, base: str = "BTC", way: str = "long") -> None:
        """The usual beginning: one position with its stop, and no further wishes."""
        self.wish(**{base: way})
        symbol = f"{base}/USDT:USDT"
        self.until(lambda: self.position(symbol) != 0, f"a {base} position", STARTED_S)
        self.wish()
        self.until(lambda: self.covered(symbol), f"a stop for {base}")

    def assert_never_doubled(self) -> None:
        truth = self.truth()
        assert truth["duplicate_orders"] == 0, truth["duplicate_client_ids"]

    def assert_flat_end(self) -> None:
        """SIGTERM ends with status 0 and nothing left at the exchange."""
        assert self.stop_bot() == 0, self.said()
        truth = self.truth()
        assert truth["flat"], truth["positions"]
        assert not truth["orders"], truth["orders"]
        assert not truth["algos"], truth["algos"]


@contextmanager
def arena(
    folder: Path, *, latency_ms: int = 20, deadline_ms: int = DEADLINE_MS, liquidation_s: float = 30.0
) -> Iterator[Arena]:
    """A running exchange and a running bot."""
    made = Arena(folder, deadline_ms=deadline_ms, liquidation_s=liquidation_s)
    made.wish()
    try:
        made.start_simulator(latency_ms=latency_ms)
        made.start_bot()
        yield made
    finally:
        made.close()
