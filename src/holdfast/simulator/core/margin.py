"""Margin as the exchange reckons it: pure formulas over an account and prices (binance.md §5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from holdfast.domain.account import MarginMode
from holdfast.domain.instrument import Bracket
from holdfast.domain.numbers import ONE, ZERO
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.instruments import SimInstrument
from holdfast.simulator.core.model import SimAccount, SimOrder, SimPosition


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRisk:
    """One position's figures, in quote currency; *quantity* and *notional* are signed."""

    symbol: Symbol
    side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    break_even_price: Decimal
    mark: Decimal
    notional: Decimal
    unrealized: Decimal
    leverage: int
    margin_mode: MarginMode
    isolated_wallet: Decimal
    isolated_margin: Decimal
    """Isolated wallet + unrealized PnL; 0 for cross."""
    position_initial_margin: Decimal
    order_initial_margin: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    liquidation_price: Decimal
    """0 when there is none."""
    bid_notional: Decimal
    ask_notional: Decimal
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginSummary:
    """An account's figures, in quote currency."""

    wallet: Decimal
    cross_wallet: Decimal
    """Wallet without what is moved into isolated positions."""
    unrealized: Decimal
    cross_unrealized: Decimal
    equity: Decimal
    """Wallet + unrealized PnL."""
    initial_margin: Decimal
    position_initial_margin: Decimal
    order_initial_margin: Decimal
    maintenance_margin: Decimal
    cross_maintenance_margin: Decimal
    available: Decimal
    """What can back new orders; never negative."""
    available_raw: Decimal
    """The same, before it is floored at 0."""
    max_withdraw: Decimal
    positions: tuple[PositionRisk, ...]
    """Positions held, and flat ones with open orders."""


class Marked(Protocol):
    """What the formulas need of a market."""

    @property
    def mark(self) -> Decimal: ...
    @property
    def instrument(self) -> SimInstrument: ...


@dataclass(frozen=True, slots=True)
class Orders:
    """Notional of the open orders that could raise one position, at their own prices."""

    bids: Decimal = ZERO
    asks: Decimal = ZERO


def bracket_of(instrument: SimInstrument, notional: Decimal) -> Bracket:
    """The bracket with floor < notional ≤ cap; the last one beyond."""
    for bracket in instrument.brackets:
        if notional <= bracket.notional_cap:
            return bracket
    return instrument.brackets[-1]


def maintenance(instrument: SimInstrument, notional: Decimal) -> Decimal:
    """notional × MMR − cum."""
    bracket = bracket_of(instrument, notional)
    return notional * bracket.maintenance_ratio - bracket.maintenance_amount


def notional_max(instrument: SimInstrument, leverage: int) -> Decimal:
    """The largest position *leverage* allows."""
    return max(b.notional_cap for b in instrument.brackets if b.leverage_max >= leverage)


def unrealized(position: SimPosition, mark: Decimal) -> Decimal:
    return (mark - position.entry_price) * position.quantity


def order_notionals(orders: Iterable[SimOrder]) -> dict[tuple[Symbol, PositionSide], Orders]:
    """What open orders may add, per position; those that can only reduce count for nothing."""
    totals: dict[tuple[Symbol, PositionSide], Orders] = {}
    for order in orders:
        if order.reduce_only or not may_open(order.side, order.position_side):
            continue
        key = (order.symbol, order.position_side)
        before, notional = totals.get(key, Orders()), order.remaining * order.price
        if order.side is Side.BUY:
            totals[key] = Orders(before.bids + notional, before.asks)
        else:
            totals[key] = Orders(before.bids, before.asks + notional)
    return totals


def may_open(side: Side, position_side: PositionSide) -> bool:
    """In hedge mode selling LONG and buying SHORT only close."""
    return (side, position_side) not in ((Side.SELL, PositionSide.LONG), (Side.BUY, PositionSide.SHORT))


def exposure(notional: Decimal, orders: Orders) -> Decimal:
    """The largest notional a position may reach: max(|pos + bids|, |pos − asks|)."""
    return max(abs(notional + orders.bids), abs(notional - orders.asks))


def liquidation_price(
    position: SimPosition, wallet: Decimal, instrument: SimInstrument, mark: Decimal
) -> Decimal:
    """Where *wallet* (sheet §5: W) is used up to the maintenance margin; 0 when never."""
    quantity = abs(position.quantity)
    if not quantity:
        return ZERO
    bracket = bracket_of(instrument, quantity * mark)
    cushion = wallet + bracket.maintenance_amount
    value = position.entry_price * quantity
    if position.quantity > 0:
        price = (value - cushion) / (quantity * (ONE - bracket.maintenance_ratio))
    else:
        price = (value + cushion) / (quantity * (ONE + bracket.maintenance_ratio))
    return max(ZERO, price)


def summarize(
    account: SimAccount,
    orders: Iterable[SimOrder],
    quotes: Mapping[Symbol, Marked],
    leverage_default: int,
) -> MarginSummary:
    """All figures of *account* with its open regular *orders*, at the marks of *quotes*."""
    notionals = order_notionals(orders)
    keys = [key for key, position in account.positions.items() if position.quantity]
    keys += [key for key in notionals if key not in keys]
    rows = [_Row(account, key, notionals.get(key, Orders()), quotes, leverage_default) for key in keys]
    cross = [row for row in rows if not row.isolated]
    isolated_wallets = sum((row.position.isolated_wallet for row in rows if row.isolated), ZERO)
    cross_wallet = account.wallet - isolated_wallets
    cross_unrealized = sum((row.unrealized for row in cross), ZERO)
    cross_maintenance = sum((row.maintenance for row in cross), ZERO)
    position_margin = sum((row.position_margin for row in rows), ZERO)
    order_margin = sum((row.order_margin for row in rows), ZERO)
    bound = sum((row.position_margin for row in cross), ZERO) + order_margin
    available = cross_wallet + cross_unrealized - bound
    total_unrealized = sum((row.unrealized for row in rows), ZERO)
    cross_rest = cross_wallet + cross_unrealized - cross_maintenance
    return MarginSummary(
        wallet=account.wallet,
        cross_wallet=cross_wallet,
        unrealized=total_unrealized,
        cross_unrealized=cross_unrealized,
        equity=account.wallet + total_unrealized,
        initial_margin=position_margin + order_margin,
        position_initial_margin=position_margin,
        order_initial_margin=order_margin,
        maintenance_margin=sum((row.maintenance for row in rows), ZERO),
        cross_maintenance_margin=cross_maintenance,
        available=max(ZERO, available),
        available_raw=available,
        max_withdraw=max(ZERO, min(cross_wallet, available)),
        positions=tuple(row.told(cross_rest) for row in rows),
    )


class _Row:
    """One position's intermediate figures."""

    def __init__(
        self,
        account: SimAccount,
        key: tuple[Symbol, PositionSide],
        orders: Orders,
        quotes: Mapping[Symbol, Marked],
        leverage_default: int,
    ) -> None:
        symbol, side = key
        self.orders = orders
        self.position = account.positions.get(key) or SimPosition(symbol=symbol, side=side)
        self.mark, self.instrument = quotes[symbol].mark, quotes[symbol].instrument
        self.mode = account.margin_mode.get(symbol, MarginMode.CROSS)
        self.isolated = self.mode is MarginMode.ISOLATED
        allowed = min(leverage_default, self.instrument.leverage_max)
        self.leverage = account.side_leverage.get(key) or account.leverage.get(symbol) or allowed
        self.notional = self.position.quantity * self.mark
        self.unrealized = unrealized(self.position, self.mark)
        self.maintenance = maintenance(self.instrument, abs(self.notional))
        self.position_margin = abs(self.notional) / self.leverage
        self.order_margin = exposure(self.notional, orders) / self.leverage - self.position_margin

    def told(self, cross_rest: Decimal) -> PositionRisk:
        """*cross_rest*: cross wallet and unrealized PnL less maintenance, of all cross positions."""
        position, fee = self.position, self.instrument.taker_fee
        wallet = position.isolated_wallet
        if not self.isolated:
            wallet = cross_rest - self.unrealized + self.maintenance
        towards = fee if position.quantity > 0 else -fee
        return PositionRisk(
            symbol=position.symbol,
            side=position.side,
            quantity=position.quantity,
            entry_price=position.entry_price,
            break_even_price=position.entry_price * (ONE + towards),
            mark=self.mark,
            notional=self.notional,
            unrealized=self.unrealized,
            leverage=self.leverage,
            margin_mode=self.mode,
            isolated_wallet=position.isolated_wallet,
            isolated_margin=position.isolated_wallet + self.unrealized if self.isolated else ZERO,
            position_initial_margin=self.position_margin,
            order_initial_margin=self.order_margin,
            initial_margin=self.position_margin + self.order_margin,
            maintenance_margin=self.maintenance,
            liquidation_price=liquidation_price(position, wallet, self.instrument, self.mark),
            bid_notional=self.orders.bids,
            ask_notional=self.orders.asks,
            updated_ms=position.updated_ms,
        )
