"""What keeps an entry away in a mad market, and keeps nothing else away (G28)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from holdfast.domain.orders import Direction
from tests.engine.world import BTC, ETH, RunningBot, World, world


async def protected(w: World, running: RunningBot) -> None:
    w.strategy.wishes = {BTC: Direction.LONG}
    await running.until(lambda: bool(w.truth().positions), "a position")
    await running.until(lambda: not w.truth().unprotected_now, "a stop")


async def refused(w: World, running: RunningBot, word: str) -> None:
    """Another entry is wished, and refused for that reason."""
    w.strategy.wishes = {ETH: Direction.LONG}
    account = running.bot.account

    def told() -> bool:
        return any(d.kind == "refused" and d.symbol == str(ETH) and word in d.text for d in account.decisions)

    await running.until(told, f"a refusal for {word}", 5)
    assert w.truth().entries == 1


async def test_wide_spread_refuses_entries_and_leaves_protection_alone(tmp_path: Path) -> None:
    """× 50 and more: no entry, but a stop cancelled by hand comes back; narrow again, entries do too."""
    async with world(tmp_path) as w, w.bot() as running:
        await protected(w, running)
        for symbol in (BTC, ETH):
            w.server.core.set_liquidity(symbol, Decimal(1), Decimal("0.05"))
        await refused(w, running, "spread")
        w.server.core.cancel_stops_by_hand(w.account_id, BTC)
        await running.until(lambda: w.truth().positions[0].stops_live == 1, "the stop again", 5)
        assert w.truth().exits == 0
        w.server.core.set_liquidity(ETH, Decimal(1), Decimal("0.0001"))
        await running.until(lambda: w.truth().entries == 2, "the entry after all", 5)


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({"kind": "endpoint_down"}, "quote_stale"),
        ({"kind": "field_changed", "member": "askPrice", "word": "0"}, "quote_stale"),
        ({"kind": "field_changed", "member": "askPrice", "word": "1"}, "spread"),
        ({"kind": "field_changed", "member": "bidPrice|askPrice", "word": "900000"}, "price_outside_collar"),
    ],
)
async def test_book_that_makes_no_sense_refuses_entries(
    tmp_path: Path, fault: dict[str, str], word: str
) -> None:
    """No answer, no offer, a crossed book, another world's prices."""
    async with world(tmp_path) as w, w.bot() as running:
        await protected(w, running)
        number = w.fault(path="bookTicker", **fault)
        await refused(w, running, word)
        assert w.fired(number) > 0
        w.server.core.cancel_stops_by_hand(w.account_id, BTC)
        await running.until(lambda: w.truth().positions[0].stops_live == 1, "the stop again", 5)


async def test_what_cannot_be_read_whole_is_not_added_to(tmp_path: Path) -> None:
    """A position that cannot be read may be any: no entry, a paced second look, an alert, until it can."""
    async with world(tmp_path) as w, w.bot() as running:
        await protected(w, running)
        number = w.fault(kind="field_changed", path="positionRisk", member="entryPrice", word="?")
        alerts = running.bot.account.alerts.standing
        await running.until(lambda: any(id_ == "READ_INCOMPLETE" for id_, _ in alerts), "an alert", 8)
        await refused(w, running, "read_incomplete")
        assert w.fired(number) < 12, "asked again and again without a pause"
        assert (w.truth().exits, w.truth().unprotected_now) == (0, ())
        w.server.faults.remove(number)
        await running.until(lambda: w.truth().entries == 2, "the entry after all", 8)
        assert not any(id_ == "READ_INCOMPLETE" for id_, _ in alerts)
