"""What the supervisor knows: reads, news on top, tries and books (architecture rules 3, 4)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.decisions.protect import CloseNow, Place, protect
from holdfast.decisions.reconcile import Doubtful, reconcile
from holdfast.domain.account import Fact, PositionKey
from holdfast.domain.intents import Accepted, Intent, Purpose, RejectReason, Unavailable, Unknown
from holdfast.domain.orders import ClientOrderId, ExchangeStatus, OrderState, PositionSide, Side, StopStatus
from holdfast.domain.symbol import Symbol
from holdfast.engine.state import AccountState
from tests.decisions.examples import BTC, ETH, NOW_MS, D, intent, journaled
from tests.decisions.holdings import KEY, OURS, order, position, read, refused, sized, stop, tracked
from tests.engine.parts import state
from tests.engine.rough import Rough

SECOND = 1_000
CLOSE = Intent(purpose=Purpose.CLOSE, symbol=BTC, side=Side.SELL, quantity=D("0.5"), reduce_only=True)
PLACE = Intent(
    purpose=Purpose.PLACE_STOP, symbol=BTC, side=Side.SELL, close_position=True, trigger_price=D(1)
)


def reads(bot: AccountState, *pictures: tuple[int, bool]) -> None:
    """Complete reads of the positions: when (s), and whether they show the example."""
    for seconds, shown in pictures:
        fact = read(position()) if shown else read()
        ms = NOW_MS + int(seconds * SECOND)
        bot.read_positions(replace(fact, asked_ms=ms, answered_ms=ms + 5))


def confirmed(bot: AccountState) -> bool:
    """Two reads agree that the position is gone."""
    facts = bot.facts(NOW_MS, entries_wanted=True)
    return any(isinstance(found, Doubtful) and found.confirmed for found in reconcile(facts))


def name(index: int) -> ClientOrderId:
    return ClientOrderId(f"hf-1-x-{index}aaaaa")


# --- positions -----------------------------------------------------------------------------------


def test_quick_reads_still_confirm_that_a_position_is_gone() -> None:
    """Each follows the last within less than the confirming distance; the evidence must still grow."""
    bot = state()
    bot.tracked[KEY] = tracked()
    reads(bot, (0, True))
    proven = []
    for tenths in range(4, 40, 4):
        reads(bot, (tenths / 10, False))
        proven.append(confirmed(bot))
    assert proven.index(True) <= 6


def test_read_between_that_shows_it_starts_the_evidence_anew() -> None:
    bot = state()
    bot.tracked[KEY] = tracked()
    reads(bot, (0, False), (0.6, True), (1.2, False))
    assert isinstance(reconcile(bot.facts(NOW_MS + 1_300, entries_wanted=True))[0], Doubtful)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([1, 200, 700, 999, 1_000, 3_000]), st.booleans()), max_size=20))
def test_confirmed_means_that_no_read_of_the_last_second_showed_it(steps: list[tuple[int, bool]]) -> None:
    """And a position that stays away is not doubted for ever, however the reads are spaced."""
    bot = state()
    bot.tracked[KEY] = tracked()
    seconds, away_since, proven = 0.0, None, False
    for gap, shown in steps:
        seconds += gap / SECOND
        reads(bot, (seconds, shown))
        if shown:
            away_since, proven = None, False
            assert not confirmed(bot)
            continue
        away_since = seconds if away_since is None else away_since
        proven = proven or confirmed(bot)
        if confirmed(bot):
            assert seconds - away_since >= 0.999
        assert proven or seconds - away_since < 6


def test_partial_read_never_resurrects_what_news_said_is_gone() -> None:
    """Its rows are as old as its question, however late the answer comes."""
    bot = state()
    bot.hear_flat(KEY, NOW_MS + 50)
    late = Fact((position(),), NOW_MS, NOW_MS + 900, complete=False)
    bot.read_positions(late)
    assert bot.believed_positions() == {}


def test_older_read_that_arrives_late_is_ignored() -> None:
    bot = state()
    reads(bot, (5, False), (3, True))
    assert bot.believed_positions() == {}


def test_entry_whose_position_came_and_went_explains_nothing_later() -> None:
    """A position opened by hand an hour later is not ours."""
    bot = state()
    spent = journaled(intent(), state=OrderState.FILLED, filled=D("0.5"), resolved_ms=NOW_MS)
    bot.recent_entries.append(spent)
    reads(bot, (1, False), (3, False))
    assert list(bot.recent_entries) == [spent]
    reads(bot, (5, False))
    assert not bot.recent_entries


def test_entry_of_a_closed_position_goes_with_its_books() -> None:
    bot = state()
    bot.recent_entries.append(journaled(intent(), state=OrderState.FILLED, filled=D("0.5")))
    bot.forget(KEY, NOW_MS)
    assert not bot.recent_entries


# --- stops and orders ----------------------------------------------------------------------------


def test_news_that_reads_have_seen_is_forgotten() -> None:
    """A bot runs for months: what was heard of each order must not pile up."""
    bot = state()
    for index in range(500):
        ms = NOW_MS + index * 100
        bot.hear_stop(stop(stop_id=f"s{index}"), ms)
        bot.hear_stop(stop(stop_id=f"s{index}", status=StopStatus.CANCELLED), ms + 50)
        bot.hear_order(order(order_id=f"o{index}", status=ExchangeStatus.FILLED), ms)
    bot.read_stops(BTC, Fact((), NOW_MS + 60_000, NOW_MS + 60_000))
    bot.read_orders(BTC, Fact((), NOW_MS + 60_000, NOW_MS + 60_000))
    assert bot.stops.heard == {}
    assert bot.orders.heard == {}


def test_late_news_of_a_cancelled_stop_does_not_bring_it_back() -> None:
    bot = state()
    bot.cancelled_stop(replace(PLACE, target_id="s1"), NOW_MS)
    bot.hear_stop(stop(), NOW_MS - 10)
    assert bot.believed_stops() == {}


def test_lagging_read_does_not_bring_a_cancelled_stop_back() -> None:
    bot = state()
    bot.read_stops(BTC, Fact((stop(),), NOW_MS, NOW_MS))
    bot.cancelled_stop(replace(PLACE, target_id="s1"), NOW_MS + 100)
    bot.read_stops(BTC, Fact((stop(),), NOW_MS + 200, NOW_MS + 200))
    assert bot.believed_stops() == {}
    bot.read_stops(BTC, Fact((stop(),), NOW_MS + 2_100, NOW_MS + 2_100))
    assert set(bot.believed_stops()) == {"s1"}


def test_census_speaks_for_symbols_that_only_news_named() -> None:
    doge = Symbol.parse("DOGEUSDT")
    bot = state()
    bot.hear_stop(stop(symbol=doge), NOW_MS)
    assert set(bot.believed_stops()) == {"s1"}
    bot.read_stops(None, Fact((), NOW_MS + 5_000, NOW_MS + 5_000))
    assert bot.believed_stops() == {}


def test_older_read_of_the_stops_that_arrives_late_is_ignored() -> None:
    bot = state()
    bot.read_stops(BTC, Fact((stop(),), NOW_MS + 100, NOW_MS + 200))
    bot.read_stops(None, Fact((), NOW_MS, NOW_MS + 300))
    assert set(bot.believed_stops()) == {"s1"}


def test_incomplete_census_proves_presence_only() -> None:
    """What it shows stands, unless the exchange said since then that it is gone."""
    bot = state()
    part = Fact((stop(),), NOW_MS, NOW_MS, complete=False)
    bot.read_stops(None, part)
    assert list(bot.believed_stops()) == ["s1"]
    assert not bot.stops.reads, "nothing is known of what it does not show"
    bot.hear_stop(stop(status=StopStatus.CANCELLED), NOW_MS - 500)
    bot.read_stops(None, part)
    assert bot.believed_stops() == {}


def test_incomplete_census_removes_nothing() -> None:
    bot = state()
    bot.read_stops(BTC, Fact((stop(),), NOW_MS, NOW_MS))
    bot.read_stops(None, Fact((), NOW_MS + 5_000, NOW_MS + 5_000, complete=False))
    assert set(bot.believed_stops()) == {"s1"}


def test_ours_is_known_by_form_after_a_restart() -> None:
    """R0.4: a new run knows the stops of the last one, and what they were for."""
    bot = state()
    bot.read_stops(BTC, Fact((stop(client_id=OURS), sized(client_id="web_1")), NOW_MS, NOW_MS))
    assert bot.facts(NOW_MS, entries_wanted=True).our_ids == {OURS}
    assert bot.purpose_of("", OURS) is Purpose.PLACE_STOP
    assert bot.purpose_of("", "web_1") is None


def test_order_that_a_stop_became_is_ours() -> None:
    bot = state()
    bot.hear_stop(stop(status=StopStatus.TRIGGERED, order_id="o7"), NOW_MS)
    bot.hear_order(order(order_id="o7", client_id="anything"), NOW_MS)
    assert "anything" in bot.facts(NOW_MS, entries_wanted=True).our_ids
    assert bot.purpose_of("o7", "") is Purpose.PLACE_STOP


# --- tries ---------------------------------------------------------------------------------------


def test_two_requests_of_one_millisecond_keep_their_own_outcomes() -> None:
    bot = state()
    parts = [journaled(CLOSE, client_id=name(n)) for n in range(2)]
    for each in parts:
        bot.sending(each, NOW_MS)
    bot.answered(replace(parts[0], state=OrderState.CLOSED), refused())
    bot.answered(replace(parts[1], state=OrderState.CLOSED), Accepted(exchange_id="1"))
    assert [a.outcome for a in bot.attempts[KEY]] == [refused(), Accepted(exchange_id="1")]
    assert bot.attempt_of == {}


def test_outcome_after_an_unknown_one_finds_its_try() -> None:
    bot = state()
    sent = journaled(CLOSE)
    bot.sending(sent, NOW_MS)
    bot.answered(replace(sent, state=OrderState.UNKNOWN), Unknown(cause="cut"))
    bot.answered(replace(sent, state=OrderState.CLOSED), Accepted(exchange_id="1"))
    assert [a.outcome for a in bot.attempts[KEY]] == [Accepted(exchange_id="1")]
    assert bot.intents == {}


@pytest.mark.parametrize("outcome", [refused(RejectReason.WOULD_TRIGGER), Unavailable(cause="429")])
def test_refused_move_of_a_stop_is_not_hammered(outcome: object) -> None:
    """The position is covered all the while; each answer brings a step, and none may send at once again."""
    bot = state()
    reads(bot, (0, True))
    bot.tracked[KEY] = tracked(stop_price=D(50_500))
    bot.read_stops(BTC, Fact((stop(),), NOW_MS, NOW_MS))
    sent = 0
    for index in range(400):
        now = NOW_MS + index * 50
        verdict = protect(KEY, bot.facts(now, entries_wanted=True))
        if isinstance(verdict, Place):
            sent += 1
            request = journaled(verdict.intent, client_id=name(index))
            bot.sending(request, now)
            bot.answered(replace(request, state=OrderState.CLOSED), outcome)  # type: ignore[arg-type]
        else:
            bot.healthy(KEY)
    assert sent <= 3


def test_refused_move_does_not_close_when_the_stop_is_lost_later() -> None:
    bot = state()
    reads(bot, (0, True))
    bot.tracked[KEY] = tracked()
    bot.read_stops(BTC, Fact((stop(),), NOW_MS, NOW_MS))
    bot.facts(NOW_MS, entries_wanted=True)
    request = journaled(PLACE)
    bot.sending(request, NOW_MS)
    bot.answered(replace(request, state=OrderState.CLOSED), refused(RejectReason.WOULD_TRIGGER))
    bot.healthy(KEY)
    bot.cancelled_stop(replace(PLACE, target_id="s1"), NOW_MS + 2_000)
    verdict = protect(KEY, bot.facts(NOW_MS + 2_000, entries_wanted=True))
    assert not isinstance(verdict, CloseNow)


def test_cancels_are_counted_while_their_target_stands() -> None:
    bot = state()
    bot.read_stops(BTC, Fact((stop(),), NOW_MS, NOW_MS))
    cancel = Intent(purpose=Purpose.CANCEL_STOP, symbol=BTC, side=Side.SELL, target_id="s1")
    for index in range(3):
        bot.sending(journaled(cancel, client_id=name(index)), NOW_MS + index)
    assert bot.facts(NOW_MS, entries_wanted=True).cancels["s1"].count == 3
    bot.cancelled_stop(cancel, NOW_MS + 10)
    bot.facts(NOW_MS + 20, entries_wanted=True)
    assert bot.cancels == {}


# --- quantities ----------------------------------------------------------------------------------


def test_hedge_sides_are_positions_of_their_own() -> None:
    bot = state()
    long, short = (PositionKey(BTC, side) for side in (PositionSide.LONG, PositionSide.SHORT))
    bot.hear_quantity(long, D(1), D(50_000), NOW_MS)
    bot.hear_quantity(short, D(-2), D(50_000), NOW_MS)
    bot.hear_flat(long, NOW_MS + 1)
    assert {key: p.quantity for key, p in bot.believed_positions().items()} == {short: D(-2)}


def test_news_of_a_quantity_keeps_what_it_does_not_say() -> None:
    bot = state()
    reads(bot, (0, True))
    bot.hear_quantity(KEY, D("0.7"), D(0), NOW_MS + 1)
    grown = bot.believed_positions()[KEY]
    assert (grown.quantity, grown.entry_price, grown.liquidation_price) == (D("0.7"), D(50_000), D(40_000))
    bot.hear_quantity(KEY, D(-1), D(50_000), NOW_MS + 2)
    assert bot.believed_positions()[KEY].liquidation_price == 0


def test_leverage_news_counts_until_a_read_has_seen_it() -> None:
    bot = state()
    assert bot.leverage_of(ETH) == 0
    bot.hear_leverage(ETH, 7, NOW_MS)
    assert bot.leverage_of(ETH) == 7


def test_naked_time_is_counted_from_seen_to_covered() -> None:
    bot = state()
    reads(bot, (0, True))
    bot.facts(NOW_MS, entries_wanted=True)
    bot.hear_stop(stop(), NOW_MS + 300)
    bot.facts(NOW_MS + 400, entries_wanted=True)
    assert (bot.naked.longest, bot.naked.since) == (400, {})
    assert bot.protected_since[KEY] == NOW_MS + 400


# --- the whole in a rough world ------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.lists(st.integers(4, 60), min_size=1, max_size=5))
def test_rough_world_is_survived_and_then_understood(seed: int, pauses: list[int]) -> None:
    """Lagging, lying and partial reads, late, doubled, lost and disordered news, lost requests and replies:
    no last stop is cancelled, no stop is sent twice, and once it is calm the books are the truth."""
    world = Rough(random.Random(seed))
    for pause in pauses:
        if world.position is None:
            world.open()
        else:
            world.close()
        for _ in range(pause):
            world.tick()
    assert world.faults == []
    world.calm = True
    for _ in range(120):
        world.tick()
    assert world.faults == []
    assert set(world.bot.believed_positions()) == ({KEY} if world.position else set())
    assert set(world.bot.tracked) == ({KEY} if world.position else set())
    assert len(world.live()) == (1 if world.position else 0)
    assert world.covered() == (world.position is not None)
