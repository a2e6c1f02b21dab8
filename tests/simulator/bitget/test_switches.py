"""Every unverified way of Bitget, both ways round."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from holdfast.simulator.bitget.switches import Switches
from tests.simulator.bitget.clients import bitget
from tests.simulator.bitget.raw import MIX, Raw
from tests.simulator.bitget.sockets import connected, event
from tests.simulator.world import World

ORDER = f"{MIX}/order"
LEVERAGE = f"{MIX}/account/set-leverage"
TESTED: set[str] = set()


def both(name: str, *ways: Any) -> Any:
    """The values of a switch, each with what is to be seen."""
    TESTED.add(name)
    return pytest.mark.parametrize(("way", "seen"), ways)


@both("condition_means", ("parameter", ["43023", "400172"]), ("position", ["40812", "40812"]))
async def test_the_two_readings_of_40812(way: Any, seen: Any):
    async with bitget(condition_means=way) as w:
        raw = Raw(w)
        no_position = await raw.stop()
        await raw.order()
        wrong_plan = await raw.stop(planType="stop_loss")
        assert [no_position.code, wrong_plan.code] == seen
        assert (await raw.order(marginCoin="USDC")).code == "40812"


@both("second_tpsl", ("refused", 0.97), ("replaces", 0.96))
async def test_a_second_stop(way: Any, seen: Any):
    async with bitget(second_tpsl=way) as w:
        raw = Raw(w)
        await raw.order()
        await raw.stop()
        second = str(raw.price(0.96))
        assert (await raw.stop(triggerPrice=second)).code == ("43031" if way == "refused" else "00000")
        assert [row["triggerPrice"] for row in await raw.plans()] == [f"{raw.price(seen):g}"]


@both("tpsl_after_open_ms", (0, "00000"), (2_000, "43023"))
async def test_a_new_position_may_be_invisible_to_stops(way: Any, seen: Any):
    async with bitget(tpsl_after_open_ms=way) as w:
        raw = Raw(w)
        await raw.order()
        assert (await raw.stop()).code == seen
        w.jump(2.5)
        await raw.stop()
        assert len(await raw.plans()) == 1


@both("resized_position_tpsl", ("ignored", "00000"), ("refused", "40020"))
async def test_a_whole_position_stop_changed_with_a_size(way: Any, seen: Any):
    async with bitget(resized_position_tpsl=way) as w:
        raw = Raw(w)
        await raw.order()
        placed = (await raw.stop()).data["orderId"]
        lower = str(raw.price(0.96))
        path = f"{ORDER}/modify-tpsl-order"
        assert (await raw.post(path, orderId=placed, triggerPrice=lower, size="0.01")).code == seen
        assert (await raw.post(path, orderId=placed, triggerPrice=lower, size="")).code == "00000"


@both("reduce_only_plan", ("taken", "00000"), ("refused", "22042"))
async def test_a_normal_plan_that_only_reduces(way: Any, seen: Any):
    async with bitget(reduce_only_plan=way) as w:
        raw = Raw(w)
        await raw.order()
        assert (await raw.plan(side="sell", reduceOnly="YES")).code == seen


@both("gone_plan", ("refused", "43025"), ("listed", "00000"))
async def test_cancelling_a_plan_that_is_gone(way: Any, seen: Any):
    async with bitget(gone_plan=way) as w:
        answer = await Raw(w).post(f"{ORDER}/cancel-plan-order", orderIdList=[{"orderId": "1"}])
        assert answer.code == seen
        if seen == "00000":
            assert answer.data["failureList"][0]["errorMsg"] == "notExistend"


@both("child_named_by_plan", (True, True), (False, False))
async def test_the_name_of_a_triggered_order(way: Any, seen: Any):
    async with bitget(child_named_by_plan=way) as w:
        raw = Raw(w)
        await raw.order()
        placed = (await raw.stop(clientOid="my-stop")).data["orderId"]
        await w.admin("POST", "/price", symbol="BTCUSDT", ratio="0.95")
        w.jump(90)
        child = (await raw.get(f"{ORDER}/orders-history")).data["entrustedList"][0]
        assert child["clientOid"] == (placed if seen else "my-stop")


@both("displacing_order_id", (False, False), (True, True))
async def test_the_answer_to_an_order_that_displaces(way: Any, seen: Any):
    async with bitget(displacing_order_id=way) as w:
        raw = Raw(w)
        await raw.order()
        close = {"side": "sell", "reduceOnly": "YES", "orderType": "limit"}
        await raw.order(**close, price=str(raw.price(1.02)))
        second = await raw.order(**close, price=str(raw.price(1.03)))
        assert ("orderId" in second.data) is seen


@both("hedge_close_beyond", ("cut", "00000"), ("refused", "40757"))
async def test_a_hedge_close_beyond_what_is_free(way: Any, seen: Any):
    async with bitget(hedge_close_beyond=way) as w:
        raw = await hedged(w)
        assert (await raw.order(tradeSide="close", size="0.02")).code == seen


@both("one_way_trade_side", ("refused", "40774"), ("ignored", "00000"))
async def test_a_trade_side_in_one_way_mode(way: Any, seen: Any):
    async with bitget(one_way_trade_side=way) as w:
        assert (await Raw(w).order(tradeSide="open")).code == seen


@both("dust_closes", (True, "00000"), (False, "45110"))
async def test_a_close_of_dust(way: Any, seen: Any):
    async with bitget(dust_closes=way) as w:
        raw = Raw(w)
        await raw.order(symbol="XRPUSDT", size="4")
        await raw.order(symbol="XRPUSDT", side="sell", size="3", reduceOnly="YES")
        last = await raw.order(symbol="XRPUSDT", side="sell", size="1", reduceOnly="YES")
        assert last.code == seen


@both("order_sets_margin_mode", (True, "00000"), (False, "40812"))
async def test_an_order_of_the_other_margin_mode(way: Any, seen: Any):
    async with bitget(order_sets_margin_mode=way) as w:
        assert (await Raw(w).order(marginMode="isolated")).code == seen


@both("unchanged_setting", ("answered", ["00000"] * 2), ("refused", ["40814", "45054"]))
async def test_setting_what_is_set_already(way: Any, seen: Any):
    async with bitget(unchanged_setting=way) as w:
        raw = Raw(w)
        leverage = await raw.post(LEVERAGE, leverage="20")
        mode = await raw.post(f"{MIX}/account/set-margin-mode", marginMode="crossed")
        assert [leverage.code, mode.code] == seen


@both("hedge_close_flag", ("YES", "YES"), ("NO", "NO"))
async def test_what_hedge_closes_say_of_reduce_only(way: Any, seen: Any):
    async with bitget(hedge_close_flag=way) as w:
        raw = await hedged(w)
        done = (await raw.order(tradeSide="close")).data["orderId"]
        assert (await raw.get(f"{ORDER}/detail", orderId=done)).data["reduceOnly"] == seen


@both("detail_status", ("state", "state"), ("status", "status"))
async def test_what_a_detail_calls_its_status(way: Any, seen: Any):
    async with bitget(detail_status=way) as w:
        raw = Raw(w)
        placed = (await raw.order()).data["orderId"]
        assert (await raw.get(f"{ORDER}/detail", orderId=placed)).data[seen] == "filled"


@both("null_lists", (False, []), (True, None))
async def test_an_empty_list(way: Any, seen: Any):
    async with bitget(null_lists=way) as w:
        raw = Raw(w)
        assert (await raw.get(f"{ORDER}/orders-pending")).data == {"entrustedList": seen, "endId": None}
        assert (await raw.get(f"{ORDER}/fills")).data["fillList"] == seen


@both("hidden_pos_loss", (False, 1), (True, 0))
async def test_a_stop_that_no_listing_shows(way: Any, seen: Any):
    async with bitget(hidden_pos_loss=way) as w:
        raw = Raw(w)
        await raw.order()
        placed = (await raw.stop()).data["orderId"]
        assert len(await raw.plans()) == seen
        assert (await raw.positions())[0]["stopLossId"] == placed
        assert w.truth().unprotected_now == ()


@both("first_events", (False, 0), (True, 3))
async def test_what_event_channels_begin_with(way: Any, seen: Any):
    async with bitget(first_events=way) as w, connected(w) as heard:
        await heard.login()
        await heard.until(event("login"))
        for channel in ("orders", "orders-algo", "fill"):
            await heard.subscribe(channel)
        frames = await heard.drain()
        assert sum(frame.get("data") == [] for frame in frames) == seen


@both("wrong_passphrase", (40012, "40012"), (40036, "40036"))
async def test_the_wrong_passphrase(way: Any, seen: Any):
    async with bitget(wrong_passphrase=way) as w:
        await w.admin("POST", "/accounts", key="named", secret="s", passphrase="right")
        assert (await Raw(w, "named", "s", "wrong").get(f"{MIX}/account/accounts")).code == seen


def test_every_switch_is_thrown_both_ways():
    assert {field.name for field in fields(Switches)} == TESTED


def test_every_switch_is_in_the_docs_with_its_default_first():
    page = (Path(__file__).parents[3] / "docs" / "simulator-bitget.md").read_text()
    spoken = {True: "yes", False: "no"}
    for field in fields(Switches):
        default = field.default
        shown = spoken[default] if isinstance(default, bool) else str(default)
        row = next(line for line in page.splitlines() if line.startswith(f"| `{field.name}` |"))
        assert row.split("|")[2].split(",")[0].strip(" `") == shown


async def hedged(w: World) -> Raw:
    """Hedge mode with a long of 0.01."""
    raw = Raw(w)
    await raw.post(f"{MIX}/account/set-position-mode", posMode="hedge_mode")
    await raw.order(tradeSide="open")
    return raw
