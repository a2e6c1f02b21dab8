"""Every exchange dialect passes every case, in both position modes; see docs/conformance.md."""

from __future__ import annotations

import pytest

from holdfast.domain.account import PositionMode
from holdfast.domain.intents import RejectReason
from tests.conformance import refusals, table
from tests.conformance.case import CASES, EXCHANGES
from tests.conformance.stand import MODES, run

APPLICABLE = [
    pytest.param(case.number, exchange, mode, id=f"{case.name}-{exchange}-{mode}")
    for case in table.cases()
    for exchange, mode in table.columns()
    if not case.why_not(exchange, mode)
]


@pytest.mark.parametrize(("number", "exchange", "mode"), APPLICABLE)
def test_case(number: int, exchange: str, mode: PositionMode) -> None:
    """Adapter and simulator, each told nothing of the other but through the wire."""
    run(exchange, mode, CASES[number].proof)


def test_the_page_is_of_these_cases() -> None:
    """`./dev conformance` writes it anew."""
    assert table.PAGE.read_text("utf-8") == table.page({}), "run ./dev conformance"


def test_reasons_for_not_applying_name_an_exchange_or_a_mode() -> None:
    """A key that nothing matches would be a case quietly held, or quietly skipped."""
    modes = [mode.value for mode in MODES]
    known = {*EXCHANGES, *modes, *(f"{exchange}/{mode}" for exchange in EXCHANGES for mode in modes)}
    for case in table.cases():
        assert set(case.absent) <= known, case.name
        assert all(case.absent.values()), case.name


def test_every_reason_for_a_refusal_has_its_case() -> None:
    """A new word needs one."""
    assert set(refusals.WORDS) == set(RejectReason)
    assert set(refusals.WORDS.values()) <= set(CASES)


def test_every_case_stands_in_a_section_of_the_page() -> None:
    """Or it would be run and not told."""
    sections = {section.__name__.rpartition(".")[2] for section in table.SECTIONS}
    assert {case.section for case in table.cases()} == sections
