"""Plan orders: Bitget's six families of conditional orders and the separate books they are read from.

Each plan is a conditional order of the core; what only Bitget knows of it is kept beside that
(bitget.md §3.4). Four reads show everything alive: orders-pending, and plan-pending for
`normal_plan`, `track_plan` and `profit_loss`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from holdfast.domain.numbers import ZERO
from holdfast.simulator.core.model import AlgoStatus, SimAlgo, Working


class PlanType(StrEnum):
    POS_LOSS = "pos_loss"
    POS_PROFIT = "pos_profit"
    LOSS = "loss_plan"
    PROFIT = "profit_plan"
    MOVING = "moving_plan"
    NORMAL = "normal_plan"
    TRACK = "track_plan"


WHOLE = frozenset({PlanType.POS_LOSS, PlanType.POS_PROFIT})
"""They close whatever the position is, and have no size of their own."""
PROFITS = frozenset({PlanType.POS_PROFIT, PlanType.PROFIT})
TPSL: Mapping[str, PlanType] = {
    kind.value: kind
    for kind in (PlanType.POS_LOSS, PlanType.POS_PROFIT, PlanType.LOSS, PlanType.PROFIT, PlanType.MOVING)
}
CONDITIONAL: Mapping[str, PlanType] = {kind.value: kind for kind in (PlanType.NORMAL, PlanType.TRACK)}

BOOKS: Mapping[str, frozenset[PlanType]] = {
    "normal_plan": frozenset({PlanType.NORMAL}),
    "track_plan": frozenset({PlanType.TRACK}),
    "profit_loss": frozenset(TPSL.values()),
}
"""What a read of plan orders shows by planType."""
CANCELS: Mapping[str, frozenset[PlanType]] = {
    **{kind.value: frozenset({kind}) for kind in PlanType},
    "profit_loss": frozenset(TPSL.values()),
}
"""What a cancel of plan orders reaches by planType; the default is normal_plan."""
STREAM_WORDS: Mapping[PlanType, str] = {
    PlanType.NORMAL: "pl",
    PlanType.TRACK: "track",
    PlanType.POS_LOSS: "psl",
    PlanType.POS_PROFIT: "ptp",
    PlanType.LOSS: "sl",
    PlanType.PROFIT: "tp",
    PlanType.MOVING: "mtpsl",
}
STATUSES: Mapping[AlgoStatus, str] = {
    AlgoStatus.NEW: "live",
    AlgoStatus.TRIGGERING: "executing",
    AlgoStatus.TRIGGERED: "executed",
    AlgoStatus.FINISHED: "executed",
    AlgoStatus.CANCELED: "cancelled",
    AlgoStatus.EXPIRED: "cancelled",
    AlgoStatus.REJECTED: "fail_execute",
}
PENDING = frozenset({AlgoStatus.NEW, AlgoStatus.TRIGGERING})
TRIGGER_TYPES: Mapping[str, Working] = {"fill_price": Working.LAST, "mark_price": Working.MARK}
TRIGGER_WORDS: Mapping[Working, str] = {working: word for word, working in TRIGGER_TYPES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Presets:
    """Stop and profit that come to life with a position; 0 = none, or at market."""

    loss: Decimal = ZERO
    loss_execute: Decimal = ZERO
    profit: Decimal = ZERO
    profit_execute: Decimal = ZERO

    def __bool__(self) -> bool:
        return bool(self.loss or self.profit)


NO_PRESETS = Presets()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What Bitget knows of a conditional order beyond the core."""

    type: PlanType
    trigger: Decimal
    """As asked for: a trailing plan's activation price."""
    presets: Presets = NO_PRESETS

    @property
    def loss(self) -> bool:
        return self.type in (PlanType.POS_LOSS, PlanType.LOSS, PlanType.MOVING)


def pending(algo: SimAlgo) -> bool:
    return algo.status in PENDING
