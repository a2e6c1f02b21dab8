"""A liquidation that ended before everything was flat: by a crash, or because closing failed (R4.8).

A flag in the store says so to the next start. It falls when what was to be closed is gone, and not later:
else that start would flatten what was opened since.
"""

from __future__ import annotations

from collections.abc import Callable

from holdfast.decisions.step import Concern
from holdfast.domain.account import PositionKey
from holdfast.engine.account import Account
from holdfast.engine.memory import LIQUIDATING

ALERTS = ("LIQUIDATION_UNFINISHED", "LIQUIDATION_FAILED")


class UnfinishedLiquidation:
    """Knows what is still to be closed; used by the consumer and, between two steps, by the bot."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._open: set[int] | None = None
        """Trades that are to be closed; None = nothing is unfinished."""
        self._since_ms = 0

    def found(self, leave: Callable[[PositionKey, str], None]) -> None:
        """The last run died while it was flattening: what it had open is closed, or reported."""
        account = self._account
        text = "the last run did not finish its liquidation"
        account.concern(Concern("LIQUIDATION_UNFINISHED", "critical", "", text))
        if account.settings.resume_liquidation:
            self._open = {tracked.trade_id for tracked in account.state.tracked.values()}
            for key in tuple(account.state.tracked):
                leave(key, "liquidation resumed after a crash")

    def left_open(self) -> None:
        """Closing failed and the bot may go on: what is left is the steps' to close."""
        tracked = self._account.state.tracked.values()
        self._open = {each.trade_id for each in tracked if each.closing_reason}
        self._since_ms = self._account.clock.now_ms()

    def look(self) -> None:
        """Whether it is gone by now, by a read that was asked for since."""
        account, read = self._account, self._account.state.positions_read
        if self._open is None or not account.synced or read is None or read.asked_ms <= self._since_ms:
            return
        if self._open & {tracked.trade_id for tracked in account.state.tracked.values()}:
            return
        self._open = None
        account.memory.flag(LIQUIDATING, 0, "resumed and finished")
        for id_ in ALERTS:
            account.relieved(id_)
