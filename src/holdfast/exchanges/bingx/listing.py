"""The one list in which orders, stops and profits stand: whoever wants to know of both asks once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from holdfast.domain.account import Fact
from holdfast.domain.intents import Priority, Unknown
from holdfast.exchanges.bingx import decode, requests, wire
from holdfast.exchanges.bingx.asking import Asking
from holdfast.exchanges.port import ExchangeError

R = TypeVar("R")
TOGETHER_MS = 50
"""A question asked so soon after the same one waits for that one's answer."""


@dataclass(frozen=True, slots=True)
class _Question:
    asked_ms: int
    answer: asyncio.Future[Fact[bytes]]


class OpenOrders:
    """Asks for the list. What it tells is as old as the question that was really sent."""

    def __init__(self, asking: Asking) -> None:
        self._ask = asking
        self._under_way: dict[tuple[str | None, Priority], _Question] = {}

    async def read(
        self, wire_id: str | None, convert: Callable[[wire.OrderRow], R | None], priority: Priority
    ) -> Fact[tuple[R, ...]]:
        """What *convert* makes of each row (None = leave out); incomplete when one could not be read."""
        asked = self._under_way.get((wire_id, priority))
        if asked is not None and self._ask.clock.now_ms() - asked.asked_ms <= TOGETHER_MS:
            fact = await asyncio.shield(asked.answer)
        else:
            fact = await self._send(wire_id, priority)
        rows = self._ask.rows(requests.open_orders(wire_id), decode.OPEN_ORDERS, convert, fact.value)
        return Fact(rows.values, fact.asked_ms, fact.answered_ms, not rows.bad)

    async def _send(self, wire_id: str | None, priority: Priority) -> Fact[bytes]:
        key, answer = (wire_id, priority), asyncio.get_running_loop().create_future()
        question = self._under_way[key] = _Question(self._ask.clock.now_ms(), answer)
        failure = ExchangeError(Unknown(cause="openOrders: whoever asked has given up"))
        try:
            fact = await self._ask.fact(requests.open_orders(wire_id), lambda body: body, priority)
            answer.set_result(fact)
            return fact
        except ExchangeError as error:
            failure = error
            raise
        finally:
            if self._under_way.get(key) is question:
                del self._under_way[key]
            if not answer.done():
                answer.set_exception(failure)
                answer.exception()  # it may be that nobody else waits for it
