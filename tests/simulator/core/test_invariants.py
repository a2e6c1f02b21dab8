"""Safety sentences of the exchange itself, under any sequence of requests and market moves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bingx.config import Switches
from holdfast.simulator.core.engine import Core, CoreConfig
from holdfast.simulator.core.generated import generated_market
from holdfast.simulator.core.model import (
    AlgoRequest,
    AlgoStatus,
    AlgoType,
    CoreEvent,
    CoreRefusal,
    OrderKind,
    OrderRequest,
    SimAccount,
    Tif,
)

D = Decimal
ADA, DOGE = Symbol.parse("ADAUSDT"), Symbol.parse("DOGEUSDT")
ME = "me"
Step = tuple[str, dict[str, Any]]

sides = st.sampled_from(list(Side))
symbols = st.sampled_from([ADA, DOGE])
position_sides = st.sampled_from([PositionSide.LONG, PositionSide.SHORT])
ratios = st.decimals(D("0.96"), D("1.04"), places=3)
quantities = st.integers(10, 60_000)

orders = st.fixed_dictionaries(
    {
        "symbol": symbols,
        "side": sides,
        "quantity": quantities,
        "ratio": st.one_of(st.none(), ratios),
        "tif": st.sampled_from(list(Tif)),
        "reduce_only": st.booleans(),
        "position_side": position_sides,
    }
)
algos = st.fixed_dictionaries(
    {
        "symbol": symbols,
        "side": sides,
        "type": st.sampled_from(list(AlgoType)),
        "quantity": quantities,
        "ratio": ratios,
        "close_position": st.booleans(),
        "reduce_only": st.booleans(),
        "position_side": position_sides,
    }
)
steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("order"), orders),
    st.tuples(st.just("order"), orders),
    st.tuples(st.just("algo"), algos),
    st.tuples(st.just("wait"), st.fixed_dictionaries({"ms": st.integers(1, 90_000)})),
    st.tuples(
        st.just("move"),
        st.fixed_dictionaries({"symbol": symbols, "ratio": st.decimals(D("0.9"), D("1.1"), places=2)}),
    ),
    st.tuples(st.just("cancel"), st.fixed_dictionaries({"symbol": symbols})),
    st.tuples(st.just("close"), st.fixed_dictionaries({"symbol": symbols, "position_side": position_sides})),
)


def side_of(world: Core, drawn: PositionSide) -> PositionSide:
    hedge = world.view(ME).position_mode is PositionMode.HEDGE
    return drawn if hedge else PositionSide.BOTH


def reduces(world: Core, drawn: bool) -> bool:
    return drawn and world.view(ME).position_mode is PositionMode.ONE_WAY


def tick(world: Core, symbol: Symbol, ratio: Decimal) -> Decimal:
    step = world.instrument(symbol).price_step
    return round(world.prices(symbol).mark * ratio / step) * step


def do_order(world: Core, a: dict[str, Any]) -> None:
    limit = a["ratio"] is not None
    world.place_order(
        ME,
        OrderRequest(
            symbol=a["symbol"],
            side=a["side"],
            kind=OrderKind.LIMIT if limit else OrderKind.MARKET,
            quantity=D(a["quantity"]),
            price=tick(world, a["symbol"], a["ratio"]) if limit else None,
            tif=a["tif"] if limit else Tif.GTC,
            reduce_only=reduces(world, a["reduce_only"]),
            position_side=side_of(world, a["position_side"]),
            attached=(protection(world, a),) if a.get("attach") else (),
        ),
    )


def protection(world: Core, a: dict[str, Any]) -> AlgoRequest:
    """A stop of half the order, tied to the position."""
    ratio = D("0.98") if a["side"] is Side.BUY else D("1.02")
    return AlgoRequest(
        symbol=a["symbol"],
        side=Side.SELL if a["side"] is Side.BUY else Side.BUY,
        type=AlgoType.STOP_MARKET,
        trigger_price=tick(world, a["symbol"], ratio),
        quantity=D(a["quantity"] // 2 + 1),
        reduce_only=world.view(ME).position_mode is PositionMode.ONE_WAY,
        position_side=side_of(world, a["position_side"]),
        tied=True,
    )


def do_leverage(world: Core, a: dict[str, Any]) -> None:
    world.set_leverage(ME, a["symbol"], a["leverage"], side_of(world, a["position_side"]))


def do_algo(world: Core, a: dict[str, Any]) -> None:
    price = tick(world, a["symbol"], a["ratio"])
    trailing = a["type"] is AlgoType.TRAILING_STOP_MARKET
    whole = a["close_position"] and a["type"] in (AlgoType.STOP_MARKET, AlgoType.TAKE_PROFIT_MARKET)
    world.place_algo(
        ME,
        AlgoRequest(
            symbol=a["symbol"],
            side=a["side"],
            type=a["type"],
            trigger_price=None if trailing else price,
            price=price,
            quantity=D(0) if whole else D(a["quantity"]),
            close_position=whole,
            reduce_only=reduces(world, a["reduce_only"] and not whole),
            callback_rate=D(1) if trailing else None,
            position_side=side_of(world, a["position_side"]),
            tied=a.get("attach", False),
        ),
    )


DOES: dict[str, Callable[[Core, dict[str, Any]], object]] = {
    "order": do_order,
    "algo": do_algo,
    "leverage": do_leverage,
    "wait": lambda world, a: world.advance(world.now_ms + a["ms"]),
    "move": lambda world, a: world.move_price(a["symbol"], a["ratio"]),
    "cancel": lambda world, a: world.cancel_all_orders(ME, a["symbol"]),
    "refill": lambda world, a: world.transfer(ME, D(600)) if world.view(ME).wallet < 200 else None,
    "close": lambda world, a: world.close_by_hand(ME, a["symbol"], side_of(world, a["position_side"])),
}


BINANCE = CoreConfig(seed=4)


def build(*, hedge: bool, isolated: bool, wallet: int = 2000, ways: CoreConfig = BINANCE) -> Core:
    world = Core(generated_market([ADA, DOGE], history_ms=600_000, seed=1), ways)
    world.open_account(ME, "key", "secret", D(wallet))
    mode = PositionMode.HEDGE if hedge else PositionMode.ONE_WAY
    if world.view(ME).position_mode is not mode:
        world.set_position_mode(ME, mode)
    if isolated:
        world.set_margin_mode(ME, ADA, MarginMode.ISOLATED)
    return world


def check_wallet(view: SimAccount) -> None:
    """Wallet = deposits + realized − fees + funding (+ insurance), to the last decimal."""
    assert view.wallet == sum(income.amount for income in view.incomes)
    realized = sum((income.amount for income in view.incomes if income.type == "REALIZED_PNL"), D(0))
    assert realized == sum(fill.realized for fill in view.fills)
    fees = sum((income.amount for income in view.incomes if income.type == "COMMISSION"), D(0))
    assert fees == -sum(fill.fee for fill in view.fills)
    assert view.wallet >= 0 or view.positions


def check_positions(view: SimAccount) -> None:
    """A position is the sum of its fills; an isolated margin is never left behind."""
    sums: dict[Any, Decimal] = {}
    for fill in view.fills:
        key = (fill.symbol, fill.position_side)
        sums[key] = sums.get(key, D(0)) + fill.side.sign * fill.quantity
    for key, position in view.positions.items():
        assert position.quantity == sums.get(key, D(0))
        if key[1] is PositionSide.LONG:
            assert position.quantity >= 0
        if key[1] is PositionSide.SHORT:
            assert position.quantity <= 0
        if not position.quantity:
            assert position.isolated_wallet == 0


def check_orders(view: SimAccount) -> None:
    """No order fills beyond its quantity; live means not final; one whole stop per direction and kind."""
    filled: dict[int, Decimal] = {}
    for fill in view.fills:
        filled[fill.order_id] = filled.get(fill.order_id, D(0)) + fill.quantity
    for order in view.orders.values():
        assert 0 <= order.filled <= order.quantity
        assert order.filled == filled.get(order.order_id, D(0))
        assert order.status.final != (order.order_id in view.live_orders)
    whole = [
        (algo.symbol, algo.position_side, algo.side, algo.type)
        for algo in (view.algos[one] for one in view.live_algos)
        if algo.close_position
    ]
    assert len(whole) == len(set(whole))
    assert all(algo.status.final != (algo.algo_id in view.live_algos) for algo in view.algos.values())
    waiting = [view.algos[one] for one in view.live_algos if view.algos[one].status is AlgoStatus.NEW]
    for algo in waiting:
        if algo.parent_id:
            assert view.positions[algo.symbol, algo.position_side].quantity * algo.side.sign < 0


class Exposure:
    """Holds every fill of a reduce-only order against the position before it."""

    def __init__(self) -> None:
        self._held: dict[Any, Decimal] = {}

    def hear(self, event: CoreEvent) -> None:
        fill = getattr(event, "fill", None)
        order = getattr(event, "order", None)
        if fill is None or order is None:
            return
        key = (fill.symbol, fill.position_side)
        before = self._held.get(key, D(0))
        after = self._held[key] = before + fill.side.sign * fill.quantity
        if order.reduce_only or order.close_position:
            assert abs(after) < abs(before)
            assert before * after >= 0


def raises(world: Core, before: SimAccount, a: dict[str, Any]) -> bool:
    """The order adds to its position. (Closing is free of margin, even where resting orders of the
    same side then bind more.)"""
    position = before.positions.get((a["symbol"], side_of(world, a["position_side"])))
    against = position is not None and position.quantity * a["side"].sign < 0
    return not against and not reduces(world, a["reduce_only"])


def run_steps(world: Core, story: list[Step]) -> None:
    for name, arguments in story:
        before = world.view(ME)
        free_before = world.summary(before).available_raw
        try:
            DOES[name](world, arguments)
        except CoreRefusal:
            continue
        view = world.view(ME)
        if name == "order" and free_before >= 0 and raises(world, before, arguments):
            assert world.summary(view).available_raw >= 0
        check_wallet(view)
        check_positions(view)
        check_orders(view)


def random_step(rng: Random, *, sided: bool = False) -> Step:
    """A step as the strategies draw them, but evenly: long stories reach what short ones cannot.

    *sided*: with attached and tied stops, and leverage changed side by side."""
    symbol, side, drawn = rng.choice([ADA, DOGE]), rng.choice(list(Side)), rng.choice(list(PositionSide)[1:])
    ratio = D(rng.randint(970, 1030)) / 1000
    common: dict[str, Any] = {"symbol": symbol, "side": side, "position_side": drawn}
    common |= {"quantity": rng.randint(10, 15_000), "reduce_only": rng.random() < 0.3}
    names = ["order", "algo", "wait", "move", "cancel", "close", "refill"]
    name = rng.choices(names, [45, 20, 20, 9, 3, 3, 9])[0]
    if sided:
        common["attach"] = rng.random() < 0.5
        name = "leverage" if rng.random() < 0.05 else name
    extra: dict[str, dict[str, Any]] = {
        "order": {"ratio": rng.choice([None, ratio]), "tif": rng.choice(list(Tif))},
        "algo": {
            "ratio": ratio,
            "type": rng.choice(list(AlgoType)),
            "close_position": rng.random() < 0.4,
        },
        "wait": {"ms": rng.randint(1, 60_000)},
        "move": {"ratio": D(rng.randint(90, 110)) / 100},
        "leverage": {"leverage": rng.randint(1, 20)},
    }
    return name, common | extra.get(name, {})


@pytest.mark.parametrize("seed", range(8))
def test_long_stories_add_up_too(seed: int) -> None:
    """150 random steps; together the seeds see stops fire, orders cut, and liquidations."""
    rng = Random(seed)
    world = build(hedge=seed % 4 == 1, isolated=seed % 4 == 2, wallet=600)
    world.listen(Exposure().hear)
    run_steps(world, [random_step(rng) for _ in range(150)])
    truth = world.truth(ME)
    assert truth.entries > 3
    assert truth.fills > 10


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("locks", [False, True])
def test_stories_in_the_ways_of_bingx_add_up_too(seed: int, locks: bool) -> None:
    """Closes within what is available, leverage per side, stops that come with orders and end with them."""
    rng = Random(seed)
    ways = Switches(stop_locks_quantity=locks, post_only_refused=seed % 2 == 0).core(CoreConfig(seed=4))
    world = build(hedge=seed % 4 != 1, isolated=seed % 4 == 2, wallet=6_000, ways=ways)
    world.listen(Exposure().hear)
    run_steps(world, [random_step(rng, sided=True) for _ in range(150)])
    assert world.truth(ME).fills > 5
    assert any(algo.parent_id for algo in world.view(ME).algos.values())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=1, max_size=25), st.booleans(), st.booleans())
def test_whatever_happens_the_books_add_up(story: list[Step], hedge: bool, isolated: bool) -> None:
    """Money, positions and orders agree; reduce-only never raises exposure; no accepted order takes
    more margin than was free."""
    world = build(hedge=hedge, isolated=isolated)
    world.listen(Exposure().hear)
    run_steps(world, story)


def digest(story: list[Step]) -> str:
    world = build(hedge=False, isolated=False)
    sha = hashlib.sha256()
    world.listen(lambda event: sha.update(repr(event).encode()))
    run_steps(world, story)
    return sha.hexdigest()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=5, max_size=15))
def test_the_same_calls_give_the_same_events(story: list[Step]) -> None:
    assert digest(story) == digest(story)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=3, max_size=15), st.integers(0, 2000))
def test_a_lagging_view_is_what_was_then(story: list[Step], lag_ms: int) -> None:
    """Each view kept at its time equals the one asked for later with that lag."""
    world = build(hedge=False, isolated=False)
    kept: list[tuple[int, str]] = []
    for name, drawn in story:
        arguments = {"ms": drawn["ms"] % 700 + 1} if name == "wait" else drawn
        with suppress(CoreRefusal):
            DOES[name](world, arguments)
        kept.append((world.now_ms, repr(world.view(ME))))
    then = world.now_ms - lag_ms
    before = [told for at_ms, told in kept if at_ms <= then]
    if before:
        seen = repr(world.view(ME, lag_ms))
        assert seen == before[-1] or _changed_by_market(world, then, kept)


def _changed_by_market(world: Core, then: int, kept: list[tuple[int, str]]) -> bool:
    """The market itself may have changed the account between the last call and that moment."""
    last_call = max(at_ms for at_ms, _ in kept if at_ms <= then)
    view = world.view(ME, world.now_ms - then)
    times = [order.updated_ms for order in view.orders.values()]
    times += [algo.updated_ms for algo in view.algos.values()]
    times += [income.at_ms for income in view.incomes]
    # A trailing stop follows the market second by second without a word.
    times += [then // 1000 * 1000 for algo in view.algos.values() if algo.callback_rate]
    return any(last_call < at_ms <= then for at_ms in times)
