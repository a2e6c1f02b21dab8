"""Faults are data: what they match, when they fire, how often, and what they refuse to mean."""

from __future__ import annotations

import pytest

from holdfast.simulator.faults import BadFault, Delivery, Fault, FaultKind, FaultPlan, read_fault, read_faults

ORDER = "/fapi/v1/order"


def meets(
    plan: FaultPlan, path: str = ORDER, method: str = "POST", now_ms: int = 0, **params: str
) -> list[str]:
    return [str(fault.kind) for fault in plan.for_request(method, path, params, "key", now_ms)]


@pytest.mark.parametrize(
    ("wanted", "request_", "fires"),
    [
        ({"path": "order$"}, {}, True),
        ({"path": "^/fapi/v1/algoOrder$"}, {}, False),
        ({"method": "delete"}, {}, False),
        ({"method": "post"}, {}, True),
        ({"params": {"symbol": "BTCUSDT"}}, {"symbol": "BTCUSDT"}, True),
        ({"params": {"symbol": "BTCUSDT"}}, {"symbol": "ETHUSDT"}, False),
        ({"account": "other"}, {}, False),
        ({"from_ms": 10}, {}, False),
        ({"from_ms": 10, "to_ms": 20}, {"now_ms": 19}, True),
        ({"from_ms": 10, "to_ms": 20}, {"now_ms": 20}, False),
    ],
)
def test_a_fault_meets_only_the_requests_it_names(wanted, request_, fires):
    plan = FaultPlan([Fault(kind=FaultKind.REJECT, **wanted)])
    assert meets(plan, **request_) == (["reject"] if fires else [])


def test_skip_and_times_pick_exactly_the_named_requests():
    plan = FaultPlan([Fault(kind=FaultKind.LOST_REPLY, skip=2, times=2)])
    assert [bool(meets(plan)) for _ in range(6)] == [False, False, True, True, False, False]
    assert plan.listing()[0].matched == 6
    assert plan.fired(1) == 2


def test_delays_add_up_and_the_first_deciding_fault_wins():
    plan = FaultPlan(
        [
            Fault(kind=FaultKind.DELAY),
            Fault(kind=FaultKind.REJECT),
            Fault(kind=FaultKind.LOST_REQUEST),
        ]
    )
    assert meets(plan) == ["delay", "reject"]
    assert plan.fired(3) == 0, "a fault behind the deciding one was not used up"


def test_the_same_seed_fires_at_the_same_requests():
    def run(seed: int) -> list[bool]:
        plan = FaultPlan([Fault(kind=FaultKind.REJECT, probability=0.5, seed=seed)])
        return [bool(meets(plan)) for _ in range(64)]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert 10 < sum(run(1)) < 54


def test_removed_faults_fire_no_more_but_keep_their_count():
    plan = FaultPlan()
    number = plan.add(Fault(kind=FaultKind.REJECT))
    meets(plan)
    assert plan.remove(number)
    assert not plan.remove(number)
    assert meets(plan) == []
    assert plan.fired(number) == 1
    assert plan.add(Fault(kind=FaultKind.REJECT)) != number


@pytest.mark.parametrize(
    ("faults", "delivery"),
    [
        ([], Delivery(1, 0)),
        ([{"kind": "events_doubled"}], Delivery(2, 0)),
        ([{"kind": "events_dropped"}], Delivery(0, 0)),
        ([{"kind": "ws_silent", "stream": "market"}], Delivery(1, 0)),
        ([{"kind": "ws_silent", "stream": "user"}], Delivery(0, 0)),
        ([{"kind": "events_delayed", "delay_ms": 7}, {"kind": "events_doubled"}], Delivery(2, 7)),
        ([{"kind": "events_dropped", "path": "ACCOUNT_UPDATE"}], Delivery(1, 0)),
        ([{"kind": "ws_close"}], Delivery(1, 0)),
        ([{"kind": "reject"}], Delivery(1, 0)),
    ],
)
def test_user_events_are_delivered_as_the_faults_say(faults, delivery):
    plan = FaultPlan(read_faults(faults))
    assert plan.for_message("user", "ORDER_TRADE_UPDATE", "key", 0) == delivery


def test_a_closing_fault_closes_the_named_kind_of_socket_once():
    plan = FaultPlan([Fault(kind=FaultKind.WS_CLOSE, stream="user", times=1, ws_code=1008)])
    assert plan.closes("market", "", 0) is None
    closing = plan.closes("user", "key", 0)
    assert closing is not None
    assert closing.ws_code == 1008
    assert plan.closes("user", "key", 0) is None


def test_a_fault_survives_the_way_through_json():
    fault = Fault(
        kind=FaultKind.ERROR_AFTER,
        method="POST",
        path="order",
        params={"type": "MARKET"},
        times=3,
        status=408,
    )
    assert read_fault(fault.to_json()) == fault
    assert fault.to_json() == {
        "kind": "error_after",
        "method": "POST",
        "path": "order",
        "params": {"type": "MARKET"},
        "times": 3,
        "status": 408,
    }


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_kind_can_be_written_and_read(kind):
    assert read_fault({"kind": str(kind)}) == Fault(kind=kind)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("x", "expected an object, found str"),
        ({}, "kind: expected one of"),
        ({"kind": "explode"}, "found 'explode'"),
        ({"kind": "reject", "colour": "red"}, "unknown field 'colour'"),
        ({"kind": "reject", "path": "("}, "path: expected a regular expression"),
        ({"kind": "reject", "probability": 2}, "probability: expected 0 to 1, found 2"),
        ({"kind": "reject", "times": -1}, "times: expected 0 or more, found -1"),
        ({"kind": "reject", "times": "many"}, "times"),
        ({"kind": "ws_silent", "stream": "sea"}, "stream"),
    ],
)
def test_nonsense_is_refused_in_one_clear_sentence(data, words):
    with pytest.raises(BadFault, match=r".") as caught:
        read_fault(data)
    assert words in str(caught.value)


def test_each_kind_has_the_answer_of_the_real_thing():
    assert Fault(kind=FaultKind.RATE_LIMITED).answer()[:2] == (429, -1003)
    assert Fault(kind=FaultKind.ERROR_AFTER).answer()[2].startswith("Unknown error")
    assert Fault(kind=FaultKind.REJECT, code=-2019, msg="Margin is insufficient.").answer() == (
        400,
        -2019,
        "Margin is insufficient.",
    )
