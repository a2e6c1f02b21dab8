"""Which stops are ours: the exchange does not promise to keep a stop's client id.

What we placed is known by the exchange's id, from the answer; and while no answer came, by what was asked
for: instrument, sides, trigger and size. After a restart the journal tells both again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from holdfast.domain.intents import Intent, Journaled
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import PositionSide, Side, Stop, StopKind
from holdfast.domain.symbol import Symbol

REMEMBERED_MAX = 2_000
"""So many of our stops are known by name; the oldest are forgotten first."""
CLOCK_SLACK_MS = 2_000
"""By so much a stop's own time may be out of its request's window."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What tells a stop from others when it bears no name."""

    symbol: Symbol
    side: Side
    position_side: PositionSide
    trigger_price: Decimal
    quantity: Decimal
    """0 = the whole position."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A stop that was asked for and not yet seen."""

    shape: Shape
    at_ms: int
    """When it was signed, by the exchange's clock."""
    until_ms: int
    """From then on the exchange refuses it."""


class StopLedger:
    """The names of the stops that we placed."""

    def __init__(self) -> None:
        self._asked: dict[str, Asked] = {}
        self._client_ids: dict[str, str] = {}
        self._stops: dict[str, Stop] = {}

    def asked(self, journaled: Journaled, exchange_ms: int) -> None:
        """A request for a stop is about to leave, signed with *exchange_ms*."""
        until_ms = exchange_ms + journaled.window_ms
        self._asked[journaled.client_id] = Asked(_wanted(journaled.intent), exchange_ms, until_ms)
        while len(self._asked) > REMEMBERED_MAX:
            del self._asked[next(iter(self._asked))]

    def refused(self, client_id: str) -> None:
        """It had no effect."""
        self._asked.pop(client_id, None)

    def placed(self, client_id: str, stop_id: str) -> None:
        """The exchange has it under *stop_id*; those seen last are remembered longest."""
        self._asked.pop(client_id, None)
        self._client_ids.pop(stop_id, None)
        self._client_ids[stop_id] = client_id
        while len(self._client_ids) > REMEMBERED_MAX:
            oldest = next(iter(self._client_ids))
            del self._client_ids[oldest]
            self._stops.pop(oldest, None)

    def asked_ms(self, client_id: str) -> int | None:
        """When a stop was asked for that was not seen since; None when there is none of that name."""
        asked = self._asked.get(client_id)
        return asked.at_ms if asked else None

    def id_of(self, client_id: str) -> str:
        """The exchange's id of our stop; empty when it is not known."""
        return next((stop_id for stop_id, known in self._client_ids.items() if known == client_id), "")

    def named(self, stop: Stop) -> Stop:
        """*stop* under its name, if it is one of ours; completed where an event left something out."""
        client_id = stop.client_id or self._client_ids.get(stop.stop_id) or self._recognised(stop)
        if not client_id:
            return stop
        self.placed(client_id, stop.stop_id)
        found = replace(self._completed(stop), client_id=client_id)
        self._stops[stop.stop_id] = found
        return found

    def find(self, client_id: str, stops: Iterable[Stop]) -> Stop | None:
        """Our stop of that name among *stops*."""
        return next((stop for stop in map(self.named, stops) if stop.client_id == client_id), None)

    def _completed(self, stop: Stop) -> Stop:
        """An event does not tell when a stop was made, nor a triggered one's kind and size."""
        known = self._stops.get(stop.stop_id)
        if known is None or stop.created_ms:
            return stop
        return replace(known, status=stop.status, updated_ms=stop.updated_ms, order_id=stop.order_id)

    def _recognised(self, stop: Stop) -> str:
        """The last request that it can have come from: of several alike it does not matter which."""
        made_ms, shape = stop.created_ms or stop.updated_ms, _seen(stop)
        fitting = [
            (asked.at_ms, client_id)
            for client_id, asked in self._asked.items()
            if asked.shape == shape
            and asked.at_ms - CLOCK_SLACK_MS <= made_ms <= asked.until_ms + CLOCK_SLACK_MS
        ]
        return max(fitting)[1] if fitting and stop.kind is StopKind.STOP else ""


def _wanted(intent: Intent) -> Shape:
    whole = intent.close_position or not intent.quantity
    return Shape(
        intent.symbol,
        intent.side,
        intent.position_side,
        intent.trigger_price or ZERO,
        ZERO if whole else intent.quantity,
    )


def _seen(stop: Stop) -> Shape:
    size = ZERO if stop.close_position else stop.quantity
    return Shape(stop.symbol, stop.side, stop.position_side, stop.trigger_price, size)
