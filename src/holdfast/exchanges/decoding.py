"""Reading hostile answers: every fault is a `BadAnswer`, nothing else. What all dialects share.

Strict where money is: an amount is plain digits within sane bounds, or the row is bad.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Generic, TypeVar

import msgspec

from holdfast.domain.account import Candle
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Fill, PositionSide

T = TypeVar("T")
Q = TypeVar("Q")
R = TypeVar("R")

# Wide enough for any coin's quantity and any account's notional; an exponent like 1e999999 would
# pass as a Decimal and stop the process when it is written out.
_NUMBER = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][-+]?[0-9]{1,2})?", re.ASCII)
MAGNITUDE_MAX = Decimal(10) ** 20
_EXPONENTS = range(-30, 21)
_ID_DIGITS = 20
"""Ids are numbers; written this long they sort as numbers do."""
NUMBERS_KEPT = 4096
"""Bars, positions and rules are read again and again, and say mostly the same."""


class BadAnswer(Exception):
    """An answer that is not what the exchange promises: one sentence naming what was found."""


class NotJson(BadAnswer):
    """Empty, truncated, HTML: no JSON at all."""


# --- numbers and words ---------------------------------------------------------------------------


@lru_cache(maxsize=NUMBERS_KEPT)
def number(text: str) -> Decimal:
    """A sane amount from wire text, or `BadAnswer` (NaN, infinity and absurd sizes are none)."""
    if not _NUMBER.fullmatch(text):
        raise BadAnswer(f"expected a number, found {text[:40]!r}")
    return bounded(Decimal(text))


def bounded(value: Decimal) -> Decimal:
    """*value* when it is finite and of a size that exists, or `BadAnswer`."""
    if not value.is_finite() or (value and value.adjusted() not in _EXPONENTS):
        raise BadAnswer("expected a number of sane size, found none")
    if abs(value) > MAGNITUDE_MAX:  # only now: the sign of 1E+999999999 cannot even be taken away
        raise BadAnswer("expected a number of sane size, found one beyond it")
    return value


def amount(text: str) -> Decimal:
    """An amount that cannot be negative (prices, quantities), or `BadAnswer`."""
    value = number(text)
    if value < 0:
        raise BadAnswer(f"expected an amount not below 0, found {text[:40]!r}")
    return value


def price(text: str) -> Decimal:
    """An amount above 0, or `BadAnswer`."""
    value = number(text)
    if value <= 0:
        raise BadAnswer(f"expected a price above 0, found {text[:40]!r}")
    return value


def amount_or_zero(text: str | None) -> Decimal:
    """An amount where an empty text means none."""
    return amount(text) if text else ZERO


def word(table: Mapping[str, T], text: str, what: str) -> T:
    """The meaning of a word that must be known, or `BadAnswer`."""
    found = table.get(text)
    if found is None:
        raise BadAnswer(f"expected a known {what}, found {text[:40]!r}")
    return found


def signed(quantity: Decimal, held: PositionSide) -> Decimal:
    """In hedge mode the side says the sign, whatever sign the row carries."""
    if held is PositionSide.BOTH:
        return quantity
    return abs(quantity) if held is PositionSide.LONG else -abs(quantity)


# --- bodies --------------------------------------------------------------------------------------


class Reader(Generic[T]):
    """Decodes one kind of body; the decoder is made once and used for every account."""

    def __init__(self, kind: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(kind, strict=False)

    def read(self, body: bytes | str | msgspec.Raw) -> T:
        """The body as its kind; raises `BadAnswer`, or `NotJson` when it is no JSON at all."""
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise BadAnswer(str(error)) from error
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise NotJson(f"expected JSON, found none: {error}"[:200]) from error


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """A list's readable rows, and how many were not: then the list proves presence only."""

    values: tuple[T, ...]
    bad: int = 0


class Table(Generic[T]):
    """Decodes a list row by row, so that one bad row hides no other."""

    def __init__(self, kind: type[T]) -> None:
        self._all: Reader[list[T]] = Reader(list[kind])  # type: ignore[valid-type]  # built at run time
        self._raw: Reader[list[msgspec.Raw]] = Reader(list[msgspec.Raw])
        self._one: Reader[T] = Reader(kind)

    def read(self, body: bytes, convert: Callable[[T], R | None]) -> Rows[R]:
        """All rows through *convert* (None = leave out); raises `BadAnswer` when it is no list."""
        try:
            return _converted(self._all.read(body), convert)
        except NotJson:
            raise
        except BadAnswer:
            return self._salvaged(self._raw.read(body), convert)

    def read_raw(self, raws: list[msgspec.Raw], convert: Callable[[T], R | None]) -> Rows[R]:
        """The same for a list found inside another body."""
        return self._salvaged(raws, convert)

    def _salvaged(self, raws: list[msgspec.Raw], convert: Callable[[T], R | None]) -> Rows[R]:
        return _converted(raws, lambda raw: convert(self._one.read(raw)))


def _converted(items: Iterable[Q], convert: Callable[[Q], R | None]) -> Rows[R]:
    values: list[R] = []
    bad = 0
    for item in items:
        try:
            value = convert(item)
        except BadAnswer:
            bad += 1
            continue
        if value is not None:
            values.append(value)
    return Rows(tuple(values), bad)


# --- bars ----------------------------------------------------------------------------------------


def sane_bars(bars: Iterable[Candle]) -> tuple[Candle, ...]:
    """*bars* as they are; raises `BadAnswer` when they are out of order or contradict themselves."""
    found = tuple(bars)
    if any(later.open_ms <= earlier.open_ms for earlier, later in pairwise(found)):
        raise BadAnswer("expected bars in order of time, found them out of order")
    for bar in found:
        if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
            raise BadAnswer("expected low ≤ open, close ≤ high in a bar, found otherwise")
    return found


# --- fills ---------------------------------------------------------------------------------------


def each_once(fills: Iterable[Fill]) -> tuple[Fill, ...]:
    """Each trade once, oldest first, however the pages overlapped."""
    unique = {fill.trade_id: fill for fill in fills}
    return tuple(sorted(unique.values(), key=lambda fill: (fill.at_ms, fill.trade_id.zfill(_ID_DIGITS))))
