"""What an operator can order a running bot to do: one face for HTTP, CLI and later doors (R1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What came of an order of the operator; told as the engine knows it, not as it was asked.

    *done* is False when it was refused (*message* says why) or did not succeed in full; *state* is
    the operator state in force afterwards (`running`, `stopped`, `killed`). *details* holds what a
    machine may want: of a liquidation `state`, `positions_closed`, `positions_failed`,
    `orders_cancelled`, `errors` (R4.4).
    """

    done: bool
    state: str
    message: str
    correlation_id: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


class OperatorCommands(Protocol):
    """Implemented by the supervisor. Every call is audited with *who* and *why*, and never raises."""

    async def run(self, *, who: str, why: str) -> CommandResult:
        """Clear stop and kill, sync with the exchange anew, then trade.

        Refused while `GLOBAL_KILL_SWITCH` is set (R1.6).
        """
        ...

    async def stop(self, *, who: str, why: str) -> CommandResult:
        """No new entries; positions stay, protected and supervised."""
        ...

    async def kill(self, *, who: str, why: str, liquidate: bool = False) -> CommandResult:
        """Halt all trading, latched over restarts. Positions and stops stay unless *liquidate*."""
        ...

    async def flatten(self, *, who: str, why: str) -> CommandResult:
        """Close everything of ours at market and take no new entries; returns when it is over."""
        ...
