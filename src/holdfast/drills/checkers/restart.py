"""S8 and S9: what the store remembers is what the bot knew, and a restart changes nothing but time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from holdfast.decisions.facts import Tracked
from holdfast.decisions.gate import Mode, OperatorState
from holdfast.domain.account import PositionKey
from holdfast.domain.intents import Journaled, Purpose
from holdfast.domain.orders import OrderState
from holdfast.domain.symbol import Symbol
from holdfast.drills.checkers.durable import Standing
from holdfast.drills.checkers.findings import Findings
from holdfast.drills.checkers.mirror import Mirror
from holdfast.engine.bot import Bot
from holdfast.engine.memory import Remembered

RULES_MS = 600_000
"""How often a running bot reads the trading rules."""
BOOKED = (
    "direction",
    "quantity",
    "entry_price",
    "stop_price",
    "strategy",
    "adopted",
    "adopted_quantity",
    "entry_client_id",
    "entry_signed_ms",
    "closing_reason",
)
"""What the books have to give back of a position. Handles differ, and `opened_ms` is for people."""
KNOWN = ("state", "exchange_id", "filled", "average_price")
"""What the journal has to give back of an open intent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotState:
    """Books, open intents, what is in force: of a running bot, or as the store gives it back."""

    tracked: Mapping[PositionKey, Tracked]
    intents: Mapping[str, Journaled]
    exits_pending: frozenset[tuple[Symbol, Decimal]]
    operator: OperatorState
    mode: Mode
    settled: bool = True
    """Nothing waits to be written, and nothing that was heard waits to be applied."""


def state_of(bot: Bot, *, settled: bool) -> BotState:
    """What a bot knows in this moment."""
    account, books = bot.account, bot.supervisor.books
    ended = (pending.tracked for pending in books.pending.values())
    return BotState(
        tracked=dict(account.state.tracked),
        intents={name: each for name, each in account.state.intents.items() if _in_doubt(each)},
        exits_pending=frozenset((t.key.symbol, t.entry_price) for t in ended),
        operator=account.operator,
        mode=account.mode,
        settled=settled,
    )


def _in_doubt(journaled: Journaled) -> bool:
    """A stop that stands is open in the journal; to the bot its request is over: the census follows it."""
    return journaled.intent.purpose is not Purpose.PLACE_STOP or journaled.state is not OrderState.WORKING


def state_in(remembered: Remembered) -> BotState:
    """What a start would know."""
    return BotState(
        tracked={tracked.key: tracked for tracked in remembered.tracked},
        intents={each.client_id: each for each in remembered.intents if _in_doubt(each)},
        exits_pending=frozenset((t.key.symbol, t.entry_price) for t in remembered.pending_exits),
        operator=remembered.standing.operator,
        mode=remembered.standing.mode,
    )


def differences(running: BotState, rebuilt: BotState) -> Iterator[str]:
    """How a start from the store would differ from the bot that ran.

    While something waits to be written the store may lag behind; but it must not contradict.
    """
    yield from _intent_differences(running, rebuilt)
    yield from _book_differences(running, rebuilt)
    if running.settled:
        if running.operator is not rebuilt.operator:
            yield f"operator state: was {running.operator}, remembered is {rebuilt.operator}"
        if running.mode is not rebuilt.mode:
            yield f"mode: was {running.mode}, remembered is {rebuilt.mode}"
        if running.exits_pending != rebuilt.exits_pending:
            was, now = _named(running.exits_pending), _named(rebuilt.exits_pending)
            yield f"exits to be corrected: were {was}, remembered are {now}"


def _named(exits: frozenset[tuple[Symbol, Decimal]]) -> str:
    return ", ".join(sorted(f"{symbol} {price}" for symbol, price in exits)) or "none"


def _intent_differences(running: BotState, rebuilt: BotState) -> Iterator[str]:
    for name, known in sorted(running.intents.items()):
        found = rebuilt.intents.get(name)
        if found is None:
            # A request that is just being journaled was not sent either.
            if running.settled and known.state is not OrderState.SENDING:
                yield f"intent {name} ({known.intent.purpose}, {known.state}) is not remembered as open"
        elif running.settled:
            yield from _fields(f"intent {name}", _proven(known), found, KNOWN)
    if running.settled:
        for name in sorted(set(rebuilt.intents) - set(running.intents)):
            yield f"intent {name} is remembered as open ({rebuilt.intents[name].state}) and was over"


def _proven(journaled: Journaled) -> Journaled:
    """A request under way is Unknown to whoever starts after a crash."""
    if journaled.state is not OrderState.SENDING:
        return journaled
    return Journaled(
        intent=journaled.intent,
        client_id=journaled.client_id,
        account_id=journaled.account_id,
        signed_ms=journaled.signed_ms,
        window_ms=journaled.window_ms,
        state=OrderState.UNKNOWN,
    )


def _book_differences(running: BotState, rebuilt: BotState) -> Iterator[str]:
    for key in sorted(set(running.tracked) | set(rebuilt.tracked), key=str):
        was, now = running.tracked.get(key), rebuilt.tracked.get(key)
        if was is not None and now is not None:
            same_life = was.entry_client_id == now.entry_client_id
            if running.settled or same_life:
                names = _comparable(was) if running.settled else ("direction", "strategy", "adopted")
                yield from _fields(f"position {key.symbol}", was, now, names)
        elif running.settled:
            yield f"position {key.symbol}: was {_size(was)}, remembered is {_size(now)}"


def _comparable(was: Tracked) -> tuple[str, ...]:
    """A liquidation's own reason is not booked: its flag in the store says that all of it is to be closed."""
    return tuple(name for name in BOOKED if not (was.hands_off and name == "closing_reason"))


def _size(tracked: Tracked | None) -> str:
    return "none" if tracked is None else f"{tracked.direction} {tracked.quantity}"


def _fields(what: str, was: object, now: object, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        before, after = getattr(was, name), getattr(now, name)
        if before != after:
            yield f"{what}: {name} was {before!s}, remembered is {after!s}"


@dataclass(frozen=True, slots=True)
class _Before:
    """What stood when the bot went away."""

    at_ms: int
    stops: Mapping[PositionKey, frozenset[int]]
    sizes: Mapping[PositionKey, Decimal]
    prices: Mapping[PositionKey, Decimal | None]
    """Where the books wanted the stops."""
    standing: Standing
    disturbed: frozenset[Symbol]


@dataclass(slots=True)
class RestartChecks:
    """Told when the bot goes away, and when the next one knows its account."""

    mirror: Mirror
    findings: Findings
    _before: _Before | None = None
    _touched: set[Symbol] = field(default_factory=set)
    _rules_ms: int = -RULES_MS

    # --- S8 ------------------------------------------------------------------------------------

    def rebuilt(self, running: BotState, rebuilt: BotState, *, when: str) -> None:
        for text in differences(running, rebuilt):
            self.findings.add("S8", self.mirror.now_ms, f"{when}: {text}")

    # --- S9 ------------------------------------------------------------------------------------

    def went(self, running: BotState, standing: Standing) -> None:
        """Compared later, where everything was at rest: covered by one stop, nothing under way."""
        positions = self.mirror.open_positions()
        stops = {key: frozenset(s.algo_id for s in self.mirror.stops_on(key)) for key in positions}
        busy = {journaled.intent.symbol for journaled in running.intents.values()}
        busy |= {key.symbol for key, ids in stops.items() if len(ids) != 1}
        busy |= {key.symbol for key, tracked in running.tracked.items() if tracked.closing_reason}
        if not running.settled:
            busy |= {key.symbol for key in positions}
        self._touched = set()
        self._before = _Before(
            at_ms=self.mirror.now_ms,
            stops=stops,
            sizes={key: held.quantity for key, held in positions.items()},
            prices={key: tracked.stop_price for key, tracked in running.tracked.items()},
            standing=standing,
            disturbed=frozenset(busy),
        )

    def meddled(self, symbol: Symbol) -> None:
        """Somebody but the bot changed something on the symbol, or the market did (a stop triggered)."""
        self._touched.add(symbol)

    def rules_changed(self) -> None:
        """Ticks are others now: a start reads them at once, and rounds where stops should stand anew."""
        self._rules_ms = self.mirror.now_ms

    def born(self, standing: Standing) -> None:
        """The next bot was put together; nobody has ordered it anything yet."""
        if self._before is not None and standing != self._before.standing:
            text = f"a restart changed what is in force: was {self._before.standing}, is {standing}"
            self.findings.add("S9", self.mirror.now_ms, text)

    def came(self, running: BotState) -> None:
        """The next bot has read its account."""
        before, self._before = self._before, None
        if before is None:
            return
        now = self.mirror.now_ms
        for key, size in before.sizes.items():
            if key.symbol in before.disturbed or key.symbol in self._touched or self._rules_are_new(before):
                continue
            moved = running.tracked.get(key)
            if moved is None or moved.stop_price != before.prices.get(key):
                continue
            stops = frozenset(stop.algo_id for stop in self.mirror.stops_on(key))
            if self.mirror.position(key).quantity == size and stops != before.stops[key]:
                text = f"a restart replaced the stop of {key.symbol}, which was as it should be"
                self.findings.add("S9", now, text, before=sorted(before.stops[key]), now=sorted(stops))

    def _rules_are_new(self, before: _Before) -> bool:
        """Changed after the bot that went away may have read them last."""
        return self._rules_ms >= before.at_ms - RULES_MS
