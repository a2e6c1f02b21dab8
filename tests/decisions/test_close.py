"""How a position is left when the exchange makes it hard (G09, G15-G18, R0.5)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.decisions.close import Hold, Send, blocking_orders, close_position, market_closes
from holdfast.decisions.facts import Attempt, Facts
from holdfast.decisions.gate import Approved, approve_protective
from holdfast.domain.account import Position
from holdfast.domain.intents import (
    Accepted,
    Intent,
    Outcome,
    Priority,
    Purpose,
    RejectReason,
    Unavailable,
    Unknown,
)
from holdfast.domain.orders import ExchangeStatus, OrderType, PositionSide, Side, TimeInForce
from tests.decisions.holdings import (
    ACCEPTED,
    BTC,
    INSTRUMENT,
    KEY,
    NOW_MS,
    D,
    facts,
    journaled,
    mark,
    order,
    position,
    read,
    refused,
    short,
    tried,
)


def way(world: Facts, held: Position | None = None) -> Send | Hold:
    key = (held or position()).key
    return close_position(key, world, priority=Priority.EMERGENCY, reason="test")


def closing(*tries: Attempt, **changes: object) -> Facts:
    return facts(position(), attempts={KEY: tries}, **changes)


def close(outcome: Outcome | None, age_ms: int) -> Attempt:
    return tried(Purpose.CLOSE, outcome, age_ms=age_ms, whole=False)


def test_a_close_that_found_nobody_is_a_try_that_failed() -> None:
    """Taken, and ended without a fill: paused ever longer, then another way, as after a refusal (G28)."""
    nobody = Accepted(exchange_id="1", order=order(status=ExchangeStatus.EXPIRED, filled=D(0)))
    once = way(closing(close(nobody, 100)))
    assert isinstance(once, Hold)
    assert once.failed
    again = way(closing(close(nobody, 9_100), close(nobody, 8_100)))
    assert isinstance(again, Send)
    assert again.rung == 2


# --- the first order -----------------------------------------------------------------------------


@pytest.mark.parametrize(("held", "side"), [(position(), Side.SELL), (short(), Side.BUY)])
def test_first_close_is_the_whole_at_market_and_reduces_only(held: Position, side: Side) -> None:
    send = way(facts(held), held)
    assert isinstance(send, Send)
    assert send.rung == 0
    (made,) = send.intents
    assert (made.side, made.quantity, made.type) == (side, D("0.5"), OrderType.MARKET)
    assert made.reduce_only


def test_hedge_close_is_capped_by_the_position_side() -> None:
    held = position(side=PositionSide.LONG)
    send = way(facts(held), held)
    assert isinstance(send, Send)
    assert not send.intents[0].reduce_only
    assert send.intents[0].position_side is PositionSide.LONG


def test_more_than_the_largest_order_goes_in_parts() -> None:
    rules = replace(INSTRUMENT, market_quantity_max=D("0.2"))
    parts = market_closes(position(), D("0.5"), rules, priority=Priority.EMERGENCY, reason="test")
    assert [part.quantity for part in parts] == [D("0.2"), D("0.2"), D("0.1")]


def test_number_of_parts_is_bounded() -> None:
    rules = replace(INSTRUMENT, market_quantity_max=D("0.001"))
    parts = market_closes(position(), D("0.5"), rules, priority=Priority.EMERGENCY, reason="test")
    assert len(parts) == 50


# --- waiting -------------------------------------------------------------------------------------


def test_an_odd_rest_does_not_keep_the_whole_from_being_closed() -> None:
    """The step became coarser than the position (G18)."""
    rules = replace(INSTRUMENT, quantity_step=D("0.02"), quantity_min=D("0.02"))
    parts = market_closes(position(), D("0.05"), rules, priority=Priority.EMERGENCY, reason="test")
    assert [part.quantity for part in parts] == [D("0.04")]


def test_dust_is_tried_again_but_seldom() -> None:
    """What is below the step is refused whatever the form; the rules may change back (G18)."""
    rules = replace(INSTRUMENT, quantity_step=D(1), quantity_min=D(1))
    tries = (close(refused(RejectReason.FILTER), 1_000),)
    world = closing(*tries, instruments={BTC: rules})
    assert way(world) == Hold("too small for any order", NOW_MS + 59_000, failed=True)
    send = way(replace(world, now_ms=NOW_MS + 59_000))
    assert isinstance(send, Send)
    assert send.intents[0].quantity == abs(position().quantity)


def test_close_under_way_is_waited_for() -> None:
    assert isinstance(way(closing(close(None, 100))), Hold)


def test_part_under_way_is_waited_for_though_the_last_was_answered() -> None:
    """Parts of one close are sent together and answered one by one."""
    assert isinstance(way(closing(close(None, 100), close(refused(), 100))), Hold)


def test_close_never_answered_does_not_block_for_ever() -> None:
    """After its patience it counts as unanswered: a later read allows another."""
    assert isinstance(way(closing(close(None, 8_000), positions_read=read(position(), age_ms=6_001))), Hold)
    assert isinstance(way(closing(close(None, 8_000), positions_read=read(position(), age_ms=6_000))), Send)


@pytest.mark.parametrize("outcome", [ACCEPTED, Unknown(cause="cut")])
def test_close_that_may_have_worked_waits_for_a_later_complete_read(outcome: Outcome) -> None:
    world = closing(close(outcome, 3_000), positions_read=read(position(), age_ms=1_001))
    assert way(world) == Hold(
        "waiting to see whether the close worked", NOW_MS - 1_000, outcome is not ACCEPTED
    )
    assert isinstance(way(replace(world, positions_read=read(position(), age_ms=1_000))), Send)
    partial = read(position(), age_ms=500, complete=False)
    assert isinstance(way(replace(world, positions_read=partial)), Hold)


def test_refused_close_pauses_and_is_tried_again_without_a_read() -> None:
    world = closing(close(refused(), 499), positions_read=None)
    assert way(world) == Hold("a close was refused", NOW_MS + 1, failed=True)
    assert isinstance(way(replace(world, now_ms=NOW_MS + 1)), Send)


def test_unavailable_close_needs_no_read_either() -> None:
    """Definitely without effect: when reads fail as well the position must not wait for them."""
    world = closing(close(Unavailable(cause="503"), 500), positions_read=None)
    assert isinstance(way(world), Send)


def test_nothing_to_reduce_means_read_again_first() -> None:
    """R0.5."""
    tries = close(refused(RejectReason.NOTHING_TO_REDUCE), 2_000)
    assert isinstance(way(closing(tries, positions_read=read(position(), age_ms=2_001))), Hold)
    assert isinstance(way(closing(tries, positions_read=read(position(), age_ms=2_000))), Send)


# --- the ladder ----------------------------------------------------------------------------------


def ladder(*reasons: RejectReason) -> Send:
    """The way after so many refusals in a row, a minute apart."""
    ages = range(60_000 * len(reasons), 0, -60_000)
    tries = (close(refused(reason), age) for reason, age in zip(reasons, ages, strict=True))
    send = way(closing(*tries, orders={"o1": order()}))
    assert isinstance(send, Send)
    return send


def purposes(send: Send) -> list[Purpose]:
    return [made.purpose for made in send.intents]


def test_blocking_orders_go_first_when_they_block() -> None:
    """-4118: orders of anybody on the symbol are cancelled, then the close is repeated (G16)."""
    send = ladder(RejectReason.REDUCE_BLOCKED)
    assert purposes(send) == [Purpose.CANCEL_ORDER, Purpose.CLOSE]
    assert send.intents[0].target_id == "o1"


def test_orders_of_the_other_side_block_nothing() -> None:
    """Hedge mode: what closes the long is not in the way of a close of the short."""
    held = short(side=PositionSide.SHORT)
    mine, other = (order(order_id=s.value, position_side=s) for s in (PositionSide.SHORT, PositionSide.LONG))
    blocking = blocking_orders(
        held, facts(held, orders={o.order_id: o for o in (mine, other)}), Priority.EMERGENCY
    )
    assert [cancel.target_id for cancel in blocking] == ["short"]


def test_each_refusal_moves_on_and_the_ladder_begins_again() -> None:
    other = RejectReason.MARGIN
    assert purposes(ladder(other)) == [Purpose.CLOSE]
    assert purposes(ladder(other, other)) == [Purpose.CANCEL_ORDER, Purpose.CLOSE]
    assert ladder(other, other, other).intents[0].quantity == D("0.125")
    limit = ladder(*[other] * 4).intents[0]
    assert (limit.type, limit.time_in_force, limit.price) == (OrderType.LIMIT, TimeInForce.IOC, D("49098.0"))
    again = ladder(*[other] * 5)
    assert (again.rung, again.intents[0].type, again.intents[0].quantity) == (5, OrderType.MARKET, D("0.5"))


def test_parts_refused_together_count_as_one_try() -> None:
    tries = [close(refused(), 60_000) for _ in range(3)]
    send = way(closing(*tries))
    assert isinstance(send, Send)
    assert send.rung == 1


def test_accepted_try_begins_the_ladder_anew() -> None:
    tries = (close(refused(), 90_000), close(refused(), 80_000), close(ACCEPTED, 60_000))
    send = way(closing(*tries))
    assert isinstance(send, Send)
    assert send.rung == 0


def test_limit_without_any_sane_price_falls_back_to_the_market() -> None:
    tries = tuple(close(refused(), age) for age in (90_000, 80_000, 70_000, 60_000))
    held = position(mark_price=D("NaN"), entry_price=D(0), liquidation_price=D(0))
    send = way(replace(closing(*tries), positions={KEY: held}, marks={BTC: mark("NaN")}))
    assert isinstance(send, Send)
    assert send.intents[0].type is OrderType.MARKET


# --- safety sentences ----------------------------------------------------------------------------

OUTCOMES = st.one_of(
    st.sampled_from([None, ACCEPTED, Unknown(cause="cut"), Unavailable(cause="503")]),
    st.sampled_from(RejectReason).map(refused),
)
CLOSES = st.lists(st.tuples(OUTCOMES, st.integers(0, 60_000)).map(lambda pair: close(*pair)), max_size=8).map(
    lambda tries: tuple(sorted(tries, key=lambda a: a.at_ms))
)
READS = st.one_of(
    st.none(),
    st.builds(lambda a, c: read(position(), age_ms=a, complete=c), st.integers(0, 30_000), st.booleans()),
)


@settings(max_examples=60)
@given(CLOSES, READS, st.sampled_from([position(), short()]))
def test_whatever_was_tried_a_close_can_only_reduce(
    tries: tuple[Attempt, ...], seen: object, held: Position
) -> None:
    """Approved with any quantity of the believed sign, and with none known at all."""
    resting = {"o1": order(), "o2": order(order_id="o2", status=ExchangeStatus.FILLED)}
    world = facts(held, attempts={KEY: tries}, positions_read=seen, orders=resting)
    send = way(world, held)
    for made in send.intents if isinstance(send, Send) else ():
        assert made.quantity <= abs(held.quantity)
        for quantity in (None, held.quantity, held.quantity / 100, held.quantity * 100):
            assert isinstance(approve_protective(journaled(made), quantity), Approved)


@settings(max_examples=60)
@given(CLOSES, READS)
def test_close_that_may_have_worked_is_repeated_only_on_a_later_read(
    tries: tuple[Attempt, ...], seen: object
) -> None:
    send = way(facts(position(), attempts={KEY: tries}, positions_read=seen))
    if isinstance(send, Hold) or not tries:
        return
    last = tries[-1]
    if last.outcome in (None, ACCEPTED, Unknown(cause="cut")):
        fact = facts(position(), positions_read=seen).positions_read
        assert fact is not None
        assert fact.complete
        assert fact.asked_ms >= last.at_ms + 2_000


@settings(max_examples=60)
@given(CLOSES)
def test_closing_never_gives_up_and_never_falls_silent(tries: tuple[Attempt, ...]) -> None:
    """With fresh reads every wait ends within the longest pause, and then something is sent."""
    later = NOW_MS + 8_000
    world = replace(facts(position(), attempts={KEY: tries}), now_ms=later)
    seen = replace(read(position()), asked_ms=later)
    send = way(replace(world, positions_read=seen))
    assert isinstance(send, Send)
    assert any(isinstance(made, Intent) and made.purpose is Purpose.CLOSE for made in send.intents)
