"""When all stops and orders are read at once: in turn, and where the account's stream had a gap.

Such a read is dear. A stream that comes up and breaks again every second must not spend the budget on it:
after a gap it waits until the last one is some seconds old; what is known to be open is read meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.decisions.policy import Freshness
from holdfast.decisions.step import Read, Want
from holdfast.engine.state import AccountState

AFTER_GAP_MS = 10_000
"""Not sooner than so long after the last one."""


def census_wants(state: AccountState, fresh: Freshness, gap_ms: int) -> Iterator[Want]:
    """*gap_ms*: when the account's stream last came up; what was read before that may be wrong."""
    for read, read_ms in ((Read.STOPS, state.census_ms), (Read.ORDERS, state.orders_census_ms)):
        if read_ms < gap_ms:
            yield Want(read, None, max(gap_ms, read_ms + AFTER_GAP_MS), urgent=True)
        else:
            yield Want(read, None, read_ms + fresh.census_ms)
