"""When a position may be believed gone: the asymmetric half of architecture rule 4, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from holdfast.decisions.facts import Facts
from holdfast.domain.account import Fact, Position, PositionKey


class Evidence(StrEnum):
    """Why we believe that a position is gone."""

    NEWS = "news"
    """The exchange's own account or fill event: conclusive."""
    TWO_READS = "two_reads"
    """Two independent complete reads, far enough apart and late enough."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The position surely ended, at the latest at *at_ms*."""

    evidence: Evidence
    at_ms: int


def gone(key: PositionKey, since_ms: int, facts: Facts) -> Gone | None:
    """Proof that what stood at *since_ms* is gone; a single read is none, nor a failed or partial one."""
    told = facts.flat_news.get(key)
    if told is not None and told >= since_ms:
        return Gone(Evidence.NEWS, told)
    late_enough = since_ms + facts.freshness.visibility_ms
    last, before = facts.positions_read, facts.positions_before
    if last is None or before is None:
        return None
    apart = last.asked_ms - before.asked_ms >= facts.freshness.confirm_ms
    if apart and _lacks(last, key, late_enough) and _lacks(before, key, late_enough):
        return Gone(Evidence.TWO_READS, before.asked_ms)
    return None


def missing(key: PositionKey, since_ms: int, facts: Facts) -> bool:
    """The last read does not show it: a reason to look again, nothing more."""
    last = facts.positions_read
    return last is not None and _lacks(last, key, since_ms + facts.freshness.visibility_ms)


def _lacks(read: Fact[tuple[Position, ...]], key: PositionKey, late_enough_ms: int) -> bool:
    return (
        read.complete
        and read.asked_ms >= late_enough_ms
        and all(position.key != key for position in read.value)
    )
