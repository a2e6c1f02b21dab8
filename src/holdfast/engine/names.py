"""What the client ids of our requests say of their purpose, so that a later run still knows it."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.domain.intents import Purpose
from holdfast.runtime.ids import parse

TAGS: Mapping[Purpose, str] = {
    Purpose.ENTER: "in",
    Purpose.CLOSE: "out",
    Purpose.PLACE_STOP: "stop",
    Purpose.CANCEL_ORDER: "c",
    Purpose.CANCEL_STOP: "cs",
}
_PURPOSES = {tag: purpose for purpose, tag in TAGS.items()}


def purpose_in(client_id: str) -> Purpose | None:
    """What an id of any run of ours was made for; None when it is not ours."""
    known = parse(client_id)
    return _PURPOSES.get(known.tag) if known else None
