"""The trading rules the simulated exchange keeps: real filters for well-known symbols, derived ones else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.instrument import Bracket
from holdfast.domain.numbers import ZERO, ceil_to, floor_to
from holdfast.domain.symbol import Symbol


@dataclass(slots=True, kw_only=True)
class SimInstrument:
    """One symbol's rules; prices and notionals in quote, quantities in base. Changed by `Core.set_*` only."""

    symbol: Symbol
    price_step: Decimal
    quantity_step: Decimal
    quantity_min: Decimal
    quantity_max: Decimal
    market_quantity_max: Decimal
    price_min: Decimal
    price_max: Decimal
    notional_min: Decimal
    brackets: tuple[Bracket, ...]
    price_decimals: int
    quantity_decimals: int
    maker_fee: Decimal = Decimal("0.0002")
    taker_fee: Decimal = Decimal("0.0005")
    liquidation_fee: Decimal = Decimal("0.0125")
    trigger_protect: Decimal = Decimal("0.05")
    market_take_bound: Decimal = Decimal("0.05")
    percent_up: Decimal = Decimal("1.05")
    """PERCENT_PRICE: a buy limit may not be above mark × this."""
    percent_down: Decimal = Decimal("0.95")
    status: str = "TRADING"
    onboard_ms: int = 1_569_398_400_000
    funding_interval_hours: int = 8

    @property
    def leverage_max(self) -> int:
        return self.brackets[0].leverage_max

    @property
    def trading(self) -> bool:
        return self.status == "TRADING"


@dataclass(frozen=True, slots=True)
class _Rules:
    tick: str
    step: str
    notional_min: int
    quantity_max: int
    market_quantity_max: int
    ladder: str
    base_price: float
    """Where generated markets start."""


# As Binance USDⓈ-M listed them; minimums change there without notice (binance.md pitfall 3).
_KNOWN: Mapping[str, _Rules] = {
    "BTC": _Rules("0.10", "0.001", 100, 1_000, 120, "major", 60_000.0),
    "ETH": _Rules("0.01", "0.001", 20, 10_000, 2_000, "major", 2_500.0),
    "SOL": _Rules("0.0100", "0.01", 5, 1_000_000, 20_000, "large", 150.0),
    "BNB": _Rules("0.010", "0.01", 5, 100_000, 2_000, "large", 600.0),
    "XRP": _Rules("0.0001", "0.1", 5, 10_000_000, 2_000_000, "large", 2.2),
    "ADA": _Rules("0.00010", "1", 5, 2_000_000, 300_000, "large", 0.7),
    "DOGE": _Rules("0.000010", "1", 5, 50_000_000, 30_000_000, "large", 0.18),
    "LTC": _Rules("0.01", "0.001", 20, 10_000, 5_000, "large", 90.0),
    "LINK": _Rules("0.001", "0.01", 20, 200_000, 20_000, "large", 14.0),
    "AVAX": _Rules("0.0010", "1", 5, 10_000_000, 20_000, "large", 21.0),
    "DOT": _Rules("0.001", "0.1", 5, 1_000_000, 50_000, "large", 4.2),
    "TRX": _Rules("0.00001", "1", 5, 10_000_000, 5_000_000, "large", 0.25),
    "SUI": _Rules("0.000100", "0.1", 5, 10_000_000, 500_000, "large", 3.3),
    "LAYER": _Rules("0.0001", "1", 5, 5_000_000, 300_000, "small", 3.0),
}

_Steps = Sequence[tuple[int, int, str]]
# notional cap (quote), maximum leverage, maintenance ratio
_LADDERS: Mapping[str, _Steps] = {
    "major": (
        (300_000, 125, "0.004"),
        (800_000, 100, "0.005"),
        (3_000_000, 75, "0.0065"),
        (12_000_000, 50, "0.01"),
        (70_000_000, 25, "0.02"),
        (100_000_000, 20, "0.025"),
        (230_000_000, 10, "0.05"),
        (480_000_000, 5, "0.1"),
        (600_000_000, 4, "0.125"),
        (800_000_000, 3, "0.15"),
        (1_200_000_000, 2, "0.25"),
        (1_800_000_000, 1, "0.5"),
    ),
    "large": (
        (10_000, 75, "0.005"),
        (50_000, 60, "0.0065"),
        (500_000, 50, "0.01"),
        (2_000_000, 25, "0.02"),
        (5_000_000, 20, "0.025"),
        (10_000_000, 10, "0.05"),
        (20_000_000, 5, "0.1"),
        (30_000_000, 4, "0.125"),
        (50_000_000, 2, "0.25"),
        (80_000_000, 1, "0.5"),
    ),
    "small": (
        (5_000, 75, "0.01"),
        (10_000, 50, "0.015"),
        (30_000, 25, "0.02"),
        (60_000, 20, "0.025"),
        (300_000, 10, "0.05"),
        (600_000, 5, "0.1"),
        (750_000, 4, "0.125"),
        (1_500_000, 2, "0.25"),
        (3_000_000, 1, "0.5"),
    ),
}


def ladder(steps: _Steps) -> tuple[Bracket, ...]:
    """Brackets with maintenance amounts: cum_n = cum_{n-1} + floor_n × (MMR_n − MMR_{n-1}) (sheet §5)."""
    brackets: list[Bracket] = []
    floor, ratio_before, amount = ZERO, ZERO, ZERO
    for cap, leverage, ratio_text in steps:
        ratio = Decimal(ratio_text)
        amount += floor * (ratio - ratio_before)
        brackets.append(
            Bracket(
                notional_floor=floor,
                notional_cap=Decimal(cap),
                leverage_max=leverage,
                maintenance_ratio=ratio,
                maintenance_amount=amount,
            )
        )
        floor, ratio_before = Decimal(cap), ratio
    return tuple(brackets)


LADDERS: Mapping[str, tuple[Bracket, ...]] = {name: ladder(steps) for name, steps in sorted(_LADDERS.items())}


def decimals_of(step: Decimal) -> int:
    """How many decimals a multiple of *step* can have."""
    return max(0, -int(step.normalize().as_tuple().exponent))


def base_price(symbol: Symbol) -> float | None:
    """Where a generated market of a well-known symbol starts; None for the others."""
    rules = _KNOWN.get(symbol.base)
    return rules.base_price if rules else None


def instrument_for(symbol: Symbol, price: float, price_decimals: int | None = None) -> SimInstrument:
    """The rules of *symbol*: the real ones where known, else derived from its price level.

    *price_decimals* is how fine the data's prices are; a derived tick is never finer than a
    millionth or coarser than a thousandth of the price.
    """
    rules = _KNOWN.get(symbol.base)
    if rules is None:
        return _instrument(symbol, _derived(price, price_decimals), price)
    return _instrument(symbol, rules, price)


def _instrument(symbol: Symbol, rules: _Rules, price: float) -> SimInstrument:
    tick, step = Decimal(rules.tick), Decimal(rules.step)
    level = Decimal(repr(price))
    return SimInstrument(
        symbol=symbol,
        price_step=tick,
        quantity_step=step,
        quantity_min=step,
        quantity_max=Decimal(rules.quantity_max),
        market_quantity_max=Decimal(rules.market_quantity_max),
        price_min=max(tick, floor_to(level / 200, tick)),
        price_max=ceil_to(level * 20, tick),
        notional_min=Decimal(rules.notional_min),
        brackets=LADDERS[rules.ladder],
        price_decimals=-int(tick.as_tuple().exponent),
        quantity_decimals=decimals_of(step),
    )


def _derived(price: float, price_decimals: int | None) -> _Rules:
    """Tick about 1/30 000 of the price, step worth about one unit of quote currency."""
    magnitude = Decimal(repr(price)).adjusted()
    decimals = max(0, 4 - magnitude)
    if price_decimals is not None:
        decimals = min(max(price_decimals, 3 - magnitude, 0), max(0, 6 - magnitude))
    step = Decimal(1).scaleb(-max(0, magnitude))
    quantity_max = max(1_000, int(10_000_000 / price))
    return _Rules(
        str(Decimal(1).scaleb(-decimals)),
        str(step),
        5,
        quantity_max,
        max(100, quantity_max // 10),
        "small",
        price,
    )
