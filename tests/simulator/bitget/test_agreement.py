"""REST, streams and the core say the same, whatever is done: random trading in both position modes."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.bitget.clients import bitget
from tests.simulator.bitget.raw import MIX, Answer, Raw
from tests.simulator.bitget.sockets import Heard, connected, event
from tests.simulator.world import World

ORDER = f"{MIX}/order"
OVER = ("filled", "canceled", "executed", "cancelled", "fail_execute")


class Trader:
    """Does one random thing after another; refusals are part of life, errors are not."""

    def __init__(self, w: World, seed: int, *, hedge: bool) -> None:
        self.w, self.raw, self.hedge = w, Raw(w), hedge
        self.dice = random.Random(seed)
        self.done = 0

    async def act(self) -> None:
        acts = [self.order, self.order, self.close, self.stop, self.stop, self.plan, self.cancel, self.move]
        acts += [self.cancel_plans, self.modify, self.flash]
        answer = await self.dice.choice(acts)()
        if answer is not None:
            assert answer.status in (200, 400), answer.raw
            self.done += answer.status == 200

    def price(self, spread: float) -> str:
        return str(self.raw.price(1 + self.dice.uniform(-spread, spread)))

    def size(self) -> str:
        return str(self.dice.choice(["0.001", "0.01", "0.02"]))

    def mode(self, trade_side: str) -> dict[str, str]:
        return {"tradeSide": trade_side} if self.hedge else {}

    async def order(self) -> Answer:
        limit = {"orderType": "limit", "price": self.price(0.02)} if self.dice.random() < 0.5 else {}
        preset = {"presetStopLossPrice": self.price(0.05)} if self.dice.random() < 0.2 else {}
        side = self.dice.choice(["buy", "sell"])
        return await self.raw.order(side=side, size=self.size(), **limit, **preset, **self.mode("open"))

    async def close(self) -> Answer:
        limit = {"orderType": "limit", "price": self.price(0.02)} if self.dice.random() < 0.5 else {}
        only = {} if self.hedge else {"reduceOnly": "YES"}
        side = self.dice.choice(["buy", "sell"])
        return await self.raw.order(side=side, size=self.size(), **limit, **only, **self.mode("close"))

    async def stop(self) -> Answer:
        kind = self.dice.choice(["pos_loss", "pos_profit", "loss_plan", "profit_plan", "moving_plan"])
        side = self.dice.choice(["long", "short"] if self.hedge else ["buy", "sell"])
        more = {"size": self.size(), "rangeRate": "1"} if not kind.startswith("pos") else {}
        return await self.raw.stop(planType=kind, holdSide=side, triggerPrice=self.price(0.03), **more)

    async def plan(self) -> Answer:
        kind, more = self.dice.choice([("normal_plan", {}), ("track_plan", {"callbackRatio": "1"})])
        side = self.dice.choice(["buy", "sell"])
        return await self.raw.plan(
            planType=kind, side=side, triggerPrice=self.price(0.02), **more, **self.mode("open")
        )

    async def cancel(self) -> Answer:
        orders = (await self.raw.get(f"{ORDER}/orders-pending")).data["entrustedList"]
        order_id = self.dice.choice(orders)["orderId"] if orders else "1"
        return await self.raw.post(f"{ORDER}/cancel-order", orderId=order_id)

    async def cancel_plans(self) -> Answer:
        kind = self.dice.choice(["normal_plan", "track_plan", "pos_loss", "profit_loss"])
        return await self.raw.post(f"{ORDER}/cancel-plan-order", planType=kind)

    async def modify(self) -> Answer:
        plans = await self.raw.plans()
        order_id = self.dice.choice(plans)["orderId"] if plans else "1"
        return await self.raw.post(
            f"{ORDER}/modify-tpsl-order", orderId=order_id, triggerPrice=self.price(0.03)
        )

    async def flash(self) -> Answer:
        return await self.raw.post(f"{ORDER}/close-positions")

    async def move(self) -> None:
        ratio = f"{1 + self.dice.uniform(-0.02, 0.02):.4f}"
        await self.w.admin("POST", "/price", symbol="BTCUSDT", ratio=ratio)
        self.w.jump(self.dice.uniform(1, 40))


async def census(raw: Raw) -> tuple[set[str], set[str]]:
    """Ids of all live orders and plan orders: the four reads."""
    orders = (await raw.get(f"{ORDER}/orders-pending")).data["entrustedList"]
    plans = [row for kind in ("normal_plan", "track_plan", "profit_loss") for row in await raw.plans(kind)]
    return {row["orderId"] for row in orders}, {row["orderId"] for row in plans}


def streamed(heard: Heard, channel: str) -> set[str]:
    """Ids that a channel has told of and not ended."""
    live: set[str] = set()
    for frame in heard.pushes(channel):
        for row in frame["data"]:
            (live.discard if row["status"] in OVER else live.add)(row["orderId"])
    return live


def held(rows: list[Any]) -> dict[str, tuple[str, str]]:
    return {row["holdSide"]: (row["total"], row["openPriceAvg"]) for row in rows}


async def agree(w: World, raw: Raw, heard: Heard) -> None:
    await heard.drain(0.05)
    orders, plans = await census(raw)
    account = w.server.core.view("key")
    assert orders == {str(order_id) for order_id in account.live_orders}
    waiting = {str(algo_id) for algo_id in account.live_algos if not account.algos[algo_id].order_id}
    assert plans == waiting
    assert streamed(heard, "orders") == orders
    assert streamed(heard, "orders-algo") == plans
    positions = await raw.positions()
    pushed = heard.pushes("positions")[-1]["data"]
    assert held(pushed) == held(positions)
    truly = {p.side: abs(p.quantity) for p in w.truth().positions}
    assert sorted(float(row["total"]) for row in positions) == sorted(map(float, truly.values()))
    money = (await raw.get(f"{MIX}/account/accounts")).data[0]
    assert Decimal(money["accountEquity"]) - Decimal(money["unrealizedPL"]) == account.wallet


@pytest.mark.parametrize("hedge", [False, True], ids=["one-way", "hedge"])
@pytest.mark.parametrize("seed", range(2))
async def test_everybody_agrees(seed: int, hedge: bool):
    async with bitget() as w, connected(w) as heard:
        trader = Trader(w, seed, hedge=hedge)
        if hedge:
            await trader.raw.post(f"{MIX}/account/set-position-mode", posMode="hedge_mode")
        await heard.login()
        await heard.until(event("login"))
        for channel in ("orders", "orders-algo", "positions"):
            await heard.subscribe(channel)
        await heard.drain(0.2)
        for _ in range(50):
            await trader.act()
            await agree(w, trader.raw, heard)
        assert trader.done > 10
