"""The step: what keeps held positions safe at every moment, and what comes to rest."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.decisions.facts import CancelTries, Facts
from holdfast.decisions.gate import Approved, approve_protective
from holdfast.decisions.protect import Covered, covers
from holdfast.decisions.reconcile import reconcile
from holdfast.decisions.step import Plan, Read, step
from holdfast.domain.account import AccountConfig, Fact, Position, PositionKey, PositionMode
from holdfast.domain.intents import Intent, Purpose, RejectReason, Unavailable, Unknown
from holdfast.domain.orders import PositionSide, Side, StopKind, StopStatus
from tests.decisions.holdings import (
    ACCEPTED,
    BTC,
    ETH,
    KEY,
    NOW_MS,
    OTHER,
    OURS,
    PROTECTION,
    D,
    facts,
    journaled,
    order,
    position,
    read,
    refused,
    sent,
    short,
    sized,
    stop,
    tracked,
    tried,
)
from tests.decisions.ideal import Ideal
from tests.decisions.test_protect import TRIES, worlds


def decided(world: Facts) -> Plan:
    return step(world, reconcile(world))


def purposes(plan: Plan) -> list[Purpose]:
    return [each.purpose for each in plan.intents]


# --- one position --------------------------------------------------------------------------------


def test_covered_position_needs_nothing() -> None:
    plan = decided(facts(position(), stops=(stop(),)))
    assert plan.intents == ()
    assert plan.verdicts == {KEY: Covered(stop())}


def test_each_naked_position_is_protected_in_the_same_step() -> None:
    eth = position(symbol=ETH)
    plan = decided(facts(position(), eth))
    assert purposes(plan) == [Purpose.PLACE_STOP, Purpose.PLACE_STOP]


def test_position_being_left_is_closed_and_keeps_its_stop() -> None:
    """A stop goes last, when the position is proven flat."""
    books = {KEY: tracked(closing_reason="signal")}
    plan = decided(facts(position(), stops=(stop(), sized()), tracked=books))
    assert purposes(plan) == [Purpose.CLOSE]


def test_refused_close_lets_a_stop_be_placed_meanwhile() -> None:
    """G09: closing comes first; while the exchange refuses it any stop is better than none."""
    books = {KEY: tracked(closing_reason="deadline")}
    tries = {KEY: (tried(Purpose.CLOSE, refused(RejectReason.MARGIN), age_ms=100),)}
    plan = decided(facts(position(), tracked=books, attempts=tries))
    assert purposes(plan) == [Purpose.PLACE_STOP]


@pytest.mark.parametrize("outcome", [None, ACCEPTED])
def test_no_stop_is_placed_beside_a_close_that_may_be_working(outcome: object) -> None:
    """It would be left behind when the close succeeds."""
    books = {KEY: tracked(closing_reason="deadline")}
    tries = {KEY: (tried(Purpose.CLOSE, outcome, age_ms=100),)}  # type: ignore[arg-type]
    plan = decided(facts(position(), tracked=books, attempts=tries))
    assert plan.intents == ()
    assert any(want.read is Read.POSITIONS and want.urgent for want in plan.wants)


def test_hard_close_is_never_silent() -> None:
    books = {KEY: tracked(closing_reason="deadline")}
    tries = {KEY: (tried(Purpose.CLOSE, refused(RejectReason.MARGIN), age_ms=60_000),)}
    plan = decided(facts(position(), tracked=books, attempts=tries))
    assert [concern.id for concern in plan.concerns] == ["CLOSE_REFUSED"]


def test_liquidation_closes_and_the_step_only_protects() -> None:
    books = {KEY: tracked(closing_reason="shutdown", hands_off=True)}
    assert purposes(decided(facts(position(), tracked=books))) == [Purpose.PLACE_STOP]


def test_unknown_position_is_left_alone_by_policy_and_reported() -> None:
    world = facts(position(), tracked={}, protection=replace(PROTECTION, adopt_unknown=False))
    plan = decided(world)
    assert plan.intents == ()
    assert [concern.id for concern in plan.concerns] == ["FOREIGN_POSITION"]


@pytest.mark.parametrize("status", [StopStatus.TRIGGERING, StopStatus.TRIGGERED])
def test_stop_that_hangs_is_told_of_as_long_as_it_does(status: StopStatus) -> None:
    """G32: it protects nothing, cannot be cancelled, and may fire late; also when its position is gone."""
    long_ago = NOW_MS - PROTECTION.trigger_stuck_ms
    for held in ((position(),), ()):
        hanging = facts(*held, stops=(stop(status=status, updated_ms=long_ago - 1),))
        acting = facts(*held, stops=(stop(status=status, updated_ms=long_ago),))
        assert [(c.id, c.severity) for c in decided(hanging).concerns] == [("STOP_STUCK", "critical")]
        assert decided(acting).concerns == ()


# --- tidying -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "pause"), [(1, 500), (2, 1_000), (9, 8_000)])
def test_refused_cancel_pauses_before_it_is_sent_again(count: int, pause: int) -> None:
    """Else it would be repeated as fast as the network allows, while rate limits last."""
    stops = (stop(), sized(created_ms=NOW_MS - 30_000))
    world = facts(position(), stops=stops, cancels={"s1": CancelTries(count=count, at_ms=NOW_MS - pause + 1)})
    assert decided(world).intents == ()
    world = replace(world, cancels={"s1": CancelTries(count=count, at_ms=NOW_MS - pause)})
    assert purposes(decided(world)) == [Purpose.CANCEL_STOP]


def test_cancel_under_way_is_not_sent_twice() -> None:
    under_way = sent(Purpose.CANCEL_STOP)
    under_way = replace(under_way, intent=replace(under_way.intent, target_id="s1"))
    world = facts(stops=(stop(),), intents=(under_way,))
    assert decided(world).intents == ()


def test_entries_that_rest_are_taken_back_when_none_are_wanted() -> None:
    resting = {
        "o1": order(client_id=OURS),
        "o2": order(order_id="o2"),
        "o3": order(order_id="o3", client_id=OURS),
    }
    resting["o3"] = replace(resting["o3"], reduce_only=True)
    world = facts(orders=resting, our_ids=frozenset({OURS}), entries_wanted=False)
    (cancel,) = decided(world).intents
    assert (cancel.purpose, cancel.target_id) == (Purpose.CANCEL_ORDER, "o1")
    assert decided(replace(world, entries_wanted=True)).intents == ()
    tries = {"o1": CancelTries(count=1, at_ms=NOW_MS)}
    assert decided(replace(world, cancels=tries)).intents == ()


# --- what to read --------------------------------------------------------------------------------


def due(plan: Plan, what: Read) -> list[int]:
    return [want.at_ms for want in plan.wants if want.read is what]


def test_doubt_asks_for_a_second_read_a_second_later() -> None:
    world = facts(tracked={KEY: tracked()}, positions_before=read(position(), age_ms=6_000))
    assert NOW_MS in due(decided(world), Read.POSITIONS)


def test_positions_are_read_often_while_anything_is_at_stake() -> None:
    assert min(due(decided(facts(position(), stops=(stop(),))), Read.POSITIONS)) == NOW_MS + 4_000
    assert min(due(decided(facts()), Read.POSITIONS)) == NOW_MS + 29_000
    left = facts(stops=(stop(created_ms=NOW_MS - 500),))
    assert min(due(decided(left), Read.POSITIONS)) == NOW_MS + 4_000


def test_next_step_comes_when_a_pause_ends() -> None:
    tries = {KEY: (tried(outcome=Unavailable(cause="503"), age_ms=100),)}
    assert NOW_MS + 400 in due(decided(facts(position(), attempts=tries)), Read.STOPS)
    books = {KEY: tracked(closing_reason="deadline")}
    tries = {KEY: (tried(Purpose.CLOSE, refused(), age_ms=100),)}
    plan = decided(facts(position(), tracked=books, attempts=tries))
    assert NOW_MS + 400 in due(plan, Read.POSITIONS)


def test_stop_that_replaces_another_is_looked_at_before_that_goes() -> None:
    new = sized(created_ms=NOW_MS - 1_000)
    plan = decided(facts(position(), stops=(stop(), new)))
    assert plan.intents == ()
    assert NOW_MS + 1_000 in due(plan, Read.STOPS)


# --- safety sentences ----------------------------------------------------------------------------


def believed(world: Facts, made: Intent) -> Position | None:
    return world.positions.get(PositionKey(made.symbol, made.position_side))


@settings(max_examples=50)
@given(worlds(), st.sampled_from(["", "leaving"]), st.sampled_from([None, *Side]))
def test_no_intent_of_a_step_can_raise_exposure(world: Facts, leaving: str, resting: Side | None) -> None:
    """Each is approved with any position quantity of the believed sign."""
    books = {KEY: replace(world.tracked[KEY], closing_reason=leaving)}
    orders = {"o1": order(side=resting, client_id=OURS)} if resting else {}
    world = replace(world, tracked=books, orders=orders, our_ids=frozenset({OURS}), entries_wanted=False)
    for made in decided(world).intents:
        held = believed(world, made)
        assert made.purpose is not Purpose.ENTER
        for factor in (D("0.001"), D(1), D(1000)):
            quantity = held.quantity * factor if held else None
            assert isinstance(approve_protective(journaled(made), quantity), Approved)


@settings(max_examples=50)
@given(worlds(), st.booleans())
def test_naked_past_its_deadline_is_closed_in_the_same_step(world: Facts, other_busy: bool) -> None:
    """Whatever else goes on; unless a close was sent and is not over, or pauses after a refusal."""
    if other_busy:
        eth = position(symbol=ETH)
        world = replace(
            world, positions={**world.positions, OTHER: eth}, tracked={**world.tracked, OTHER: tracked(eth)}
        )
    covered = any(covers(s, position(), PROTECTION, NOW_MS) for s in world.stops.values())
    late = NOW_MS - world.naked_since[KEY] >= PROTECTION.protect_deadline_ms
    closes = [a for a in world.attempts[KEY] if a.purpose is Purpose.CLOSE]
    if covered or not late:
        return
    plan = decided(world)
    closed = [made for made in plan.intents if made.purpose is Purpose.CLOSE and made.symbol == BTC]
    if not closes:
        assert closed
        assert [leave.key for leave in plan.leaves] == [KEY]
    elif not closed:
        last = closes[-1]
        fresh = NOW_MS - last.at_ms < PROTECTION.retry_max_ms
        unread = last.at_ms + 2_000 > NOW_MS - 1_000
        assert fresh or unread


@settings(max_examples=50)
@given(worlds(), TRIES)
def test_a_stop_goes_only_while_another_covers_or_nothing_is_held(
    world: Facts, tries: tuple[object, ...]
) -> None:
    """Flat means proven flat: by two reads or by the exchange's event, and never while in the books."""
    for made in decided(world).intents:
        if made.purpose is Purpose.CANCEL_STOP:
            left = [s for s in world.stops.values() if s.stop_id != made.target_id]
            assert any(covers(s, position(), PROTECTION, NOW_MS) for s in left)
    empty = replace(
        world, positions={}, naked_since={}, positions_read=read(), positions_before=read(age_ms=500)
    )
    assert decided(empty).intents == ()


# --- rest ----------------------------------------------------------------------------------------

# Everything that may stand at the exchange when the bot comes: one of each fault (G14, G32).
FOUND = {
    "whole": stop(stop_id="whole"),
    "whole elsewhere": stop(stop_id="whole elsewhere", trigger_price=D(48_000)),
    "sized": sized(stop_id="sized"),
    "sized elsewhere": sized(stop_id="sized elsewhere", trigger_price=D(49_500)),
    "wrong side": sized(stop_id="wrong side", side=Side.BUY, trigger_price=D(51_000)),
    "too small": sized(stop_id="too small", quantity=D("0.1")),
    "too far": sized(stop_id="too far", trigger_price=D(40_100)),
    "take profit": stop(stop_id="take profit", kind=StopKind.TAKE_PROFIT, trigger_price=D(55_000)),
    "stuck": stop(stop_id="stuck", status=StopStatus.TRIGGERING),
    "foreign": sized(stop_id="foreign", client_id="web_1", trigger_price=D(47_000)),
}
COMBINATIONS = [c for n in range(3) for c in combinations(sorted(FOUND), n)] + [tuple(sorted(FOUND))]


@pytest.mark.parametrize("stop_price", ["49000", "48000", None])
@pytest.mark.parametrize("two_forms", [True, False], ids=["two forms", "one form"])
def test_exactly_one_covering_stop_stands_at_rest(stop_price: str | None, two_forms: bool) -> None:
    """From whatever is found, without ever uncovering what was covered, and then nothing is sent any more."""
    for names in COMBINATIONS:
        world = Ideal(position(), {name: FOUND[name] for name in names}, stop_price, two_forms)
        was_covered = False
        for _ in range(14):
            world.step()
            covered = bool(world.covering())
            assert covered or not was_covered, names
            was_covered = covered
        world.rest()
        live = [s for s in world.stops.values() if s.status is StopStatus.LIVE and s.kind is StopKind.STOP]
        assert world.position is not None, names
        assert len(live) == len(world.covering()) == 1, (names, live)
        if stop_price is not None and two_forms and "stuck" not in names:
            assert live[0].trigger_price == D(stop_price), names
        assert ("take profit" in world.stops) == ("take profit" in names)


def test_short_position_comes_to_rest_as_well() -> None:
    held = short()
    found = {"a": stop(held, stop_id="a"), "b": sized(held, stop_id="b", trigger_price=D(51_500))}
    world = Ideal(held, found, "51000")
    world.rest()
    assert [s.trigger_price for s in world.stops.values()] == [D(51_000)]


@settings(max_examples=40)
@given(st.lists(st.sampled_from([49_000, 49_400, 49_800, 48_000]), max_size=5))
def test_stop_follows_its_price_and_never_uncovers(prices: list[int]) -> None:
    world = Ideal(position(), {}, "49000")
    world.step()
    for price in prices:
        world.stop_price = price
        for _ in range(10):
            world.step(3)
            assert world.covering()
    world.rest()
    assert [s.trigger_price for s in world.stops.values()] == [D(str(world.stop_price))]


def test_move_that_the_exchange_refuses_is_not_hammered() -> None:
    """The strategy wants a stop beyond the price: the old one stands, and few requests are wasted."""
    world = Ideal(position(), {"s1": stop()}, "50500")
    for _ in range(300):
        world.step(0.1)
    assert world.covering()
    assert len(world.sent) <= 5


def test_after_flat_nothing_of_ours_is_left_behind() -> None:
    world = Ideal(None, {"s1": stop(), "s2": sized(), "foreign": sized(stop_id="foreign", client_id="web_1")})
    world.rest()
    assert set(world.stops) == {"foreign"}


@pytest.mark.parametrize("outcome", [Unavailable(cause="429"), Unknown(cause="cut"), refused()])
def test_stop_endpoint_that_never_works_ends_flat_in_time(
    monkeypatch: pytest.MonkeyPatch, outcome: object
) -> None:
    """G07, G08: closed within the deadline whatever the stop endpoint does, and the requests are few."""
    world = Ideal(position(), {}, "49000")
    monkeypatch.setattr(world, "_place", lambda intent: outcome)
    while world.position is not None and world.now_ms < NOW_MS + 60_000:
        world.step(0.1)
    assert world.now_ms - NOW_MS <= PROTECTION.protect_deadline_ms + 300
    assert len(world.sent) <= 12


def test_hedge_position_side_is_kept_throughout() -> None:
    held = position(side=PositionSide.LONG)
    made = decided(facts(held)).intents
    assert {each.position_side for each in made} == {PositionSide.LONG}


@pytest.mark.parametrize(
    ("known", "side", "at_once"),
    [
        (PositionMode.ONE_WAY, PositionSide.LONG, True),
        (PositionMode.HEDGE, PositionSide.BOTH, True),
        (PositionMode.ONE_WAY, PositionSide.BOTH, False),
        (PositionMode.HEDGE, PositionSide.LONG, False),
    ],
)
def test_a_position_of_the_other_mode_asks_for_the_mode_again(
    known: PositionMode, side: PositionSide, at_once: bool
) -> None:
    """A hand changed it: entries are refused for that as soon as it is read, not in five minutes (G25)."""
    config = AccountConfig(position_mode=known, can_trade=True, multi_assets=False)
    world = facts(position(side=side), config=Fact(config, NOW_MS - 1_000, NOW_MS), expected_mode=known)
    (due_ms,) = [want.at_ms for want in decided(world).wants if want.read is Read.CONFIG]
    assert (due_ms <= NOW_MS) is at_once


def test_a_stop_that_was_set_off_is_looked_at_when_it_ceases_to_count() -> None:
    """G32: else it would be the next tick that notices, seconds later."""
    acting = stop(status=StopStatus.TRIGGERING, updated_ms=NOW_MS - 1_000)
    wants = decided(facts(position(), stops=(acting,))).wants
    due = [want.at_ms for want in wants if want.read is Read.STOPS and want.symbol == BTC]
    assert NOW_MS - 1_000 + PROTECTION.trigger_stuck_ms + 1 in due


@pytest.mark.parametrize(("held_side", "cancelled"), [(PositionSide.LONG, True), (PositionSide.SHORT, False)])
def test_in_hedge_mode_the_sides_tell_a_resting_entry_from_a_close(
    held_side: PositionSide, cancelled: bool
) -> None:
    """Buying is an entry of the long and a close of the short; neither carries a flag."""
    resting = order(client_id=OURS, side=Side.BUY, position_side=held_side)
    world = facts(orders={"o1": resting}, our_ids=frozenset({OURS}), entries_wanted=False)
    assert (Purpose.CANCEL_ORDER in purposes(decided(world))) is cancelled
