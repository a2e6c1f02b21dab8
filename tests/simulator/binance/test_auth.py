"""Signatures, clocks and parameters, checked as the exchange checks them."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from holdfast.simulator.binance import auth
from holdfast.simulator.binance.params import Params
from holdfast.simulator.wire.errors import WireError

VECTORS = Path(__file__).parents[4] / "shared" / "exchanges" / "fixtures" / "binance-request.json"

# (payload, secret, signature), computed with `openssl dgst -sha256 -hmac`.
OWN_VECTORS = [
    (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timestamp=1591702613943",
        "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9",
        "8e6e87dd6b18c1eb21bb0ae78d8b7fdba14b362909d344ff964c17fcee424308",
    ),
    (
        "timestamp=1795000000000&recvWindow=5000",
        "secret",
        "5cc63a6a91defadeee43ec20bd68fa48da56917d0ef674ae3c38d1a8a4fba1f2",
    ),
    (
        'batchOrders=[{"symbol":"ETHUSDT"}]&timestamp=1795000000000',
        "secret",
        "1ffc66d16db919356e7f9f116460260e4f7475ea2f46102bd7d85085ff29f88b",
    ),
]


def shared_vectors() -> list[tuple[str, str, str]]:
    """(query, body, what) of every signed call in the shared fixtures; none beside a lone checkout."""
    if not VECTORS.exists():
        return []
    calls = [call for calls in json.loads(VECTORS.read_text())["methods"].values() for call in calls]
    found = [
        (urlsplit(call.get("url", "")).query, call.get("output", ""), call["description"]) for call in calls
    ]
    return [row for row in found if "signature=" in row[0] + row[1]]


@pytest.mark.parametrize(("payload", "secret", "signature"), OWN_VECTORS)
def test_our_own_vectors_are_signed_alike(payload, secret, signature):
    assert auth.sign(secret, payload) == signature
    auth.check_signature(f"{payload}&signature={signature}", "", signature, secret)
    auth.check_signature("", f"{payload}&signature={signature}", signature, secret)


@pytest.mark.parametrize(("query", "body", "what"), shared_vectors() or [("", "", "none")])
def test_recorded_calls_of_real_clients_verify(query, body, what):
    if what == "none":
        pytest.skip("the shared fixtures do not lie beside this checkout")
    signature = Params.read(query, body).need("signature")
    auth.check_signature(query, body, signature, "secret")
    with pytest.raises(WireError) as caught:
        auth.check_signature(query, body, signature, "another secret")
    assert caught.value.code == -1022


def test_query_and_body_are_signed_together_without_separator():
    signature = auth.sign("secret", "symbol=BTCUSDTtimestamp=1")
    auth.check_signature("symbol=BTCUSDT", f"timestamp=1&signature={signature}", signature, "secret")


def test_a_query_quoted_again_after_signing_still_verifies():
    signature = auth.sign("secret", "orderIdList=[1, 2]&timestamp=1")
    auth.check_signature(
        f"orderIdList=%5B1,%202%5D&timestamp=1&signature={signature}", "", signature, "secret"
    )


@pytest.mark.parametrize("signature", ["", "abc", "g" * 64, "0" * 63])
def test_an_unknown_secret_still_demands_a_signature_shape(signature):
    with pytest.raises(WireError) as caught:
        auth.check_signature("timestamp=1", "", signature, None)
    assert caught.value.code == -1022
    auth.check_signature("timestamp=1", "", "0" * 64, None)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("timestamp=100000", None),
        ("timestamp=95000", None),
        ("timestamp=94999", -1021),
        ("timestamp=90000&recvWindow=10000", None),
        ("timestamp=100999", None),
        ("timestamp=101000", -1021),
        ("timestamp=soon", -1100),
        ("timestamp=", -1102),
        ("", -1102),
        ("timestamp=100000&recvWindow=60001", -1102),
    ],
)
def test_the_clock_is_checked_as_the_sheet_says(sent, code):
    params = Params.read(sent, "")
    if code is None:
        auth.check_time(params, 100_000)
        return
    with pytest.raises(WireError) as caught:
        auth.check_time(params, 100_000)
    assert caught.value.code == code


@pytest.mark.parametrize("key", [None, "", "with space", "ä", "x" * 129])
def test_a_garbled_key_is_no_key(key):
    with pytest.raises(WireError) as caught:
        auth.checked_key(key)
    assert (caught.value.status, caught.value.code) == (401, -2014)


def test_the_query_wins_over_the_body():
    params = Params.read("symbol=BTCUSDT", "symbol=ETHUSDT&side=BUY")
    assert (params.text("symbol"), params.text("side")) == ("BTCUSDT", "BUY")


def test_list_names_are_read_in_any_case():
    assert Params.read("orderidlist=%5B1%2C2%5D", "").list_of("orderIdList") == [1, 2]


@pytest.mark.parametrize(
    ("read", "code"),
    [
        (lambda p: p.need("side"), -1102),
        (lambda p: p.need_decimal("bad"), -1100),
        (lambda p: p.decimal("nan"), -1100),
        (lambda p: p.integer_or_none("bad"), -1100),
        (lambda p: p.flag("bad"), -1100),
        (lambda p: p.symbol("dashed"), -1121),
        (lambda p: p.list_of("bad"), -1102),
        (lambda p: p.limit(5, 10), -1130),
    ],
)
def test_unreadable_parameters_are_refused_by_code(read, code):
    params = Params.read("bad=x%20y&nan=NaN&dashed=BTC-USDT&limit=0", "")
    with pytest.raises(WireError) as caught:
        read(params)
    assert caught.value.code == code
