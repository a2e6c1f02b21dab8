"""Writes down what a world shows: requests, the exchange's events, the bot's log and journal, its deaths.

It only listens, and looks into the database when all is over: nothing is inserted into the bot.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from holdfast.drills.lives import Life
from holdfast.drills.plan import Played
from holdfast.drills.story import Seen
from holdfast.drills.world import World
from holdfast.simulator.core.model import (
    AccountEvent,
    AlgoEvent,
    ConfigEvent,
    CoreEvent,
    MarginCallEvent,
    OrderEvent,
)
from holdfast.simulator.core.truth import CoverChange
from holdfast.simulator.events import event_json
from holdfast.simulator.requests import Arrival

_KINDS: Mapping[type, str] = {
    OrderEvent: "order",
    AlgoEvent: "algo",
    AccountEvent: "account",
    ConfigEvent: "config",
    MarginCallEvent: "margin_call",
}


class Witness:
    """Make it before the bot is started; ask for `seen` within the scenario, while the home is there."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: list[Seen] = []
        world.server.log.listen(self._arrived)
        world.server.core.listen(self._told, prices=False)
        world.server.core.listen_cover(self._cover)
        world.listeners.append(self._said)
        world.births.append(lambda life: self._note("born", world.now_ms, {"life": life.number}))
        world.deaths.append(lambda life: self._note("died", world.now_ms, {"life": life.number}))

    def seen(self, played: Sequence[Played] = ()) -> list[Seen]:
        """Everything in the order of time; what was *played* is part of it."""
        troubles = [row for each in played for row in self._trouble(each)]
        return sorted([*self._seen, *troubles, *self._journal()], key=lambda row: row.at_ms)

    def _note(self, kind: str, at_ms: int, fields: Mapping[str, Any]) -> None:
        self._seen.append(Seen(kind, at_ms, fields))

    def _arrived(self, arrival: Arrival) -> None:
        sent = arrival.params
        fields = {
            **sent,
            "method": arrival.method,
            "path": arrival.path,
            "faults": [fault.kind.value for fault in arrival.faults],
            "asks": sorted(self._world.wire.asks(arrival)),
            "client_id": self._world.wire.client_id(sent),
        }
        self._note("request", arrival.at_ms, fields)

    def _told(self, event: CoreEvent) -> None:
        kind = _KINDS.get(type(event))
        if isinstance(event, OrderEvent | AlgoEvent | AccountEvent | ConfigEvent | MarginCallEvent) and kind:
            self._note(kind, event.at_ms, _flat(event_json(event)))

    def _cover(self, change: CoverChange) -> None:
        fields = {"symbol": str(change.symbol), "covered": change.covered}
        self._note("cover", change.at_ms, fields)

    def _said(self, life: Life, event: str, fields: dict[str, object]) -> None:
        self._note("said", self._world.now_ms, {"life": life.number, "event": event, **fields})

    def _trouble(self, played: Played) -> list[Seen]:
        """When it began and ended; nothing of one that never did."""
        if played.began_ms < 0:
            return []
        start_ms = self._world.spec.start_ms
        fields = {"trouble": played.trouble.kind, "target": played.trouble.target, "hits": played.hits}
        spans = (("began", played.began_ms), ("healed", played.ended_ms))
        return [Seen(kind, start_ms + at_ms, fields) for kind, at_ms in spans]

    def _journal(self) -> list[Seen]:
        """The audit chain: what the bot wrote before and after it acted. By the bot's own clock."""
        path = f"file:{self._world.home.database}?mode=ro"
        with closing(sqlite3.connect(path, uri=True)) as connection:
            rows = connection.execute("SELECT timestamp_ms, event_type, details FROM audit ORDER BY seq")
            return [Seen("journal", at_ms, {"event": kind, **json.loads(text)}) for at_ms, kind, text in rows]


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """The order's or the stop's own fields beside those of the event."""
    inner = {name: value for name in ("order", "algo") for name, value in row.get(name, {}).items()}
    return {**inner, **{name: value for name, value in row.items() if name not in ("order", "algo")}}
