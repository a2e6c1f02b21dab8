"""Funding: who holds a position at the instant pays or receives (binance.md §5)."""

from __future__ import annotations

import copy
from decimal import Decimal

from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.matching import credit
from holdfast.simulator.core.positions import money
from holdfast.simulator.core.world import World


class Funding:
    """When each symbol is funded next, at which rate, and what was charged."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._next = {symbol: world.market.next_funding(symbol, world.now_ms) for symbol in world.quotes}
        self._past: dict[Symbol, list[tuple[int, Decimal, Decimal]]] = {one: [] for one in world.quotes}
        self._soonest_ms = self._find_soonest()

    def due(self, symbol: Symbol) -> tuple[Decimal, int]:
        """The rate charged next, and when (ms)."""
        at_ms, rate = self._next[symbol]
        return rate, at_ms

    def past(self, symbol: Symbol) -> tuple[tuple[int, Decimal, Decimal], ...]:
        """Time, rate and mark of every funding so far."""
        return tuple(self._past[symbol])

    def charge_due(self) -> None:
        """Charge every symbol whose time has come."""
        if self._world.now_ms < self._soonest_ms:
            return
        for symbol, (at_ms, rate) in self._next.items():
            if at_ms <= self._world.now_ms:
                self._charge(symbol, rate)
                self._past[symbol].append((at_ms, rate, self._world.quotes[symbol].mark))
                self._next[symbol] = self._world.market.next_funding(symbol, self._world.now_ms)
        self._soonest_ms = self._find_soonest()

    def announce(self, symbol: Symbol, rate: Decimal, at_ms: int) -> None:
        """The next funding is another one than the market's; the market's go on after it."""
        self._next[symbol] = (at_ms, rate)
        self._soonest_ms = self._find_soonest()

    def _find_soonest(self) -> int:
        return min((at_ms for at_ms, _ in self._next.values()), default=0)

    def _charge(self, symbol: Symbol, rate: Decimal) -> None:
        """Payment = −signed notional × rate: with a positive rate longs pay. An isolated position pays
        from its own margin, and only then it is told with the event."""
        world = self._world
        for ledger in world.ledgers.values():
            for position in [one for one in ledger.held.values() if one.symbol == symbol]:
                amount = money(-position.quantity * world.quotes[symbol].mark * rate)
                if not amount:
                    continue
                credit(world, ledger, "FUNDING_FEE", amount, symbol)
                isolated = ledger.isolated(symbol)
                if isolated:
                    position.isolated_wallet += amount
                told = (copy.copy(position),) if isolated else ()
                world.tell_account(ledger, "FUNDING_FEE", told, symbol)
