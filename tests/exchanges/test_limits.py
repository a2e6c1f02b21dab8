"""The limits as data: the simulated exchanges enforce what the adapters pace themselves by."""

from __future__ import annotations

import random
from typing import Any

import ccxt.abstract.bingx
import ccxt.abstract.bitget
import pytest

from holdfast.domain.intents import Priority
from holdfast.exchanges.bingx import dialect as bingx_dialect
from holdfast.exchanges.bingx import requests as bingx
from holdfast.exchanges.bitget import dialect as bitget_dialect
from holdfast.exchanges.bitget import requests as bitget
from holdfast.exchanges.limits import Scope
from holdfast.exchanges.shared import Endpoints, ExchangeShared
from holdfast.simulator.bingx.config import Limits as BingxLimits
from holdfast.simulator.bingx.routes import ROUTES as BINGX_ROUTES
from holdfast.simulator.bitget.limits import Limits as BitgetLimits
from holdfast.simulator.bitget.routes import ROUTES as BITGET_ROUTES
from tests.exchanges.support import HandClock


def _route(api: type, endpoint: str) -> tuple[str, list[str], str]:
    """Method, ccxt's words for the section, and the path behind it."""
    entry: Any = vars(api)[endpoint]
    return entry.method, list(entry.api), entry.path


@pytest.mark.parametrize("endpoint", bingx.PACES)
def test_bingx_is_asked_no_faster_than_it_allows(endpoint: str) -> None:
    """Of two figures of the sheet the adapter takes the lower one."""
    method, (section, version, _), path = _route(ccxt.abstract.bingx.ImplicitAPI, endpoint)
    allowed = BINGX_ROUTES[method, f"/openApi/{section}/{version}/{path}"].per_second
    assert bingx.PACES[endpoint] <= allowed


@pytest.mark.parametrize("endpoint", [*bitget._KEY_PER_SECOND, *bitget._ADDRESS_PER_SECOND])
def test_bitget_is_asked_no_faster_than_it_allows(endpoint: str) -> None:
    """And by whom the exchange counts: the key, or the address where nothing is signed."""
    method, _, path = _route(ccxt.abstract.bitget.ImplicitAPI, endpoint)
    route = BITGET_ROUTES[method, f"/api/{path}"]
    name = bitget._LIMIT_OF[endpoint]
    limit = next(limit for limit in bitget.LIMITS if limit.name == name)
    assert limit.amount <= route.per_second
    assert limit.scope is (Scope.KEY if route.signed else Scope.ADDRESS)


def test_addresses_have_what_the_simulators_give_them() -> None:
    """BingX by two groups in ten seconds, Bitget by the minute."""
    ours = {limit.name: limit.amount for limit in bingx.LIMITS}
    groups = BingxLimits()
    assert (ours[bingx.MARKET], ours[bingx.ACCOUNT]) == (groups.market_per_10s, groups.account_per_10s)
    minute = next(limit for limit in bitget.LIMITS if limit.name == bitget.ADDRESS)
    assert minute.amount == BitgetLimits().per_minute


class Remembered:
    """What a home remembers of bans, by exchange."""

    def __init__(self) -> None:
        self.left: dict[str, int] = {}

    def of(self, exchange: str) -> RememberedOf:
        return RememberedOf(self, exchange)


class RememberedOf:
    def __init__(self, all_: Remembered, exchange: str) -> None:
        self._all, self._exchange = all_, exchange

    def left_ms(self) -> int:
        return self._all.left.get(self._exchange, 0)

    def note(self, for_ms: int) -> None:
        self._all.left[self._exchange] = for_ms


async def test_a_ban_by_one_exchange_is_no_other_ones() -> None:
    """One process serves several: the other goes on, now and after a restart."""
    bans = Remembered()
    places = (
        (Endpoints("http://a", "ws://a"), bingx_dialect.hub),
        (Endpoints("http://b", "ws://b"), bitget_dialect.hub),
    )
    for restart in range(2):
        shared = ExchangeShared(clock=HandClock(), random=random.Random(1), bans=bans.of)
        banned, free = (shared.hub(where, make).governor for where, make in places)  # type: ignore[arg-type]
        if not restart:
            banned.ban(60_000)
        assert banned.refusal(Priority.EMERGENCY) is not None
        assert free.refusal(Priority.OBSERVE) is None
        await shared.close()
