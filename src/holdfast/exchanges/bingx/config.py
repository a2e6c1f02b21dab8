"""The account's settings by REST: BingX tells leverage and margin mode of one symbol at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from holdfast.domain.account import AccountConfig, Fact, PositionMode
from holdfast.domain.intents import Priority, Unavailable
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bingx import decode, requests
from holdfast.exchanges.bingx.account import AccountSettings, HeardSetting
from holdfast.exchanges.bingx.asking import Asking
from holdfast.exchanges.bingx.events import Setting
from holdfast.exchanges.bingx.requests import Request
from holdfast.exchanges.names import Names
from holdfast.exchanges.port import ExchangeError

R = TypeVar("R")

SETTING_AGE_MAX_MS = 12_000
"""Settings told so long ago are asked for again; the stream tells them every five seconds."""


class ConfigReader:
    """Asks for what the stream has not told lately."""

    def __init__(self, asking: Asking, names: Callable[[], Names], account: AccountSettings) -> None:
        self._ask = asking
        self._names = names
        self._account = account

    async def read(self, priority: Priority) -> Fact[AccountConfig]:
        """Position mode and, of the symbols watched, leverage and margin mode.

        As the stream told them within seconds, or asked for one by one at the pace that is allowed.
        """
        asked_ms = self._ask.clock.now_ms()
        hedge = await self.read_mode(priority)
        assets = await self._paced(requests.ASSET_MODE, decode.ASSET_MODE.of, priority)
        known = {symbol: await self._setting_of(symbol, priority) for symbol in tuple(self._account.watched)}
        config = AccountConfig(
            position_mode=PositionMode.HEDGE if hedge else PositionMode.ONE_WAY,
            can_trade=self._account.can_trade,
            multi_assets=assets.assetMode == "multiAssetsMode",
            leverage={symbol: heard.setting.leverage for symbol, heard in known.items()},
            margin_mode={symbol: heard.setting.margin_mode for symbol, heard in known.items()},
        )
        oldest_ms = min((heard.heard_ms for heard in known.values()), default=asked_ms)
        return Fact(config, min(asked_ms, oldest_ms), self._ask.clock.now_ms())

    async def read_mode(self, priority: Priority) -> bool:
        """Whether the account is in hedge mode; remembered for all that does not say so itself."""
        mode = await self._paced(requests.POSITION_MODE, decode.POSITION_MODE.of, priority)
        now_ms = self._ask.caller.exchange_now_ms()
        self._account.hear_mode(hedge=mode.dualSidePosition, exchange_ms=now_ms)
        return mode.dualSidePosition

    async def _setting_of(self, symbol: Symbol, priority: Priority) -> HeardSetting:
        heard = self._account.fresh(symbol, self._ask.clock.now_ms() - SETTING_AGE_MAX_MS)
        if heard is not None:
            return heard
        wire_id, asked_ms = self._names().wire(symbol), self._ask.clock.now_ms()
        leverage = await self._paced(requests.leverage(wire_id), decode.LEVERAGE.of, priority)
        mode = await self._paced(
            requests.margin_mode(wire_id),
            lambda body: decode.margin_mode(decode.MARGIN_TYPE.of(body).marginType),
            priority,
        )
        setting = Setting(leverage.longLeverage, leverage.shortLeverage, mode)
        self._account.hear(symbol, setting, asked_ms)
        return HeardSetting(setting, asked_ms)

    async def _paced(self, request: Request, read: Callable[[bytes], R], priority: Priority) -> R:
        """The answer; when our own budget is short once more in the endpoint's next second."""
        try:
            return (await self._ask.fact(request, read, priority)).value
        except ExchangeError as error:
            held = error.outcome
            if not (isinstance(held, Unavailable) and held.short):
                raise
            await asyncio.sleep(held.retry_after_ms / 1000)
        return (await self._ask.fact(request, read, priority)).value
