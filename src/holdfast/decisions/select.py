"""Which signal is worth a trade: filters with reasons, then a quality that is shown (R5.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from holdfast.domain.numbers import ONE, ZERO
from holdfast.domain.signals import Action, Signal
from holdfast.domain.symbol import Symbol

WEIGHT_SCORE = Decimal("0.4")
WEIGHT_PERFORMANCE = Decimal("0.3")
WEIGHT_MARKET = Decimal("0.2")
WEIGHT_RISK_REWARD = Decimal("0.1")

NEUTRAL = Decimal("0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectPolicy:
    """The settings of selection; the defaults are R5.2's, the rest is stated here."""

    min_signal_score: Decimal = Decimal("0.65")
    signal_age_ms_max: int = 86_400_000
    candidates_max: int = 10
    performance_prior: Decimal = NEUTRAL
    """Taken for the win rate while there are fewer than *performance_trades_min* trades."""
    performance_trades_min: int = 20
    reward_full: Decimal = Decimal(3)
    """A reward of so many times the risk, or more, counts as 1."""
    future_ms_max: int = 5_000
    """How far ahead of our clock a signal may be dated: clocks differ a little."""


@dataclass(frozen=True, slots=True)
class Performance:
    """What a strategy has shown so far: closed trades, and those that made money after fees."""

    trades: int
    wins: int


class Drop(StrEnum):
    """Why a signal is no candidate."""

    NOT_AN_ENTRY = "not_an_entry"
    IMPOSSIBLE = "impossible"
    SCORE_TOO_LOW = "score_too_low"
    TOO_OLD = "too_old"
    FROM_THE_FUTURE = "from_the_future"
    IN_POSITION = "in_position"
    PENDING = "pending"
    NOT_AMONG_TOP = "not_among_top"


@dataclass(frozen=True, slots=True)
class Dropped:
    signal: Signal
    reason: Drop
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Each part in [0, 1]; *total* is 40 % score, 30 % performance, 20 % market, 10 % risk/reward."""

    score: Decimal
    performance: Decimal
    market_condition: Decimal
    risk_reward: Decimal
    history: bool
    """False: *performance* is the neutral prior, to be shown as "no history"."""

    @property
    def total(self) -> Decimal:
        return (
            WEIGHT_SCORE * self.score
            + WEIGHT_PERFORMANCE * self.performance
            + WEIGHT_MARKET * self.market_condition
            + WEIGHT_RISK_REWARD * self.risk_reward
        )

    def describe(self) -> str:
        """For people: `quality 0.71 = score 0.80 · performance 0.50 (no history) · …`."""
        history = "" if self.history else " (no history)"
        return (
            f"quality {self.total:.2f} = score {self.score:.2f} · performance {self.performance:.2f}{history}"
            f" · market {self.market_condition:.2f} · risk/reward {self.risk_reward:.2f}"
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    signal: Signal
    quality: Quality


@dataclass(frozen=True, slots=True)
class Selection:
    """*ranked*: the candidates, best first; *dropped*: every other signal with its reason."""

    ranked: tuple[Candidate, ...]
    dropped: tuple[Dropped, ...]

    @property
    def best(self) -> Candidate | None:
        return self.ranked[0] if self.ranked else None


def select(
    signals: Iterable[Signal],
    *,
    held: frozenset[Symbol],
    pending: frozenset[Symbol],
    performance: Mapping[str, Performance],
    policy: SelectPolicy,
    now_ms: int,
) -> Selection:
    """Rank what is worth entering. *held* have a position, *pending* an entry without a proven end.

    *performance* is by strategy name. The same signals in any order give the same result.
    """
    look = _Look(held, pending, policy, now_ms)
    dropped: list[Dropped] = []
    fit: list[Signal] = []
    for signal in sorted(signals, key=_by_score):
        drop = next((row for row in _DROPS.items() if row[1](look, signal)), None)
        if drop is None:
            fit.append(signal)
        else:
            dropped.append(Dropped(signal, drop[0], _detail(drop[0], look, signal)))
    beyond = fit[policy.candidates_max :]
    dropped += [
        Dropped(signal, Drop.NOT_AMONG_TOP, f"{policy.candidates_max} others score higher")
        for signal in beyond
    ]
    candidates = [
        Candidate(signal, quality(signal, performance.get(signal.strategy), policy))
        for signal in fit[: policy.candidates_max]
    ]
    return Selection(tuple(sorted(candidates, key=_by_quality)), tuple(dropped))


def quality(signal: Signal, performance: Performance | None, policy: SelectPolicy) -> Quality:
    """The parts of a signal's quality, each held to [0, 1]."""
    history = performance is not None and performance.trades >= max(1, policy.performance_trades_min)
    rate = Decimal(performance.wins) / performance.trades if performance and history else None
    return Quality(
        score=_unit(signal.score),
        performance=_unit(policy.performance_prior if rate is None else rate),
        market_condition=_unit(signal.market_condition),
        risk_reward=risk_reward(signal, policy),
        history=history,
    )


def risk_reward(signal: Signal, policy: SelectPolicy) -> Decimal:
    """Reward over risk against *reward_full*; neutral without a target, 0 without a sane stop."""
    if signal.stop_price is None:
        return ZERO
    risk = (signal.price - signal.stop_price) * signal.direction.sign
    if risk <= 0:
        return ZERO
    if signal.take_profit is None:
        return NEUTRAL
    reward = (signal.take_profit - signal.price) * signal.direction.sign
    return _unit(reward / risk / policy.reward_full)


def _unit(value: Decimal) -> Decimal:
    return min(ONE, max(ZERO, value))


@dataclass(frozen=True, slots=True)
class _Look:
    held: frozenset[Symbol]
    pending: frozenset[Symbol]
    policy: SelectPolicy
    now_ms: int


def _impossible(look: _Look, signal: Signal) -> bool:
    """Hostile or broken numbers never get as far as being compared."""
    numbers = (signal.score, signal.price, signal.market_condition, signal.stop_price, signal.take_profit)
    if not all(each.is_finite() for each in numbers if each is not None):
        return True
    return not ZERO <= signal.score <= ONE or signal.price <= 0


# In the order in which they are told; the first that applies is the reason.
_DROPS: Mapping[Drop, Callable[[_Look, Signal], bool]] = {
    Drop.NOT_AN_ENTRY: lambda look, s: s.action is not Action.ENTER,
    Drop.IMPOSSIBLE: _impossible,
    Drop.FROM_THE_FUTURE: lambda look, s: s.created_ms > look.now_ms + look.policy.future_ms_max,
    Drop.TOO_OLD: lambda look, s: look.now_ms - s.created_ms > look.policy.signal_age_ms_max,
    Drop.SCORE_TOO_LOW: lambda look, s: s.score < look.policy.min_signal_score,
    Drop.IN_POSITION: lambda look, s: s.symbol in look.held,
    Drop.PENDING: lambda look, s: s.symbol in look.pending,
}


def _detail(reason: Drop, look: _Look, signal: Signal) -> str:
    age_sec = (look.now_ms - signal.created_ms) // 1000
    words = {
        Drop.NOT_AN_ENTRY: f"it is an {signal.action} signal",
        Drop.IMPOSSIBLE: f"score {signal.score}, price {signal.price}, stop {signal.stop_price}",
        Drop.FROM_THE_FUTURE: f"dated {-age_sec} s ahead",
        Drop.TOO_OLD: f"{age_sec} s old, expected at most {look.policy.signal_age_ms_max // 1000}",
        Drop.SCORE_TOO_LOW: f"score {signal.score}, expected at least {look.policy.min_signal_score}",
        Drop.IN_POSITION: f"{signal.symbol} has a position",
        Drop.PENDING: f"{signal.symbol} has an entry under way",
    }
    return words[reason]


_Tie = tuple[str, ...]


def _tie(signal: Signal) -> _Tie:
    """The last word between equals: every field as text, so that the order of arrival does not matter."""
    numbers = (signal.price, signal.stop_price, signal.take_profit, signal.volatility)
    return (
        str(signal.symbol),
        signal.strategy,
        signal.direction,
        signal.action,
        f"{signal.created_ms:020d}",
        *(str(each) for each in numbers),
        str(signal.market_condition),
        signal.reason,
    )


def _by_score(signal: Signal) -> tuple[Decimal, _Tie]:
    return (-signal.score if signal.score.is_finite() else ONE, _tie(signal))


def _by_quality(candidate: Candidate) -> tuple[Decimal, Decimal, _Tie]:
    return (-candidate.quality.total, -candidate.signal.score, _tie(candidate.signal))
