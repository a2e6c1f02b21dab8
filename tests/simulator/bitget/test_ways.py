"""Bitget's ways with orders, stops and modes, beyond what ccxt's unified calls reach."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from holdfast.domain.orders import PositionSide
from holdfast.simulator.bitget.limits import Limits
from tests.simulator.bitget.clients import bitget
from tests.simulator.bitget.raw import MIX, Raw
from tests.simulator.world import BTC, PROMPT, World, world

ORDER = f"{MIX}/order"


async def row_of(raw: Raw, order_id: Any) -> Any:
    return (await raw.get(f"{ORDER}/detail", orderId=order_id)).data


async def fall(w: World, ratio: str = "0.95") -> None:
    await w.admin("POST", "/price", symbol="BTCUSDT", ratio=ratio)
    w.jump(90)


async def hedge(raw: Raw) -> None:
    assert (await raw.post(f"{MIX}/account/set-position-mode", posMode="hedge_mode")).code == "00000"


# --- orders ----------------------------------------------------------------------------------------


async def test_a_reduce_only_order_displaces_older_ones_and_may_answer_without_its_id():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order(size="0.02")
        close = {"side": "sell", "reduceOnly": "YES", "orderType": "limit", "size": "0.01"}
        first, second = [await raw.order(**close, price=str(raw.price(up))) for up in (1.02, 1.03)]
        assert "orderId" in first.data
        third = await raw.order(**close, price=str(raw.price(1.04)), clientOid="third")
        assert third.data == {"clientOid": "third"}
        assert (await row_of(raw, first.data["orderId"]))["state"] == "canceled"
        assert (await row_of(raw, second.data["orderId"]))["state"] == "live"
        assert (await raw.get(f"{ORDER}/detail", clientOid="third")).data["state"] == "live"


async def test_what_cannot_be_served_is_taken_and_then_canceled():
    async with bitget() as w:
        raw = Raw(w)
        taking = await raw.order(orderType="limit", force="post_only", price=str(raw.price(1.01)))
        assert (await row_of(raw, taking.data["orderId"]))["state"] == "canceled"
        rest = await raw.order(orderType="limit", force="FOK", price=str(raw.price(0.97)))
        assert (await row_of(raw, rest.data["orderId"]))["state"] == "canceled"
        w.server.core.set_liquidity(BTC, Decimal(0))
        nobody = await raw.order()
        assert (await row_of(raw, nobody.data["orderId"]))["state"] == "canceled"


async def test_words_are_read_in_any_case():
    async with bitget() as w:
        placed = await Raw(w).order(
            productType="usdt-futures", symbol="btcusdt", side="BUY", orderType="Market", force="Gtc"
        )
        assert placed.code == "00000"


async def test_an_order_of_the_other_margin_mode_changes_it_while_the_symbol_is_flat():
    async with bitget() as w:
        raw = Raw(w)
        assert (await raw.order(marginMode="isolated")).code == "00000"
        assert (await raw.positions())[0]["marginMode"] == "isolated"
        assert (await raw.order(marginMode="crossed")).code == "40812"


async def test_a_list_is_read_page_by_page():
    async with bitget() as w:
        raw = Raw(w)
        for step in range(5):
            await raw.order(orderType="limit", price=str(raw.price(0.96 - step / 1_000)))
        page = (await raw.get(f"{ORDER}/orders-pending", limit="2")).data
        assert len(page["entrustedList"]) == 2
        rest = (await raw.get(f"{ORDER}/orders-pending", idLessThan=page["endId"])).data["entrustedList"]
        ids = [int(row["orderId"]) for row in page["entrustedList"] + rest]
        assert ids == sorted(ids, reverse=True)
        assert len(set(ids)) == 5


async def test_a_batch_tells_each_failure_with_its_code():
    async with bitget() as w:
        raw = Raw(w)
        good = {"side": "buy", "orderType": "market", "size": "0.01", "clientOid": "one"}
        rows = [good, good, good | {"clientOid": "tiny", "symbol": "XRPUSDT", "size": "1"}]
        done = (await raw.post(f"{ORDER}/batch-place-order", marginMode="crossed", orderList=rows)).data
        assert [row["clientOid"] for row in done["successList"]] == ["one"]
        failed = [(row["clientOid"], row["errorCode"]) for row in done["failureList"]]
        assert failed == [("one", "43118"), ("tiny", "45110")]


async def test_everything_is_closed_at_once():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order()
        await raw.order(symbol="ETHUSDT", side="sell", size="0.1")
        done = (await raw.post(f"{ORDER}/close-positions", symbol=None)).data
        assert {row["symbol"] for row in done["successList"]} == {"BTCUSDT", "ETHUSDT"}
        assert await raw.positions() == []


# --- hedge mode ------------------------------------------------------------------------------------


async def test_in_hedge_mode_rows_tell_the_positions_side():
    async with bitget() as w:
        raw = Raw(w)
        await hedge(raw)
        opened = await raw.order(side="sell", tradeSide="open", size="0.02")
        closed = await raw.order(side="sell", tradeSide="close", size="0.01")
        rows = [await row_of(raw, placed.data["orderId"]) for placed in (opened, closed)]
        assert [(row["side"], row["tradeSide"], row["posSide"]) for row in rows] == [
            ("sell", "open", "short"),
            ("sell", "close", "short"),
        ]
        assert [row["reduceOnly"] for row in rows] == ["NO", "YES"]
        fills = (await raw.get(f"{ORDER}/fills")).data["fillList"]
        assert [row["side"] for row in fills] == ["sell", "sell"]
        held = (await raw.positions())[0]
        assert (held["holdSide"], held["total"], held["posMode"]) == ("short", "0.01", "hedge_mode")


async def test_a_market_close_gets_what_resting_closes_leave():
    async with bitget() as w:
        raw = Raw(w)
        await hedge(raw)
        await raw.order(tradeSide="open", size="0.03")
        await raw.order(tradeSide="close", orderType="limit", price=str(raw.price(1.03)), size="0.01")
        held = (await raw.positions())[0]
        assert (held["locked"], held["available"]) == ("0.01", "0.02")
        done = await raw.order(tradeSide="close", size="0.03")
        assert (await row_of(raw, done.data["orderId"]))["size"] == "0.02"


async def test_isolated_sides_have_leverages_of_their_own():
    async with bitget() as w:
        raw = Raw(w)
        await hedge(raw)
        await raw.post(f"{MIX}/account/set-margin-mode", marginMode="isolated")
        path = f"{MIX}/account/set-leverage"
        both = (await raw.post(path, longLeverage="10", shortLeverage="5")).data
        assert (both["longLeverage"], both["shortLeverage"]) == ("10", "5")
        one = (await raw.post(path, leverage="7", holdSide="short")).data
        assert (one["longLeverage"], one["shortLeverage"]) == ("10", "7")
        for side in ("buy", "sell"):
            await raw.order(side=side, tradeSide="open", marginMode="isolated")
        held = {row["holdSide"]: row["leverage"] for row in await raw.positions()}
        assert held == {"long": "10", "short": "7"}
        account = (await raw.get(f"{MIX}/account/account")).data
        assert (account["isolatedLongLever"], account["isolatedShortLever"]) == (10, 7)


async def test_isolated_margin_is_added_and_moves_the_liquidation_price():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order(marginMode="isolated")
        before = (await raw.positions())[0]
        assert (await raw.post(f"{MIX}/account/set-margin", amount="50")).data == ""
        after = (await raw.positions())[0]
        assert Decimal(after["marginSize"]) == Decimal(before["marginSize"]) + 50
        assert float(after["liquidationPrice"]) < float(before["liquidationPrice"])


# --- stops -----------------------------------------------------------------------------------------


async def test_stop_and_profit_are_placed_in_one_call_whole_or_in_part():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order(size="0.02")
        pair = {
            "holdSide": "buy",
            "stopLossTriggerPrice": str(raw.price(0.97)),
            "stopSurplusTriggerPrice": str(raw.price(1.05)),
            "stopSurplusSize": "0.01",
            "stopLossClientOid": "my-stop",
        }
        made = (await raw.post(f"{ORDER}/place-pos-tpsl", **pair)).data
        assert len(made) == 2
        assert made[1]["stopLossClientOid"] == "my-stop"
        plans = {row["planType"]: row["size"] for row in await raw.plans()}
        assert plans == {"pos_loss": "0", "profit_plan": "0.01"}


async def test_a_whole_position_stop_follows_the_position_and_partial_ones_end_with_it():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order(size="0.02")
        await raw.stop()
        await raw.stop(planType="loss_plan", size="0.01", triggerPrice=str(raw.price(0.96)))
        await raw.order(side="sell", size="0.01", reduceOnly="YES")
        assert {row["planType"] for row in await raw.plans()} == {"pos_loss", "loss_plan"}
        assert w.truth().unprotected_now == ()
        await raw.post(f"{ORDER}/close-positions")
        assert await raw.plans() == []
        history = await raw.get(f"{ORDER}/orders-plan-history", planType="profit_loss")
        assert {row["planStatus"] for row in history.data["entrustedList"]} == {"cancelled"}


async def test_a_moving_plan_trails_its_position():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order()
        trail = {"planType": "moving_plan", "size": "0.01", "rangeRate": "1"}
        assert (await raw.stop(**trail, triggerPrice=str(raw.price(0.999)))).code == "00000"
        await fall(w)
        assert await raw.positions() == []


async def test_cancelling_without_a_list_reaches_one_family_only():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order()
        await raw.stop()
        await raw.plan()
        path = f"{ORDER}/cancel-plan-order"
        assert len((await raw.post(path)).data["successList"]) == 1
        assert await raw.plans("normal_plan") == []
        assert len(await raw.plans()) == 1
        assert len((await raw.post(path, planType="profit_loss")).data["successList"]) == 1


async def test_a_wrong_plan_type_cancels_nothing_and_says_nothing():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order()
        placed = await raw.stop()
        wanted = [{"orderId": placed.data["orderId"]}]
        done = (await raw.post(f"{ORDER}/cancel-plan-order", orderIdList=wanted, planType="loss_plan")).data
        assert done == {"successList": [], "failureList": []}
        assert len(await raw.plans()) == 1


async def test_a_limit_stop_turns_into_a_limit_order():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order()
        placed = await raw.stop(executePrice=str(raw.price(0.9)), orderType="limit")
        await fall(w)
        history = await raw.get(f"{ORDER}/orders-plan-history", planType="profit_loss")
        plan = history.data["entrustedList"][0]
        child = (await raw.get(f"{ORDER}/plan-sub-order", planOrderId=placed.data["orderId"])).data[0]
        assert (child["orderId"], child["type"]) == (plan["executeOrderId"], "limit")
        assert (await row_of(raw, child["orderId"]))["orderSource"] == "pos_loss_limit"


async def test_a_plan_brings_its_stop_along():
    async with bitget() as w:
        raw = Raw(w)
        await raw.plan(stopLossTriggerPrice=str(raw.price(0.8)))
        await fall(w)
        assert [row["planType"] for row in await raw.plans()] == ["pos_loss"]


async def test_a_preset_on_a_further_entry_moves_the_positions_stop():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order(presetStopLossPrice=str(raw.price(0.9)))
        moved = str(raw.price(0.95))
        await raw.order(presetStopLossPrice=moved)
        plans = await raw.plans()
        assert [row["triggerPrice"] for row in plans] == [moved.removesuffix(".0")]
        assert (await raw.positions())[0]["stopLoss"] == moved.removesuffix(".0")


# --- the exchange's own acts -----------------------------------------------------------------------


async def test_a_liquidation_has_words_of_its_own():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order()
        w.server.core.liquidate("key", BTC)
        row = (await raw.get(f"{ORDER}/orders-history")).data["entrustedList"][0]
        assert (row["tradeSide"], row["enterPointSource"]) == ("burst_sell_single", "SYS")


async def test_a_closed_symbol_is_off_and_refuses_orders():
    async with bitget() as w:
        raw = Raw(w)
        await w.admin("POST", "/status", symbol="BTCUSDT", status="CLOSE")
        row = (await raw.get(f"{MIX}/market/contracts")).data[0]
        assert row["symbolStatus"] == "off"
        assert (await raw.order()).code == "40309"


async def test_auto_deleveraging_has_words_of_its_own_in_both_modes():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order()
        await w.admin("POST", "/adl", account="key", symbol="BTCUSDT")
        await hedge(raw)
        await raw.order(tradeSide="open")
        w.server.core.liquidate("key", BTC, PositionSide.LONG)
        rows = (await raw.get(f"{ORDER}/orders-history")).data["entrustedList"]
        told = [row["tradeSide"] for row in rows if row["enterPointSource"] == "SYS"]
        assert told == ["burst_close_long", "dte_sys_adl_sell_in_single_side_mode"]


# --- what is looked up, and what is not there ------------------------------------------------------


async def test_plans_are_found_by_their_own_names():
    async with bitget() as w:
        raw = Raw(w)
        await raw.plan(clientOid="mine")
        await raw.plan(clientOid="other", triggerPrice=str(raw.price(0.96)))
        path = f"{ORDER}/orders-plan-pending"
        found = (await raw.get(path, planType="normal_plan", clientOid="mine")).data["entrustedList"]
        assert [row["clientOid"] for row in found] == ["mine"]
        assert (await raw.get(path, planType="normal_plan", clientOid="nobody")).data["entrustedList"] == []
        lower = str(raw.price(0.95))
        changed = await raw.post(
            f"{ORDER}/modify-plan-order", clientOid="mine", newTriggerPrice=lower, newSize="0.02"
        )
        assert changed.data["clientOid"] == "mine"
        row = (await raw.get(path, planType="normal_plan", clientOid="mine")).data["entrustedList"][0]
        assert (row["size"], float(row["triggerPrice"])) == ("0.02", float(lower))


async def test_other_products_have_empty_lists():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order()
        other = {"productType": "COIN-FUTURES"}
        for path in ("market/contracts", "market/tickers", "position/all-position", "account/accounts"):
            assert (await raw.get(f"{MIX}/{path}", **other)).data == []


async def test_a_preset_whose_price_is_gone_is_dropped():
    """The price runs through the preset stop while the order rests: the position has none."""
    async with bitget() as w:
        raw = Raw(w)
        price = raw.price(0.97)
        await raw.order(orderType="limit", price=str(price), presetStopLossPrice=str(round(price - 1, 1)))
        await fall(w, "0.9")
        assert len(await raw.positions()) == 1
        assert await raw.plans() == []


async def test_without_accounts_of_their_own_keys_are_unknown(tmp_path: Path):
    accounts = tmp_path / "accounts.json"
    accounts.write_text('[{"key": "named", "secret": "deep", "passphrase": "word", "wallet": "5"}]')
    config = replace(PROMPT, exchange="bitget", accounts_file=accounts)
    async with world(config) as w:
        assert (await Raw(w).get(f"{MIX}/account/accounts")).code == "40037"
        rows = (await Raw(w, "named", "deep", "word").get(f"{MIX}/account/accounts")).data
        assert rows[0]["accountEquity"] == "5"


async def test_what_others_on_the_address_use_up_counts():
    async with bitget(limits=Limits(share=0.0)) as w:
        raw = Raw(w)
        w.jump(60 - w.clock.now_ms() % 60_000 / 1_000)
        w.server.app.use_up("127.0.0.1", 6_000, w.clock.now_ms())
        assert (await raw.get(f"{MIX}/account/accounts")).code == "429"
        await w.admin("POST", "/reset-limits")
        assert (await raw.get(f"{MIX}/account/accounts")).code == "00000"


# --- money adds up ---------------------------------------------------------------------------------


async def test_bills_fills_and_past_positions_agree_with_the_wallet():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order(size="0.03")
        await fall(w, "0.99")
        await raw.order(side="sell", size="0.01", reduceOnly="YES")
        w.server.core.set_funding(BTC, Decimal("0.001"), 1_000)
        w.jump(3)
        await raw.order(side="sell", size="0.02", reduceOnly="YES")
        bills = (await raw.get(f"{MIX}/account/bill", symbol="")).data["bills"]
        kinds = [bill["businessType"] for bill in reversed(bills)]
        assert kinds == ["trans_from_exchange", "buy", "sell", "contract_settle_fee", "sell"]
        traded = [bill for bill in bills if bill["businessType"] in ("buy", "sell")]
        assert all(Decimal(bill["fee"]) < 0 for bill in traded)
        moved = sum(Decimal(bill["amount"]) + Decimal(bill["fee"]) for bill in bills)
        wallet = w.server.core.view("key").wallet
        assert moved == wallet == Decimal(bills[0]["balance"])
        fills = (await raw.get(f"{ORDER}/fills")).data["fillList"]
        fees = [Decimal(fill["feeDetail"][0]["totalFee"]) for fill in reversed(fills)]
        past = (await raw.get(f"{MIX}/position/history-position")).data["list"][0]
        assert Decimal(past["openFee"]) == fees[0]
        assert Decimal(past["closeFee"]) == sum(fees[1:])
        assert Decimal(past["pnl"]) == sum(Decimal(fill["profit"]) for fill in fills)
        assert Decimal(past["totalFunding"]) < 0
        assert Decimal(past["netProfit"]) == wallet - 10_000
        assert (past["openTotalPos"], past["closeTotalPos"]) == ("0.03", "0.03")


async def test_a_position_that_turns_around_is_two_lives():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order(size="0.01")
        await raw.stop()
        await raw.order(side="sell", size="0.03")
        held = (await raw.positions())[0]
        assert (held["holdSide"], held["total"]) == ("short", "0.02")
        past = (await raw.get(f"{MIX}/position/history-position")).data["list"]
        assert [(row["holdSide"], row["closeTotalPos"]) for row in past] == [("long", "0.01")]
        assert await raw.plans() == []
