"""REST, user stream and core tell the same story after anything a trader may do, in both position modes."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import aiohttp
import pytest

from holdfast.domain.account import PositionMode
from holdfast.simulator.bingx import ids
from holdfast.simulator.bingx.config import Switches
from holdfast.simulator.bingx.tongue import zipped
from tests.simulator import world as worlds
from tests.simulator.bingx.clients import BINGX, KEY, Answer, Raw
from tests.simulator.world import JumpClock, World, world

D = Decimal
STEPS = 60
CONDITIONAL = ("STOP_MARKET", "TAKE_PROFIT_MARKET", "TRIGGER_MARKET")
OPEN = ("NEW", "PENDING", "PARTIALLY_FILLED")


class Listener:
    """What one who only hears the stream believes."""

    def __init__(self) -> None:
        self.orders: dict[int, Any] = {}
        self.positions: dict[tuple[str, str], Decimal] = {}
        self.wallet = ""
        self.fills: list[int] = []

    def hear(self, frame: Any) -> None:
        if frame.get("e") == "ORDER_TRADE_UPDATE":
            body = frame["o"]
            self.orders[body["i"]] = body
            if body["x"] in ("TRADE", "CALCULATED"):
                self.fills.append(body["td"])
        elif frame.get("e") == "ACCOUNT_UPDATE":
            for row in frame["a"]["P"]:
                self.positions[row["s"], row["ps"]] = D(row["pa"])
            for row in frame["a"]["B"]:
                self.wallet = row["wb"]

    async def listen(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            text = gzip.decompress(message.data)
            if text == b"Ping":
                await ws.send_str("Pong")
            else:
                self.hear(json.loads(text))


async def act(raw: Raw, rng: Random, hedge: bool) -> None:
    """One thing a trader, or the market, does; refusals are fine."""
    symbol, factor = rng.choice([("BTC-USDT", "BTCUSDT"), ("ETH-USDT", "ETHUSDT")])
    last = next(
        float(raw.world.server.core.prices(one).last)
        for one in raw.world.server.core.symbols()
        if one.dashed == symbol
    )
    side = rng.choice(["BUY", "SELL"])
    order: dict[str, Any] = {
        "symbol": symbol,
        "side": side,
        "positionSide": rng.choice(["LONG", "SHORT"]) if hedge else "BOTH",
        "quantity": rng.choice(["0.01", "0.02", "0.03"]) if symbol == "BTC-USDT" else "0.2",
    }
    if not hedge and rng.random() < 0.3:
        order["reduceOnly"] = "true"
    price = round(last * rng.uniform(0.98, 1.02), 1)
    kinds: list[tuple[float, dict[str, Any]]] = [
        (4, {"type": "MARKET"}),
        (3, {"type": "LIMIT", "price": price}),
        (1, {"type": "LIMIT", "price": price, "timeInForce": rng.choice(["IOC", "FOK", "PostOnly"])}),
        (
            2,
            {"type": rng.choice(["STOP_MARKET", "TAKE_PROFIT_MARKET", "TRIGGER_MARKET"]), "stopPrice": price},
        ),
        (1, {"type": "STOP_MARKET", "stopPrice": price, "closePosition": "true", "quantity": None}),
    ]
    chosen = rng.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]
    if chosen["type"] == "MARKET" and rng.random() < 0.4:
        away = 0.985 if side == "BUY" else 1.015
        stop = {"type": "STOP_MARKET", "stopPrice": round(last * away, 1), "workingType": "MARK_PRICE"}
        chosen["stopLoss"] = json.dumps(stop)
    what = rng.random()
    if what < 0.75:
        await raw.order(**order | chosen)
    elif what < 0.85:
        await raw.world.admin("POST", "/price", symbol=factor, ratio=str(round(rng.uniform(0.97, 1.03), 3)))
    elif what < 0.9:
        await raw.signed("DELETE", "swap/v2/trade/allOpenOrders", symbol=symbol)
    elif what < 0.93:
        await raw.signed("POST", "swap/v2/trade/closeAllPositions", symbol=symbol)
    raw.world.jump(rng.choice([1, 3, 20]))


async def story(running: World, seed: int, hedge: bool, raw: Raw | None = None) -> tuple[Raw, Listener]:
    raw, rng, listener = raw or Raw(running), Random(seed), Listener()
    key = (await raw.signed("POST", "user/auth/userDataStream")).json["listenKey"]
    async with running.http.ws_connect(f"{running.server.url}/swap-market?listenKey={key}") as ws:
        task = asyncio.create_task(listener.listen(ws))
        for _ in range(STEPS):
            await act(raw, rng, hedge)
        running.jump(2)
        await asyncio.sleep(0.3)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await running.admin("POST", "/reset-limits")
    return raw, listener


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("hedge", [True, False])
@pytest.mark.parametrize("own_id", [True, False])
async def test_all_tell_the_same(seed: int, hedge: bool, own_id: bool) -> None:
    mode = PositionMode.HEDGE if hedge else PositionMode.ONE_WAY
    ways = Switches(position_mode=mode, child_gets_new_id=own_id)
    async with world(replace(BINGX, bingx=ways)) as running:
        raw, listener = await story(running, seed, hedge)
        view = running.server.core.view(KEY)
        assert len(view.fills) > 5
        await positions_agree(raw, listener)
        await orders_agree(raw, listener, own_id)
        assert sorted(listener.fills) == sorted(fill.trade_id for fill in view.fills)
        (row,) = await raw.rows("swap/v3/user/balance")
        assert D(listener.wallet) == view.wallet
        assert D(row["balance"]) == round(view.wallet, 4)
        history = await raw.rows("swap/v2/trade/fillHistory", symbol="BTC-USDT", pageSize=1_000)
        of_btc = [fill for fill in view.fills if fill.symbol.base == "BTC"]
        assert len(history) == len(of_btc)
        assert sum(D(one["qty"]) for one in history) == sum(fill.quantity for fill in of_btc)


async def positions_agree(raw: Raw, listener: Listener) -> None:
    view = raw.world.server.core.view(KEY)
    held = {
        (symbol.dashed, "LONG" if position.quantity > 0 else "SHORT"): abs(position.quantity)
        for (symbol, _), position in view.positions.items()
        if position.quantity
    }
    rest = {(row["symbol"], row["positionSide"]): D(row["positionAmt"]) for row in await raw.positions()}
    assert rest == held
    assert {key: size for key, size in listener.positions.items() if size} == held


async def orders_agree(raw: Raw, listener: Listener, own_id: bool) -> None:
    """The list of open orders, the stream's last word on each, and a query by id."""
    view = raw.world.server.core.view(KEY)
    listed = {row["orderId"]: row for row in await raw.rows("swap/v2/trade/openOrders")}
    heard = {order_id for order_id, body in listener.orders.items() if body["X"] in OPEN}
    triggered = {ids.of_stop(algo.algo_id) for algo in view.algos.values() if algo.triggered_ms}
    assert heard - triggered == set(listed) - triggered
    known = {ids.of_order(one.order_id) for one in view.orders.values() if own_id or not one.algo_id}
    known |= {ids.of_stop(algo_id) for algo_id in view.algos}
    assert set(listener.orders) == known
    for order_id in sorted(set(listener.orders) - triggered)[:20]:
        body = listener.orders[order_id]
        wanted = {"symbol": body["s"], "orderId": order_id}
        row = (await raw.signed("GET", "swap/v2/trade/order", **wanted)).data["order"]
        assert row["status"].replace("CELLED", "CELED").replace("PENDING", "NEW") == body["X"]
        assert D(row["executedQty"]) == D(body["z"])
        assert (row["type"], row["side"]) == (body["o"], body["S"])


class StillClock(JumpClock):
    """Moves by jumps only."""

    def now_ms(self) -> int:
        return self._ahead_ms


async def test_the_same_story_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids, keys, chance and compressed frames come from the seed and the story alone."""
    monkeypatch.setattr(worlds, "JumpClock", StillClock)
    told: list[list[bytes]] = []
    for _ in range(2):
        async with world(replace(BINGX, read_lag_ms=(0, 300))) as running:
            answers: list[bytes] = []
            raw = Noted(running, answers)
            await story(running, 5, hedge=True, raw=raw)
            answers += [zipped(answer) for answer in answers[-3:]]
            told.append(answers)
    assert told[0] == told[1]
    assert len(told[0]) > STEPS / 2


class Noted(Raw):
    """Keeps every answer's bytes."""

    def __init__(self, running: World, answers: list[bytes]) -> None:
        super().__init__(running)
        self._answers = answers

    async def send(self, *args: Any, **more: Any) -> Answer:
        answer = await super().send(*args, **more)
        self._answers.append(answer.raw)
        return answer
