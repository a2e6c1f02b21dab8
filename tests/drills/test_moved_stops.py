"""A stop is moved on every exchange and in both position modes: one stands all the time, one at the end."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from holdfast.domain.account import PositionMode
from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.row import USUAL
from holdfast.drills.gauntlet.steps import (
    BTC,
    assert_flat_end,
    assert_protected_once,
    enter,
    live_stops,
    naked_ms,
)
from holdfast.drills.wires import WIRES, ExchangeName
from holdfast.drills.world import World, run_world

ONE_WAY_MS = 25.0
NAKED_MS_MAX = 150
"""Fill, acknowledgement, journal and the stop's own way there; two round trips are 100 ms."""
MOVED_WITHIN_MS = 30_000


@pytest.mark.parametrize("mode", list(PositionMode))
@pytest.mark.parametrize("exchange", WIRES)
def test_a_moved_stop_costs_no_naked_moment(exchange: ExchangeName, mode: PositionMode) -> None:
    """What docs/decisions/0005 says; the figures there are this drill's."""

    async def scenario(world: World) -> None:
        await enter(world, BTC, Direction.LONG)
        await world.run_for(3_000)
        (first,) = live_stops(world, BTC)
        assert naked_ms(world) <= NAKED_MS_MAX
        before = world.truth().naked_seconds_total
        nearer = (first.trigger_price * Decimal("1.002")).quantize(Decimal("0.1"))
        world.scripted.stops[BTC] = nearer
        await world.until(
            lambda: [stop.trigger_price for stop in live_stops(world, BTC)] == [nearer],
            "the moved stop alone",
            MOVED_WITHIN_MS,
        )
        assert world.truth().naked_seconds_total == before
        await assert_protected_once(world, BTC)
        await assert_flat_end(world)

    spec = replace(USUAL, exchange=exchange, position_mode=mode, latency_ms=(ONE_WAY_MS, ONE_WAY_MS))
    assert run_world(spec, scenario).problems == ()
