from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from holdfast.decisions.gate import (
    _ENTRY_CHECKS,
    Approved,
    GateContext,
    Limits,
    Mode,
    OperatorState,
    Refusal,
    Refused,
    approve_protective,
    gate,
    limit_faults,
    room_refusals,
)
from holdfast.decisions.refusals import WORDS
from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.intents import Intent, Purpose
from holdfast.domain.invariant import InvariantViolation
from holdfast.domain.numbers import floor_to
from holdfast.domain.orders import OrderType, PositionSide, Side
from tests.decisions.examples import (
    BTC,
    ETH,
    INSTRUMENT,
    LIMITS,
    NOW_MS,
    D,
    context,
    funds,
    intent,
    journaled,
    mark,
    quote,
    room,
)


def ask(order: Intent, facts: GateContext, limits: Limits = LIMITS) -> Approved | Refused:
    return gate(journaled(order), context=facts, limits=limits, now_ms=NOW_MS)


def test_the_example_entry_is_approved_whole() -> None:
    result = ask(intent(), context())
    assert isinstance(result, Approved)
    assert result.intent == intent()


def test_the_same_entry_sold_short_is_approved() -> None:
    result = ask(intent(side=Side.SELL, stop_price=D(51_000)), context())
    assert isinstance(result, Approved)


STALE = funds()

ONE_BROKEN = [
    (Refusal.KILLED, {}, {"operator": OperatorState.KILLED}),
    (Refusal.STOPPED, {}, {"operator": OperatorState.STOPPED}),
    (Refusal.SHUTTING_DOWN, {}, {"shutting_down": True}),
    (Refusal.HALTED, {}, {"mode": Mode.HALTED}),
    (Refusal.REDUCE_ONLY, {}, {"mode": Mode.REDUCE_ONLY}),
    (Refusal.NOT_SYNCED, {}, {"synced": False}),
    (Refusal.POSITIONS_STALE, {}, {"positions_asked_ms": NOW_MS - 60_001}),
    (Refusal.POSITIONS_STALE, {}, {"positions_asked_ms": None}),
    (Refusal.POSITIONS_STALE, {}, {"positions_asked_ms": NOW_MS + 1}),
    (Refusal.READ_INCOMPLETE, {}, {"read_whole": False}),
    (Refusal.BALANCE_STALE, {}, {"balance": replace(STALE, asked_ms=NOW_MS - 60_001)}),
    (Refusal.MARK_STALE, {}, {"mark": mark(age_ms=3_001)}),
    (Refusal.POSITION_MODE, {}, {"actual_position_mode": PositionMode.HEDGE}),
    (Refusal.POSITION_MODE, {}, {"actual_position_mode": None}),
    (Refusal.MARGIN_MODE, {}, {"actual_margin_mode": MarginMode.ISOLATED}),
    (Refusal.MARGIN_MODE, {}, {"actual_margin_mode": None}),
    (Refusal.NO_TRADE_PERMISSION, {}, {"can_trade": False}),
    (Refusal.NO_TRADE_PERMISSION, {}, {"can_trade": None}),
    (Refusal.UNRESOLVED_INTENT, {}, {"unresolved_intents": 1}),
    (Refusal.ALREADY_IN_POSITION, {}, {"position_quantity": D("-0.001")}),
    (Refusal.FOREIGN_ORDER, {}, {"foreign_orders": 1}),
    (Refusal.MAX_POSITIONS, {}, {"room": room(position_count=5)}),
    (Refusal.DAILY_TRADE_LIMIT, {}, {"room": room(entries_today=50)}),
    (Refusal.COOLDOWN, {}, {"room": room(last_entry_ms=NOW_MS - 59_999)}),
    (Refusal.NOT_TRADABLE, {}, {"instrument": replace(INSTRUMENT, tradable=False)}),
    (Refusal.PRICE_OUTSIDE_COLLAR, {}, {"reference_price": D(50_501)}),
    (Refusal.PRICE_OUTSIDE_COLLAR, {"type": OrderType.LIMIT, "price": D(49_499)}, {}),
    (Refusal.PRICE_OUTSIDE_COLLAR, {}, {"quote": quote(50_501)}),
    (Refusal.PRICE_OUTSIDE_COLLAR, {"side": Side.SELL, "stop_price": D(51_000)}, {"quote": quote(49_499)}),
    (Refusal.QUOTE_STALE, {}, {"quote": None}),
    (Refusal.QUOTE_STALE, {}, {"quote": quote(age_ms=3_001)}),
    (Refusal.SPREAD, {}, {"quote": quote(spread=251)}),
    (Refusal.SPREAD, {}, {"quote": quote(spread=-2)}),
    (Refusal.SPREAD, {}, {"quote": quote(0)}),
    (Refusal.SPREAD, {}, {"quote": quote("NaN")}),
    (Refusal.SPREAD, {}, {"quote": quote("Infinity")}),
    (Refusal.ORDER_TOO_LARGE, {"type": OrderType.LIMIT, "price": D(50_400), "quantity": D("0.05")}, {}),
    (Refusal.STOP_INSANE, {"stop_price": None}, {}),
    (Refusal.STOP_INSANE, {"type": OrderType.LIMIT, "price": D(49_600), "stop_price": D(49_600)}, {}),
    (Refusal.STOP_INSANE, {"stop_price": D(50_500)}, {}),
    (Refusal.STOP_INSANE, {"stop_price": D(49_990)}, {}),
    (Refusal.STOP_INSANE, {"stop_price": D(44_000)}, {}),
    (Refusal.VOLATILITY, {}, {"volatility": D("0.051")}),
    (Refusal.VOLATILITY, {}, {"volatility": None}),
    (Refusal.CORRELATION, {}, {"correlation": D("0.96")}),
    (Refusal.CORRELATION, {}, {"correlation": None}),
    (Refusal.QUANTITY_BELOW_MIN, {}, {"instrument": replace(INSTRUMENT, quantity_min=D("0.021"))}),
    (Refusal.OFF_STEP, {"quantity": D("0.0205")}, {}),
    (Refusal.NOTIONAL_BELOW_MIN, {"quantity": D("0.001")}, {}),
    (Refusal.ORDER_TOO_LARGE, {"quantity": D("0.051")}, {}),
    (Refusal.ORDER_TOO_LARGE, {}, {"instrument": replace(INSTRUMENT, market_quantity_max=D("0.019"))}),
    (Refusal.POSITION_TOO_LARGE, {}, {"symbol_notional": D(4_001)}),
    (Refusal.EXPOSURE_TOO_LARGE, {}, {"room": room(gross_notional=D(9_001))}),
    (Refusal.LEVERAGE, {}, {"leverage": 6}),
    (Refusal.MARGIN, {}, {"balance": funds(available=D(335))}),
    (Refusal.MARGIN, {}, {"pending_notional": D(29_000)}),
]


@pytest.mark.parametrize(("reason", "order", "facts"), ONE_BROKEN)
def test_one_broken_limit_refuses_with_its_own_reason(reason, order, facts) -> None:
    """The example entry passes; each row breaks exactly one thing."""
    result = ask(intent(**order), context(**facts))
    assert isinstance(result, Refused)
    assert result.reasons == (reason,)


def test_no_row_of_the_policy_is_without_its_example() -> None:
    """MARK_INSANE breaks other rows too and has its own test; so have the standing blocks."""
    shown = {reason for reason, _, _ in ONE_BROKEN} | {Refusal.MARK_INSANE}
    assert set(_ENTRY_CHECKS) <= shown


def test_unknown_leverage_refuses_for_leverage_and_margin() -> None:
    result = ask(intent(), context(leverage=0))
    assert isinstance(result, Refused)
    assert set(result.reasons) == {Refusal.LEVERAGE, Refusal.MARGIN}


def test_a_spread_at_its_very_limit_is_let_through() -> None:
    """0.5 % of 50 000; a locked book has none."""
    for spread in (250, 0):
        assert isinstance(ask(intent(), context(quote=quote(spread=spread))), Approved)


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity"])
def test_an_impossible_mark_refuses_without_a_traceback(price: str) -> None:
    result = ask(intent(), context(mark=mark(price)))
    assert isinstance(result, Refused)
    assert Refusal.MARK_INSANE in result.reasons


def test_facts_never_read_refuse_instead_of_failing() -> None:
    result = ask(intent(), context(mark=None, balance=None, positions_asked_ms=None))
    assert isinstance(result, Refused)
    assert {Refusal.MARK_STALE, Refusal.BALANCE_STALE, Refusal.POSITIONS_STALE} <= set(result.reasons)


@pytest.mark.parametrize("block", sorted(Refusal))
def test_every_standing_block_refuses_an_entry(block: Refusal) -> None:
    result = ask(intent(), context(blocks=frozenset({block})))
    assert isinstance(result, Refused)
    assert result.reasons == (block,)


def test_all_reasons_are_told_in_one_fixed_order() -> None:
    facts = context(operator=OperatorState.KILLED, mode=Mode.HALTED, mark=mark(age_ms=9_000), leverage=9)
    result = ask(intent(stop_price=None), facts)
    assert isinstance(result, Refused)
    expected = (
        Refusal.KILLED,
        Refusal.HALTED,
        Refusal.MARK_STALE,
        Refusal.STOP_INSANE,
        Refusal.LEVERAGE,
    )
    assert result.reasons == expected


def test_max_positions_zero_is_a_manual_circuit_breaker() -> None:
    """R1.11"""
    facts = context(room=room(position_count=0, gross_notional=D(0)))
    result = ask(intent(), facts, replace(LIMITS, max_positions=0))
    assert isinstance(result, Refused)
    assert result.reasons == (Refusal.MAX_POSITIONS,)


def test_correlation_unknown_is_fine_when_flat() -> None:
    facts = context(correlation=None, room=room(position_count=0, gross_notional=D(0)))
    assert isinstance(ask(intent(), facts), Approved)


def test_a_stop_behind_liquidation_refuses_the_entry() -> None:
    limits = replace(LIMITS, leverage_max=20, stop_distance_max_ratio=D("0.5"))
    result = ask(intent(stop_price=D(47_600)), context(leverage=20), limits)
    assert isinstance(result, Refused)
    assert result.reasons == (Refusal.STOP_INSANE,)


def test_a_position_may_not_outgrow_its_leverage_bracket() -> None:
    rich = funds(equity=D(4_000_000), available=D(4_000_000))
    limits = replace(LIMITS, leverage_max=125)
    facts = context(balance=rich, leverage=110, symbol_notional=D(299_500))
    result = ask(intent(stop_price=D("49_870")), facts, limits)
    assert isinstance(result, Refused)
    assert result.reasons == (Refusal.POSITION_TOO_LARGE,)


def test_facts_of_another_symbol_are_a_bug() -> None:
    with pytest.raises(InvariantViolation, match="ETH/USDT:USDT"):
        ask(intent(symbol=ETH), context())


def test_room_is_checked_before_any_signal() -> None:
    """R5.2: trading limits first."""
    full = room(position_count=5, entries_today=50, last_entry_ms=NOW_MS, gross_notional=D(10_000))
    assert set(room_refusals(full, LIMITS, D(10_000), NOW_MS)) == {
        Refusal.MAX_POSITIONS,
        Refusal.DAILY_TRADE_LIMIT,
        Refusal.COOLDOWN,
        Refusal.EXPOSURE_TOO_LARGE,
    }
    assert room_refusals(room(), LIMITS, D(10_000), NOW_MS) == ()


quantities = st.decimals("0", "3", places=3)
distances = st.decimals("-0.001", "0.11", places=4)
gaps = st.decimals("-0.011", "0.011", places=4)


@given(
    fullness=st.decimals("0.5", "1.1", places=3),
    price=st.decimals("40000", "60000", places=1),
    gap=st.none() | gaps,
    stop_distance=distances,
    side=st.sampled_from(Side),
    equity=st.decimals("1000", "100000", places=2),
    available_ratio=st.decimals("0.05", "1", places=2),
    leverage=st.integers(1, 6),
    held_ratio=st.decimals("0", "0.4", places=2),
    gross_ratio=st.decimals("0.4", "0.8", places=2),
    order_ratio=st.decimals("0.05", "0.3", places=2),
)
def test_an_approved_entry_never_exceeds_a_limit(
    fullness,
    price,
    gap,
    stop_distance,
    side,
    equity,
    available_ratio,
    leverage,
    held_ratio,
    gross_ratio,
    order_ratio,
) -> None:
    quantity = floor_to(equity * order_ratio * fullness / price, INSTRUMENT.quantity_step)
    held, gross = equity * held_ratio, equity * gross_ratio
    limits = replace(LIMITS, order_notional_max_ratio=order_ratio)
    limit = None if gap is None else price * (1 + gap)
    stop = price * (1 - side.sign * stop_distance)
    facts = context(
        mark=mark(price),
        reference_price=None,
        quote=quote(price),
        balance=funds(equity=equity, available=equity * available_ratio),
        leverage=leverage,
        symbol_notional=held,
        room=room(gross_notional=gross),
    )
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    order = intent(quantity=quantity, side=side, stop_price=stop, price=limit, type=kind)
    result = ask(order, facts, limits)
    event(type(result).__name__)
    if isinstance(result, Refused):
        assert result.reasons
        return
    notional = quantity * max(price, limit or D(0))
    assert notional <= equity * order_ratio
    assert held + notional <= equity * limits.position_notional_max_ratio
    assert gross + notional <= equity * limits.gross_exposure_max_ratio
    assert notional / leverage <= equity * available_ratio
    assert leverage <= limits.leverage_max
    assert (price - stop) * side.sign > 0
    assert abs(price - stop) <= price * limits.stop_distance_max_ratio
    assert limit is None or abs(limit - price) <= price * limits.price_collar_ratio
    assert quantity >= INSTRUMENT.quantity_min
    assert quantity * min(price, limit or price) >= INSTRUMENT.notional_min


signed = st.decimals("-5", "5", places=3)
protective = st.builds(
    Intent,
    purpose=st.sampled_from([Purpose.CLOSE, Purpose.PLACE_STOP, Purpose.CANCEL_ORDER, Purpose.CANCEL_STOP]),
    symbol=st.just(BTC),
    side=st.sampled_from(Side),
    position_side=st.sampled_from(PositionSide),
    quantity=quantities,
    close_position=st.booleans(),
    reduce_only=st.booleans(),
)


@given(order=protective, position=signed)
def test_an_approved_close_never_opens_or_grows(order: Intent, position: Decimal) -> None:
    """Whatever its flags say: computed on a one-way book where the exchange honours reduce-only."""
    result = approve_protective(journaled(order), position)
    if order.purpose is not Purpose.CLOSE or not isinstance(result, Approved):
        return
    after = position + order.side.sign * order.quantity
    if order.position_side is PositionSide.BOTH and (order.reduce_only or order.close_position):
        bound = D(0)  # the exchange cuts or refuses what would cross zero
        after = max(after, bound) if position > 0 else min(after, bound) if position < 0 else bound
    assert abs(after) <= abs(position)
    assert after * position >= 0


def close(**changes: object) -> Intent:
    base = {"purpose": Purpose.CLOSE, "side": Side.SELL, "quantity": D(1), "reduce_only": True}
    return intent(**{**base, **changes})


@given(
    operator=st.sampled_from(OperatorState),
    mode=st.sampled_from(Mode),
    blocks=st.frozensets(st.sampled_from(Refusal)),
    shutting_down=st.booleans(),
    synced=st.booleans(),
)
def test_nothing_refuses_protection_or_reduction(operator, mode, blocks, shutting_down, synced) -> None:
    """Rule 8: neither modes nor blocks, nor facts that were never read."""
    facts = context(
        operator=operator,
        mode=mode,
        blocks=blocks,
        shutting_down=shutting_down,
        synced=synced,
        mark=None,
        balance=None,
        positions_asked_ms=None,
        can_trade=None,
        unresolved_intents=3,
        position_quantity=D(1),
    )
    stop = intent(purpose=Purpose.PLACE_STOP, side=Side.SELL, trigger_price=D(1), close_position=True)
    for order in (close(), stop, intent(purpose=Purpose.CANCEL_STOP), intent(purpose=Purpose.CANCEL_ORDER)):
        assert isinstance(ask(order, facts), Approved)


@pytest.mark.parametrize(
    ("order", "position"),
    [
        (close(), D(1)),
        (close(quantity=D(9)), D(1)),
        (close(), None),
        (close(), D(0)),
        (close(reduce_only=False), D(1)),
        (close(reduce_only=False, quantity=D("0.5")), D(1)),
        (close(reduce_only=False, position_side=PositionSide.LONG), D(1)),
        (close(side=Side.BUY, reduce_only=False, position_side=PositionSide.SHORT), D(-1)),
        (intent(purpose=Purpose.PLACE_STOP, side=Side.SELL, reduce_only=True), D(0)),
        (intent(purpose=Purpose.PLACE_STOP, side=Side.SELL, position_side=PositionSide.LONG), None),
    ],
)
def test_what_can_only_reduce_is_approved(order: Intent, position: Decimal | None) -> None:
    assert isinstance(approve_protective(journaled(order), position), Approved)


@pytest.mark.parametrize(
    ("order", "position"),
    [
        (close(side=Side.BUY), D(1)),
        (close(reduce_only=False, quantity=D("1.001")), D(1)),
        (close(reduce_only=False), D(0)),
        (close(reduce_only=False), None),
        (close(reduce_only=False, position_side=PositionSide.LONG, quantity=D(2)), D(1)),
        (close(reduce_only=False, position_side=PositionSide.SHORT), D(1)),
        (intent(purpose=Purpose.PLACE_STOP, side=Side.SELL), D(1)),
        (intent(purpose=Purpose.PLACE_STOP, side=Side.BUY, position_side=PositionSide.LONG), D(1)),
        (intent(), D(1)),
    ],
)
def test_what_could_open_or_grow_is_refused(order: Intent, position: Decimal | None) -> None:
    result = approve_protective(journaled(order), position)
    assert isinstance(result, Refused)
    assert result.reasons == (Refusal.WOULD_RAISE_EXPOSURE,)


def test_approval_cannot_be_made_elsewhere() -> None:
    with pytest.raises(TypeError, match=r"only decisions\.gate"):
        Approved(journaled(intent()), object())
    with pytest.raises(TypeError):
        replace(ask(intent(), context()), _key=None)  # type: ignore[type-var]


def test_every_refusal_has_words_for_people() -> None:
    assert set(WORDS) == set(Refusal)
    assert all(len(words.split()) >= 4 for words in WORDS.values())


def test_sound_limits_have_no_faults() -> None:
    assert limit_faults(LIMITS) == ()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"order_notional_max_ratio": D("0.6")}, "order_notional_max_ratio"),
        ({"position_notional_max_ratio": D("1.5")}, "position_notional_max_ratio"),
        ({"gross_exposure_max_ratio": D(6)}, "leverage_max"),
        ({"stop_distance_min_ratio": D(0)}, "stop_distance_min_ratio"),
        ({"stop_distance_max_ratio": D(1)}, "stop_distance_max_ratio"),
        ({"leverage_max": 0}, "leverage_max"),
        ({"cooldown_sec": -1}, "cooldown_sec"),
    ],
)
def test_contradicting_limits_are_named(changes: dict[str, object], word: str) -> None:
    faults = limit_faults(replace(LIMITS, **changes))  # type: ignore[arg-type]
    assert any(word in fault for fault in faults)
