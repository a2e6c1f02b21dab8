"""What one simulated exchange holds beside the core, and what a handler is given."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal

from holdfast.domain.account import MarginMode
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.engine import Core
from holdfast.simulator.core.instruments import SimInstrument
from holdfast.simulator.core.model import SimAccount
from holdfast.simulator.wire.figures import Books, Days
from holdfast.simulator.wire.listen_keys import ListenKeys
from holdfast.simulator.wire.params import Params


@dataclass(frozen=True, slots=True, kw_only=True)
class WireConfig:
    """How an exchange's wire behaves. Times in ms."""

    latency_ms: int = 0
    """A round trip: half before a request takes effect, half before its answer arrives."""
    read_lag_ms: tuple[int, int] = (0, 500)
    """How far account reads lag effects: drawn evenly for each read."""
    open_door: bool = True
    """Any key opens a demo account; otherwise only named ones are known."""
    listen_key_ms: int = 3_600_000
    hold_ms_max: int = 120_000
    """How long the connection of a lost request hangs at most."""


@dataclass(slots=True, kw_only=True)
class Venue:
    """One exchange: the core, and the state that only its wire has."""

    core: Core
    config: WireConfig
    chance: random.Random
    books: Books = field(init=False)
    days: Days = field(init=False)
    keys: ListenKeys = field(init=False)
    countdowns: dict[tuple[str, Symbol | None], int] = field(default_factory=dict)
    """Dead-man switches: when the orders of (account, symbol; None = all) will be cancelled."""

    def __post_init__(self) -> None:
        self.books = Books(self.core)
        self.days = Days(self.core)
        self.keys = ListenKeys(self.config.listen_key_ms, self.chance)

    def known(self, key: str) -> SimAccount | None:
        """The account of *key*; opens one behind the open door, else None."""
        account = self.core.account_by_key(key)
        if account is None and self.config.open_door:
            account = self.core.open_account(key, key, "")
        return account

    def name_account(
        self, key: str, secret: str, wallet: Decimal | None = None, passphrase: str = ""
    ) -> SimAccount:
        """Open an account whose signatures (and passphrase, where the exchange knows any) will be
        verified. Raises `ValueError` if the key is taken."""
        return self.core.open_account(key, key, secret, wallet)

    def read(self, account: SimAccount, extra_lag_ms: int = 0) -> SimAccount:
        """The account as a read shows it: some moments old."""
        low, high = self.config.read_lag_ms
        return self.core.view(account.account_id, round(self.chance.uniform(low, high)) + extra_lag_ms)

    def leverage(self, account: SimAccount, symbol: Symbol) -> int:
        most = self.core.instrument(symbol).leverage_max
        return min(account.leverage.get(symbol, self.core.config.leverage), most)

    def advance(self, now_ms: int) -> None:
        """Live up to *now_ms*, dead-man switches included."""
        for (account_id, symbol), due_ms in sorted(self.countdowns.items(), key=lambda item: item[1]):
            if due_ms <= now_ms:
                del self.countdowns[account_id, symbol]
                self.core.advance(due_ms)
                self.cancel_for(account_id, symbol)
        self.core.advance(now_ms)

    def cancel_for(self, account_id: str, symbol: Symbol | None) -> None:
        """What a dead-man switch cancels: regular orders, unless the dialect says more."""
        for each in self.core.symbols() if symbol is None else (symbol,):
            self.core.cancel_all_orders(account_id, each)

    def next_ms(self) -> int:
        return min(self.core.next_ms(), *self.countdowns.values(), self.core.now_ms + 1_000)


def margin_mode(account: SimAccount, symbol: Symbol) -> MarginMode:
    return account.margin_mode.get(symbol, MarginMode.CROSS)


@dataclass(slots=True)
class Call:
    """One request on its way through: what handlers read, and the headers they add."""

    venue: Venue
    params: Params
    now_ms: int
    address: str
    key: str = ""
    owner: SimAccount | None = None
    extra_lag_ms: int = 0
    raced: bool = False
    """By a fault, what this request wants to cancel is filled first."""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def core(self) -> Core:
        return self.venue.core

    @property
    def account(self) -> SimAccount:
        """Whose request it is; routes without a key never ask."""
        if self.owner is None:
            raise LookupError("expected a request of an account, found one without a key")
        return self.owner

    @property
    def account_id(self) -> str:
        return self.account.account_id

    def view(self) -> SimAccount:
        return self.venue.read(self.account, self.extra_lag_ms)

    def instrument(self) -> SimInstrument:
        """Of the mandatory `symbol`; refused when it is not listed."""
        return self.core.instrument(self.params.symbol())

    def symbols(self) -> tuple[Symbol, ...]:
        """The one asked for, or all."""
        symbol = self.params.symbol_or_none()
        if symbol is None:
            return self.core.symbols()
        return (self.core.instrument(symbol).symbol,)
