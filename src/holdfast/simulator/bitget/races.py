"""Races that a bot loses: what it cancels is filled, or triggered, in the very moment before."""

from __future__ import annotations

from contextlib import suppress

from holdfast.simulator.bitget.trade import find
from holdfast.simulator.bitget.venue import Call
from holdfast.simulator.core.model import CoreRefusal
from holdfast.simulator.wire.errors import WireError


def fill_first(call: Call) -> None:
    """Let the order, or the plan orders, that *call* cancels happen; what is over stays as it is."""
    with suppress(CoreRefusal, WireError):
        if "orderIdList" in call.params:
            for row in call.params.rows("orderIdList"):
                number = find(call.now(), call.venue.plan_names, row)
                call.core.trigger_by_hand(call.account_id, algo_id=number)
        else:
            number = find(call.now(), call.venue.order_names, call.params)
            call.core.fill_by_hand(call.account_id, call.params.symbol(), order_id=number)
