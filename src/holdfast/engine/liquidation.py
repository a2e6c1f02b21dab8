"""Emergency liquidation: its configuration, its states, its honest result (R4)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum


class LiquidationState(StrEnum):
    IDLE = "IDLE"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationConfig:
    """How a shutdown flattens (R4.1). Types and ranges are checked at construction (`ValueError`).

    *timeout_seconds* 1.0–30.0; *max_retries* 0–10 (n retries = n + 1 attempts);
    *retry_delay_seconds* 0.1–5.0, doubled after each retry.
    """

    emergency_liquidation: bool = True
    close_positions: bool = True
    cancel_orders: bool = True
    timeout_seconds: float = 5.0
    max_retries: int = 3
    retry_delay_seconds: float = 0.5

    def __post_init__(self) -> None:
        for each in fields(self):
            self._check_type(each.name)
        self._check_range("timeout_seconds", 1.0, 30.0)
        self._check_range("max_retries", 0, 10)
        self._check_range("retry_delay_seconds", 0.1, 5.0)
        if not self.emergency_liquidation and (self.close_positions or self.cancel_orders):
            raise ValueError(
                "liquidation: with emergency_liquidation = false, close_positions and cancel_orders"
                " must be false too"
            )

    def _check_type(self, name: str) -> None:
        value = getattr(self, name)
        kinds: dict[str, type | tuple[type, ...]] = {
            "timeout_seconds": (int, float),
            "retry_delay_seconds": (int, float),
            "max_retries": int,
        }
        expected = kinds.get(name, bool)
        wrong_bool = isinstance(value, bool) and expected is not bool
        if wrong_bool or not isinstance(value, expected):
            raise ValueError(f"liquidation.{name}: expected {expected}, found {value!r}")

    def _check_range(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise ValueError(f"liquidation.{name}: expected {low} to {high}, found {value!r}")
