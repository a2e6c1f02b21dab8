"""One bot of a demo at its exchange: started, watched, ended, and judged by what the exchange says."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from holdfast.cli.config import WITH_PASSPHRASE
from holdfast.cli.demo import judge
from holdfast.cli.demo.children import Child, start
from holdfast.cli.demo.prepare import Place, Prepared, write_config
from holdfast.cli.exits import Failure
from holdfast.exchanges.capabilities import CAPABILITIES

START_PATIENCE_S = 120.0
END_PATIENCE_S = 90.0


@dataclass(slots=True)
class Seat:
    """Everything the demo knows of one of its bots."""

    made: Prepared
    place: Place
    bot: Child | None = None
    status: Mapping[str, Any] | None = None
    """The bot's newest picture of itself."""
    equity_at_start: float | None = None
    began: float = field(default_factory=time.monotonic)
    first_protected_s: float | None = None
    ended_with: int | None = None
    url: str = ""
    admin: str = ""

    @property
    def name(self) -> str:
        return self.place.exchange

    @property
    def running(self) -> Child:
        if self.bot is None:
            raise Failure(f"{self.name}: expected a bot that was started, found none")
        return self.bot

    # --- the process ---------------------------------------------------------------------------

    async def start(self) -> Child:
        """Start the bot; it waits for its configuration."""
        made, place = self.made, self.place
        where = ("--home", str(place.home.path), "--port", str(place.port), "--await-config")
        clock = ("--pace", str(made.pace.path), "--pace-slot", str(place.slot), "--parent", str(os.getpid()))
        keys = {
            "HOLDFAST_KEYS__API_KEY": made.api_key,
            "HOLDFAST_KEYS__API_SECRET": made.api_secret,
            # Only where keys have one: anywhere else it is refused.
            **({"HOLDFAST_KEYS__PASSPHRASE": made.passphrase} if place.exchange in WITH_PASSPHRASE else {}),
        }
        output = place.home.logs / "bot.out"
        self.bot = await start(f"bot at {place.exchange}", ("run", *where, *clock), output, keys)
        return self.bot

    def exchange_is_at(self, url: str, admin: str) -> None:
        """Now the bot can be told where its exchange is. Raises `StoreError`."""
        self.admin = admin
        write_config(self.made, self.place, url)

    async def up(self, given_up: asyncio.Event) -> None:
        """Until the bot answers and has read the whole account. Raises `Failure`."""
        until = time.monotonic() + START_PATIENCE_S
        bot = self.running
        while not given_up.is_set():
            if not bot.running:
                raise bot.crashed()
            if self.status is not None and self.status["synced"]:
                return
            if time.monotonic() > until:
                raise Failure(f"the {bot.name} did not come up within {START_PATIENCE_S:g} s:\n{bot.tail()}")
            self._find()
            await asyncio.sleep(0.1)

    def _find(self) -> None:
        """Where the bot answers: its own file in the home tells (the port may be any)."""
        if not self.url:
            with suppress(OSError, ValueError):
                told = json.loads((self.place.home.path / "bot.json").read_bytes())
                self.url = f"http://127.0.0.1:{told['port']}"

    async def end(self) -> None:
        """Tell the bot to end flat, and wait until it did."""
        self.ended_with = await self.running.stop(END_PATIENCE_S)

    # --- what it says, and what the exchange says of it ----------------------------------------

    async def look(self, http: aiohttp.ClientSession) -> None:
        """The bot's newest picture; the last one while it does not answer."""
        if not self.url:
            return
        headers = {"Authorization": f"Bearer {self.place.home.api_token().value}"}
        try:
            async with http.get(f"{self.url}/api/status", headers=headers) as answer:
                if answer.status != 200:
                    return
                self.status = await answer.json()
        except (aiohttp.ClientError, TimeoutError):
            return
        if self.equity_at_start is None:
            self.equity_at_start = self.status["balances"]["equity"]
        protected = any(each["stop_verified"] for each in self.status["positions"])
        if protected and self.first_protected_s is None:
            self.first_protected_s = round(time.monotonic() - self.began, 1)

    async def evidence(self, http: aiohttp.ClientSession, paced: judge.Paced) -> judge.Evidence:
        """What the verdict over this bot is made from. Raises `Failure`, `StoreError`."""
        return judge.Evidence(
            truth=await self._admin_says(http, "/truth"),
            events=await self._admin_says(http, "/events"),
            trades=judge.read_books(self.place.home, self.place.trades_before),
            snapshot=judge.read_snapshot(self.place.home),
            bot_status=self.ended_with,
            money_step=CAPABILITIES[self.name].money_step,
            paced=paced,
            first_protected_s=self.first_protected_s,
        )

    async def _admin_says(self, http: aiohttp.ClientSession, path: str) -> Any:
        url = f"{self.admin}{path}?account={self.made.api_key}"
        try:
            async with http.get(url) as answer:
                return await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            words = f"the admin API of the simulated {self.name} gave no answer at {path}: {error}"
            raise Failure(words) from error
