"""What an operator should know of, once per cause, until it is over. Channels come on top of this."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from holdfast.decisions.step import Concern
from holdfast.engine.view import AlertView


@dataclass(slots=True)
class Alerts:
    """Standing alerts by (id, symbol). Raising one that stands changes nothing but its text.

    *on_raised* and *on_cleared* hear of every change, whoever made it: the log and the audit.
    """

    standing: dict[tuple[str, str], AlertView] = field(default_factory=dict)
    raised: int = 0
    on_raised: Callable[[Concern], None] = lambda concern: None
    on_cleared: Callable[[str, str], None] = lambda id_, symbol: None

    def raise_(self, concern: Concern, now_ms: int) -> bool:
        """True when the alert is new."""
        key = (concern.id, concern.symbol)
        known = self.standing.get(key)
        self.standing[key] = AlertView(
            id=concern.id,
            severity=concern.severity,
            text=concern.text,
            since_ms=known.since_ms if known else now_ms,
            runbook=concern.id.lower(),
        )
        if known is None:
            self.raised += 1
            self.on_raised(concern)
        return known is None

    def clear(self, id_: str, symbol: str = "") -> bool:
        """True when it stood."""
        stood = self.standing.pop((id_, symbol), None) is not None
        if stood:
            self.on_cleared(id_, symbol)
        return stood

    def keep(self, id_: str, symbols: Iterable[str]) -> list[str]:
        """Clear the alerts of that id for every other symbol; returns those that were cleared."""
        if not self.standing:
            return []
        wanted = set(symbols)
        gone = sorted(s for (i, s) in self.standing if i == id_ and s not in wanted)
        for symbol in gone:
            self.clear(id_, symbol)
        return gone

    def of(self, id_: str) -> tuple[str, ...]:
        """The symbols for which alerts of that id stand."""
        return tuple(sorted(symbol for id_of_it, symbol in self.standing if id_of_it == id_))

    def views(self) -> tuple[AlertView, ...]:
        order = {"critical": 0, "warning": 1, "info": 2}
        return tuple(sorted(self.standing.values(), key=lambda a: (order[a.severity], a.since_ms, a.id)))
