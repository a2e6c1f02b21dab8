"""Stops, triggers and closing on the simulated BingX, with every switch both ways."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from holdfast.domain.account import PositionMode
from holdfast.simulator.bingx.config import Switches
from holdfast.simulator.core.model import AlgoStatus
from tests.simulator.bingx.clients import BINGX, KEY, Raw
from tests.simulator.world import BTC, world


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    async with world(BINGX) as running:
        yield Raw(running)


def switched(**changes: Any) -> Any:
    return world(replace(BINGX, bingx=Switches(**changes)))


# --- stops -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "type_", "ratio", "code"),
    [
        ("LONG", "STOP_MARKET", 1.02, 110411),
        ("SHORT", "STOP_MARKET", 0.98, 110412),
        ("LONG", "TAKE_PROFIT_MARKET", 0.98, 110413),
        ("SHORT", "TAKE_PROFIT_MARKET", 1.02, 110414),
    ],
)
async def test_a_stop_on_the_wrong_side_of_the_price_is_refused(
    raw: Raw, side: str, type_: str, ratio: float, code: int
) -> None:
    buy, sell = ("BUY", "SELL") if side == "LONG" else ("SELL", "BUY")
    await raw.order(side=buy, positionSide=side)
    wanted = {"side": sell, "positionSide": side, "type": type_, "stopPrice": raw.price(ratio)}
    assert (await raw.stop(**wanted)).code == code
    name = "stopLoss" if type_ == "STOP_MARKET" else "takeProfit"
    inner = {"type": type_, "stopPrice": raw.price(ratio), "workingType": "MARK_PRICE"}
    attached = {"side": buy, "positionSide": side, name: json.dumps(inner)}
    assert (await raw.order(**attached)).code == code


async def test_all_stops_of_a_kind_together_do_not_exceed_the_position(raw: Raw) -> None:
    await raw.order(quantity="0.02")
    assert (await raw.stop(quantity="0.03")).code == 110424
    assert (await raw.stop(quantity="0.015")).code == 0
    answer = await raw.stop(quantity="0.01")
    assert answer.code == 110424
    assert answer.json["msg"].endswith("available amount of 0.005")
    profit = {"type": "TAKE_PROFIT_MARKET", "stopPrice": raw.price(1.03)}
    assert (await raw.stop(**profit, quantity="0.02")).code == 0


async def test_there_is_one_stop_and_one_profit_for_the_whole_position(raw: Raw) -> None:
    await raw.order()
    whole = {"quantity": None, "closePosition": "true"}
    profit = {"type": "TAKE_PROFIT_MARKET", "stopPrice": raw.price(1.03)}
    assert (await raw.stop(**whole)).code == 0
    assert (await raw.stop(**whole)).code == 110406
    assert (await raw.stop(**whole, **profit)).code == 0
    assert (await raw.stop(**whole, **profit)).code == 110407


async def test_a_stops_client_id_is_dropped_or_kept(raw: Raw) -> None:
    await raw.order()
    made = (await raw.stop(clientOrderId="guard")).data["order"]
    assert made["clientOrderId"] == ""
    wanted = {"symbol": "BTC-USDT", "clientOrderId": "guard"}
    assert (await raw.signed("GET", "swap/v2/trade/order", **wanted)).code == 109421
    async with switched(stops_keep_client_ids=True) as running:
        other = Raw(running)
        await other.order()
        await other.stop(clientOrderId="guard")
        found = (await other.signed("GET", "swap/v2/trade/order", **wanted)).data["order"]
        assert (found["type"], found["clientOrderId"]) == ("STOP_MARKET", "guard")


async def fallen(raw: Raw, ratio: float = 0.95) -> None:
    """The price has gone, and the mark with it."""
    await raw.world.admin("POST", "/price", symbol="BTCUSDT", ratio=ratio)
    raw.world.jump(60)


async def detail(raw: Raw, order_id: int) -> Any:
    wanted = {"symbol": "BTC-USDT", "orderId": order_id}
    return (await raw.signed("GET", "swap/v2/trade/order", **wanted)).data["order"]


async def test_a_triggered_stop_has_an_order_with_an_id_of_its_own(raw: Raw) -> None:
    await raw.order()
    made = (await raw.stop()).data["order"]
    await fallen(raw)
    stop = await detail(raw, made["orderId"])
    assert (stop["status"], stop["executedQty"]) == ("TRIGGERED", "0.0000")
    child = await detail(raw, stop["triggerOrderId"])
    assert (child["type"], child["status"], child["executedQty"]) == ("MARKET", "FILLED", "0.0100")
    assert child["triggerOrderId"] == made["orderId"]


async def test_a_triggered_stop_goes_on_under_its_own_id_where_that_is_the_way() -> None:
    async with switched(child_gets_new_id=False) as running:
        raw = Raw(running)
        await raw.order()
        made = (await raw.stop()).data["order"]
        await fallen(raw)
        row = await detail(raw, made["orderId"])
        assert (row["type"], row["status"], row["executedQty"]) == ("STOP_MARKET", "FILLED", "0.0100")
        ids = [one["orderId"] for one in await raw.rows("swap/v2/trade/allOrders", symbol="BTC-USDT")]
        assert len(ids) == len(set(ids)) == 2
        fills = await raw.rows("swap/v2/trade/allFillOrders", symbol="BTC-USDT")
        assert str(made["orderId"]) in {row["orderId"] for row in fills}


@pytest.mark.parametrize("word", ["CANCELED", "EXPIRED"])
async def test_stops_end_with_their_position(word: Any) -> None:
    async with switched(orphans_end_as=word) as running:
        raw = Raw(running)
        await raw.order()
        stop = (await raw.stop()).data["order"]
        trigger = (await raw.stop(type="TRIGGER_MARKET")).data["order"]
        rest = (await raw.order(type="LIMIT", price=raw.price(0.96))).data["order"]
        await raw.order(side="SELL")
        assert {row["orderId"] for row in await raw.open_orders()} == {
            trigger["orderId"],
            rest["orderId"],
        }
        assert (await detail(raw, stop["orderId"]))["status"] == word.replace("CELED", "CELLED")


async def test_stops_end_some_time_after_their_position_unless_there_is_a_new_one() -> None:
    async with switched(stops_end_delay_ms=2_000) as running:
        raw = Raw(running)
        await raw.order()
        await raw.stop()
        await raw.order(side="SELL")
        assert len(await raw.open_orders()) == 1
        running.jump(2.5)
        assert await raw.open_orders() == []
        await raw.order()
        await raw.stop()
        await raw.order(side="SELL")
        await raw.order(quantity="0.02")
        running.jump(2.5)
        assert [row["origQty"] for row in await raw.open_orders()] == ["0.0100"]


async def test_stops_outlive_their_position_where_that_is_the_way() -> None:
    async with switched(stops_end_with_position=False) as running:
        raw = Raw(running)
        await raw.order()
        await raw.stop()
        await raw.order(side="SELL")
        assert len(await raw.open_orders()) == 1
        await fallen(raw)
        assert await raw.positions() == []


@pytest.mark.parametrize(("only_reduces", "held"), [(False, "0.0100"), (True, None)])
async def test_a_one_way_stop_without_reduce_only_may_turn_the_position(
    only_reduces: bool, held: str | None
) -> None:
    """The position shrank after the stop was placed: what is too much of it opens the other side."""
    async with switched(stops_only_reduce=only_reduces, position_mode=PositionMode.ONE_WAY) as running:
        raw = Raw(running)
        both = {"positionSide": "BOTH"}
        await raw.order(**both, quantity="0.02")
        await raw.stop(**both, quantity="0.02")
        await raw.order(**both, side="SELL", quantity="0.01", reduceOnly="true")
        await fallen(raw)
        rows = await raw.positions()
        assert [(row["positionSide"], row["positionAmt"]) for row in rows] == (
            [("SHORT", held)] if held else []
        )


async def test_plain_triggers_fire_from_either_side_and_open_positions(raw: Raw) -> None:
    below = {"type": "TRIGGER_MARKET", "side": "BUY", "stopPrice": raw.price(0.97)}
    assert (await raw.order(**below)).code == 0
    above = {"type": "TRIGGER_MARKET", "side": "BUY", "stopPrice": raw.price(1.03)}
    assert (await raw.order(**above)).code == 0
    await fallen(raw)
    assert (await raw.positions())[0]["positionAmt"] == "0.0100"
    assert [row["stopPrice"] for row in await raw.open_orders()] == [f"{above['stopPrice']:.1f}"]


async def test_stops_watch_the_mark_unless_told_otherwise(raw: Raw) -> None:
    await raw.order()
    await raw.stop()
    await raw.stop(type="TAKE_PROFIT_MARKET", stopPrice=raw.price(1.03), workingType="CONTRACT_PRICE")
    rows = {row["type"]: row["workingType"] for row in await raw.open_orders()}
    assert rows == {"STOP_MARKET": "MARK_PRICE", "TAKE_PROFIT_MARKET": "CONTRACT_PRICE"}
    raw.world.server.core.freeze_mark(BTC, frozen=True)
    await fallen(raw)
    assert len(await raw.positions()) == 1


async def test_a_stop_that_hangs_while_triggering_is_no_open_order(raw: Raw) -> None:
    await raw.order()
    await raw.stop()
    await raw.world.admin("POST", "/stick", symbol="BTCUSDT")
    await fallen(raw)
    assert await raw.open_orders() == []
    algo = next(iter(raw.world.server.core.view(KEY).algos.values()))
    assert algo.status is AlgoStatus.TRIGGERING
    assert len(await raw.positions()) == 1


# --- closing ---------------------------------------------------------------------------------------


async def test_closing_more_than_is_available_tells_what_is(raw: Raw) -> None:
    await raw.order(quantity="0.02")
    rest = {"type": "LIMIT", "side": "SELL", "price": raw.price(1.03)}
    await raw.order(**rest, quantity="0.015")
    (row,) = await raw.positions()
    assert (row["positionAmt"], row["availableAmt"]) == ("0.0200", "0.0050")
    answer = await raw.order(side="SELL", quantity="0.02")
    assert answer.code == 110424
    assert answer.json["msg"].endswith("0.005")
    assert (await raw.order(side="SELL", quantity="0.005")).code == 0


async def test_stops_lock_quantity_where_that_is_the_way() -> None:
    async with switched(stop_locks_quantity=True) as running:
        raw = Raw(running)
        await raw.order(quantity="0.02")
        await raw.stop(quantity="0.02")
        assert (await raw.positions())[0]["availableAmt"] == "0.0000"
        assert (await raw.order(side="SELL", quantity="0.02")).code == 110424


async def test_reduce_only_in_one_way_mode(raw: Raw) -> None:
    await raw.one_way()
    both = {"positionSide": "BOTH", "reduceOnly": "true", "side": "SELL"}
    assert (await raw.order(**both)).code == 101205
    await raw.order(positionSide="BOTH")
    assert (await raw.order(**both, quantity="0.02")).code == 101290
    assert (await raw.order(**both)).code == 0


async def test_a_position_has_a_number_until_it_is_over(raw: Raw) -> None:
    await raw.order()
    (first,) = await raw.positions()
    await raw.order(quantity="0.02")
    assert (await raw.positions())[0]["positionId"] == first["positionId"]
    wanted = {"positionId": first["positionId"]}
    assert (await raw.signed("POST", "swap/v1/trade/closePosition", **wanted)).code == 0
    assert (await raw.signed("POST", "swap/v1/trade/closePosition", **wanted)).code == 109420
    await raw.order()
    assert (await raw.positions())[0]["positionId"] != first["positionId"]
    (life,) = await raw.rows("swap/v1/trade/positionHistory", symbol="BTC-USDT")
    assert (life["positionId"], life["positionAmt"]) == (first["positionId"], "0.03")


async def test_liquidation_is_listed_with_its_type(raw: Raw) -> None:
    await raw.order()
    core = raw.world.server.core
    core.liquidate(KEY, *next(iter(core.view(KEY).positions)))
    (row,) = await raw.rows("swap/v2/trade/forceOrders", symbol="BTC-USDT")
    assert (row["type"], row["status"], row["side"]) == ("LIQUIDATION", "FILLED", "SELL")
