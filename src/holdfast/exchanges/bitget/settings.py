"""What is set for each symbol of a Bitget account: position mode, margin mode, leverage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from holdfast.domain.account import AccountConfig, Fact, MarginMode, Position
from holdfast.domain.intents import Priority, Rejected
from holdfast.domain.protocols import Clock
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bitget import decode, requests, wire
from holdfast.exchanges.bitget.asking import Asker
from holdfast.exchanges.caller import Word
from holdfast.exchanges.names import Names
from holdfast.exchanges.transport import Answer

NO_PERMISSION = "40014"
AT_ONCE = 5
"""Settings are asked for symbol by symbol, ten times a second at most: so many are asked anew each time."""
ROUNDS_MAX = 4
"""So often one answer is made whole."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the exchange said holds for a symbol, and when it was asked (ms)."""

    row: wire.AccountData
    asked_ms: int


class Settings:
    """As the exchange told them last. An order has to say its symbol's margin mode: another would
    change it, or be refused."""

    def __init__(self, asker: Asker, clock: Clock) -> None:
        self._asker = asker
        self._clock = clock
        self._known: dict[Symbol, Setting] = {}
        self._margin_modes: dict[Symbol, MarginMode] = {}
        self._used: dict[Symbol, None] = {}
        """Symbols this account has to do with, in the order it began to."""
        self._can_trade = True

    def uses(self, symbol: Symbol) -> None:
        """The account has to do with it from now on."""
        self._used[symbol] = None

    def hear(self, positions: Iterable[Position]) -> None:
        """Positions tell their margin mode."""
        for position in positions:
            self.uses(position.symbol)
            self._margin_modes[position.symbol] = position.margin_mode

    def answered(self, answer: Answer | Word) -> None:
        """What came of a request to trade: no question tells whether the key may."""
        if isinstance(answer, Answer):
            self._can_trade = True
        elif isinstance(answer, Rejected) and answer.code == NO_PERMISSION:
            self._can_trade = False

    def forget(self, symbol: Symbol) -> None:
        """It may be otherwise by now."""
        self._known.pop(symbol, None)
        self._margin_modes.pop(symbol, None)

    async def margin_mode(self, symbol: Symbol, names: Names, priority: Priority) -> MarginMode:
        """As heard last, or asked for; raises `ExchangeError`."""
        known = self._margin_modes.get(symbol)
        return known if known is not None else await self._ask(symbol, names, priority)

    async def config(self, listed: Iterable[Symbol], names: Names, priority: Priority) -> Fact[AccountConfig]:
        """Of the symbols in use those never asked are asked, else the longest unasked, the rest is as it
        was; the fact is as old as its oldest part. Before any is in use, the first of *listed* tells the
        position mode."""
        wanted = [*self._used] or [*listed][:1]
        due = sorted(wanted, key=self._asked_ms)[:AT_ONCE]
        for _ in range(ROUNDS_MAX):
            for symbol in due:
                await self._ask(symbol, names, priority)
            # One that was changed meanwhile is forgotten, and asked for once more.
            due = [symbol for symbol in wanted if symbol not in self._known]
        known = {symbol: self._known[symbol] for symbol in wanted if symbol in self._known}

        def joined() -> AccountConfig:
            rows = {symbol: setting.row for symbol, setting in known.items()}
            return decode.account_config(rows, can_trade=self._can_trade)

        config = self._asker.sane("account", joined)
        asked_ms = min(setting.asked_ms for setting in known.values())
        return Fact(config, asked_ms, self._clock.now_ms(), len(known) == len(wanted))

    def _asked_ms(self, symbol: Symbol) -> int:
        setting = self._known.get(symbol)
        return setting.asked_ms if setting is not None else -1

    async def _ask(self, symbol: Symbol, names: Names, priority: Priority) -> MarginMode:
        def read(body: bytes) -> tuple[wire.AccountData, MarginMode]:
            row = decode.ACCOUNT.read(decode.data(body))
            return row, decode.margin_mode(row.marginMode)

        found = await self._asker.fact(requests.account(names.wire(symbol)), read, priority)
        row, mode = found.value
        self._known[symbol] = Setting(row, found.asked_ms)
        self._margin_modes[symbol] = mode
        return mode
