"""S7: no entry is decided on data older than its bound, asked of the data itself and not of its labels.

What the bot believed when it sent an entry must have been true at the exchange at some moment within
the bound: a mark that the market left long ago is old, whatever time is written on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.account import PositionKey
from holdfast.domain.symbol import Symbol
from holdfast.drills.checkers.bounds import Bounds
from holdfast.drills.checkers.findings import Findings
from holdfast.drills.checkers.mirror import Mirror

SENDING_MS = 2_500
"""From the facts to the request: the journal's patience, a step, the clock's doubt, a read's own lag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """What an entry was sent on. *position* signed base; None = not known."""

    symbol: Symbol
    client_id: str
    mark: Decimal | None
    key: PositionKey
    position: Decimal
    wallet: Decimal | None


@dataclass(slots=True)
class FreshnessChecks:
    mirror: Mirror
    bounds: Bounds
    findings: Findings

    def entry_sent(self, believed: Believed) -> None:
        limits, mirror = self.bounds.limits, self.mirror
        marks = mirror.marks_past.get(believed.symbol)
        if (
            believed.mark is None
            or marks is None
            or not marks.was(believed.mark, self._at(limits.mark_age_ms_max))
        ):
            self._stale(believed, "the mark price", believed.mark, limits.mark_age_ms_max)
        past = mirror.position(believed.key).past
        known = past.was(believed.position, self._at(limits.positions_age_ms_max)) if past.values else True
        if not known:
            self._stale(believed, "the position", believed.position, limits.positions_age_ms_max)
        wallet = believed.wallet
        if wallet is None or not self._had(wallet, self._at(limits.balance_age_ms_max)):
            self._stale(believed, "the wallet", wallet, limits.balance_age_ms_max)

    def _had(self, wallet: Decimal, since_ms: int) -> bool:
        """Whether that much was in the wallet, as the exchange tells it."""
        step = self.bounds.wallet_step
        return any(abs(each - wallet) <= step for each in self.mirror.wallets.since(since_ms))

    def _at(self, age_ms: int) -> int:
        return self.mirror.now_ms - age_ms - SENDING_MS

    def _stale(self, believed: Believed, what: str, value: Decimal | None, age_ms: int) -> None:
        text = f"an entry on {believed.symbol} was sent on {what} {value}, not true within {age_ms} ms"
        self.findings.add("S7", self.mirror.now_ms, text, client_id=believed.client_id)
