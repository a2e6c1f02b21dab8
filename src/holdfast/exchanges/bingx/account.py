"""What is known of an account's settings: its position mode, and leverage and margin mode by symbol."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from holdfast.domain.account import MarginMode
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bingx.events import Setting

VISIBILITY_MS = 2_000
"""A read of the positions may lag an order by this much."""


@dataclass(frozen=True, slots=True)
class HeardSetting:
    """A symbol's settings, and when they were asked for or told (our clock)."""

    setting: Setting
    heard_ms: int


class AccountSettings:
    """Filled by reads and by the stream, which tells every symbol's settings every five seconds."""

    def __init__(self) -> None:
        self._modes: list[tuple[int, bool]] = []
        """Each mode, and when the exchange first told of it (its clock)."""
        self._open: frozenset[Symbol] | None = None
        self._sure_ms: dict[Symbol, int] = {}
        self.can_trade = True
        """Until the exchange says otherwise: keys cannot be asked for their rights."""
        self.symbols: dict[Symbol, HeardSetting] = {}
        self.watched: dict[Symbol, None] = {}
        """The symbols whose settings are asked for, in order."""

    @property
    def hedge(self) -> bool:
        """Whether it is in hedge mode, as told last. Accounts begin so; `open` reads what is true."""
        return self._modes[-1][1] if self._modes else True

    def hear_mode(self, *, hedge: bool, exchange_ms: int) -> None:
        """The mode as an answer told it at that time of the exchange's clock."""
        if not self._modes or self._modes[-1][1] is not hedge:
            self._modes.append((exchange_ms, hedge))

    def hedged_at(self, exchange_ms: int) -> bool:
        """The mode of that time: an execution of before the last change was of the mode before."""
        past = (hedge for since_ms, hedge in reversed(self._modes) if since_ms <= exchange_ms)
        return next(past, self._modes[0][1] if self._modes else True)

    def hear_open(self, symbols: Iterable[Symbol], asked_ms: int) -> None:
        """Where positions stand, by a whole read asked for at *asked_ms* (our clock)."""
        late = {symbol for symbol, at_ms in self._sure_ms.items() if at_ms >= asked_ms - VISIBILITY_MS}
        self._open = frozenset(symbols) | late

    def sure(self, symbol: Symbol, now_ms: int) -> None:
        """Events about its position are of the mode we know: that was just asked for, or an order of ours
        is sent, which is taken in that mode or not at all."""
        self._sure_ms[symbol] = now_ms
        self._open = (self._open or frozenset()) | {symbol}

    def sure_of(self, symbol: Symbol) -> bool:
        """Whether an event about the symbol's position is of the mode we know: events do not say it, and
        where nothing is known to stand somebody may just have changed it."""
        return self._open is None or symbol in self._open

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
