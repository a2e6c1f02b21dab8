"""Bitget's codes and statuses in three words."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.intents import Rejected, RejectReason, Unavailable, Unknown
from holdfast.exchanges.bitget import errors
from holdfast.exchanges.bitget.errors import REJECTED, UNAVAILABLE, UNKNOWN, fault_in, judge
from holdfast.exchanges.caller import Verdict, Word
from holdfast.exchanges.limits import Scope
from holdfast.exchanges.transport import Answer
from tests.exchanges.bitget.samples import RECORDED, answered

R = RejectReason
SHEET = RECORDED.parents[1] / "bitget.md"


def said(code: object, message: str = "", status: int = 400) -> Verdict:
    content = json.dumps({"code": code, "msg": message, "requestTime": 1, "data": None}).encode()
    verdict = judge(Answer(status, {}, content), 0)
    assert verdict is not None
    return verdict


def word(code: object, message: str = "", status: int = 400) -> Word:
    return said(code, message, status).word


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("40008", R.CLOCK),
        ("40009", R.PERMISSION),
        ("40036", R.PERMISSION),
        ("40774", R.POSITION_MODE),
        ("22002", R.NOTHING_TO_REDUCE),
        ("43023", R.NOTHING_TO_REDUCE),
        ("43025", R.NOT_FOUND),
        ("40109", R.NOT_FOUND),
        ("40786", R.DUPLICATE_ID),
        ("43118", R.DUPLICATE_ID),
        ("43031", R.STOP_EXISTS),
        ("40917", R.WOULD_TRIGGER),
        ("45122", R.WOULD_TRIGGER),
        ("40832", R.WOULD_TRIGGER),
        ("40762", R.MARGIN),
        ("45110", R.NOTIONAL_TOO_SMALL),
        ("40808", R.FILTER),
        ("45115", R.FILTER),
        ("40309", R.SYMBOL),
        ("45054", R.NO_CHANGE),
        ("40757", R.REDUCE_BLOCKED),
    ],
)
def test_definite_refusals_have_their_reason(code: str, reason: RejectReason) -> None:
    """Under HTTP 200, too, and with a code that is a number."""
    for status in (400, 200):
        for written in (code, int(code)):
            refused = word(written, "no", status)
            assert isinstance(refused, Rejected)
            assert (refused.reason, refused.code) == (reason, code)


def test_400172_is_a_bug_and_says_so() -> None:
    """Never to be sent again as it was (R2.8)."""
    for text in ("The order type is illegal", "planType Illegal type", "Parameter verification failed"):
        refused = word("400172", text)
        assert isinstance(refused, Rejected)
        assert refused.reason is R.WRONG_ENDPOINT
        assert text in refused.message
        assert errors.EXPLAINED["400172"] in refused.message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The condition marginCoin is not met", R.OTHER),
        ("The condition position is not met", R.NOTHING_TO_REDUCE),
        ("The condition planType is not met", R.WRONG_ENDPOINT),
        ("The condition plan_type is not met", R.WRONG_ENDPOINT),
        ("", R.OTHER),
    ],
)
def test_40812_is_read_both_ways(text: str, reason: RejectReason) -> None:
    """The documents' parameter, and the field's missing position or wrong plan type."""
    refused = word("40812", text)
    assert isinstance(refused, Rejected)
    assert refused.reason is reason


@pytest.mark.parametrize("code", sorted(UNKNOWN))
def test_time_outs_and_errors_of_the_service_are_unknown(code: str) -> None:
    """40010 is no authentication error, whatever ccxt calls it."""
    unknown = word(code, "Request timed out")
    assert isinstance(unknown, Unknown)
    assert unknown.mapped


def test_a_code_nobody_listed_is_unknown_and_a_gap() -> None:
    """It may have had an effect."""
    unknown = word("49999", "new")
    assert isinstance(unknown, Unknown)
    assert not unknown.mapped


def test_rate_limits_hold_back_whom_they_may_concern() -> None:
    """For as long as it says, or for the next seconds. The edge, which has no codes, does not know keys."""
    for verdict in (said("429", "Too Many Requests", 429), said("429", "Too Many Requests", 200)):
        assert isinstance(verdict.word, Unavailable)
        assert (verdict.limits_ms, verdict.scope) == (errors.LIMIT_DEFAULT_MS, Scope.KEY)
    told = judge(Answer(429, {"retry-after": "7"}, b"Too Many Requests"), 0)
    assert told is not None
    assert isinstance(told.word, Unavailable)
    assert (told.word.retry_after_ms, told.limits_ms) == (7_000, 7_000)
    assert told.scope is Scope.ADDRESS


def test_maintenance_and_a_cancel_too_soon_may_be_tried_later() -> None:
    """Refused before any effect."""
    assert word("40200") == Unavailable(cause="40200", retry_after_ms=60_000)
    assert word("45129") == Unavailable(cause="45129", retry_after_ms=1_000)
    assert not said("45129").limits_ms


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 502, 503, 504])
def test_answers_without_a_code_are_unknown(status: int) -> None:
    """A machine before the exchange said it; a 403 keeps the address quiet for a while."""
    verdict = judge(Answer(status, {}, b"<html>no</html>"), 0)
    assert verdict is not None
    assert verdict.word == Unknown(cause=f"HTTP {status} <html>no</html>")
    assert bool(verdict.silence_ms) is (status == 403)


def test_418_is_a_ban() -> None:
    """Nothing at all is sent until it ends."""
    verdict = judge(Answer(418, {}, b""), 0)
    assert verdict is not None
    assert isinstance(verdict.word, Unavailable)
    assert (verdict.word.banned, verdict.word.retry_after_ms) == (True, errors.BAN_DEFAULT_MS)


def test_418_is_a_ban_whatever_code_it_comes_with() -> None:
    body = b'{"code":"429","msg":"Too Many Requests","requestTime":1,"data":null}'
    verdict = judge(Answer(418, {"retry-after": "120"}, body), 0)
    assert verdict is not None
    assert isinstance(verdict.word, Unavailable)
    assert verdict.word.banned
    assert verdict.word.retry_after_ms == 120_000


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b'{"code":"00000","data":', b"[]", b"null", answered({})]
)
def test_what_200_carries_without_a_fault_is_left_to_the_reader(content: bytes) -> None:
    """Who finds nothing readable in it makes it Unknown."""
    assert judge(Answer(200, {}, content), 0) is None


def test_a_success_under_another_status_is_unknown() -> None:
    """The two contradict each other."""
    verdict = judge(Answer(500, {}, answered({})), 0)
    assert verdict is not None
    assert isinstance(verdict.word, Unknown)


def test_no_code_stands_twice() -> None:
    """One code, one word."""
    assert (
        not set(REJECTED) & set(UNKNOWN) | set(REJECTED) & set(UNAVAILABLE) | set(UNKNOWN) & set(UNAVAILABLE)
    )


def test_every_code_of_the_sheet_is_mapped() -> None:
    """And every code of the recorded errors; those of sockets (30xxx) aside."""
    if not SHEET.exists():
        pytest.skip("the exchange sheet is not on this machine")
    rows = re.findall(r"^\| ([^|]*\d{5}[^|]*|429[^|]*) \|", SHEET.read_text(), re.MULTILINE)
    codes = {code for row in rows for code in re.findall(r"\b\d{5,6}\b", row)}
    codes |= {e["httpResponse"]["code"] for e in json.loads(RECORDED.read_text())["errors"]}
    known = {*REJECTED, *UNKNOWN, *UNAVAILABLE, errors.CONDITION}
    assert len(codes) > 80
    assert codes - {errors.SUCCESS} <= known


@given(
    status=st.sampled_from([200, 400, 403, 418, 429, 500]),
    content=st.binary(max_size=60)
    | st.text(max_size=30).map(lambda t: json.dumps({"code": t, "msg": t}).encode()),
    header=st.text(max_size=12),
)
def test_any_answer_gets_a_verdict(status: int, content: bytes, header: str) -> None:
    """No exception, and no waiting for ever."""
    verdict = judge(Answer(status, {"retry-after": header}, content), 0)
    if status != 200:
        assert verdict is not None
    if verdict is not None and isinstance(verdict.word, Unavailable):
        assert verdict.word.retry_after_ms <= errors.WAIT_MAX_MS


def test_a_fault_is_one_safe_line() -> None:
    """Whatever a page contains."""
    fault = fault_in(Answer(502, {}, b"a\nb\x00\xffc" * 100))
    assert fault is not None
    assert fault.words.isprintable()
    assert len(fault.words) < 200
