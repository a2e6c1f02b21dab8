"""One account's calls: permission, signature, sending, and the word that came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from holdfast.domain.intents import Priority, Rejected, RejectReason, Unavailable, Unknown
from holdfast.domain.protocols import Clock
from holdfast.exchanges.decoding import BadAnswer
from holdfast.exchanges.governor import Governor, Held
from holdfast.exchanges.limits import Costs, Scope
from holdfast.exchanges.port import ExchangeError
from holdfast.exchanges.stats import AdapterStats, note
from holdfast.exchanges.transport import Answer, NoAnswer, NotSent

Word = Rejected | Unknown | Unavailable


class AnyRequest(Protocol):
    """One call of an exchange, as its dialect describes it."""

    @property
    def endpoint(self) -> str: ...

    @property
    def costs(self) -> Costs: ...


T = TypeVar("T")
Q = TypeVar("Q", bound=AnyRequest)
Q_contra = TypeVar("Q_contra", bound=AnyRequest, contravariant=True)


@dataclass(frozen=True, slots=True)
class Signed:
    """The time a request is signed with, by our clock, and how long after it may be accepted (ms)."""

    at_ms: int
    window_ms: int


class Client(Protocol[Q_contra]):
    """Signs and sends. Named by its face, as importing ccxt takes seconds."""

    async def call(self, request: Q_contra, signed: Signed) -> Answer:
        """One request, signed with a time of the *exchange's* clock; raises `NotSent` or `NoAnswer`."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a fault in an answer means. *limits_ms* > 0: whoever *scope* names is to hold back for so
    long; *silence_ms* > 0: nothing at all is to be sent from this address for so long."""

    word: Word
    limits_ms: int = 0
    scope: Scope = Scope.ADDRESS
    """KEY: it concerns this key alone, or the exchange does not say whom."""
    silence_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect(Generic[Q]):
    """What a caller has to know of its exchange."""

    judge: Callable[[Answer, int], Verdict | None]
    """An answer and the exchange's time: None for a success whose body still has to be read."""
    server_time: Q
    read_time: Callable[[bytes], int]
    """The exchange's clock (ms) in its answer to *server_time*; raises `BadAnswer`."""


class Caller(Generic[Q]):
    """Sends requests for one account. Never retries."""

    def __init__(
        self,
        *,
        client: Client[Q],
        dialect: Dialect[Q],
        clock: Clock,
        governor: Governor,
        window_ms: int,
        stats: AdapterStats,
    ) -> None:
        self._client = client
        self._dialect = dialect
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
        return self.budget.refusal(priority)

    async def send(self, request: Q, priority: Priority, signed: Signed | None = None) -> Answer | Word:
        """Send once. An `Answer` is a success whose body is still to be read; else the word."""
        try:
            async with self.budget.slot(priority, request.costs) as flight:
                answer = await self._client.call(request, self._by_their_clock(signed))
                flight.heard(answer)
        except Held as held:
            return self._counted(held.outcome)
        except NotSent as error:
            return self._counted(Unavailable(cause=str(error)))
        except NoAnswer as error:
            return self._counted(Unknown(cause=str(error)))
        verdict = self._dialect.judge(answer, self.exchange_now_ms())
        if verdict is None or not verdict.limits_ms:
            self.budget.passed()
        if verdict is None:
            self._stats.outcomes["ok"] += 1
            return answer
        self._obey(verdict)
        return self._counted(verdict.word)

    async def read(self, request: Q, priority: Priority) -> bytes:
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
        body = await self.read(self._dialect.server_time, Priority.PROTECT)
        round_trip = self._clock.monotonic_ms() - started
        try:
            server_ms = self._dialect.read_time(body)
        except BadAnswer as error:
            raise ExchangeError(self.bad_answer("time", error)) from error
        return server_ms - (asked_ms + round_trip // 2), round_trip

    def bad_answer(self, what: str, error: BadAnswer) -> Unknown:
        """The word for a success we cannot read: an unexpected shape is a gap of ours."""
        note(self._stats.gaps, f"{what}: {error}")
        return Unknown(cause=f"{what}: {error}", mapped=False)

    def _by_their_clock(self, signed: Signed | None) -> Signed:
        signed = signed or Signed(self._clock.now_ms(), self._window_ms)
        return Signed(signed.at_ms + self.clock_offset_ms, signed.window_ms)

    def _obey(self, verdict: Verdict) -> None:
        """Bans hold for everyone at this address, limits for whom they name."""
        word = verdict.word
        banned_ms = word.retry_after_ms if isinstance(word, Unavailable) and word.banned else 0
        if banned_ms or verdict.silence_ms:
            self._governor.ban(max(banned_ms, verdict.silence_ms))
        elif verdict.limits_ms:
            self.budget.limit(verdict.limits_ms, verdict.scope)

    def _counted(self, word: Word) -> Word:
        self._stats.outcomes[type(word).__name__.lower()] += 1
        if isinstance(word, Rejected):
            note(self._stats.codes, word.code)
        if isinstance(word, Unknown) and not word.mapped:
            note(self._stats.gaps, word.cause)
        return word


async def if_listed(asking: Awaitable[T]) -> T | None:
    """What a read of one symbol gives; None when the exchange does not list that symbol."""
    try:
        return await asking
    except ExchangeError as error:
        if isinstance(error.outcome, Rejected) and error.outcome.reason is RejectReason.SYMBOL:
            return None
        raise
