"""Schedules by chance: each seed has its own world of troubles.

In two levels, as swarm testing wants it: a seed first decides which kinds exist at all, then how often
each strikes and how hard. A kind that is absent cannot hide what another one would have found. Each kind
draws from a stream of its own, so that a new row in the catalogue does not change what others do.

Density is bounded: a bot that can never trade is never in danger. Troubles are thinned out until the
time in which a healthy bot may trade is `CALM_SHARE` of the whole.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

from holdfast.drills.kinds import KINDS, Kind, Moment, Number, Plane, Span, kinds_at
from holdfast.drills.plan import Schedule, Trouble, schedule_of, trouble
from holdfast.drills.wires import ExchangeName

HOUR_MS = 3_600_000
SHARES = (0.05, 0.15, 0.3, 0.5)
"""Which part of the kinds a seed has; drawn."""
RATES = (0.5, 4.0)
"""How much more often than usual a kind strikes where it exists; drawn between."""
PER_HOUR_MAX = 24
"""No more troubles than this, whatever was drawn."""
CALM_SHARE = 0.75
"""At least so much of the time no heavy trouble stands or has just ended."""
AFTERMATH_MS = 60_000
"""How long a healthy bot may need after a heavy trouble, or after its own death."""
QUIET_START_MS = 120_000
"""The bot may start in peace."""
QUIET_END_SHARE = 0.05
SELDOM = frozenset({"send", "order", "close", "stop", "cancel", "find", "trades", "key", "rules", "config"})
"""Requests that are made now and then only: what is to strike them has to last."""
DECISIVE = frozenset({"send", "order", "close", "stop", "positions"})
"""What costs money when it fails or lies: half of the troubles go there, where their kind allows."""
DECISIVE_SHARE = 0.5
LASTING = Span(10 * 60_000, 2 * 60_000, 30 * 60_000)
OFTEN_MIN = 0.5
WORST_MOMENTS = (Moment.NOW, Moment.SUBMIT, Moment.FILL, Moment.RECONCILE)
"""When a process dies or stands still: anywhere, and where most is under way."""


def draw(seed: int, hours: float, exchange: ExchangeName = "binance") -> Schedule:
    """The schedule of a seed at an exchange; the same for ever, for the same catalogue."""
    length_ms = round(hours * HOUR_MS)
    share = _chance(seed, "share").choice(SHARES)
    drawn = [
        each
        for kind in kinds_at(exchange).values()
        if _chance(seed, kind.name, "exists").random() < share * max(1.0, kind.per_hour)
        for each in _strikes(_chance(seed, kind.name), kind, length_ms, exchange)
    ]
    order = _chance(seed, "order")
    order.shuffle(drawn)
    return schedule_of(seed, length_ms, thinned(drawn, length_ms), exchange)


def _chance(seed: int, *names: str) -> random.Random:
    return random.Random("/".join(("swarm", str(seed), *names)))  # noqa: S311  (seeded chance is the point)


def _strikes(chance: random.Random, kind: Kind, length_ms: int, exchange: str) -> Iterable[Trouble]:
    """The troubles of one kind over the whole time, at random distances."""
    first, last = min(QUIET_START_MS, length_ms // 2), length_ms * (1 - QUIET_END_SHARE)
    every_ms = HOUR_MS / (kind.per_hour * _between(chance, *RATES))
    # At least one, wherever it falls: a kind that exists is meant to be met.
    at_ms = min(first + chance.expovariate(1 / every_ms), chance.uniform(first, last))
    while at_ms < last:
        yield _trouble(chance, kind, int(at_ms), exchange)
        at_ms += chance.expovariate(1 / every_ms)


def _trouble(chance: random.Random, kind: Kind, at_ms: int, exchange: str) -> Trouble:
    target, numbers = _target(chance, kind), _numbers(chance, kind)
    lasts_ms = kind.lasts_ms
    if lasts_ms and target in SELDOM:
        lasts_ms = LASTING
        if "probability" in numbers:
            numbers["probability"] = max(OFTEN_MIN, numbers["probability"])
    return trouble(
        kind.name,
        at_ms,
        exchange,
        target=target,
        on=chance.choice(WORST_MOMENTS) if kind.plane is Plane.PROCESS else kind.on,
        word=chance.choice(kind.words or ("",)),
        for_ms=int(_number(chance, lasts_ms)) if lasts_ms else 0,
        numbers=numbers,
    )


def _target(chance: random.Random, kind: Kind) -> str:
    decisive = [target for target in kind.targets if target in DECISIVE]
    narrowed = chance.random() < DECISIVE_SHARE
    return chance.choice(decisive if decisive and narrowed else kind.targets)


def _numbers(chance: random.Random, kind: Kind) -> dict[str, Number]:
    return {name: _number(chance, span) for name, span in kind.numbers.items()}


def _number(chance: random.Random, span: Span) -> Number:
    """Half the time about as usual, otherwise anywhere within the bounds; never finer than needed."""
    if chance.random() < 0.5:
        value = chance.uniform(*sorted((span.usual, chance.choice((span.low, span.high)))))
        value = span.usual + (value - span.usual) * 0.3
    elif span.low > 0:
        value = _between(chance, span.low, span.high)
    else:
        value = chance.uniform(span.low, span.high)
    return round(value) if span.whole else float(f"{value:.4g}")


def _between(chance: random.Random, low: float, high: float) -> float:
    """Evenly over the orders of magnitude: small values are as likely as large ones."""
    return min(high, math.exp(chance.uniform(math.log(low), math.log(high))))


# --- density -----------------------------------------------------------------------------------------


def thinned(drawn: list[Trouble], length_ms: int) -> list[Trouble]:
    """As many of *drawn*, in their order, as leave enough calm; heavy ones that would be too much go."""
    kept: list[Trouble] = []
    troubled_ms = 0
    for each in drawn[: math.ceil(PER_HOUR_MAX * length_ms / HOUR_MS)]:
        cost_ms = cost(each)
        if troubled_ms + cost_ms <= (1 - CALM_SHARE) * length_ms:
            kept.append(each)
            troubled_ms += cost_ms
    return kept


def cost(each: Trouble) -> int:
    """For about how long a healthy bot does not trade because of it (ms)."""
    kind = KINDS[each.kind]
    down_ms = int(each.numbers.get("down_ms", 0)) + int(each.numbers.get("pause_ms", 0))
    if kind.heavy:
        return each.for_ms + AFTERMATH_MS
    return down_ms + AFTERMATH_MS if kind.plane is Plane.PROCESS else 0
