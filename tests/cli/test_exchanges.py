"""`holdfast exchanges` and `holdfast errors`: complete, true to what the bot decides by, and documented."""

from __future__ import annotations

import json

import pytest

from holdfast.cli import pages
from holdfast.cli.exits import Exit
from holdfast.domain.account import PositionMode
from holdfast.exchanges.binance import errors as binance
from holdfast.exchanges.bingx import errors as bingx
from holdfast.exchanges.bitget import errors as bitget
from holdfast.exchanges.capabilities import CAPABILITIES
from holdfast.exchanges.explained import codes_of
from holdfast.exchanges.factory import REAL, TEST
from holdfast.exchanges.features import COLUMNS, UNVERIFIED, features

from .run import holdfast

KNOWN = {
    "binance": {*binance.REJECTED, *binance.UNKNOWN, *binance.UNAVAILABLE},
    "bingx": {*bingx.REJECTED, *bingx.UNKNOWN, *bingx.UNAVAILABLE},
    "bitget": {*bitget.REJECTED, *bitget.UNKNOWN, *bitget.UNAVAILABLE, bitget.CONDITION},
}
STALE = "stale: run ./dev docs"


@pytest.fixture
def cli(monkeypatch, capsys):
    return lambda *arguments: holdfast(monkeypatch, capsys, *arguments)


# --- codes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", CAPABILITIES)
def test_every_code_the_bot_knows_is_explained_and_no_other(exchange):
    assert {each.code for each in codes_of(exchange)} == {str(code) for code in KNOWN[exchange]}


@pytest.mark.parametrize("exchange", CAPABILITIES)
def test_the_word_of_a_code_is_the_one_its_table_has(exchange):
    """A code that is told apart by its text may have another word for an example of that text only."""
    tables = {"binance": binance.REJECTED, "bingx": bingx.REJECTED, "bitget": bitget.REJECTED}[exchange]
    named = {str(code): f"rejected: {reason}" for code, reason in tables.items()}
    for each in codes_of(exchange):
        if not each.reading and each.code in named:
            assert each.word == named[each.code], each


@pytest.mark.parametrize("exchange", CAPABILITIES)
def test_each_explanation_says_something(exchange):
    for each in codes_of(exchange):
        assert len(each.meaning) > 8, each
        assert len(each.remedy) > 8, each


def test_both_readings_of_40812_and_what_400172_means():
    by = {(each.code, each.reading): each for each in codes_of("bitget")}
    assert by["40812", "The condition position is not met"].word == "rejected: nothing_to_reduce"
    assert by["40812", "The condition planType is not met"].word == "rejected: wrong_endpoint"
    assert by["40812", "The condition marginCoin is not met"].word == "rejected: other"
    assert by["400172", ""].word == "rejected: wrong_endpoint"
    assert "plan type" in by["400172", ""].meaning


@pytest.mark.parametrize("code", ["-2021", "2021"])
def test_errors_explains_one_code_with_or_without_its_sign(cli, code):
    told = cli("errors", "--exchange", "binance", "--", code)
    assert told.status == Exit.FINE
    assert "would trigger at once" in told.out
    assert "closes at market" in told.out


def test_errors_as_data_has_every_exchange(cli):
    told = json.loads(cli("errors", "--json").out)
    assert set(told) == set(CAPABILITIES)
    assert {"code", "reading", "meaning", "word", "remedy"} == set(told["bitget"][0])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("errors", "7"), "expected an error code of any exchange, found '7'"),
        (
            ("errors", "--exchange", "kraken"),
            "--exchange: expected one of binance, bingx, bitget, found 'kraken'",
        ),
        (("exchanges", "--exchange", "kraken"), "--exchange: expected one of binance, bingx, bitget"),
    ],
)
def test_what_nobody_knows_is_one_sentence(cli, arguments, sentence):
    told = cli(*arguments)
    assert told.status == Exit.BAD_USE
    assert sentence in told.err


# --- what each exchange does ---------------------------------------------------------------------


@pytest.mark.parametrize("exchange", CAPABILITIES)
@pytest.mark.parametrize("mode", list(PositionMode))
def test_every_column_is_told_in_both_modes(exchange, mode):
    told = features(exchange, mode)
    assert list(told) == list(COLUMNS)
    assert all(each.value for each in told.values())
    assert UNVERIFIED[exchange] <= {name for name, each in told.items() if not each.verified}


@pytest.mark.parametrize("exchange", CAPABILITIES)
def test_the_table_says_what_the_bot_decides_by(exchange):
    told, known = features(exchange, PositionMode.ONE_WAY), CAPABILITIES[exchange]
    assert told["stop_client_ids"].value.startswith("yes" if known.stop_keeps_client_id else "no")
    assert told["stop_locks_quantity"].value == ("yes" if known.stop_locks_quantity else "no")
    assert told["stop_replaced"].value.startswith(
        "the other form" if known.two_stops_may_stand else "the first"
    )
    assert (TEST[exchange].rest.removeprefix("https://")) in told["test_environment"].value
    assert set(CAPABILITIES) == set(REAL)


def test_exchanges_as_data_and_as_a_table(cli):
    told = json.loads(cli("exchanges", "--json").out)
    assert told["bingx"]["hedge"]["stop_client_ids"]["verified"] is False
    assert set(told["bitget"]) == {"one_way", "hedge"}
    shown = cli("exchanges", "--exchange", "bitget")
    assert shown.status == Exit.FINE
    assert "pos_loss" in shown.out
    assert "(?) = unverified" in shown.out
    assert "closePosition" not in shown.out


def test_the_pages_are_fresh():
    assert pages.ERRORS.read_text("utf-8") == pages.errors_page(), STALE
    assert pages.FEATURES.read_text("utf-8") == pages.features_page(), STALE
