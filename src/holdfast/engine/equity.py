"""What equity is held against: money that comes in or goes out moves the reference, and is no gain or loss.

The account's stream tells of a transfer; reads of the balance may lag behind that, or run ahead of it.
So a transfer counts with the first read that was asked when it had to be visible, and no read before
that is judged. One that ran ahead looks like a loss, until it is told: `breakers.assess` waits for that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from holdfast.decisions.breakers import FALL_PROVEN_MS, track_equity
from holdfast.decisions.step import Read, Want
from holdfast.domain.account import Balance, Fact
from holdfast.domain.numbers import ZERO
from holdfast.engine.account import Account
from holdfast.exchanges.port import BalanceNews

TRANSFERS = {
    "DEPOSIT",
    "WITHDRAW",
    "WITHDRAW_REJECT",
    "ADMIN_DEPOSIT",
    "ADMIN_WITHDRAW",
    "ASSET_TRANSFER",
    "COIN_SWAP_DEPOSIT",
    "COIN_SWAP_WITHDRAW",
}
REMEMBERED = 32
"""So many transfers are known again when they are told twice."""


class EquityWatch:
    """Keeps `Account.equity`; changed by the consumer only."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._told: deque[BalanceNews] = deque(maxlen=REMEMBERED)
        self._shown_ms = 0
        """Reads asked from then on show every transfer that was told."""

    def told(self, news: BalanceNews, heard_ms: int) -> None:
        """The wallet changed; only what came in or went out matters here."""
        account, known = self._account, self._account.state.balance
        other = known is not None and known.value.currency != news.currency
        if other or news.cause not in TRANSFERS or not news.change or news in self._told:
            return
        self._told.append(news)
        account.transferred += news.change
        self._shown_ms = heard_ms + account.settings.freshness.visibility_ms
        account.say("transfer", "", f"{news.cause.lower()} of {news.change} {news.currency}")

    def read(self, fact: Fact[Balance]) -> None:
        """Judge the read, unless it may be older than a transfer."""
        account = self._account
        if account.transferred and fact.asked_ms < self._shown_ms:
            return
        account.equity = track_equity(
            account.equity, fact.value.equity, transferred=account.transferred, now_ms=fact.asked_ms
        )
        account.memory.equity(fact.value, fact.answered_ms, account.transferred)
        account.transferred = ZERO

    def wants(self) -> Iterator[Want]:
        """When the balance has to be read again, whatever else happens."""
        since_ms, balance = self._account.breakers.fallen_since_ms, self._account.state.balance
        if self._account.transferred:
            yield Want(Read.BALANCE, None, self._shown_ms)
        elif since_ms is not None and balance is not None and balance.asked_ms < since_ms + FALL_PROVEN_MS:
            yield Want(Read.BALANCE, None, since_ms + FALL_PROVEN_MS)
