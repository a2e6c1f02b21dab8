"""Races that a bot loses: what it cancels is filled, or triggered, in the very moment before."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from holdfast.simulator.binance.algo import selectors as algo_selectors
from holdfast.simulator.binance.trade import selectors
from holdfast.simulator.binance.venue import Call
from holdfast.simulator.core.model import CoreRefusal


def fill_first(call: Call) -> None:
    """Let the order or stop that *call* cancels happen; one that is over already stays as it is."""
    with suppress(CoreRefusal):
        _ways(call)(call)


def _ways(call: Call) -> Callable[[Call], None]:
    return _trigger if "algoId" in call.params or "clientAlgoId" in call.params else _fill


def _fill(call: Call) -> None:
    order_id, own_id = selectors(call.params)
    symbol = call.instrument().symbol
    call.core.fill_by_hand(call.account_id, symbol, order_id=order_id, client_id=own_id)


def _trigger(call: Call) -> None:
    algo_id, own_id = algo_selectors(call.params)
    call.core.trigger_by_hand(call.account_id, algo_id=algo_id, client_id=own_id)
