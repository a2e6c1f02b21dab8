"""What drills look at: requests as they reached the exchange, and what the bot tells its operator.

All times are the true clock's in ms (`World.now_ms`), which is the exchange's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.domain.symbol import Symbol
from holdfast.drills.gauntlet.elsewhere import spoken
from holdfast.drills.lives import Life
from holdfast.drills.wires import BINANCE
from holdfast.drills.world import World
from holdfast.engine.resolver import ACKED_MS, FIRST_PAUSE_MS
from holdfast.simulator.requests import Arrival

LOOK_MS = 100
"""`World.until` looks so often: what it saw happened at most this long before."""


# --- the bot's bounds ----------------------------------------------------------------------------


def one_way_ms(world: World) -> float:
    """The longest that anything travels."""
    return world.spec.latency_ms[1]


def round_trip_ms(world: World) -> float:
    return 2 * one_way_ms(world)


def unsaid_ms(world: World) -> float:
    """How much later the end of an order is known that neither its reply nor a stream tells: where a reply
    says only that it was taken, a query has to find it. One is asked at a step, once a second, after the
    first pause, and again after growing ones, for reads may lag."""
    if world.spec.exchange == BINANCE:
        return 0
    pauses_ms = ACKED_MS + 1_000 + 3 * FIRST_PAUSE_MS
    return pauses_ms + world.spec.read_lag_ms[1] + 3 * round_trip_ms(world)


def sending_ms(world: World) -> float:
    """From a decision to the exchange: the write before it stands behind one other, then it travels."""
    return 2 * world.disk_ms[1] + one_way_ms(world)


def cycle_ms(world: World) -> float:
    """From a change at the exchange to the step that knows of it, by reading alone: the reads' period,
    the answer's way, and how far reads may lag."""
    return world.settings.freshness.positions_ms + round_trip_ms(world) + world.spec.read_lag_ms[1]


def gone_ms(world: World) -> float:
    """The same until a position that vanished is closed in the books: a second read has to confirm it."""
    return cycle_ms(world) + world.settings.freshness.confirm_ms + round_trip_ms(world)


# --- looking -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One line that a life of the bot logged."""

    at_ms: int
    life: int
    event: str
    fields: dict[str, object]


class Watch:
    """Everything that reaches the exchange and everything that the bot logs, from now on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.arrived: list[Arrival] = []
        """Requests in the order of their arrival, whatever became of them."""
        self.lines: list[Line] = []
        world.server.log.listen(self.arrived.append)
        world.listeners.append(self._hear)

    def _hear(self, life: Life, event: str, fields: dict[str, object]) -> None:
        self.lines.append(Line(self._world.now_ms, life.number, event, dict(fields)))

    # --- requests --------------------------------------------------------------------------------

    def requests(
        self, method: str, path: str, since_ms: float = 0, symbol: Symbol | None = None
    ) -> list[Arrival]:
        """Those whose path *path* (a regular expression) is found in, oldest first; in Binance's words."""
        wire = None if symbol is None else f"{symbol.base}{symbol.quote}"
        of_all = None if self._world.spec.exchange == BINANCE else wire  # prices of all are asked for at once
        return [
            each
            for arrived in self.arrived
            if arrived.at_ms >= since_ms
            for each in spoken(self._world.wire, arrived)
            if each.method == method
            and re.search(path, each.path)
            and wire in (None, each.params.get("symbol", of_all))
        ]

    def entries(self, since_ms: float = 0, symbol: Symbol | None = None) -> list[Arrival]:
        """Orders that may open or grow a position."""
        return [each for each in self._orders(since_ms, symbol) if not _closes(each)]

    def closes(self, since_ms: float = 0, symbol: Symbol | None = None) -> list[Arrival]:
        """Closing orders."""
        return [each for each in self._orders(since_ms, symbol) if _closes(each)]

    def _orders(self, since_ms: float, symbol: Symbol | None) -> list[Arrival]:
        return self.requests("POST", "/order$", since_ms, symbol)

    def stops(self, since_ms: float = 0, symbol: Symbol | None = None) -> list[Arrival]:
        """Stops that were placed or tried."""
        return self.requests("POST", "/algoOrder$", since_ms, symbol)

    # --- what the bot says -----------------------------------------------------------------------

    def said(self, event: str, since_ms: float = 0, **fields: object) -> list[Line]:
        """Lines of that event whose fields say that."""
        return [
            line
            for line in self.lines
            if line.event == event
            and line.at_ms >= since_ms
            and all(line.fields.get(name) == value for name, value in fields.items())
        ]

    def alerts(self, id_: str, since_ms: float = 0, **fields: object) -> list[Line]:
        """Alerts of that id as they were raised."""
        return self.said("alert.raised", since_ms, id=id_, **fields)

    def over(self, id_: str, since_ms: float = 0, **fields: object) -> list[Line]:
        """The same as they were cleared."""
        return self.said("alert.cleared", since_ms, id=id_, **fields)

    def assert_told(self, id_: str, since_ms: float, within_ms: float, severity: str) -> Line:
        """The first such alert; raises when it came too late, or less urgent than promised."""
        raised = self.alerts(id_, since_ms)
        assert raised, f"no alert {id_}"
        late_ms = raised[0].at_ms - since_ms
        assert late_ms <= within_ms, f"alert {id_} after {late_ms:.0f} ms, promised {within_ms:.0f}"
        said = raised[0].fields["severity"]
        assert said == severity, f"alert {id_} is {said}, promised {severity}"
        return raised[0]


def _closes(order: Arrival) -> bool:
    """As the bot names them; in hedge mode no flag says so."""
    return order.params.get("reduceOnly") == "true" or "-out-" in order.params.get("newClientOrderId", "")


def assert_never_naked(world: World, since_ms: float) -> None:
    """No position lost its cover after that, not even for a moment."""
    truth = world.truth()
    spans = [span for each in (*truth.positions, *truth.past_positions) for span in each.naked_spans]
    late = [span for span in spans if span.since_ms >= since_ms]
    assert not late, f"without a stop: {late}"


async def stays(world: World, condition: Callable[[], bool], what: str, for_ms: float) -> None:
    """Let *for_ms* pass and see the condition hold all the time."""
    end_ms = world.now_ms + for_ms
    while world.now_ms < end_ms:
        assert condition(), f"no longer: {what}"
        await world.run_for(min(LOOK_MS, end_ms - world.now_ms))
