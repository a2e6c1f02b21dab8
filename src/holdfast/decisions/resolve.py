"""What became of a request without an answer (architecture rule 5)."""

from __future__ import annotations

from holdfast.domain.intents import Accepted, Journaled, Lookup, NotFound
from holdfast.domain.orders import ExchangeStatus, Heard, StopStatus

GONE = (StopStatus.CANCELLED, StopStatus.EXPIRED, StopStatus.REJECTED)


def verdict(journaled: Journaled, lookup: Lookup, *, clock_doubt_ms: int, visibility_ms: int) -> Heard | None:
    """What a lookup by client id proves, or None while it proves nothing yet.

    "Not found" proves death only when it was asked after the signed request can no longer be accepted
    (signed time + receive window, by the exchange's clock as far as we know it, plus the doubt about
    our clock) and after anything accepted until then must have become visible.
    """
    match lookup:
        case Accepted(order=order, stop=stop):
            if order is not None:
                return _order_news(order.status, has_fills=order.filled > 0)
            if stop is not None:
                return Heard.CANCELLED if stop.status in GONE else Heard.ACK
            return Heard.ACK
        case NotFound(asked_ms=asked_ms):
            surely_late = dead_after_ms(journaled, clock_doubt_ms, visibility_ms)
            return Heard.PROVEN_DEAD if asked_ms > surely_late else None
        case _:
            return None


def dead_after_ms(journaled: Journaled, clock_doubt_ms: int, visibility_ms: int) -> int:
    """From then on (our clock) "not found" means that the request never had an effect and never will."""
    return journaled.expires_ms + clock_doubt_ms + visibility_ms


def _order_news(status: ExchangeStatus, *, has_fills: bool) -> Heard:
    if not status.final:
        return Heard.ACK
    if status is ExchangeStatus.FILLED or has_fills:
        return Heard.FILL
    return Heard.CANCELLED
