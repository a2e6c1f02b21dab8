"""No test address is real and no real address is reached by accident."""

import random

import pytest

from holdfast.domain.secret import Secret
from holdfast.exchanges.binance.dialect import hub
from holdfast.exchanges.capabilities import CAPABILITIES
from holdfast.exchanges.factory import REAL, TEST, Credentials, UnsafeAddress, make_exchange, resolve
from holdfast.exchanges.shared import Endpoints, ExchangeShared
from tests.exchanges.support import HandClock


def at(
    base_url: str | None, ws_url: str | None = None, *, live: bool = False, allow: bool = False
) -> Endpoints:
    return resolve("binance", base_url=base_url, ws_url=ws_url, live=live, testnet=allow)


@pytest.mark.parametrize("base", ["http://127.0.0.1:8080", "http://localhost:8080/", "http://[::1]:8080"])
def test_this_machine_needs_no_permission(base: str) -> None:
    """Streams are sought at the same host."""
    rest = base.rstrip("/")
    assert at(base) == Endpoints(rest, rest.replace("http", "ws"))


def test_the_real_exchange_needs_live_and_no_address() -> None:
    """Both halves of the sentence."""
    assert at(None, live=True) == REAL["binance"]
    with pytest.raises(UnsafeAddress, match="live"):
        at(None)
    with pytest.raises(UnsafeAddress):
        at(None, "ws://127.0.0.1:1", live=True)


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("allow", [True, False])
def test_the_real_exchange_is_never_a_test_address(live: bool, allow: bool) -> None:
    """Whatever else is allowed."""
    with pytest.raises(UnsafeAddress, match="real"):
        at("https://fapi.binance.com", live=live, allow=allow)
    with pytest.raises(UnsafeAddress, match="real"):
        at("http://127.0.0.1:1", "wss://fstream.binance.com", live=live, allow=allow)


def test_every_host_of_the_real_exchanges_is_known() -> None:
    """The addresses that BingX falls back on, too."""
    for name, ends in REAL.items():
        assert resolve(name, base_url=None, ws_url=None, live=True, testnet=False) == ends
        with pytest.raises(UnsafeAddress, match="real"):
            at(ends.rest, allow=True)
    with pytest.raises(UnsafeAddress, match="real"):
        at("https://open-api.bingx.pro", allow=True)
    assert set(REAL) <= set(CAPABILITIES)


def test_the_exchanges_test_environments_are_never_where_the_money_is() -> None:
    """Bitget's shares the host with the real one: its requests carry a mark."""
    for name, ends in TEST.items():
        assert resolve(name, base_url=None, ws_url=None, live=False, testnet=True) == ends
        assert ends.ws != REAL[name].ws
        assert ends.rest != REAL[name].rest or ends.paper_mark
        with pytest.raises(UnsafeAddress, match="no ws_url"):
            resolve(name, base_url=None, ws_url="ws://127.0.0.1:1", live=False, testnet=True)
        with pytest.raises(UnsafeAddress, match="found both"):
            resolve(name, base_url=None, ws_url=None, live=True, testnet=True)
    assert set(TEST) == set(REAL)


def test_remote_hosts_have_to_be_allowed_and_encrypted() -> None:
    """A public testnet is one."""
    demo, demo_ws = "https://demo-fapi.binance.com", "wss://demo-fstream.binance.com"
    assert at(demo, demo_ws, allow=True) == Endpoints(demo, demo_ws)
    with pytest.raises(UnsafeAddress, match="this machine"):
        at(demo, demo_ws)
    with pytest.raises(UnsafeAddress):
        at("http://demo-fapi.binance.com", demo_ws, allow=True)
    with pytest.raises(UnsafeAddress):
        at("http://127.0.0.1:1", "ws://example.com")


@pytest.mark.parametrize(
    "bad", ["", "127.0.0.1:80", "ftp://127.0.0.1", "http://", "http://127.0.0.1.evil.com"]
)
def test_what_is_no_local_address_is_refused(bad: str) -> None:
    """With a sentence that says what was expected."""
    with pytest.raises(UnsafeAddress, match="expected"):
        at(bad)


def test_an_unknown_exchange_is_named() -> None:
    """With those there are."""
    with pytest.raises(ValueError, match="binance"):
        resolve("mtgox", base_url=None, ws_url=None, live=True, testnet=False)


async def test_the_secret_is_nowhere_in_what_can_be_printed() -> None:
    """Not in the exchange's repr nor in its credentials'."""
    shared = ExchangeShared(clock=HandClock(), random=random.Random(1))
    credentials = Credentials("key", Secret("hush-hush"))
    exchange = make_exchange(
        "binance", credentials=credentials, base_url="http://127.0.0.1:1", clock=shared.clock, shared=shared
    )
    assert "hush" not in f"{exchange!r} {credentials!r} {vars(exchange)!r}"
    assert exchange.capabilities is CAPABILITIES["binance"]
    await exchange.close()
    await shared.close()


async def test_accounts_at_one_address_share_a_hub() -> None:
    """Another address has another budget."""
    shared = ExchangeShared(clock=HandClock(), random=random.Random(1))
    here, there = Endpoints("a", "b"), Endpoints("c", "d")
    assert shared.hub(here, hub) is shared.hub(Endpoints("a", "b"), hub)
    assert shared.hub(here, hub) is not shared.hub(there, hub)
    await shared.close()
