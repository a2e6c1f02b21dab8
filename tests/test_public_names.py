"""The names that the operating documents promise can be imported from the package (R4.1, R4.5)."""

from __future__ import annotations

import pytest

import holdfast


@pytest.mark.parametrize("name", holdfast.__all__)
def test_promised_name_is_importable(name: str) -> None:
    assert getattr(holdfast, name).__name__ == name


def test_other_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = holdfast.nothing


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"timeout_seconds": 0.5}, "timeout_seconds: expected 1.0 to 30.0"),
        ({"timeout_seconds": "5"}, "timeout_seconds: expected"),
        ({"max_retries": 11}, "max_retries: expected 0 to 10"),
        ({"max_retries": True}, "max_retries: expected"),
        ({"retry_delay_seconds": 6}, "retry_delay_seconds: expected 0.1 to 5.0"),
        ({"close_positions": 1}, "close_positions: expected"),
        ({"emergency_liquidation": False}, "must be false too"),
    ],
)
def test_liquidation_configuration_is_checked_at_construction(changes: dict[str, object], words: str) -> None:
    """Types and ranges of R4.1; disabled means both others disabled too."""
    with pytest.raises(ValueError, match=words):
        holdfast.LiquidationConfig(**changes)


def test_liquidation_defaults_are_the_documented_ones() -> None:
    made = holdfast.LiquidationConfig()
    assert (made.timeout_seconds, made.max_retries, made.retry_delay_seconds) == (5.0, 3, 0.5)
    assert made.emergency_liquidation
    assert made.close_positions
    assert made.cancel_orders
