"""`from holdfast import ExchangeAdapter` (R2.7) at the three simulated exchanges, in both position modes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from holdfast import ExchangeAdapter
from holdfast.domain.account import PositionMode
from holdfast.domain.intents import Rejected, RejectReason
from holdfast.domain.orders import Side, StopKind
from holdfast.engine.exchange_adapter import StopNotPlaced
from holdfast.exchanges.factory import REAL, UnsafeAddress
from holdfast.runtime.clock import RealClock
from holdfast.simulator.bingx.config import Switches
from holdfast.simulator.core.market import generated_market
from holdfast.simulator.faults import read_fault
from holdfast.simulator.server import ServerConfig, SimulatorServer
from tests.engine.world import BTC, KEY, PASSPHRASE, SECRET

D = Decimal
SIDES = {"long": Side.BUY, "short": Side.SELL}


def keys(exchange: str) -> dict[str, str]:
    pair = {"api_key": KEY, "api_secret": SECRET}
    return pair | {"passphrase": PASSPHRASE} if exchange == "bitget" else pair


class Shop:
    """A simulated exchange with one account, and the face to it."""

    def __init__(self, server: SimulatorServer, adapter: ExchangeAdapter) -> None:
        self.server, self.adapter = server, adapter
        account = server.core.account_by_key(KEY)
        assert account is not None
        self.account_id = account.account_id

    def hold(self, direction: str, quantity: str = "0.01") -> Decimal:
        """Open a position by hand; the mark price."""
        self.server.step()
        self.server.core.open_by_hand(self.account_id, BTC, SIDES[direction], D(quantity))
        return self.server.core.prices(BTC).mark

    async def stop(self, direction: str, ratio: str, amount: str = "0.01", symbol: str = "BTC/USDT") -> Any:
        price = self.server.core.prices(BTC).mark * D(ratio)
        return await self.adapter.place_stop_loss_order(
            symbol, direction, position_amount=D(amount), stop_price=price
        )

    def sent(self) -> list[str]:
        return [each.path for each in self.server.log.listing() if each.method == "POST"]


@asynccontextmanager
async def shop(exchange: str, mode: PositionMode = PositionMode.ONE_WAY) -> AsyncIterator[Shop]:
    clock = RealClock()
    market = generated_market((BTC,), start_ms=clock.now_ms() // 60_000 * 60_000, seed=3)
    config = ServerConfig(exchange=exchange, read_lag_ms=(0, 0), bingx=Switches(position_mode=mode))
    server = SimulatorServer(config, market, clock)
    account = server.app.name_account(KEY, SECRET, None, PASSPHRASE)
    if account.position_mode is not mode:
        server.core.set_position_mode(account.account_id, mode)
    await server.start()
    try:
        async with ExchangeAdapter(exchange, keys=keys(exchange), base_url=server.url) as adapter:
            yield Shop(server, adapter)
    finally:
        await server.stop()


@pytest.mark.parametrize("direction", ["long", "short"])
@pytest.mark.parametrize("mode", list(PositionMode))
@pytest.mark.parametrize("exchange", REAL)
async def test_a_stop_is_placed_found_in_the_books_and_covers(
    exchange: str, mode: PositionMode, direction: str
) -> None:
    async with shop(exchange, mode) as at:
        at.hold(direction)
        stop = await at.stop(direction, "0.95" if direction == "long" else "1.05", symbol="BTCUSDT")
        assert (stop.kind, stop.market, stop.close_position) == (StopKind.STOP, True, True)
        assert stop.side is (Side.SELL if direction == "long" else Side.BUY)
        at.server.step()
        (position,) = at.server.core.truth(at.account_id).positions
        assert position.covered


async def test_on_bitget_it_is_a_pos_loss_that_the_pending_plan_orders_show() -> None:
    """R2.8."""
    async with shop("bitget") as at:
        at.hold("long")
        await at.stop("long", "0.95")
        (placed,) = [s for s in at.server.log.listing() if s.path.endswith("place-tpsl-order")]
        assert placed.params["planType"] == "pos_loss"
        after = [s.path for s in at.server.log.listing()]
        assert any(path.endswith("orders-plan-pending") for path in after[after.index(placed.path) :])


@pytest.mark.parametrize("exchange", REAL)
async def test_without_a_position_nothing_is_sent(exchange: str) -> None:
    async with shop(exchange) as at:
        with pytest.raises(StopNotPlaced, match="expected a long position to protect, found none"):
            await at.stop("long", "0.95")
        at.hold("long")
        with pytest.raises(
            StopNotPlaced, match=r"expected to hold 0\.02 or more, found a long position of 0\.01"
        ):
            await at.stop("long", "0.95", amount="0.02")
        assert at.sent() == []


@pytest.mark.parametrize("exchange", REAL)
async def test_a_refusal_is_told_with_the_exchanges_words_and_the_remedy(exchange: str) -> None:
    """A long's stop above the price would fire at once."""
    async with shop(exchange) as at:
        at.hold("long")
        with pytest.raises(StopNotPlaced, match="the price is past the stop already") as told:
            await at.stop("long", "1.05")
        assert isinstance(told.value.outcome, Rejected)
        assert told.value.outcome.reason is RejectReason.WOULD_TRIGGER
        assert told.value.outcome.code in str(told.value)


async def test_bitgets_400172_is_told_as_what_it_is() -> None:
    async with shop("bitget") as at:
        at.hold("long")
        fault = {"kind": "reject", "method": "POST", "path": "place-tpsl-order", "status": 400}
        at.server.faults.add(read_fault(fault | {"code": 400172, "msg": "planType Illegal type"}))
        with pytest.raises(StopNotPlaced, match="400172 planType Illegal type") as told:
            await at.stop("long", "0.95")
        assert "not sent again" in str(told.value)


@pytest.mark.parametrize("exchange", REAL)
async def test_a_lost_reply_is_asked_for_and_never_sent_again(exchange: str) -> None:
    path = {"binance": "algoOrder", "bingx": "trade/order", "bitget": "place-tpsl-order"}[exchange]
    async with shop(exchange) as at:
        at.hold("long")
        at.server.faults.add(read_fault({"kind": "lost_reply", "method": "POST", "path": path, "times": 1}))
        stop = await at.stop("long", "0.95")
        assert stop.close_position
        assert len(at.sent()) == 1


def test_the_safer_place_is_the_default_and_the_real_one_has_to_be_said() -> None:
    for exchange in REAL:
        assert ExchangeAdapter(exchange, keys=keys(exchange)).name == exchange
    with pytest.raises(UnsafeAddress, match="no real exchange as a test address"):
        ExchangeAdapter("bingx", keys=keys("bingx"), base_url=REAL["bingx"].rest)


@pytest.mark.parametrize(
    ("exchange", "changes", "words"),
    [
        ("kraken", {}, "expected an exchange out of binance, bingx, bitget"),
        ("binance", {"trade_mode": "spot"}, "trade_mode: expected 'futures', found 'spot'"),
        ("bitget", {"keys": {"api_key": "a", "api_secret": "b"}}, "found no passphrase"),
        ("binance", {"keys": {"apiKey": "a"}}, "found no api_secret"),
        (
            "binance",
            {"keys": {"token": "a"}},
            "keys: expected api_key, api_secret, passphrase, found 'token'",
        ),
    ],
)
def test_what_makes_no_sense_is_one_sentence(exchange: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ExchangeAdapter(exchange, **{"keys": keys(exchange), **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"symbol": "NOWHERE/USDT"}, "symbol: expected one that bitget lists, found NOWHERE"),
        ({"direction": "buy"}, "direction: expected the position's, long or short, found 'buy'"),
        ({"position_amount": 0}, "position_amount: expected more than 0"),
        ({"stop_price": "nan"}, "expected a finite number"),
    ],
)
async def test_a_question_that_makes_no_sense_sends_nothing(changes: dict[str, Any], words: str) -> None:
    given = {"symbol": "BTC/USDT", "direction": "long", "position_amount": 1, "stop_price": 1} | changes
    async with shop("bitget") as at:
        with pytest.raises(ValueError, match=words):
            await at.adapter.place_stop_loss_order(given.pop("symbol"), given.pop("direction"), **given)
        assert at.sent() == []
