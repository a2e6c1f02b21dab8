"""Time, identity and chance are given, never taken (architecture rule 10)."""

from __future__ import annotations

from typing import Protocol

from holdfast.domain.orders import ClientOrderId


class Clock(Protocol):
    """The bot's time. In drills and demos it runs at another speed than the wall's."""

    def now_ms(self) -> int:
        """UTC wall clock in milliseconds, comparable with an exchange's clock. The machine's may be stepped,
        the engine's is not (`runtime.clock.SteadyClock`)."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds that never run backwards; only differences mean something."""
        ...


class Ids(Protocol):
    def client_order_id(self, tag: str) -> ClientOrderId:
        """A new id of at most 32 characters of `[a-z0-9-]`, carrying bot, instance epoch and *tag*."""
        ...

    def correlation_id(self, prefix: str) -> str:
        """`{prefix}_{YYYYMMDD}_{HHMMSS}_{6 hex}` (R4.5)."""
        ...


class Random(Protocol):
    def uniform(self, low: float, high: float) -> float: ...
