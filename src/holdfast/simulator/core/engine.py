"""The exchange without a wire: markets, accounts, orders, margin. Time comes through `advance`."""

from __future__ import annotations

import copy
from decimal import Decimal
from itertools import islice

from holdfast.domain.account import Candle, MarginMode, PositionMode
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core import algos, orders, risk, settings
from holdfast.simulator.core.config import CoreConfig
from holdfast.simulator.core.funding import Funding
from holdfast.simulator.core.hand import Hand
from holdfast.simulator.core.history import History
from holdfast.simulator.core.instruments import SimInstrument
from holdfast.simulator.core.margin import MarginSummary, summarize
from holdfast.simulator.core.market import MINUTE_MS, Market
from holdfast.simulator.core.matching import credit, fill_resting
from holdfast.simulator.core.model import (
    AlgoAmendment,
    AlgoRequest,
    CoreListener,
    OrderRequest,
    PriceEvent,
    SimAccount,
    SimAlgo,
    SimOrder,
    TradeEvent,
)
from holdfast.simulator.core.settle import judge_all, settle
from holdfast.simulator.core.testimony import testify
from holdfast.simulator.core.truth import CoverListener, Truth, Watch
from holdfast.simulator.core.world import Ledger, World

__all__ = ["Core", "CoreConfig"]

Levels = tuple[tuple[Decimal, Decimal], ...]
"""Price and quantity, best first."""


class Core(Hand):
    """One exchange. Not thread-safe; every call happens at `now_ms`.

    Deterministic: the same market, config and calls give the same events. What it refuses it
    raises as `CoreRefusal`, in the order of checks of the exchange sheet §4. Unknown account ids
    raise `KeyError`: the dialect authenticates first. Orders of accounts trade with the market,
    never with each other, so self-trade prevention has nothing to prevent and is left out.
    """

    config: CoreConfig
    market: Market

    def __init__(self, market: Market, config: CoreConfig | None = None) -> None:
        self._world = World(market, config or CoreConfig())
        self.config, self.market = self._world.config, market
        self._funding = Funding(self._world)
        self._next_second_ms = market.start_ms + 1000
        self._by_key: dict[str, str] = {}

    @property
    def now_ms(self) -> int:
        """The exchange's wall clock."""
        return self._world.now_ms

    # --- time --------------------------------------------------------------------------------------

    def advance(self, to_ms: int) -> None:
        """Live through the time up to *to_ms*, in order: prices, fills, triggers, funding, liquidation.

        Listeners are called synchronously with every event. A *to_ms* in the past changes nothing.
        """
        while (due_ms := self.next_ms()) <= to_ms:
            self._world.now_ms = due_ms
            if due_ms < self._next_second_ms:
                self._world.run_due()
            else:
                self._next_second_ms += 1000
                self._second()
            settle(self._world)
        self._world.now_ms = max(self._world.now_ms, to_ms)

    def next_ms(self) -> int:
        """When the next thing is due (a market second, or something delayed)."""
        due_ms = self._world.due_ms()
        return self._next_second_ms if due_ms is None else min(due_ms, self._next_second_ms)

    def listen(self, listener: CoreListener, *, prices: bool = True, trades: bool = True) -> None:
        """Call *listener* with every event from now on; it must not call the core back.

        Without *prices* it is told what happens to accounts only, not each second's prices and trades;
        without *trades* not each second's trades.
        """
        self._world.listeners.append(listener)
        if prices:
            self._world.price_listeners.append(listener)
        if prices and trades:
            self._world.trade_listeners.append(listener)

    def listen_cover(self, listener: CoverListener) -> None:
        """The same for every change of what a stop covers: the truth that naked time is counted by."""
        self._world.cover_listeners.append(listener)

    # --- accounts ----------------------------------------------------------------------------------

    def accounts(self) -> tuple[str, ...]:
        """Account ids in the order of opening."""
        return tuple(self._world.ledgers)

    def open_account(
        self, account_id: str, api_key: str, secret: str, wallet: Decimal | None = None
    ) -> SimAccount:
        """Open an account; raises `ValueError` when the id or the key exists."""
        if account_id in self._world.ledgers or api_key in self._by_key:
            raise ValueError(f"expected a new account id and API key, found {account_id!r} taken")
        account = SimAccount(
            account_id=account_id,
            api_key=api_key,
            secret=secret,
            wallet=ZERO,
            position_mode=self.config.position_mode,
        )
        watch = Watch(self.config.naked_tolerance_ms, account_id, self._world.cover_listeners)
        ledger = Ledger(account, History(account, self.now_ms), watch)
        self._world.ledgers[account_id] = ledger
        self._by_key[api_key] = account_id
        credit(self._world, ledger, "TRANSFER", self.config.wallet if wallet is None else wallet)
        settle(self._world)
        return self.view(account_id)

    def account_by_key(self, api_key: str) -> SimAccount | None:
        account_id = self._by_key.get(api_key)
        return None if account_id is None else self.view(account_id)

    def transfer(self, account_id: str, amount: Decimal) -> None:
        """Deposit (positive) or withdraw; MARGIN refused when more than can be withdrawn."""
        with self._acting(account_id) as ledger:
            settings.transfer(self._world, ledger, amount)

    # --- orders ------------------------------------------------------------------------------------

    def place_order(self, account_id: str, request: OrderRequest) -> SimOrder:
        """Accept and match at once; a copy of the order as it stands then. Raises `CoreRefusal`."""
        with self._acting(account_id) as ledger:
            order = orders.place(self._world, ledger, request)
        return copy.copy(order)

    def test_order(self, account_id: str, request: OrderRequest) -> None:
        """Every check of `place_order` before matching; nothing is recorded. Raises `CoreRefusal`."""
        orders.validate(self._world, self._world.ledgers[account_id], request)

    def amend_order(
        self,
        account_id: str,
        symbol: Symbol,
        *,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        order_id: int | None = None,
        client_id: str | None = None,
    ) -> SimOrder:
        """Change an open limit order: same id, priority lost; cancelled when nothing is left to fill.

        Raises `CoreRefusal`: UNKNOWN_ORDER, AMEND_NOT_LIMIT, AMEND_NOTHING, any filter, MARGIN.
        """
        with self._acting(account_id) as ledger:
            order = orders.find_open(ledger, symbol, order_id, client_id)
            orders.amend(self._world, ledger, order, side, quantity, price)
        return copy.copy(order)

    def cancel_order(
        self, account_id: str, symbol: Symbol, *, order_id: int | None = None, client_id: str | None = None
    ) -> SimOrder:
        """Cancel an open order; UNKNOWN_ORDER when there is none of that id."""
        with self._acting(account_id) as ledger:
            order = orders.cancel(self._world, ledger, orders.find_open(ledger, symbol, order_id, client_id))
        return copy.copy(order)

    def cancel_all_orders(self, account_id: str, symbol: Symbol) -> int:
        """Cancel the open regular orders of a symbol; how many there were. Algo orders stay."""
        with self._acting(account_id) as ledger:
            return orders.cancel_all(self._world, ledger, symbol)

    def place_algo(self, account_id: str, request: AlgoRequest) -> SimAlgo:
        """Accept a conditional order (margin is checked when it triggers). Raises `CoreRefusal`."""
        with self._acting(account_id) as ledger:
            algo = algos.place(self._world, ledger, request)
        return copy.copy(algo)

    def cancel_algo(
        self, account_id: str, *, algo_id: int | None = None, client_id: str | None = None
    ) -> SimAlgo:
        """Cancel an untriggered conditional order; UNKNOWN_ORDER otherwise (also while TRIGGERING)."""
        with self._acting(account_id) as ledger:
            algo = algos.cancel(self._world, ledger, algos.find_open(ledger, algo_id, client_id))
        return copy.copy(algo)

    def amend_algo(self, account_id: str, algo_id: int, amendment: AlgoAmendment) -> SimAlgo:
        """Change an untriggered conditional order, which keeps its id. Raises `CoreRefusal`."""
        with self._acting(account_id) as ledger:
            algo = algos.amend(self._world, ledger, algos.find_open(ledger, algo_id, None), amendment)
        return copy.copy(algo)

    def cancel_all_algos(self, account_id: str, symbol: Symbol) -> int:
        with self._acting(account_id) as ledger:
            return algos.cancel_all(self._world, ledger, symbol)

    # --- settings ----------------------------------------------------------------------------------

    def set_leverage(
        self, account_id: str, symbol: Symbol, leverage: int, side: PositionSide = PositionSide.BOTH
    ) -> Decimal:
        """Set it, positions included; the largest notional at that leverage. *side* LONG or SHORT: of
        that side of hedge mode only. Raises `CoreRefusal`."""
        with self._acting(account_id) as ledger:
            return settings.set_leverage(self._world, ledger, symbol, leverage, side)

    def set_margin_mode(self, account_id: str, symbol: Symbol, mode: MarginMode) -> None:
        with self._acting(account_id) as ledger:
            settings.set_margin_mode(self._world, ledger, symbol, mode)

    def set_position_mode(self, account_id: str, mode: PositionMode) -> None:
        with self._acting(account_id) as ledger:
            settings.set_position_mode(self._world, ledger, mode)

    def set_multi_assets(self, account_id: str, on: bool) -> bool:
        """Record the setting (there is one asset, so nothing else depends on it); False = was so already."""
        with self._acting(account_id) as ledger:
            return settings.set_multi_assets(self._world, ledger, on)

    def change_isolated_margin(
        self, account_id: str, symbol: Symbol, position_side: PositionSide, amount: Decimal
    ) -> Decimal:
        """Add (positive) or remove margin of an isolated position; its isolated wallet afterwards.

        Raises `CoreRefusal`: MARGIN_MODE_POSITION when flat, MARGIN_MODE_SAME when cross, MARGIN.
        """
        with self._acting(account_id) as ledger:
            return settings.change_isolated_margin(self._world, ledger, symbol, position_side, amount)

    # --- reading -----------------------------------------------------------------------------------

    def view(self, account_id: str, lag_ms: int = 0) -> SimAccount:
        """The account as it was *lag_ms* ago (at most two seconds are kept). Never change it."""
        return self._world.ledgers[account_id].history.at(self.now_ms - lag_ms)

    def order_by_client_id(self, view: SimAccount, symbol: Symbol, client_id: str) -> SimOrder | None:
        """The newest order of that client id in *view*."""
        for order in reversed(view.orders.values()):
            if order.client_id == client_id and order.symbol == symbol:
                return order
        return None

    def algo_by_client_id(self, view: SimAccount, client_id: str) -> SimAlgo | None:
        for algo in reversed(view.algos.values()):
            if algo.client_id == client_id:
                return algo
        return None

    def summary(self, view: SimAccount) -> MarginSummary:
        """Margin figures of *view* at the present mark prices (binance.md §5)."""
        open_orders = [view.orders[order_id] for order_id in view.live_orders]
        return summarize(view, open_orders, self._world.quotes, self.config.leverage)

    def symbols(self) -> tuple[Symbol, ...]:
        return tuple(self._world.quotes)

    def instrument(self, symbol: Symbol) -> SimInstrument:
        """The rules as they stand; UNKNOWN_SYMBOL refused. Changed by `set_status`, `set_filters` only."""
        return self._world.quote(symbol).instrument

    def prices(self, symbol: Symbol) -> PriceEvent:
        return self._world.quote(symbol).event(self.now_ms)

    def depth(self, symbol: Symbol, levels: int) -> tuple[Levels, Levels]:
        """Bids and asks of the synthetic book, best first."""
        quote = self._world.quote(symbol)
        bids, asks = quote.levels(Side.SELL), quote.levels(Side.BUY)
        return tuple(islice(bids, levels)), tuple(islice(asks, levels))

    def candles(
        self,
        symbol: Symbol,
        interval_ms: int,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
        source: str = "last",
    ) -> tuple[Candle, ...]:
        """Candles oldest first, history before the market's start included, the open one last.

        *interval_ms* is a multiple of a minute; candles are aligned to it from the Unix epoch (a
        week's interval to Mondays). Without *start_ms* the newest *limit*, else the first *limit*
        from there; *end_ms* is inclusive, against opening times. *source*: last, mark or index
        (mark's bars are also given for index; before the start both are last's; volume 0).
        """
        return self._world.quote(symbol).candles(interval_ms, start_ms, end_ms, limit, source)

    def tape(self, symbol: Symbol, limit: int = 500) -> tuple[TradeEvent, ...]:
        """The newest public trades, oldest first (at most 1000 are kept)."""
        return self._world.quote(symbol).trades(limit)

    def trades_since(self, symbol: Symbol, after_ms: int) -> tuple[TradeEvent, ...]:
        """The public trades after *after_ms*, oldest first, as far as they are kept."""
        return self._world.quote(symbol).trades_since(after_ms)

    def funding(self, symbol: Symbol) -> tuple[Decimal, int]:
        """The rate that will be charged next, and when (ms)."""
        self._world.quote(symbol)
        return self._funding.due(symbol)

    def funding_history(self, symbol: Symbol) -> tuple[tuple[int, Decimal, Decimal], ...]:
        """Time, rate and mark price of every funding since the start."""
        self._world.quote(symbol)
        return self._funding.past(symbol)

    def truth(self, account_id: str) -> Truth:
        """What is so, whatever the bot believes."""
        return testify(self._world, self._world.ledgers[account_id])

    # --- inside --------------------------------------------------------------------------------------

    def _second(self) -> None:
        """One second of every market: prices, funding, fills, triggers, margin."""
        world = self._world
        for quote in world.quotes.values():
            quote.step(world.now_ms)
        if world.price_listeners:
            self._tell_prices()
        self._funding.charge_due()
        for symbol, quote in world.quotes.items():
            if quote.instrument.trading:
                if world.resting[symbol]:
                    fill_resting(world, quote)
                if world.armed[symbol]:
                    algos.trigger(world, quote)
        for ledger in world.ledgers.values():
            if ledger.held:
                risk.watch_margin(world, ledger)
        if world.now_ms % MINUTE_MS == 0:
            judge_all(world)

    def _tell_prices(self) -> None:
        world = self._world
        for quote in world.quotes.values():
            event = quote.event(world.now_ms)
            for listener in world.price_listeners:
                listener(event)
            if world.trade_listeners and (trade := quote.trade_at(world.now_ms)) is not None:
                for listener in world.trade_listeners:
                    listener(trade)
