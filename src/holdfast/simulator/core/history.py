"""An account as it was a moment ago: reads lag effects on the real exchange too."""

from __future__ import annotations

import copy
from collections import deque
from dataclasses import replace

from holdfast.simulator.core.model import SimAccount, SimAlgo, SimOrder

KEPT_MS = 2_000
"""How far back versions are kept."""


class History:
    """Versions of one account. Live objects change in place; versions never do: what changed is
    copied once per commit, everything else is shared between versions."""

    def __init__(self, account: SimAccount, now_ms: int) -> None:
        self._account = account
        self.orders_changed: dict[int, SimOrder] = {}
        self.algos_changed: dict[int, SimAlgo] = {}
        self._versions: deque[tuple[int, SimAccount]] = deque()
        self.commit(now_ms, (), ())

    def commit(self, now_ms: int, live_orders: tuple[int, ...], live_algos: tuple[int, ...]) -> None:
        """Keep the account as it stands; a second commit within a millisecond replaces the first."""
        account, before = self._account, self._versions[-1] if self._versions else None
        version = replace(
            account,
            leverage=dict(account.leverage),
            side_leverage=dict(account.side_leverage),
            margin_mode=dict(account.margin_mode),
            positions={key: copy.copy(position) for key, position in account.positions.items()},
            orders=dict(before[1].orders) if before else {},
            algos=dict(before[1].algos) if before else {},
            fills=account.fills[:],
            incomes=account.incomes[:],
            live_orders=live_orders,
            live_algos=live_algos,
        )
        version.orders.update((key, copy.copy(order)) for key, order in self.orders_changed.items())
        version.algos.update((key, copy.copy(algo)) for key, algo in self.algos_changed.items())
        self.orders_changed.clear()
        self.algos_changed.clear()
        if before and before[0] == now_ms:
            self._versions.pop()
        self._versions.append((now_ms, version))
        while len(self._versions) > 1 and self._versions[1][0] <= now_ms - KEPT_MS:
            self._versions.popleft()

    def at(self, at_ms: int) -> SimAccount:
        """The version in force at *at_ms*; the oldest kept when that is too long ago."""
        for since_ms, version in reversed(self._versions):
            if since_ms <= at_ms:
                return version
        return self._versions[0][1]
