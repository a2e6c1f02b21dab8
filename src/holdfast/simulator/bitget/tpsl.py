"""A position's stops and profits: five of the families of plan orders (bitget.md §3.4, §4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bitget import errors
from holdfast.simulator.bitget.params import Params
from holdfast.simulator.bitget.plans import (
    PROFITS,
    TPSL,
    TRIGGER_TYPES,
    WHOLE,
    Plan,
    PlanType,
)
from holdfast.simulator.bitget.render import whole_plans
from holdfast.simulator.bitget.trade import (
    order_kind,
    own_id,
)
from holdfast.simulator.bitget.venue import Call, Filled, Venue, hedge, held
from holdfast.simulator.core.model import (
    AlgoRequest,
    AlgoType,
    CoreRefusal,
    SimAlgo,
    Working,
)
from holdfast.simulator.core.positions import closes
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.figures import Row

CALLBACK_MAX = Decimal(10)
# holdSide: in hedge mode the position's side, in one-way mode the side it was opened with (sheet §3.4).
HEDGE_HOLDS = {"long": (Side.SELL, PositionSide.LONG), "short": (Side.BUY, PositionSide.SHORT)}
ONE_WAY_HOLDS = {"buy": (Side.SELL, PositionSide.BOTH), "sell": (Side.BUY, PositionSide.BOTH)}
# (closes with a profit, has a price of its own)
TYPES = {
    (False, False): AlgoType.STOP_MARKET,
    (False, True): AlgoType.STOP,
    (True, False): AlgoType.TAKE_PROFIT_MARKET,
    (True, True): AlgoType.TAKE_PROFIT,
}


# --- stop loss and take profit of a position -------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Tpsl:
    """One stop or profit to place on a position."""

    kind: PlanType
    symbol: Symbol
    side: Side
    position_side: PositionSide
    trigger: Decimal
    working: Working
    execute: Decimal = ZERO
    quantity: Decimal = ZERO
    callback: Decimal | None = None
    client_id: str = ""

    @property
    def long(self) -> bool:
        """It is for a long position."""
        return self.side is Side.SELL

    def request(self) -> AlgoRequest:
        whole, trailing = self.kind in WHOLE, self.kind is PlanType.MOVING
        usual = TYPES[self.kind in PROFITS, bool(self.execute)]
        return AlgoRequest(
            symbol=self.symbol,
            side=self.side,
            type=AlgoType.TRAILING_STOP_MARKET if trailing else usual,
            trigger_price=None if trailing else self.trigger,
            quantity=ZERO if whole else self.quantity,
            price=self.execute or None,
            working=self.working,
            close_position=whole,
            reduce_only=not whole and self.position_side is PositionSide.BOTH,
            position_side=self.position_side,
            activate_price=self.trigger if trailing else None,
            callback_rate=self.callback,
            client_id=self.client_id,
            tied=True,
        )


def hold_side(call: Call, params: Params) -> tuple[Side, PositionSide]:
    """The closing side and the position; words of the other position mode do not fit (40774)."""
    ours, theirs = (HEDGE_HOLDS, ONE_WAY_HOLDS) if hedge(call.now()) else (ONE_WAY_HOLDS, HEDGE_HOLDS)
    if params.need("holdSide").lower() in theirs:
        raise errors.unilateral()
    return params.choice("holdSide", ours)


def check_position(call: Call, wanted: Tpsl) -> None:
    """There is a position of that direction, and it has been for long enough to be seen."""
    position = held(call.now(), wanted.symbol, wanted.position_side)
    life = call.venue.lives.of(call.account_id, wanted.symbol, wanted.position_side)
    seen_ms = life.opened_ms + call.switches.tpsl_after_open_ms if life else 0
    if position is None or not closes(wanted.side, position) or seen_ms > call.now_ms:
        if call.switches.condition_means == "position":
            raise errors.condition("position")
        raise errors.no_position_for_tpsl()


def check_side(venue: Venue, wanted: Tpsl) -> None:
    """It does not trigger at once."""
    prices = venue.core.prices(wanted.symbol)
    price = prices.mark if wanted.working is Working.MARK else prices.last
    loss = wanted.kind not in PROFITS
    if wanted.kind is PlanType.MOVING:
        return
    beyond = wanted.trigger >= price if wanted.long is loss else wanted.trigger <= price
    if beyond:
        raise errors.wrong_side(loss=loss, long=wanted.long, price=price)


def put(venue: Venue, account_id: str, wanted: Tpsl, *, replaces: bool) -> SimAlgo:
    """Place it; a whole-position one may have to take another's place."""
    account = venue.core.view(account_id)
    there = whole_plans(venue, account, wanted.symbol, wanted.position_side).get(wanted.kind)
    if there is not None:
        if not replaces:
            raise errors.tpsl_exists(loss=wanted.kind is PlanType.POS_LOSS)
        venue.core.cancel_algo(account_id, algo_id=there.algo_id)
    request = wanted.request()
    prices = venue.core.prices(wanted.symbol)
    if wanted.kind is PlanType.MOVING:
        request = activated(request, prices.mark if wanted.working is Working.MARK else prices.last)
    algo = venue.core.place_algo(account_id, request)
    venue.plans[algo.algo_id] = Plan(type=wanted.kind, trigger=wanted.trigger)
    venue.plan_names[account_id, algo.client_id] = algo.algo_id
    return algo


def activated(request: AlgoRequest, price: Decimal) -> AlgoRequest:
    """A trailing order whose activation price has come already is active from the start."""
    at = request.activate_price
    come = at is not None and (price >= at if request.side is Side.SELL else price <= at)
    return replace(request, activate_price=None) if come else request


def _tpsl(call: Call, params: Params) -> Tpsl:
    params.product()
    symbol = call.core.instrument(params.symbol()).symbol
    call.check_margin_coin(params)
    if "orderType" in params:
        order_kind(params)
    kind = params.choice("planType", TPSL, wrong_plan_type(call))
    side, position_side = hold_side(call, params)
    execute = params.decimal("executePrice") or ZERO
    if execute < 0:
        raise errors.execute_price()
    return Tpsl(
        kind=kind,
        symbol=symbol,
        side=side,
        position_side=position_side,
        trigger=params.need_decimal("triggerPrice"),
        working=params.choice_or("triggerType", TRIGGER_TYPES, Working.LAST),
        execute=ZERO if kind is PlanType.MOVING else execute,
        quantity=ZERO if kind in WHOLE else params.need_decimal("size"),
        callback=callback(params, "rangeRate") if kind is PlanType.MOVING else None,
        client_id=own_id(call, params, "clientOid", call.venue.plan_names),
    )


def wrong_plan_type(call: Call) -> WireError:
    if call.switches.condition_means == "position":
        return errors.condition("planType")
    return errors.not_verified("planType Illegal type")


def callback(params: Params, name: str) -> Decimal:
    """Per cent."""
    rate = params.need_decimal(name)
    if not 0 < rate <= CALLBACK_MAX:
        raise errors.wrong(name)
    return rate


def post_tpsl(call: Call) -> Row:
    wanted = _tpsl(call, call.params)
    check_position(call, wanted)
    check_side(call.venue, wanted)
    algo = put(call.venue, call.account_id, wanted, replaces=call.switches.second_tpsl == "replaces")
    return {"orderId": str(algo.algo_id), "clientOid": algo.client_id}


def post_pos_tpsl(call: Call) -> list[Row]:
    """Profit and stop at once; with a size of its own each is a partial one."""
    params = call.params
    wanted = [
        _tpsl(call, _half(params, name, whole, part))
        for name, whole, part in (
            ("stopSurplus", PlanType.POS_PROFIT, PlanType.PROFIT),
            ("stopLoss", PlanType.POS_LOSS, PlanType.LOSS),
        )
        if f"{name}TriggerPrice" in params
    ]
    if not wanted:
        raise errors.missing("stopLossTriggerPrice")
    for one in wanted:
        check_position(call, one)
        check_side(call.venue, one)
    replaces = call.switches.second_tpsl == "replaces"
    made = [put(call.venue, call.account_id, one, replaces=replaces) for one in wanted]
    names = {f"{name}ClientOid": params.text(f"{name}ClientOid") for name in ("stopSurplus", "stopLoss")}
    return [{"orderId": str(algo.algo_id), **names} for algo in made]


def _half(params: Params, name: str, whole: PlanType, part: PlanType) -> Params:
    """One of the two, as place-tpsl-order would have been told it."""
    size = params.text(f"{name}Size")
    own = {
        "planType": (part if size else whole).value,
        "size": size,
        "triggerPrice": params.text(f"{name}TriggerPrice"),
        "triggerType": params.text(f"{name}TriggerType"),
        "executePrice": params.text(f"{name}ExecutePrice"),
        "clientOid": params.text(f"{name}ClientOid"),
    }
    return Params(own).beside(params, "symbol", "productType", "marginCoin", "holdSide")


# --- presets become TPSL orders of the position ----------------------------------------------------


def bring_to_life(venue: Venue) -> None:
    """What orders brought along as stop and profit now protects the position they opened; one that is
    there already is replaced, one that cannot be any more (price or position gone) is dropped."""
    filled, venue.filled = venue.filled, []
    for one in filled:
        position = held(venue.core.view(one.account_id), one.symbol, one.side)
        if position is None:
            continue
        side = Side.SELL if position.quantity > 0 else Side.BUY
        for wanted in _preset(one, side):
            try:
                check_side(venue, wanted)
                _again(venue, one, wanted)
            except (CoreRefusal, WireError):
                continue


def _again(venue: Venue, one: Filled, wanted: Tpsl) -> None:
    """A further fill of the same order changes nothing."""
    account = venue.core.view(one.account_id)
    there = whole_plans(venue, account, one.symbol, one.side).get(wanted.kind)
    if there is None or (there.trigger_price, there.price) != (wanted.trigger, wanted.execute):
        put(venue, one.account_id, wanted, replaces=True)


def _preset(one: Filled, side: Side) -> Iterable[Tpsl]:
    presets = one.presets
    for kind, trigger, execute in (
        (PlanType.POS_LOSS, presets.loss, presets.loss_execute),
        (PlanType.POS_PROFIT, presets.profit, presets.profit_execute),
    ):
        if trigger:
            yield Tpsl(
                kind=kind,
                symbol=one.symbol,
                side=side,
                position_side=one.side,
                trigger=trigger,
                working=Working.LAST,
                execute=execute,
            )
