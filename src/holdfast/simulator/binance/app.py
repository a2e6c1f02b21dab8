"""The exchange's own door: one aiohttp application that answers REST and WebSocket.

The way of a request: it travels (half the latency), meets the faults, the clock catches up, it is
counted, checked and answered by the core in one go, and the answer travels back. Nothing awaits
between the checks and the effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import orjson
from aiohttp import web

from holdfast.domain.protocols import Clock
from holdfast.simulator.binance.auth import check_signature, check_time, checked_key
from holdfast.simulator.binance.errors import WireError, no_such_path, refused
from holdfast.simulator.binance.hub import CLOSE_WITHIN_S, Hub
from holdfast.simulator.binance.params import Params
from holdfast.simulator.binance.races import fill_first
from holdfast.simulator.binance.routes import ROUTES, Door, Route
from holdfast.simulator.binance.sockets import CATEGORIES
from holdfast.simulator.binance.venue import Call, Venue
from holdfast.simulator.core.engine import Core
from holdfast.simulator.core.model import CoreRefusal, SimAccount
from holdfast.simulator.faults import REWRITING, Fault, FaultKind, FaultPlan
from holdfast.simulator.requests import Arrival, RequestLog
from holdfast.simulator.rewrite import rewritten_body

BODY_BYTES_MAX = 1024 * 1024
JSON = "application/json"
WS_PATHS = {"ws": False, "stream": True}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as it came off the wire."""

    method: str
    path: str
    raw_query: str
    raw_body: str
    key: str
    """As sent; not checked yet."""
    address: str
    params: Params


@dataclass(slots=True)
class Answer:
    """What goes back: *body* is JSON unless *kind* says otherwise."""

    status: int
    body: bytes
    headers: dict[str, str]
    code: int = 0
    kind: str = JSON


class _Reset(Exception):
    """The connection is to be cut instead of answered."""


class BinanceApp:
    """REST and WebSocket of one venue. `application` may be served over any transport."""

    def __init__(self, venue: Venue, hub: Hub, clock: Clock, log: RequestLog) -> None:
        self.venue = venue
        self.hub = hub
        self.clock = clock
        self.log = log
        self._stopping = asyncio.Event()
        self._routes = {**ROUTES, **self._listen_key_routes()}
        self.application = web.Application(client_max_size=BODY_BYTES_MAX)
        self.application.router.add_route("*", "/{tail:.*}", self.handle)

    def step(self) -> None:
        """Catch up with the clock and say what happened."""
        now_ms = self.clock.now_ms()
        self.venue.advance(now_ms)
        self.hub.flush(now_ms)

    def next_ms(self) -> int:
        """When the next step is due."""
        return self.venue.next_ms()

    async def stop(self) -> None:
        """Let hanging requests go and close the sockets, each with its handshake if it takes part."""
        self._stopping.set()
        await self.hub.sockets.close_all(CLOSE_WITHIN_S)

    # --- for the admin API -------------------------------------------------------------------------

    @property
    def core(self) -> Core:
        return self.venue.core

    @property
    def faults(self) -> FaultPlan:
        return self.hub.faults

    def name_account(self, key: str, secret: str, wallet: Decimal | None) -> SimAccount:
        """Open an account whose signatures are verified. Raises `ValueError` when the key is taken."""
        return self.venue.name_account(key, secret, wallet)

    def reset_limits(self) -> None:
        self.venue.limiter.reset()

    def expire_stream(self, account_id: str) -> None:
        """Let the account's listen key run out at the next step."""
        self.hub.keys.expire_now(account_id)

    # --- the way of a request ----------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.StreamResponse:
        arrived = await read_request(request)
        await self._travel()
        faults = self._faults(arrived)
        try:
            await self._before(faults, request)
            if is_socket(request):
                return await self._socket(request, arrived, faults)
            answer = self._answer(arrived, faults)
            self.hub.flush(self.clock.now_ms())
            if any(fault.kind is FaultKind.LOST_REPLY for fault in faults):
                raise _Reset
            self._note(arrived, answer.status, answer.code)
            await self._travel(sum(f.delay_ms for f in faults if f.kind is FaultKind.DELAY_REPLY))
            twice = next((fault for fault in faults if fault.kind is FaultKind.DOUBLED_REPLY), None)
            return await _reply_twice(request, answer, twice.delay_ms) if twice else _reply(answer)
        except _Reset:
            self._note(arrived, 0, 0)
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=444)

    async def _travel(self, extra_ms: int = 0) -> None:
        wait_s = self.venue.config.latency_ms / 2_000 + extra_ms / 1_000
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def _faults(self, arrived: Arrived) -> list[Fault]:
        pairs, now_ms = arrived.params.shown(), self.clock.now_ms()
        faults = self.hub.faults.for_request(arrived.method, arrived.path, pairs, arrived.key, now_ms)
        if self.log.listened:
            self._tell_arrival(arrived, pairs, faults, now_ms)
        return faults

    def _tell_arrival(
        self, arrived: Arrived, pairs: Mapping[str, str], faults: list[Fault], now_ms: int
    ) -> None:
        route = self._routes.get((arrived.method, arrived.path))
        arrival = Arrival(
            at_ms=now_ms,
            account=arrived.key,
            address=arrived.address,
            method=arrived.method,
            path=arrived.path,
            params=pairs,
            weight=route.weighs(arrived.params) if route else 1,
            orders=route.orders[0] if route else 0,
            faults=tuple(faults),
        )
        self.log.arrived(arrival)

    async def _before(self, faults: list[Fault], request: web.Request) -> None:
        """Faults that come before any effect and need time or cut the connection."""
        for fault in faults:
            if fault.kind is FaultKind.DELAY:
                await asyncio.sleep(fault.delay_ms / 1_000)
            elif fault.kind is FaultKind.LOST_REQUEST:
                await self._hang(request)
                raise _Reset
            elif fault.kind is FaultKind.ENDPOINT_DOWN and fault.answer()[0] == 0:
                raise _Reset

    async def _hang(self, request: web.Request) -> None:
        """Until the client gives up, the simulator stops, or the longest time has passed."""
        left_ms = self.venue.config.hold_ms_max
        while left_ms > 0 and not self._stopping.is_set():
            if request.transport is None or request.transport.is_closing():
                return
            await asyncio.sleep(0.25)
            left_ms -= 250

    def _answer(self, arrived: Arrived, faults: list[Fault]) -> Answer:
        instead = next((found for found in map(answer_before, faults) if found), None)
        if instead is not None:
            return instead
        answer = self._real_answer(arrived, faults)
        for fault in faults:
            answer = answer_after(fault, answer)
        return answer

    def _real_answer(self, arrived: Arrived, faults: list[Fault]) -> Answer:
        now_ms = self.clock.now_ms()
        self.venue.advance(now_ms)
        stale_ms = sum(fault.delay_ms for fault in faults if fault.kind is FaultKind.STALE_READ)
        call = Call(self.venue, arrived.params, now_ms, arrived.address, extra_lag_ms=stale_ms)
        call.raced = any(fault.kind is FaultKind.FILLED_FIRST for fault in faults)
        try:
            payload = self._checked(arrived, call)
            return Answer(200, orjson.dumps(payload), self._counted(call))
        except CoreRefusal as refusal:
            error = refused(refusal)
        except WireError as wrong:
            error = wrong
        headers = self._counted(call) | error.headers
        return Answer(error.status, orjson.dumps(error.body()), headers, error.code)

    def _counted(self, call: Call) -> dict[str, str]:
        used = self.venue.limiter.used_weight(call.address, call.now_ms)
        return {"X-MBX-USED-WEIGHT-1M": str(used)} | call.headers

    def _checked(self, arrived: Arrived, call: Call) -> object:
        """Ban, route, weight, key, signature, clock, order count; then the handler."""
        limiter = self.venue.limiter
        limiter.check_ban(arrived.address, call.now_ms)
        route = self._routes.get((arrived.method, arrived.path))
        limiter.weigh(arrived.address, route.weighs(arrived.params) if route else 1, call.now_ms)
        if route is None:
            raise no_such_path(arrived.path, arrived.method)
        if route.door is not Door.NOTHING:
            call.key = checked_key(arrived.key)
            call.owner = self._caller(arrived, route)
        if route.orders != (0, 0):
            call.headers |= limiter.count_orders(call.account_id, *route.orders, call.now_ms)
        if call.raced and arrived.method == "DELETE":
            fill_first(call)
        return route.handler(call)

    def _caller(self, arrived: Arrived, route: Route) -> SimAccount:
        """The account, once the request has shown what the route asks for."""
        if route.door is Door.KEY:
            return self.venue.account(arrived.key, arrived.address)
        arrived.params.need("timestamp")
        signature = arrived.params.need("signature")
        known = self.venue.core.account_by_key(arrived.key)
        secret = known.secret if known is not None else ""
        if known is not None or self.venue.config.open_door:
            check_signature(arrived.raw_query, arrived.raw_body, signature, secret or None)
        account = self.venue.account(arrived.key, arrived.address)
        check_time(arrived.params, self.clock.now_ms())
        return account

    def _note(self, arrived: Arrived, status: int, code: int) -> None:
        now_ms, shown = self.clock.now_ms(), arrived.params.shown()
        self.log.add(now_ms, arrived.key, arrived.method, arrived.path, shown, status, code)

    # --- listen keys -------------------------------------------------------------------------------

    def _listen_key_routes(self) -> dict[tuple[str, str], Route]:
        path = "/fapi/v1/listenKey"
        return {
            ("POST", path): Route(self._post_key, 1, Door.KEY),
            ("PUT", path): Route(self._put_key, 1, Door.KEY),
            ("DELETE", path): Route(self._delete_key, 1, Door.KEY),
        }

    def _post_key(self, call: Call) -> dict[str, object]:
        return {"listenKey": self.hub.keys.open(call.account_id, call.now_ms)}

    def _put_key(self, call: Call) -> dict[str, object]:
        return {"listenKey": self.hub.keys.extend(call.account_id, call.now_ms)}

    def _delete_key(self, call: Call) -> dict[str, object]:
        self.hub.keys.close(call.account_id)
        return {}

    # --- WebSocket ---------------------------------------------------------------------------------

    async def _socket(
        self, request: web.Request, arrived: Arrived, faults: list[Fault]
    ) -> web.StreamResponse:
        instead = next((found for found in map(answer_before, faults) if found), None)
        place = socket_place(arrived.path)
        if instead is not None or place is None:
            answer = instead or error_answer(no_such_path(arrived.path, arrived.method))
            self._note(arrived, answer.status, answer.code)
            return _reply(answer)
        category, combined, names = place
        names += [name for name in arrived.params.text("streams").split("/") if name]
        names += [arrived.params.text("listenKey")] if "listenKey" in arrived.params else []
        self._note(arrived, 101, 0)
        return await self.hub.serve(request, category, combined, names)


def _reply(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.status, body=answer.body, headers=answer.headers, content_type=answer.kind
    )


async def _reply_twice(request: web.Request, answer: Answer, delay_ms: int) -> web.StreamResponse:
    """The very same bytes again behind the answer, as a broken proxy sends them."""
    response = _reply(answer)
    await response.prepare(request)
    await response.write_eof()
    await asyncio.sleep(delay_ms / 1_000)
    head = [f"HTTP/1.1 {response.status} {response.reason}"]
    head += [f"{name}: {value}" for name, value in response.headers.items()]
    if request.transport is not None:
        request.transport.write("\r\n".join([*head, "", ""]).encode() + answer.body)
    return response


def is_socket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


async def read_request(request: web.Request) -> Arrived:
    """Take the request apart; the query and body exactly as sent, for the signature is over them."""
    path, _, raw_query = request.raw_path.partition("?")
    body = "" if is_socket(request) else (await request.read()).decode("utf-8", "replace")
    return Arrived(
        method=request.method,
        path=path,
        raw_query=raw_query,
        raw_body=body,
        key=request.headers.get("X-MBX-APIKEY", ""),
        address=request.remote or "0.0.0.0",  # noqa: S104  (a word for "unknown", nothing is bound)
        params=Params.read(raw_query, body),
    )


def socket_place(path: str) -> tuple[str, bool, list[str]] | None:
    """Category, combined?, streams named in the path; None when no socket is served there.

    `/market/ws/0` is ccxt's: a bare number names no stream.
    """
    parts = [part for part in path.split("/") if part]
    category = parts.pop(0) if parts and parts[0] in CATEGORIES else ""
    if not parts or parts[0] not in WS_PATHS:
        return None
    names = [part for part in parts[1:] if not part.isdigit()]
    return category, WS_PATHS[parts[0]], names


# --- what faults answer ----------------------------------------------------------------------------

_BEFORE = (
    FaultKind.ERROR_BEFORE,
    FaultKind.REJECT,
    FaultKind.ENDPOINT_DOWN,
    FaultKind.RATE_LIMITED,
    FaultKind.HTML,
)
_PAGE = b"<html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"


def error_answer(error: WireError) -> Answer:
    return Answer(error.status, orjson.dumps(error.body()), dict(error.headers), error.code)


def answer_before(fault: Fault) -> Answer | None:
    """The answer of a fault that lets nothing through; None when it lets the request through."""
    if fault.kind not in _BEFORE:
        return None
    status, code, msg = fault.answer()
    if fault.kind is FaultKind.HTML:
        return Answer(status, _PAGE, {}, 0, "text/html")
    headers = {"Retry-After": str(fault.retry_after_s)} if fault.kind is FaultKind.RATE_LIMITED else {}
    return _spoken(status, code, msg, headers)


def answer_after(fault: Fault, answer: Answer) -> Answer:
    """The true answer, as this fault leaves it."""
    if fault.kind is FaultKind.ERROR_AFTER:
        return _spoken(*fault.answer(), dict(answer.headers))
    if fault.kind is FaultKind.EMPTY:
        return Answer(200, b"", answer.headers)
    if fault.kind is FaultKind.TRUNCATED:
        return Answer(answer.status, answer.body[: len(answer.body) // 2], answer.headers)
    if fault.kind is FaultKind.EMPTY_READ:
        return Answer(200, b"[]", answer.headers)
    if fault.kind in REWRITING:
        return replace(answer, body=rewritten_body(fault, answer.body))
    return answer


def _spoken(status: int, code: int, msg: str, headers: Mapping[str, str]) -> Answer:
    """With a code the exchange's JSON; without one the bare words, as its gateways answer."""
    body = orjson.dumps({"code": code, "msg": msg}) if code else orjson.dumps({"msg": msg})
    return Answer(status, body, dict(headers), code)
