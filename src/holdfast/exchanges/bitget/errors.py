"""Bitget's error codes in three words: Rejected, Unknown, Unavailable (architecture rule 6).

Decided by the exchange's code, and where there is none by the HTTP status; never by ccxt's exception
class, which calls a time-out (40010) an authentication error. What is not listed is Unknown and
counted as a gap. Codes: exchange sheet §2, §4, §6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from holdfast.domain.intents import Rejected, RejectReason, Unavailable, Unknown
from holdfast.exchanges.caller import Verdict, Word
from holdfast.exchanges.limits import Scope
from holdfast.exchanges.transport import Answer

_R = RejectReason

SUCCESS = "00000"
_GOOD_START = b'{"code":"00000"'
LIMIT_DEFAULT_MS = 2_000
"""How long to hold back after a 429 without Retry-After: nearly all limits are by the second."""
BANNED = 418
BAN_DEFAULT_MS = 300_000
WAIT_MAX_MS = 24 * 3600 * 1000
"""Whatever a header says, we wait no longer than this."""
REFUSED_AT_THE_DOOR_MS = 60_000
"""Silence after a 403 that is not the exchange's own answer; how long such a block lasts is not known."""


def _codes(first: int, last: int) -> tuple[str, ...]:
    return tuple(str(code) for code in range(first, last + 1))


REJECTED: Mapping[str, RejectReason] = {
    # clock: refused before any effect; measure the clock, then sign anew
    **dict.fromkeys(("40005", "40008"), _R.CLOCK),
    # permission: the key, the passphrase, the address or the account may not do this
    **dict.fromkeys(("40001", "40002", "40003", "40006", "40009", "40011", "40012"), _R.PERMISSION),
    **dict.fromkeys(("40013", "40014", "40018", "40036", "40037", "40038", "40710", "40760"), _R.PERMISSION),
    **dict.fromkeys(("40084", "40085", "25245"), _R.PERMISSION),  # the other kind of account
    # the order itself
    **dict.fromkeys(
        ("40917", "45122", "40915", *_codes(40829, 40836), *_codes(45060, 45062)), _R.WOULD_TRIGGER
    ),
    **dict.fromkeys(("43034", "43035"), _R.WOULD_TRIGGER),
    "400172": _R.WRONG_ENDPOINT,
    **dict.fromkeys(("40786", "45034", "43118", "25212"), _R.DUPLICATE_ID),
    **dict.fromkeys(("43030", "43031"), _R.STOP_EXISTS),
    **dict.fromkeys(("22001", "43025", "43020", "43021", "43033", "25575"), _R.NOT_FOUND),
    **dict.fromkeys(("43001", "40768", "40109", "45057", "31007", "80011", "25204"), _R.NOT_FOUND),
    **dict.fromkeys(("45055", "45056", "45031"), _R.NOT_FOUND),  # final already
    **dict.fromkeys(("22002", "43023", "40891", "40837", "31008", "25227"), _R.NOTHING_TO_REDUCE),
    **dict.fromkeys(("40757", "45006", "40746", "25226", "25232"), _R.REDUCE_BLOCKED),
    **dict.fromkeys(("40762", "40754", "40755", "40756", "40798", "43012", "45002"), _R.MARGIN),
    **dict.fromkeys(("40893", "40800", "25202", "25203"), _R.MARGIN),
    "45110": _R.NOTIONAL_TOO_SMALL,
    **dict.fromkeys(("40808", "41103", "43011", "45111", "45112", "45113", "45115"), _R.FILTER),
    **dict.fromkeys((*_codes(43005, 43010), "43027", "43028", "43037"), _R.FILTER),
    "40774": _R.POSITION_MODE,
    "43002": _R.NO_LIQUIDITY,
    **dict.fromkeys(("40309", "22004", "40845", "45119", "45043", "40034"), _R.SYMBOL),
    **dict.fromkeys(("40814", "45054", "40923"), _R.NO_CHANGE),
    # malformed requests, settings that cannot be changed now, caps: definite either way
    **dict.fromkeys(("40017", "40019", "40020", "40404", "40304", "40305", "22042", "40797"), _R.OTHER),
    **dict.fromkeys(("40804", "40730", "40889", "40920", "45117", "22057", "25236"), _R.OTHER),
}
"""Definite refusals, by code."""

CONDITION = "40812"
"""The documents read it as "a parameter does not fit", the field as "no position" or "wrong planType"."""
CONDITIONS: Mapping[str, RejectReason] = {"position": _R.NOTHING_TO_REDUCE, "plantype": _R.WRONG_ENDPOINT}
"""What 40812 means, by a word in its text; anything else is a parameter."""

UNKNOWN: frozenset[str] = frozenset({"40010", "40015", "40725", "45001", "40910", "40908"})
"""Time-outs and errors of the service: the request may have had its effect."""

UNAVAILABLE: Mapping[str, int] = {"429": 0, "45129": 1_000, "40200": 60_000, "40844": 60_000}
"""Refused before anything happened; try again after so many ms (0: it did not say)."""

EXPLAINED: Mapping[str, str] = {
    "400172": "the order type or the plan type is wrong; sending it again does not help",
    CONDITION: "a parameter does not fit, or there is no position for the stop, or its plan type is wrong",
    "43023": "there is no position for the stop, or it is not visible yet",
    "40774": "the account is in the other position mode",
    "40085": "the account is a unified one; holdfast trades classic accounts",
    "40036": "check the passphrase of the key",
    "40012": "check key, secret and passphrase",
}
"""Words of ours beside the exchange's, where those mislead."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What an answer says is wrong: the code, when there is one, and the words."""

    status: int
    code: str
    message: str

    @property
    def words(self) -> str:
        """For people and the journal."""
        return f"{self.code or f'HTTP {self.status}'} {self.message}".strip()


class _ErrorBody(msgspec.Struct):
    code: str | int
    msg: str | None = None


_ERROR = msgspec.json.Decoder(_ErrorBody)


def judge(answer: Answer, _exchange_now_ms: int) -> Verdict | None:
    """What an answer means for who asked and for the address; None for a success."""
    fault = fault_in(answer)
    if fault is None:
        return None
    asked_ms = retry_after(answer)
    word = word_for(fault, retry_after_ms=asked_ms)
    if fault.status == BANNED:
        return Verdict(word)
    if fault.code == "429":
        return Verdict(word, asked_ms or LIMIT_DEFAULT_MS, Scope.KEY)
    if fault.status == 429:
        return Verdict(word, asked_ms or LIMIT_DEFAULT_MS)  # the edge: it has not looked at the key
    return Verdict(word, silence_ms=REFUSED_AT_THE_DOOR_MS if fault.status == 403 and not fault.code else 0)


def fault_in(answer: Answer) -> Fault | None:
    """The fault an answer carries, or None when it is a success whose body still has to be read.

    Another code than "00000" is a fault under any HTTP status; without a code, a status of 200 leaves
    the verdict to who reads the body.
    """
    if answer.status == 200 and answer.body.startswith(_GOOD_START):
        return None
    body = _error_body(answer.body)
    if body is None:
        return None if answer.status == 200 else Fault(answer.status, "", _first_words(answer.body))
    code = str(body.code)
    if code == SUCCESS and answer.status == 200:
        return None
    return Fault(answer.status, "" if code == SUCCESS else code[:20], (body.msg or "")[:200])


def word_for(fault: Fault, *, retry_after_ms: int) -> Word:
    """The word that a fault means, for a request that changes something as for a read."""
    if not fault.code or fault.status == BANNED:
        return _word_of_status(fault, retry_after_ms)
    if fault.code == CONDITION:
        return _rejected(fault, _condition(fault.message))
    if fault.code in REJECTED:
        return _rejected(fault, REJECTED[fault.code])
    if fault.code in UNAVAILABLE or fault.status == 429:
        wait_ms = retry_after_ms or UNAVAILABLE.get(fault.code, 0)
        return Unavailable(cause=fault.words, retry_after_ms=wait_ms)
    return Unknown(cause=fault.words, mapped=fault.code in UNKNOWN)


def _condition(message: str) -> RejectReason:
    """Both readings of 40812, told apart by what it names."""
    text = message.lower().replace(" ", "").replace("_", "")
    return next((reason for word, reason in CONDITIONS.items() if word in text), _R.OTHER)


def _rejected(fault: Fault, reason: RejectReason) -> Rejected:
    explained = EXPLAINED.get(fault.code, "")
    message = f"{fault.message} ({explained})" if explained else fault.message
    return Rejected(reason=reason, code=fault.code, message=message)


def _word_of_status(fault: Fault, retry_after_ms: int) -> Word:
    """No code of the exchange's, or a ban whatever its code: a machine before it answered."""
    if fault.status == BANNED:
        return Unavailable(
            cause=f"banned: {fault.words}", retry_after_ms=retry_after_ms or BAN_DEFAULT_MS, banned=True
        )
    if fault.status == 429:
        return Unavailable(cause=fault.words, retry_after_ms=retry_after_ms)
    return Unknown(cause=fault.words, mapped=fault.status >= 400)


def retry_after(answer: Answer) -> int:
    """How long the exchange asks us to wait (ms); 0 = it did not say."""
    header = answer.headers.get("retry-after", "").strip()
    if header.isascii() and header.isdigit() and len(header) <= 9:
        return min(int(header) * 1000, WAIT_MAX_MS)
    return 0


def _error_body(body: bytes) -> _ErrorBody | None:
    try:
        return _ERROR.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _first_words(body: bytes) -> str:
    """The start of an answer that is no JSON error, as one safe line."""
    text = body[:120].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
