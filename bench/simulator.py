"""The simulated exchange as a process of its own, so that its work is not counted as ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.report import BenchFailed

KEY, SECRET, PASSPHRASE = "bench-key-0123456789", "bench-secret-0123456789", "bench-passphrase"
EXCHANGES = ("binance", "bingx", "bitget")
WALLET = "100000"
BASES = (
    "BTC ETH SOL BNB XRP ADA DOGE TRX AVAX LINK LTC BCH DOT UNI NEAR APT SUI ATOM ETC FIL".split()  # noqa: SIM905
)
SYMBOLS = tuple(f"{base}/USDT" for base in BASES)
"""Twenty markets: the size of account that the safety figures are told for."""


@dataclass(frozen=True)
class Simulator:
    """A running exchange: its address, and its admin API for what truly happened."""

    url: str
    admin_url: str
    latency_ms: int
    exchange: str = "binance"

    def truth(self) -> dict[str, Any]:
        return dict(self._get("/truth", account=KEY))

    def events(self, since: int = 0) -> list[dict[str, Any]]:
        """Orders, stops and accounts as the exchange saw them, after event number *since*."""
        return list(self._get("/events", since=str(since)))

    def reset_limits(self) -> None:
        """Many benchmarks in a minute would use up what one bot may ask in a minute."""
        httpx.post(f"{self.admin_url}/reset-limits", json={}, timeout=30).raise_for_status()

    def fault(self, fault: dict[str, Any]) -> None:
        """Make something go wrong from now on."""
        httpx.post(f"{self.admin_url}/faults", json=fault, timeout=30).raise_for_status()

    def _get(self, path: str, **query: str) -> Any:
        answer = httpx.get(f"{self.admin_url}{path}", params=query, timeout=30)
        return answer.raise_for_status().json()


@contextmanager
def simulator(
    *,
    latency_ms: int,
    symbols: tuple[str, ...] = SYMBOLS,
    seed: int = 11,
    exchange: str = "binance",
    generous: bool = False,
    accounts: int = 1,
) -> Iterator[Simulator]:
    """An exchange with named accounts, ended with the block. *generous*: it counts no requests.

    The first account's key is `KEY`, the others' are `key_of` their number.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        file = Path(folder) / "accounts.json"
        secrets = {"secret": SECRET, "wallet": WALLET, "passphrase": PASSPHRASE}
        file.write_text(json.dumps([{"key": key_of(number), **secrets} for number in range(accounts)]))
        options = ["--exchange", exchange, "--seed", str(seed), "--latency-ms", str(latency_ms)]
        options += ["--accounts", str(file), "--symbols", ",".join(symbols)]
        options += ["--generous"] if generous else []
        command = [sys.executable, str(Path(__file__).with_name("serve.py")), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder, env=_environment())
        try:
            told = _first_line(process)
            yield Simulator(told["url"], told["admin_url"], latency_ms, exchange)
        finally:
            process.terminate()
            process.wait(15)
            if process.stdout is not None:
                process.stdout.close()


def key_of(number: int) -> str:
    return f"{KEY}-{number}" if number else KEY


def _environment() -> dict[str, str]:
    # Compiled modules are kept: without them each start would spend seconds on compiling again.
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def _first_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    line = process.stdout.readline() if process.stdout is not None else b""
    if not line:
        raise BenchFailed("simulator: expected its address, found that it ended; see its words above")
    return dict(json.loads(line))
