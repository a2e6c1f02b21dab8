from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.symbol import Kind, Symbol
from tests.decisions.examples import INSTRUMENT, D


def test_kind_follows_the_symbol() -> None:
    assert INSTRUMENT.kind is Kind.SWAP
    spot = replace(INSTRUMENT, symbol=Symbol.parse("BTC/USDT", Kind.SPOT))
    assert spot.kind is Kind.SPOT


def test_below_the_minimum_quantity_nothing_is_tradable() -> None:
    coarse = replace(INSTRUMENT, quantity_min=D("0.01"))
    assert coarse.quantity_down(D("0.00999")) == 0
    assert coarse.quantity_down(D("0.0109")) == D("0.010")


@given(st.decimals("0", "200", places=6))
def test_a_rounded_quantity_is_never_above_what_was_asked(quantity: Decimal) -> None:
    rounded = INSTRUMENT.quantity_down(quantity)
    assert rounded <= quantity
    assert rounded == 0 or rounded >= INSTRUMENT.quantity_min
    assert rounded % INSTRUMENT.quantity_step == 0


@given(st.decimals("0.1", "200000", places=4))
def test_prices_round_to_steps_on_the_asked_side(price: Decimal) -> None:
    down, up = INSTRUMENT.price_down(price), INSTRUMENT.price_up(price)
    assert down <= price <= up
    assert up - down <= INSTRUMENT.price_step
