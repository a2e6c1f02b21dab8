"""What is known of an account's settings: its position mode, and leverage and margin mode by symbol."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from holdfast.domain.account import MarginMode
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bingx.events import Setting


@dataclass(frozen=True, slots=True)
class HeardSetting:
    """A symbol's settings, and when they were asked for or told (our clock)."""

    setting: Setting
    heard_ms: int


class AccountSettings:
    """Filled by reads and by the stream, which tells every symbol's settings every five seconds."""

    def __init__(self) -> None:
        self.hedge = True
        """Accounts begin in hedge mode; `open` reads what is true."""
        self.can_trade = True
        """Until the exchange says otherwise: keys cannot be asked for their rights."""
        self.symbols: dict[Symbol, HeardSetting] = {}
        self.watched: dict[Symbol, None] = {}
        """The symbols whose settings are asked for, in order."""

    def watch(self, symbols: Iterable[Symbol]) -> None:
        """The exchange tells settings of one symbol at a time: these are wanted."""
        self.watched.update(dict.fromkeys(symbols))

    def hear(self, symbol: Symbol, setting: Setting, heard_ms: int) -> bool:
        """Take what was told; whether it differs from what was known."""
        before = self.symbols.get(symbol)
        self.symbols[symbol] = HeardSetting(setting, heard_ms)
        return before is not None and before.setting != setting

    def fresh(self, symbol: Symbol, since_ms: int) -> HeardSetting | None:
        """A symbol's settings as heard since *since_ms*."""
        heard = self.symbols.get(symbol)
        return heard if heard is not None and heard.heard_ms >= since_ms else None

    def set_leverage(self, symbol: Symbol, leverage: int) -> None:
        """We set it, so the stream's next word about it is no news."""
        self._change(symbol, long_leverage=leverage, short_leverage=leverage)

    def set_margin_mode(self, symbol: Symbol, mode: MarginMode) -> None:
        self._change(symbol, margin_mode=mode)

    def _change(self, symbol: Symbol, **changes: int | MarginMode) -> None:
        heard = self.symbols.get(symbol)
        if heard is not None:
            setting = replace(heard.setting, **changes)  # type: ignore[arg-type]  # fields by their names
            self.symbols[symbol] = replace(heard, setting=setting)
