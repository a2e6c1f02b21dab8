"""Equity against its peak and the day's start (R1.7): what was traded counts, what was moved does not.

Reads of the balance may lag behind a transfer. One of which nobody can say whether it shows a transfer
already is left out; and a transfer that becomes known late is put where it belongs, for a deposit
that was taken for a gain would make the next look at it a loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.account import Transfer
from holdfast.domain.numbers import ZERO

DAY_MS = 86_400_000
CLOCK_SLACK_MS = 1_000
"""So far the exchange's time, put on our clock, may be off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityTrack:
    """Equity against its running peak and the day's start, with transfers taken out; in quote."""

    equity: Decimal
    peak: Decimal
    day_start: Decimal
    day: int
    """Days since 1970, UTC."""

    @property
    def drawdown_ratio(self) -> Decimal:
        return _fall(self.peak, self.equity)

    @property
    def day_loss_ratio(self) -> Decimal:
        return _fall(self.day_start, self.equity)


def _fall(start: Decimal, now: Decimal) -> Decimal:
    return max(ZERO, (start - now) / start) if start > 0 else ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Equity (quote) as one read of the balance showed it."""

    equity: Decimal
    asked_ms: int
    answered_ms: int


@dataclass(frozen=True, slots=True)
class Traced:
    """The track over some readings, the transfers they show, and those they do not show yet."""

    track: EquityTrack | None
    shown: tuple[Transfer, ...]
    pending: tuple[Transfer, ...]


def retrace(
    track: EquityTrack | None,
    readings: Sequence[Reading],
    transfers: Sequence[Transfer],
    *,
    visibility_ms: int,
) -> Traced:
    """*track* continued over *readings* (oldest first), each transfer (our clock) in its place.

    A reading shows a transfer when it was asked *visibility_ms* after it, and does not when it was
    answered before it. Between the two it says nothing.
    """
    shown, pending = list[Transfer](), list(transfers)
    for reading in readings:
        due = [t for t in pending if t.at_ms + visibility_ms <= reading.asked_ms]
        later = [t for t in pending if t.at_ms + visibility_ms > reading.asked_ms]
        if any(t.at_ms - CLOCK_SLACK_MS <= reading.answered_ms for t in later):
            continue
        moved = sum((t.change for t in due), ZERO)
        track = track_equity(track, reading.equity, transferred=moved, now_ms=reading.asked_ms)
        shown, pending = shown + due, later
    return Traced(track, tuple(shown), tuple(pending))


def track_equity(
    track: EquityTrack | None, equity: Decimal, *, transferred: Decimal, now_ms: int
) -> EquityTrack:
    """The track after a snapshot; *transferred* = deposits minus withdrawals since the one before.

    A transfer changes peak and day's start in the same proportion as equity, so that neither looks
    like a loss or a gain: the drawdown before and after it is the same.
    """
    day = now_ms // DAY_MS
    if track is None:
        return EquityTrack(equity=equity, peak=equity, day_start=equity, day=day)
    traded = equity - transferred
    # Nothing was there, or nothing is left: history says nothing about what comes.
    scale = equity / traded if traded > 0 else None
    peak = max(track.peak, traded)
    start = track.day_start if day == track.day else traded
    return EquityTrack(
        equity=equity,
        peak=equity if scale is None else peak * scale,
        day_start=equity if scale is None else start * scale,
        day=day,
    )


def reset_peak(track: EquityTrack) -> EquityTrack:
    """The operator's answer to a drawdown: from here on it is counted anew."""
    return EquityTrack(equity=track.equity, peak=track.equity, day_start=track.equity, day=track.day)
