"""What the parts of the core share: the clock, markets, ledgers, ids, listeners, things due later."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import PositionSide
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.bars import Market
from holdfast.simulator.core.config import CoreConfig
from holdfast.simulator.core.history import History
from holdfast.simulator.core.model import (
    AccountEvent,
    CoreEvent,
    CoreListener,
    CoreRefusal,
    Refused,
    SimAccount,
    SimAlgo,
    SimOrder,
    SimPosition,
)
from holdfast.simulator.core.quote import Quote
from holdfast.simulator.core.truth import CoverListener, Watch

PositionId = tuple[Symbol, PositionSide]
CLIENT_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(slots=True)
class Ledger:
    """One account as it lives, with what is needed to find things fast."""

    account: SimAccount
    history: History
    watch: Watch
    open_orders: dict[int, SimOrder] = field(default_factory=dict)
    open_algos: dict[int, SimAlgo] = field(default_factory=dict)
    held: dict[PositionId, SimPosition] = field(default_factory=dict)
    """Positions that are not flat."""
    margin_called: bool = False

    def position(self, symbol: Symbol, side: PositionSide) -> SimPosition:
        """The position of that identity, made flat when there is none."""
        key = (symbol, side)
        found = self.account.positions.get(key)
        if found is None:
            found = self.account.positions[key] = SimPosition(symbol=symbol, side=side)
        return found

    @property
    def hedge(self) -> bool:
        return self.account.position_mode is PositionMode.HEDGE

    def isolated(self, symbol: Symbol) -> bool:
        return self.account.margin_mode.get(symbol) is MarginMode.ISOLATED

    def sides(self) -> tuple[PositionSide, ...]:
        return (PositionSide.LONG, PositionSide.SHORT) if self.hedge else (PositionSide.BOTH,)


class World:
    """The state of one exchange. Functions over it live in the modules named by what they do."""

    def __init__(self, market: Market, config: CoreConfig) -> None:
        self.market, self.config = market, config
        self.now_ms = market.start_ms
        self.rng = Random(f"{config.seed}:core")  # noqa: S311 identifiers and chance, no secrets
        self.quotes = {symbol: Quote(market, symbol, config) for symbol in market.symbols()}
        self.ledgers: dict[str, Ledger] = {}
        self.resting: dict[Symbol, dict[int, tuple[Ledger, SimOrder]]] = {one: {} for one in self.quotes}
        self.armed: dict[Symbol, dict[int, tuple[Ledger, SimAlgo]]] = {one: {} for one in self.quotes}
        self.listeners: list[CoreListener] = []
        self.price_listeners: list[CoreListener] = []
        """Those that are also told of each second's prices."""
        self.trade_listeners: list[CoreListener] = []
        self.cover_listeners: list[CoverListener] = []
        self.touched: dict[str, Ledger] = {}
        self.moved: dict[tuple[str, PositionId], Ledger] = {}
        """Positions changed since the last settling."""
        self.fulfilled: list[tuple[Ledger, SimOrder]] = []
        """Orders with fills whose attached stops are due, since the last settling."""
        self.stuck: set[Symbol] = set()
        self.order_ids = count(10_000_000_001)
        self.algo_ids = count(1_000_000_000_000_001)
        self.trade_ids = count(500_000_001)
        self.tran_ids = count(9_000_000_001)
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._due_sequence = count()

    # --- telling -----------------------------------------------------------------------------------

    def emit(self, event: CoreEvent) -> None:
        for listener in self.listeners:
            listener(event)

    def tell_account(
        self,
        ledger: Ledger,
        reason: str,
        positions: tuple[SimPosition, ...] = (),
        symbol: Symbol | None = None,
    ) -> None:
        self.emit(
            AccountEvent(
                at_ms=self.now_ms,
                account_id=ledger.account.account_id,
                reason=reason,
                wallet=ledger.account.wallet,
                wallet_change=ZERO,
                positions=positions,
                symbol=symbol,
            )
        )

    def touch(self, ledger: Ledger) -> None:
        """The account changed: a new version of it is due."""
        self.touched[ledger.account.account_id] = ledger

    # --- finding -----------------------------------------------------------------------------------

    def quote(self, symbol: Symbol) -> Quote:
        quote = self.quotes.get(symbol)
        if quote is None:
            raise CoreRefusal(Refused.UNKNOWN_SYMBOL, symbol=symbol)
        return quote

    def leverage(self, ledger: Ledger, symbol: Symbol, side: PositionSide) -> int:
        """Of one side: its own if set, else the symbol's, else the default as far as the rules allow."""
        account, rules = ledger.account, self.quotes[symbol].instrument
        own = account.side_leverage.get((symbol, side)) or account.leverage.get(symbol)
        return own or min(self.config.leverage, rules.leverage_max)

    def client_id(self, prefix: str = "") -> str:
        """A client id as the exchange makes them: 22 letters and digits."""
        return prefix + "".join(self.rng.choice(CLIENT_ID_LETTERS) for _ in range(22 - len(prefix)))

    # --- later -------------------------------------------------------------------------------------

    def later(self, delay_ms: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now_ms + delay_ms, next(self._due_sequence), action))

    def due_ms(self) -> int | None:
        return self._due[0][0] if self._due else None

    def run_due(self) -> None:
        """Do the next thing that is due."""
        heapq.heappop(self._due)[2]()
