"""What an account's owner can change besides orders: leverage, modes, margin, money."""

from __future__ import annotations

import copy
from decimal import Decimal

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.orders import PositionSide
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.cover import summary_of
from holdfast.simulator.core.margin import notional_max
from holdfast.simulator.core.matching import credit
from holdfast.simulator.core.model import AccountEvent, ConfigEvent, CoreRefusal, Refused, SimPosition
from holdfast.simulator.core.world import Ledger, World


def set_leverage(
    world: World,
    ledger: Ledger,
    symbol: Symbol,
    leverage: int,
    side: PositionSide = PositionSide.BOTH,
) -> Decimal:
    """See `Core.set_leverage`. LEVERAGE_INVALID, LEVERAGE_ISOLATED_DOWN, BRACKET, MARGIN refused."""
    quote = world.quote(symbol)
    if not 1 <= leverage <= quote.instrument.leverage_max:
        raise CoreRefusal(Refused.LEVERAGE_INVALID, leverage=leverage)
    most = notional_max(quote.instrument, leverage)
    before = world.leverage(ledger, symbol, side)
    sides = (side, PositionSide.BOTH) if side is not PositionSide.BOTH else tuple(PositionSide)
    positions = [one for one in ledger.held.values() if one.symbol == symbol and one.side in sides]
    if positions and ledger.isolated(symbol) and leverage < before:
        raise CoreRefusal(Refused.LEVERAGE_ISOLATED_DOWN)
    if any(abs(position.quantity) * quote.mark > most for position in positions):
        raise CoreRefusal(Refused.BRACKET, limit=most, leverage=leverage)
    _book_leverage(ledger, symbol, leverage, side)
    if leverage < before and summary_of(world, ledger).available_raw < 0:
        _book_leverage(ledger, symbol, before, side)
        raise CoreRefusal(Refused.MARGIN)
    world.touch(ledger)
    _tell_config(world, ledger, symbol=symbol, leverage=leverage)
    return most


def _book_leverage(ledger: Ledger, symbol: Symbol, leverage: int, side: PositionSide) -> None:
    if side is PositionSide.BOTH:
        ledger.account.leverage[symbol] = leverage
    else:
        ledger.account.side_leverage[symbol, side] = leverage


def set_margin_mode(world: World, ledger: Ledger, symbol: Symbol, mode: MarginMode) -> None:
    """MARGIN_MODE_SAME, MARGIN_MODE_OPEN_ORDERS (conditional ones count), MARGIN_MODE_POSITION refused."""
    world.quote(symbol)
    if ledger.account.margin_mode.get(symbol, MarginMode.CROSS) is mode:
        raise CoreRefusal(Refused.MARGIN_MODE_SAME)
    symbols = [one.symbol for one in ledger.open_orders.values()]
    symbols += [one.symbol for one in ledger.open_algos.values()]
    if symbol in symbols:
        raise CoreRefusal(Refused.MARGIN_MODE_OPEN_ORDERS)
    if any(position.symbol == symbol for position in ledger.held.values()):
        raise CoreRefusal(Refused.MARGIN_MODE_POSITION)
    ledger.account.margin_mode[symbol] = mode
    world.touch(ledger)
    position = copy.copy(ledger.position(symbol, ledger.sides()[0]))
    world.tell_account(ledger, "MARGIN_TYPE_CHANGE", (position,), symbol)


def set_position_mode(world: World, ledger: Ledger, mode: PositionMode) -> None:
    """POSITION_MODE_SAME, POSITION_MODE_OPEN_ORDERS, POSITION_MODE_POSITION refused."""
    if ledger.account.position_mode is mode:
        raise CoreRefusal(Refused.POSITION_MODE_SAME)
    if ledger.open_orders or ledger.open_algos:
        raise CoreRefusal(Refused.POSITION_MODE_OPEN_ORDERS)
    if ledger.held:
        raise CoreRefusal(Refused.POSITION_MODE_POSITION)
    ledger.account.position_mode = mode
    world.touch(ledger)
    _tell_config(world, ledger, position_mode=mode)


def set_multi_assets(world: World, ledger: Ledger, on: bool) -> bool:
    if ledger.account.multi_assets is on:
        return False
    ledger.account.multi_assets = on
    world.touch(ledger)
    _tell_config(world, ledger, multi_assets=on)
    return True


def change_isolated_margin(
    world: World, ledger: Ledger, symbol: Symbol, side: PositionSide, amount: Decimal
) -> Decimal:
    """See `Core.change_isolated_margin`."""
    world.quote(symbol)
    position = ledger.held.get((symbol, side))
    if position is None:
        raise CoreRefusal(Refused.MARGIN_MODE_POSITION)
    if not ledger.isolated(symbol):
        raise CoreRefusal(Refused.MARGIN_MODE_SAME)
    free = summary_of(world, ledger).available if amount > 0 else _removable(world, ledger, position)
    if abs(amount) > free:
        raise CoreRefusal(Refused.MARGIN, available=free)
    position.isolated_wallet += amount
    world.touch(ledger)
    world.tell_account(ledger, "MARGIN_TRANSFER", (copy.copy(position),), symbol)
    return position.isolated_wallet


def _removable(world: World, ledger: Ledger, position: SimPosition) -> Decimal:
    """What an isolated position holds beyond its initial margin."""
    for row in summary_of(world, ledger).positions:
        if (row.symbol, row.side) == (position.symbol, position.side):
            free = min(row.isolated_wallet, row.isolated_margin) - row.position_initial_margin
            return max(Decimal(0), free)
    return Decimal(0)


def transfer(world: World, ledger: Ledger, amount: Decimal) -> None:
    """Deposit or withdraw; MARGIN refused for more than can be withdrawn."""
    most = summary_of(world, ledger).max_withdraw
    if -amount > most:
        raise CoreRefusal(Refused.MARGIN, available=most)
    credit(world, ledger, "TRANSFER", amount)
    world.emit(
        AccountEvent(
            at_ms=world.now_ms,
            account_id=ledger.account.account_id,
            reason="DEPOSIT" if amount > 0 else "WITHDRAW",
            wallet=ledger.account.wallet,
            wallet_change=amount,
            positions=(),
        )
    )


def _tell_config(
    world: World,
    ledger: Ledger,
    symbol: Symbol | None = None,
    leverage: int | None = None,
    multi_assets: bool | None = None,
    position_mode: PositionMode | None = None,
) -> None:
    world.emit(
        ConfigEvent(
            at_ms=world.now_ms,
            account_id=ledger.account.account_id,
            symbol=symbol,
            leverage=leverage,
            multi_assets=multi_assets,
            position_mode=position_mode,
        )
    )
