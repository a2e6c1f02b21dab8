"""What a conditional order must satisfy before it is taken."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Side
from holdfast.simulator.core.book import closing
from holdfast.simulator.core.checks import check_mode, precise, price_bounds, quantity
from holdfast.simulator.core.model import AlgoRequest, AlgoType, CoreRefusal, Refused, SimAlgo, Working
from holdfast.simulator.core.positions import closes
from holdfast.simulator.core.quote import Quote
from holdfast.simulator.core.world import Ledger, World

STOPS = (AlgoType.STOP, AlgoType.STOP_MARKET, AlgoType.TRAILING_STOP_MARKET)
PROFITS = (AlgoType.TAKE_PROFIT, AlgoType.TAKE_PROFIT_MARKET)
LIMIT_TYPES = (AlgoType.STOP, AlgoType.TAKE_PROFIT)
CALLBACK = (Decimal("0.1"), Decimal(10))


def rising(kind: AlgoType, side: Side) -> bool:
    """It fires when the price rises to the trigger: stops that buy, profits that sell (sheet §4)."""
    return (kind in STOPS) == (side is Side.BUY)


def watched_price(quote: Quote, working: Working) -> Decimal:
    return quote.mark if working is Working.MARK else quote.last


def check_algo(world: World, ledger: Ledger, request: AlgoRequest, replaces: SimAlgo | None = None) -> None:
    """Filters, mode, id, closePosition rules, trigger side, count. Raises `CoreRefusal`.

    *replaces* is the open one that an amendment would change. A callback rate outside 0.1–10 per
    cent is refused as PRECISION with field `callback_rate`.
    """
    quote = world.quote(request.symbol)
    if not quote.instrument.trading:
        raise CoreRefusal(Refused.SYMBOL_CLOSED, status=quote.instrument.status)
    _check_form(request)
    _check_filters(ledger, quote, request)
    check_mode(ledger, request)
    if replaces is None:
        _check_client_id(ledger, request)
    if request.close_position:
        _check_close_position(world, ledger, request, replaces)
    _check_trigger_side(quote, request)
    if replaces is None and len(ledger.open_algos) >= world.config.algos_max:
        raise CoreRefusal(Refused.MAX_ALGO_ORDERS, limit=world.config.algos_max)


def _check_form(request: AlgoRequest) -> None:
    if request.close_position and request.quantity:
        raise CoreRefusal(Refused.CLOSE_STOP_WITH_QUANTITY)
    if request.close_position and request.reduce_only:
        raise CoreRefusal(Refused.CLOSE_STOP_WITH_REDUCE_ONLY)
    if request.type is AlgoType.TRAILING_STOP_MARKET:
        rate = request.callback_rate or ZERO
        if (request.callback_distance or ZERO) > 0:
            return
        if not CALLBACK[0] <= rate <= CALLBACK[1]:
            raise CoreRefusal(Refused.PRECISION, field="callback_rate")


def _check_filters(ledger: Ledger, quote: Quote, request: AlgoRequest) -> None:
    rules, limit = quote.instrument, request.type in LIMIT_TYPES
    precise(
        rules,
        request.quantity,
        request.trigger_price,
        request.price if limit else None,
        request.activate_price,
    )
    if not request.close_position:
        quantity(rules, request.quantity, market=not limit)
    if request.type is not AlgoType.TRAILING_STOP_MARKET:
        price_bounds(rules, request.trigger_price or ZERO)
    if limit:
        price_bounds(rules, request.price or ZERO)
    in_hedge = ledger.hedge and request.side is closing(request.position_side)
    if request.close_position or request.reduce_only or in_hedge:
        return
    price = (request.price if limit else request.trigger_price) or quote.mark
    if request.quantity * price < rules.notional_min:
        raise CoreRefusal(Refused.NOTIONAL_MIN, limit=rules.notional_min)


def _check_client_id(ledger: Ledger, request: AlgoRequest) -> None:
    wanted = request.client_id
    if wanted and any(algo.client_id == wanted for algo in ledger.open_algos.values()):
        raise CoreRefusal(Refused.DUPLICATE_CLIENT_ID, client_id=wanted)


def _check_close_position(
    world: World, ledger: Ledger, request: AlgoRequest, replaces: SimAlgo | None
) -> None:
    """It closes what is there, in the direction that closes, one stop and one profit per direction."""
    if ledger.hedge and request.side is not closing(request.position_side):
        raise CoreRefusal(Refused.CLOSE_STOP_WRONG_SIDE)
    position = ledger.held.get((request.symbol, request.position_side))
    if position is None:
        if world.config.close_stop_requires_position:
            raise CoreRefusal(Refused.CLOSE_STOP_NO_POSITION)
    elif not closes(request.side, position):
        raise CoreRefusal(Refused.CLOSE_STOP_WRONG_SIDE)
    profit = request.type in PROFITS
    for algo in ledger.open_algos.values():
        same = (algo.symbol, algo.position_side, algo.side) == (
            request.symbol,
            request.position_side,
            request.side,
        )
        if same and algo is not replaces and algo.close_position and (algo.type in PROFITS) == profit:
            raise CoreRefusal(Refused.CLOSE_STOP_EXISTS, algo_id=algo.algo_id)


def _check_trigger_side(quote: Quote, request: AlgoRequest) -> None:
    """WOULD_TRIGGER: the price has already come."""
    price = watched_price(quote, request.working)
    if request.type is AlgoType.TRAILING_STOP_MARKET:
        at = request.activate_price
        if at is None:
            return
        beyond = price >= at if request.side is Side.SELL else price <= at
    else:
        at = request.trigger_price or ZERO
        beyond = price >= at if rising(request.type, request.side) else price <= at
    if beyond:
        raise CoreRefusal(Refused.WOULD_TRIGGER, price=price)
