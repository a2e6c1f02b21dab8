"""Market streams: what keeps a stream's pace, whatever it tells.

A feed exists while somebody listens to its name. After every step of the core each feed is asked
what it has to say; what it says goes to all its listeners on the right category of path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.model import OrderEvent, TradeEvent
from holdfast.simulator.wire.venue import Venue


class Moment(msgspec.Struct):
    """What has happened since feeds were last asked."""

    venue: Venue
    now_ms: int
    since_ms: int
    """When they were last asked."""
    forced: Sequence[OrderEvent]
    versions: Mapping[Symbol, int]
    """Grows with every price of a symbol."""

    def trades(self, symbol: Symbol) -> Sequence[TradeEvent]:
        """What was printed on the public tape."""
        return self.venue.core.trades_since(symbol, self.since_ms)


Tell = Callable[["Feed", Moment], list[object]]


@dataclass(slots=True)
class Feed:
    """One stream. *symbol* None: of all symbols."""

    name: str
    category: str
    """Of the paths that serve it; sockets without a category are served everything."""
    symbol: Symbol | None
    period_ms: int
    tell: Tell
    argument: str = ""
    looks_first: bool = False
    """It remembers what is there when it is opened, and tells of changes from then on."""
    account_id: str = ""
    """Whose it is, of a feed on a user stream; "" for market feeds."""
    label: str = ""
    """What faults know its messages by, where that is not the name."""
    told_ms: int = -1
    version: int = -1
    candle_ms: int = -1
    update_id: int = -1
    shown: tuple[dict[str, str], dict[str, str]] = field(default_factory=lambda: ({}, {}))

    def ask(self, moment: Moment) -> list[object]:
        """Payloads to send now."""
        return self.tell(self, moment)

    def due(self, moment: Moment) -> bool:
        """A period has begun since the last message."""
        if self.told_ms >= 0 and moment.now_ms // self.period_ms == self.told_ms // self.period_ms:
            return False
        self.told_ms = moment.now_ms
        return True

    def moved(self, moment: Moment) -> bool:
        """A period has begun and the price has moved."""
        version = moment.versions.get(self.only, 0)
        return version != self.version and self.due(moment) and self._note(version)

    def _note(self, version: int) -> bool:
        self.version = version
        return True

    @property
    def only(self) -> Symbol:
        if self.symbol is None:
            raise LookupError(f"stream {self.name} is not of one symbol")
        return self.symbol
