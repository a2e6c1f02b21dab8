"""Every code of the exchange in one of three words, and no answer without one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.intents import Rejected, RejectReason, Unavailable, Unknown
from holdfast.exchanges.bingx.errors import (
    BAN_DEFAULT_MS,
    LIMITED_MS,
    REJECTED,
    UNAVAILABLE,
    UNKNOWN,
    WAIT_MAX_MS,
    judge,
)
from holdfast.exchanges.caller import Verdict
from holdfast.exchanges.limits import Scope
from holdfast.exchanges.transport import Answer
from tests.exchanges.bingx.support import RECORDED
from tests.exchanges.support import NOW_MS, body

SHEET = (
    {80001, 80012, 80013, 80014, 80016, 80017, 80018, 80019, 80020}
    | {100001, 100004, 100202, 100400, 100404, 100410, 100412, 100413, 100414, 100419, 100421, 100500}
    | {101201, 101202, 101204, 101205, 101206, 101209, 101211, 101212, 101214, 101215, 101222, 101253}
    | {101290, 101400, 101414, 101415, 101419, 101429, 101481, 101485, 101500, 104103}
    | {109201, 109400, 109403, 109414, 109415, 109417, 109420, 109421, 109425, 109429, 109500}
    | {110203, 110206, 110280, 110287, 110402, 110406, 110407, 110411, 110412, 110413, 110414}
    | {110422, 110424, 110425, 110500, 112414}
)
"""Every code that the exchange's sheet names (§2, §6)."""


def verdict(code: int, msg: str = "x", status: int = 200) -> Verdict:
    found = judge(Answer(status, {}, body({"code": code, "msg": msg, "data": {}})), NOW_MS)
    assert found is not None
    return found


def reason(code: int, msg: str = "x") -> RejectReason:
    word = verdict(code, msg).word
    assert isinstance(word, Rejected), word
    assert word.code == str(code)
    return word.reason


def test_every_code_of_the_sheet_is_in_one_table() -> None:
    """And no table knows a code that the sheet does not."""
    assert set(REJECTED) | UNKNOWN | UNAVAILABLE == SHEET
    assert len(REJECTED) + len(UNKNOWN) + len(UNAVAILABLE) == len(SHEET)


@pytest.mark.parametrize("error", RECORDED["errors"], ids=lambda error: str(error["body"]["code"]))
def test_recorded_errors_are_known(error: dict[str, Any]) -> None:
    """None is a gap, and a refusal is never taken for a success because it came as HTTP 200."""
    found = judge(Answer(error["status"], {}, body(error["body"])), NOW_MS)
    assert found is not None
    assert not isinstance(found.word, Unknown) or found.word.mapped


@pytest.mark.parametrize(
    ("code", "msg", "meant"),
    [
        (100421, "Null timestamp or timestamp mismatch", RejectReason.CLOCK),
        (109400, "Invalid parameters, err:timestamp", RejectReason.CLOCK),
        (
            109400,
            "In the Hedge mode, the 'PositionSide' field can only be set to LONG or SHORT.",
            RejectReason.POSITION_MODE,
        ),
        (109400, "In the Hedge mode, the 'ReduceOnly' field can not be filled.", RejectReason.POSITION_MODE),
        (109400, "Invalid parameters, err:quantity: too many decimals.", RejectReason.FILTER),
        (109400, "something else", RejectReason.OTHER),
        (101400, "clientOrderID unique check failed", RejectReason.DUPLICATE_ID),
        (101400, "The minimum order amount is 2 USDT", RejectReason.NOTIONAL_TOO_SMALL),
        (80001, "The minimum order amount is 2 USDT", RejectReason.NOTIONAL_TOO_SMALL),
        (101400, "something else", RejectReason.OTHER),
        (101481, "clientOrderID cannot be repeated", RejectReason.DUPLICATE_ID),
        (109421, "order not exist", RejectReason.NOT_FOUND),
        (109420, "position not exist", RejectReason.NOTHING_TO_REDUCE),
        (101205, "No position to close", RejectReason.NOTHING_TO_REDUCE),
        (110424, "The order size must be less than the available amount of 0", RejectReason.REDUCE_BLOCKED),
        (110406, "x", RejectReason.STOP_EXISTS),
        (110411, "x", RejectReason.WOULD_TRIGGER),
        (101204, "Insufficient margin", RejectReason.MARGIN),
        (80012, "Insufficient margin", RejectReason.MARGIN),
        (100413, "Incorrect apiKey", RejectReason.PERMISSION),
        (109425, "symbol not exist", RejectReason.SYMBOL),
    ],
)
def test_a_refusal_has_the_meaning_of_its_code_and_words(code: int, msg: str, meant: RejectReason) -> None:
    """Some codes are umbrellas: there the exchange's own words decide."""
    assert reason(code, msg) is meant


@pytest.mark.parametrize("code", sorted(UNKNOWN))
def test_what_the_exchange_does_not_know_is_unknown(code: int) -> None:
    """An order answered so may exist."""
    word = verdict(code, "service busy").word
    assert isinstance(word, Unknown)
    assert word.mapped


def test_a_rate_limit_holds_back_whom_it_may_concern() -> None:
    """Refused before any effect; there is no Retry-After. The edge does not know keys."""
    for found, scope in (
        (verdict(100410, "rate limited"), Scope.KEY),
        (verdict(0, "", status=429), Scope.ADDRESS),
    ):
        assert isinstance(found.word, Unavailable)
        assert (found.word.retry_after_ms, found.limits_ms) == (LIMITED_MS, LIMITED_MS)
        assert found.scope is scope
    told = verdict(100410, f"rate limited, can retry after time: {NOW_MS + 4_000}")
    assert told.limits_ms == 4_000


def test_a_pause_lasts_until_the_time_the_exchange_names() -> None:
    """Its clock, not ours; whatever it names, no longer than we wait for anything."""
    found = verdict(109429, f"too many, can retry after time: {NOW_MS + 30_000}")
    assert isinstance(found.word, Unavailable)
    assert (found.word.retry_after_ms, found.limits_ms) == (30_000, 30_000)
    endless = verdict(109429, "can retry after time: 9999999999999").word
    assert isinstance(endless, Unavailable)
    assert endless.retry_after_ms == WAIT_MAX_MS
    untold = verdict(109429, "too many").word
    assert isinstance(untold, Unavailable)
    assert untold.retry_after_ms == 60_000


@pytest.mark.parametrize("status", [403, 418])
def test_the_firewall_bans_the_address(status: int) -> None:
    """Nothing is sent from it for about five minutes."""
    found = judge(Answer(status, {}, b"<html>blocked</html>"), NOW_MS)
    assert found is not None
    assert isinstance(found.word, Unavailable)
    assert (found.word.banned, found.word.retry_after_ms) == (True, BAN_DEFAULT_MS)


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"code":0,"msg":"","data":{}}', b'{"listenKey":"k"}'])
def test_a_200_without_a_code_has_no_fault_but_is_still_to_be_read(content: bytes) -> None:
    """An empty one proves nothing: reading it says so."""
    assert judge(Answer(200, {}, content), NOW_MS) is None


@pytest.mark.parametrize(
    ("status", "mapped"), [(504, True), (502, True), (500, True), (404, True), (302, False)]
)
def test_an_error_without_a_code_is_unknown(status: int, mapped: bool) -> None:
    """A 504 may come after the order was executed."""
    found = judge(Answer(status, {}, b"<html>"), NOW_MS)
    assert found is not None
    assert isinstance(found.word, Unknown)
    assert found.word.mapped is mapped


@given(
    status=st.integers(100, 599),
    code=st.integers(-(10**6), 10**6) | st.sampled_from(sorted(SHEET)),
    msg=st.text(max_size=40) | st.just("can retry after time: 1795000000000"),
)
def test_an_unlisted_code_is_a_gap_never_a_refusal(status: int, code: int, msg: str) -> None:
    """Only what is known to have had no effect may be called so."""
    found = judge(Answer(status, {}, body({"code": code, "msg": msg})), NOW_MS)
    if found is None:
        assert (status, code) == (200, 0)
        return
    if isinstance(found.word, Rejected):
        assert code in REJECTED or code == 80012
    if code not in SHEET and code and status not in (403, 418, 429):
        assert isinstance(found.word, Unknown)
        assert not found.word.mapped


@given(status=st.integers(100, 599), content=st.binary(max_size=60))
def test_no_answer_breaks_the_judge(status: int, content: bytes) -> None:
    """Whatever it is made of."""
    found = judge(Answer(status, {}, content), NOW_MS)
    assert found is not None or status == 200
