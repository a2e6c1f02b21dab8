"""Names of stops where the exchange drops them: what the bot called it tells what was decided."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation

from holdfast.domain.symbol import BadSymbol, Symbol
from holdfast.drills.wires import Wire
from holdfast.runtime.ids import is_ours
from holdfast.simulator.core.model import SimAlgo
from holdfast.simulator.requests import Arrival

KEPT = 100
_What = tuple[Symbol, str, Decimal]
"""Symbol, side and trigger price."""


@dataclass(slots=True)
class StopNames:
    """Requests for stops as they arrived, and the stops that came of them."""

    wire: Wire
    _sent: deque[tuple[_What, str]] = field(default_factory=lambda: deque(maxlen=KEPT))
    _names: dict[int, str] = field(default_factory=dict)
    """By the exchange's number of the stop."""

    def sent(self, arrival: Arrival) -> None:
        """A request for a stop has arrived; whether anything comes of it is not known yet."""
        params = arrival.params
        try:
            symbol, trigger = Symbol.parse(params["symbol"]), Decimal(params["stopPrice"])
        except (KeyError, BadSymbol, InvalidOperation):
            return
        what = (symbol, params.get("side", "").lower(), trigger)
        self._sent.append((what, self.wire.client_id(params)))

    def named(self, algo: SimAlgo) -> SimAlgo:
        """The stop under the name that the bot gave it, where it is known."""
        if is_ours(algo.client_id):
            return algo
        name = self._names.get(algo.algo_id) or self._first(algo)
        if not name:
            return algo
        self._names[algo.algo_id] = name
        return replace(algo, client_id=name)

    def _first(self, algo: SimAlgo) -> str:
        """Of those asked for alike the oldest; each is given once."""
        what = (algo.symbol, algo.side.value, algo.trigger_price)
        found = next((each for each in self._sent if each[0] == what), None)
        if found is None:
            return ""
        self._sent.remove(found)
        return found[1]
