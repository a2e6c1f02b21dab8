"""Each position has exactly one covering stop, or is left in time (rule 7, G05-G08, G13, G14, G32)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.decisions.facts import Attempt, Facts
from holdfast.decisions.protect import (
    CloseNow,
    Covered,
    Place,
    Waiting,
    backoff,
    covers,
    goal,
    liquidation_bound,
    orphans,
    protect,
)
from holdfast.domain.account import Position, PositionKey
from holdfast.domain.intents import Outcome, Purpose, RejectReason, Unavailable, Unknown
from holdfast.domain.orders import OrderState, PositionSide, Side, Stop, StopKind, StopStatus
from tests.decisions.holdings import (
    ACCEPTED,
    BTC,
    ETH,
    FRESH,
    INSTRUMENT,
    KEY,
    NOW_MS,
    PROTECTION,
    D,
    facts,
    mark,
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

# --- what covers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [position(), short()])
def test_whole_and_sized_stops_of_the_right_side_cover(held: Position) -> None:
    assert covers(stop(held), held, PROTECTION, NOW_MS)
    assert covers(sized(held), held, PROTECTION, NOW_MS)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": StopKind.TAKE_PROFIT},
        {"kind": StopKind.TRAILING},
        {"market": False},
        {"side": Side.BUY},
        {"symbol": ETH},
        {"position_side": PositionSide.LONG},
        {"close_position": False, "reduce_only": True, "quantity": D("0.499")},
        {"close_position": False, "reduce_only": False, "quantity": D("0.5")},
        {"trigger_price": D("40999.9")},
        {"status": StopStatus.TRIGGERING, "updated_ms": NOW_MS - 5_001},
        {"status": StopStatus.TRIGGERED, "updated_ms": NOW_MS - 5_001},
        {"status": StopStatus.FINISHED},
        {"status": StopStatus.CANCELLED},
        {"status": StopStatus.EXPIRED},
        {"status": StopStatus.REJECTED},
    ],
)
def test_one_fault_is_enough_not_to_cover(changes: dict[str, Any]) -> None:
    """The example stop covers; each row breaks exactly one thing."""
    assert not covers(stop(**changes), position(), PROTECTION, NOW_MS)


@pytest.mark.parametrize(("side", "covered"), [(PositionSide.LONG, True), (PositionSide.BOTH, False)])
def test_sized_stop_covers_by_its_side_in_hedge_mode_though_it_says_no_reduce_only(
    side: PositionSide, covered: bool
) -> None:
    """Exchanges take no reduce-only there; a stop that moved was cancelled and placed anew without end."""
    held = position(side=side)
    without = replace(sized(held), position_side=side, reduce_only=False)
    assert covers(without, held, PROTECTION, NOW_MS) is covered


def test_acting_stop_covers_while_it_is_not_stuck() -> None:
    acting = stop(status=StopStatus.TRIGGERING, updated_ms=NOW_MS - 5_000)
    assert covers(acting, position(), PROTECTION, NOW_MS)


def test_liquidation_bound_counts_only_on_the_losing_side() -> None:
    assert liquidation_bound(position(), PROTECTION) == D(41_000)
    assert liquidation_bound(short(), PROTECTION) == D(59_000)
    assert liquidation_bound(position(liquidation_price=D(0)), PROTECTION) is None
    assert liquidation_bound(position(liquidation_price=D(51_000)), PROTECTION) is None


# --- where it should stand -----------------------------------------------------------------------


def test_goal_is_the_journal_price_rounded_towards_the_market() -> None:
    books = tracked(stop_price=D("49000.04"))
    found = goal(position(), books, D(50_000), INSTRUMENT, PROTECTION)
    assert (found.price, found.firm) == (D("49000.1"), True)
    books = tracked(short(), stop_price=D("50999.96"))
    assert goal(short(), books, D(50_000), INSTRUMENT, PROTECTION).price == D("50999.9")


def test_goal_of_an_adopted_position_never_fires_at_once() -> None:
    """It may be past the policy's distance already."""
    books = tracked(stop_price=None)
    found = goal(position(), books, D(45_000), INSTRUMENT, PROTECTION)
    assert (found.price, found.firm) == (D(44_100), False)


def test_goal_beyond_liquidation_is_brought_nearer_with_a_cushion() -> None:
    """At the very bound the next move of the liquidation price would uncover the position again."""
    books = tracked(stop_price=D(40_500))
    found = goal(position(), books, D(50_000), INSTRUMENT, PROTECTION)
    assert (found.price, found.firm) == (D(42_000), False)
    moved = position(liquidation_price=D(40_900))
    assert covers(stop(trigger_price=found.price), moved, PROTECTION, NOW_MS)


# --- settled -------------------------------------------------------------------------------------


def test_one_stop_at_the_goal_is_left_alone() -> None:
    assert protect(KEY, facts(position(), stops=(stop(),))) == Covered(stop())


def test_duplicates_go_and_the_newest_stays() -> None:
    new = sized(created_ms=NOW_MS - 30_000)
    wrong = sized(stop_id="s3", side=Side.BUY)
    assert protect(KEY, facts(position(), stops=(stop(), new, wrong))) == Covered(new, (stop(), wrong))


def test_take_profit_is_never_superfluous() -> None:
    profit = stop(stop_id="tp", kind=StopKind.TAKE_PROFIT, trigger_price=D(55_000))
    assert protect(KEY, facts(position(), stops=(stop(), profit))) == Covered(stop())


def test_no_stop_goes_beside_one_that_no_read_has_shown() -> None:
    """An accepted request is one source: enough to protect, not to cancel a stop (rule 4)."""
    new = sized(created_ms=NOW_MS - 2_500)
    verdict = protect(KEY, facts(position(), stops=(stop(), new)))
    assert verdict == Covered(new, confirm_ms=NOW_MS - 500)
    later = {BTC: NOW_MS - 500}
    assert protect(KEY, facts(position(), stops=(stop(), new), stops_read_ms=later)) == Covered(
        new, (stop(),)
    )


def test_nothing_goes_beside_a_stop_that_is_acting() -> None:
    """It may hang in triggering; then the others are all there is (G32)."""
    acting = stop(status=StopStatus.TRIGGERING, updated_ms=NOW_MS - 100)
    wrong = sized(side=Side.BUY)
    assert protect(KEY, facts(position(), stops=(acting, wrong))) == Covered(acting)


def test_live_stop_is_preferred_to_an_acting_one() -> None:
    acting = stop(status=StopStatus.TRIGGERING, updated_ms=NOW_MS - 100, created_ms=NOW_MS - 9_000)
    live = sized()
    assert protect(KEY, facts(position(), stops=(acting, live))) == Covered(live)


def test_stop_is_moved_by_the_form_that_is_free() -> None:
    books = {KEY: tracked(stop_price=D(49_500))}
    verdict = protect(KEY, facts(position(), stops=(stop(),), tracked=books))
    assert isinstance(verdict, Place)
    assert verdict.beside
    assert (verdict.intent.close_position, verdict.intent.quantity) == (False, D("0.5"))
    verdict = protect(KEY, facts(position(), stops=(sized(),), tracked=books))
    assert isinstance(verdict, Place)
    assert verdict.intent.close_position


def test_both_forms_taken_make_room_for_a_move() -> None:
    books = {KEY: tracked(stop_price=D(49_500))}
    verdict = protect(KEY, facts(position(), stops=(stop(), sized()), tracked=books))
    assert isinstance(verdict, Covered)
    assert len(verdict.superfluous) == 1


@pytest.mark.parametrize("outcome", [refused(RejectReason.WOULD_TRIGGER), Unavailable(cause="429"), ACCEPTED])
def test_move_pauses_after_any_answer(outcome: Outcome) -> None:
    """Else a refused move would be repeated as fast as the network allows."""
    books = {KEY: tracked(stop_price=D(49_500))}
    tries = {KEY: (tried(outcome=outcome, age_ms=7_999),)}
    held = facts(position(), stops=(stop(),), tracked=books, attempts=tries)
    assert protect(KEY, held) == Covered(stop())
    tries = {KEY: (tried(outcome=outcome, age_ms=8_000),)}
    assert isinstance(protect(KEY, replace(held, attempts=tries)), Place)


def test_stop_of_a_person_is_kept_on_an_adopted_position() -> None:
    """Whoever placed it: it covers, and nobody of ours asked for another price."""
    books = {KEY: tracked(stop_price=None, adopted=True)}
    foreign = stop(client_id="web_1", trigger_price=D(47_000))
    assert protect(KEY, facts(position(), stops=(foreign,), tracked=books)) == Covered(foreign)


# --- rescue --------------------------------------------------------------------------------------


def test_naked_position_gets_a_whole_stop_at_once() -> None:
    verdict = protect(KEY, facts(position()))
    assert isinstance(verdict, Place)
    made = verdict.intent
    assert not verdict.beside
    assert made.close_position
    assert (made.side, made.trigger_price) == (Side.SELL, D(49_000))


def test_exchange_without_whole_stops_is_never_asked_for_one() -> None:
    for tries in [(), (tried(outcome=refused(), whole=False, age_ms=900),)]:
        verdict = protect(KEY, facts(position(), whole_stops=False, attempts={KEY: tries}))
        assert isinstance(verdict, Place)
        assert not verdict.intent.close_position
        assert verdict.intent.reduce_only


@pytest.mark.parametrize("age_ms", [10_000, 10_001, 99_000])
def test_deadline_closes_whatever_is_under_way(age_ms: int) -> None:
    late = {KEY: NOW_MS - age_ms}
    held = facts(position(), naked_since=late, intents=(sent(state=OrderState.UNKNOWN),))
    assert protect(KEY, held) == CloseNow("no stop stands at the protect deadline")


def test_price_through_the_stop_closes_at_once() -> None:
    assert isinstance(protect(KEY, facts(position(), marks={BTC: mark(49_000)})), CloseNow)
    held = facts(short(), marks={BTC: mark(51_000)})
    assert isinstance(protect(KEY, held), CloseNow)


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity"])
def test_absurd_mark_closes_nothing(price: str) -> None:
    """Nonsense blocks entries, not protection; the exchange itself judges the stop (G28)."""
    held = facts(position(mark_price=D(price)), marks={BTC: mark(price)})
    assert isinstance(protect(KEY, held), Place)


@pytest.mark.parametrize("price", ["0.01", "40000"])
def test_far_mark_closes_only_what_the_exchange_had_time_to_judge(price: str) -> None:
    held = facts(position(), marks={BTC: mark(price)})
    assert isinstance(protect(KEY, held), Place)
    since = {KEY: NOW_MS - 900}
    asked = tried(outcome=Unavailable(cause="503"), age_ms=800)
    assert protect(KEY, replace(held, naked_since=since, attempts={KEY: (asked,)})) == CloseNow(
        "the price is already through the stop"
    )


def test_stale_mark_closes_nothing() -> None:
    held = facts(position(), marks={BTC: mark(40_000, age_ms=FRESH.mark_ms + 1)})
    assert isinstance(protect(KEY, held), Place)


@pytest.mark.parametrize(
    ("state", "whole", "age_ms", "expected"),
    [
        (OrderState.SENDING, True, 0, Waiting),
        (OrderState.SENDING, True, 9_000, Waiting),
        (OrderState.UNKNOWN, True, FRESH.visibility_ms - 1, Waiting),
        (OrderState.UNKNOWN, True, FRESH.visibility_ms, Place),
        (OrderState.UNKNOWN, False, FRESH.visibility_ms, Waiting),
    ],
)
def test_unknown_stop_is_sent_again_only_where_a_second_one_cannot_stand(
    state: OrderState, whole: bool, age_ms: int, expected: type
) -> None:
    """A crash left one in doubt: to wait for the proof that it is dead took nine seconds (G19)."""
    doubted = sent(state=state)
    intent = replace(doubted.intent, close_position=whole)
    doubted = replace(doubted, intent=intent, signed_ms=NOW_MS - age_ms)
    assert isinstance(protect(KEY, facts(position(), intents=(doubted,))), expected)


@pytest.mark.parametrize(("naked_ms", "waits"), [(0, True), (999, True), (1_000, False)])
def test_at_a_start_the_stops_are_read_before_one_is_placed(naked_ms: int, waits: bool) -> None:
    """Or each restart would place a second stop beside the one that stands; but not for long."""
    world = facts(position(), stops_read_ms={}, naked_since={KEY: NOW_MS - naked_ms})
    assert isinstance(protect(KEY, world), Waiting if waits else Place)
    assert isinstance(protect(KEY, replace(world, stops_read_ms={BTC: NOW_MS})), Place)


def test_stop_that_stood_before_a_restart_does_not_hold_protection_back() -> None:
    """The journal keeps it as working; cancelled by hand meanwhile it must be made anew at once (G13)."""
    held = facts(position(), intents=(sent(state=OrderState.WORKING),))
    assert isinstance(protect(KEY, held), Place)


def test_stop_of_the_other_side_does_not_hold_protection_back() -> None:
    """In hedge mode an unanswered stop of the short says nothing of the long."""
    held = position(side=PositionSide.LONG)
    waiting = sent(state=OrderState.UNKNOWN, key=PositionKey(KEY.symbol, PositionSide.SHORT))
    assert isinstance(protect(held.key, facts(held, intents=(waiting,))), Place)


@pytest.mark.parametrize(
    "reason", [RejectReason.WOULD_TRIGGER, RejectReason.WRONG_ENDPOINT, RejectReason.PERMISSION]
)
def test_refusal_for_good_closes_at_once(reason: RejectReason) -> None:
    held = facts(position(), attempts={KEY: (tried(outcome=refused(reason)),)})
    assert isinstance(protect(KEY, held), CloseNow)


def test_refusal_of_a_move_long_before_does_not_close_now() -> None:
    """What was refused while another stop covered says nothing about now."""
    move = tried(outcome=refused(RejectReason.WOULD_TRIGGER), age_ms=3_000)
    held = facts(position(), attempts={KEY: (move,)}, naked_since={KEY: NOW_MS - 100})
    assert isinstance(protect(KEY, held), Place)


def test_other_refusal_tries_the_other_form_at_once_then_leaves() -> None:
    first = tried(outcome=refused(), age_ms=10)
    verdict = protect(KEY, facts(position(), attempts={KEY: (first,)}))
    assert isinstance(verdict, Place)
    assert not verdict.intent.close_position
    second = tried(outcome=refused(), age_ms=5, whole=False)
    assert isinstance(protect(KEY, facts(position(), attempts={KEY: (first, second)})), CloseNow)


def test_lost_stop_request_is_no_refusal() -> None:
    """Proven dead on its way: the exchange never said no to that form."""
    lost = tried(outcome=refused(RejectReason.NOT_FOUND), age_ms=950)
    other = tried(outcome=refused(), age_ms=10)
    verdict = protect(KEY, facts(position(), attempts={KEY: (lost, other)}))
    assert isinstance(verdict, Place)
    assert not verdict.intent.close_position


def test_broken_rule_is_no_refusal_once_rules_are_read() -> None:
    """A tick that changed in flight: wait for the new rules, then the same form at once (G31)."""
    first = tried(outcome=refused(RejectReason.FILTER), age_ms=100)
    before = protect(KEY, facts(position(), attempts={KEY: (first,)}, rules_read_ms=NOW_MS - 5_000))
    assert isinstance(before, Waiting)
    after = protect(KEY, facts(position(), attempts={KEY: (first,)}, rules_read_ms=NOW_MS - 50))
    assert isinstance(after, Place)
    assert after.intent.close_position


def test_rules_that_cannot_be_read_hold_no_stop_back() -> None:
    old = tried(outcome=refused(RejectReason.FILTER), age_ms=2_100)
    verdict = protect(KEY, facts(position(), attempts={KEY: (old,)}, naked_since={KEY: NOW_MS - 2_200}))
    assert isinstance(verdict, Place)
    assert not verdict.intent.close_position


def test_existing_stop_is_looked_for_before_another_form() -> None:
    said = tried(outcome=refused(RejectReason.STOP_EXISTS), age_ms=900)
    before = facts(position(), attempts={KEY: (said,)}, stops_read_ms={BTC: NOW_MS - 900})
    verdict = protect(KEY, before)
    assert isinstance(verdict, Waiting)
    assert verdict.census
    verdict = protect(KEY, replace(before, stops_read_ms={BTC: NOW_MS - 899}))
    assert isinstance(verdict, Place)
    assert not verdict.intent.close_position


@pytest.mark.parametrize("outcome", [Unavailable(cause="503"), Unknown(cause="cut")])
def test_unavailable_stop_endpoint_is_asked_again_with_growing_pauses(outcome: Outcome) -> None:
    tries: tuple[Attempt, ...] = (tried(outcome=outcome, age_ms=900), tried(outcome=outcome, age_ms=400))
    held = facts(position(), attempts={KEY: tries})
    assert protect(KEY, held) == Waiting("pausing before the stop is tried again", NOW_MS + 600)
    assert isinstance(protect(KEY, replace(held, now_ms=NOW_MS + 600)), Place)


def test_a_pause_ends_at_the_deadline_at_the_latest() -> None:
    """Nothing else may bring a step then: the position would be left late (found by G07)."""
    tries = tuple(tried(outcome=Unavailable(cause="503"), age_ms=age) for age in (900, 400))
    left_ms = 300
    since = NOW_MS - PROTECTION.protect_deadline_ms + left_ms
    verdict = protect(KEY, facts(position(), attempts={KEY: tries}, naked_since={KEY: since}))
    assert verdict == Waiting("pausing before the stop is tried again", NOW_MS + left_ms)


def test_stop_that_vanishes_is_replaced_at_once_but_not_for_ever_at_once() -> None:
    """Somebody may cancel each of them as soon as it stands."""
    once = (tried(outcome=ACCEPTED, age_ms=10),)
    assert isinstance(protect(KEY, facts(position(), attempts={KEY: once})), Place)
    thrice = tuple(tried(outcome=ACCEPTED, age_ms=age) for age in (700, 300, 10))
    held = facts(position(), attempts={KEY: thrice}, naked_since={KEY: NOW_MS})
    assert protect(KEY, held) == Waiting("pausing before the stop is tried again", NOW_MS + 990)


def test_refused_close_lets_any_stop_stand() -> None:
    """The deadline has done its work: better a stop elsewhere than none (G09)."""
    late = {KEY: NOW_MS - 60_000}
    tries = {KEY: (tried(outcome=refused(RejectReason.WOULD_TRIGGER), age_ms=900),)}
    held = facts(position(), naked_since=late, attempts=tries, marks={BTC: mark(48_000)})
    verdict = protect(KEY, held, leaving=True)
    assert isinstance(verdict, Place)
    assert verdict.intent.trigger_price == D(47_040)


@given(st.integers(0, 10_000))
def test_pauses_double_and_are_bounded(tries: int) -> None:
    pause = backoff(tries, PROTECTION)
    assert PROTECTION.retry_ms <= pause <= PROTECTION.retry_max_ms
    assert pause <= backoff(tries + 1, PROTECTION) <= 2 * pause


# --- orphans -------------------------------------------------------------------------------------


def flat(*stops: Stop, **changes: Any) -> Facts:
    return facts(stops=stops, **changes)


def test_orphan_needs_two_reads_or_the_exchanges_own_word() -> None:
    """No single read ever cancels a stop."""
    assert orphans(flat(stop())) == (stop(),)
    assert orphans(flat(stop(), positions_before=None)) == ()
    assert orphans(flat(stop(), positions_read=None)) == ()
    assert orphans(flat(stop(), positions_before=read(position(), age_ms=6_000))) == ()
    assert orphans(flat(stop(), positions_before=read(age_ms=1_900))) == ()
    assert orphans(flat(stop(), positions_read=read(complete=False))) == ()
    assert orphans(flat(stop(), now_ms=NOW_MS + 9_000)) == (stop(),)
    assert orphans(flat(stop(), now_ms=NOW_MS + 9_001)) == ()
    told = {KEY: NOW_MS - 60_000}
    assert orphans(flat(stop(), positions_before=None, flat_news=told)) == (stop(),)
    assert orphans(flat(stop(), positions_before=None, flat_news={KEY: NOW_MS - 60_001})) == ()


def test_new_stop_is_no_orphan_of_an_old_read() -> None:
    assert orphans(flat(stop(created_ms=NOW_MS - 7_999))) == ()
    assert orphans(flat(stop(created_ms=NOW_MS - 8_000))) != ()


def test_foreign_acting_tracked_or_awaited_stops_are_no_orphans() -> None:
    assert orphans(flat(stop(client_id="web_1"))) == ()
    assert orphans(flat(stop(status=StopStatus.TRIGGERING))) == ()
    assert orphans(flat(stop(), tracked={KEY: tracked()})) == ()
    assert orphans(flat(stop(), intents=(sent(Purpose.ENTER),))) == ()


def test_a_sized_stop_of_hedge_mode_covers_without_a_flag() -> None:
    """`reduceOnly` is refused there: the sides say that it can only close."""
    longs = position(side=PositionSide.LONG)
    plain = sized(longs, reduce_only=False)
    assert covers(plain, longs, PROTECTION, NOW_MS)
    assert not covers(sized(reduce_only=False), position(), PROTECTION, NOW_MS)
    assert not covers(replace(plain, quantity=D("0.4")), longs, PROTECTION, NOW_MS)


def test_a_stop_of_one_side_is_an_orphan_though_the_other_side_stands() -> None:
    """Hedge mode: the symbol is held, but not the position that the stop was for."""
    longs, shorts = position(side=PositionSide.LONG), short(side=PositionSide.SHORT)
    left = stop(shorts)
    assert orphans(facts(longs, stops=(left,))) == (left,)
    assert orphans(facts(longs, stops=(left,), tracked={shorts.key: tracked(shorts)})) == ()
    assert orphans(facts(longs, shorts, stops=(left,))) == ()


# --- safety sentences ----------------------------------------------------------------------------

STOPS = st.builds(
    lambda held, id_, form, changes: form(held, stop_id=id_, **changes),
    st.just(position()),
    st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from([stop, sized]),
    st.fixed_dictionaries(
        {},
        optional={
            "side": st.sampled_from(Side),
            "kind": st.sampled_from(StopKind),
            "status": st.sampled_from(StopStatus),
            "market": st.booleans(),
            "client_id": st.sampled_from(["web_1", "hf-1-stop-1aaaaa"]),
            "trigger_price": st.sampled_from([D(49_000), D(49_500), D(40_500), D(48_000)]),
            "created_ms": st.integers(NOW_MS - 5_000, NOW_MS),
            "updated_ms": st.integers(NOW_MS - 8_000, NOW_MS),
        },
    ),
)
OUTCOMES = st.one_of(
    st.sampled_from([None, ACCEPTED, Unknown(cause="cut"), Unavailable(cause="503")]),
    st.sampled_from(RejectReason).map(refused),
)
TRIES = st.lists(
    st.builds(
        Attempt,
        purpose=st.sampled_from([Purpose.PLACE_STOP, Purpose.CLOSE]),
        whole=st.booleans(),
        at_ms=st.integers(NOW_MS - 30_000, NOW_MS),
        outcome=OUTCOMES,
    ),
    max_size=6,
).map(lambda tries: tuple(sorted(tries, key=lambda a: a.at_ms)))


@st.composite
def worlds(draw: st.DrawFn) -> Facts:
    """A held position in any state of protection, with any history of tries."""
    stops = tuple(draw(st.lists(STOPS, max_size=4, unique_by=lambda s: s.stop_id)))
    wanted = draw(st.sampled_from([D(49_000), D(49_500), D(40_500), None]))
    return facts(
        position(),
        stops=stops,
        tracked={KEY: tracked(stop_price=wanted)},
        naked_since={KEY: NOW_MS - draw(st.integers(0, 20_000))},
        attempts={KEY: draw(TRIES)},
        intents=draw(st.sampled_from([(), (sent(),), (sent(state=OrderState.UNKNOWN),)])),
        marks=draw(st.sampled_from([{}, {BTC: mark()}, {BTC: mark(48_500)}, {BTC: mark(0)}])),
        stops_read_ms={BTC: NOW_MS - draw(st.integers(0, 20_000))},
        two_stops_may_stand=draw(st.booleans()),
        whole_stops=draw(st.booleans()),
    )


@settings(max_examples=50)
@given(worlds())
def test_stop_goes_only_beside_a_live_covering_one_that_was_read(world: Facts) -> None:
    verdict = protect(KEY, world)
    if isinstance(verdict, Covered) and verdict.superfluous:
        keep = verdict.stop
        assert keep.status is StopStatus.LIVE
        assert covers(keep, position(), PROTECTION, NOW_MS)
        assert keep not in verdict.superfluous
        assert keep.created_ms + FRESH.visibility_ms <= world.stops_read_ms[BTC]


@settings(max_examples=50)
@given(worlds(), st.booleans())
def test_unanswered_stop_never_has_a_second_sent(world: Facts, leaving: bool) -> None:
    if world.intents:
        assert not isinstance(protect(KEY, world, leaving=leaving), Place)


@settings(max_examples=50)
@given(worlds())
def test_naked_past_the_deadline_is_always_left(world: Facts) -> None:
    covered = any(covers(s, position(), PROTECTION, NOW_MS) for s in world.stops.values())
    if not covered and NOW_MS - world.naked_since[KEY] >= PROTECTION.protect_deadline_ms:
        assert isinstance(protect(KEY, world), CloseNow)


@settings(max_examples=50)
@given(worlds(), st.booleans())
def test_placed_stop_would_cover_what_is_held(world: Facts, leaving: bool) -> None:
    verdict = protect(KEY, world, leaving=leaving)
    if isinstance(verdict, Place):
        made = verdict.intent
        assert made.trigger_price is not None
        placed = stop(
            trigger_price=made.trigger_price,
            quantity=made.quantity,
            close_position=made.close_position,
            reduce_only=made.reduce_only,
            side=made.side,
        )
        assert covers(placed, position(), PROTECTION, NOW_MS)
        assert world.whole_stops or not made.close_position


@settings(max_examples=50)
@given(worlds(), st.booleans())
def test_waiting_always_ends(world: Facts, leaving: bool) -> None:
    """A pause has an end in the future or asks for what it waits for."""
    verdict = protect(KEY, world, leaving=leaving)
    if isinstance(verdict, Waiting) and not leaving:
        assert verdict.until_ms > NOW_MS
