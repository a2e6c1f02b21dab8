"""Conditional orders: NEW, TRIGGERING when the market reaches them, TRIGGERED, FINISHED (binance.md §3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial

from holdfast.domain.numbers import ZERO, ceil_to, floor_to
from holdfast.domain.orders import Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.algo_checks import LIMIT_TYPES, check_algo, rising, watched_price
from holdfast.simulator.core.book import (
    has_what_it_closes,
    new_order,
    only_reduces,
    open_algo,
    set_algo,
    tell_algo,
)
from holdfast.simulator.core.checks import Case, check_matching, funds
from holdfast.simulator.core.model import (
    AlgoAmendment,
    AlgoRequest,
    AlgoStatus,
    AlgoType,
    CoreRefusal,
    OrderKind,
    OrderRequest,
    Refused,
    SimAlgo,
    SimOrder,
    Tif,
)
from holdfast.simulator.core.orders import execute
from holdfast.simulator.core.quote import Quote
from holdfast.simulator.core.world import Ledger, World

REDUCE_ONLY_WORDS = "Reduce Only reject"
REJECT_WORDS: Mapping[Refused, str] = {
    Refused.MARGIN: "Margin is insufficient.",
    Refused.BRACKET: "Exceeded the maximum allowable position at current leverage.",
    Refused.POST_ONLY_WOULD_TAKE: "Post only order would take.",
    Refused.FOK_UNFILLABLE: "FOK order could not be filled.",
}


def place(world: World, ledger: Ledger, request: AlgoRequest) -> SimAlgo:
    """Accept a conditional order; margin is not checked before it triggers. Raises `CoreRefusal`."""
    check_algo(world, ledger, request)
    return accept(world, ledger, request)


def attach(world: World, ledger: Ledger, order: SimOrder) -> None:
    """The stops and profits that came with a filled *order*, once. One whose price has been passed
    meanwhile is taken all the same, and triggers at once."""
    attached, order.attached = order.attached, ()
    most = order.filled if order.status.final else order.quantity
    for request in attached:
        quantity = min(request.quantity or most, most)
        accept(world, ledger, replace(request, quantity=quantity), parent_id=order.order_id)


def accept(world: World, ledger: Ledger, request: AlgoRequest, parent_id: int = 0) -> SimAlgo:
    """A conditional order of *request*, past every check."""
    quote = world.quotes[request.symbol]
    trailing = request.type is AlgoType.TRAILING_STOP_MARKET
    algo = SimAlgo(
        algo_id=next(world.algo_ids),
        client_id=request.client_id or world.client_id(),
        account_id=ledger.account.account_id,
        symbol=request.symbol,
        side=request.side,
        position_side=request.position_side,
        type=request.type,
        tif=request.tif,
        quantity=ZERO if request.close_position else request.quantity,
        price=(request.price or ZERO) if request.type in LIMIT_TYPES else ZERO,
        trigger_price=request.trigger_price or ZERO,
        working=request.working,
        close_position=request.close_position,
        reduce_only=request.reduce_only,
        price_protect=request.price_protect,
        created_ms=world.now_ms,
        updated_ms=world.now_ms,
        activate_price=request.activate_price,
        callback_rate=request.callback_rate,
        callback_distance=request.callback_distance,
        tied=request.tied,
        parent_id=parent_id,
    )
    ledger.watch.accepted("algo", algo.client_id)
    open_algo(world, ledger, algo)
    if trailing and algo.activate_price is None:
        _activate(world, ledger, algo, watched_price(quote, algo.working))
    return algo


def find_open(ledger: Ledger, algo_id: int | None, client_id: str | None) -> SimAlgo:
    """The untriggered conditional order of that id; UNKNOWN_ORDER refused, also while it triggers."""
    for algo in ledger.open_algos.values():
        named = algo.algo_id == algo_id if algo_id is not None else algo.client_id == client_id
        if named and algo.status is AlgoStatus.NEW:
            return algo
    raise CoreRefusal(Refused.UNKNOWN_ORDER)


def cancel(world: World, ledger: Ledger, algo: SimAlgo) -> SimAlgo:
    set_algo(world, ledger, algo, AlgoStatus.CANCELED)
    return algo


def amend(world: World, ledger: Ledger, algo: SimAlgo, to: AlgoAmendment) -> SimAlgo:
    """Change *algo* in place; checked like a new one. Raises `CoreRefusal`; then nothing has changed."""
    request = _amended(algo, to)
    check_algo(world, ledger, request, replaces=algo)
    algo.type, algo.working = request.type, request.working
    algo.quantity = ZERO if request.close_position else request.quantity
    algo.price = (request.price or ZERO) if request.type in LIMIT_TYPES else ZERO
    algo.callback_rate = request.callback_rate
    if request.trigger_price is not None:
        algo.trigger_price = request.trigger_price
    if to.trigger_price is not None and algo.callback_rate is not None:
        algo.activate_price, algo.activated, algo.trigger_price = to.trigger_price, False, ZERO
    tell_algo(world, ledger, algo)
    return algo


def _amended(algo: SimAlgo, to: AlgoAmendment) -> AlgoRequest:
    trailing = algo.type is AlgoType.TRAILING_STOP_MARKET
    trigger = algo.trigger_price if to.trigger_price is None else to.trigger_price
    price = algo.price if to.price is None else to.price
    activate = to.trigger_price if trailing and to.trigger_price is not None else None
    return AlgoRequest(
        symbol=algo.symbol,
        side=algo.side,
        type=algo.type if trailing else _priced(algo.type, price),
        trigger_price=None if trailing else trigger,
        quantity=ZERO if algo.close_position else (to.quantity or algo.quantity),
        price=price or None,
        working=to.working or algo.working,
        close_position=algo.close_position,
        reduce_only=algo.reduce_only,
        price_protect=algo.price_protect,
        position_side=algo.position_side,
        tif=algo.tif,
        activate_price=activate,
        callback_rate=to.callback_rate or algo.callback_rate,
        client_id=algo.client_id,
        tied=algo.tied,
    )


def _priced(kind: AlgoType, price: Decimal) -> AlgoType:
    """The same order with a limit price, or at market."""
    stop = kind in (AlgoType.STOP, AlgoType.STOP_MARKET)
    if price:
        return AlgoType.STOP if stop else AlgoType.TAKE_PROFIT
    return AlgoType.STOP_MARKET if stop else AlgoType.TAKE_PROFIT_MARKET


def cancel_all(world: World, ledger: Ledger, symbol: Symbol) -> int:
    world.quote(symbol)
    mine = [
        algo for algo in ledger.open_algos.values() if algo.symbol == symbol and algo.status is AlgoStatus.NEW
    ]
    for algo in mine:
        set_algo(world, ledger, algo, AlgoStatus.CANCELED)
    return len(mine)


# --- the market reaches them ------------------------------------------------------------------------


def trigger(world: World, quote: Quote) -> None:
    """Start every armed order of the symbol whose price has come."""
    for ledger, algo in list(world.armed[quote.symbol].values()):
        price = watched_price(quote, algo.working)
        if algo.type is AlgoType.TRAILING_STOP_MARKET:
            _trail(world, ledger, algo, price)
        if _reached(algo, price) and not _held_back(quote, algo):
            start(world, ledger, algo)


def _reached(algo: SimAlgo, price: Decimal) -> bool:
    waiting = algo.type is AlgoType.TRAILING_STOP_MARKET and not algo.activated
    if waiting or not algo.trigger_price:
        return False
    return price >= algo.trigger_price if rising(algo.type, algo.side) else price <= algo.trigger_price


def _held_back(quote: Quote, algo: SimAlgo) -> bool:
    """priceProtect: while mark and last are too far apart nothing triggers [M]."""
    return algo.price_protect and abs(quote.mark - quote.last) > quote.last * quote.instrument.trigger_protect


def _trail(world: World, ledger: Ledger, algo: SimAlgo, price: Decimal) -> None:
    """Activate, then follow the extreme; the trigger stands a rate or a distance behind it."""
    selling = algo.side is Side.SELL
    if not algo.activated:
        activate = algo.activate_price or ZERO
        if price >= activate if selling else price <= activate:
            _activate(world, ledger, algo, price)
        return
    if price > algo.extreme if selling else price < algo.extreme:
        _follow(world, algo, price)
        ledger.history.algos_changed[algo.algo_id] = algo
        world.touch(ledger)


def _activate(world: World, ledger: Ledger, algo: SimAlgo, price: Decimal) -> None:
    algo.activated = True
    _follow(world, algo, price)
    tell_algo(world, ledger, algo)


def _follow(world: World, algo: SimAlgo, price: Decimal) -> None:
    algo.extreme = price
    tick = world.quotes[algo.symbol].tick
    behind = algo.callback_distance or price * (algo.callback_rate or ZERO) / 100
    if algo.side is Side.SELL:
        algo.trigger_price = floor_to(price - behind, tick)
    else:
        algo.trigger_price = ceil_to(price + behind, tick)


def start(world: World, ledger: Ledger, algo: SimAlgo) -> None:
    """TRIGGERING now; the order follows in a moment, unless it is to hang (G32)."""
    algo.triggered_ms = world.now_ms
    set_algo(world, ledger, algo, AlgoStatus.TRIGGERING)
    if algo.symbol in world.stuck:
        world.stuck.discard(algo.symbol)
        world.later(world.config.stuck_triggering_tolerance_ms + 1, partial(world.touch, ledger))
    else:
        world.later(world.config.trigger_delay_ms, partial(_send, world, ledger, algo))


def release(world: World, ledger: Ledger, symbol: Symbol) -> None:
    """Send what hangs in TRIGGERING."""
    for algo in list(ledger.open_algos.values()):
        if algo.symbol == symbol:
            _send(world, ledger, algo)


def _send(world: World, ledger: Ledger, algo: SimAlgo) -> None:
    """TRIGGERING becomes a real order, or ends: EXPIRED, REJECTED with its reason."""
    if algo.status is not AlgoStatus.TRIGGERING:
        return
    if only_reduces(ledger, algo) and not has_what_it_closes(ledger, algo):
        ended = AlgoStatus.EXPIRED if algo.close_position else AlgoStatus.REJECTED
        set_algo(world, ledger, algo, ended, "" if algo.close_position else REDUCE_ONLY_WORDS)
        return
    request = _request(world, ledger, algo)
    case = Case(world, ledger, world.quotes[algo.symbol], request)
    try:
        _check_trigger(case)
    except CoreRefusal as refusal:
        words = REJECT_WORDS.get(refusal.why, refusal.why.value)
        set_algo(world, ledger, algo, AlgoStatus.REJECTED, words)
        return
    order = new_order(world, ledger, request)
    order.close_position, order.algo_id = algo.close_position, algo.algo_id
    order.algo_type, order.stop_price = algo.type, algo.trigger_price
    algo.order_id = order.order_id
    set_algo(world, ledger, algo, AlgoStatus.TRIGGERED)
    execute(world, ledger, order)


def _check_trigger(case: Case) -> None:
    """Margin for what could open; maker and fill-or-kill promises of limit orders."""
    if not case.rules.trading:
        raise CoreRefusal(Refused.SYMBOL_CLOSED, status=case.rules.status)
    if not (case.request.reduce_only or _only_closes(case)):
        funds(case)
    if case.request.kind is OrderKind.LIMIT:
        check_matching(case)


def _only_closes(case: Case) -> bool:
    """In hedge mode the order can only close."""
    position = case.ledger.held.get((case.request.symbol, case.request.position_side))
    against = position is not None and position.quantity * case.request.side.sign < 0
    return case.ledger.hedge and against


def _request(world: World, ledger: Ledger, algo: SimAlgo) -> OrderRequest:
    quantity = algo.quantity
    if algo.close_position:
        quantity = abs(ledger.held[algo.symbol, algo.position_side].quantity)
    limit = algo.type in LIMIT_TYPES
    return OrderRequest(
        symbol=algo.symbol,
        side=algo.side,
        kind=OrderKind.LIMIT if limit else OrderKind.MARKET,
        quantity=quantity,
        price=algo.price if limit else None,
        tif=algo.tif if limit else Tif.GTC,
        reduce_only=(algo.reduce_only or algo.close_position) and not ledger.hedge,
        position_side=algo.position_side,
        client_id=str(algo.algo_id) if world.config.child_named_by_id else algo.client_id,
    )
