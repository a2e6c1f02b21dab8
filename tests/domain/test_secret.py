"""A secret cannot get out by accident."""

import copy
import json
import pickle

import pytest

from holdfast.domain.secret import Secret


def test_a_secret_shows_itself_nowhere() -> None:
    """Not in str, repr, format, logging's %s, or a container's repr."""
    secret = Secret("hush")
    texts = [str(secret), repr(secret), f"{secret}", f"{secret:>20}", "%s" % secret, repr([secret])]  # noqa: UP031
    assert not any("hush" in text for text in texts)
    assert secret.reveal_to_signer() == "hush"


def test_a_secret_cannot_be_copied_out() -> None:
    """Neither pickled nor deep-copied nor written as JSON."""
    secret = Secret("hush")
    for take in (pickle.dumps, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError):
            take(secret)


def test_a_secret_is_never_compared_or_hashed() -> None:
    """A comparison would be a timing oracle, a hash a fingerprint."""
    with pytest.raises(TypeError):
        assert Secret("a") == Secret("a")
    with pytest.raises(TypeError):
        hash(Secret("a"))


def test_only_an_empty_secret_is_false() -> None:
    """So that a missing key can be noticed without looking inside."""
    assert Secret("x")
    assert not Secret("")
