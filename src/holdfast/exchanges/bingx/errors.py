"""BingX's error codes in three words: Rejected, Unknown, Unavailable (architecture rule 6).

Business errors are HTTP 200 with a code, so the code decides; where one code has several meanings
the exchange's own words do. What is not listed is Unknown and counted as a gap.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from holdfast.domain.intents import Rejected, RejectReason, Unavailable, Unknown
from holdfast.exchanges.caller import Verdict, Word
from holdfast.exchanges.limits import Scope
from holdfast.exchanges.transport import Answer

_R = RejectReason

PAUSE = 109429
"""Too many bad requests of this account; says until when."""
RATE_LIMITED = 100410
"""Of this account's pace at an endpoint, or of the address: it does not say which."""
LIMITED_MS = 2_000
"""How long to hold back after 100410 or a 429: the windows are of one second, and of ten."""
WAIT_MS: Mapping[int, int] = {
    RATE_LIMITED: LIMITED_MS,
    101214: 2_000,
    109403: 120_000,
    PAUSE: 60_000,
}
"""Refused before anything happened: rate limit, funding being settled, risk control, pause (ms)."""
BAN_DEFAULT_MS = 300_000
"""For a 418 or 403: the firewall's block lasts about five minutes."""
WAIT_MAX_MS = 3 * 24 * 3600 * 1000
"""Whatever a text says, we wait no longer than this."""

REJECTED: Mapping[int, RejectReason] = {
    # the gateway: refused before any effect
    100421: _R.CLOCK,
    **dict.fromkeys((100001, 100004, 100412, 100413, 100414, 100419), _R.PERMISSION),
    # the order itself
    **dict.fromkeys((101481, 109201), _R.DUPLICATE_ID),
    # 80018: it is over already, so there is nothing to cancel
    **dict.fromkeys((80016, 80018, 109421), _R.NOT_FOUND),
    **dict.fromkeys((80017, 101205, 101290, 109420), _R.NOTHING_TO_REDUCE),
    110424: _R.REDUCE_BLOCKED,
    **dict.fromkeys((110406, 110407), _R.STOP_EXISTS),
    **dict.fromkeys((110411, 110412, 110413, 110414), _R.WOULD_TRIGGER),
    **dict.fromkeys((100202, 101201, 101204, 101206, 101209, 101212, 101222, 101253), _R.MARGIN),
    **dict.fromkeys((101429, 110203, 110287, 112414), _R.MARGIN),
    **dict.fromkeys((101202, 101211, 101485, 110402, 110422, 110425), _R.FILTER),
    **dict.fromkeys((101415, 109415, 109417, 109425, 110280), _R.SYMBOL),
    # caps on orders, post-only that would take, leverage, mode switch, malformed requests
    **dict.fromkeys((80013, 80014, 80020, 100400, 100404, 101215, 101400, 101414), _R.OTHER),
    **dict.fromkeys((101419, 104103, 109400, 109414, 110206), _R.OTHER),
}
"""Definite refusals, by code."""

_BY_WORDS: tuple[tuple[frozenset[int], re.Pattern[str], RejectReason], ...] = (
    (frozenset({101400}), re.compile("unique check"), _R.DUPLICATE_ID),
    (frozenset({80001, 101400}), re.compile("minimum order amount"), _R.NOTIONAL_TOO_SMALL),
    (frozenset({80014, 109400, 109414}), re.compile("timestamp"), _R.CLOCK),
    (
        frozenset({80014, 109400, 109414}),
        re.compile(r"positionside' field|the 'side' field|reduceonly' field|hedge mode|one-way mode"),
        _R.POSITION_MODE,
    ),
    (frozenset({109400}), re.compile("err:quantity|err:price|too many decimals"), _R.FILTER),
)
"""Codes with several meanings: the first words that fit decide, else the table above."""
_OLD_MARGIN = 80012
_LACKS_MARGIN = re.compile("insufficient|margin|balance")

UNKNOWN: frozenset[int] = frozenset({80001, 80012, 80019, 100500, 101500, 109500, 110500})
"""The exchange itself does not know, is still at it, or uses the code for refusals and doubts alike."""
UNAVAILABLE: frozenset[int] = frozenset(WAIT_MS)

_RETRY_AT = re.compile(r"retry after time:?\s*(\d{13})\b", re.ASCII)
_DOUBTFUL_STATUS = frozenset({404, 408, 500, 502, 503, 504})


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
_GOOD = b'{"code":0,'


def judge(answer: Answer, exchange_now_ms: int) -> Verdict | None:
    """What an answer means for who asked and for the address; None for a success."""
    fault = fault_in(answer)
    if fault is None:
        return None
    word = word_for(fault, exchange_now_ms)
    if isinstance(word, Unavailable) and fault.status == 429:
        return Verdict(word, word.retry_after_ms)  # the edge: it has not looked at the key
    if isinstance(word, Unavailable) and fault.code in (RATE_LIMITED, PAUSE):
        return Verdict(word, word.retry_after_ms, Scope.KEY)
    return Verdict(word)


def fault_in(answer: Answer) -> Fault | None:
    """The fault an answer carries, or None when it is a success whose body still has to be read.

    An empty or unreadable 200 is no fault here: whoever reads it finds that nothing is proven.
    """
    if answer.status == 200 and answer.body.startswith(_GOOD):  # most are: they need not be decoded twice
        return None
    body = _error_body(answer.body)
    if body is not None and body.code:
        return Fault(answer.status, body.code, body.msg[:200])
    if answer.status == 200:
        return None
    return Fault(answer.status, None, body.msg[:200] if body and body.msg else _first_words(answer.body))


def word_for(fault: Fault, exchange_now_ms: int) -> Word:
    """The word that a fault means, for a request that changes something as for a read."""
    if fault.status in (403, 418):
        return Unavailable(cause=f"banned: {fault.words}", retry_after_ms=BAN_DEFAULT_MS, banned=True)
    if fault.status == 429:
        return Unavailable(cause=fault.words, retry_after_ms=LIMITED_MS)
    if fault.code is None:
        return Unknown(cause=fault.words, mapped=fault.status in _DOUBTFUL_STATUS)
    return _word_of_code(fault, fault.code, exchange_now_ms)


def _word_of_code(fault: Fault, code: int, exchange_now_ms: int) -> Word:
    reason = _reason(code, fault.message.lower())
    if reason is not None:
        return Rejected(reason=reason, code=str(code), message=fault.message)
    if code in WAIT_MS:
        wait_ms = _told_ms(fault.message, exchange_now_ms) or WAIT_MS[code]
        return Unavailable(cause=fault.words, retry_after_ms=wait_ms)
    return Unknown(cause=fault.words, mapped=code in UNKNOWN)


def _reason(code: int, words: str) -> RejectReason | None:
    if code == _OLD_MARGIN and _LACKS_MARGIN.search(words):
        return _R.MARGIN
    said = (reason for codes, pattern, reason in _BY_WORDS if code in codes and pattern.search(words))
    return next(said, REJECTED.get(code))


def _told_ms(message: str, exchange_now_ms: int) -> int:
    """How long the exchange asks us to wait; 0 = it did not say."""
    told = _RETRY_AT.search(message)
    return min(max(int(told[1]) - exchange_now_ms, 0), WAIT_MAX_MS) if told else 0


def _error_body(body: bytes) -> _ErrorBody | None:
    try:
        return _ERROR.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _first_words(body: bytes) -> str:
    """The start of an answer that is no JSON error, as one safe line."""
    text = body[:120].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
