"""Orders meet the market: takers walk the synthetic book, resting orders fill when price trades through."""

from __future__ import annotations

import copy
from decimal import Decimal

from holdfast.domain.numbers import ONE, ZERO
from holdfast.domain.orders import Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.book import end_order, has_what_it_closes, only_reduces, tell_order
from holdfast.simulator.core.model import (
    Execution,
    ExpireReason,
    Income,
    OrderKind,
    SimFill,
    SimOrder,
    Status,
    Tif,
)
from holdfast.simulator.core.positions import Effect, apply, money
from holdfast.simulator.core.quote import Quote
from holdfast.simulator.core.world import Ledger, World


def price_limit(quote: Quote, side: Side, price: Decimal | None) -> Decimal:
    """The worst price a taker may get: its own limit, or the market-take bound around the mark."""
    if price:
        return price
    bound = quote.instrument.market_take_bound
    return quote.mark * (ONE + bound if side is Side.BUY else ONE - bound)


def within(side: Side, price: Decimal, limit: Decimal) -> bool:
    return price <= limit if side is Side.BUY else price >= limit


def fillable(quote: Quote, side: Side, limit: Decimal, wanted: Decimal) -> tuple[Decimal, Decimal]:
    """How much of *wanted* the book gives within *limit*, and the worst price of it (0 for nothing)."""
    got, worst = ZERO, ZERO
    for level in quote.levels(side):
        if got >= wanted or not within(side, level.price, limit):
            break
        got += min(level.quantity, wanted - got)
        worst = level.price
    return got, worst


def allowed(ledger: Ledger, order: SimOrder) -> Decimal:
    """How much of the order's rest may be filled now: one that only reduces never goes further."""
    if not only_reduces(ledger, order):
        return order.remaining
    if not has_what_it_closes(ledger, order):
        return ZERO
    return min(order.remaining, abs(ledger.held[order.symbol, order.position_side].quantity))


def take(world: World, ledger: Ledger, order: SimOrder) -> None:
    """Fill what the book gives within the order's limit."""
    quote = world.quotes[order.symbol]
    limit = price_limit(quote, order.side, order.price)
    wanted = allowed(ledger, order)
    for level in quote.levels(order.side):
        if wanted <= 0 or not within(order.side, level.price, limit):
            break
        part = min(level.quantity, wanted)
        quote.taken[order.side] += part
        wanted -= part
        fill(world, ledger, order, level.price, part, maker=False)


def after_taking(world: World, ledger: Ledger, order: SimOrder) -> None:
    """What becomes of the rest: it stands in the book, or expires with its reason."""
    if order.status.final:
        return
    if allowed(ledger, order) <= 0:
        end_order(world, ledger, order, Status.EXPIRED, ExpireReason.REDUCE_ONLY)
    elif order.kind is OrderKind.MARKET:
        end_order(world, ledger, order, Status.EXPIRED, ExpireReason.MARKET_REST)
    elif order.tif is Tif.IOC:
        end_order(world, ledger, order, Status.EXPIRED, ExpireReason.IOC_REST)
    else:
        world.resting[order.symbol][order.order_id] = (ledger, order)


def fill_resting(world: World, quote: Quote) -> None:
    """Resting orders the last price traded through fill at their own price, best price first, within
    a share of the second's volume."""
    last = quote.last
    through = [
        (ledger, order)
        for ledger, order in world.resting[quote.symbol].values()
        if (last < order.price if order.side is Side.BUY else last > order.price)
    ]
    if not through:
        return
    through.sort(key=lambda pair: pair[1].price * -pair[1].side.sign)
    left = dict.fromkeys(Side, quote.maker_quantity())
    for ledger, order in through:
        part = min(left[order.side], allowed(ledger, order))
        if part > 0 and not order.status.final:
            left[order.side] -= part
            fill(world, ledger, order, order.price, part, maker=True)


def fill(
    world: World,
    ledger: Ledger,
    order: SimOrder,
    price: Decimal,
    quantity: Decimal,
    *,
    maker: bool,
    free: bool = False,
) -> None:
    """Book one execution: order, position, wallet, incomes, truth; then tell it. *free*: no fee."""
    effect = _book_position(world, ledger, order, price, quantity)
    rate = ZERO if free else _fee_rate(world, order, maker=maker)
    fee = money(price * quantity * rate)
    order.filled += quantity
    order.quote_filled += price * quantity
    done = order.filled >= order.quantity
    order.status = Status.FILLED if done else Status.PARTIALLY_FILLED
    execution = SimFill(
        trade_id=next(world.trade_ids),
        order_id=order.order_id,
        client_id=order.client_id,
        account_id=order.account_id,
        symbol=order.symbol,
        side=order.side,
        position_side=order.position_side,
        price=price,
        quantity=quantity,
        fee=fee,
        realized=effect.realized,
        maker=maker,
        at_ms=world.now_ms,
    )
    _book_wallet(world, ledger, execution, effect)
    told = Execution.LIQUIDATION if order.liquidation else Execution.TRADE
    tell_order(world, ledger, order, told, execution)
    position = ledger.position(order.symbol, order.position_side)
    world.tell_account(ledger, "ORDER", (copy.copy(position),))
    if done:
        end_order(world, ledger, order, Status.FILLED)
    elif order.attached and world.config.attach_at_first_fill:
        world.fulfilled.append((ledger, order))


def _fee_rate(world: World, order: SimOrder, *, maker: bool) -> Decimal:
    rules = world.quotes[order.symbol].instrument
    if order.liquidation:
        return rules.liquidation_fee
    return rules.maker_fee if maker else rules.taker_fee


def _book_position(
    world: World, ledger: Ledger, order: SimOrder, price: Decimal, quantity: Decimal
) -> Effect:
    symbol, side = order.symbol, order.position_side
    position = ledger.position(symbol, side)
    before = position.quantity
    leverage = world.leverage(ledger, symbol, side) if ledger.isolated(symbol) else None
    effect = apply(position, order.side, quantity, price, leverage, world.now_ms)
    if before and before * position.quantity <= 0:
        ledger.watch.closed(symbol, side, world.now_ms)
        ledger.held.pop((symbol, side))
    if position.quantity and before * position.quantity <= 0:
        ledger.watch.opened(symbol, side, world.now_ms)
        ledger.held[symbol, side] = position
    if effect.closed:
        ledger.watch.exits.add(order.order_id)
    if effect.opened:
        ledger.watch.entries.add(order.order_id)
    world.moved[ledger.account.account_id, (symbol, side)] = ledger
    return effect


def _book_wallet(world: World, ledger: Ledger, execution: SimFill, effect: Effect) -> None:
    ledger.account.fills.append(execution)
    trade_id = str(execution.trade_id)
    if effect.realized:
        credit(world, ledger, "REALIZED_PNL", effect.realized, execution.symbol, trade_id)
    if execution.fee:
        credit(world, ledger, "COMMISSION", -execution.fee, execution.symbol, trade_id)


def credit(
    world: World, ledger: Ledger, kind: str, amount: Decimal, symbol: Symbol | None = None, trade_id: str = ""
) -> None:
    """Change the wallet by *amount*, with an income row saying why."""
    ledger.account.wallet += amount
    ledger.account.incomes.append(
        Income(
            type=kind,
            symbol=symbol,
            amount=amount,
            asset=world.config.quote,
            at_ms=world.now_ms,
            tran_id=next(world.tran_ids),
            trade_id=trade_id,
            info=kind,
        )
    )
    world.touch(ledger)
