"""Rows of the gauntlet about entries: filled at once, without an answer, lost on the way."""

from __future__ import annotations

from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.row import row
from holdfast.drills.gauntlet.steps import BTC, assert_flat_end, enter
from holdfast.drills.world import World


@row("G01", "market entry fills at once", "a stop stands one round trip after the fill is known")
async def fills_at_once(world: World) -> None:
    await enter(world, BTC, Direction.LONG)
    truth = world.truth()
    slowest_ms = 2 * world.spec.latency_ms[1] + world.spec.disk_ms[1]
    news_ms = world.spec.latency_ms[1]
    naked_ms = float(truth.naked_seconds_max) * 1000
    assert naked_ms <= slowest_ms + news_ms, f"naked for {naked_ms:.0f} ms"
    assert truth.duplicate_orders == 0
    await assert_flat_end(world)
