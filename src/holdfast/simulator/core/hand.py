"""Meddling by hand: what a person does in the exchange's app, and what its operators do."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from holdfast.domain.numbers import ONE, ZERO
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core import algos, byhand, orders, risk
from holdfast.simulator.core.funding import Funding
from holdfast.simulator.core.model import CoreRefusal, SimAlgo, SimOrder
from holdfast.simulator.core.settle import settle
from holdfast.simulator.core.world import Ledger, World


class Hand:
    """The part of `Core` that no exchange offers over its wire."""

    _world: World
    _funding: Funding

    @contextmanager
    def _acting(self, account_id: str) -> Iterator[Ledger]:
        """A change of one account: refusals are counted, and what depends on it is settled."""
        ledger = self._world.ledgers[account_id]
        try:
            yield ledger
        except CoreRefusal as refusal:
            ledger.watch.refused[refusal.why.value] += 1
            raise
        finally:
            settle(self._world)

    def close_by_hand(
        self,
        account_id: str,
        symbol: Symbol,
        position_side: PositionSide = PositionSide.BOTH,
        share: Decimal = ONE,
    ) -> SimOrder | None:
        """Market-close *share* of a position as its owner would in the app; None when flat."""
        with self._acting(account_id) as ledger:
            order = byhand.close(self._world, ledger, symbol, position_side, share)
        return copy.copy(order)

    def open_by_hand(self, account_id: str, symbol: Symbol, side: Side, quantity: Decimal) -> SimOrder:
        """Market order from the app (in hedge mode it opens LONG by buying, SHORT by selling)."""
        with self._acting(account_id) as ledger:
            order = byhand.open_position(self._world, ledger, symbol, side, quantity)
        return copy.copy(order)

    def set_rights(self, account_id: str, *, trade: bool, withdraw: bool) -> None:
        """What the account's API key may do."""
        with self._acting(account_id) as ledger:
            ledger.account.can_trade, ledger.account.can_withdraw = trade, withdraw
            self._world.touch(ledger)

    def cancel_stops_by_hand(self, account_id: str, symbol: Symbol) -> int:
        """Cancel the symbol's conditional orders from the app; how many there were."""
        with self._acting(account_id) as ledger:
            return algos.cancel_all(self._world, ledger, symbol)

    def move_price(self, symbol: Symbol, ratio: Decimal, seconds: int = 0) -> None:
        """Multiply the symbol's path by *ratio* from now on, at the next second or spread over *seconds*."""
        self._world.quote(symbol).move(ratio, seconds)

    def set_liquidity(
        self, symbol: Symbol, ratio: Decimal, spread_ratio: Decimal | None = None, levels: int | None = None
    ) -> None:
        """Scale what the book holds (0 = nothing to trade with); optionally replace the spread ratio.
        *levels* cuts the book behind so many, None makes it whole again."""
        quote = self._world.quote(symbol)
        quote.liquidity = float(ratio)
        quote.book_levels = self._world.config.book_levels if levels is None else levels
        if spread_ratio is not None:
            quote.spread_ratio = float(spread_ratio)

    def set_status(self, symbol: Symbol, status: str) -> None:
        """Change an instrument's status; anything but TRADING stops trading, CLOSE expires its orders."""
        byhand.set_status(self._world, symbol, status)
        settle(self._world)

    def set_filters(
        self,
        symbol: Symbol,
        *,
        price_step: Decimal | None = None,
        quantity_step: Decimal | None = None,
        quantity_min: Decimal | None = None,
        notional_min: Decimal | None = None,
    ) -> None:
        """Change an instrument's filters in flight; open orders keep what they have."""
        byhand.set_filters(self._world, symbol, price_step, quantity_step, quantity_min, notional_min)

    def adl(self, account_id: str, symbol: Symbol, position_side: PositionSide = PositionSide.BOTH) -> None:
        """Close a position at mark as auto-deleveraging would (client id `adl_autoclose`)."""
        with self._acting(account_id) as ledger:
            position = ledger.held.get((symbol, position_side))
            if position is not None:
                risk.close_at_mark(self._world, ledger, position, "adl_autoclose")

    def fill_by_hand(
        self, account_id: str, symbol: Symbol, *, order_id: int | None = None, client_id: str | None = None
    ) -> SimOrder:
        """Let a resting order fill at its price; UNKNOWN_ORDER when there is none of that id."""
        with self._acting(account_id) as ledger:
            order = orders.find_open(ledger, symbol, order_id, client_id)
            byhand.fill_resting_order(self._world, ledger, order)
        return copy.copy(order)

    def trigger_by_hand(
        self, account_id: str, *, algo_id: int | None = None, client_id: str | None = None
    ) -> SimAlgo:
        """Let a conditional order trigger now, whatever the price; UNKNOWN_ORDER when none waits."""
        with self._acting(account_id) as ledger:
            algo = algos.find_open(ledger, algo_id, client_id)
            algos.start(self._world, ledger, algo)
        return copy.copy(algo)

    def liquidate(
        self, account_id: str, symbol: Symbol, position_side: PositionSide = PositionSide.BOTH
    ) -> None:
        """Liquidate a position at mark, as if its margin were gone; its orders expire."""
        with self._acting(account_id) as ledger:
            position = ledger.held.get((symbol, position_side))
            if position is not None:
                risk.liquidate(self._world, ledger, [position], ZERO)

    def delist(self, symbol: Symbol) -> None:
        """Settle every position at mark (client id `settlement_autoclose-`) and close the symbol for good."""
        byhand.delist(self._world, symbol)
        settle(self._world)

    def set_funding(self, symbol: Symbol, rate: Decimal, in_ms: int) -> None:
        """Announce *rate* for the symbol's next funding, which comes in *in_ms*."""
        self._world.quote(symbol)
        self._funding.announce(symbol, rate, self._world.now_ms + in_ms)

    def freeze_mark(self, symbol: Symbol, *, frozen: bool) -> None:
        """Mark and index stand still while the last price goes on; thawed, they follow again."""
        self._world.quote(symbol).frozen = frozen

    def stick_triggering(self, symbol: Symbol) -> None:
        """The symbol's next conditional order to trigger hangs in TRIGGERING for ever (G32)."""
        self._world.quote(symbol)
        self._world.stuck.add(symbol)

    def unstick_triggering(self, symbol: Symbol) -> None:
        """What hangs goes on, and nothing will hang any more."""
        self._world.stuck.discard(symbol)
        for account_id in tuple(self._world.ledgers):
            with self._acting(account_id) as ledger:
                algos.release(self._world, ledger, symbol)
