"""Codes and HTTP statuses of the exchange sheet, one by one (bitget.md §2, §4, §6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from holdfast.simulator.bitget.limits import Limits
from tests.simulator.bitget.clients import bitget
from tests.simulator.bitget.raw import MIX, Answer, Raw

Case = Callable[[Raw], Awaitable[Answer]]


async def long(raw: Raw, size: str = "0.01") -> None:
    assert (await raw.order(size=size)).code == "00000"


async def hedged(raw: Raw) -> None:
    assert (await raw.post(f"{MIX}/account/set-position-mode", posMode="hedge_mode")).code == "00000"
    assert (await raw.order(tradeSide="open")).code == "00000"


async def resting(raw: Raw, **params: Any) -> str:
    wanted = {"orderType": "limit", "price": str(raw.price(0.97))} | params
    return str((await raw.order(**wanted)).data["orderId"])


# --- plain orders ----------------------------------------------------------------------------------


async def _close_nothing(raw: Raw) -> Answer:
    return await raw.order(side="sell", reduceOnly="YES")


async def _flash_close_nothing(raw: Raw) -> Answer:
    return await raw.post(f"{MIX}/order/close-positions")


async def _same_id_again(raw: Raw) -> Answer:
    await raw.order(clientOid="twice")
    return await raw.order(clientOid="twice")


async def _hedge_order_in_one_way(raw: Raw) -> Answer:
    return await raw.order(tradeSide="open")


async def _one_way_order_in_hedge(raw: Raw) -> Answer:
    await hedged(raw)
    return await raw.order()


async def _more_than_resting_closes_leave(raw: Raw) -> Answer:
    await hedged(raw)
    await resting(raw, tradeSide="close", price=str(raw.price(1.03)), size="0.01")
    return await raw.order(tradeSide="close", size="0.01")


async def _cancel_nobody(raw: Raw) -> Answer:
    return await raw.post(f"{MIX}/order/cancel-order", orderId="123")


async def _cancel_twice(raw: Raw) -> Answer:
    order_id = await resting(raw)
    await raw.post(f"{MIX}/order/cancel-order", orderId=order_id)
    return await raw.post(f"{MIX}/order/cancel-order", orderId=order_id)


async def _cancel_filled(raw: Raw) -> Answer:
    placed = await raw.order()
    return await raw.post(f"{MIX}/order/cancel-order", orderId=placed.data["orderId"])


async def _cancel_all_of_nothing(raw: Raw) -> Answer:
    return await raw.post(f"{MIX}/order/batch-cancel-orders")


async def _detail_of_nobody(raw: Raw) -> Answer:
    return await raw.get(f"{MIX}/order/detail", orderId="123")


ORDERS: dict[str, tuple[Case, str]] = {
    "a type that is a condition": (lambda raw: raw.order(orderType="stop_market"), "400172"),
    "an unknown force": (lambda raw: raw.order(orderType="limit", price="50000", force="GTX"), "400172"),
    "an unknown product": (lambda raw: raw.order(productType="FUTURES"), "400172"),
    "no size": (lambda raw: raw.order(size=None), "40019"),
    "no margin mode": (lambda raw: raw.order(marginMode=None), "40019"),
    "a size that is no number": (lambda raw: raw.order(size="much"), "40020"),
    "a size too fine": (lambda raw: raw.order(size="0.00001"), "40808"),
    "a price too fine": (lambda raw: raw.order(orderType="limit", price="50000.01"), "40808"),
    "less than 5 USDT": (lambda raw: raw.order(symbol="XRPUSDT", size="1"), "45110"),
    "another margin coin": (lambda raw: raw.order(marginCoin="BTC"), "40812"),
    "an unlisted symbol": (lambda raw: raw.order(symbol="NOPEUSDT"), "40034"),
    "a symbol that is none": (lambda raw: raw.order(symbol="BTC-USDT"), "40034"),
    "more than the balance": (lambda raw: raw.order(size="50"), "40762"),
    "a client id too long": (lambda raw: raw.order(clientOid="x" * 65), "40305"),
    "a price far off": (lambda raw: raw.order(orderType="limit", price=str(raw.price(1.2))), "43009"),
    "a preset stop above a long's price": (
        lambda raw: raw.order(presetStopLossPrice=str(raw.price(1.1))),
        "40917",
    ),
    "closing nothing": (_close_nothing, "22002"),
    "flash closing nothing": (_flash_close_nothing, "22002"),
    "the same client id again": (_same_id_again, "40786"),
    "a hedge order in one-way mode": (_hedge_order_in_one_way, "40774"),
    "a one-way order in hedge mode": (_one_way_order_in_hedge, "40774"),
    "closing more than resting closes leave": (_more_than_resting_closes_leave, "40757"),
    "cancelling nobody": (_cancel_nobody, "40768"),
    "cancelling twice within a second": (_cancel_twice, "45129"),
    "cancelling what is filled": (_cancel_filled, "45056"),
    "cancelling all of nothing": (_cancel_all_of_nothing, "22001"),
    "the detail of nobody": (_detail_of_nobody, "40109"),
}


@pytest.mark.parametrize("name", ORDERS)
async def test_an_order_is_refused_with_the_sheets_code(name: str):
    case, code = ORDERS[name]
    async with bitget() as w:
        answer = await case(Raw(w))
        assert (answer.code, answer.status) == (code, 400)
        assert set(answer.json) == {"code", "msg", "requestTime", "data"}


# --- plan orders -----------------------------------------------------------------------------------


def with_long(ask: Case) -> Case:
    async def case(raw: Raw) -> Answer:
        await long(raw)
        return await ask(raw)

    return case


def with_hedge_long(ask: Case) -> Case:
    async def case(raw: Raw) -> Answer:
        await hedged(raw)
        return await ask(raw)

    return case


async def _second_stop(raw: Raw) -> Answer:
    await raw.stop()
    return await raw.stop(triggerPrice=str(raw.price(0.96)))


async def _second_profit(raw: Raw) -> Answer:
    await raw.stop(planType="pos_profit", triggerPrice=str(raw.price(1.05)))
    return await raw.stop(planType="pos_profit", triggerPrice=str(raw.price(1.06)))


async def _short_stop_below(raw: Raw) -> Answer:
    await raw.order(side="sell")
    return await raw.stop(holdSide="sell")


async def _short_profit_above(raw: Raw) -> Answer:
    await raw.order(side="sell")
    return await raw.stop(holdSide="sell", planType="pos_profit", triggerPrice=str(raw.price(1.03)))


async def _cancel_gone_plan(raw: Raw) -> Answer:
    path = f"{MIX}/order/cancel-plan-order"
    return await raw.post(path, orderIdList=[{"orderId": "123"}], planType="pos_loss")


async def _modify_gone_plan(raw: Raw) -> Answer:
    return await raw.post(f"{MIX}/order/modify-tpsl-order", orderId="123", triggerPrice="50000")


PLANS: dict[str, tuple[Case, str]] = {
    "a stop without a position": (lambda raw: raw.stop(), "43023"),
    "a stop for the other side": (with_long(lambda raw: raw.stop(holdSide="sell")), "43023"),
    "a long's stop above the mark": (
        with_long(lambda raw: raw.stop(triggerPrice=str(raw.price(1.03)))),
        "40917",
    ),
    "a long's profit below it": (with_long(lambda raw: raw.stop(planType="pos_profit")), "40915"),
    "a short's stop below the mark": (_short_stop_below, "45122"),
    "a short's profit above it": (_short_profit_above, "40832"),
    "a second stop": (with_long(_second_stop), "43031"),
    "a second profit": (with_long(_second_profit), "43030"),
    "an unknown planType": (with_long(lambda raw: raw.stop(planType="stop_loss")), "400172"),
    "a normal_plan at the TPSL endpoint": (with_long(lambda raw: raw.stop(planType="normal_plan")), "400172"),
    "an unknown orderType": (with_long(lambda raw: raw.stop(orderType="stop_market")), "400172"),
    "a negative price to execute at": (with_long(lambda raw: raw.stop(executePrice="-1")), "43011"),
    "a partial stop without a size": (with_long(lambda raw: raw.stop(planType="loss_plan")), "40019"),
    "hedge words in one-way mode": (with_long(lambda raw: raw.stop(holdSide="long")), "40774"),
    "one-way words in hedge mode": (with_hedge_long(lambda raw: raw.stop(holdSide="buy")), "40774"),
    "no trigger price": (with_long(lambda raw: raw.stop(triggerPrice=None)), "40019"),
    "a pos_loss at the plan endpoint": (lambda raw: raw.plan(planType="pos_loss"), "400172"),
    "a plan without a triggerType": (lambda raw: raw.plan(triggerType=None), "40019"),
    "a limit plan without a price": (lambda raw: raw.plan(orderType="limit"), "43011"),
    "a callback beyond ten per cent": (
        lambda raw: raw.plan(planType="track_plan", callbackRatio="11"),
        "40020",
    ),
    "a listing of no book": (
        lambda raw: raw.get(f"{MIX}/order/orders-plan-pending", planType="pos_loss"),
        "400172",
    ),
    "a listing without planType": (lambda raw: raw.get(f"{MIX}/order/orders-plan-pending"), "40019"),
    "cancelling a plan that is gone": (_cancel_gone_plan, "43025"),
    "changing a plan that is gone": (_modify_gone_plan, "43025"),
}


@pytest.mark.parametrize("name", PLANS)
async def test_a_plan_order_is_refused_with_the_sheets_code(name: str):
    case, code = PLANS[name]
    async with bitget() as w:
        answer = await case(Raw(w))
        assert (answer.code, answer.status) == (code, 400)


# --- settings --------------------------------------------------------------------------------------


async def _leverage_with_orders(raw: Raw) -> Answer:
    await resting(raw)
    return await raw.post(f"{MIX}/account/set-leverage", leverage="5")


async def _margin_mode_with_orders(raw: Raw) -> Answer:
    await resting(raw)
    return await raw.post(f"{MIX}/account/set-margin-mode", marginMode="isolated")


async def _position_mode_with_orders(raw: Raw) -> Answer:
    await resting(raw)
    return await raw.post(f"{MIX}/account/set-position-mode", posMode="hedge_mode")


async def _leverage_that_margin_does_not_carry(raw: Raw) -> Answer:
    await long(raw, "1")
    return await raw.post(f"{MIX}/account/set-leverage", leverage="1")


SETTINGS: dict[str, tuple[Case, str]] = {
    "leverage with open orders": (_leverage_with_orders, "40730"),
    "leverage beyond the most": (
        lambda raw: raw.post(f"{MIX}/account/set-leverage", leverage="500"),
        "40797",
    ),
    "leverage that the margin does not carry": (_leverage_that_margin_does_not_carry, "40893"),
    "margin mode with open orders": (_margin_mode_with_orders, "45117"),
    "position mode with open orders": (_position_mode_with_orders, "40920"),
    "an unknown position mode": (
        lambda raw: raw.post(f"{MIX}/account/set-position-mode", posMode="both"),
        "400172",
    ),
    "margin added to nothing": (lambda raw: raw.post(f"{MIX}/account/set-margin", amount="1"), "22002"),
    "the unified account's door": (lambda raw: raw.get("/api/v3/account/settings"), "40084"),
}


@pytest.mark.parametrize("name", SETTINGS)
async def test_a_setting_is_refused_with_the_sheets_code(name: str):
    case, code = SETTINGS[name]
    async with bitget() as w:
        answer = await case(Raw(w))
        assert (answer.code, answer.status) == (code, 400)


async def test_an_unknown_path_is_not_found():
    async with bitget() as w:
        answer = await Raw(w).get(f"{MIX}/order/nothing")
        assert (answer.code, answer.status) == ("40404", 404)


# --- the door --------------------------------------------------------------------------------------

HEADERS: dict[str, tuple[dict[str, str | None], str]] = {
    "no key": ({"ACCESS_KEY": None}, "40001"),
    "no signature": ({"ACCESS_SIGN": None}, "40002"),
    "no timestamp": ({"ACCESS_TIMESTAMP": None}, "40003"),
    "no passphrase": ({"ACCESS_PASSPHRASE": None}, "40011"),
    "a key of strange letters": ({"ACCESS_KEY": "my key"}, "40006"),
    "a timestamp that is none": ({"ACCESS_TIMESTAMP": "now"}, "40005"),
    "a timestamp of long ago": ({"ACCESS_TIMESTAMP": "1600000000000"}, "40008"),
    "another signature": ({"ACCESS_SIGN": "c2hvcnQ="}, "40009"),
    "another passphrase": ({"ACCESS_PASSPHRASE": "wrong"}, "40012"),
}


@pytest.mark.parametrize("name", HEADERS)
async def test_a_named_account_is_verified_in_full(name: str):
    changed, code = HEADERS[name]
    async with bitget() as w:
        await w.admin("POST", "/accounts", key="named", secret="deep", passphrase="word")
        raw = Raw(w, "named", "deep", "word")
        path = f"{MIX}/account/accounts"
        right = await raw.send("GET", path, "productType=USDT-FUTURES", "")
        assert right.code == "00000"
        answer = await raw.send("GET", path, "productType=USDT-FUTURES", "", **changed)
        assert (answer.code, answer.status) == (code, 400)


async def test_the_wrong_secret_is_found_out():
    async with bitget() as w:
        await w.admin("POST", "/accounts", key="named", secret="deep", passphrase="word")
        answer = await Raw(w, "named", "shallow", "word").get(f"{MIX}/account/accounts")
        assert (answer.code, answer.status) == ("40009", 400)


async def test_a_key_without_the_right_to_trade_may_only_read():
    async with bitget() as w:
        raw = Raw(w)
        await raw.get(f"{MIX}/account/accounts")
        w.server.core.set_rights("key", trade=False, withdraw=False)
        assert (await raw.order()).code == "40014"
        assert (await raw.get(f"{MIX}/account/accounts")).code == "00000"


async def test_too_many_requests_a_second_are_refused_per_endpoint():
    async with bitget(limits=Limits()) as w:
        raw = Raw(w)
        w.jump(1 - w.clock.now_ms() % 1_000 / 1_000)
        codes = [(await raw.get(f"{MIX}/position/all-position")).code for _ in range(6)]
        assert codes == ["00000"] * 5 + ["429"]
        assert (await raw.get(f"{MIX}/account/accounts")).code == "00000"
        answer = await raw.get(f"{MIX}/position/all-position")
        assert answer.status == 429


async def test_a_minutes_requests_of_an_address_are_limited():
    async with bitget(limits=Limits(per_minute=3, share=0.0)) as w:
        raw = Raw(w)
        w.jump(60 - w.clock.now_ms() % 60_000 / 1_000)
        codes = [(await raw.get(f"{MIX}/account/accounts")).code for _ in range(4)]
        assert codes == ["00000"] * 3 + ["429"]
