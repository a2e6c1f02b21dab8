"""The exchange as its own events tell it: positions, money, marks, and what stands in the books.

Kept beside the exchange so that a judgement needs no question, and with enough of the past to ask
"was that so at any moment within the bound?".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from holdfast.domain.account import PositionKey, PositionMode
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.model import (
    AccountEvent,
    AlgoEvent,
    AlgoType,
    ConfigEvent,
    CoreEvent,
    Execution,
    OrderEvent,
    PriceEvent,
    SimAlgo,
    SimOrder,
    SimPosition,
)

MARKS_KEPT_MS = 120_000
POSITIONS_KEPT_MS = 3_600_000
SYSTEM_IDS = ("autoclose-", "adl_autoclose", "settlement_autoclose-", "delivery_autoclose-")
BY_HAND = "web_"


class Origin(StrEnum):
    """Who sent an order."""

    BOT = "bot"
    """It came over the wire with the account's key."""
    HAND = "hand"
    SYSTEM = "system"
    """Liquidation, auto-deleveraging, settlement."""


def origin_of(order: SimOrder | SimAlgo) -> Origin:
    if order.client_id.startswith(SYSTEM_IDS):
        return Origin.SYSTEM
    return Origin.HAND if order.client_id.startswith(BY_HAND) else Origin.BOT


@dataclass(slots=True)
class Past:
    """The values of one number over time; the one before the span asked for is kept too."""

    kept_ms: int
    values: deque[tuple[int, Decimal]] = field(default_factory=deque)

    def note(self, at_ms: int, value: Decimal) -> None:
        values = self.values
        values.append((at_ms, value))
        while len(values) > 1 and values[1][0] <= at_ms - self.kept_ms:
            values.popleft()

    def since(self, since_ms: int) -> Iterator[Decimal]:
        """Every value that was in force at or after *since_ms*, newest first."""
        for at_ms, value in reversed(self.values):
            yield value
            if at_ms <= since_ms:
                return

    def was(self, value: Decimal, since_ms: int) -> bool:
        return any(value == each for each in self.since(since_ms))


@dataclass(slots=True)
class Held:
    """One position at the exchange; *quantity* signed."""

    quantity: Decimal = ZERO
    entry_price: Decimal = ZERO
    ours: Decimal = ZERO
    """How much of it (unsigned) entries of the bot opened."""
    opened_ms: int = 0
    changed_ms: int = 0
    changed_by: Origin = Origin.BOT
    foreign_ms: int = -POSITIONS_KEPT_MS
    """When somebody else, or the exchange itself, last changed it."""
    past: Past = field(default_factory=lambda: Past(POSITIONS_KEPT_MS))

    def least(self, since_ms: int) -> Decimal:
        """The smallest unsigned size since then: what a bot that looks late may still believe."""
        return min((abs(value) for value in self.past.since(since_ms)), default=ZERO)


class Mirror:
    """One account. `hear` is a listener of the core."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.now_ms = 0
        self.moves = 0
        """How often a position changed."""
        self.wallet = ZERO
        self.wallets = Past(MARKS_KEPT_MS)
        self.equities = Past(MARKS_KEPT_MS)
        self.marks: dict[Symbol, Decimal] = {}
        self.marks_past: dict[Symbol, Past] = {}
        self.held: dict[PositionKey, Held] = {}
        self.orders: dict[int, SimOrder] = {}
        """Those that are not final."""
        self.algos: dict[int, SimAlgo] = {}
        self.leverage: dict[Symbol, int] = {}
        self.leverage_ms: dict[Symbol, int] = {}
        self.position_mode = self.wanted_mode = PositionMode.ONE_WAY
        """What the account has, and what the bot is configured for."""
        self._cause: SimOrder | None = None
        self._handlers: Mapping[type, Callable[[Any], None]] = {
            PriceEvent: self.price,
            OrderEvent: self._order,
            AlgoEvent: self._algo,
            AccountEvent: self._account,
            ConfigEvent: self._config,
        }

    def hear(self, event: CoreEvent) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    # --- what is so ----------------------------------------------------------------------------

    def position(self, key: PositionKey) -> Held:
        """The position of that identity; a flat one when there is none."""
        return self.held.get(key) or Held()

    def open_positions(self) -> dict[PositionKey, Held]:
        return {key: held for key, held in self.held.items() if held.quantity}

    def raises(self, order: SimOrder) -> bool:
        """Whether the order, filled whole, opens a position or makes one larger or turns it."""
        if order.reduce_only or order.close_position:
            return False
        if order.position_side is not PositionSide.BOTH:
            return order.side is (Side.BUY if order.position_side is PositionSide.LONG else Side.SELL)
        now = self.position(key_of(order)).quantity
        return abs(now + order.side.sign * order.remaining) > abs(now) or now * order.side.sign > 0

    def stops_on(self, key: PositionKey) -> list[SimAlgo]:
        """Live stop-market orders of the position's closing side, whoever sent them."""
        quantity = self.position(key).quantity
        return [
            algo
            for algo in self.algos.values()
            if algo.type is AlgoType.STOP_MARKET and key_of(algo) == key and algo.side.sign * quantity < 0
        ]

    def equity(self) -> Decimal:
        """Wallet and unrealized PnL at the present marks."""
        gains = (
            (self.marks.get(key.symbol, held.entry_price) - held.entry_price) * held.quantity
            for key, held in self.held.items()
            if held.quantity
        )
        return self.wallet + sum(gains, ZERO)

    # --- events --------------------------------------------------------------------------------

    def price(self, event: PriceEvent) -> None:
        """The commonest event; also told by `hear`."""
        self.now_ms = event.at_ms
        symbol = event.symbol
        past = self.marks_past.get(symbol)
        if past is None:
            past = self.marks_past[symbol] = Past(MARKS_KEPT_MS)
        if self.marks.get(symbol) != event.mark:
            self.marks[symbol] = event.mark
            past.note(event.at_ms, event.mark)

    def _order(self, event: OrderEvent) -> None:
        if event.account_id != self.account_id:
            return
        self.now_ms, order = event.at_ms, event.order
        if order.status.final:
            self.orders.pop(order.order_id, None)
        else:
            self.orders[order.order_id] = order
        if event.execution in (Execution.TRADE, Execution.LIQUIDATION):
            self._cause = order

    def _algo(self, event: AlgoEvent) -> None:
        if event.account_id != self.account_id:
            return
        self.now_ms, algo = event.at_ms, event.algo
        if algo.status.final:
            self.algos.pop(algo.algo_id, None)
        else:
            self.algos[algo.algo_id] = algo

    def _account(self, event: AccountEvent) -> None:
        if event.account_id != self.account_id:
            return
        self.now_ms = event.at_ms
        if event.wallet != self.wallet:
            self.wallet = event.wallet
            self.wallets.note(event.at_ms, event.wallet)
        for position in event.positions:
            self._moved(position)
        self._cause = None

    def _moved(self, position: SimPosition) -> None:
        key = PositionKey(position.symbol, position.side)
        held = self.held.setdefault(key, Held())
        before, held.entry_price = held.quantity, position.entry_price
        if position.quantity == before:
            return
        self.moves += 1
        turned = before * position.quantity <= 0
        grown = abs(position.quantity) - (ZERO if turned else abs(before))
        cause = self._cause
        by_bot = cause is not None and origin_of(cause) is Origin.BOT
        if turned:
            held.opened_ms, held.ours = self.now_ms, ZERO
        if grown > 0 and by_bot:
            held.ours += grown
        held.ours = min(held.ours, abs(position.quantity))
        held.quantity, held.changed_ms = position.quantity, self.now_ms
        held.changed_by = origin_of(cause) if cause is not None else Origin.SYSTEM
        if not by_bot:
            held.foreign_ms = self.now_ms
        if not held.past.values:
            held.past.note(0, ZERO)
        held.past.note(self.now_ms, position.quantity)

    def _config(self, event: ConfigEvent) -> None:
        if event.account_id != self.account_id:
            return
        if event.position_mode is not None:
            self.position_mode = event.position_mode
        if event.symbol is not None and event.leverage is not None:
            self.leverage[event.symbol] = event.leverage
            self.leverage_ms[event.symbol] = event.at_ms


def key_of(order: SimOrder | SimAlgo) -> PositionKey:
    return PositionKey(order.symbol, order.position_side)
