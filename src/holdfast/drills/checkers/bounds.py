"""How long and how much: the numbers that checkers hold a bot to, all from its own settings."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from holdfast.decisions.gate import Limits
from holdfast.drills.wires import WIRES
from holdfast.engine.settings import BotSettings

RECEIVE_WINDOW_MS = 5_000
FUTURE_MS = 1_000
"""The exchange takes requests signed up to so far in its future."""
CLOSE_MS = 5_000
"""From the decision to close to flat, on a healthy wire."""
CYCLE_MS = 5_000
"""A turn of reading, deciding and committing, on a healthy wire."""
JOURNAL_PATIENCE_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Times in ms, ratios of 1. What a fault takes away is excused beside these, not within them."""

    limits: Limits
    adopt_unknown: bool
    in_flight_ms: int
    """A request signed before an order of the operator may arrive so much later."""
    naked_ms: int
    """S6: the longest time without cover in which it could have been had: to learn of it by reading, to
    try until the deadline, and then to close."""
    learn_ms: int
    """Until a change that nobody told of is found by reading."""
    follow_ms: int
    """How far books may lag behind what is told and read as it should be."""
    tries_pause_ms: int
    """The longest pause between two tries to protect, with the time a try itself may take."""
    tries_max: int
    """S6: protective requests on one position within `tries_window_ms`."""
    tries_window_ms: int
    stops_beside_ms: int
    """S2: how long a second stop may stand beside the first."""
    weight_per_minute: int
    orders_per_10s: int
    orders_per_minute: int
    wallet_step: Decimal
    """To which the exchange rounds the wallet when it tells it."""
    start_ms: int = 10_000
    """From a start of the bot until it knows its account."""
    doubt_ms: int = 15_000
    """How long a false or missing answer may mislead: the longest pause between two reads, and one more."""


def bounds_of(settings: BotSettings, *, budget: Decimal = Decimal("0.5")) -> Bounds:
    """*budget*: the share of the exchange's own message limits that the bot may use."""
    wire = WIRES[settings.exchange]
    fresh, protection = settings.freshness, settings.protection
    learn = fresh.positions_flat_ms + fresh.visibility_ms + 2 * fresh.confirm_ms + CYCLE_MS
    return Bounds(
        limits=settings.limits,
        adopt_unknown=protection.adopt_unknown,
        in_flight_ms=RECEIVE_WINDOW_MS + FUTURE_MS + JOURNAL_PATIENCE_MS,
        naked_ms=fresh.positions_ms + fresh.visibility_ms + protection.protect_deadline_ms + CLOSE_MS,
        learn_ms=learn,
        follow_ms=fresh.positions_ms + fresh.visibility_ms + CYCLE_MS,
        tries_pause_ms=protection.retry_max_ms + settings.request_timeout_ms + CYCLE_MS,
        tries_max=20,
        tries_window_ms=10_000,
        stops_beside_ms=2 * fresh.orders_ms + fresh.visibility_ms + protection.retry_max_ms + CYCLE_MS,
        weight_per_minute=int(wire.weight_per_minute * budget),
        orders_per_10s=int(wire.orders_per_10s * budget),
        orders_per_minute=int(wire.orders_per_minute * budget),
        wallet_step=wire.wallet_step,
    )
