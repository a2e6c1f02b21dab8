"""What made it impossible to do better, and until when: by the log of what really happened.

A promise about time is judged on the time in which it could have been kept. While the bot is dead or
the exchange's stop endpoint is out nobody can protect anything; such times are told here, by cause,
and a checker asks when one of the causes that excuse *it* was last at work.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

Cause = Hashable
"""A word, a word with the symbol it concerns, or `Both`."""

BOT = "bot"
"""The bot is dead, paused or just starting."""
NETWORK = "network"
"""Nothing passes between bot and exchange."""
READS = "reads"
"""Questions are not answered, or answered falsely."""
STREAM = "stream"
"""Events of the account are not told."""
STORE = "store"
"""The database does not take writes."""
ORDERS = "orders"
"""Orders, closes or cancels meet faults."""
STOPS = "stops"
"""The stop endpoint meets faults."""


@dataclass(frozen=True, slots=True)
class Both:
    """An excuse only while both are at work."""

    one: Cause
    other: Cause


UNKNOWING = Both(READS, STREAM)
"""Nothing tells the bot what it holds."""


@dataclass(slots=True)
class _Span:
    """One cause: how many of its outages stand, and up to when it excuses without them."""

    standing: int = 0
    until_ms: int = 0


@dataclass(slots=True)
class Impairments:
    """Outages that begin and end, and single hits that excuse for a while."""

    spans: dict[Cause, _Span] = field(default_factory=dict)

    def began(self, cause: Cause) -> None:
        span = self.spans.setdefault(cause, _Span())
        span.standing += 1

    def ended(self, cause: Cause, at_ms: int, grace_ms: int = 0) -> None:
        """It is over; for *grace_ms* more it still excuses (who was cut off has to notice)."""
        span = self.spans.setdefault(cause, _Span())
        span.standing = max(0, span.standing - 1)
        span.until_ms = max(span.until_ms, at_ms + grace_ms)

    def hit(self, cause: Cause, at_ms: int, for_ms: int) -> None:
        """A single request or message met a fault, which costs at most *for_ms*."""
        span = self.spans.setdefault(cause, _Span())
        span.until_ms = max(span.until_ms, at_ms + for_ms)

    def relieved(self, cause: Cause, at_ms: int) -> None:
        """What was hit is tried again and passes now: the excuse ends here."""
        span = self.spans.get(cause)
        if span is not None:
            span.until_ms = min(span.until_ms, at_ms)

    def last_ms(self, causes: Iterable[Cause], now_ms: int) -> int:
        """The latest moment up to *now_ms* at which one of *causes* was at work; 0 = never."""
        return max((self._last_ms(cause, now_ms) for cause in causes), default=0)

    def _last_ms(self, cause: Cause, now_ms: int) -> int:
        if isinstance(cause, Both):
            return min(self._last_ms(cause.one, now_ms), self._last_ms(cause.other, now_ms))
        span = self.spans.get(cause)
        if span is None:
            return 0
        return now_ms if span.standing else min(now_ms, span.until_ms)

    def clear_ms(self, causes: Iterable[Cause], since_ms: int, now_ms: int) -> int:
        """For how long, up to *now_ms* and from *since_ms* at the earliest, none of *causes* was at work."""
        return now_ms - max(since_ms, self.last_ms(causes, now_ms))

    def within_ms(self, causes: Iterable[Cause], since_ms: int, now_ms: int) -> int:
        """How much of the time from *since_ms* to *now_ms* they excuse, told often enough (every second)."""
        return max(0, self.last_ms(causes, now_ms) - since_ms)
