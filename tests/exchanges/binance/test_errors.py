"""Binance's codes, statuses and texts in three words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.intents import Rejected, RejectReason, Unavailable, Unknown
from holdfast.exchanges.binance.errors import (
    BAN_DEFAULT_MS,
    LIMIT_DEFAULT_MS,
    REJECTED,
    UNAVAILABLE,
    UNKNOWN,
    WAIT_MAX_MS,
    Word,
    fault_in,
    retry_after,
    word_for,
)
from holdfast.exchanges.transport import Answer
from tests.exchanges.support import NOW_MS, body

R = RejectReason


def word(status: int, content: bytes, headers: dict[str, str] | None = None) -> Word:
    answer = Answer(status, headers or {}, content)
    fault = fault_in(answer)
    assert fault is not None
    return word_for(fault, retry_after_ms=retry_after(answer, NOW_MS))


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        (-1021, 400, R.CLOCK),
        (-5028, 400, R.CLOCK),
        (-1002, 401, R.PERMISSION),
        (-1022, 400, R.PERMISSION),
        (-2014, 401, R.PERMISSION),
        (-2015, 401, R.PERMISSION),
        (-4087, 400, R.PERMISSION),
        (-1121, 400, R.SYMBOL),
        (-4141, 400, R.SYMBOL),
        (-2011, 400, R.NOT_FOUND),
        (-2013, 400, R.NOT_FOUND),
        (-2018, 400, R.MARGIN),
        (-2019, 400, R.MARGIN),
        (-2027, 400, R.MARGIN),
        (-2021, 400, R.WOULD_TRIGGER),
        (-2022, 400, R.NOTHING_TO_REDUCE),
        (-4116, 400, R.DUPLICATE_ID),
        (-4118, 400, R.REDUCE_BLOCKED),
        (-4120, 400, R.WRONG_ENDPOINT),
        (-4130, 400, R.STOP_EXISTS),
        (-4131, 400, R.NO_LIQUIDITY),
        (-4164, 400, R.NOTIONAL_TOO_SMALL),
        (-1111, 400, R.FILTER),
        (-4003, 400, R.FILTER),
        (-4014, 400, R.FILTER),
        (-4023, 400, R.FILTER),
        (-4061, 400, R.POSITION_MODE),
        (-4046, 400, R.NO_CHANGE),
        (-4059, 400, R.NO_CHANGE),
        (-4171, 400, R.NO_CHANGE),
        (-5027, 400, R.NO_CHANGE),
        (-1102, 400, R.OTHER),
        (-5022, 400, R.OTHER),
    ],
)
def test_a_listed_code_is_a_definite_refusal(code: int, status: int, reason: RejectReason) -> None:
    """Codes as the exchange sheet lists them."""
    assert word(status, body({"code": code, "msg": "words"})) == Rejected(
        reason=reason, code=str(code), message="words"
    )


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, b'{"code":-1000,"msg":"An unknown error occurred while processing the request."}'),
        (503, b'{"code":-1000,"msg":"Unknown error, please check your request or try again later."}'),
        (503, b'{"msg":"Unknown error, please check your request or try again later."}'),
        (503, b"Unknown error, please check your request or try again later."),
        (503, b'{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}'),
        (400, b'{"code":-1006,"msg":"An unexpected response was received. Execution status unknown."}'),
        (408, b'{"code":-1007,"msg":"Timeout waiting for response from backend server."}'),
        (503, b""),
        (502, b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
        (503, b"<html><body><h1>503 Service Unavailable</h1></body></html>"),
        (504, b""),
    ],
)
def test_known_doubt_is_unknown_and_no_gap(status: int, content: bytes) -> None:
    """The request may have had its effect; our tables know this answer."""
    found = word(status, content)
    assert isinstance(found, Unknown)
    assert found.mapped


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, b'{"code":-9999,"msg":"Something new."}'),
        (200, b'{"code":-9999,"msg":"Something new."}'),
        (302, b""),
        (202, b'{"orderId":1}'),
        (400, b"not json"),
        (401, b"{}"),
    ],
)
def test_what_no_table_lists_is_an_unknown_gap(status: int, content: bytes) -> None:
    """Not listed means maybe, and is reported."""
    found = word(status, content)
    assert isinstance(found, Unknown)
    assert not found.mapped


@pytest.mark.parametrize(
    "content",
    [
        b'{"code":-1008,"msg":"Request throttled by system-level protection."}',
        b'{"msg":"Service Unavailable."}',
        b'{"code":0,"msg":"Service Unavailable."}',
        b"Service Unavailable.",
    ],
)
def test_a_503_that_says_not_executed_is_unavailable(content: bytes) -> None:
    """Only these texts of the 503 family are definite."""
    assert isinstance(word(503, content), Unavailable)


def test_a_negative_code_under_http_200_is_a_fault() -> None:
    """ccxt's list of such answers: some refusals come with status 200."""
    found = word(200, b'{"code":-2022,"msg":"ReduceOnly Order is rejected."}')
    assert isinstance(found, Rejected)
    assert found.reason is R.NOTHING_TO_REDUCE


@pytest.mark.parametrize(
    "content", [b'{"code":200,"msg":"success"}', b'{"algoId":1,"code":"200","msg":"success"}']
)
def test_a_success_code_is_no_fault(content: bytes) -> None:
    """Settings answer 200, cancelled stops answer "200" as text."""
    assert fault_in(Answer(200, {}, content)) is None


def test_retry_after_comes_from_header_or_ban_text() -> None:
    """Seconds in the header win; a ban may say its end only in words; silence gets the default."""
    limited = word(429, b'{"code":-1003,"msg":"Too many requests"}', {"retry-after": "7"})
    assert limited == Unavailable(cause="-1003 Too many requests", retry_after_ms=7000)
    text = f"Way too many requests; IP(1.2.3.4) banned until {NOW_MS + 90_000}. Please use the websocket."
    banned = word(418, body({"code": -1003, "msg": text}))
    assert isinstance(banned, Unavailable)
    assert (banned.retry_after_ms, banned.banned) == (90_000, True)
    silent = word(429, b"")
    assert isinstance(silent, Unavailable)
    assert silent.retry_after_ms == LIMIT_DEFAULT_MS


def test_the_firewalls_html_counts_as_a_ban() -> None:
    """403 comes from the wall before the exchange: nothing was executed, nothing more may be sent."""
    found = word(403, b"<html>Forbidden</html>")
    assert isinstance(found, Unavailable)
    assert (found.banned, found.retry_after_ms) == (True, BAN_DEFAULT_MS)


@pytest.mark.parametrize(
    "header", ["-5", "1e9", "x", "９", "", "99999999999", "Wed, 21 Oct 2026 07:28:00 GMT"]
)
def test_a_nonsense_retry_after_is_ignored(header: str) -> None:
    """Then the default holds."""
    found = word(429, b"", {"retry-after": header})
    assert isinstance(found, Unavailable)
    assert found.retry_after_ms == LIMIT_DEFAULT_MS


def test_no_header_makes_us_wait_forever() -> None:
    """The longest ban there is bounds every wait."""
    found = word(429, b"", {"retry-after": "999999999"})
    assert isinstance(found, Unavailable)
    assert found.retry_after_ms == WAIT_MAX_MS


def test_no_code_stands_in_two_tables() -> None:
    """A code has one meaning."""
    assert not set(REJECTED) & (UNKNOWN | UNAVAILABLE)
    assert not UNKNOWN & UNAVAILABLE


@given(
    status=st.integers(100, 599),
    code=st.none() | st.integers(-9999, 400),
    message=st.text(max_size=80),
    raw=st.none() | st.binary(max_size=200),
)
def test_an_answer_is_definite_only_when_a_table_says_so(
    status: int, code: int | None, message: str, raw: bytes | None
) -> None:
    """Any answer at all becomes a word; Rejected and Unavailable need a listed code, status or text."""
    content = (
        raw if raw is not None else body({"msg": message} if code is None else {"code": code, "msg": message})
    )
    answer = Answer(status, {}, content)
    fault = fault_in(answer)
    if fault is None:
        assert status == 200
        return
    found = word_for(fault, retry_after_ms=retry_after(answer, NOW_MS))
    if isinstance(found, Rejected):
        assert fault.code in REJECTED
    if isinstance(found, Unavailable):
        text = fault.message.strip().lower() == "service unavailable."
        assert status in (403, 418, 429) or fault.code in UNAVAILABLE or (status == 503 and text)
