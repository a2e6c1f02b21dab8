"""Leverage, margin mode, position mode and rights: set, read back, changed by somebody else."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.account import AccountConfig, MarginMode, PositionMode
from holdfast.domain.intents import Accepted, Outcome, Rejected, RejectReason
from holdfast.domain.orders import PositionSide
from holdfast.domain.symbol import Symbol
from tests.conformance.case import case
from tests.conformance.stand import BTC, ETH, KEY, LOT, MODES, Desk, P, refused, took

D = Decimal


async def _config(d: Desk, *symbols: Symbol) -> AccountConfig:
    await d.exchange.watch_marks(symbols or (BTC,))
    await d.rest(13)  # what a stream told before counts no more
    for symbol in symbols or (BTC,):
        await d.mark(symbol)
    found = await d.exchange.account_config(priority=P)
    assert found.complete
    return found.value


def _same_or(outcome: Outcome, *reasons: RejectReason) -> None:
    assert isinstance(outcome, Accepted) or refused(outcome, *reasons)


@case(150, "leverage is set, and read back from the settings and from a position")
async def leverage(d: Desk) -> None:
    took(await d.exchange.set_leverage(BTC, 3))
    await d.enter()
    assert (await _config(d)).leverage[BTC] == 3
    (position,) = (await d.positions()).values()
    assert position.leverage == 3


@case(151, "leverage that is set already may be set again")
async def leverage_again(d: Desk) -> None:
    for _ in range(2):
        await d.rest(1)
        _same_or(await d.exchange.set_leverage(BTC, 3), RejectReason.NO_CHANGE)


@case(152, "more leverage than the contract allows is refused, and nothing changes")
async def leverage_beyond(d: Desk) -> None:
    took(await d.exchange.set_leverage(BTC, 3))
    await d.rest(1)
    assert isinstance(await d.exchange.set_leverage(BTC, 500), Rejected)
    assert (await _config(d)).leverage[BTC] == 3


@case(153, "leverage of an open position is changed")
async def leverage_open(d: Desk) -> None:
    await _config(d)
    await d.enter()
    took(await d.exchange.set_leverage(BTC, 4))
    (position,) = (await d.positions()).values()
    assert position.leverage == 4


@case(154, "margin mode is set, read back, and kept by the next entry")
async def margin_mode(d: Desk) -> None:
    took(await d.exchange.set_margin_mode(BTC, MarginMode.ISOLATED))
    await d.enter()
    assert (await _config(d)).margin_mode[BTC] is MarginMode.ISOLATED
    (position,) = (await d.positions()).values()
    assert position.margin_mode is MarginMode.ISOLATED
    took(await d.stop("hf-stop"))
    took(await d.close())
    assert await d.positions() == {}


@case(155, "a margin mode that is set already counts as set")
async def margin_mode_again(d: Desk) -> None:
    took(await d.exchange.set_margin_mode(BTC, MarginMode.ISOLATED))
    await d.rest(1)
    _same_or(await d.exchange.set_margin_mode(BTC, MarginMode.ISOLATED), RejectReason.NO_CHANGE)


@case(156, "the margin mode of an open position is not changed: refused, and the position stays as it is")
async def margin_mode_open(d: Desk) -> None:
    await d.enter()
    await d.rest(1)
    assert isinstance(await d.exchange.set_margin_mode(BTC, MarginMode.ISOLATED), Rejected)
    (position,) = (await d.positions()).values()
    assert position.margin_mode is MarginMode.CROSS


@case(157, "margin mode and leverage of one symbol are none of another's")
async def of_one(d: Desk) -> None:
    before = (await _config(d, BTC, ETH)).leverage[ETH]
    took(await d.exchange.set_margin_mode(BTC, MarginMode.ISOLATED))
    took(await d.exchange.set_leverage(BTC, 3))
    config = await _config(d, BTC, ETH)
    assert (config.leverage[ETH], config.margin_mode[ETH]) == (before, MarginMode.CROSS)


@case(
    158, "the position mode is changed by hand: the settings show it, and orders of the old form are refused"
)
async def position_mode(d: Desk) -> None:
    old = d.side()
    other = next(mode for mode in MODES if mode is not d.stand.mode)
    await d.mark()
    d.core.set_position_mode(KEY, other)
    assert (await _config(d)).position_mode is other
    refused(await d.send(position_side=old), RejectReason.POSITION_MODE)
    new = PositionSide.LONG if other is PositionMode.HEDGE else PositionSide.BOTH
    took(await d.send(position_side=new))
    (position,) = (await d.positions()).values()
    assert (position.side, position.quantity) == (new, LOT)


@case(159, "leverage changed by hand shows in the settings and in the position")
async def leverage_by_hand(d: Desk) -> None:
    await d.enter()
    await _config(d)
    d.core.set_leverage(KEY, BTC, 7)
    assert (await _config(d)).leverage[BTC] == 7
    (position,) = (await d.positions()).values()
    assert position.leverage == 7


@case(
    160,
    "the right to trade is taken away: entries are refused, the settings say so, and when it is back, too",
)
async def rights(d: Desk) -> None:
    await d.enter()
    d.core.set_rights(KEY, trade=False, withdraw=False)
    refused(await d.send(), RejectReason.PERMISSION)
    assert not (await _config(d)).can_trade
    assert await d.held() == LOT
    d.core.set_rights(KEY, trade=True, withdraw=False)
    took(await d.close())
    assert (await _config(d)).can_trade


@case(161, "money that goes out is in the next balance, and in the exchange's list with its amount and time")
async def transfer(d: Desk) -> None:
    await d.rest(1)
    since_ms = d.stand.clock.now_ms()
    before = (await d.exchange.balance(priority=P)).value.wallet
    d.core.transfer(KEY, D(-500))
    await d.rest(1)
    assert (await d.exchange.balance(priority=P)).value.wallet == before - 500
    found = await d.exchange.transfers(since_ms, priority=P)
    assert found.complete
    (told,) = found.value
    assert (told.currency, told.change) == ("USDT", -500)
    assert since_ms <= told.at_ms <= d.stand.clock.now_ms()


@case(
    162,
    "that money could be withdrawn is told",
    dict.fromkeys(("bingx", "bitget"), "no answer tells it; the settings say that nothing is known"),
)
async def withdrawals(d: Desk) -> None:
    for allowed in (True, False):
        d.core.set_rights(KEY, trade=True, withdraw=allowed)
        assert (await _config(d)).can_withdraw is allowed
