"""How many accounts fit behind one address, from the exchanges' limits and from what a bot asks.

Pure data and arithmetic: `python -m holdfast.exchanges.capacity` prints the table that stands in
docs/budget.md, and a test holds the questions against what the adapters really send.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from fractions import Fraction
from typing import Protocol

from holdfast.decisions.policy import Freshness
from holdfast.domain.intents import Priority
from holdfast.exchanges.binance import requests as binance
from holdfast.exchanges.bingx import requests as bingx
from holdfast.exchanges.bitget import requests as bitget
from holdfast.exchanges.capabilities import CAPABILITIES
from holdfast.exchanges.limits import Costs, Limit, Scope

MINUTE_MS = 60_000
BARS = 300
"""What a usual strategy asks of each symbol."""
SOCKETS_EACH = 2
"""An account's own stream, and its market stream."""
STRETCH_MAX = 100
"""Reads that come later than this many times their period are no use to anybody."""


class Question(StrEnum):
    """What a bot asks to keep what it knows fresh."""

    POSITIONS = "positions"
    BALANCE = "balance"
    ORDERS = "orders of a symbol"
    STOPS = "stops of a symbol"
    ALL_ORDERS = "all orders"
    ALL_STOPS = "all stops"
    CONFIG = "settings"
    CLOCK = "clock"
    CANDLES = "bars of a symbol"


class Costly(Protocol):
    @property
    def costs(self) -> Costs: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What an exchange asks for the answers, and allows."""

    limits: Sequence[Limit]
    questions: Mapping[Question, tuple[Costly, ...]]
    sockets_max: int | None
    """Connections of an address that its documents allow at a time; None: they do not say."""
    one_list: bool = False
    """Orders and stops stand in one list, and whoever asks for both asks once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One account: symbols whose bars are read, and how many of them are held."""

    symbols: int
    held: int


@dataclass(frozen=True, slots=True)
class Room:
    """How many such accounts fit, and what the next one would find used up ("" = nothing known)."""

    accounts: int
    by: str


_W = "X"

PLACES: Mapping[str, Place] = {
    "binance": Place(
        limits=binance.LIMITS,
        questions={
            Question.POSITIONS: (binance.POSITIONS,),
            Question.BALANCE: (binance.ACCOUNT,),
            Question.ORDERS: (binance.open_orders(_W),),
            Question.STOPS: (binance.open_stops(_W),),
            Question.ALL_ORDERS: (binance.open_orders(None),),
            Question.ALL_STOPS: (binance.open_stops(None),),
            Question.CONFIG: (binance.ACCOUNT_CONFIG, binance.SYMBOL_CONFIG),
            Question.CLOCK: (binance.SERVER_TIME,),
            Question.CANDLES: (binance.candles(_W, "1h", BARS, None),),
        },
        sockets_max=None,
    ),
    "bingx": Place(
        limits=bingx.LIMITS,
        questions={
            Question.POSITIONS: (bingx.POSITIONS,),
            Question.BALANCE: (bingx.BALANCE,),
            Question.ORDERS: (bingx.open_orders(_W),),
            Question.STOPS: (bingx.open_orders(_W),),
            Question.ALL_ORDERS: (bingx.open_orders(None),),
            Question.ALL_STOPS: (bingx.open_orders(None),),
            Question.CONFIG: (bingx.POSITION_MODE, bingx.ASSET_MODE),
            Question.CLOCK: (bingx.SERVER_TIME,),
            Question.CANDLES: (bingx.candles(_W, "1h", BARS, None),),
        },
        sockets_max=60,
        one_list=CAPABILITIES["bingx"].one_list,
    ),
    "bitget": Place(
        limits=bitget.LIMITS,
        questions={
            Question.POSITIONS: (bitget.POSITIONS,),
            Question.BALANCE: (bitget.BALANCES,),
            Question.ORDERS: (bitget.open_orders(_W),),
            Question.STOPS: (
                *(bitget.open_plans(book, _W) for book in bitget.BOOKS),
                bitget.positions(_W),
            ),
            Question.ALL_ORDERS: (bitget.open_orders(None),),
            Question.ALL_STOPS: (
                *(bitget.open_plans(book, None) for book in bitget.BOOKS),
                bitget.positions(None),
            ),
            Question.CONFIG: (bitget.account(_W),),
            Question.CLOCK: (bitget.SERVER_TIME,),
            Question.CANDLES: (bitget.candles(_W, "1h", BARS, None),),
        },
        sockets_max=100,
    ),
}
"""Settings of a symbol beyond the first (Bitget: one question each in five minutes), pages beyond the first,
and what trading asks come on top."""


def asked(load: Load, fresh: Freshness) -> Iterator[tuple[Question, Fraction]]:
    """How often a minute such an account asks, in quiet times with its streams up."""

    def often(question: Question, period_ms: int, times: int = 1) -> tuple[Question, Fraction]:
        return question, Fraction(times * MINUTE_MS, period_ms)

    yield often(Question.POSITIONS, fresh.positions_ms if load.held else fresh.positions_flat_ms)
    yield often(Question.BALANCE, fresh.balance_ms)
    yield often(Question.ORDERS, fresh.orders_ms, load.held)
    yield often(Question.STOPS, fresh.orders_ms, load.held)
    yield often(Question.ALL_ORDERS, fresh.census_ms)
    yield often(Question.ALL_STOPS, fresh.census_ms)
    yield often(Question.CONFIG, fresh.config_ms)
    yield often(Question.CLOCK, fresh.clock_ms)
    yield often(Question.CANDLES, MINUTE_MS, load.symbols)


def used(place: Place, load: Load, fresh: Freshness) -> Mapping[str, Fraction]:
    """What one account uses of each limit in a minute."""
    sums: Counter[str] = Counter()
    for question, times in asked(load, fresh):
        if place.one_list and question in (Question.ORDERS, Question.ALL_ORDERS):
            continue
        for request in place.questions[question]:
            for name, cost in request.costs.items():
                sums[name] += cost * times  # type: ignore[assignment]
    return {name: Fraction(sum_) for name, sum_ in sums.items()}


def room(place: Place, load: Load, fresh: Freshness) -> Room:
    """How many accounts keep that freshness within what observing may use of every limit."""
    found: list[Room] = []
    uses = used(place, load, fresh)
    for limit in place.limits:
        need = uses.get(limit.name, Fraction(0)) * limit.window_ms / MINUTE_MS
        allowed = limit.allows(Priority.OBSERVE)
        if limit.scope is Scope.KEY and need > allowed:
            return Room(0, limit.name)
        if limit.scope is Scope.ADDRESS and need:
            found.append(Room(int(allowed / need), limit.name))
    if place.sockets_max is not None:
        found.append(Room(place.sockets_max // SOCKETS_EACH, "connections"))
    return min(found, key=lambda each: each.accounts)


def stretched(fresh: Freshness, factor: Fraction) -> Freshness:
    """The same targets, all of them *factor* times as long."""
    return Freshness(
        **{each.name: max(1, int(getattr(fresh, each.name) * factor)) for each in fields(Freshness)}
    )


def stretch_for(place: Place, load: Load, accounts: int, fresh: Freshness) -> Fraction:
    """By how much *accounts* at one address make all that is read later; at least 1. Bars come as often
    as ever; connections are not looked at."""
    factor, step = Fraction(1), Fraction(1, 10)
    without = replace(place, sockets_max=None)
    while room(without, load, stretched(fresh, factor)).accounts < accounts:
        factor += step
        if factor > STRETCH_MAX:
            raise ValueError(f"{accounts} accounts: their bars alone are too many")
    return factor


USUAL = Freshness()
FACTORS = (Fraction(1, 2), Fraction(1), Fraction(2), Fraction(4))
LOADS: Mapping[str, Load] = {
    "flat, 3 symbols": Load(symbols=3, held=0),
    "1 of 3 held": Load(symbols=3, held=1),
    "5 of 5 held": Load(symbols=5, held=5),
    "20 of 20 held": Load(symbols=20, held=20),
}
HEAD = (
    "exchange",
    "an account",
    *(f"positions {float(USUAL.positions_ms * factor / 1000):g} s" for factor in FACTORS),
    "used up first",
    "100 accounts",
)


def table() -> str:
    """Accounts per address, exchange and freshness, as Markdown."""
    rows = [HEAD, tuple("---" for _ in HEAD)]
    for exchange, place in PLACES.items():
        rows += [(exchange, words, *_cells(place, load)) for words, load in LOADS.items()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cells(place: Place, load: Load) -> tuple[str, ...]:
    fits = [room(place, load, stretched(USUAL, factor)).accounts for factor in FACTORS]
    usual = room(place, load, USUAL)
    try:
        later = f"{float(stretch_for(place, load, 100, USUAL)):g} × later"
    except ValueError:
        later = "bars too many"
    return (*map(str, fits), usual.by, later)


if __name__ == "__main__":
    sys.stdout.write(table())
