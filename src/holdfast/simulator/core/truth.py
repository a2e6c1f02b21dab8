"""The exchange's own truth about an account, by which a bot is judged: what was covered, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from holdfast.domain.orders import PositionSide
from holdfast.domain.symbol import Symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class NakedSpan:
    """A time in which a position had no covering stop; *until_ms* None = it still has none."""

    symbol: Symbol
    side: PositionSide
    since_ms: int
    until_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionTruth:
    """One position from opening to flat; the open ones and those of the past."""

    symbol: Symbol
    side: PositionSide
    quantity: Decimal
    """Signed; 0 when closed."""
    opened_ms: int
    closed_ms: int | None
    covered: bool
    naked_ms_total: int
    naked_ms_max: int
    naked_spans: tuple[NakedSpan, ...]
    stops_live: int
    """Live conditional orders on its closing side, of any size and kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Everything about one account that the admin API and the drills assert on; times in market ms."""

    at_ms: int
    account_id: str
    positions: tuple[PositionTruth, ...]
    """Open positions."""
    past_positions: tuple[PositionTruth, ...]
    naked_seconds_max: Decimal
    naked_seconds_total: Decimal
    """Over all positions ever, counted per position."""
    unprotected_now: tuple[tuple[Symbol, PositionSide], ...]
    entries: int
    """Orders that opened a position or made one larger."""
    exits: int
    """Orders that made a position smaller."""
    duplicate_orders: int
    """Orders beyond the first that carried an already used client id (regular and algo apart)."""
    duplicate_client_ids: tuple[str, ...]
    orphan_stops: tuple[int, ...]
    """Algo ids of live closing orders without a position to close."""
    fills: int
    liquidations: int
    refused: Mapping[str, int] = field(default_factory=dict)
    """Requests the core refused, per reason."""
    equity: Decimal
    wallet: Decimal


@dataclass(frozen=True, slots=True)
class CoverChange:
    """A position opened or lost its cover (False), came to be covered (True), or ended (None)."""

    at_ms: int
    account_id: str
    symbol: Symbol
    side: PositionSide
    covered: bool | None


CoverListener = Callable[[CoverChange], None]


@dataclass(slots=True)
class _Episode:
    """A position from opening to flat."""

    symbol: Symbol
    side: PositionSide
    opened_ms: int
    naked_since: int | None
    closed_ms: int | None = None
    spans: list[NakedSpan] = field(default_factory=list)

    def update(self, now_ms: int, covered: bool, tolerance_ms: int) -> None:
        if not covered:
            if self.naked_since is None:
                self.naked_since = now_ms
            return
        if self.naked_since is not None and now_ms - self.naked_since > tolerance_ms:
            self.spans.append(self._span(self.naked_since, now_ms))
        self.naked_since = None

    def told(self, now_ms: int, quantity: Decimal, stops_live: int) -> PositionTruth:
        spans = list(self.spans)
        if self.naked_since is not None:
            spans.append(self._span(self.naked_since, None))
        lengths = [(now_ms if one.until_ms is None else one.until_ms) - one.since_ms for one in spans]
        return PositionTruth(
            symbol=self.symbol,
            side=self.side,
            quantity=quantity,
            opened_ms=self.opened_ms,
            closed_ms=self.closed_ms,
            covered=self.naked_since is None,
            naked_ms_total=sum(lengths),
            naked_ms_max=max(lengths, default=0),
            naked_spans=tuple(spans),
            stops_live=stops_live,
        )

    def _span(self, since_ms: int, until_ms: int | None) -> NakedSpan:
        return NakedSpan(symbol=self.symbol, side=self.side, since_ms=since_ms, until_ms=until_ms)


class Watch:
    """Counts, per account, as things happen."""

    def __init__(
        self, tolerance_ms: int, account_id: str = "", listeners: Sequence[CoverListener] = ()
    ) -> None:
        self._tolerance_ms = tolerance_ms
        self._account_id = account_id
        self._listeners = listeners
        self._open: dict[tuple[Symbol, PositionSide], _Episode] = {}
        self.past: list[PositionTruth] = []
        self._client_ids: Counter[tuple[str, str]] = Counter()
        self.entries: set[int] = set()
        self.exits: set[int] = set()
        self.refused: Counter[str] = Counter()
        self.liquidations = 0

    def accepted(self, book: str, client_id: str) -> None:
        """An order of the user's own was accepted; *book*: `order` or `algo`."""
        self._client_ids[book, client_id] += 1

    def opened(self, symbol: Symbol, side: PositionSide, now_ms: int) -> None:
        """A position came to be; naked until told otherwise."""
        self._open[symbol, side] = _Episode(symbol, side, now_ms, now_ms)
        self._tell(symbol, side, now_ms, covered=False)

    def closed(self, symbol: Symbol, side: PositionSide, now_ms: int) -> None:
        episode = self._open.pop((symbol, side))
        episode.update(now_ms, covered=True, tolerance_ms=self._tolerance_ms)
        episode.closed_ms = now_ms
        self.past.append(replace(episode.told(now_ms, Decimal(0), 0), covered=False))
        self._tell(symbol, side, now_ms, covered=None)

    def cover(self, symbol: Symbol, side: PositionSide, now_ms: int, *, covered: bool) -> None:
        """A position has, or has not, a covering stop now."""
        episode = self._open[symbol, side]
        was_covered = episode.naked_since is None
        episode.update(now_ms, covered, self._tolerance_ms)
        if covered is not was_covered:
            self._tell(symbol, side, now_ms, covered=covered)

    def _tell(self, symbol: Symbol, side: PositionSide, now_ms: int, *, covered: bool | None) -> None:
        for listener in self._listeners:
            listener(CoverChange(now_ms, self._account_id, symbol, side, covered))

    def position(
        self, symbol: Symbol, side: PositionSide, now_ms: int, quantity: Decimal, stops_live: int
    ) -> PositionTruth:
        return self._open[symbol, side].told(now_ms, quantity, stops_live)

    def duplicates(self) -> tuple[int, tuple[str, ...]]:
        """How many orders re-used a client id, and which ids."""
        extra = sum(times - 1 for times in self._client_ids.values())
        return extra, tuple(sorted(key[1] for key, times in self._client_ids.items() if times > 1))
