"""The course of one world, written down: what happened at the exchange, what the bot heard, decided and sent.

    recorder = Recorder()
    judged = judge(case, recorder.see)
    recording = recorder.recording(judged)

Only a world that is looked at is recorded: it is simply run once more. Listening changes nothing in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from holdfast.decisions.gate import Approved
from holdfast.domain.intents import Outcome
from holdfast.domain.symbol import BadSymbol, Symbol
from holdfast.drills.judged import Judged
from holdfast.drills.kinds import KINDS
from holdfast.drills.lives import Life
from holdfast.drills.plan import Played
from holdfast.drills.words import (
    EXCHANGE_WORDS,
    INBOX_WORDS,
    arrival_words,
    cover_words,
    journaled_of,
    log_words,
    submitted_words,
)
from holdfast.drills.world import World
from holdfast.engine.bot import Bot
from holdfast.engine.events import ReadDone
from holdfast.simulator.core.model import AccountEvent, CoreEvent, PriceEvent, TradeEvent
from holdfast.simulator.core.truth import CoverChange
from holdfast.simulator.requests import Arrival

PRICE_EVERY_MS = 1_000
SAID_ELSEWHERE = frozenset({"order.answered", "read.failed", "stream.changed"})
"""Lines of the log that only repeat what the bot heard."""


class Lane(StrEnum):
    """Whose doing an entry is."""

    TROUBLE = "trouble"
    EXCHANGE = "exchange"
    ARRIVED = "arrived"
    """A request of the bot reaches the exchange."""
    HEARD = "heard"
    """The bot learns something."""
    DECIDED = "decided"
    SENT = "sent"
    """The bot hands a request to the exchange's client."""
    LIFE = "life"
    VERDICT = "verdict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the course; *at_ms* is the true time. Ids are empty where there are none."""

    at_ms: int
    lane: Lane
    text: str
    symbol: str = ""
    client_id: str = ""
    correlation_id: str = ""
    routine: bool = False
    """A read that was answered, as every few seconds: of interest only close by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Something that lasted: a trouble, a life of the bot, a position without cover."""

    since_ms: int
    until_ms: int
    text: str
    symbol: str = ""


@dataclass(slots=True, kw_only=True)
class Recording:
    """A world's course, in the order of time."""

    start_ms: int = 0
    end_ms: int = 0
    entries: list[Entry] = field(default_factory=list)
    prices: dict[str, list[tuple[int, Decimal]]] = field(default_factory=dict)
    """Mark price by symbol, once a second."""
    held: dict[str, list[tuple[int, Decimal]]] = field(default_factory=dict)
    """Position by symbol, signed, at each change."""
    naked: list[Bar] = field(default_factory=list)
    lives: list[Bar] = field(default_factory=list)
    troubles: list[Bar] = field(default_factory=list)


class Recorder:
    """Listens to one world from before its start."""

    def __init__(self) -> None:
        self._recording = Recording()
        self._world: World | None = None
        self._correlations: dict[str, str] = {}
        """Client id → correlation id."""
        self._uncovered: dict[str, int] = {}
        self._born: dict[int, int] = {}

    def see(self, world: World) -> None:
        """Begin: told by `judge` before anything happens."""
        self._world = world
        self._recording.start_ms = world.now_ms
        world.server.core.listen(self._exchange)
        world.server.core.listen_cover(self._cover)
        world.server.log.listen(self._arrived)
        world.listeners.append(self._said)
        world.births.append(self._birth)
        world.deaths.append(self._death)

    def recording(self, judged: Judged) -> Recording:
        """The whole course, with its troubles and its verdict."""
        made = self._recording
        made.end_ms = made.start_ms + judged.virtual_ms
        for symbol, since_ms in self._uncovered.items():
            made.naked.append(Bar(since_ms=since_ms, until_ms=made.end_ms, text="naked", symbol=symbol))
        for number, since_ms in self._born.items():
            made.lives.append(Bar(since_ms=since_ms, until_ms=made.end_ms, text=f"life {number}"))
        for played in judged.played:
            self._trouble(played)
        for violation in judged.violations:
            symbol = str(violation.facts.get("symbol", ""))
            client_id = str(violation.facts.get("client_id", ""))
            text = f"{violation.checker}: {violation.text}"
            self._note(violation.at_ms, Lane.VERDICT, text, symbol=symbol, client_id=client_id)
        made.entries.sort(key=lambda entry: entry.at_ms)  # stable: ties stay in their order
        return made

    # --- the exchange --------------------------------------------------------------------------

    def _exchange(self, event: CoreEvent) -> None:
        if isinstance(event, PriceEvent):
            self._price(event)
        elif not isinstance(event, TradeEvent):
            row: Any = event
            subject = getattr(row, "order", None) or getattr(row, "algo", None) or row
            self._note(
                event.at_ms,
                Lane.EXCHANGE,
                EXCHANGE_WORDS[type(event)](event),
                symbol=str(getattr(subject, "symbol", None) or ""),
                client_id=getattr(subject, "client_id", ""),
            )
            if isinstance(event, AccountEvent):
                for position in event.positions:
                    line = self._recording.held.setdefault(str(position.symbol), [])
                    line.append((event.at_ms, position.quantity))

    def _price(self, event: PriceEvent) -> None:
        line = self._recording.prices.setdefault(str(event.symbol), [])
        if not line or event.at_ms - line[-1][0] >= PRICE_EVERY_MS:
            line.append((event.at_ms, event.mark))

    def _cover(self, change: CoverChange) -> None:
        symbol = str(change.symbol)
        self._note(change.at_ms, Lane.EXCHANGE, cover_words(change), symbol=symbol)
        if change.covered is False:
            self._uncovered.setdefault(symbol, change.at_ms)
        elif (since_ms := self._uncovered.pop(symbol, None)) is not None and change.at_ms > since_ms:
            bar = Bar(since_ms=since_ms, until_ms=change.at_ms, text="naked", symbol=symbol)
            self._recording.naked.append(bar)

    def _arrived(self, arrival: Arrival) -> None:
        if arrival.method == "GET" and not arrival.faults:
            return
        symbol = _symbol(arrival.params.get("symbol", ""))
        client_id = self._world.wire.client_id(arrival.params) if self._world is not None else ""
        self._note(arrival.at_ms, Lane.ARRIVED, arrival_words(arrival), symbol=symbol, client_id=client_id)

    # --- the bot -------------------------------------------------------------------------------

    def _birth(self, life: Life) -> None:
        self._born[life.number] = self._now_ms
        self._note(self._now_ms, Lane.LIFE, f"life {life.number} begins")
        if life.bot is not None:
            self._overhear(life.bot)

    def _death(self, life: Life) -> None:
        self._note(self._now_ms, Lane.LIFE, f"life {life.number} is killed")
        since_ms = self._born.pop(life.number, None)
        if since_ms is not None:
            bar = Bar(since_ms=since_ms, until_ms=self._now_ms, text=f"life {life.number}")
            self._recording.lives.append(bar)

    def _overhear(self, bot: Bot) -> None:
        """What is put into the inbox, and what is handed to the exchange's client."""
        inbox, exchange = bot.supervisor.inbox, bot.account.exchange
        put, submit = inbox.put, exchange.submit

        def heard(event: Any, *, urgent: bool = False) -> None:
            self._heard(event)
            put(event, urgent=urgent)

        async def sent(approved: Approved) -> Outcome:
            self._sent(approved)
            return await submit(approved)

        inbox.put = heard  # type: ignore[method-assign]
        exchange.submit = sent  # type: ignore[method-assign]

    def _heard(self, event: object) -> None:
        words = INBOX_WORDS.get(type(event))
        text = "" if words is None else words(event)
        if not text:
            return
        journaled = journaled_of(event)
        news: Any = getattr(event, "news", None)
        about: Any = getattr(news, "order", None) or getattr(news, "stop", None) or news
        self._note(
            self._now_ms,
            Lane.HEARD,
            text,
            symbol=str(journaled.intent.symbol if journaled else getattr(about, "symbol", None) or ""),
            client_id=journaled.client_id if journaled else getattr(about, "client_id", ""),
            routine=isinstance(event, ReadDone) and event.fact is not None and event.fact.complete,
        )

    def _sent(self, approved: Approved) -> None:
        client_id, intent = approved.journaled.client_id, approved.intent
        self._correlations[client_id] = intent.correlation_id
        self._note(
            self._now_ms,
            Lane.SENT,
            submitted_words(approved),
            symbol=str(intent.symbol),
            client_id=client_id,
        )

    def _said(self, _: Life, event: str, fields: Mapping[str, object]) -> None:
        if event not in SAID_ELSEWHERE:
            self._note(
                self._now_ms,
                Lane.DECIDED,
                log_words(event, fields),
                symbol=str(fields.get("symbol", "")),
                client_id=str(fields.get("client_id", "")),
                correlation_id=str(fields.get("correlation_id", "")),
            )

    # --- the drill -----------------------------------------------------------------------------

    def _trouble(self, played: Played) -> None:
        trouble, start_ms = played.trouble, self._recording.start_ms
        if played.began_ms < 0:
            return
        named = f"{trouble.kind} ({KINDS[trouble.kind].what}) on {trouble.target}"
        since_ms, until_ms = start_ms + played.began_ms, start_ms + max(played.ended_ms, played.began_ms)
        self._recording.troubles.append(Bar(since_ms=since_ms, until_ms=until_ms, text=trouble.kind))
        if trouble.for_ms:
            self._note(since_ms, Lane.TROUBLE, f"{named} begins")
            self._note(until_ms, Lane.TROUBLE, f"{trouble.kind} is healed, struck {played.hits} times")
        else:
            self._note(since_ms, Lane.TROUBLE, named)

    @property
    def _now_ms(self) -> int:
        return self._world.now_ms if self._world is not None else 0

    def _note(
        self,
        at_ms: int,
        lane: Lane,
        text: str,
        *,
        symbol: str = "",
        client_id: str = "",
        correlation_id: str = "",
        routine: bool = False,
    ) -> None:
        self._recording.entries.append(
            Entry(
                at_ms=at_ms,
                lane=lane,
                text=text,
                symbol=symbol,
                client_id=client_id,
                correlation_id=correlation_id or self._correlations.get(client_id, ""),
                routine=routine,
            )
        )


def _symbol(compact: str) -> str:
    try:
        return str(Symbol.parse(compact))
    except BadSymbol:
        return ""
