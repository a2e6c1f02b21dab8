"""What equity is held against: money that comes in or goes out moves the reference, and is no gain or loss.

The account's stream tells of a transfer at once, where it says a cause; the exchange's own list of
transfers is asked every few minutes, and at once when equity fell too far: it also knows what the
stream lost, what no stream tells, and what happened while nobody ran.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from holdfast.decisions.breakers import FALL_PROVEN_MS
from holdfast.decisions.equity import EquityTrack, Reading, Traced, reset_peak, retrace
from holdfast.decisions.step import Read, Want
from holdfast.domain.account import Balance, Fact, Transfer
from holdfast.domain.numbers import ZERO, plain
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
SAME_MS = 10_000
"""So far apart the stream and the list may date one transfer."""
LISTED_MS = 60_000
"""A transfer is in the exchange's list after this long; readings older than that are settled."""
READINGS_MAX = 200
SETTLED_KEPT = 64
"""So many transfers are known again when they are told twice."""


class EquityWatch:
    """Keeps `Account.equity`; changed by the consumer only."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._base: EquityTrack | None = None
        self._readings: list[Reading] = []
        """Since the base, oldest first: a transfer may still turn out to have happened among them."""
        self._transfers: list[Transfer] = []
        """Known and not part of the base, by our clock."""
        self._settled: deque[Transfer] = deque(maxlen=SETTLED_KEPT)
        self._settled_sum = self._written_sum = ZERO
        self._pending_ms: int | None = None
        self._since_ms = 0
        """What was transferred before is part of what is known."""
        self._listed_ms = 0
        """When the list was asked for last."""

    def recalled(self, track: EquityTrack | None, at_ms: int) -> None:
        """What the last run held equity against, as of *at_ms*: a restart forgives no loss."""
        self._since_ms = at_ms if track else self._account.started_ms
        self._base = self._account.equity = track

    def told(self, news: BalanceNews, at_ms: int) -> None:
        """The wallet changed at *at_ms*; only what came in or went out matters here."""
        if news.cause in TRANSFERS and news.change:
            self._add(Transfer(transfer_id="", currency=news.currency, change=news.change, at_ms=at_ms))
            self._update()

    def listed(self, fact: Fact[tuple[Transfer, ...]]) -> None:
        """The exchange's list, by its clock."""
        offset_ms = self._account.exchange.clock_offset_ms()
        for each in fact.value:
            local = replace(each, at_ms=each.at_ms - offset_ms)
            if local.at_ms > self._since_ms:
                self._add(local)
        if fact.complete:
            self._listed_ms = fact.asked_ms
            self._settle(fact.asked_ms - LISTED_MS)
        self._update()

    def read(self, fact: Fact[Balance]) -> None:
        """Judge the read, unless it may be older than a transfer."""
        asked_ms, answered_ms = fact.asked_ms, fact.answered_ms
        reading = Reading(equity=fact.value.equity, asked_ms=asked_ms, answered_ms=answered_ms)
        self._readings.append(reading)
        if len(self._readings) > READINGS_MAX:
            self._settle(self._readings[0].answered_ms)
        traced = self._update()
        if traced.track is None or self._pending_ms is not None:
            return
        moved = self._settled_sum + sum((each.change for each in traced.shown), ZERO)
        self._account.memory.equity(fact.value, asked_ms, traced.track, moved - self._written_sum)
        self._written_sum = moved

    def accept(self) -> tuple[Decimal, Decimal] | None:
        """A person takes what was lost as the new start (R1.7); the peak before, and now."""
        track = self._account.equity
        if track is None:
            return None
        self._settle(self._account.clock.now_ms())
        self._base = self._account.equity = reset_peak(track)
        return track.peak, track.equity

    def wants(self) -> Iterator[Want]:
        """When balance and transfers have to be read again, whatever else happens."""
        since_ms, balance = self._account.breakers.fallen_since_ms, self._account.state.balance
        fresh = self._account.settings.freshness
        listed_ms = self._listed_ms + fresh.transfers_ms
        if self._pending_ms is not None:
            yield Want(Read.BALANCE, None, self._pending_ms)
        elif since_ms is not None and balance is not None and balance.asked_ms < since_ms + FALL_PROVEN_MS:
            yield Want(Read.BALANCE, None, since_ms + FALL_PROVEN_MS)
        if since_ms is not None and self._listed_ms < since_ms + fresh.visibility_ms:
            listed_ms = min(listed_ms, since_ms + fresh.visibility_ms)
        yield Want(Read.TRANSFERS, None, listed_ms)

    @property
    def list_from_ms(self) -> int:
        """From when on the list has to be asked for, by our clock: twice what it may lag behind."""
        return max(self._since_ms, self._listed_ms - 2 * LISTED_MS)

    def _add(self, transfer: Transfer) -> None:
        account, known = self._account, self._account.state.balance
        transfer = replace(transfer, at_ms=min(transfer.at_ms, account.clock.now_ms()))
        if known is not None and known.value.currency != transfer.currency:
            return
        for place in (self._transfers, self._settled):
            for number, other in enumerate(place):
                if _same(transfer, other):
                    if transfer.transfer_id:
                        place[number] = replace(other, transfer_id=transfer.transfer_id)
                    return
        self._transfers.append(transfer)
        self._transfers.sort(key=lambda each: each.at_ms)
        direction = "deposit" if transfer.change > 0 else "withdrawal"
        account.say("transfer", "", f"{direction} of {plain(abs(transfer.change))} {transfer.currency}")

    def _trace(self, readings: list[Reading]) -> Traced:
        visibility_ms = self._account.settings.freshness.visibility_ms
        return retrace(self._base, readings, self._transfers, visibility_ms=visibility_ms)

    def _settle(self, until_ms: int) -> None:
        """Readings answered until then are judged for good."""
        old = [each for each in self._readings if each.answered_ms <= until_ms]
        traced = self._trace(old)
        self._base, self._readings = traced.track, self._readings[len(old) :]
        self._transfers = list(traced.pending)
        self._settled.extend(traced.shown)
        self._settled_sum += sum((each.change for each in traced.shown), ZERO)

    def _update(self) -> Traced:
        traced = self._trace(self._readings)
        self._account.equity = traced.track
        latest_ms = max((each.at_ms for each in traced.pending), default=None)
        visibility_ms = self._account.settings.freshness.visibility_ms
        self._pending_ms = None if latest_ms is None else latest_ms + visibility_ms
        return traced


def _same(one: Transfer, other: Transfer) -> bool:
    """One transfer, told twice: the list names it, the stream only says when and how much."""
    if one.transfer_id and other.transfer_id:
        return one.transfer_id == other.transfer_id
    apart_ms = SAME_MS if one.transfer_id or other.transfer_id else 0
    return one.change == other.change and abs(one.at_ms - other.at_ms) <= apart_ms
