"""One account's calls: permission, signature, sending, and the word that came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from holdfast.domain.intents import Priority, Rejected, Unavailable, Unknown
from holdfast.domain.protocols import Clock
from holdfast.exchanges.binance import requests
from holdfast.exchanges.binance.decode import TIME, BadAnswer
from holdfast.exchanges.binance.errors import LIMIT_DEFAULT_MS, Fault, Word, fault_in, retry_after, word_for
from holdfast.exchanges.binance.requests import Request
from holdfast.exchanges.governor import Governor, Held
from holdfast.exchanges.port import ExchangeError
from holdfast.exchanges.stats import AdapterStats, note
from holdfast.exchanges.transport import Answer, NoAnswer, NotSent

TOO_MANY_REQUESTS = -1003
TOO_MANY_ORDERS = -1015
"""The account's order limit, not the address's weight: other accounts may go on."""


class Client(Protocol):
    """Signs and sends: `BinanceClient`. Named by its face, as importing ccxt takes seconds."""

    async def call(self, endpoint: str, params: Mapping[str, str]) -> Answer:
        """One endpoint by name; raises `NotSent` or `NoAnswer`."""
        ...


@dataclass(frozen=True, slots=True)
class Signed:
    """The time a request is signed with, by our clock, and how long after it may be accepted (ms)."""

    at_ms: int
    window_ms: int


class Caller:
    """Sends requests for one account. Never retries."""

    def __init__(
        self, *, client: Client, clock: Clock, governor: Governor, window_ms: int, stats: AdapterStats
    ) -> None:
        self._client = client
        self._clock = clock
        self._governor = governor
        self.budget = governor.key()
        self._window_ms = window_ms
        self._stats = stats
        self.clock_offset_ms = 0
        """Exchange clock minus ours."""
        self.clock_uncertainty_ms = 0
        """Half the round trip of the measurement: how wrong the offset may be."""

    def exchange_now_ms(self) -> int:
        """The exchange's clock, as far as we know it."""
        return self._clock.now_ms() + self.clock_offset_ms

    def refusal(self, priority: Priority) -> Unavailable | None:
        """Why nothing of *priority* may be sent from this address now; None = it may."""
        return self._governor.refusal(priority)

    async def send(self, request: Request, priority: Priority, signed: Signed | None = None) -> Answer | Word:
        """Send once. An `Answer` is a success whose body is still to be read; else the word."""
        try:
            async with self.budget.slot(priority, request.costs) as flight:
                answer = await self._client.call(request.endpoint, self._params(request, signed))
                flight.heard(answer)
        except Held as held:
            return self._counted(held.outcome)
        except NotSent as error:
            return self._counted(Unavailable(cause=str(error)))
        except NoAnswer as error:
            return self._counted(Unknown(cause=str(error)))
        fault = fault_in(answer)
        if fault is None or not _limits_the_address(fault):
            self._governor.passed()
        if fault is None:
            self._stats.outcomes["ok"] += 1
            return answer
        return self._counted(self._word(fault, answer))

    async def read(self, request: Request, priority: Priority) -> bytes:
        """The body of a good answer; raises `ExchangeError`."""
        answer = await self.send(request, priority)
        if isinstance(answer, Answer):
            return answer.body
        raise ExchangeError(answer)

    async def measure_clock(self, samples: int = 1) -> int:
        """Measure the offset (ms) by the quickest of *samples* round trips; raises `ExchangeError`."""
        offset, round_trip = min([await self._sample_clock() for _ in range(samples)], key=lambda s: s[1])
        self.clock_offset_ms = self._governor.clock_offset_ms = offset
        self.clock_uncertainty_ms = (round_trip + 1) // 2
        return offset

    async def _sample_clock(self) -> tuple[int, int]:
        asked_ms, started = self._clock.now_ms(), self._clock.monotonic_ms()
        body = await self.read(requests.SERVER_TIME, Priority.PROTECT)
        round_trip = self._clock.monotonic_ms() - started
        try:
            server_ms = TIME.read(body).serverTime
        except BadAnswer as error:
            raise ExchangeError(self.bad_answer("time", error)) from error
        return server_ms - (asked_ms + round_trip // 2), round_trip

    def bad_answer(self, what: str, error: BadAnswer) -> Unknown:
        """The word for a success we cannot read: an unexpected shape is a gap of ours."""
        note(self._stats.gaps, f"{what}: {error}")
        return Unknown(cause=f"{what}: {error}", mapped=False)

    def _params(self, request: Request, signed: Signed | None) -> dict[str, str]:
        if not request.signed:
            return dict(request.params)
        signed = signed or Signed(self._clock.now_ms(), self._window_ms)
        return {
            **request.params,
            "timestamp": str(signed.at_ms + self.clock_offset_ms),
            "recvWindow": str(signed.window_ms),
        }

    def _word(self, fault: Fault, answer: Answer) -> Word:
        word = word_for(fault, retry_after_ms=retry_after(answer, self.exchange_now_ms()))
        if isinstance(word, Unavailable) and word.banned:
            self._governor.ban(word.retry_after_ms)
        elif isinstance(word, Unavailable) and _limits_the_address(fault):
            self._governor.limit(word.retry_after_ms or LIMIT_DEFAULT_MS)
        return word

    def _counted(self, word: Word) -> Word:
        self._stats.outcomes[type(word).__name__.lower()] += 1
        if isinstance(word, Rejected):
            note(self._stats.codes, word.code)
        if isinstance(word, Unknown) and not word.mapped:
            note(self._stats.gaps, word.cause)
        return word


def _limits_the_address(fault: Fault) -> bool:
    if fault.code == TOO_MANY_ORDERS:
        return False
    return fault.status == 429 or fault.code == TOO_MANY_REQUESTS
