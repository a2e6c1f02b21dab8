"""What is believed when reads and news disagree, late, twice or in disorder."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.decisions.belief import Heard, believe, newest, outlives
from holdfast.domain.account import Fact

VISIBILITY = 2_000
TIMES = st.integers(0, 20_000)
VALUES = st.sampled_from([None, "a1", "a2"])
NEWS = st.lists(st.builds(Heard, VALUES, TIMES), max_size=8)


def fact(*values: str, asked: int, complete: bool = True) -> Fact[tuple[str, ...]]:
    return Fact(values, asked, asked + 50, complete)


def name(value: str) -> str:
    return value[0]


def believed(read: Fact[tuple[str, ...]] | None, news: list[Heard[str]]) -> dict[str, str]:
    heard: dict[str, Heard[str]] = {}
    for each in news:
        heard["a"] = newest(heard.get("a"), each)
    return believe(read, heard, name, VISIBILITY)


def test_read_alone_is_believed_as_it_is() -> None:
    assert believe(fact("a1", "b1", asked=0), {}, name, VISIBILITY) == {"a": "a1", "b": "b1"}


def test_fresh_news_wins_over_a_read_that_may_not_have_seen_it() -> None:
    read = fact("a1", asked=10_000)
    assert believed(read, [Heard(None, 8_001)]) == {}
    assert believed(read, [Heard("a2", 8_001)]) == {"a": "a2"}


def test_read_that_must_have_seen_the_news_wins() -> None:
    read = fact("a1", asked=10_000)
    assert believed(read, [Heard(None, 8_000)]) == {"a": "a1"}
    assert believed(fact(asked=10_000), [Heard("a2", 8_000)]) == {}


def test_news_without_any_read_is_believed() -> None:
    assert believed(None, [Heard("a1", 5)]) == {"a": "a1"}


def test_an_incomplete_read_never_silences_news() -> None:
    assert outlives(Heard(None, 0), fact("a1", asked=99_999, complete=False), VISIBILITY)


@given(NEWS, TIMES, st.booleans())
def test_after_a_fresh_read_no_late_news_changes_anything(
    news: list[Heard[str]], lag: int, shown: bool
) -> None:
    """Late, doubled or disordered news neither resurrects what is gone nor hides what is there."""
    asked = max((each.at_ms for each in news), default=0) + VISIBILITY + lag
    read = fact("a1", asked=asked) if shown else fact(asked=asked)
    assert believed(read, news) == ({"a": "a1"} if shown else {})


@given(st.lists(st.builds(Heard, VALUES, TIMES), max_size=8, unique_by=lambda h: h.at_ms), st.randoms())
def test_order_and_repetition_of_news_do_not_matter(news: list[Heard[str]], chance: object) -> None:
    mixed = [*news, *news]
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert believed(None, mixed) == believed(None, sorted(news, key=lambda h: h.at_ms))
