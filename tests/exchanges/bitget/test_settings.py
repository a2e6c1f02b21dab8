"""Settings of a Bitget account are told symbol by symbol: none may be left unknown for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast.domain.account import Fact
from holdfast.domain.intents import Priority
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bitget.requests import Request
from holdfast.exchanges.bitget.settings import AT_ONCE, Settings
from tests.exchanges.bitget.samples import ACCOUNT, answered
from tests.exchanges.support import HandClock

SYMBOLS = [
    Symbol(base, "USDT", "USDT") for base in ("BTC", "ETH", "SOL", "XRP", "BNB", "LAYER", "ADA", "DOT")
]


class Plain:
    """Names as the exchange spells them."""

    def wire(self, symbol: Symbol) -> str:
        return f"{symbol.base}{symbol.quote}"


class Asked:
    """Answers every question alike, and remembers what was asked."""

    def __init__(self, clock: HandClock) -> None:
        self.clock, self.symbols = clock, list[str]()

    async def fact(self, request: Request, read: Callable[[bytes], Any], _: Priority) -> Fact[Any]:
        self.symbols.append(str(request.params["symbol"]))
        now = self.clock.now_ms()
        self.clock.pass_ms(100)
        return Fact(read(answered(ACCOUNT)), now, now)

    def sane(self, _what: str, read: Callable[[], Any]) -> Any:
        return read()


async def test_the_first_question_leaves_no_symbol_unknown_and_later_ones_take_turns() -> None:
    """A symbol whose margin mode is unknown is refused by the gate: for as long as nobody asks."""
    clock = HandClock()
    asked = Asked(clock)
    settings = Settings(asked, clock)  # type: ignore[arg-type]
    for symbol in SYMBOLS:
        settings.uses(symbol)
    first = await settings.config((), Plain(), Priority.OBSERVE)  # type: ignore[arg-type]
    assert set(first.value.margin_mode) == set(SYMBOLS)
    assert first.complete
    names, asked.symbols = asked.symbols, []
    for _ in range(2):
        await settings.config((), Plain(), Priority.OBSERVE)  # type: ignore[arg-type]
    assert asked.symbols[:AT_ONCE] == names[:AT_ONCE]
    assert set(asked.symbols) == set(names)
    assert len(asked.symbols) == 2 * AT_ONCE


async def test_a_symbol_whose_setting_is_changed_meanwhile_is_asked_for_once_more() -> None:
    """Else the answer lacked it, and entries on it were refused until the next look."""
    clock = HandClock()
    asked = Asked(clock)
    settings = Settings(asked, clock)  # type: ignore[arg-type]
    for symbol in SYMBOLS[:3]:
        settings.uses(symbol)
    changed = iter([SYMBOLS[0]])
    plain = asked.fact

    async def fact(request: Request, read: Callable[[bytes], Any], priority: Priority) -> Fact[Any]:
        if asked.symbols == ["BTCUSDT"]:
            settings.forget(next(changed))
        return await plain(request, read, priority)

    asked.fact = fact  # type: ignore[method-assign]
    found = await settings.config((), Plain(), Priority.OBSERVE)  # type: ignore[arg-type]
    assert found.complete
    assert set(found.value.margin_mode) == set(SYMBOLS[:3])
    assert asked.symbols == ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCUSDT"]
