"""What a dialect says on its WebSockets: the part of the hub that differs from exchange to exchange."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple, Protocol

from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.model import (
    AccountEvent,
    AlgoEvent,
    ConfigEvent,
    MarginCallEvent,
    OrderEvent,
    PriceEvent,
)
from holdfast.simulator.wire.feeds import Feed
from holdfast.simulator.wire.sockets import Manner, Socket, Sockets

AnyUserEvent = OrderEvent | AlgoEvent | AccountEvent | ConfigEvent | MarginCallEvent
Marks = Mapping[Symbol, Decimal]


class Told(NamedTuple):
    """One message to all who listen to *name*."""

    name: str
    label: str
    """What faults know it by."""
    payload: object


class Tongue(Protocol):
    """The words of one exchange."""

    manner: Manner

    def note_price(self, event: PriceEvent) -> None: ...

    def marks_of(self, event: AnyUserEvent) -> Marks:
        """The marks an event's figures are reckoned with; called in its moment, before the core rests."""
        ...

    def told(self, event: AnyUserEvent, marks: Marks) -> Iterable[Told]:
        """What its owner is told, in order; called once the core is at rest."""
        ...

    def settled(self) -> Iterable[tuple[str, Told]]:
        """What is told (with its account id) once all events of a step are."""
        ...

    def expired(self, now_ms: int) -> Iterable[Told]:
        """Last words of streams whose time is over."""
        ...

    def open_feed(self, name: str) -> Feed | None:
        """The feed behind a stream's name; None when there is none."""
        ...

    def control(self, sockets: Sockets, socket: Socket, text: str) -> bytes | None:
        """Obey what a client sent; the answer's bytes, None for no answer."""
        ...

    def encoded(self, name: str, payload: object) -> bytes:
        """A payload of the stream *name* as a frame's bytes."""
        ...

    def owner(self, socket: Socket) -> str | None:
        """Whose events it hears (account id, "" when nobody's any more); None: a market socket."""
        ...


class PriceWords:
    """Remembers the marks, which most exchanges' account events are reckoned with."""

    def __init__(self) -> None:
        self._marks: dict[Symbol, Decimal] = {}

    def note_price(self, event: PriceEvent) -> None:
        self._marks[event.symbol] = event.mark

    def marks_of(self, event: AnyUserEvent) -> Marks:
        if not isinstance(event, AccountEvent | MarginCallEvent):
            return {}
        return {p.symbol: self._marks.get(p.symbol, p.entry_price) for p in event.positions}

    def settled(self) -> Iterable[tuple[str, Told]]:
        """Nothing: events are told one by one."""
        return ()
