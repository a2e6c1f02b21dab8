"""Strategies from outside, by `module:factory`."""

from __future__ import annotations

import pytest

from holdfast.strategies.base import StrategyError
from holdfast.strategies.registry import make_strategy

PLUG_IN = "tests.gauntlet.scripted:make"


def test_plug_in_is_made_with_its_parameters() -> None:
    """A factory named by module and attribute gets the configured parameters."""
    assert make_strategy(PLUG_IN, {"file": "wishes.json"}).name == PLUG_IN


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("no.such.module:make", {}, "importable module:factory"),
        ("tests.gauntlet.scripted:nothing", {}, "importable module:factory"),
        ("tests.gauntlet.scripted:NAME", {}, "callable"),
        (PLUG_IN, {"file": "x", "fiel": "y"}, "fiel"),
        (PLUG_IN, {}, "file"),
    ],
)
def test_bad_plug_in_is_named_in_one_sentence(name: str, params: dict[str, object], words: str) -> None:
    """What cannot be imported, called or configured is a StrategyError, never a traceback."""
    with pytest.raises(StrategyError, match=words):
        make_strategy(name, params)
