"""Every error code of the three exchanges in words: what it means, what the bot makes of it, what to do.

The meanings are written beside each dialect, the bot's word is asked of the very function that judges an
answer; so what is told here is what happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.domain.intents import Rejected, RejectReason, Unavailable
from holdfast.exchanges.binance import errors as binance
from holdfast.exchanges.binance import meanings as binance_meanings
from holdfast.exchanges.bingx import errors as bingx
from holdfast.exchanges.bingx import meanings as bingx_meanings
from holdfast.exchanges.bitget import errors as bitget
from holdfast.exchanges.bitget import meanings as bitget_meanings
from holdfast.exchanges.caller import Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One code. *reading* is an example of the exchange's words where the code alone does not decide."""

    code: str
    reading: str
    meaning: str
    word: str
    """`rejected: margin`, `unknown`, `unavailable`."""
    remedy: str


REMEDIES: Mapping[str, str] = {
    "unknown": "not sent again: the bot asks by client id until it knows; look at the exchange if it lasts",
    "unavailable": "nothing happened; the bot waits as long as it is told, and tries again",
    RejectReason.WOULD_TRIGGER: "the price is past the stop already: the bot closes at market instead",
    RejectReason.WRONG_ENDPOINT: "a mistake of the program or a changed interface; not sent again: report it",
    RejectReason.DUPLICATE_ID: "the earlier request has arrived: the bot asks for it by its id",
    RejectReason.STOP_EXISTS: "the bot reads the stops again: the one that stands is kept, or moved",
    RejectReason.NOT_FOUND: "gone already: the bot asks what became of it",
    RejectReason.NOTHING_TO_REDUCE: "the position is gone or smaller: the bot reads it again",
    RejectReason.REDUCE_BLOCKED: "other orders hold the quantity: the bot cancels them, then closes in parts",
    RejectReason.MARGIN: "not placed; lower leverage or size, or add margin. Closing needs none",
    RejectReason.NOTIONAL_TOO_SMALL: "not placed; a larger order, or more equity at risk per trade",
    RejectReason.FILTER: "not placed; the bot reads the trading rules again and rounds anew",
    RejectReason.POSITION_MODE: "set engine.position_mode as the account is, or the account as configured",
    RejectReason.NO_LIQUIDITY: "nobody to trade with at that price; closes are tried again, entries are not",
    RejectReason.SYMBOL: "no entries on that symbol; take it out of `symbols`, or wait until it trades again",
    RejectReason.PERMISSION: "check key, secret, passphrase, allowed addresses and rights at the exchange",
    RejectReason.CLOCK: "no effect; the bot measures the clock and signs anew. Check the machine's time",
    RejectReason.NO_CHANGE: "nothing to do: it is as asked",
    RejectReason.OTHER: "not sent again as it is; the words of the exchange stand in the log",
}
"""By the bot's word."""
SPECIAL: Mapping[tuple[str, str], str] = {
    ("bitget", "40085"): "use a classic account: holdfast does not trade unified ones",
    ("bitget", "40084"): "nothing: holdfast trades classic accounts, and this says that it is one",
    ("bitget", "40036"): "set keys.passphrase (HOLDFAST_KEYS__PASSPHRASE) to the key's",
    ("bitget", "40012"): "check keys.api_key, keys.api_secret and keys.passphrase",
    ("bitget", "40014"): "allow futures trading for the key at the exchange",
    ("bingx", "100004"): "allow futures trading for the key at the exchange",
    ("bingx", "104103"): "close everything first; then change the position mode",
    ("bitget", "40920"): "close everything first; then change the position mode",
    ("bitget", "43023"): "the bot reads the position again; while it is there the stop is tried again",
}
"""Where the word's remedy would be too general."""

_AT_MS = 1_700_000_000_000


def _binance(code: str, message: str) -> Word:
    return binance.word_for(binance.Fault(400, int(code), message), retry_after_ms=0)


def _bingx(code: str, message: str) -> Word:
    return bingx.word_for(bingx.Fault(200, int(code), message), _AT_MS)


def _bitget(code: str, message: str) -> Word:
    return bitget.word_for(bitget.Fault(400, code, message), retry_after_ms=0)


@dataclass(frozen=True, slots=True)
class _Dialect:
    meanings: Mapping[str, str]
    readings: tuple[tuple[tuple[str, str], str], ...]
    judge: Callable[[str, str], Word]


_DIALECTS: Mapping[str, _Dialect] = {
    "binance": _Dialect(binance_meanings.MEANINGS, (), _binance),
    "bingx": _Dialect(bingx_meanings.MEANINGS, bingx_meanings.READINGS, _bingx),
    "bitget": _Dialect(bitget_meanings.MEANINGS, bitget_meanings.READINGS, _bitget),
}


def codes_of(exchange: str) -> tuple[Explained, ...]:
    """Every code of an exchange in order, each with its readings behind it. Raises `KeyError`."""
    dialect = _DIALECTS[exchange]
    plain = [(code, "", meaning) for code, meaning in dialect.meanings.items()]
    read = [(code, text, meaning) for (code, text), meaning in dialect.readings]
    ordered = sorted([*plain, *read], key=lambda each: (abs(int(each[0])), each[1]))
    return tuple(_explained(exchange, dialect, *each) for each in ordered)


def remedy_of(exchange: str, word: Word) -> str:
    """What comes of an answer, or has to be done about it."""
    if isinstance(word, Rejected):
        return SPECIAL.get((exchange, word.code), REMEDIES[word.reason])
    return REMEDIES["unavailable" if isinstance(word, Unavailable) else "unknown"]


def _explained(exchange: str, dialect: _Dialect, code: str, reading: str, meaning: str) -> Explained:
    word = dialect.judge(code, reading)
    name = f"rejected: {word.reason}" if isinstance(word, Rejected) else type(word).__name__.lower()
    return Explained(code=code, reading=reading, meaning=meaning, word=name, remedy=remedy_of(exchange, word))
