"""The exchange's own door: one aiohttp application that answers REST and WebSocket.

The way of a request: it travels (half the latency), meets the faults, the clock catches up, it is
counted, checked and answered by the core in one go, and the answer travels back. Nothing awaits
between the checks and the effect.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Generic, TypeVar

from aiohttp import web

from holdfast.domain.protocols import Clock
from holdfast.simulator.core.engine import Core
from holdfast.simulator.core.model import CoreRefusal, SimAccount
from holdfast.simulator.faults import REWRITING, Fault, FaultKind, FaultPlan
from holdfast.simulator.requests import Arrival, RequestLog
from holdfast.simulator.rewrite import rewritten_body
from holdfast.simulator.wire.answers import BEFORE, PAGE, Answer, reply, reply_twice
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.hub import CLOSE_WITHIN_S, Hub
from holdfast.simulator.wire.params import Params
from holdfast.simulator.wire.venue import Call, Venue

BODY_BYTES_MAX = 1024 * 1024

ParamsT = TypeVar("ParamsT", bound=Params)
CallT = TypeVar("CallT", bound=Call)


@dataclass(frozen=True, slots=True)
class Arrived(Generic[ParamsT]):
    """A request as it came off the wire."""

    method: str
    path: str
    raw_query: str
    raw_body: str
    key: str
    """As sent; not checked yet."""
    address: str
    params: ParamsT
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a socket belongs, and the streams its address names."""

    category: str
    combined: bool
    names: list[str]


class _Reset(Exception):
    """The connection is to be cut instead of answered."""


class WireApp(ABC, Generic[ParamsT, CallT]):
    """REST and WebSocket of one venue. `application` may be served over any transport."""

    def __init__(self, venue: Venue, hub: Hub, clock: Clock, log: RequestLog) -> None:
        self.venue = venue
        self.hub = hub
        self.clock = clock
        self.log = log
        self._stopping = asyncio.Event()
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

    def name_account(self, key: str, secret: str, wallet: Decimal | None, passphrase: str = "") -> SimAccount:
        """Open an account whose signatures are verified. Raises `ValueError` when the key is taken."""
        return self.venue.name_account(key, secret, wallet, passphrase)

    @abstractmethod
    def reset_limits(self) -> None:
        """Forget rate-limit counts and bans."""

    @abstractmethod
    def use_up(self, address: str, amount: int, now_ms: int) -> None:
        """Other programs on *address* use the budget up to *amount* of the present window."""

    def expire_stream(self, account_id: str) -> None:
        """Let the account's listen key run out at the next step."""
        self.hub.keys.expire_now(account_id)

    # --- the dialect's part ------------------------------------------------------------------------

    @abstractmethod
    async def read(self, request: web.Request) -> Arrived[ParamsT]:
        """Take the request apart; the query and body exactly as sent, for the signature is over them."""

    @abstractmethod
    def weighs(self, arrived: Arrived[ParamsT]) -> tuple[int, int]:
        """What it counts against the limits: requests and orders."""

    @abstractmethod
    def call(self, arrived: Arrived[ParamsT], now_ms: int) -> CallT:
        """What handlers are given."""

    @abstractmethod
    def checked(self, arrived: Arrived[ParamsT], call: CallT) -> object:
        """Every check of the door, then the handler's payload. Raises `WireError`, `CoreRefusal`."""

    @abstractmethod
    def told(self, call: CallT, payload: object) -> Answer:
        """The answer around a payload."""

    @abstractmethod
    def refused(self, refusal: CoreRefusal) -> WireError:
        """The exchange's error for what the core refused."""

    @abstractmethod
    def denied(self, call: CallT, error: WireError) -> Answer:
        """The answer around an error."""

    @abstractmethod
    def place(self, arrived: Arrived[ParamsT]) -> Place | Answer:
        """Where a WebSocket request leads."""

    def says(self, fault: Fault) -> tuple[int, int, str]:
        """Status, code and message of a fault."""
        return fault.answer()

    @abstractmethod
    def spoken(self, status: int, code: int, msg: str, headers: Mapping[str, str]) -> Answer:
        """An error as a fault words it: with a code in the exchange's manner, without as gateways do."""

    def emptied(self, body: bytes) -> bytes:
        """A read's answer as if nothing were there."""
        return b"[]"

    # --- the way of a request ----------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.StreamResponse:
        arrived = await self.read(request)
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
            return await reply_twice(request, answer, twice.delay_ms) if twice else reply(answer)
        except _Reset:
            self._note(arrived, 0, 0)
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=444)

    async def _travel(self, extra_ms: int = 0) -> None:
        wait_s = self.venue.config.latency_ms / 2_000 + extra_ms / 1_000
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def _faults(self, arrived: Arrived[ParamsT]) -> list[Fault]:
        pairs, now_ms = arrived.params.shown(), self.clock.now_ms()
        faults = self.hub.faults.for_request(arrived.method, arrived.path, pairs, arrived.key, now_ms)
        if self.log.listened:
            self._tell_arrival(arrived, pairs, faults, now_ms)
        return faults

    def _tell_arrival(
        self, arrived: Arrived[ParamsT], pairs: Mapping[str, str], faults: list[Fault], now_ms: int
    ) -> None:
        weight, orders = self.weighs(arrived)
        arrival = Arrival(
            at_ms=now_ms,
            account=arrived.key,
            address=arrived.address,
            method=arrived.method,
            path=arrived.path,
            params=pairs,
            weight=weight,
            orders=orders,
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

    def _answer(self, arrived: Arrived[ParamsT], faults: list[Fault]) -> Answer:
        instead = next((found for found in map(self._answer_before, faults) if found), None)
        if instead is not None:
            return instead
        answer = self._real_answer(arrived, faults)
        for fault in faults:
            answer = self._answer_after(fault, answer)
        return answer

    def _answer_before(self, fault: Fault) -> Answer | None:
        """The answer of a fault that lets nothing through; None when it lets the request through."""
        if fault.kind not in BEFORE:
            return None
        status, code, msg = self.says(fault)
        if fault.kind is FaultKind.HTML:
            return Answer(status, PAGE, {}, 0, "text/html")
        headers = {"Retry-After": str(fault.retry_after_s)} if fault.kind is FaultKind.RATE_LIMITED else {}
        return self.spoken(status, code, msg, headers)

    def _answer_after(self, fault: Fault, answer: Answer) -> Answer:
        """The true answer, as this fault leaves it."""
        if fault.kind is FaultKind.ERROR_AFTER:
            return self.spoken(*self.says(fault), dict(answer.headers))
        if fault.kind is FaultKind.EMPTY:
            return Answer(200, b"", answer.headers)
        if fault.kind is FaultKind.TRUNCATED:
            return Answer(answer.status, answer.body[: len(answer.body) // 2], answer.headers)
        if fault.kind is FaultKind.EMPTY_READ:
            return Answer(200, self.emptied(answer.body), answer.headers)
        if fault.kind in REWRITING:
            return replace(answer, body=rewritten_body(fault, answer.body))
        return answer

    def _real_answer(self, arrived: Arrived[ParamsT], faults: list[Fault]) -> Answer:
        now_ms = self.clock.now_ms()
        self.venue.advance(now_ms)
        call = self.call(arrived, now_ms)
        call.extra_lag_ms = sum(fault.delay_ms for fault in faults if fault.kind is FaultKind.STALE_READ)
        call.raced = any(fault.kind is FaultKind.FILLED_FIRST for fault in faults)
        try:
            return self.told(call, self.checked(arrived, call))
        except CoreRefusal as refusal:
            error = self.refused(refusal)
        except WireError as wrong:
            error = wrong
        return self.denied(call, error)

    def _note(self, arrived: Arrived[ParamsT], status: int, code: int) -> None:
        now_ms, shown = self.clock.now_ms(), arrived.params.shown()
        self.log.add(now_ms, arrived.key, arrived.method, arrived.path, shown, status, code)

    # --- WebSocket ---------------------------------------------------------------------------------

    async def _socket(
        self, request: web.Request, arrived: Arrived[ParamsT], faults: list[Fault]
    ) -> web.StreamResponse:
        instead = next((found for found in map(self._answer_before, faults) if found), None)
        place = instead or self.place(arrived)
        if isinstance(place, Answer):
            self._note(arrived, place.status, place.code)
            return reply(place)
        self._note(arrived, 101, 0)
        return await self.hub.serve(request, place.category, place.combined, place.names)


def is_socket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"
