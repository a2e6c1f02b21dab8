"""Binance's own door: its routes, its order of checks, its headers."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from aiohttp import web

from holdfast.domain.protocols import Clock
from holdfast.simulator.binance.auth import check_signature, check_time, checked_key
from holdfast.simulator.binance.control import CATEGORIES
from holdfast.simulator.binance.errors import no_such_path, refused, unknown_key
from holdfast.simulator.binance.params import Params
from holdfast.simulator.binance.races import fill_first
from holdfast.simulator.binance.routes import ROUTES, Door, Route
from holdfast.simulator.binance.tongue import BinanceTongue
from holdfast.simulator.binance.venue import Call, Venue
from holdfast.simulator.core.model import CoreRefusal, SimAccount
from holdfast.simulator.faults import FaultPlan
from holdfast.simulator.requests import RequestLog
from holdfast.simulator.wire.answers import Answer
from holdfast.simulator.wire.app import Arrived, Place, WireApp, is_socket
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.hub import Hub

WS_PATHS = {"ws": False, "stream": True}


class BinanceApp(WireApp[Params, Call]):
    """REST and WebSocket of one Binance."""

    venue: Venue

    def __init__(self, venue: Venue, faults: FaultPlan, clock: Clock, log: RequestLog) -> None:
        super().__init__(venue, Hub(venue, faults, BinanceTongue(venue)), clock, log)

    def reset_limits(self) -> None:
        self.venue.limiter.reset()

    def use_up(self, address: str, amount: int, now_ms: int) -> None:
        used = self.venue.limiter.used_weight(address, now_ms)
        self.venue.limiter.weigh(address, max(0, amount - used), now_ms)

    async def read(self, request: web.Request) -> Arrived[Params]:
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

    def weighs(self, arrived: Arrived[Params]) -> tuple[int, int]:
        route = ROUTES.get((arrived.method, arrived.path))
        return (route.weighs(arrived.params), route.orders[0]) if route else (1, 0)

    def call(self, arrived: Arrived[Params], now_ms: int) -> Call:
        return Call(self.venue, arrived.params, now_ms, arrived.address)

    # --- answers -----------------------------------------------------------------------------------

    def told(self, call: Call, payload: object) -> Answer:
        return Answer(200, orjson.dumps(payload), self._counted(call))

    def refused(self, refusal: CoreRefusal) -> WireError:
        return refused(refusal)

    def denied(self, call: Call, error: WireError) -> Answer:
        headers = self._counted(call) | error.headers
        return Answer(error.status, orjson.dumps(error.body()), headers, error.code)

    def _counted(self, call: Call) -> dict[str, str]:
        used = self.venue.limiter.used_weight(call.address, call.now_ms)
        return {"X-MBX-USED-WEIGHT-1M": str(used)} | call.headers

    def spoken(self, status: int, code: int, msg: str, headers: Mapping[str, str]) -> Answer:
        body = orjson.dumps({"code": code, "msg": msg}) if code else orjson.dumps({"msg": msg})
        return Answer(status, body, dict(headers), code)

    # --- the door ----------------------------------------------------------------------------------

    def checked(self, arrived: Arrived[Params], call: Call) -> object:
        """Ban, route, weight, key, signature, clock, order count; then the handler."""
        limiter = self.venue.limiter
        limiter.check_ban(arrived.address, call.now_ms)
        route = ROUTES.get((arrived.method, arrived.path))
        limiter.weigh(arrived.address, route.weighs(arrived.params) if route else 1, call.now_ms)
        if route is None:
            raise no_such_path(arrived.path, arrived.method)
        if route.door is not Door.NOTHING:
            call.key = checked_key(arrived.key)
            call.owner = self._caller(arrived, route)
        if changes(arrived.method, route) and not call.account.can_trade:
            raise unknown_key(arrived.address)
        if route.orders != (0, 0):
            call.headers |= limiter.count_orders(call.account_id, *route.orders, call.now_ms)
        if call.raced and arrived.method == "DELETE":
            fill_first(call)
        return route.handler(call)

    def _caller(self, arrived: Arrived[Params], route: Route) -> SimAccount:
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

    def place(self, arrived: Arrived[Params]) -> Place | Answer:
        place = socket_place(arrived.path)
        if place is None:
            error = no_such_path(arrived.path, arrived.method)
            return Answer(error.status, orjson.dumps(error.body()), dict(error.headers), error.code)
        place.names.extend(name for name in arrived.params.text("streams").split("/") if name)
        if "listenKey" in arrived.params:
            place.names.append(arrived.params.text("listenKey"))
        return place


def changes(method: str, route: Route) -> bool:
    """What a key needs the right to trade for."""
    return route.door is Door.SIGNATURE and method != "GET"


def socket_place(path: str) -> Place | None:
    """Category, combined?, streams named in the path; None when no socket is served there.

    `/market/ws/0` is ccxt's: a bare number names no stream.
    """
    parts = [part for part in path.split("/") if part]
    category = parts.pop(0) if parts and parts[0] in CATEGORIES else ""
    if not parts or parts[0] not in WS_PATHS:
        return None
    names = [part for part in parts[1:] if not part.isdigit()]
    return Place(category, WS_PATHS[parts[0]], names)
