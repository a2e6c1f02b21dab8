"""BingX's own door: its order of checks, its envelope, its fault words."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from aiohttp import web

from holdfast.domain.protocols import Clock
from holdfast.simulator.bingx.auth import check_signature, check_time
from holdfast.simulator.bingx.errors import (
    OLD_CODES,
    RATE_LIMITED,
    bad_key,
    no_permission,
    no_such_path,
    refused,
)
from holdfast.simulator.bingx.params import Params
from holdfast.simulator.bingx.routes import ROUTES, Door, Route
from holdfast.simulator.bingx.tongue import BingxTongue
from holdfast.simulator.bingx.venue import Call, Venue, Whole
from holdfast.simulator.core.model import CoreRefusal, SimAccount
from holdfast.simulator.faults import Fault, FaultKind, FaultPlan
from holdfast.simulator.requests import RequestLog
from holdfast.simulator.wire.answers import Answer
from holdfast.simulator.wire.app import Arrived, Place, WireApp, is_socket
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.hub import Hub

SOCKET_PATH = "/swap-market"
# Business errors are HTTP 200 here; these faults would say 4xx or name another exchange's code.
_USUAL: Mapping[FaultKind, tuple[int, int, str]] = {
    FaultKind.REJECT: (200, 109400, "Invalid parameters"),
    FaultKind.RATE_LIMITED: (200, 100410, "rate limited"),
    FaultKind.ERROR_AFTER: (504, 0, "Gateway Time-out"),
}


class BingxApp(WireApp[Params, Call]):
    """REST and WebSocket of one BingX."""

    venue: Venue

    def __init__(self, venue: Venue, faults: FaultPlan, clock: Clock, log: RequestLog) -> None:
        super().__init__(venue, Hub(venue, faults, BingxTongue(venue)), clock, log)

    def reset_limits(self) -> None:
        self.venue.limiter.reset()

    def use_up(self, address: str, amount: int, now_ms: int) -> None:
        used = self.venue.limiter.used(address, public=False, now_ms=now_ms)
        self.venue.limiter.count_address(address, public=False, now_ms=now_ms, amount=max(0, amount - used))

    async def read(self, request: web.Request) -> Arrived[Params]:
        path, _, raw_query = request.raw_path.partition("?")
        body = "" if is_socket(request) else (await request.read()).decode("utf-8", "replace")
        return Arrived(
            method=request.method,
            path=path,
            raw_query=raw_query,
            raw_body=body,
            key=request.headers.get("X-BX-APIKEY", ""),
            address=request.remote or "0.0.0.0",  # noqa: S104  (a word for "unknown", nothing is bound)
            params=Params.read(raw_query, body),
        )

    def weighs(self, arrived: Arrived[Params]) -> tuple[int, int]:
        route = ROUTES.get((arrived.method, arrived.path))
        return 1, route.orders if route else 0

    def call(self, arrived: Arrived[Params], now_ms: int) -> Call:
        return Call(self.venue, arrived.params, now_ms, arrived.address, arrived.key)

    # --- answers -----------------------------------------------------------------------------------

    def told(self, call: Call, payload: object) -> Answer:
        if not isinstance(payload, Whole):
            return Answer(200, orjson.dumps({"code": 0, "msg": "", "data": payload}), self._counted(call))
        body = b"" if payload.body is None else orjson.dumps(payload.body)
        return Answer(payload.status, body, self._counted(call))

    def refused(self, refusal: CoreRefusal) -> WireError:
        return refused(refusal)

    def denied(self, call: Call, error: WireError) -> Answer:
        if call.owner is not None and error.code != RATE_LIMITED:
            self.venue.limiter.count_invalid(call.account_id, call.now_ms)
        code = OLD_CODES.get(error.code, error.code) if call.switches.old_codes else error.code
        body = orjson.dumps({"code": code, "msg": error.msg, "data": {}})
        return Answer(error.status, body, self._counted(call) | error.headers, code)

    def _counted(self, call: Call) -> dict[str, str]:
        left, ends_ms = self.venue.limiter.left(call.address, call.owner is None, call.now_ms)
        return {"X-RateLimit-Requests-Remain": str(left), "X-RateLimit-Requests-Expire": str(ends_ms)}

    def says(self, fault: Fault) -> tuple[int, int, str]:
        if fault.status is not None:
            return fault.status, fault.code or 0, fault.msg or ""
        if fault.code is not None:
            return 200, fault.code, fault.msg or ""
        return _USUAL.get(fault.kind) or fault.answer()

    def spoken(self, status: int, code: int, msg: str, headers: Mapping[str, str]) -> Answer:
        body: dict[str, object] = {"code": code, "msg": msg, "data": {}} if code else {"msg": msg}
        kept = {name: value for name, value in headers.items() if status != 200 or name != "Retry-After"}
        return Answer(status, orjson.dumps(body), kept, code)

    def emptied(self, body: bytes) -> bytes:
        """The same answer with every list in it empty; what is no JSON any more passes as it is."""
        try:
            return orjson.dumps(_emptied(orjson.loads(body)))
        except orjson.JSONDecodeError:
            return body

    # --- the door ----------------------------------------------------------------------------------

    def checked(self, arrived: Arrived[Params], call: Call) -> object:
        """Route, address, key, signature, clock, permission, pace; then the handler."""
        limiter, route = self.venue.limiter, ROUTES.get((arrived.method, arrived.path))
        if route is None:
            raise no_such_path(arrived.path)
        public = route.door is Door.NOTHING
        limiter.count_address(arrived.address, public, call.now_ms)
        if not public:
            owner = self._caller(arrived, route)
            limiter.check_pause(owner.account_id, call.now_ms)
            call.owner = owner
            endpoint = f"{arrived.method} {arrived.path}"
            limiter.count_path(owner.account_id, endpoint, route.per_second, call.now_ms)
            if route.trades and not owner.can_trade:
                raise no_permission()
        return route.handler(call)

    def _caller(self, arrived: Arrived[Params], route: Route) -> SimAccount:
        """The account, once the request has shown what the route asks for."""
        if not arrived.key:
            raise bad_key()
        known = self.venue.core.account_by_key(arrived.key)
        if route.door is Door.SIGNATURE and (known is not None or self.venue.config.open_door):
            secret = known.secret if known is not None else ""
            check_signature(arrived.raw_query, arrived.raw_body, arrived.params.sent, secret or None)
        account = self.venue.account(arrived.key)
        if route.door is Door.SIGNATURE:
            check_time(arrived.params, self.clock.now_ms())
        return account

    def place(self, arrived: Arrived[Params]) -> Place | Answer:
        if arrived.path.rstrip("/") != SOCKET_PATH:
            return self.spoken(404, 100400, no_such_path(arrived.path).msg, {})
        key = arrived.params.text("listenKey")
        return Place("", combined=False, names=[key] if key else [])


def _emptied(value: object) -> object:
    if isinstance(value, list):
        return []
    if isinstance(value, dict):
        return {name: _emptied(inner) for name, inner in value.items()}
    return value
