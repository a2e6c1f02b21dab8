"""How many accounts fit: what each question costs is what arrives, and the document says what is computed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from holdfast.domain.intents import Priority
from holdfast.domain.secret import Secret
from holdfast.exchanges import capacity
from holdfast.exchanges.capacity import PLACES, USUAL, Load, Question, Room, room, stretch_for, stretched
from holdfast.exchanges.factory import Credentials, MadeExchange, make_exchange
from holdfast.exchanges.governor import KeyBudget
from holdfast.exchanges.limits import Costs
from holdfast.exchanges.shared import ExchangeShared
from tests.exchanges.support import BTC
from tests.simulator.world import PROMPT, world

BUDGET = Path(__file__).parents[2] / "docs" / "budget.md"
P = Priority.OBSERVE
ASKED: dict[Question, Callable[[MadeExchange], Awaitable[object]]] = {
    Question.POSITIONS: lambda ask: ask.positions(priority=P),
    Question.BALANCE: lambda ask: ask.balance(priority=P),
    Question.ORDERS: lambda ask: ask.open_orders(BTC, priority=P),
    Question.STOPS: lambda ask: ask.open_stops(BTC, priority=P),
    Question.ALL_ORDERS: lambda ask: ask.open_orders(None, priority=P),
    Question.ALL_STOPS: lambda ask: ask.open_stops(None, priority=P),
    Question.CONFIG: lambda ask: ask.account_config(priority=P),
    Question.CLOCK: lambda ask: ask.measure_clock(),
    Question.CANDLES: lambda ask: ask.candles(BTC, "1h", capacity.BARS, priority=P),
}


def test_every_question_is_in_the_table() -> None:
    assert set(ASKED) == set(Question)
    assert all(set(place.questions) == set(Question) for place in PLACES.values())


@pytest.mark.parametrize("name", PLACES)
async def test_a_question_costs_what_the_adapter_sends(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of the simulated exchange; the governor sees the costs of each request."""
    sent: list[Costs] = []
    slot = KeyBudget.slot

    def seen(self: KeyBudget, priority: Priority, costs: Costs) -> Any:
        sent.append(costs)
        return slot(self, priority, costs)

    async with world(replace(PROMPT, exchange=name)) as simulated:
        shared = ExchangeShared(clock=simulated.clock, random=random.Random(1))
        exchange = make_exchange(
            name,
            credentials=Credentials("key", Secret("secret"), Secret("word")),
            base_url=simulated.server.url,
            clock=simulated.clock,
            shared=shared,
        )
        await exchange.open()
        monkeypatch.setattr(KeyBudget, "slot", seen)
        for question, ask in ASKED.items():
            sent.clear()
            simulated.server.app.reset_limits()
            await ask(exchange)
            said = Counter(tuple(each.costs.items()) for each in PLACES[name].questions[question])
            assert Counter(tuple(costs.items()) for costs in sent) == said, question
        await exchange.close()
        await shared.close()


def test_the_arithmetic_by_hand() -> None:
    """Binance, flat: positions 5 twice a minute, balance 5 twice, 80 and 10 in five minutes, bars 3 x 2."""
    flat = Load(symbols=3, held=0)
    uses = capacity.used(PLACES["binance"], flat, USUAL)
    assert uses["weight"] == 2 * 5 + 2 * 5 + Fraction(80 + 10 + 1, 5) + 3 * 2
    assert room(PLACES["binance"], flat, USUAL) == Room(int(1680 / uses["weight"]), "weight")
    assert room(PLACES["bingx"], flat, USUAL) == Room(30, "connections")


@pytest.mark.parametrize("name", PLACES)
def test_as_many_as_fit_fit_and_no_more(name: str) -> None:
    """Reads that come later by the factor told leave room for a hundred; a tenth less would not."""
    place, load = replace(PLACES[name], sockets_max=None), Load(symbols=5, held=5)
    factor = stretch_for(place, load, 100, USUAL)
    assert room(place, load, stretched(USUAL, factor)).accounts >= 100
    assert factor == 1 or room(place, load, stretched(USUAL, factor - Fraction(1, 10))).accounts < 100


def test_what_one_account_s_own_limit_forbids_fits_nowhere() -> None:
    """Twenty symbols read twice as often are more than seven questions a second about plan orders."""
    busy = Load(symbols=20, held=20)
    assert room(PLACES["bitget"], busy, stretched(USUAL, Fraction(1, 2))) == Room(0, "plans_pending")
    assert room(PLACES["bingx"], busy, stretched(USUAL, Fraction(1, 2))).accounts > 0
    with pytest.raises(ValueError, match="bars"):
        stretch_for(PLACES["binance"], busy, 100, USUAL)


def test_the_document_says_what_is_computed() -> None:
    """Stale: put in what `python -m holdfast.exchanges.capacity` prints."""
    between = BUDGET.read_text().split("holdfast.exchanges.capacity -->\n")[1].split("<!-- end -->")[0]
    assert between == capacity.table()
