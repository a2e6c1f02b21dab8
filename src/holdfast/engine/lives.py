"""Which executions belong to one life of a position, from its opening to flat (R3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from holdfast.decisions.facts import Tracked
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Fill

SIGNING_SLACK_MS = 1_000
"""Nothing we signed was executed earlier than this before, by the exchange's clock."""
CLOCK_DOUBT_MS = 600_000
"""Our clock may have been set since the entry was signed: what is not found is looked for earlier."""
ADOPTION_SLACK_MS = 5_000
"""An adopted position was seen at most so long after, or by a wrong clock before, its last execution."""


@dataclass(frozen=True, slots=True)
class Life:
    """The executions that grew and those that shrank the position, up to flat, oldest first."""

    entering: tuple[Fill, ...]
    leaving: tuple[Fill, ...]
    rest: Decimal
    """What they leave open: 0 when they account for exactly this position, below 0 after a flip."""
    after: Decimal
    """What was bought (above 0) or sold since, in sum: 0 when nothing can stand now."""

    @property
    def flat_now(self) -> bool:
        """By all executions that are there: not only did it come to an end, nothing was opened since."""
        return self.rest == 0 and self.after == 0


def first_fill_ms(tracked: Tracked) -> int:
    """From when on (our clock) the executions of the position are to be asked for."""
    if tracked.entry_signed_ms:
        return tracked.entry_signed_ms - SIGNING_SLACK_MS
    return tracked.opened_ms - ADOPTION_SLACK_MS


def life(
    fills: Sequence[Fill], tracked: Tracked, *, offset_ms: int = 0, lenient: bool = False
) -> Life | None:
    """The position's executions, or None while they do not reach flat.

    For a position that we opened they are walked from nothing: a closing fill before anything is open
    belongs to the position before, and what comes after flat to the next one. An adopted one begins with
    the size it was seen with, and some of the fills around that moment are in this size already: they are
    cut off where their times say so, or where all that is there comes out flat. *lenient*: where any end
    comes out even, else the likeliest though it does not.
    *offset_ms*: the exchange's clock minus ours.
    """
    key = tracked.key
    mine = [f for f in fills if f.symbol == key.symbol and f.position_side is key.side]
    if not tracked.adopted:
        return _from_entry(mine, tracked, tracked.entry_signed_ms + offset_ms)
    cuts = _cuts(mine, tracked.opened_ms + offset_ms)
    walks = [_walk(mine[cut:], tracked, tracked.adopted_quantity) for cut in cuts]
    even = [walk for walk in walks if walk is not None and walk.rest == 0]
    sure = [walk for walk in even if walk is walks[0] or walk.flat_now]
    return next(iter(sure or (even or walks if lenient else [])), None)


def _from_entry(fills: Sequence[Fill], tracked: Tracked, signed_ms: int) -> Life | None:
    """From the order on whose executions began nearest to when the entry was signed.

    What was executed before belongs to other lives, also to ones in the other direction, whose end looks
    like a beginning of this one.
    """
    began: dict[str, int] = {}
    for place, fill in enumerate(fills):
        if fill.side is tracked.direction.opening:
            began.setdefault(fill.order_id, place)
    if not began:
        return None
    first = min(began.values(), key=lambda place: abs(fills[place].at_ms - signed_ms))
    return _walk(fills[first:], tracked, ZERO)


def _walk(fills: Sequence[Fill], tracked: Tracked, quantity: Decimal) -> Life | None:
    entering: list[Fill] = []
    leaving: list[Fill] = []
    for place, fill in enumerate(fills, start=1):
        if fill.side is tracked.direction.opening:
            entering.append(fill)
            quantity += fill.quantity
        elif quantity > 0:
            leaving.append(fill)
            quantity -= fill.quantity
            if quantity <= 0:
                after = sum((each.quantity * each.side.sign for each in fills[place:]), ZERO)
                return Life(tuple(entering), tuple(leaving), quantity, after)
    return None


def _cuts(fills: Sequence[Fill], seen_ms: int) -> list[int]:
    """How many fills may be in the size that was adopted, the likeliest number first (exchange time)."""

    def possible(cut: int) -> bool:
        in_time = cut == 0 or fills[cut - 1].at_ms <= seen_ms + ADOPTION_SLACK_MS
        return in_time and (cut == len(fills) or fills[cut].at_ms >= seen_ms - ADOPTION_SLACK_MS)

    def misplaced(cut: int) -> int:
        late = sum(fill.at_ms > seen_ms for fill in fills[:cut])
        return late + sum(fill.at_ms <= seen_ms for fill in fills[cut:])

    return sorted((cut for cut in range(len(fills) + 1) if possible(cut)), key=misplaced)
