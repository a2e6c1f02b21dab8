"""Bitget's own door: its routes, its order of checks, its envelope (bitget.md §1, §2)."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from aiohttp import WSCloseCode, web

from holdfast.domain.protocols import Clock
from holdfast.simulator.bitget.auth import Credentials, check_sign, check_time, require_headers
from holdfast.simulator.bitget.errors import no_such_path, no_trading, refused, unknown_key, wrong_passphrase
from holdfast.simulator.bitget.params import Params
from holdfast.simulator.bitget.races import fill_first
from holdfast.simulator.bitget.routes import ROUTES
from holdfast.simulator.bitget.tongue import BitgetTongue
from holdfast.simulator.bitget.tpsl import bring_to_life
from holdfast.simulator.bitget.venue import Call, Venue
from holdfast.simulator.core.model import CoreRefusal, SimAccount
from holdfast.simulator.faults import Fault, FaultKind, FaultPlan
from holdfast.simulator.requests import RequestLog
from holdfast.simulator.wire.answers import Answer
from holdfast.simulator.wire.app import Arrived, Place, WireApp, is_socket
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.hub import Hub

SOCKETS = {"/v2/ws/public": "public", "/v2/ws/private": "private"}
# What a fault says where it does not say itself: (status, code, message).
SAYINGS: Mapping[FaultKind, tuple[int, int, str]] = {
    FaultKind.ERROR_BEFORE: (400, 40725, "service return an error"),
    FaultKind.ERROR_AFTER: (400, 40010, "Request timed out"),
    FaultKind.REJECT: (400, 40762, "The order amount exceeds the balance"),
    FaultKind.ENDPOINT_DOWN: (400, 40200, "Server upgrade, please try again later"),
    FaultKind.RATE_LIMITED: (429, 429, "Too Many Requests"),
}


class BitgetApp(WireApp[Params, Call]):
    """REST and WebSocket of one Bitget."""

    venue: Venue

    def __init__(self, venue: Venue, faults: FaultPlan, clock: Clock, log: RequestLog) -> None:
        super().__init__(venue, Hub(venue, faults, BitgetTongue(venue)), clock, log)

    def step(self) -> None:
        self.venue.advance(self.clock.now_ms())
        bring_to_life(self.venue)
        super().step()

    def reset_limits(self) -> None:
        self.venue.limiter.reset()

    def use_up(self, address: str, amount: int, now_ms: int) -> None:
        used = self.venue.limiter.used(address, now_ms)
        self.venue.limiter.count(address, now_ms, max(0, amount - used))

    def expire_stream(self, account_id: str) -> None:
        """Close the sockets that have logged in to the account."""
        for socket in self.hub.sockets.all():
            if self.hub.tongue.owner(socket) == account_id:
                socket.close(WSCloseCode.GOING_AWAY)

    # --- the way in --------------------------------------------------------------------------------

    async def read(self, request: web.Request) -> Arrived[Params]:
        path, _, raw_query = request.raw_path.partition("?")
        body = "" if is_socket(request) else (await request.read()).decode("utf-8", "replace")
        return Arrived(
            method=request.method,
            path=path,
            raw_query=raw_query,
            raw_body=body,
            key=request.headers.get("ACCESS-KEY", ""),
            address=request.remote or "0.0.0.0",  # noqa: S104  (a word for "unknown", nothing is bound)
            params=Params.read(raw_query, body),
            headers=request.headers,
        )

    def weighs(self, arrived: Arrived[Params]) -> tuple[int, int]:
        route = ROUTES.get((arrived.method, arrived.path))
        return 1, int(route is not None and route.trades)

    def call(self, arrived: Arrived[Params], now_ms: int) -> Call:
        bring_to_life(self.venue)
        return Call(self.venue, arrived.params, now_ms, arrived.address)

    def checked(self, arrived: Arrived[Params], call: Call) -> object:
        """Address count, route, key, signature, clock, passphrase, endpoint count, right; the handler."""
        limiter = self.venue.limiter
        limiter.count(arrived.address, call.now_ms)
        route = ROUTES.get((arrived.method, arrived.path))
        if route is None:
            raise no_such_path()
        if route.signed:
            call.key = arrived.key
            call.owner = self._caller(arrived, call.now_ms)
        who = call.key if route.signed else arrived.address
        limiter.count_endpoint(who, arrived.path, route.per_second, call.now_ms)
        if route.trades and not call.account.can_trade:
            raise no_trading()
        if call.raced and route.cancels:
            fill_first(call)
        payload = route.handler(call)
        bring_to_life(self.venue)
        return payload

    def _caller(self, arrived: Arrived[Params], now_ms: int) -> SimAccount:
        """The account, once the request has shown all it must."""
        shown = _credentials(arrived)
        require_headers(shown)
        known = self.venue.core.account_by_key(shown.key)
        if known is None and not self.venue.config.open_door:
            raise unknown_key()
        check_time(shown.timestamp, now_ms)
        check_sign(shown, known.secret if known is not None else "")
        if self.venue.passphrases.get(shown.key, shown.passphrase) != shown.passphrase:
            raise wrong_passphrase(self.venue.switches.wrong_passphrase)
        return self.venue.account(shown.key)

    # --- answers -----------------------------------------------------------------------------------

    def told(self, call: Call, payload: object) -> Answer:
        return Answer(200, _envelope(0, "success", payload, call.now_ms), call.headers)

    def refused(self, refusal: CoreRefusal) -> WireError:
        return refused(refusal)

    def denied(self, call: Call, error: WireError) -> Answer:
        body = _envelope(error.code, error.msg, None, call.now_ms)
        return Answer(error.status, body, call.headers | error.headers, error.code)

    def says(self, fault: Fault) -> tuple[int, int, str]:
        """A fault without a code of its own has one of Bitget's; HTML pages have none."""
        status, code, msg = SAYINGS.get(fault.kind, fault.answer())
        return (
            status if fault.status is None else fault.status,
            code if fault.code is None else fault.code,
            msg if fault.msg is None else fault.msg,
        )

    def spoken(self, status: int, code: int, msg: str, headers: Mapping[str, str]) -> Answer:
        return Answer(status, _envelope(code, msg, None, self.clock.now_ms()), dict(headers), code)

    def emptied(self, body: bytes) -> bytes:
        """The envelope stays, its lists are empty; what is no JSON any more passes as it is."""
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            return body
        data = answer.get("data") if isinstance(answer, dict) else None
        if isinstance(data, dict):
            answer["data"] = {name: [] if isinstance(rows, list) else rows for name, rows in data.items()}
        elif isinstance(data, list):
            answer["data"] = []
        return orjson.dumps(answer)

    # --- WebSocket ---------------------------------------------------------------------------------

    def place(self, arrived: Arrived[Params]) -> Place | Answer:
        category = SOCKETS.get(arrived.path)
        if category is None:
            error = no_such_path()
            return self.spoken(error.status, error.code, error.msg, {})
        return Place(category, combined=False, names=[])


def _credentials(arrived: Arrived[Params]) -> Credentials:
    headers, stamp = arrived.headers, arrived.headers.get("ACCESS-TIMESTAMP", "")
    query = f"?{arrived.raw_query}" if arrived.raw_query else ""
    return Credentials(
        key=arrived.key,
        sign=headers.get("ACCESS-SIGN", ""),
        timestamp=stamp,
        passphrase=headers.get("ACCESS-PASSPHRASE", ""),
        signed=f"{stamp}{arrived.method}{arrived.path}{query}{arrived.raw_body}",
    )


def _envelope(code: int, msg: str, data: object, now_ms: int) -> bytes:
    """Every answer has this form; codes are strings, and success is five zeros."""
    return orjson.dumps(
        {"code": f"{code:05}" if not code else str(code), "msg": msg, "requestTime": now_ms, "data": data}
    )
