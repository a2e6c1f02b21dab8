"""How the exchange behaves where the real one varies or is not known for sure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.account import PositionMode


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreConfig:
    """Behaviour of one exchange. Ratios are fractions of 1, amounts in quote currency.

    Fields marked [M] stand for what the exchange sheet (binance.md) does not verify: drills run
    them both ways.
    """

    seed: int = 0
    quote: str = "USDT"
    wallet: Decimal = Decimal(10_000)
    """Deposited when an account is opened without a stated wallet."""
    leverage: int = 20
    """Of a symbol whose leverage was never set (cut to what the instrument allows)."""
    position_mode: PositionMode = PositionMode.ONE_WAY
    """Of a new account."""
    read_lag_ms: tuple[int, int] = (0, 500)
    """Bounds for the dialect's draw of how far reads lag effects; `Core.view` takes the drawn value."""
    orders_max: int = 200
    """Open regular orders per account and symbol."""
    algos_max: int = 200
    """Open conditional orders per account, over all symbols."""

    # --- liquidity ---------------------------------------------------------------------------------
    spread_ratio: Decimal = Decimal("0.00002")
    """Best ask minus best bid as a share of price; never less than one tick."""
    taker_share: Decimal = Decimal("0.25")
    """Share of the volume traded per second (smoothed) that stands at the best price of each side."""
    maker_share: Decimal = Decimal("0.5")
    """Share of a second's volume that may fill resting orders of one side."""
    book_levels: int = 1000
    level_ratio: Decimal = Decimal("0.00005")
    """Distance between book levels as a share of price; never less than one tick."""

    # --- timing ------------------------------------------------------------------------------------
    trigger_delay_ms: int = 10
    """From TRIGGERING to TRIGGERED."""
    stuck_triggering_tolerance_ms: int = 2_000
    """A stop TRIGGERING for longer does not count as cover."""
    ro_cancel_delay_ms: int = 0
    """[M] From a position going flat to the end of its resting reduce-only orders."""
    tied_end_delay_ms: int = 0
    """[M] From a position going flat to the end of the conditional orders that end with it."""
    attach_at_first_fill: bool = False
    """[M] Attached stops are placed, for the whole order, with its first fill; otherwise at its end."""
    naked_tolerance_ms: int = 0
    """Naked spans not longer than this are not counted by `Core.truth`."""

    # --- behaviour [M] -----------------------------------------------------------------------------
    stop_locks_quantity: bool = False
    """A live reduce-only stop locks what it would close: closing beside it is refused."""
    reduce_only_conflict: bool = True
    """Resting reduce-only orders covering the whole position make another one REDUCE_ONLY_CONFLICT;
    otherwise it is taken and knocks out those of lower priority."""
    closes_within_available: bool = False
    """A closing order may not exceed what other closing orders (and stops that lock) leave of the
    position; REDUCE_ONLY_CONFLICT tells what is `available`."""
    close_stop_requires_position: bool = True
    """A closePosition stop is refused while there is no position to close."""
    refuse_unmatched: bool = True
    """What the book cannot serve (post-only that would take, FOK, no counterparty) is refused;
    otherwise it is taken and cancelled at once."""
    reduce_only_displaces: bool = False
    """A reduce-only order that leaves its elders nothing to reduce cancels them, oldest first."""
    child_named_by_id: bool = False
    """A triggered order carries its conditional order's id as client id; otherwise that one's client id."""
    margin_call_ratio: Decimal = Decimal("0.8")
    """Maintenance margin / margin balance at which a margin call is told."""
