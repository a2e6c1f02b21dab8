"""What a person sees: every promised number is on the screen, and nothing is said by colour alone."""

import pytest
from rich.console import Console

from holdfast.cli.demo import screen
from holdfast.console.models import Status
from holdfast.engine.view import AlertView, DecisionView, Protection
from tests.console.views import NOW, position, view

HEADING = screen.Heading(
    market_ms=NOW,
    speed_asked=20.0,
    speed_now=14.0,
    speed_effective=18.25,
    minutes_left=12.5,
    phase="trading",
    equity_at_start=10_000.0,
)


def status(**changes):
    return Status.of(view(**changes), NOW).model_dump(mode="json")


def drawn(renderable, width=140):
    console = Console(width=width, height=40, force_terminal=False, record=True)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_the_screen_shows_clock_money_positions_and_reasons():
    decision = DecisionView(at_ms=NOW, kind="entry", symbol="BTC/USDT:USDT", text="broke 94000, 5 bars")
    text = drawn(screen.screen(status(decisions=(decision,)), HEADING, 140, 40))
    for told in (
        "DEMO",
        "2025-05-06 07:34:05 UTC",
        "14.0× now, 18.2× effective, 20× asked",
        "12.5 market minutes to go",
        "binance at http://127.0.0.1:9100",
        "equity 10,005.38 USDT",
        "day PnL +5.38",
        "unprotected 0",
        "BTC/USDT",
        "94,123.10",
        "94,500.55",
        "+5.28",
        "+2.00",
        "92,000.00",
        "verified 07:33:05",
        "broke 94000, 5 bars",
        "Ctrl-C ends it flat.",
    ):
        assert told in text


@pytest.mark.parametrize(
    ("protection", "word"), [(Protection.MISSING, "MISSING"), (Protection.PENDING, "pending")]
)
def test_protection_is_told_in_words(protection, word):
    held = position(protection=protection, protected_since_ms=None, stop_price=None)
    assert word in drawn(screen.screen(status(positions=(held,)), HEADING, 140, 40))


def test_blocks_and_alerts_are_on_the_screen():
    alert = AlertView(id="x", severity="critical", text="stop endpoint down", since_ms=NOW)
    text = drawn(
        screen.screen(status(blocks=("mark_stale",), alerts=(alert,), synced=False), HEADING, 140, 40)
    )
    for told in ("blocked: mark_stale", "not synced", "! critical: stop endpoint down"):
        assert told in text


def test_several_bots_are_told_one_by_one_with_what_they_decided_in_order_of_time():
    early = DecisionView(at_ms=NOW - 9_000, kind="entry", symbol="BTC/USDT:USDT", text="the first")
    late = DecisionView(at_ms=NOW, kind="refused", symbol="ETH/USDT:USDT", text="the second")
    told = {"binance": status(decisions=(early,)), "bingx": status(decisions=(late,)), "bitget": None}
    text = drawn(screen.screens(told, HEADING, 140, 40))
    for words in (
        "binance at http",
        "bingx at http",
        "bitget: waiting for the bot",
        "unprotected 0",
        "94,123.10",
    ):
        assert words in text
    assert text.index("refused: the second") < text.index("entry: the first")
    lines = screen.progress_lines(told, HEADING)
    assert [line.split()[0] for line in lines] == ["binance", "bingx", "bitget"]


def test_one_bot_among_no_others_is_drawn_as_ever():
    told = {"binance": status()}
    assert drawn(screen.screens(told, HEADING, 140, 40)) == drawn(screen.screen(status(), HEADING, 140, 40))
    assert screen.progress_lines(told, HEADING) == [screen.progress_line(status(), HEADING)]


def test_before_the_bot_answers_the_screen_says_that_it_waits():
    assert "waiting for the bot" in drawn(screen.screen(None, HEADING, 140, 40))
    assert "waiting for the bot" in screen.progress_line(None, HEADING)


@pytest.mark.parametrize("height", [10, 24, 60])
def test_a_narrow_terminal_shows_every_number_too(height):
    decisions = tuple(DecisionView(at_ms=NOW, kind="stop", symbol="X", text="y" * 300) for _ in range(50))
    many = status(positions=tuple(position() for _ in range(20)), decisions=decisions)
    text = drawn(screen.screen(many, HEADING, 80, height), width=80)
    for told in (
        "BTC/USDT",
        "long",
        "0.014",
        "94,123.10",
        "94,500.55",
        "+5.28",
        "+2.00",
        "92,000.00",
        "ok 07:33:05",
    ):
        assert told in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_progress_line_tells_the_same_in_one_line():
    line = screen.progress_line(status(), HEADING)
    assert "\n" not in line
    for told in ("18.2×", "equity 10,005.38", "positions 1", "unprotected 0"):
        assert told in line


def test_the_summary_says_no_in_words():
    text = drawn(
        screen.summary_table(
            {"flat": False, "books_match_exchange": True, "error_texts": ["a", "b"]}, "how it ended"
        )
    )
    assert "NO" in text
    assert "yes" in text
    assert "b" in text
