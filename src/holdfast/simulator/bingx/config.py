"""How the simulated BingX behaves where its documents are silent or differ, and what it allows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from holdfast.domain.account import PositionMode
from holdfast.simulator.core.config import CoreConfig
from holdfast.simulator.wire.venue import WireConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is allowed. Endpoints have their own figure per second and account (sheet §3)."""

    market_per_10s: int = 500
    """Public requests of an address."""
    account_per_10s: int = 1_000
    """Requests with a key, of an address."""
    share: float = 1.0
    """Scales the endpoints' own figures (0: they are not counted)."""
    invalid_per_minute: int = 120
    """Refused requests of an account; more of them, and it is told to pause (109429) [?]."""
    pause_ms: int = 60_000
    sliding: bool = False
    """The stretches that are counted end now, instead of beginning at each multiple of their length [?]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What the sheet (bingx.md) marks [?], or tells in two versions: drills run them both ways."""

    limits: Limits = field(default_factory=Limits)
    position_mode: PositionMode = PositionMode.HEDGE
    """Of a new account."""
    truncates_quantity: bool = True
    """Decimals too many are cut off; otherwise refused."""
    stops_keep_client_ids: bool = False
    """A stop's client id is kept and found again; otherwise it is dropped without a word."""
    stops_only_reduce: bool = False
    """STOP_MARKET and the like never open a position in one-way mode, even without `reduceOnly`."""
    attached_at: Literal["end", "first_fill"] = "end"
    """When attached stops become orders: when the order has ended, for what was filled; or with its
    first fill, for the whole of it."""
    stops_end_with_position: bool = True
    """Position-bound stops end in the moment the position is flat; otherwise they stay."""
    stops_end_delay_ms: int = 0
    """How long that takes; a new position meanwhile keeps them."""
    orphans_end_as: Literal["CANCELED", "EXPIRED"] = "CANCELED"
    """How such an end is called."""
    stop_locks_quantity: bool = False
    """A waiting stop takes its quantity out of `availableAmt`."""
    child_gets_new_id: bool = True
    """A triggered stop's order has an id of its own; otherwise it goes on under the stop's."""
    old_codes: bool = False
    """Errors of before October 2025 (80014, 80016 …) where they have an older name."""
    triggered_as: Literal["TRIGGERED", "FILLED"] = "TRIGGERED"
    """What a stop's own row says once its order (with a new id) is out."""
    post_only_refused: bool = True
    """101215 for a post-only order that would take; otherwise it is taken and cancelled."""
    duplicate_code: Literal[101481, 101400] = 101481
    batch_failure: Literal["missing", "code"] = "missing"
    """A failing member of a batch is left out of the answer, or its code is the whole answer's;
    the others are placed either way."""
    cancel_answers: Literal["CANCELLED", "PENDING"] = "CANCELLED"
    """The status in the answer to a cancel."""
    junk_order_id: Literal["refuse", "client_id"] = "refuse"
    """`orderId=None` (ccxt's spelling of no id) beside a client id: refused, or looked past."""
    settlement_ms: int = 0
    """How long after a funding orders are refused (101214)."""
    order_event: Literal["ORDER_TRADE_UPDATE", "TRADE_UPDATE"] = "ORDER_TRADE_UPDATE"
    index_always_lists: bool = False
    """`premiumIndex` answers a list also for one symbol, as it used to."""
    percent_sign: bool = False
    """`priceChangePercent` carries a % sign."""
    pong_within_s: float = 30.0
    """A socket whose client has not answered a Ping for so long is closed."""

    def core(self, base: CoreConfig) -> CoreConfig:
        """What the switches mean to the core."""
        return replace(
            base,
            position_mode=self.position_mode,
            closes_within_available=True,
            attach_at_first_fill=self.attached_at == "first_fill",
            tied_end_delay_ms=self.stops_end_delay_ms,
            stop_locks_quantity=self.stop_locks_quantity,
            refuse_unmatched=self.post_only_refused,
            leverage=5,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BingxConfig(WireConfig):
    """What only this exchange's wire has."""

    switches: Switches = field(default_factory=Switches)
