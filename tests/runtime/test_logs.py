"""Lines for people: found again by filter, and never with a secret in them."""

import errno
import json
import logging
import os

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from holdfast.runtime.disk import SystemDisk
from holdfast.runtime.logs import HIDDEN, LineFilter, Logs, Redactor, plain

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"


class FixedClock:
    def now_ms(self):
        return 1_746_516_845_678

    def monotonic_ms(self):
        return 0


@pytest.fixture
def logs(tmp_path):
    made = Logs(tmp_path / "logs" / "bot.log", FixedClock(), secrets=[SECRET])
    yield made
    made.close()
    structlog.reset_defaults()


def written(logs):
    return [json.loads(line) for line in logs.path.read_text().splitlines()]


def test_a_line_is_json_with_time_level_event_and_fields(logs):
    logs.logger.info("order", symbol="BTC/USDT:USDT", account="main")
    assert written(logs) == [
        {
            "ts": "2025-05-06T07:34:05.678Z",
            "level": "info",
            "event": "order",
            "symbol": "BTC/USDT:USDT",
            "account": "main",
        }
    ]
    assert logs.recent() == written(logs)


def test_plain_lines_begin_as_operators_grep_them(logs):
    logs.logger.info("order", side="BUY")
    logs.logger.error("submit", code="-2015")
    order, error = map(plain, logs.recent())
    assert order.startswith('LOG {"event": "order", "side": "BUY"}')
    assert error.startswith('ERR {"event": "submit", "tag": "auth"')


@pytest.mark.parametrize(
    ("fields", "tag"),
    [({"code": -1003}, "rate_limit"), ({"status": 429}, "rate_limit"), ({"code": -1022}, "auth")],
)
def test_authentication_and_rate_limit_lines_are_tagged(logs, fields, tag):
    logs.logger.warning("request.failed", **fields)
    assert logs.recent()[0]["tag"] == tag


@pytest.mark.parametrize(
    "fields",
    [
        {"api_key": KEY},
        {"headers": {"X-MBX-APIKEY": KEY}},
        {"request": [{"listenKey": KEY}]},
        {"url": f"https://host/fapi/v1/order?timestamp=1&signature={KEY}"},
        {"text": f"api_key='{KEY}'"},
        {"text": f"Authorization: Bearer {KEY}"},
        {"url": f"wss://host/private/ws/{KEY}"},
        {"text": f"something with {SECRET} inside"},
        {"nested": {"deep": ({"note": SECRET},)}},
        {"error": ValueError(f"secret={KEY}")},
    ],
)
def test_no_secret_reaches_the_file_or_the_memory(logs, fields):
    logs.logger.info("request", **fields)
    for text in (logs.path.read_text(), json.dumps(logs.recent())):
        assert KEY not in text
        assert SECRET not in text
        assert HIDDEN in text


def test_a_traceback_is_redacted_too(logs):
    try:
        raise ValueError(f"signing with {SECRET}")
    except ValueError:
        logs.logger.exception("failed")
    assert "ValueError" in logs.path.read_text()
    assert SECRET not in logs.path.read_text()


@given(before=st.text(max_size=30), after=st.text(max_size=30))
def test_a_known_secret_never_survives_wherever_it_stands(before, after):
    assert SECRET not in Redactor([SECRET]).clean(before + SECRET + after)


def test_numbers_and_plain_words_pass_the_redactor_unchanged():
    value = {"price": 1.5, "n": 3, "ok": True, "none": None, "symbol": "BTC/USDT:USDT", "secrets_seen": "no"}
    assert Redactor([SECRET]).clean(value) == value


def test_recent_lines_are_filtered_and_limited(logs):
    for number in range(5):
        logs.logger.info("tick", account="a", n=number)
    logs.logger.warning("alert", account="b", correlation_id="liq_1")
    assert [line["n"] for line in logs.recent(LineFilter(event="tick"), limit=2)] == [3, 4]
    assert [line["event"] for line in logs.recent(LineFilter(level="warning"))] == ["alert"]
    assert [line["event"] for line in logs.recent(LineFilter(account="b"))] == ["alert"]
    assert [line["event"] for line in logs.recent(LineFilter(correlation_id="liq_1"))] == ["alert"]


def test_installed_logs_take_structlog_and_library_lines(logs):
    before = logging.getLogger().handlers
    logs.install()
    with structlog.contextvars.bound_contextvars(account="main"):
        structlog.get_logger().info("position.opened")
    logging.getLogger("aiohttp").warning("socket gone, token=%s", SECRET)
    logs.close()
    assert logging.getLogger().handlers == before
    opened, library = logs.recent()
    assert opened["account"] == "main"
    assert library["logger"] == "aiohttp"
    assert SECRET not in library["text"]


def test_a_file_that_takes_nothing_costs_only_its_lines(logs):
    logs._file.close()
    logs._file.stream = open("/dev/full", "w")  # noqa: SIM115
    logs.logger.info("tick")
    assert logs.dropped == 1
    assert logs.recent()[0]["event"] == "tick"
    logs._file.stream = None


class FailingDisk(SystemDisk):
    """As a read-only one, while it fails."""

    failing = True

    def append(self, path):
        if self.failing:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return super().append(path)


def test_a_folder_that_cannot_be_written_is_told_and_keeps_nobody_from_starting(tmp_path):
    disk = FailingDisk()
    logs = Logs(tmp_path / "bot.log", FixedClock(), disk=disk)
    assert logs.problem() == ""
    logs.logger.info("tick")
    assert "Read-only file system" in logs.problem()
    assert (logs.dropped, logs.recent()[0]["event"]) == (1, "tick")
    disk.failing = False
    assert logs.problem() == "", "seen to work again without a line"
    logs.logger.info("tock")
    assert [line["event"] for line in written(logs)] == ["tock"]
    logs.close()


def test_a_log_on_a_full_disk_can_be_closed(tmp_path):
    logs = Logs(tmp_path / "bot.log", FixedClock())
    logs._file.stream = open("/dev/full", "w")  # noqa: SIM115
    logs.logger.info("tick")
    logs.close()
    assert logs.dropped == 1
