"""Planted bugs: mistakes that real bots made, put into ours for one drill, to prove that it is found.

A check that never fails proves nothing. Each plant replaces one function of the bot by a plausible wrong
one and names the checker that has to find it. Nothing of this is reachable outside a drill.
"""

# A planted bug sits where no interface reaches.
# ruff: noqa: SLF001

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from holdfast.decisions import reconcile as reconciling
from holdfast.decisions import step as stepping
from holdfast.decisions.evidence import Evidence, missing
from holdfast.decisions.facts import Facts, Tracked
from holdfast.decisions.gate import Approved
from holdfast.decisions.protect import Place
from holdfast.decisions.reconcile import Finding, Vanished
from holdfast.decisions.select import Selection, select
from holdfast.domain.account import PositionKey
from holdfast.domain.intents import Outcome, Purpose, Unavailable, Unknown
from holdfast.engine import entries
from holdfast.engine.executor import Executor
from holdfast.engine.memory import JournalSaysNo, MemoryUnwritable

DAWDLE_S = 2.0
"""Between the check and the act: a slow quote, a busy loop."""
RETRY_S = 1.0
"""Between a try and the next."""


@dataclass(frozen=True, slots=True)
class Plant:
    """One planted bug. *found_by*: the checker that has to find it."""

    name: str
    text: str
    found_by: str
    grow: Callable[[], AbstractContextManager[None]]


@contextmanager
def _replaced(owner: Any, name: str, wrong: Any) -> Iterator[None]:
    with mock.patch.object(owner, name, wrong):
        yield


async def _plainly(executor: Executor, approved: Approved, dawdle_s: float = 0.0) -> Outcome:
    """Write ahead, dawdle, and send, without a look at what changed meanwhile."""
    try:
        await executor._remember(approved.journaled)
    except (JournalSaysNo, MemoryUnwritable) as no:
        return Unavailable(cause=str(no))
    await asyncio.sleep(dawdle_s)
    return await executor._exchange.submit(approved)


def _new_id_per_retry() -> AbstractContextManager[None]:
    """An entry without an answer is taken for failed and, after a pause, sent again under a new id."""

    async def send(self: Executor, approved: Approved, _approve: Any) -> None:
        outcome = await _plainly(self, approved)
        if approved.intent.purpose is Purpose.ENTER and isinstance(outcome, Unknown):
            self._answer(approved.journaled, Unavailable(cause=outcome.cause))
            await asyncio.sleep(RETRY_S)
            approved = replace(approved, journaled=self.identify(approved.intent))
            outcome = await _plainly(self, approved)
        self._answer(approved.journaled, outcome)

    return _replaced(Executor, "_send", send)


def _check_await_act() -> AbstractContextManager[None]:
    """The gate is asked, then time passes, then the entry is sent: a kill in between is not seen."""

    async def send(self: Executor, approved: Approved, _approve: Any) -> None:
        dawdle_s = DAWDLE_S if approved.intent.purpose.raises_risk else 0.0
        self._answer(approved.journaled, await _plainly(self, approved, dawdle_s))

    return _replaced(Executor, "_send", send)


def _trust_an_empty_answer() -> AbstractContextManager[None]:
    """What one read of the positions does not show is taken for closed."""

    def missing_means_gone(tracked: Tracked, facts: Facts) -> list[Finding]:
        if missing(tracked.key, tracked.opened_ms, facts):
            return [Vanished(tracked, Evidence.TWO_READS, facts.now_ms)]
        return []

    return _replaced(reconciling, "_missing", missing_means_gone)


def _stop_cancelled_first() -> AbstractContextManager[None]:
    """A stop is moved by cancelling the old one and placing the new one a step later."""
    original = stepping._hold

    def hold(key: PositionKey, facts: Facts) -> Any:
        held = original(key, facts)
        if not (isinstance(held.verdict, Place) and held.verdict.beside):
            return held
        cancels = (stepping._cancel(stop, facts, "moving the stop") for stop in facts.stops_of(key))
        return replace(held, intents=tuple(each for each in cancels if each is not None))

    return _replaced(stepping, "_hold", hold)


def _set_order_decides() -> AbstractContextManager[None]:
    """Among the candidates the first of a set is taken, not the best of a list."""

    def any_of(*args: Any, **options: Any) -> Selection:
        selection = select(*args, **options)
        by_name = {str(candidate.signal.symbol): candidate for candidate in selection.ranked}
        return replace(selection, ranked=tuple(by_name[name] for name in set(by_name)))

    return _replaced(entries, "select", any_of)


PLANTS: Mapping[str, Plant] = {
    plant.name: plant
    for plant in (
        Plant(
            "new-id-per-retry",
            "an entry without an answer is sent again under a new client order id",
            "S2",
            _new_id_per_retry,
        ),
        Plant(
            "check-await-act",
            "the kill switch is checked, then time passes, then the entry is sent",
            "S5",
            _check_await_act,
        ),
        Plant(
            "trust-empty-answer",
            "one empty answer is enough to take a position for closed",
            "S1",
            _trust_an_empty_answer,
        ),
        Plant(
            "stop-cancelled-first",
            "a stop is cancelled before its replacement stands",
            "S6",
            _stop_cancelled_first,
        ),
        Plant(
            "set-order",
            "a decision depends on the order in which a set is walked",
            "digest",
            _set_order_decides,
        ),
    )
}
