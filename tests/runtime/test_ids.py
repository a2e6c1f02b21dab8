"""Names are unique, short, plain, and recognised as ours."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.invariant import InvariantViolation
from holdfast.runtime.ids import BotIds, base36, is_ours, parse


class FixedClock:
    def now_ms(self):
        return 1_746_516_845_678

    def monotonic_ms(self):
        return 0


def ids(epoch=7, seed=1):
    return BotIds(FixedClock(), epoch, random.Random(seed))


@given(epoch=st.integers(0, 36**9 - 1), tag=st.text(max_size=20), seed=st.integers())
def test_every_id_is_plain_short_and_parses_back(epoch, tag, seed):
    maker = ids(epoch, seed)
    for counter in (1, 2):
        made = maker.client_order_id(tag)
        assert re.fullmatch(r"[a-z0-9-]{1,32}", made)
        told = parse(made)
        assert told is not None
        assert is_ours(made)
        assert (told.epoch, told.counter) == (epoch, counter)


@given(tags=st.lists(st.sampled_from(["en", "st", "cl"]), min_size=2, max_size=50))
def test_no_two_ids_of_a_run_are_equal(tags):
    maker = ids()
    made = [maker.client_order_id(tag) for tag in tags]
    assert len(set(made)) == len(made)


def test_a_new_home_with_the_same_epoch_makes_other_ids():
    assert ids(seed=1).client_order_id("en") != ids(seed=2).client_order_id("en")


@pytest.mark.parametrize(
    "text", ["", "hf-", "web_1234", "x-abc-hf-1-en-1aaaaa", "HF-1-en-1aaaaa", "hf-1-en-aaaa", "hf-1--1aaaaa"]
)
def test_foreign_ids_are_not_ours(text):
    assert parse(text) is None
    assert not is_ours(text)


def test_correlation_id_carries_utc_time_and_six_hex():
    assert re.fullmatch(r"liq_20250506_073405_[0-9a-f]{6}", ids().correlation_id("liq"))


def test_an_epoch_beyond_the_form_is_a_bug():
    with pytest.raises(InvariantViolation):
        ids(epoch=36**9)


@given(st.integers(0, 2**63))
def test_base36_is_the_inverse_of_int(value):
    assert int(base36(value), 36) == value
