"""Requests whose answer says nothing: Unknown at first, then whatever the exchange says by client id.

For each kind of request and each way in which an answer fails to prove anything. The adapter sends
nothing a second time; the exchange's own count of what it took proves that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.domain.intents import Accepted, NotFound, Outcome, Unavailable, Unknown
from holdfast.domain.orders import ExchangeStatus, StopStatus
from holdfast.drills.network import LinkKind
from tests.conformance.case import Proof, case
from tests.conformance.stand import BTC, LOT, Desk, P, took

ORDER, STOP, CANCEL, CANCEL_STOP = "order", "stop", "cancel", "cancel_stop"
REQUESTS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "binance": {
        ORDER: ("POST", "/fapi/v1/order$"),
        STOP: ("POST", "/fapi/v1/algoOrder$"),
        CANCEL: ("DELETE", "/fapi/v1/order$"),
        CANCEL_STOP: ("DELETE", "/fapi/v1/algoOrder$"),
    },
    "bingx": {
        ORDER: ("POST", "/trade/order$"),
        STOP: ("POST", "/trade/order$"),
        CANCEL: ("DELETE", "/trade/order$"),
        CANCEL_STOP: ("DELETE", "/trade/order$"),
    },
    "bitget": {
        ORDER: ("POST", "/order/place-order$"),
        STOP: ("POST", "/order/place-tpsl-order$"),
        CANCEL: ("POST", "/order/cancel-order$"),
        CANCEL_STOP: ("POST", "/order/cancel-plan-order$"),
    },
}
"""How each exchange spells a request: method and path."""


def strike(d: Desk, what: str, kind: str, **numbers: Any) -> None:
    """Let one request of that kind fare badly."""
    method, path = REQUESTS[d.stand.exchange][what]
    d.fault(kind, method=method, path=path, times=1, **numbers)


@dataclass(frozen=True, slots=True)
class Way:
    """How an answer fails."""

    title: str
    fault: Mapping[str, Any]
    happened: bool
    """The request had its effect all the same."""


WAYS = (
    Way("the connection is reset after it arrived", {"kind": "lost_reply"}, happened=True),
    Way("its answer does not come in time", {"kind": "delay_reply", "delay_ms": 5_000}, happened=True),
    Way("it is executed and answered with a server's error", {"kind": "error_after"}, happened=True),
    Way("it is executed and answered with an empty 200", {"kind": "empty"}, happened=True),
    Way("it is executed and its answer is cut off", {"kind": "truncated"}, happened=True),
    Way("it is lost on the way", {"kind": "lost_request"}, happened=False),
    Way("a proxy answers 502 with a page in its place", {"kind": "html"}, happened=False),
    Way("the server fails before it looks at it", {"kind": "error_before"}, happened=False),
)


async def _order(d: Desk, way: Way) -> None:
    strike(d, ORDER, **way.fault)
    _doubtful(await d.send("hf-doubt"), way)
    found = await d.exchange.find_order(BTC, "hf-doubt", priority=P)
    assert isinstance(found, Accepted if way.happened else NotFound), found
    assert await d.held() == (LOT if way.happened else 0)
    assert len(d.account.orders) == (1 if way.happened else 0)


async def _close(d: Desk, way: Way) -> None:
    await d.enter()
    strike(d, ORDER, **way.fault)
    _doubtful(await d.close("hf-doubt"), way)
    found = await d.exchange.find_order(BTC, "hf-doubt", priority=P)
    assert isinstance(found, Accepted if way.happened else NotFound), found
    assert await d.held() == (0 if way.happened else LOT)


async def _stop(d: Desk, way: Way) -> None:
    await d.enter()
    strike(d, STOP, **way.fault)
    _doubtful(await d.stop("hf-doubt"), way)
    found = await d.exchange.find_stop(BTC, "hf-doubt", priority=P)
    assert isinstance(found, Accepted if way.happened else NotFound), found
    assert [stop.client_id for stop in await d.stops()] == (["hf-doubt"] if way.happened else [])
    assert len(d.account.algos) == (1 if way.happened else 0)


async def _cancel(d: Desk, way: Way) -> None:
    await d.limit("hf-limit")
    strike(d, CANCEL, **way.fault)
    _doubtful(await d.cancel("hf-limit"), way)
    expected = ExchangeStatus.CANCELLED if way.happened else ExchangeStatus.OPEN
    assert (await d.order("hf-limit")).status is expected
    assert len(await d.orders()) == (0 if way.happened else 1)


async def _cancel_stop(d: Desk, way: Way) -> None:
    await d.enter()
    placed = took(await d.stop("hf-stop"))
    await d.rest(1)
    strike(d, CANCEL_STOP, **way.fault)
    _doubtful(await d.cancel_stop(stop_id=placed.exchange_id), way)
    await d.rest(1)
    expected = StopStatus.CANCELLED if way.happened else StopStatus.LIVE
    assert (await d.stop_named("hf-stop")).status is expected
    assert len(await d.stops()) == (0 if way.happened else 1)


def _doubtful(outcome: Outcome, way: Way) -> None:
    """Unknown; a server that fails first may say in so many words that nothing happened."""
    definite = isinstance(outcome, Unavailable) and way.fault["kind"] == "error_before"
    assert isinstance(outcome, Unknown) or definite, outcome


SUBJECTS: Mapping[str, Callable[[Desk, Way], Awaitable[None]]] = {
    "an entry": _order,
    "a close": _close,
    "a stop": _stop,
    "an order's cancel": _cancel,
    "a stop's cancel": _cancel_stop,
}


def _proof(prove: Callable[[Desk, Way], Awaitable[None]], way: Way) -> Proof:
    async def doubt(d: Desk) -> None:
        await prove(d, way)

    return doubt


for _number, (_subject, _prove, _way) in enumerate(
    ((subject, prove, way) for subject, prove in SUBJECTS.items() for way in WAYS), start=60
):
    case(_number, f"{_subject}: {_way.title}")(_proof(_prove, _way))


@case(100, "an entry that arrives after we gave up, but within its window: not found, then found")
async def late(d: Desk) -> None:
    strike(d, ORDER, "delay", delay_ms=4_000)
    assert isinstance(await d.send("hf-late"), Unknown)
    assert isinstance(await d.exchange.find_order(BTC, "hf-late", priority=P), NotFound)
    await d.rest(3)
    assert (await d.order("hf-late")).filled == LOT


@case(101, "an entry that arrives after its window was signed away is refused by the exchange itself")
async def too_late(d: Desk) -> None:
    strike(d, ORDER, "delay", delay_ms=d.exchange.capabilities.window_ms + 500)
    assert isinstance(await d.send("hf-late"), Unknown)
    await d.rest(10)
    assert isinstance(await d.exchange.find_order(BTC, "hf-late", priority=P), NotFound)
    assert d.account.orders == {}


@case(102, "an address that refuses connections: proven that no byte left")
async def refused_connection(d: Desk) -> None:
    conditions = d.stand.network.conditions[LinkKind.REST]
    d.stand.network.reset(LinkKind.REST)
    conditions.refuse = True
    try:
        assert isinstance(await d.send("hf-unsent"), Unavailable)
    finally:
        conditions.refuse = False
    assert isinstance(await d.exchange.find_order(BTC, "hf-unsent", priority=P), NotFound)


@case(103, "an answer that comes twice is not taken for the answer to the next question")
async def doubled_answer(d: Desk) -> None:
    strike(d, ORDER, "doubled_reply", delay_ms=100)
    await d.enter("hf-one")
    await d.rest(1)
    await d.limit("hf-two")
    assert [order.client_id for order in await d.orders()] == ["hf-two"]
    assert (await d.order("hf-one")).status is ExchangeStatus.FILLED


@case(104, "the answer to one order that names another proves nothing about ours")
async def other_answer(d: Desk) -> None:
    member = {"binance": "clientOrderId", "bingx": "clientOrder(ID|Id)", "bitget": "clientOid"}
    strike(d, ORDER, "field_changed", member=member[d.stand.exchange], word="hf-other")
    assert isinstance(await d.send("hf-ours"), Unknown)
    assert (await d.order("hf-ours")).filled == LOT
