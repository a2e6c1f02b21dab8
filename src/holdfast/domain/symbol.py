"""One canonical name per instrument, and every exchange's spelling of it (R5.5)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

import msgspec

# Longest first, so that "USDT" wins over "USD" when a compact name is split.
QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "BTC", "ETH", "BNB", "EUR")

_CCXT = re.compile(r"^([A-Z0-9]+)/([A-Z0-9]+)(?::([A-Z0-9]+))?$")
_DASHED = re.compile(r"^([A-Z0-9]+)[-_]([A-Z0-9]+)(?:[-_]([A-Z0-9]+))?$")


class BadSymbol(ValueError):
    """The text names no instrument in any spelling we know."""


class Kind(StrEnum):
    """What is traded: a perpetual swap (settled in its quote) or spot."""

    SWAP = "swap"
    SPOT = "spot"


class Symbol(msgspec.Struct, frozen=True, order=True, cache_hash=True):
    """An instrument's name: base, quote and, for a swap, the settlement currency ("" for spot).

    `str()` gives the canonical form, which is ccxt's: `BTC/USDT:USDT` for a swap, `BTC/USDT` for
    spot. Everything we store, log or compare uses that form; the others are for the wire.

    Every mapping by instrument hashes and compares it, thousands of times in a step: hence no dataclass.
    """

    base: str
    quote: str
    settle: str

    @classmethod
    def parse(cls, text: str, kind: Kind = Kind.SWAP) -> Self:
        """Read any spelling: `BTC/USDT:USDT`, `BTC/USDT`, `BTCUSDT`, `BTC-USDT`, `BTC_USDT_USDT`.

        A spelling that does not say which is meant is read as *kind*. Raises `BadSymbol`.
        """
        if not text.isascii():  # look-alike letters are another name
            raise _bad(text)
        upper = text.strip().upper()
        match = _CCXT.match(upper) or _DASHED.match(upper)
        if match:
            base, quote, settle = match[1], match[2], match[3] or ""
        else:
            base, quote, settle = *_split_compact(upper), ""
        if not settle and kind is Kind.SWAP:
            settle = quote
        return cls(base, quote, settle)

    @property
    def kind(self) -> Kind:
        return Kind.SWAP if self.settle else Kind.SPOT

    @property
    def compact(self) -> str:
        """Binance and Bitget: `BTCUSDT`."""
        return self.base + self.quote

    @property
    def dashed(self) -> str:
        """BingX: `BTC-USDT`."""
        return f"{self.base}-{self.quote}"

    @property
    def filename(self) -> str:
        """freqtrade's data files: `BTC_USDT_USDT` (swap), `BTC_USDT` (spot)."""
        parts = (self.base, self.quote, self.settle) if self.settle else (self.base, self.quote)
        return "_".join(parts)

    def __str__(self) -> str:
        return f"{self.base}/{self.quote}:{self.settle}" if self.settle else f"{self.base}/{self.quote}"


def _split_compact(text: str) -> tuple[str, str]:
    for quote in QUOTES:
        base = text.removesuffix(quote)
        if base != text and base.isalnum():
            return base, quote
    raise _bad(text)


def _bad(text: str) -> BadSymbol:
    return BadSymbol(f"expected a symbol like BTC/USDT:USDT, BTCUSDT or BTC-USDT, found {text!r}")
