from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.numbers import BadNumber, ceil_to, floor_to, number, plain

D = Decimal
steps = st.sampled_from([D("0.00001"), D("0.001"), D("0.01"), D("0.1"), D("0.5"), D(1), D(25)])
values = st.decimals("-1000000", "1000000", places=8)


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-inf", "", "abc", "1,5", "0x10", None, [], {}])
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    with pytest.raises(BadNumber, match="expected a"):
        number(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"), [("1.50", "1.50"), (3, "3"), ("-0.1", "-0.1"), ("1e-8", "1E-8")]
)
def test_wire_text_becomes_exactly_that_number(value: str | int, expected: str) -> None:
    assert str(number(value)) == expected


@given(values, steps)
def test_rounding_stays_on_its_side_within_a_step(value: Decimal, step: Decimal) -> None:
    down, up = floor_to(value, step), ceil_to(value, step)
    assert down <= value <= up
    assert value - down < step
    assert up - value < step
    assert down % step == 0
    assert up % step == 0


@given(values, steps)
def test_a_rounded_number_rounds_to_itself(value: Decimal, step: Decimal) -> None:
    down = floor_to(value, step)
    assert floor_to(down, step) == ceil_to(down, step) == down


@given(values)
def test_plain_text_reads_back_without_exponent(value: Decimal) -> None:
    text = plain(value)
    assert D(text) == value
    assert "E" not in text.upper()


@pytest.mark.parametrize(
    ("value", "text"), [("1E+3", "1000"), ("0.10", "0.1"), ("-0", "0"), ("1E-8", "0.00000001")]
)
def test_plain_text_is_what_exchanges_read(value: str, text: str) -> None:
    assert plain(D(value)) == text
