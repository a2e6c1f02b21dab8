"""Plan orders over REST: placed, changed, cancelled and read by family (bitget.md §3.4, §4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bitget import errors
from holdfast.simulator.bitget.pages import listed, page
from holdfast.simulator.bitget.params import Params
from holdfast.simulator.bitget.plans import (
    BOOKS,
    CANCELS,
    CONDITIONAL,
    STATUSES,
    TPSL,
    TRIGGER_TYPES,
    WHOLE,
    Plan,
    PlanType,
    pending,
)
from holdfast.simulator.bitget.render import plan_history_row, plan_of, plan_row
from holdfast.simulator.bitget.tpsl import TYPES, Tpsl, activated, callback, check_side, wrong_plan_type
from holdfast.simulator.bitget.trade import (
    adopt_margin_mode,
    lists,
    order_kind,
    own_id,
    presets_of,
    sides,
)
from holdfast.simulator.bitget.venue import Call
from holdfast.simulator.core.model import (
    AlgoAmendment,
    AlgoRequest,
    AlgoStatus,
    AlgoType,
    OrderKind,
    SimAccount,
    SimAlgo,
    Working,
)
from holdfast.simulator.wire.figures import Row

# --- conditional orders that may open --------------------------------------------------------------


def post_plan(call: Call) -> Row:
    params = call.params
    params.product()
    symbol = call.core.instrument(params.symbol()).symbol
    call.check_margin_coin(params)
    kind = params.choice("planType", CONDITIONAL, wrong_plan_type(call))
    side, position_side = sides(call, params)
    reduces = params.yes("reduceOnly") and position_side is PositionSide.BOTH
    if reduces and call.switches.reduce_only_plan == "refused":
        raise errors.reduce_only_plan()
    working = params.choice("triggerType", TRIGGER_TYPES)
    trigger = params.need_decimal("triggerPrice")
    price = watched(call, symbol, working)
    execute = _execute_price(params)
    trailing = kind is PlanType.TRACK
    request = AlgoRequest(
        symbol=symbol,
        side=side,
        type=AlgoType.TRAILING_STOP_MARKET if trailing else _towards(side, trigger, price, execute),
        trigger_price=None if trailing else trigger,
        quantity=params.need_decimal("size"),
        price=None if trailing else execute or None,
        working=working,
        reduce_only=reduces,
        position_side=position_side,
        activate_price=trigger if trailing else None,
        callback_rate=callback(params, "callbackRatio") if trailing else None,
        client_id=own_id(call, params, "clientOid", call.venue.plan_names),
    )
    adopt_margin_mode(call, params, symbol)
    presets = presets_of(params, "stopSurplusTrigger", "stopLossTrigger")
    algo = call.core.place_algo(call.account_id, activated(request, price))
    call.venue.plans[algo.algo_id] = Plan(type=kind, trigger=trigger, presets=presets)
    call.venue.plan_names[call.account_id, algo.client_id] = algo.algo_id
    return {"orderId": str(algo.algo_id), "clientOid": algo.client_id}


def watched(call: Call, symbol: Symbol, working: Working) -> Decimal:
    prices = call.core.prices(symbol)
    return prices.mark if working is Working.MARK else prices.last


def _execute_price(params: Params) -> Decimal:
    """Of a limit plan, by either name; market plans have none."""
    if order_kind(params) is OrderKind.MARKET:
        return ZERO
    price = params.decimal("price") or params.decimal("executePrice") or ZERO
    if price <= 0:
        raise errors.execute_price()
    return price


def _towards(side: Side, trigger: Decimal, price: Decimal, execute: Decimal) -> AlgoType:
    """The direction follows from where the price stands now: any side is allowed (sheet §4)."""
    falls = trigger < price
    return TYPES[falls if side is Side.BUY else not falls, bool(execute)]


# --- changing and cancelling -----------------------------------------------------------------------


def _found(call: Call, account: SimAccount, params: Params) -> SimAlgo | None:
    number = params.integer_or_none("orderId")
    if number is None:
        if "clientOid" not in params:
            raise errors.missing("orderId")
        number = call.venue.plan_names.get((call.account_id, params.text("clientOid")))
    return account.algos.get(number) if number is not None else None


def _waiting(call: Call, kinds: Iterable[PlanType]) -> tuple[SimAlgo, Plan]:
    algo = _found(call, call.now(), call.params)
    if algo is None or algo.status is not AlgoStatus.NEW:
        raise errors.no_such_plan()
    plan = plan_of(call.venue, algo)
    if plan.type not in kinds:
        raise errors.no_such_plan()
    return algo, plan


def post_modify_tpsl(call: Call) -> Row:
    """For whole-position ones the size is to be empty."""
    params = call.params
    params.product()
    algo, plan = _waiting(call, TPSL.values())
    trigger = params.need_decimal("triggerPrice")
    working = params.choice_or("triggerType", TRIGGER_TYPES, algo.working)
    size = params.decimal("size")
    if plan.type in WHOLE:
        if size is not None and call.switches.resized_position_tpsl == "refused":
            raise errors.wrong("size")
        size = None
    check_side(
        call.venue,
        Tpsl(
            kind=plan.type,
            symbol=algo.symbol,
            side=algo.side,
            position_side=algo.position_side,
            trigger=trigger,
            working=working,
        ),
    )
    amendment = AlgoAmendment(
        trigger_price=trigger, quantity=size, price=params.decimal("executePrice"), working=working
    )
    return _amend(call, algo, replace(plan, trigger=trigger), amendment)


def post_modify_plan(call: Call) -> Row:
    params = call.params
    params.product()
    algo, plan = _waiting(call, CONDITIONAL.values())
    trigger = params.decimal("newTriggerPrice")
    amendment = AlgoAmendment(
        trigger_price=trigger,
        quantity=params.decimal("newSize"),
        price=params.decimal("newPrice"),
        working=params.choice_or("newTriggerType", TRIGGER_TYPES, algo.working),
        callback_rate=params.decimal("newCallbackRatio"),
    )
    presets = presets_of(params, "newStopSurplusTrigger", "newStopLossTrigger")
    changed = replace(plan, trigger=trigger or plan.trigger, presets=presets or plan.presets)
    return _amend(call, algo, changed, amendment)


def _amend(call: Call, algo: SimAlgo, plan: Plan, amendment: AlgoAmendment) -> Row:
    call.core.amend_algo(call.account_id, algo.algo_id, amendment)
    call.venue.plans[algo.algo_id] = plan
    return {"orderId": str(algo.algo_id), "clientOid": algo.client_id}


def post_cancel_plan(call: Call) -> Row:
    """Those of the planType (normal_plan unless told) that are named, or all; what is there but of
    another planType is passed over in silence."""
    params = call.params
    params.product()
    kinds = params.choice_or("planType", CANCELS, CANCELS["normal_plan"], wrong_plan_type(call))
    account = call.now()
    if "orderIdList" not in params:
        wanted = set(call.symbols())
        algos = [account.algos[algo_id] for algo_id in account.live_algos]
        return lists([_cancel(call, algo) for algo in algos if _cancels(call, algo, kinds, wanted)], [])
    done: list[Row] = []
    gone: list[Row] = []
    for row in params.rows("orderIdList"):
        algo = _found(call, account, row)
        if algo is None or algo.status is not AlgoStatus.NEW:
            gone.append(_gone(row))
        elif plan_of(call.venue, algo).type in kinds:
            done.append(_cancel(call, algo))
    if gone and not done and call.switches.gone_plan == "refused":
        raise errors.no_such_plan()
    return lists(done, gone)


def _cancels(call: Call, algo: SimAlgo, kinds: Iterable[PlanType], wanted: set[Symbol]) -> bool:
    waits = algo.status is AlgoStatus.NEW
    return waits and algo.symbol in wanted and plan_of(call.venue, algo).type in kinds


def _cancel(call: Call, algo: SimAlgo) -> Row:
    call.core.cancel_algo(call.account_id, algo_id=algo.algo_id)
    return {"orderId": str(algo.algo_id), "clientOid": algo.client_id}


def _gone(row: Params) -> Row:
    return {
        "orderId": row.text("orderId"),
        "clientOid": row.text("clientOid"),
        "errorMsg": "notExistend",
        "errorCode": "43025",
    }


# --- reading ---------------------------------------------------------------------------------------


def _listed(call: Call, view: SimAccount, *, live: bool) -> list[SimAlgo]:
    """One page of one book."""
    params = call.params
    params.product()
    kinds = params.choice("planType", BOOKS, wrong_plan_type(call))
    wanted, named = set(call.symbols()), _found(call, view, params) if _names_one(params) else None
    if _names_one(params) and named is None:
        return []
    status = params.text("planStatus")
    found = [
        algo
        for algo in view.algos.values()
        if pending(algo) is live
        and algo.symbol in wanted
        and (named is None or named.algo_id == algo.algo_id)
        and status in ("", STATUSES[algo.status])
        and plan_of(call.venue, algo).type in kinds
    ]
    if live and call.switches.hidden_pos_loss:
        found = [algo for algo in found if plan_of(call.venue, algo).type is not PlanType.POS_LOSS]
    return page(params, found, lambda algo: algo.algo_id, lambda algo: algo.created_ms)


def _names_one(params: Params) -> bool:
    return "orderId" in params or "clientOid" in params


def get_pending(call: Call) -> Row:
    view = call.view()
    algos = _listed(call, view, live=True)
    rows = [plan_row(call.venue, view, algo) for algo in algos]
    return listed(call.switches, "entrustedList", rows, algos[-1].algo_id if algos else None)


def get_history(call: Call) -> Row:
    view = call.view()
    algos = _listed(call, view, live=False)
    rows = [plan_history_row(call.venue, view, algo) for algo in algos]
    return listed(call.switches, "entrustedList", rows, algos[-1].algo_id if algos else None)


def get_sub_orders(call: Call) -> list[Row]:
    """What a plan turned into."""
    call.params.product()
    view = call.view()
    algo = view.algos.get(call.params.integer("planOrderId", 0))
    order = view.orders.get(algo.order_id) if algo is not None else None
    if order is None:
        return []
    price = order.price or order.average_price
    return [
        {
            "orderId": str(order.order_id),
            "price": str(price),
            "type": order.kind.value,
            "status": "success",
        }
    ]
