"""The budget of BingX and Bitget in whole worlds: calm in calm times, told when short, over by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.row import USUAL
from holdfast.drills.gauntlet.steps import BTC, ETH, assert_flat_end, covered, enter
from holdfast.drills.gauntlet.watching import Watch
from holdfast.drills.network import CLIENT_ADDRESS
from holdfast.drills.wires import BINGX, BITGET, ExchangeName
from holdfast.drills.world import World, run_world

TAKEN = {BINGX: 960, BITGET: 5_990}
"""By other programs: of a thousand in ten seconds, of six thousand a minute."""
TOLD = {BINGX: "BUDGET_SHORT", BITGET: "RATE_LIMITED"}
"""BingX's answers tell of others before it refuses; Bitget's tell nothing."""


async def _short(world: World) -> None:
    watch, exchange = Watch(world), world.spec.exchange
    await enter(world, BTC, Direction.LONG)
    await enter(world, ETH, Direction.SHORT)
    await world.run_for(60_000 - world.now_ms % 60_000 + 500)
    calm_ms = world.now_ms
    await world.run_for(59_000)
    told = [line.fields["id"] for line in watch.said("alert.raised", calm_ms)]
    assert not told, f"two positions are too much for it: {told}"
    await world.run_for(60_000 - world.now_ms % 60_000 + 500)
    at_ms = world.now_ms
    world.server.app.use_up(CLIENT_ADDRESS[0], TAKEN[exchange], at_ms)
    await world.run_for(40_000)
    watch.assert_told(TOLD[exchange], at_ms, 20_000, "warning")
    refused = [seen for seen in world.server.log.listing() if seen.status == 429 or seen.code == 100410]
    assert len(refused) <= {BINGX: 0, BITGET: 40}[exchange], f"it went on: {len(refused)} refusals"
    assert covered(world, BTC)
    assert covered(world, ETH)
    await world.run_for(60_000 - world.now_ms % 60_000)
    await world.until(lambda: bool(watch.over(TOLD[exchange], at_ms)), "the end of it told", 120_000)
    await assert_flat_end(world)


@pytest.mark.parametrize("exchange", [BINGX, BITGET])
def test_a_budget_that_others_use_up_is_told_and_costs_no_protection(exchange: ExchangeName) -> None:
    """And two held positions alone bring no alert about: a limit by the second is waited for."""
    result = run_world(replace(USUAL, exchange=exchange), _short)
    assert result.problems == ()
