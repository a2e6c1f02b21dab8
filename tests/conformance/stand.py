"""Where cases are run: an adapter and the simulated exchange in virtual time, in one position mode.

Each case has an exchange of its own, which costs milliseconds: none can spoil another's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from holdfast.domain.account import Mark, Position, PositionMode
from holdfast.domain.instrument import Instrument
from holdfast.domain.intents import (
    Accepted,
    Intent,
    Journaled,
    Outcome,
    Priority,
    Purpose,
    Rejected,
    RejectReason,
)
from holdfast.domain.orders import Direction, Fill, Order, OrderType, PositionSide, Side, Stop
from holdfast.domain.secret import Secret
from holdfast.domain.symbol import Symbol
from holdfast.drills.clock import VirtualClock
from holdfast.drills.loop import SimLoop
from holdfast.drills.network import Conditions, LinkKind, Network
from holdfast.drills.patches import Sources, patched
from holdfast.exchanges.factory import Credentials, MadeExchange, make_exchange
from holdfast.exchanges.port import News, StreamState
from holdfast.exchanges.shared import ExchangeSettings, ExchangeShared
from holdfast.simulator.core.engine import Core
from holdfast.simulator.core.generated import generated_market
from holdfast.simulator.core.market import Market
from holdfast.simulator.core.model import SimAccount, SimAlgo, SimOrder
from holdfast.simulator.faults import read_fault
from holdfast.simulator.server import ServerConfig, SimulatorServer
from tests.exchanges.support import approved

D = Decimal
T = TypeVar("T")
P = Priority.TRADE
BTC, ETH, XRP = SYMBOLS = tuple(Symbol.parse(name) for name in ("BTCUSDT", "ETHUSDT", "XRPUSDT"))
NONE_SUCH = Symbol("NOPE", "USDT", "USDT")
MODES = (PositionMode.ONE_WAY, PositionMode.HEDGE)
HOST, PORT = "127.0.0.1", 18_080
HOUR_MS = 3_600_000
KEY, SECRET, PASSPHRASE = "key", "secret", "word"
LONGEST_S = 900
PACE_S = 0.3
"""Between two questions of a case: nothing here is about the pace of an endpoint."""
LOT = D("0.01")
"""What cases trade of BTC, unless they are about the size."""


@cache
def _market(start_ms: int) -> Market:
    """The same for all: nothing in it changes, whatever an exchange makes of its prices."""
    return generated_market(SYMBOLS, start_ms, 3 * HOUR_MS, 7)


class Stand:
    """A simulated exchange with one account, and the loop it lives on."""

    def __init__(self, exchange: str, mode: PositionMode, **ways: Any) -> None:
        """*ways*: the exchange's own part of the simulator's configuration."""
        self.exchange = exchange
        self.mode = mode
        self.loop = SimLoop(None)
        self.clock = VirtualClock(self.loop.time)
        conditions = {kind: Conditions(latency_ms=(1.0, 3.0)) for kind in LinkKind}
        self.network = Network(self.loop, random.Random, conditions)
        config = ServerConfig(exchange=exchange, host=HOST, seed=7, read_lag_ms=(0, 0), **ways)
        self.server = SimulatorServer(config, _market(self.clock.now_ms()), self.clock)
        self.server.app.name_account(KEY, SECRET, None, PASSPHRASE)
        if self.core.view(KEY).position_mode is not mode:
            self.core.set_position_mode(KEY, mode)

    @property
    def core(self) -> Core:
        return self.server.core

    async def play(self, proof: Callable[[Desk], Awaitable[None]]) -> None:
        """The exchange opens, the adapter is put to the proof, all ends."""
        await self.server.start(listen=False)
        self.network.listen(HOST, PORT, self.server.exchange_server)
        await asyncio.sleep(3)
        try:
            async with asyncio.timeout(LONGEST_S), Desk.open(self) as desk:
                await proof(desk)
        finally:
            await self.server.stop()


def run(exchange: str, mode: PositionMode, proof: Callable[[Desk], Awaitable[None]], **ways: Any) -> None:
    """Put one exchange's adapter to the proof; raises what that raises."""
    stand = Stand(exchange, mode, **ways)
    loop = stand.loop
    with patched(Sources(stand.clock.now_s, loop.time, random.Random(7))):
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(stand.play(proof))
        finally:
            asyncio.set_event_loop(None)
            loop.close()
    assert loop.problems == [], loop.problems


@dataclass
class Desk:
    """One account: the adapter a case talks to, the exchange's truth, and what the streams told."""

    stand: Stand
    exchange: MadeExchange
    clock: VirtualClock
    """The adapter's, which a case may set wrong."""
    heard: list[News] = field(default_factory=list)
    journal: list[Journaled] = field(default_factory=list)
    """What was sent, with the exchange's ids where it told them, as a bot writes it down."""
    sent: int = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, stand: Stand, secret: str = SECRET, **changes: Any) -> AsyncIterator[Desk]:
        """An opened adapter of its own process: nothing is shared with others but the account."""
        clock = VirtualClock(stand.loop.time)
        settings = {"request_timeout_s": 2.0, "ping_every_s": 1.0, "pong_within_s": 1.0, **changes}
        shared = ExchangeShared(
            clock=clock,
            random=random.Random(1),
            settings=ExchangeSettings(**settings),
            connector=stand.network.connector,
        )
        exchange = make_exchange(
            stand.exchange,
            credentials=Credentials(KEY, Secret(secret), Secret(PASSPHRASE)),
            base_url=f"http://{HOST}:{PORT}",
            clock=clock,
            shared=shared,
        )
        try:
            await exchange.open()
            yield cls(stand, exchange, clock)
        finally:
            await exchange.close()
            await shared.close()

    @asynccontextmanager
    async def again(self, **changes: Any) -> AsyncIterator[Desk]:
        """The same account in a new process, which knows of this one what its journal says."""
        async with Desk.open(self.stand, **changes) as desk:
            desk.sent = self.sent + 1000
            stops = [each for each in self.journal if each.intent.purpose is Purpose.PLACE_STOP]
            desk.exchange.remember_stops(stops)
            yield desk

    # --- time and what goes wrong ------------------------------------------------------------------

    @property
    def hedge(self) -> bool:
        return self.stand.mode is PositionMode.HEDGE

    @property
    def core(self) -> Core:
        return self.stand.core

    @property
    def account(self) -> SimAccount:
        """What the exchange has."""
        self.stand.server.step()
        return self.core.view(KEY)

    async def rest(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def until(self, condition: Callable[[], bool], within_s: float = 60) -> None:
        """Let time pass until it is so."""
        end = self.stand.loop.time() + within_s
        while not condition():
            assert self.stand.loop.time() < end, f"not so within {within_s} s"
            await asyncio.sleep(0.05)

    def fault(self, kind: str, **what: Any) -> int:
        """Make something go wrong; gives the number to end it with."""
        return self.stand.server.faults.add(read_fault({"kind": kind, **what}))

    def unfault(self, number: int) -> None:
        self.stand.server.faults.remove(number)

    async def move(self, ratio: str) -> None:
        """The price of BTC jumps, and what that brings about has happened."""
        self.core.move_price(BTC, D(ratio))
        await self.rest(5)

    # --- asking --------------------------------------------------------------------------------------

    def rules(self, symbol: Symbol = BTC) -> Instrument:
        found = self.exchange.instrument(symbol)
        assert found is not None
        return found

    async def mark(self, symbol: Symbol = BTC) -> Mark:
        await self.rest(PACE_S)
        return (await self.exchange.marks([symbol], priority=P))[symbol]

    async def price(self, ratio: str, symbol: Symbol = BTC) -> Decimal:
        """A price of whole ticks at that part of the mark."""
        return self.rules(symbol).price_down((await self.mark(symbol)).price * D(ratio))

    def side(self, direction: Direction = Direction.LONG) -> PositionSide:
        """How a position of that direction is called in this mode."""
        return PositionSide(direction.value) if self.hedge else PositionSide.BOTH

    async def positions(self) -> dict[tuple[Symbol, PositionSide], Position]:
        await self.rest(PACE_S)
        found = await self.exchange.positions(priority=P)
        assert found.complete
        return {(each.symbol, each.side): each for each in found.value}

    async def held(self, direction: Direction = Direction.LONG) -> Decimal:
        """The position of BTC in that direction, signed; 0 = none."""
        found = (await self.positions()).get((BTC, self.side(direction)))
        return found.quantity if found else D(0)

    async def orders(self, symbol: Symbol | None = BTC) -> tuple[Order, ...]:
        await self.rest(PACE_S)
        found = await self.exchange.open_orders(symbol, priority=P)
        assert found.complete
        return found.value

    async def stops(self, symbol: Symbol | None = BTC) -> tuple[Stop, ...]:
        await self.rest(2 * PACE_S)  # of many reads at Bitget
        found = await self.exchange.open_stops(symbol, priority=P)
        assert found.complete
        return found.value

    async def fills(self, symbol: Symbol = BTC) -> tuple[Fill, ...]:
        """All of the last hour."""
        await self.rest(PACE_S)
        since_ms = self.stand.clock.now_ms() - HOUR_MS
        found = await self.exchange.fills(symbol, since_ms, priority=P)
        assert found.complete
        return found.value

    async def order(self, client_id: str = "", *, order_id: str = "") -> Order:
        """The order of that name, whatever became of it."""
        await self.rest(PACE_S)
        found = await self.exchange.find_order(BTC, client_id, order_id=order_id, priority=P)
        assert isinstance(found, Accepted), found
        assert found.order is not None
        return found.order

    async def stop_named(self, client_id: str) -> Stop:
        await self.rest(PACE_S)
        found = await self.exchange.find_stop(BTC, client_id, priority=P)
        assert isinstance(found, Accepted), found
        assert found.stop is not None
        return found.stop

    # --- sending -------------------------------------------------------------------------------------

    async def send(self, client_id: str = "", **changes: Any) -> Outcome:
        """Submit an intent, signed now; each has an id of its own unless a case names one."""
        self.sent += 1
        wanted: dict[str, Any] = {"purpose": Purpose.ENTER, "symbol": BTC, "side": Side.BUY, "quantity": LOT}
        intent = Intent(**{**wanted, "position_side": self.side(), **changes})
        meant = approved(intent, client_id or f"hf-{self.sent}", self.clock.now_ms())
        outcome = await self.exchange.submit(meant)
        known = outcome.exchange_id if isinstance(outcome, Accepted) else ""
        self.journal.append(replace(meant.journaled, exchange_id=known))
        return outcome

    async def enter(
        self, client_id: str = "", direction: Direction = Direction.LONG, **changes: Any
    ) -> Accepted:
        """A market entry of one lot; it has to be taken."""
        aim = {"side": direction.opening, "position_side": self.side(direction)}
        return took(await self.send(client_id, **{**aim, **changes}))

    async def limit(self, client_id: str = "", ratio: str = "0.98", **changes: Any) -> Accepted:
        """A limit entry that rests unless told otherwise."""
        price = changes.pop("price", None) or await self.price(ratio, changes.get("symbol", BTC))
        return took(await self.send(client_id, type=OrderType.LIMIT, price=price, **changes))

    async def close(
        self, client_id: str = "", direction: Direction = Direction.LONG, **changes: Any
    ) -> Outcome:
        """A market close of one lot."""
        aim = {"side": direction.closing, "position_side": self.side(direction)}
        return await self.send(client_id, **{"purpose": Purpose.CLOSE, **aim, **changes})

    async def stop(
        self, client_id: str = "", ratio: str = "", direction: Direction = Direction.LONG, **changes: Any
    ) -> Outcome:
        """A stop of the whole position, a tenth away, unless told otherwise."""
        far = ratio or ("0.9" if direction is Direction.LONG else "1.1")
        wanted = {
            "purpose": Purpose.PLACE_STOP,
            "side": direction.closing,
            "position_side": self.side(direction),
            "trigger_price": await self.price(far, changes.get("symbol", BTC)),
            "close_position": True,
            "quantity": D(0),
        }
        return await self.send(client_id, **{**wanted, **changes})

    async def sized(self, client_id: str = "", ratio: str = "", **changes: Any) -> Outcome:
        """A stop of one lot."""
        return await self.stop(client_id, ratio, **{"close_position": False, "quantity": LOT, **changes})

    async def cancel(self, client_id: str = "", *, order_id: str = "", **changes: Any) -> Outcome:
        which = {"target_client_id": client_id, "target_id": order_id}
        return await self.send(purpose=Purpose.CANCEL_ORDER, **which, **changes)

    async def cancel_stop(self, client_id: str = "", *, stop_id: str = "", **changes: Any) -> Outcome:
        which = {"target_client_id": client_id, "target_id": stop_id}
        return await self.send(purpose=Purpose.CANCEL_STOP, **which, **changes)

    # --- listening -------------------------------------------------------------------------------------

    async def listen(self, *symbols: Symbol) -> None:
        """Start the streams and wait until they are up."""
        await self.exchange.start_streams(symbols, self.heard.append)
        expected = {"user", "market"} if symbols else {"user"}
        await self.until(lambda: {state.stream for state in self.of(StreamState) if state.up} == expected)

    def of(self, kind: type[T]) -> list[T]:
        return [news for news in self.heard if isinstance(news, kind)]

    def live_orders(self) -> list[SimOrder]:
        return [order for order in self.account.orders.values() if not order.status.final]

    def live_stops(self) -> list[SimAlgo]:
        return [algo for algo in self.account.algos.values() if not algo.status.final]


def took(outcome: Outcome) -> Accepted:
    """It was taken."""
    assert isinstance(outcome, Accepted), outcome
    return outcome


def refused(outcome: object, *reasons: RejectReason) -> Rejected:
    """It was refused, for one of these reasons."""
    assert isinstance(outcome, Rejected), outcome
    assert outcome.reason in reasons, outcome
    return outcome
