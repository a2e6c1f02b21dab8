"""One account's supervisor at work: the whole bot against the whole exchange."""

from __future__ import annotations

import asyncio
from pathlib import Path

from holdfast.decisions.gate import Mode
from holdfast.engine.events import Applied
from tests.engine.world import world

PATIENCE_S = 5


async def test_answer_nobody_waits_for_any_more_harms_nobody(tmp_path: Path) -> None:
    """A liquidation's read was cut off before the consumer came to it; the next who asks is answered."""
    async with world(tmp_path) as w, w.bot() as running:
        account = running.bot.account
        await running.until(lambda: account.synced, "the first sync")
        given_up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        running.bot.supervisor.inbox.put(Applied(given_up))
        given_up.cancel()
        async with asyncio.timeout(PATIENCE_S):
            await running.bot.supervisor.caught_up()
        assert (account.mode, account.counters["unexpected_errors"]) == (Mode.NORMAL, 0)
