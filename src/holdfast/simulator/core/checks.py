"""What an order must satisfy before it is taken, in the order the exchange checks (binance.md §4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import PositionSide, Side
from holdfast.simulator.core.book import closing, only_reduces
from holdfast.simulator.core.instruments import SimInstrument
from holdfast.simulator.core.margin import (
    Orders,
    exposure,
    may_open,
    notional_max,
    order_notionals,
    summarize,
)
from holdfast.simulator.core.matching import fillable, price_limit
from holdfast.simulator.core.model import (
    AlgoRequest,
    CoreRefusal,
    OrderKind,
    OrderRequest,
    Refused,
    SimOrder,
    Tif,
)
from holdfast.simulator.core.positions import closes
from holdfast.simulator.core.quote import Quote
from holdfast.simulator.core.world import Ledger, World


@dataclass(frozen=True, slots=True)
class Case:
    """An order being judged. *replaces* is the open order an amendment would change."""

    world: World
    ledger: Ledger
    quote: Quote
    request: OrderRequest
    replaces: SimOrder | None = None

    @property
    def rules(self) -> SimInstrument:
        return self.quote.instrument

    def held(self) -> Decimal:
        """The signed quantity of the position the order belongs to."""
        position = self.ledger.held.get((self.request.symbol, self.request.position_side))
        return position.quantity if position else ZERO


def check_order(case: Case) -> None:
    """Every check before matching; raises `CoreRefusal` with the first that fails."""
    for check in ORDER_CHECKS:
        check(case)


def trading(case: Case) -> None:
    if not case.rules.trading:
        raise CoreRefusal(Refused.SYMBOL_CLOSED, status=case.rules.status)


def filters(case: Case) -> None:
    request = case.request
    limit = request.kind is OrderKind.LIMIT
    price = request.price if limit else None
    precise(case.rules, request.quantity, price)
    quantity(case.rules, request.quantity, market=not limit)
    if limit:
        price_bounds(case.rules, request.price or ZERO)
        percent_price(case.quote, request.side, request.price or ZERO)


def precise(rules: SimInstrument, amount: Decimal, *prices: Decimal | None) -> None:
    """PRECISION of both, then TICK, then STEP."""
    given = [price for price in prices if price is not None]
    if any(decimals(price) > rules.price_decimals for price in given):
        raise CoreRefusal(Refused.PRECISION, field="price", scale=rules.price_decimals)
    if decimals(amount) > rules.quantity_decimals:
        raise CoreRefusal(Refused.PRECISION, field="quantity", scale=rules.quantity_decimals)
    if any(price % rules.price_step for price in given):
        raise CoreRefusal(Refused.TICK, tick=rules.price_step)
    if amount % rules.quantity_step:
        raise CoreRefusal(Refused.STEP, step=rules.quantity_step)


def decimals(value: Decimal) -> int:
    """Decimals as written; trailing zeros count for nothing."""
    return max(0, -int(value.normalize().as_tuple().exponent))


def quantity(rules: SimInstrument, amount: Decimal, *, market: bool) -> None:
    most = rules.market_quantity_max if market else rules.quantity_max
    if amount <= 0:
        raise CoreRefusal(Refused.QUANTITY_NOT_POSITIVE)
    if amount < rules.quantity_min:
        raise CoreRefusal(Refused.QUANTITY_MIN, limit=rules.quantity_min)
    if amount > most:
        raise CoreRefusal(Refused.QUANTITY_MAX, limit=most)


def price_bounds(rules: SimInstrument, price: Decimal) -> None:
    if price <= 0:
        raise CoreRefusal(Refused.PRICE_NOT_POSITIVE)
    if price < rules.price_min:
        raise CoreRefusal(Refused.PRICE_MIN, limit=rules.price_min)
    if price > rules.price_max:
        raise CoreRefusal(Refused.PRICE_MAX, limit=rules.price_max)


def percent_price(quote: Quote, side: Side, price: Decimal) -> None:
    rules = quote.instrument
    highest, lowest = quote.mark * rules.percent_up, quote.mark * rules.percent_down
    if side is Side.BUY and price > highest:
        raise CoreRefusal(Refused.PRICE_TOO_HIGH, limit=highest)
    if side is Side.SELL and price < lowest:
        raise CoreRefusal(Refused.PRICE_TOO_LOW, limit=lowest)


def notional(case: Case) -> None:
    """Quantity × price (market: mark) reaches the minimum; what only reduces is exempt."""
    request = case.request
    if request.reduce_only or _closes_in_hedge(case.ledger, request.side, request.position_side):
        return
    price = request.price if request.kind is OrderKind.LIMIT and request.price else case.quote.mark
    if request.quantity * price < case.rules.notional_min:
        raise CoreRefusal(Refused.NOTIONAL_MIN, limit=case.rules.notional_min)


def mode(case: Case) -> None:
    check_mode(case.ledger, case.request)


def check_mode(ledger: Ledger, request: OrderRequest | AlgoRequest) -> None:
    """LONG or SHORT in hedge mode, BOTH otherwise; no reduceOnly in hedge mode."""
    if request.position_side not in ledger.sides():
        raise CoreRefusal(Refused.POSITION_SIDE, hedge=ledger.hedge)
    if ledger.hedge and request.reduce_only:
        raise CoreRefusal(Refused.REDUCE_ONLY_IN_HEDGE)


def client_id(case: Case) -> None:
    """Unique among open orders only: a final order's id may be used again."""
    wanted = case.request.client_id
    if not wanted or case.replaces is not None:
        return
    if any(order.client_id == wanted for order in case.ledger.open_orders.values()):
        raise CoreRefusal(Refused.DUPLICATE_CLIENT_ID, client_id=wanted)


def reduce_only(case: Case) -> None:
    """There is something to reduce, and open reduce-only orders leave some of it."""
    request, held = case.request, case.held()
    in_hedge = _closes_in_hedge(case.ledger, request.side, request.position_side)
    if not (request.reduce_only or in_hedge):
        return
    position = case.ledger.held.get((request.symbol, request.position_side))
    if position is None or not closes(request.side, position):
        raise CoreRefusal(Refused.REDUCE_ONLY, held=ZERO)
    if case.world.config.closes_within_available:
        _within_available(case, abs(held))
        return
    if in_hedge and request.quantity > abs(held):
        raise CoreRefusal(Refused.REDUCE_ONLY)
    if case.world.config.reduce_only_conflict and _reserved(case) >= abs(held):
        raise CoreRefusal(Refused.REDUCE_ONLY_CONFLICT)
    if case.world.config.stop_locks_quantity and _locked(case) >= abs(held):
        raise CoreRefusal(Refused.REDUCE_ONLY_CONFLICT)


def _within_available(case: Case, held: Decimal) -> None:
    """REDUCE_ONLY for more than the position, REDUCE_ONLY_CONFLICT for more than is available of it."""
    if case.request.reduce_only and case.request.quantity > held:
        raise CoreRefusal(Refused.REDUCE_ONLY, held=held)
    locked = _locked(case) if case.world.config.stop_locks_quantity else ZERO
    free = max(ZERO, held - _reserved(case) - locked)
    if case.request.quantity > free:
        raise CoreRefusal(Refused.REDUCE_ONLY_CONFLICT, available=free)


def _reserved(case: Case) -> Decimal:
    """What open reduce-only orders of the same side would close."""
    request = case.request
    return sum(
        (
            order.remaining
            for order in case.ledger.open_orders.values()
            if order.symbol == request.symbol
            and order.position_side is request.position_side
            and order.side is request.side
            and order is not case.replaces
            and only_reduces(case.ledger, order)
        ),
        ZERO,
    )


def _locked(case: Case) -> Decimal:
    """What live closing stops hold back, where stops lock quantity."""
    request, held = case.request, abs(case.held())
    return sum(
        (
            held if algo.close_position else algo.quantity
            for algo in case.ledger.open_algos.values()
            if algo.symbol == request.symbol
            and algo.position_side is request.position_side
            and algo.side is request.side
            and only_reduces(case.ledger, algo)
        ),
        ZERO,
    )


def _closes_in_hedge(ledger: Ledger, side: Side, position_side: PositionSide) -> bool:
    return ledger.hedge and side is closing(position_side)


def funds(case: Case) -> None:
    """BRACKET, then MARGIN: only for what could make a position larger."""
    request = case.request
    if request.reduce_only or not may_open(request.side, request.position_side):
        return
    if opening_quantity(case) <= 0:
        return
    before, after = _exposures(case)
    leverage = case.world.leverage(case.ledger, request.symbol, request.position_side)
    most = notional_max(case.rules, leverage)
    if after > before and after > most:
        raise CoreRefusal(Refused.BRACKET, limit=most, leverage=leverage)
    needed = max(ZERO, after - before) / leverage + _loss_and_fee(case)
    free = available_raw(case.world, case.ledger)
    if needed > free:
        raise CoreRefusal(Refused.MARGIN, needed=needed, available=max(ZERO, free))


def opening_quantity(case: Case) -> Decimal:
    """What of the order goes beyond the position it would reduce."""
    request, held = case.request, case.held()
    against = held * request.side.sign < 0
    return request.quantity - min(request.quantity, abs(held)) if against else request.quantity


def available_raw(world: World, ledger: Ledger) -> Decimal:
    summary = summarize(ledger.account, ledger.open_orders.values(), world.quotes, world.config.leverage)
    return summary.available_raw


def _exposures(case: Case) -> tuple[Decimal, Decimal]:
    """The largest notional the position may reach without and with the order."""
    request, quote = case.request, case.quote
    key = (request.symbol, request.position_side)
    notional_now = case.held() * quote.mark
    others = [order for order in case.ledger.open_orders.values() if order is not case.replaces]
    open_now = order_notionals(case.ledger.open_orders.values()).get(key, Orders())
    rest = order_notionals(others).get(key, Orders())
    added = request.quantity * _margin_price(case)
    if request.side is Side.BUY:
        then = Orders(rest.bids + added, rest.asks)
    else:
        then = Orders(rest.bids, rest.asks + added)
    return exposure(notional_now, open_now), exposure(notional_now, then)


def _margin_price(case: Case) -> Decimal:
    """An order that takes becomes a position at mark: the dearer of both counts."""
    taking = _taking_price(case)
    price = case.request.price or taking
    return max(price, case.quote.mark) if taking else price


def _taking_price(case: Case) -> Decimal:
    """The worst price the order would take at once; 0 when it would rest."""
    request = case.request
    price = request.price if request.kind is OrderKind.LIMIT else None
    limit = price_limit(case.quote, request.side, price)
    return fillable(case.quote, request.side, limit, request.quantity)[1]


def _loss_and_fee(case: Case) -> Decimal:
    """The loss against mark the order opens with (sheet §5) and its fee if it takes [M]."""
    request, quote = case.request, case.quote
    taking = _taking_price(case)
    price = request.price if request.kind is OrderKind.LIMIT and request.price else taking
    loss = max(ZERO, request.side.sign * (price - quote.mark))
    fee = max(taking, quote.mark) * case.rules.taker_fee if taking else ZERO
    return request.quantity * (loss + fee)


def open_orders(case: Case) -> None:
    count = sum(order.symbol == case.request.symbol for order in case.ledger.open_orders.values())
    if count >= case.world.config.orders_max:
        raise CoreRefusal(Refused.MAX_ORDERS, limit=case.world.config.orders_max)


ORDER_CHECKS: tuple[Callable[[Case], None], ...] = (
    trading,
    filters,
    notional,
    mode,
    client_id,
    reduce_only,
    funds,
    open_orders,
)

# An amendment keeps what cannot change (mode, id) and its place; `funds` judges what is left to fill.
AMEND_CHECKS: tuple[Callable[[Case], None], ...] = (trading, filters, notional, reduce_only)


def check_matching(case: Case) -> None:
    """What only the book can say: NO_COUNTERPARTY, POST_ONLY_WOULD_TAKE, FOK_UNFILLABLE."""
    why = unservable(case)
    if why is not None:
        raise unserved(case, why)


def unserved(case: Case, why: Refused) -> CoreRefusal:
    return CoreRefusal(why, limit=_price_limit(case))


def unservable(case: Case) -> Refused | None:
    """Why the book cannot serve the order as it asks; None when it can."""
    request, quote, limit = case.request, case.quote, _price_limit(case)
    got, _ = fillable(quote, request.side, limit, request.quantity)
    if request.kind is OrderKind.MARKET and not got:
        return Refused.NO_COUNTERPARTY
    if request.tif is Tif.POST_ONLY and would_take(quote, request.side, limit):
        return Refused.POST_ONLY_WOULD_TAKE
    if request.tif is Tif.FOK and got < request.quantity:
        return Refused.FOK_UNFILLABLE
    return None


def _price_limit(case: Case) -> Decimal:
    price = case.request.price if case.request.kind is OrderKind.LIMIT else None
    return price_limit(case.quote, case.request.side, price)


def would_take(quote: Quote, side: Side, price: Decimal) -> bool:
    return price >= quote.ask if side is Side.BUY else price <= quote.bid
