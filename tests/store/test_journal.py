"""The journal: nothing is sent unwritten, nothing risky is written against orders, nothing is overwritten."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.decisions.gate import Mode, OperatorState
from holdfast.domain.intents import (
    Accepted,
    Intent,
    Journaled,
    Purpose,
    Rejected,
    RejectReason,
    Unavailable,
    Unknown,
)
from holdfast.domain.orders import (
    TRANSITIONS,
    ExchangeStatus,
    Heard,
    OrderState,
    OrderType,
    PositionSide,
    Side,
    Stop,
    StopKind,
    StopStatus,
    TimeInForce,
    TriggerSource,
)
from holdfast.store import audit
from holdfast.store.database import Store, open_store
from holdfast.store.errors import JournalRefused, UnknownIntent, WriteRefusal
from holdfast.store.journal import (
    OPEN_STATES,
    Contradiction,
    Recorded,
    by_exchange_id,
    find,
    forget_unsent,
    intents_of,
    is_ours,
    open_intents,
    record_order,
    record_outcome,
    record_stop,
    resolve,
    write_ahead,
)
from holdfast.store.lease import lease_epoch, take_lease
from holdfast.store.operator import set_mode, set_operator
from holdfast.store.schema import intents
from tests.store.builders import ACCOUNT, BTC, ETH, NOW, D, accepted, intent, journaled, order, running

PROTECTIVE = [purpose for purpose in Purpose if not purpose.raises_risk]
STATES = st.sampled_from(sorted(OrderState))


def _write(store: Store, entry: Journaled, **options) -> None:
    store.write(lambda c: write_ahead(c, entry, at_ms=NOW, **options))


def _refused(store: Store, entry: Journaled, **options) -> tuple[WriteRefusal, ...]:
    before = store.read(audit.head)
    with pytest.raises(JournalRefused) as caught:
        _write(store, entry, **options)
    assert store.read(audit.head) == before
    return caught.value.reasons


def _events(store: Store) -> list[str]:
    return [event.event_type for event in reversed(store.read(audit.recent))]


@pytest.fixture
def trading(store: Store) -> Store:
    store.write(running)
    return store


# --- writing ahead -------------------------------------------------------------------------------


def test_every_field_of_an_intent_has_its_column():
    """A new field of the domain needs a migration before it can be forgotten here."""
    fields = {each.name for kind in (Intent, Journaled) for each in dataclasses.fields(kind)} - {"intent"}
    assert set(intents.columns.keys()) - fields == {"user_id", "lease_epoch", "updated_ms"}
    assert fields <= set(intents.columns.keys())


def test_an_intent_is_read_back_as_it_was_written(trading: Store):
    entry = journaled(
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.POST_ONLY,
        price=D("60000.10"),
        trigger_price=D("1E-8"),
        trigger_source=TriggerSource.LAST,
        position_side=PositionSide.LONG,
        take_profit=D("70000"),
        reason="adx 31, “quoted” 🚨",
        close_position=True,
        target_id="9",
        target_client_id="hf-0-z",
    )
    _write(trading, entry, user_id="u1", lease_epoch=0)
    assert trading.read(lambda c: find(c, "hf-1-a")) == entry
    assert trading.read(lambda c: open_intents(c, ACCOUNT)) == (entry,)
    assert trading.read(lambda c: intents_of(c, ACCOUNT, BTC)) == (entry,)
    assert trading.read(lambda c: intents_of(c, ACCOUNT, BTC, since_ms=NOW + 1)) == ()
    assert _events(trading)[-1] == "INTENT_WRITTEN"


def test_only_our_own_ids_on_our_account_are_ours(trading: Store):
    _write(trading, journaled())
    found = [
        trading.read(lambda c, a=account, i=client_id: is_ours(c, a, i))
        for account, client_id in (
            (ACCOUNT, "hf-1-a"),
            (ACCOUNT, "web_1"),
            ("acc-2", "hf-1-a"),
            (ACCOUNT, ""),
        )
    ]
    assert found == [True, False, False, False]


def test_no_entry_before_anyone_said_run(store: Store):
    assert _refused(store, journaled()) == (WriteRefusal.STOPPED,)


@pytest.mark.parametrize("account", ["", ACCOUNT])
@pytest.mark.parametrize(
    ("state", "reason"),
    [(OperatorState.STOPPED, WriteRefusal.STOPPED), (OperatorState.KILLED, WriteRefusal.KILLED)],
)
def test_an_entry_is_refused_while_stopped_or_killed(
    trading: Store, account: str, state: OperatorState, reason: WriteRefusal
):
    trading.write(lambda c: set_operator(c, state, "ann", "lunch", NOW, account_id=account))
    assert _refused(trading, journaled()) == (reason,)


@pytest.mark.parametrize("account", ["", ACCOUNT])
@pytest.mark.parametrize(
    ("mode", "reason"),
    [(Mode.REDUCE_ONLY, WriteRefusal.REDUCE_ONLY), (Mode.HALTED, WriteRefusal.HALTED)],
)
def test_an_entry_is_refused_in_a_safer_mode(trading: Store, account: str, mode: Mode, reason: WriteRefusal):
    trading.write(lambda c: set_mode(c, mode, "breaker", "loss", NOW, by_person=False, account_id=account))
    assert _refused(trading, journaled()) == (reason,)


def test_another_account_that_is_killed_refuses_nothing_here(trading: Store):
    trading.write(lambda c: set_operator(c, OperatorState.KILLED, "ann", "x", NOW, account_id="acc-2"))
    _write(trading, journaled())
    assert _refused(trading, journaled("hf-2-a", account_id="acc-2")) == (WriteRefusal.KILLED,)


def test_every_reason_is_given_and_not_only_the_first(trading: Store):
    _write(trading, journaled())
    trading.write(lambda c: set_mode(c, Mode.HALTED, "breaker", "loss", NOW, by_person=False))
    trading.write(lambda c: set_operator(c, OperatorState.KILLED, "ann", "panic", NOW))
    trading.write(lambda c: take_lease(c, ACCOUNT, "other host", NOW))
    assert set(_refused(trading, journaled("hf-1-b"))) == {
        WriteRefusal.KILLED,
        WriteRefusal.HALTED,
        WriteRefusal.LEASE_LOST,
        WriteRefusal.UNRESOLVED_INTENT,
    }


@pytest.mark.parametrize("purpose", PROTECTIVE)
def test_protection_and_closing_are_written_whatever_holds(trading: Store, purpose: Purpose):
    """Killed, halted, lease lost and an Unknown on the symbol: the way out stays open (rules 5, 8)."""
    _write(trading, journaled())
    trading.write(lambda c: record_outcome(c, "hf-1-a", Unknown(cause="timeout"), NOW))
    trading.write(lambda c: set_mode(c, Mode.HALTED, "breaker", "loss", NOW, by_person=False))
    trading.write(lambda c: set_operator(c, OperatorState.KILLED, "ann", "panic", NOW))
    trading.write(lambda c: take_lease(c, ACCOUNT, "other host", NOW))
    _write(trading, journaled("hf-1-b", purpose=purpose))
    assert trading.read(lambda c: is_ours(c, ACCOUNT, "hf-1-b"))


@pytest.mark.parametrize("purpose", list(Purpose))
def test_the_same_client_id_is_never_written_twice(trading: Store, purpose: Purpose):
    _write(trading, journaled(purpose=purpose))
    again = journaled(purpose=Purpose.CLOSE, symbol=ETH, quantity=D(9))
    assert _refused(trading, again) == (WriteRefusal.DUPLICATE_CLIENT_ID,)
    held = trading.read(lambda c: find(c, "hf-1-a"))
    assert held is not None
    assert held.intent.purpose is purpose


def test_an_unresolved_entry_blocks_its_symbol_only(trading: Store):
    _write(trading, journaled())
    assert _refused(trading, journaled("hf-1-b")) == (WriteRefusal.UNRESOLVED_INTENT,)
    _write(trading, journaled("hf-1-c", symbol=ETH))
    _write(trading, journaled("hf-1-d", account_id="acc-2"))
    trading.write(lambda c: record_outcome(c, "hf-1-a", accepted(), NOW))
    _write(trading, journaled("hf-1-b"))


@pytest.mark.parametrize("purpose", PROTECTIVE)
def test_an_unknown_of_any_purpose_blocks_entries(trading: Store, purpose: Purpose):
    """A close or a stop that may still take effect would hit the new position (rule 5)."""
    _write(trading, journaled(purpose=purpose))
    trading.write(lambda c: record_outcome(c, "hf-1-a", Unknown(cause="timeout"), NOW))
    assert _refused(trading, journaled("hf-1-b")) == (WriteRefusal.UNRESOLVED_INTENT,)


def test_a_standing_stop_blocks_no_entry(trading: Store):
    _write(trading, journaled(purpose=Purpose.PLACE_STOP, side=Side.SELL))
    trading.write(lambda c: record_outcome(c, "hf-1-a", Accepted(exchange_id="5"), NOW))
    _write(trading, journaled("hf-1-b"))


def test_a_stolen_lease_stops_the_first_holder(trading: Store):
    """Gauntlet G27."""
    first = trading.write(lambda c: take_lease(c, ACCOUNT, "host a", NOW))
    _write(trading, journaled(), lease_epoch=first)
    second = trading.write(lambda c: take_lease(c, ACCOUNT, "host b", NOW))
    assert (first, second, trading.read(lambda c: lease_epoch(c, ACCOUNT))) == (1, 2, 2)
    assert _refused(trading, journaled("hf-1-b", symbol=ETH), lease_epoch=first) == (WriteRefusal.LEASE_LOST,)
    _write(trading, journaled("hf-2-b", symbol=ETH), lease_epoch=second)


@pytest.mark.postgres
def test_a_kill_waits_for_an_entry_being_written_beside_it(pg_url: str):
    """Two processes: a kill that returned was before or after the entry, never in between."""
    bot, operator = open_store(pg_url, busy_ms=100), open_store(pg_url, busy_ms=100)
    bot.write(running)
    with bot.transaction() as connection:
        write_ahead(connection, journaled(), at_ms=NOW)
        with pytest.raises(Exception, match="lock timeout"):
            operator.write(lambda c: set_operator(c, OperatorState.KILLED, "ann", "panic", NOW))
    operator.write(lambda c: set_operator(c, OperatorState.KILLED, "ann", "panic", NOW))
    assert WriteRefusal.KILLED in _refused(bot, journaled("hf-1-b", symbol=ETH))
    bot.close()
    operator.close()


# --- what came of it -----------------------------------------------------------------------------


def _reject(reason: RejectReason = RejectReason.MARGIN) -> Rejected:
    return Rejected(reason=reason, code="-2019", message="Margin is insufficient.")


@pytest.mark.parametrize(
    ("purpose", "outcome", "state", "event"),
    [
        (Purpose.ENTER, accepted(), OrderState.FILLED, "ORDER_FILLED"),
        (
            Purpose.ENTER,
            accepted(status=ExchangeStatus.OPEN, filled=D(0)),
            OrderState.WORKING,
            "ORDER_PLACED",
        ),
        (Purpose.ENTER, accepted(status=ExchangeStatus.EXPIRED), OrderState.CLOSED, "ORDER_CLOSED"),
        (Purpose.ENTER, Accepted(exchange_id="77"), OrderState.WORKING, "ORDER_PLACED"),
        (Purpose.ENTER, _reject(), OrderState.CLOSED, "ORDER_REJECTED"),
        (Purpose.ENTER, Unavailable(cause="429"), OrderState.CLOSED, "ORDER_REJECTED"),
        (Purpose.ENTER, Unknown(cause="timeout"), OrderState.UNKNOWN, "ORDER_UNKNOWN"),
        (Purpose.ENTER, _reject(RejectReason.DUPLICATE_ID), OrderState.UNKNOWN, "ORDER_UNKNOWN"),
        (Purpose.PLACE_STOP, Accepted(exchange_id="5"), OrderState.WORKING, "ORDER_PLACED"),
        (Purpose.CANCEL_STOP, Accepted(exchange_id="5"), OrderState.CLOSED, "ORDER_CANCELLED"),
        (Purpose.CANCEL_ORDER, _reject(RejectReason.NOT_FOUND), OrderState.CLOSED, "ORDER_REJECTED"),
        (Purpose.CANCEL_ORDER, Unknown(cause="504"), OrderState.UNKNOWN, "ORDER_UNKNOWN"),
    ],
)
def test_an_answer_moves_the_intent_to_its_state(
    trading: Store, purpose: Purpose, outcome: object, state: OrderState, event: str
):
    _write(trading, journaled(purpose=purpose))
    done = trading.write(lambda c: record_outcome(c, "hf-1-a", outcome, NOW + 40))
    held = trading.read(lambda c: find(c, "hf-1-a"))
    assert isinstance(done, Recorded)
    assert done.before is OrderState.SENDING
    assert held == done.journaled
    assert held.state is state
    assert held.resolved_ms == (NOW + 40 if state in (OrderState.FILLED, OrderState.CLOSED) else 0)
    assert _events(trading)[-1] == event


def test_the_answers_numbers_are_kept(trading: Store):
    _write(trading, journaled())
    trading.write(lambda c: record_outcome(c, "hf-1-a", accepted(), NOW))
    held = trading.read(lambda c: by_exchange_id(c, ACCOUNT, "77"))
    assert held is not None
    assert (held.exchange_id, str(held.filled), str(held.average_price)) == ("77", "0.010", "60000.10")
    assert trading.read(lambda c: by_exchange_id(c, ACCOUNT, "")) is None


def test_late_and_repeated_news_changes_nothing(trading: Store):
    _write(trading, journaled())
    trading.write(lambda c: record_order(c, order(), NOW))
    held, chain = trading.read(lambda c: find(c, "hf-1-a")), trading.read(audit.head)
    partial = order(status=ExchangeStatus.PARTIAL, filled=D("0.004"), average_price=D(59000))
    for news in (partial, order(), order(average_price=D("60000.11"))):
        assert isinstance(trading.write(lambda c, n=news: record_order(c, n, NOW + 9)), Recorded)
    assert trading.read(lambda c: find(c, "hf-1-a")) == held
    assert trading.read(audit.head) == chain


def test_news_that_contradicts_is_told_and_changes_nothing(trading: Store):
    _write(trading, journaled())
    trading.write(lambda c: record_order(c, order(), NOW))
    held = trading.read(lambda c: find(c, "hf-1-a"))
    found = trading.write(lambda c: record_outcome(c, "hf-1-a", _reject(), NOW + 9))
    assert isinstance(found, Contradiction)
    assert (found.heard, found.journaled) == (Heard.REJECT, held)
    assert trading.read(lambda c: find(c, "hf-1-a")) == held
    assert _events(trading)[-1] == "INTENT_CONTRADICTED"


def test_a_refusal_after_an_unknown_proves_nothing_of_the_first_send(trading: Store):
    _write(trading, journaled())
    trading.write(lambda c: record_outcome(c, "hf-1-a", Unknown(cause="timeout"), NOW))
    assert isinstance(trading.write(lambda c: record_outcome(c, "hf-1-a", _reject(), NOW)), Contradiction)
    assert trading.read(lambda c: open_intents(c, ACCOUNT))[0].state is OrderState.UNKNOWN


def test_another_order_under_our_client_id_contradicts(trading: Store):
    _write(trading, journaled())
    trading.write(lambda c: record_outcome(c, "hf-1-a", Accepted(exchange_id="77"), NOW))
    news = order(order_id="78")
    assert isinstance(trading.write(lambda c: record_order(c, news, NOW)), Contradiction)


def _stop(**changes) -> Stop:
    values = {
        "symbol": BTC,
        "stop_id": "5",
        "client_id": "hf-1-s",
        "kind": StopKind.STOP,
        "market": True,
        "side": Side.SELL,
        "position_side": PositionSide.BOTH,
        "trigger_price": D(59000),
        "trigger_source": TriggerSource.MARK,
        "quantity": D(0),
        "close_position": True,
        "reduce_only": True,
        "status": StopStatus.LIVE,
        "created_ms": NOW,
        "updated_ms": NOW,
    }
    return Stop(**values | changes)


def test_a_stop_lives_until_its_order_is_done(trading: Store):
    """Triggered is not done: the order it became may hang or be refused (gauntlet G32)."""
    _write(trading, journaled("hf-1-s", purpose=Purpose.PLACE_STOP, side=Side.SELL))
    states = []
    for status in (StopStatus.LIVE, StopStatus.TRIGGERING, StopStatus.TRIGGERED, StopStatus.FINISHED):
        done = trading.write(lambda c, s=status: record_stop(c, _stop(status=s, order_id="900"), NOW))
        states.append(done.journaled.state)
    assert states == [OrderState.WORKING] * 3 + [OrderState.FILLED]


def test_the_order_a_stop_became_is_no_other_order(trading: Store):
    _write(trading, journaled("hf-1-s", purpose=Purpose.PLACE_STOP, side=Side.SELL))
    trading.write(lambda c: record_stop(c, _stop(), NOW))
    done = trading.write(lambda c: record_order(c, order("hf-1-s", order_id="900"), NOW))
    assert isinstance(done, Recorded)
    assert (done.journaled.exchange_id, done.journaled.state) == ("5", OrderState.FILLED)


def test_what_was_being_sent_when_the_process_ended_is_unknown(trading: Store):
    _write(trading, journaled())
    _write(trading, journaled("hf-1-b", symbol=ETH))
    _write(trading, journaled("hf-1-c", purpose=Purpose.CLOSE))
    trading.write(lambda c: record_outcome(c, "hf-1-b", accepted(order_id="8"), NOW))
    left = trading.write(lambda c: forget_unsent(c, ACCOUNT, NOW + 1))
    assert [(each.client_id, each.state) for each in left] == [
        ("hf-1-a", OrderState.UNKNOWN),
        ("hf-1-c", OrderState.UNKNOWN),
    ]
    assert trading.write(lambda c: forget_unsent(c, ACCOUNT, NOW + 2)) == left


def test_an_unknown_ends_by_proof(trading: Store):
    _write(trading, journaled())
    trading.write(lambda c: forget_unsent(c, ACCOUNT, NOW))
    done = trading.write(
        lambda c: resolve(c, "hf-1-a", Heard.PROVEN_DEAD, detail="expired and not found", at_ms=NOW + 9000)
    )
    assert isinstance(done, Recorded)
    assert (done.journaled.state, done.journaled.resolved_ms) == (OrderState.CLOSED, NOW + 9000)
    assert trading.read(lambda c: open_intents(c, ACCOUNT)) == ()


def test_news_of_an_unheard_id_is_refused(trading: Store):
    with pytest.raises(UnknownIntent, match="expected an intent with client id 'web_1', found none"):
        trading.write(lambda c: record_order(c, order("web_1"), NOW))


@st.composite
def outcomes(draw):
    status = draw(st.sampled_from(sorted(ExchangeStatus)))
    filled = draw(st.sampled_from([D(0), D("0.004"), D("0.010")]))
    return draw(
        st.sampled_from(
            [
                accepted(status=status, filled=filled, order_id=draw(st.sampled_from(["77", "78"]))),
                Accepted(exchange_id="77"),
                Unknown(cause="timeout"),
                Unavailable(cause="down"),
                Rejected(
                    reason=draw(st.sampled_from(sorted(RejectReason))), code="-1", message="\0 no \udc80"
                ),
            ]
        )
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    purpose=st.sampled_from(sorted(Purpose)),
    news=st.lists(st.one_of(outcomes(), st.sampled_from(sorted(Heard))), max_size=8),
)
def test_no_news_ever_leaves_the_table_of_transitions(
    sqlite_store: Store, purpose: Purpose, news: list[object]
):
    """Each step is in TRANSITIONS, or is a contradiction that changed nothing; fills never shrink."""
    store = sqlite_store

    def prepare(connection):
        connection.execute(intents.delete())
        running(connection)
        write_ahead(connection, journaled(purpose=purpose), at_ms=NOW)

    def tell(connection, item):
        if isinstance(item, Heard):
            return resolve(connection, "hf-1-a", item, detail="told", at_ms=NOW)
        return record_outcome(connection, "hf-1-a", item, NOW)

    store.write(prepare)
    before = store.read(lambda c: find(c, "hf-1-a"))
    for item in news:
        done = store.write(lambda c, i=item: tell(c, i))
        held = store.read(lambda c: find(c, "hf-1-a"))
        assert held == done.journaled
        if isinstance(done, Contradiction):
            assert held == before
        else:
            assert held.state in TRANSITIONS[before.state].values()
        assert held.filled >= before.filled
        assert held.exchange_id in (before.exchange_id, "77", "78")
        assert not before.exchange_id or held.exchange_id == before.exchange_id
        assert (held.resolved_ms == 0) == (held.state in OPEN_STATES) == held.open
        before = held


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    state=st.sampled_from(sorted(OperatorState)),
    mode=st.sampled_from(sorted(Mode)),
    purposes=st.lists(st.tuples(st.sampled_from(sorted(Purpose)), STATES), max_size=3),
)
def test_an_entry_is_never_written_against_orders_or_over_doubt(
    sqlite_store: Store, state: OperatorState, mode: Mode, purposes: list[tuple[Purpose, OrderState]]
):
    """Whatever stands: written means running, normal, and nothing unresolved on the symbol."""

    def prepare(connection):
        connection.execute(intents.delete())
        running(connection)
        for number, (purpose, held) in enumerate(purposes):
            entry = journaled(f"old-{number}", purpose=Purpose.CLOSE)
            write_ahead(connection, entry, at_ms=NOW)
            where = intents.c.client_id == entry.client_id
            connection.execute(intents.update().where(where).values(purpose=purpose, state=held))
        set_operator(connection, state, "ann", "x", NOW)
        set_mode(connection, mode, "ann", "x", NOW, by_person=True)

    sqlite_store.write(prepare)
    doubt = any(
        held in (OrderState.SENDING, OrderState.UNKNOWN)
        or (held is OrderState.WORKING and purpose is Purpose.ENTER)
        for purpose, held in purposes
    )
    allowed = state is OperatorState.RUNNING and mode is Mode.NORMAL and not doubt
    entry = journaled()
    assert entry.intent == intent()
    if allowed:
        _write(sqlite_store, entry)
    else:
        _refused(sqlite_store, entry)
    assert (sqlite_store.read(lambda c: find(c, "hf-1-a")) is not None) == allowed
