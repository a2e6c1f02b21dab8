"""Binance's error codes in three words: Rejected, Unknown, Unavailable (architecture rule 6).

Decided by numeric code, HTTP status and, in the 503 family, the text; never by ccxt's exception
class, which depends on the URL. What is not listed is Unknown and counted as a gap.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from holdfast.domain.intents import Rejected, RejectReason, Unavailable, Unknown
from holdfast.exchanges.caller import Verdict, Word
from holdfast.exchanges.transport import Answer

_R = RejectReason

TOO_MANY_REQUESTS = -1003
TOO_MANY_ORDERS = -1015
"""The account's order limit, not the address's weight: other accounts may go on."""
LIMIT_DEFAULT_MS = 60_000
"""How long to hold back after a 429 without Retry-After: the budget's window is a minute."""
BAN_DEFAULT_MS = 120_000
"""The shortest ban Binance gives; for a 418 or 403 that does not say how long."""
WAIT_MAX_MS = 3 * 24 * 3600 * 1000
"""The longest ban Binance gives; whatever a header says, we wait no longer than this."""

REJECTED: Mapping[int, RejectReason] = {
    # clock: refused before any effect; measure the clock, then sign anew
    -1021: _R.CLOCK,
    -5028: _R.CLOCK,
    # permission: the key, the account or the symbol may not do this
    **dict.fromkeys(
        (-1002, -1022, -2014, -2015, -2023, -4087, -4088, -4192, -4202, -4203, -4204, -4205, -4206),
        _R.PERMISSION,
    ),
    **dict.fromkeys((-4400, -4401), _R.PERMISSION),
    # the order itself
    -2021: _R.WOULD_TRIGGER,
    -4120: _R.WRONG_ENDPOINT,
    -4116: _R.DUPLICATE_ID,
    -4130: _R.STOP_EXISTS,
    **dict.fromkeys((-2011, -2013), _R.NOT_FOUND),
    **dict.fromkeys((-2022, -4509), _R.NOTHING_TO_REDUCE),  # -4509: a closePosition stop without a position
    -4118: _R.REDUCE_BLOCKED,
    **dict.fromkeys((-2018, -2019, -2027, -2028, -4050, -4051), _R.MARGIN),
    -4164: _R.NOTIONAL_TOO_SMALL,
    **dict.fromkeys((-1013, -1111, -4001, -4002, -4003, -4004, -4005, -4013, -4014, -4016), _R.FILTER),
    **dict.fromkeys((-4023, -4024, -4183, -4184, -4210, -4211), _R.FILTER),
    **dict.fromkeys((-4060, -4061, -4531), _R.POSITION_MODE),
    **dict.fromkeys((-2020, -4131, -5021), _R.NO_LIQUIDITY),
    **dict.fromkeys((-1121, -4140, -4141, -5024), _R.SYMBOL),
    **dict.fromkeys((-4046, -4059, -4171, -5027), _R.NO_CHANGE),
    # malformed requests: a bug of ours or a changed interface, definite either way
    **dict.fromkeys((-1100, -1101, -1102, -1103, -1104, -1106, -1115, -1116, -1117, -1120, -1130), _R.OTHER),
    **dict.fromkeys((-1125, -2010, -2025, -4015, -4021, -4028, -4045, -4047, -4048, -4049, -4054), _R.OTHER),
    **dict.fromkeys((-4062, -4067, -4068, -4082, -4117, -4135, -4136, -4137, -4138, -4161, -4168), _R.OTHER),
    **dict.fromkeys((-5000, -5022, -5025, -5026, -5037, -5038, -5039, -5040, -5041, -5047), _R.OTHER),
}
"""Definite refusals, by code."""

UNKNOWN: frozenset[int] = frozenset({-1000, -1001, -1006, -1007})
"""The exchange itself does not know, or says so in words that have been wrong."""

UNAVAILABLE: frozenset[int] = frozenset({-1003, -1008, -1015})
"""Refused before anything happened; try later."""

UNKNOWN_TEXT = "unknown error, please check your request or try again later"
UNAVAILABLE_TEXT = "service unavailable."

_BANNED_UNTIL = re.compile(r"banned until (\d{13})\b", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fault:
    """What an answer says is wrong: the code, when there is one, and the words."""

    status: int
    code: int | None
    message: str

    @property
    def words(self) -> str:
        """For people and the journal."""
        if self.code is not None:
            return f"{self.code} {self.message}".strip()
        return f"HTTP {self.status} {self.message}".strip()


class _ErrorBody(msgspec.Struct):
    code: int = 0
    msg: str = ""


_ERROR = msgspec.json.Decoder(_ErrorBody, strict=False)


def judge(answer: Answer, exchange_now_ms: int) -> Verdict | None:
    """What an answer means for who asked and for the address; None for a success."""
    fault = fault_in(answer)
    if fault is None:
        return None
    word = word_for(fault, retry_after_ms=retry_after(answer, exchange_now_ms))
    if not _limits_the_address(fault):
        return Verdict(word)
    asked_ms = word.retry_after_ms if isinstance(word, Unavailable) else 0
    return Verdict(word, asked_ms or LIMIT_DEFAULT_MS)


def _limits_the_address(fault: Fault) -> bool:
    if fault.code == TOO_MANY_ORDERS:
        return False
    return fault.status == 429 or fault.code == TOO_MANY_REQUESTS


def fault_in(answer: Answer) -> Fault | None:
    """The fault an answer carries, or None when it is a success whose body still has to be read.

    A negative code is a fault under any HTTP status: some come with 200.
    """
    body = _error_body(answer)
    if body is not None and body.code < 0:
        return Fault(answer.status, body.code, body.msg[:200])
    if answer.status == 200:
        return None
    return Fault(answer.status, None, body.msg[:200] if body and body.msg else _first_words(answer.body))


def word_for(fault: Fault, *, retry_after_ms: int) -> Word:
    """The word that a fault means, for a request that changes something as for a read."""
    if fault.status in (403, 418) and fault.code not in REJECTED:
        return Unavailable(
            cause=f"banned: {fault.words}", retry_after_ms=retry_after_ms or BAN_DEFAULT_MS, banned=True
        )
    if fault.status == 429:
        return Unavailable(cause=fault.words, retry_after_ms=retry_after_ms or LIMIT_DEFAULT_MS)
    if fault.code is None or fault.message.strip().lower().startswith(UNKNOWN_TEXT):
        return _word_of_text(fault)
    return _word_of_code(fault, fault.code, retry_after_ms)


def _word_of_code(fault: Fault, code: int, retry_after_ms: int) -> Word:
    if code in REJECTED:
        return Rejected(reason=REJECTED[code], code=str(code), message=fault.message)
    if code in UNAVAILABLE:
        return Unavailable(cause=fault.words, retry_after_ms=retry_after_ms)
    return Unknown(cause=fault.words, mapped=code in UNKNOWN)


def _word_of_text(fault: Fault) -> Word:
    """Answers without a code, empty or HTML: only the documented 503 text is a definite no."""
    text = fault.message.strip().lower()
    if fault.status == 503 and text == UNAVAILABLE_TEXT:
        return Unavailable(cause=fault.words)
    known = text.startswith(UNKNOWN_TEXT) or fault.status in (408, 500, 502, 503, 504)
    return Unknown(cause=fault.words, mapped=known)


def retry_after(answer: Answer, exchange_now_ms: int) -> int:
    """How long the exchange asks us to wait (ms), from the header or the ban's text; 0 = it did not say."""
    header = answer.headers.get("retry-after", "").strip()
    if header.isascii() and header.isdigit() and len(header) <= 9:
        return min(int(header) * 1000, WAIT_MAX_MS)
    banned = _BANNED_UNTIL.search(answer.body[:400].decode("utf-8", "replace"))
    if banned:
        return min(max(int(banned[1]) - exchange_now_ms, 0), WAIT_MAX_MS)
    return 0


def _error_body(answer: Answer) -> _ErrorBody | None:
    # Good answers are many and need not be decoded twice: they carry no "code" near their start.
    if answer.status == 200 and (answer.body[:1] != b"{" or b'"code"' not in answer.body[:2000]):
        return None
    try:
        return _ERROR.decode(answer.body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _first_words(body: bytes) -> str:
    """The start of an answer that is no JSON error, as one safe line."""
    text = body[:120].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
