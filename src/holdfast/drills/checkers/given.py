"""Since when nobody wants more risk: what the operator ordered and what the bot stepped down to."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.drills.checkers.durable import Standing


@dataclass(slots=True)
class OrdersGiven:
    """Two sources: what is committed, and what a living bot has said is in force."""

    _committed: tuple[str, int] | None = None
    in_force: tuple[str, int] | None = None
    """What the living bot obeys, and since when; None = it runs."""

    def committed(self, standing: Standing, at_ms: int) -> None:
        """The store says so from *at_ms* on (told at every commit)."""
        if standing.adds_risk:
            self._committed = None
        elif self._committed is None:
            self._committed = (f"{standing.operator.value}, {standing.mode.value} (committed)", at_ms)

    def obeyed(self, command: str, at_ms: int) -> None:
        """The bot obeys an order of the operator: `run`, or what forbids risk."""
        self.in_force = None if command == "run" else (command, at_ms)

    def bot_died(self) -> None:
        """What was in force but never written died with it; what is written stands."""
        self.in_force = None

    def forbidden_since(self) -> tuple[str, int] | None:
        """What forbids risk, and since when; None = it is allowed."""
        known = [each for each in (self._committed, self.in_force) if each is not None]
        return min(known, key=lambda each: each[1], default=None)
