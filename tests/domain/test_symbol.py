from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.symbol import QUOTES, BadSymbol, Kind, Symbol

SWAP = Symbol("BTC", "USDT", "USDT")
SPOT = Symbol("BTC", "USDT", "")


@pytest.mark.parametrize(
    "text", ["BTC/USDT:USDT", "BTC/USDT", "BTCUSDT", "BTC-USDT", "BTC_USDT", "BTC_USDT_USDT", " btcusdt\n"]
)
def test_any_spelling_names_the_same_swap(text: str) -> None:
    """R5.5: any of them accepted as input."""
    assert Symbol.parse(text) == SWAP


@pytest.mark.parametrize("text", ["BTC/USDT", "BTCUSDT", "BTC-USDT", "BTC_USDT"])
def test_a_bare_spelling_is_spot_when_asked_for(text: str) -> None:
    assert Symbol.parse(text, Kind.SPOT) == SPOT


def test_a_full_swap_name_stays_a_swap_on_spot() -> None:
    assert Symbol.parse("BTC/USDT:USDT", Kind.SPOT) == SWAP


@pytest.mark.parametrize(
    ("text", "base", "quote"),
    [
        ("1000PEPEUSDT", "1000PEPE", "USDT"),
        ("BTCUSDC", "BTC", "USDC"),
        ("BTCFDUSD", "BTC", "FDUSD"),
        ("ETHBTC", "ETH", "BTC"),
        ("USDCUSDT", "USDC", "USDT"),
    ],
)
def test_compact_names_split_at_the_known_quote(text: str, base: str, quote: str) -> None:
    parsed = Symbol.parse(text, Kind.SPOT)
    assert (parsed.base, parsed.quote) == (base, quote)


@pytest.mark.parametrize(
    "text", ["", "BTC", "USDT", "BTC/", "/USDT", "BTC/USDT:", "BTC USDT", "ВТСUSDT", "a/b/c"]
)
def test_what_names_nothing_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadSymbol, match="expected a symbol like"):
        Symbol.parse(text)


names = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=8)
symbols = st.builds(
    lambda base, quote, swap: Symbol(base, quote, quote if swap else ""),
    names,
    st.sampled_from(QUOTES),
    st.booleans(),
)


@given(symbols)
def test_every_own_spelling_reads_back(symbol: Symbol) -> None:
    """What we store, send and name files by is read as the same instrument again."""
    for text in (str(symbol), symbol.dashed, symbol.filename):
        assert Symbol.parse(text, symbol.kind) == symbol


@given(st.sampled_from(["BTC", "ETH", "DOT", "1000PEPE", "LAYER", "BNB"]), st.sampled_from(["USDT", "USDC"]))
def test_compact_spelling_of_real_names_reads_back(base: str, quote: str) -> None:
    symbol = Symbol(base, quote, quote)
    assert Symbol.parse(symbol.compact) == symbol


@given(st.text(max_size=20))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        parsed = Symbol.parse(text)
    except BadSymbol:
        return
    assert parsed.base
    assert parsed.quote
    assert parsed.kind is Kind.SWAP


def test_symbols_sort_by_their_names() -> None:
    assert sorted([SWAP, Symbol("ADA", "USDT", "USDT"), SPOT])[0].base == "ADA"
