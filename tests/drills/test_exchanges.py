"""Worlds at every exchange: whose requests are whose, the same course twice, and a bot that is of use."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from holdfast.cli.drill.command import run_drill
from holdfast.cli.drill.options import DrillOptions
from holdfast.cli.exits import Failure
from holdfast.domain.orders import Direction
from holdfast.drills.cases import BadCase, calm, drawn, read_kept
from holdfast.drills.checkers.durable import SqliteDurable
from holdfast.drills.checkers.stop_names import StopNames
from holdfast.drills.fleet import every, run_fleet
from holdfast.drills.gauntlet.row import USUAL
from holdfast.drills.gauntlet.steps import BTC, enter, live_stops
from holdfast.drills.judged import judge
from holdfast.drills.wires import BINGX, BITGET, WIRES, ExchangeName
from holdfast.drills.world import World, run_world
from holdfast.simulator.core.model import SimAlgo
from holdfast.simulator.faults import Fault, FaultKind
from holdfast.simulator.requests import Arrival
from tests.simulator.core.build import FOO, ME, core, order, stop

HOURS = 0.1
OTHERS: tuple[ExchangeName, ...] = (BINGX, BITGET)


# --- the words of each wire --------------------------------------------------------------------------

ORDERS = {
    "binance": ("/fapi/v1/order", {"newClientOrderId": "hf-1-out-1abcde"}),
    "bingx": ("/openApi/swap/v2/trade/order", {"type": "MARKET", "clientOrderId": "hf-1-out-1abcde"}),
    "bitget": ("/api/v2/mix/order/place-order", {"clientOid": "hf-1-out-1abcde"}),
}
STOPS = {
    "binance": ("/fapi/v1/algoOrder", {}),
    "bingx": ("/openApi/swap/v2/trade/order", {"type": "STOP_MARKET"}),
    "bitget": ("/api/v2/mix/order/place-tpsl-order", {}),
}


@pytest.mark.parametrize("exchange", WIRES)
def test_a_close_is_an_order_and_no_stop(exchange: str) -> None:
    path, params = ORDERS[exchange]
    assert WIRES[exchange].meant("POST", path, params) == {"all", "send", "order", "close"}
    assert WIRES[exchange].client_id(params) == "hf-1-out-1abcde"


@pytest.mark.parametrize("exchange", WIRES)
def test_a_stop_is_no_order(exchange: str) -> None:
    path, params = STOPS[exchange]
    assert WIRES[exchange].meant("POST", path, params) == {"all", "send", "stop"}


def test_a_cancel_names_its_order_wherever_the_id_stands() -> None:
    cancel = {"planType": "pos_loss", "orderIdList": '[{"orderId":"123"}]'}
    assert WIRES[BITGET].meant("POST", "/api/v2/mix/order/cancel-plan-order", cancel) == {"all", "cancel"}
    assert "123" in WIRES[BITGET].cancelled(cancel)


# --- stops without their names -----------------------------------------------------------------------


def nameless() -> SimAlgo:
    made = core()
    made.place_order(ME, order())
    return replace(made.place_algo(ME, stop("95")), client_id="x7Yq")


def sent(client_id: str, trigger: str = "95", side: str = "SELL") -> Arrival:
    params = {
        "symbol": FOO.dashed,
        "side": side,
        "stopPrice": trigger,
        "clientOrderId": client_id,
        "type": "STOP_MARKET",
    }
    return Arrival(
        at_ms=0,
        account="",
        address="",
        method="POST",
        path="/openApi/swap/v2/trade/order",
        params=params,
        weight=1,
        orders=1,
        faults=(),
    )


def test_a_stop_whose_name_was_dropped_has_the_one_it_was_sent_with() -> None:
    names, algo = StopNames(WIRES[BINGX]), nameless()
    names.sent(sent("hf-1-stop-1aaaaa", trigger="94"))
    names.sent(sent("hf-1-stop-2bbbbb", side="BUY"))
    names.sent(sent("hf-1-stop-3ccccc", trigger=f"{algo.trigger_price}"))
    assert names.named(algo).client_id == "hf-1-stop-3ccccc"
    assert names.named(algo).client_id == "hf-1-stop-3ccccc", "and keeps it"
    assert names.named(replace(algo, algo_id=99)).client_id == "x7Yq", "each name is given once"


def test_a_stop_that_kept_its_name_is_left_alone() -> None:
    algo = replace(nameless(), client_id="hf-1-stop-9zzzzz")
    assert StopNames(WIRES[BINGX]).named(algo) is algo


# --- worlds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", OTHERS)
def test_a_calm_world_holds_and_goes_the_same_way_under_another_hash_seed(exchange: ExchangeName) -> None:
    (done,) = run_fleet(judge, [calm(5, HOURS, exchange=exchange)], jobs=1, twice=every(1))
    assert done.answer is not None, done.failure
    assert done.again is not None
    assert done.answer.violations == ()
    assert done.answer.figures.entries > 0
    assert done.answer.figures.usable_minutes == done.answer.figures.healthy_minutes
    assert done.answer.digests == done.again.digests
    assert done.answer.naked.rows()[-1].avoidable.max_ms < Decimal(2_000)


def test_a_plan_names_its_exchange_and_old_ones_are_for_binance() -> None:
    plan = {"format": 1, "world": {"seed": 3}, "schedule": {"length_ms": 1_000}}
    old = read_kept(plan).case
    assert (old.spec.exchange, old.schedule.exchange) == ("binance", "binance")
    new = read_kept({**plan, "world": {"exchange": "bitget"}}).case
    assert (new.spec.exchange, new.schedule.exchange) == ("bitget", "bitget")
    with pytest.raises(BadCase, match="expected exchange 'binance', found 'bingx'"):
        read_kept({**plan, "schedule": {"length_ms": 1_000, "exchange": "bingx"}})


def test_the_same_seed_is_the_same_world_elsewhere() -> None:
    here, there = drawn(7, 1).spec, drawn(7, 1, exchange="bingx").spec
    assert replace(there, exchange="binance") == here


def test_an_exchange_that_does_not_exist_is_bad_use() -> None:
    with pytest.raises(Failure, match="expected --exchange out of binance, bingx, bitget, found 'kraken'"):
        run_drill(DrillOptions(exchange="kraken", out=Path("nowhere")))
    with pytest.raises(Failure, match="a plan names its own"):
        run_drill(DrillOptions(exchange="bingx", soak=True, out=Path("nowhere")))


def test_a_triggered_stop_is_over_when_its_order_is() -> None:
    """At BingX its own row says TRIGGERED for good; where the stream was silent the journal held it open."""
    open_after: list[str] = []

    async def scenario(world: World) -> None:
        await enter(world, BTC, Direction.LONG)
        world.server.faults.add(Fault(kind=FaultKind.EVENTS_DROPPED, stream="user"))
        world.server.core.trigger_by_hand(world.account_id, algo_id=live_stops(world, BTC)[0].algo_id)
        await world.run_for(60_000)
        durable = SqliteDurable(world.home.database, world.settings.account_id)
        durable.open()
        open_after.extend(row.client_id for row in durable.open_intents())
        durable.close()

    run_world(replace(USUAL, exchange="bingx"), scenario)
    assert open_after == []
