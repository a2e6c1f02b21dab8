"""How much: risk over stop distance, under every cap, on tradable steps (R5.3, R5.6)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from holdfast.decisions.gate import Refusal
from holdfast.decisions.limits import Limits
from holdfast.decisions.stop_price import margin_needed, notional_cap, safer_stop, stop_fault
from holdfast.domain.instrument import Instrument
from holdfast.domain.numbers import ONE, ZERO, ceil_to, plain
from holdfast.domain.orders import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class SizePolicy:
    """*risk_per_trade_ratio*: share of equity lost when the stop fills at its price (R5.3: 1–2 %).

    *default_stop_ratio*: distance of the stop from the price where the signal names none.
    *notional_drift_ratio*: kept from the minimum notional and from every cap in quote, because gate
    and exchange check against a mark price that is a little later than ours.
    """

    risk_per_trade_ratio: Decimal = Decimal("0.01")
    default_stop_ratio: Decimal = Decimal("0.02")
    notional_drift_ratio: Decimal = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeFacts:
    """What an entry is sized on. Prices and money in quote, *price* is the mark of this moment."""

    instrument: Instrument
    direction: Direction
    price: Decimal
    stop_price: Decimal | None
    """The signal's; None = the policy's distance."""
    equity: Decimal
    available: Decimal
    leverage: int
    """As set at the exchange."""
    symbol_notional: Decimal = ZERO
    gross_notional: Decimal = ZERO
    pending_notional: Decimal = ZERO
    """Entries whose margin may not yet be missing from *available*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """*quantity* in base; *notional*, *risk* (lost at the stop) and *margin* in quote."""

    quantity: Decimal
    notional: Decimal
    risk: Decimal
    margin: Decimal
    stop_price: Decimal
    """On a tradable price, rounded towards the market."""
    bound_by: str
    """Which cap decided, for the display."""


@dataclass(frozen=True, slots=True)
class NotSized:
    """*explanation* says what is, what was expected and what would help, with numbers."""

    reason: Refusal
    explanation: str


def size(facts: SizeFacts, limits: Limits, policy: SizePolicy) -> Sized | NotSized:
    """The largest tradable quantity that respects risk and every cap, or why there is none."""
    unusable = _unusable(facts, limits)
    if unusable is not None:
        return unusable
    stop = _stop(facts, policy)
    fault = stop_fault(
        facts.instrument,
        facts.direction,
        price=facts.price,
        stop_price=stop,
        distance_min_ratio=limits.stop_distance_min_ratio,
        distance_max_ratio=limits.stop_distance_max_ratio,
        leverage=facts.leverage,
        notional=facts.equity * limits.position_notional_max_ratio,
    )
    if fault:
        return NotSized(Refusal.STOP_INSANE, fault)
    caps = _caps(facts, stop, limits, policy)
    bound_by = min(caps, key=lambda name: (caps[name], name))
    quantity = facts.instrument.quantity_down(max(ZERO, caps[bound_by]) / facts.price)
    too_small = _too_small(facts, quantity, caps, bound_by, policy)
    if too_small is not None:
        return too_small
    notional = quantity * facts.price
    return Sized(
        quantity=quantity,
        notional=notional,
        risk=quantity * abs(facts.price - stop),
        margin=margin_needed(notional, facts.leverage, limits.margin_buffer_ratio),
        stop_price=stop,
        bound_by=bound_by,
    )


def _unusable(facts: SizeFacts, limits: Limits) -> NotSized | None:
    if not facts.price.is_finite() or facts.price <= 0:
        return NotSized(Refusal.MARK_INSANE, f"expected a price above 0, found {facts.price}")
    if not 1 <= facts.leverage <= limits.leverage_max:
        words = (
            f"expected leverage 1 to {limits.leverage_max}, found {facts.leverage}: set it at the exchange"
        )
        return NotSized(Refusal.LEVERAGE, words)
    if facts.equity <= 0 or facts.available <= 0:
        words = (
            f"equity is {_money(facts.equity)}, available {_money(facts.available)}:"
            " deposit, or close something"
        )
        return NotSized(Refusal.MARGIN, words)
    return None


def _stop(facts: SizeFacts, policy: SizePolicy) -> Decimal:
    wanted = facts.stop_price
    if wanted is None:
        wanted = facts.price * (ONE - facts.direction.sign * policy.default_stop_ratio)
    return safer_stop(facts.instrument, facts.direction, wanted)


def _caps(facts: SizeFacts, stop: Decimal, limits: Limits, policy: SizePolicy) -> dict[str, Decimal]:
    """Every upper bound of the notional, in quote, by the name of what sets it."""
    equity, price, instrument = facts.equity, facts.price, facts.instrument
    distance = abs(price - stop) / price
    largest = [each for each in (instrument.quantity_max, instrument.market_quantity_max) if each > 0]
    ladder = notional_cap(instrument, facts.leverage)
    per_notional = margin_needed(ONE, facts.leverage, limits.margin_buffer_ratio)
    caps = {
        "order_notional_max_ratio": equity * limits.order_notional_max_ratio,
        "position_notional_max_ratio": equity * limits.position_notional_max_ratio - facts.symbol_notional,
        "gross_exposure_max_ratio": equity * limits.gross_exposure_max_ratio - facts.gross_notional,
        "available margin": facts.available / per_notional - facts.pending_notional,
    }
    if ladder is not None:
        caps["leverage bracket"] = ladder - facts.symbol_notional
    caps = {name: cap / _drift(policy) for name, cap in caps.items()}
    caps["risk_per_trade_ratio"] = equity * policy.risk_per_trade_ratio / distance
    if largest:
        caps["largest order of the exchange"] = min(largest) * price
    return caps


# Which refusal a cap becomes when it leaves less than the instrument's minimum.
_CAP_REFUSALS = {
    "available margin": Refusal.MARGIN,
    "gross_exposure_max_ratio": Refusal.EXPOSURE_TOO_LARGE,
    "position_notional_max_ratio": Refusal.POSITION_TOO_LARGE,
    "leverage bracket": Refusal.POSITION_TOO_LARGE,
}


def _too_small(
    facts: SizeFacts, quantity: Decimal, caps: dict[str, Decimal], bound_by: str, policy: SizePolicy
) -> NotSized | None:
    """Rounding up to the minimum would break a limit, so it is said what would help instead."""
    needed = minimum_notional(facts.instrument, facts.price, policy)
    if quantity > 0 and quantity * facts.price >= facts.instrument.notional_min * _drift(policy):
        return None
    allowed = max(ZERO, caps[bound_by])
    below = Refusal.QUANTITY_BELOW_MIN if quantity <= 0 else Refusal.NOTIONAL_BELOW_MIN
    words = (
        f"{facts.instrument.symbol} takes orders from {_money(needed)}, {bound_by} allows {_money(allowed)}:"
        f" {_remedy(bound_by, needed, allowed, facts)}"
    )
    return NotSized(_CAP_REFUSALS.get(bound_by, below), words)


def _drift(policy: SizePolicy) -> Decimal:
    return ONE + policy.notional_drift_ratio


def minimum_notional(instrument: Instrument, price: Decimal, policy: SizePolicy) -> Decimal:
    """The smallest order that the exchange takes at *price*, in quote, on whole steps, drift included."""
    for_notional = ceil_to(instrument.notional_min * _drift(policy) / price, instrument.quantity_step)
    for_quantity = ceil_to(instrument.quantity_min, instrument.quantity_step)
    return max(for_notional, for_quantity) * price


def _remedy(bound_by: str, needed: Decimal, allowed: Decimal, facts: SizeFacts) -> str:
    if bound_by == "leverage bracket":
        return f"lower the leverage of {facts.leverage}"
    if bound_by == "gross_exposure_max_ratio":
        return "close another position, or raise the limit"
    if bound_by == "position_notional_max_ratio" and facts.symbol_notional > 0:
        return "this symbol is full"
    if bound_by == "available margin":
        missing = (needed - allowed) / facts.leverage
        return f"deposit about {_money(missing)}, close something, or leave this symbol out"
    if allowed <= 0:
        return f"raise {bound_by}, or leave this symbol out"
    equity = facts.equity * needed / allowed
    return f"raise {bound_by}, or hold about {_money(equity)} of equity, or leave this symbol out"


def _money(value: Decimal) -> str:
    return plain(value.quantize(Decimal("0.01")))
