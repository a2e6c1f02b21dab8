"""The one face every exchange has for the bot. Domain types only: no wire word passes this file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from holdfast.decisions.gate import Approved
from holdfast.domain.account import (
    AccountConfig,
    Balance,
    Candle,
    Fact,
    MarginMode,
    Mark,
    Position,
    Quote,
    Transfer,
)
from holdfast.domain.instrument import Instrument
from holdfast.domain.intents import (
    Accepted,
    Journaled,
    Lookup,
    Outcome,
    Priority,
    Rejected,
    Unavailable,
    Unknown,
)
from holdfast.domain.orders import Fill, Order, PositionSide, Stop
from holdfast.domain.symbol import Symbol


class ExchangeError(Exception):
    """A read failed. Proves nothing about what was asked (architecture rule 4).

    *outcome* is one of the error words: `Rejected` (asking again is pointless), `Unknown` (no
    usable answer), `Unavailable` (try later).
    """

    def __init__(self, outcome: Rejected | Unknown | Unavailable) -> None:
        super().__init__(getattr(outcome, "message", "") or getattr(outcome, "cause", ""))
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an exchange can do, as data; behaviour that differs is asked here, never by name."""

    name: str
    stop_closes_position: bool
    """A stop may cover "the whole position, whatever its size"."""
    two_stops_may_stand: bool
    """A second stop of the *other form* (sized beside whole-position) may stand beside the first."""
    stop_keeps_client_id: bool
    one_list: bool
    """Orders and stops stand in one list, which one question tells."""
    stop_locks_quantity: bool
    whole_stop_expires_when_flat: bool
    window_ms: int
    """The receive window we sign with: how late a request may still be accepted."""
    visibility_ms: int
    """After this long an accepted order is visible to a query by client id."""
    money_step: Decimal
    """To what fees and results of executions are rounded where they can be read, in quote currency."""


# --- what streams tell ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderNews:
    """A regular order changed. *fill* is set when this is an execution."""

    order: Order
    fill: Fill | None
    exchange_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopNews:
    stop: Stop
    exchange_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionNews:
    """A position changed; *quantity* signed, 0 = flat."""

    symbol: Symbol
    side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    exchange_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceNews:
    currency: str
    wallet: Decimal
    change: Decimal
    """What came in (+) or went out (-): without results, fees and funding."""
    exchange_ms: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkNews:
    symbol: Symbol
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigNews:
    """Leverage or another setting of the account was changed, by us or by hand."""

    symbol: Symbol | None
    leverage: int | None
    exchange_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginCall:
    symbols: tuple[Symbol, ...]
    exchange_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """A stream came up, went down or was found silent. After every *up* the truth must be re-read."""

    stream: str
    """`user` or `market`."""
    up: bool
    cause: str


News = OrderNews | StopNews | PositionNews | BalanceNews | MarkNews | ConfigNews | MarginCall | StreamState
Listener = Callable[[News], None]
"""Called from the event loop; must not block and must not raise."""


class Exchange(Protocol):
    """One account at one exchange.

    Reads return a `Fact` (when asked, how complete) or raise `ExchangeError`. Requests that change
    something return an `Outcome` and never raise for what the exchange or the network did. Nothing
    is retried inside: who asks again decides so. Every call takes a priority (rule 9).
    """

    @property
    def capabilities(self) -> Capabilities: ...

    async def open(self) -> None:
        """Load instruments and measure the clock. Raises `ExchangeError`."""
        ...

    async def close(self) -> None: ...

    async def load_instruments(self, *, age_max_ms: int) -> None:
        """Read the trading rules again unless they are younger (G31); raises `ExchangeError`."""
        ...

    def instrument(self, symbol: Symbol) -> Instrument | None:
        """The rules of *symbol*, or None when the exchange does not list it."""
        ...

    def clock_offset_ms(self) -> int:
        """Exchange clock minus ours, as measured last; signed times are corrected by it."""
        ...

    async def measure_clock(self) -> int:
        """Measure and store the clock offset (ms); raises `ExchangeError`."""
        ...

    def budget(self) -> Mapping[str, float]:
        """What is used, kept and held back of this address's and this key's limits; for metrics."""
        ...

    # --- facts ---
    async def positions(self, *, priority: Priority) -> Fact[tuple[Position, ...]]:
        """All open positions of the account (zero quantities left out)."""
        ...

    async def balance(self, *, priority: Priority) -> Fact[Balance]: ...

    async def open_orders(self, symbol: Symbol | None, *, priority: Priority) -> Fact[tuple[Order, ...]]:
        """Regular open orders; None = of all symbols (dear)."""
        ...

    async def open_stops(self, symbol: Symbol | None, *, priority: Priority) -> Fact[tuple[Stop, ...]]:
        """Conditional orders over *all* the exchange's books that can hold one."""
        ...

    async def account_config(self, *, priority: Priority) -> Fact[AccountConfig]:
        """Position mode, right to trade, leverage and margin mode per symbol."""
        ...

    async def fills(self, symbol: Symbol, since_ms: int, *, priority: Priority) -> Fact[tuple[Fill, ...]]:
        """Executions since *since_ms* (exchange time), oldest first."""
        ...

    async def transfers(self, since_ms: int, *, priority: Priority) -> Fact[tuple[Transfer, ...]]:
        """Deposits and withdrawals since *since_ms* (exchange time)."""
        ...

    async def find_order(
        self, symbol: Symbol, client_id: str, *, order_id: str = "", priority: Priority
    ) -> Lookup:
        """The order with that client id, whatever its state: `Accepted` with `.order`, or `NotFound`.

        With *order_id* the order that the exchange named so, whoever sent it; *client_id* is empty then.
        """
        ...

    async def find_stop(self, symbol: Symbol, client_id: str, *, priority: Priority) -> Lookup: ...

    def remember_stops(self, asked: Iterable[Journaled]) -> None:
        """Stops that earlier runs asked for and that may stand, as the journal has them.

        Where the exchange keeps no names of stops, ours are known by this and by nothing else.
        """
        ...

    async def candles(
        self, symbol: Symbol, timeframe: str, limit: int, *, priority: Priority
    ) -> tuple[Candle, ...]:
        """The last *limit* bars, oldest first; the last one may be still open."""
        ...

    async def marks(self, symbols: Sequence[Symbol], *, priority: Priority) -> Mapping[Symbol, Mark]:
        """Mark prices; a symbol that the exchange does not list is left out."""
        ...

    async def quotes(self, symbols: Sequence[Symbol], *, priority: Priority) -> Mapping[Symbol, Quote]:
        """Best bid and ask; a symbol without both, or with an unreadable answer, is left out."""
        ...

    # --- requests that change something ---
    async def submit(self, approved: Approved) -> Outcome:
        """Send an approved intent once, signed with its journaled time. Never retries, never raises.

        The same client id sent twice while the first is open makes one order. Purposes: ENTER and
        CLOSE orders, PLACE_STOP, CANCEL_ORDER, CANCEL_STOP. A cancel that finds nothing is
        `Rejected(NOT_FOUND)`: the caller checks what became of it.
        """
        ...

    async def set_leverage(self, symbol: Symbol, leverage: int) -> Outcome: ...

    async def set_margin_mode(self, symbol: Symbol, mode: MarginMode) -> Outcome: ...

    # --- streams ---
    async def start_streams(self, symbols: Sequence[Symbol], listener: Listener) -> None:
        """Start the user stream and mark prices of *symbols*; own staleness watchdogs, own reconnects.

        Returns at once; state changes arrive as `StreamState`. Runs until `close()`.
        """
        ...


__all__ = [
    "Accepted",
    "BalanceNews",
    "Capabilities",
    "ConfigNews",
    "Exchange",
    "ExchangeError",
    "Listener",
    "MarginCall",
    "MarkNews",
    "News",
    "OrderNews",
    "PositionNews",
    "StopNews",
    "StreamState",
]
