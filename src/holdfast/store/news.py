"""What an exchange's answer means for an intent's life: from outcomes, orders and stops to `Heard`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

from holdfast.domain.intents import (
    Accepted,
    Intent,
    Outcome,
    Purpose,
    Rejected,
    RejectReason,
    Unavailable,
    Unknown,
)
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import ExchangeStatus, Heard, Order, Stop, StopStatus


@dataclass(frozen=True, slots=True)
class News:
    """What was heard of an intent, and the numbers that came with it."""

    heard: Heard
    detail: str = ""
    exchange_id: str = ""
    filled: Decimal = ZERO
    average_price: Decimal = ZERO


# An order that the exchange shows as rejected existed: for the journal it ended like a cancelled
# one. REJECT is kept for the request itself being refused.
ORDER_HEARD: Mapping[ExchangeStatus, Heard] = {
    ExchangeStatus.OPEN: Heard.ACK,
    ExchangeStatus.PARTIAL: Heard.ACK,
    ExchangeStatus.FILLED: Heard.FILL,
    ExchangeStatus.CANCELLED: Heard.CANCELLED,
    ExchangeStatus.EXPIRED: Heard.CANCELLED,
    ExchangeStatus.REJECTED: Heard.CANCELLED,
}
# A stop that is triggering or has triggered may still be without effect (gauntlet G32): only
# FINISHED says that the order it became is done.
STOP_HEARD: Mapping[StopStatus, Heard] = {
    StopStatus.LIVE: Heard.ACK,
    StopStatus.TRIGGERING: Heard.ACK,
    StopStatus.TRIGGERED: Heard.ACK,
    StopStatus.FINISHED: Heard.FILL,
    StopStatus.CANCELLED: Heard.CANCELLED,
    StopStatus.EXPIRED: Heard.CANCELLED,
    StopStatus.REJECTED: Heard.CANCELLED,
}
CANCELS = (Purpose.CANCEL_ORDER, Purpose.CANCEL_STOP)


def of_order(order: Order, intent: Intent) -> News:
    """What the exchange's book says of an order. A stop's order has an id of its own: the stop's stays."""
    became = intent.purpose is Purpose.PLACE_STOP
    return News(
        ORDER_HEARD[order.status],
        detail=f"order {order.status}",
        exchange_id="" if became else order.order_id,
        filled=order.filled,
        average_price=order.average_price,
    )


def of_stop(stop: Stop, _intent: Intent) -> News:
    return News(STOP_HEARD[stop.status], detail=f"stop {stop.status}", exchange_id=stop.stop_id)


def of_outcome(outcome: Outcome, intent: Intent) -> News:
    """What the answer to a request says of its intent."""
    match outcome:
        case Accepted():
            return _accepted(outcome, intent)
        case Rejected(reason=RejectReason.DUPLICATE_ID):
            # It proves that an earlier send arrived, not what became of it.
            return News(Heard.NO_ANSWER, detail=f"{outcome.code} {outcome.message}")
        case Rejected():
            return News(Heard.REJECT, detail=f"{outcome.reason}: {outcome.code} {outcome.message}")
        case Unavailable():
            return News(Heard.REJECT, detail=f"unavailable: {outcome.cause}")
        case Unknown():
            return News(Heard.NO_ANSWER, detail=outcome.cause)
        case _:
            assert_never(outcome)


def _accepted(accepted: Accepted, intent: Intent) -> News:
    if intent.purpose in CANCELS:
        # The request did all it was for: over, with nothing filled.
        return News(Heard.CANCELLED, detail="cancelled", exchange_id=accepted.exchange_id)
    if accepted.stop is not None:
        return of_stop(accepted.stop, intent)
    if accepted.order is not None:
        return of_order(accepted.order, intent)
    return News(Heard.ACK, detail="accepted", exchange_id=accepted.exchange_id)
