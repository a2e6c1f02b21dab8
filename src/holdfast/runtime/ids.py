"""Names for what we send: unique over restarts, and recognisable as ours at the exchange."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from holdfast.domain.invariant import require
from holdfast.domain.orders import ClientOrderId
from holdfast.domain.protocols import Clock

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_RANDOM_DIGITS = 5
_TAG_MAX = 6
LENGTH_MAX = 32
_EPOCH_MAX = 36**9

_FORM = re.compile(r"^hf-([0-9a-z]{1,9})-([a-z0-9]{1,6})-([0-9a-z]{1,8})([0-9a-z]{5})$")


@dataclass(frozen=True, slots=True)
class OurId:
    """What a client order id of ours says."""

    epoch: int
    """Which run of the bot made it."""
    tag: str
    counter: int


class BotIds:
    """Client order ids `hf-{epoch}-{tag}-{counter}{random}` and correlation ids (`domain.protocols.Ids`).

    *epoch* is the instance's number (the lease's epoch, or its start in ms): with the counter it makes
    an id unique. The random digits keep it unique when a home was thrown away and began anew:
    exchanges find orders by client id among closed ones too.
    """

    def __init__(self, clock: Clock, epoch: int, chance: random.Random) -> None:
        require(0 <= epoch < _EPOCH_MAX, f"expected an instance epoch below 36^9, found {epoch}")
        self._clock = clock
        self._epoch = base36(epoch)
        self._chance = chance
        self._counter = 0

    def client_order_id(self, tag: str) -> ClientOrderId:
        """A new id of at most 32 characters of `[a-z0-9-]`; *tag* is cut to 6 such characters."""
        self._counter += 1
        tag = re.sub(r"[^a-z0-9]", "", tag.lower())[:_TAG_MAX] or "x"
        tail = base36(self._chance.randrange(36**_RANDOM_DIGITS)).rjust(_RANDOM_DIGITS, "0")
        made = f"hf-{self._epoch}-{tag}-{base36(self._counter)}{tail}"
        require(len(made) <= LENGTH_MAX, f"client order id too long: {made}")
        return ClientOrderId(made)

    def correlation_id(self, prefix: str) -> str:
        """`{prefix}_{YYYYMMDD}_{HHMMSS}_{6 hex}` in UTC (R4.5)."""
        at = datetime.fromtimestamp(self._clock.now_ms() // 1000, tz=UTC)
        return f"{prefix}_{at:%Y%m%d_%H%M%S}_{self._chance.randrange(16**6):06x}"


def base36(value: int) -> str:
    """Lower-case base 36 of a number ≥ 0."""
    digits = ""
    while value:
        value, digit = divmod(value, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def parse(client_id: str) -> OurId | None:
    """What our id says, or None when it is not one of ours."""
    match = _FORM.match(client_id)
    return OurId(int(match[1], 36), match[2], int(match[3], 36)) if match else None


@lru_cache(maxsize=16_384)
def is_ours(client_id: str) -> bool:
    """Did a bot of ours (any run of it) make this id? (R0.4) Asked of the same ids on every step."""
    return _FORM.match(client_id) is not None
