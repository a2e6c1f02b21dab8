"""A valid value of each kind that protecting, closing and reconciling look at, one change at a time."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from holdfast.decisions.facts import Attempt, Facts, Tracked
from holdfast.decisions.policy import Freshness, Protection
from holdfast.domain.account import Fact, MarginMode, Mark, Position, PositionKey, PositionMode
from holdfast.domain.intents import Accepted, Intent, Journaled, Outcome, Purpose, Rejected, RejectReason
from holdfast.domain.orders import (
    ClientOrderId,
    ExchangeStatus,
    Fill,
    Order,
    OrderType,
    PositionSide,
    Side,
    Stop,
    StopKind,
    StopStatus,
    TriggerSource,
)
from tests.decisions.examples import BTC, ETH, INSTRUMENT, NOW_MS, D, journaled

KEY = PositionKey(BTC, PositionSide.BOTH)
OTHER = PositionKey(ETH, PositionSide.BOTH)
PROTECTION = Protection(default_stop_pct=D(2))
FRESH = Freshness()
OURS = "hf-1-stop-1aaaaa"
"""A client id in the form of ours."""

__all__ = ["BTC", "ETH", "INSTRUMENT", "NOW_MS", "D", "journaled"]


def position(**changes: Any) -> Position:
    """Long 0.5 BTC from 50 000, liquidated at 40 000."""
    base = Position(
        symbol=BTC,
        side=PositionSide.BOTH,
        quantity=D("0.5"),
        entry_price=D(50_000),
        mark_price=D(50_100),
        unrealized_pnl=D(50),
        liquidation_price=D(40_000),
        leverage=5,
        margin_mode=MarginMode.CROSS,
        updated_ms=NOW_MS - 60_000,
    )
    return replace(base, **changes)


def short(**changes: Any) -> Position:
    base = position(quantity=D("-0.5"), liquidation_price=D(60_000), mark_price=D(49_900))
    return replace(base, **changes)


def tracked(held: Position | None = None, **changes: Any) -> Tracked:
    """In the books for a minute, its stop wanted 2 % away."""
    held = held or position()
    base = Tracked(
        trade_id=1,
        key=held.key,
        direction=held.direction,
        quantity=abs(held.quantity),
        entry_price=held.entry_price,
        opened_ms=NOW_MS - 60_000,
        stop_price=held.entry_price * (1 - held.direction.sign * D("0.02")),
        strategy="donchian",
        adopted=False,
        entry_client_id="hf-1-in-1aaaaa",
    )
    return replace(base, **changes)


def stop(held: Position | None = None, **changes: Any) -> Stop:
    """A live market stop over the whole position, where the books want it, there for a minute."""
    held = held or position()
    base = Stop(
        symbol=held.symbol,
        stop_id="s1",
        client_id=OURS,
        kind=StopKind.STOP,
        market=True,
        side=held.direction.closing,
        position_side=held.side,
        trigger_price=held.entry_price * (1 - held.direction.sign * D("0.02")),
        trigger_source=TriggerSource.MARK,
        quantity=D(0),
        close_position=True,
        reduce_only=False,
        status=StopStatus.LIVE,
        created_ms=NOW_MS - 60_000,
        updated_ms=NOW_MS - 60_000,
    )
    return replace(base, **changes)


def sized(held: Position | None = None, **changes: Any) -> Stop:
    held = held or position()
    form = {"close_position": False, "reduce_only": True, "quantity": abs(held.quantity), "stop_id": "s2"}
    return stop(held, **(form | changes))


def order(**changes: Any) -> Order:
    """A resting order to buy that is not ours."""
    base = Order(
        symbol=BTC,
        order_id="o1",
        client_id="web_abc",
        side=Side.BUY,
        position_side=PositionSide.BOTH,
        type=OrderType.LIMIT,
        status=ExchangeStatus.OPEN,
        quantity=D("0.1"),
        filled=D(0),
        average_price=D(0),
        price=D(45_000),
        reduce_only=False,
        updated_ms=NOW_MS - 60_000,
    )
    return replace(base, **changes)


def fill(**changes: Any) -> Fill:
    """Bought half a bitcoin for 50 000 a minute ago."""
    base = Fill(
        symbol=BTC,
        trade_id="t1",
        order_id="o1",
        client_id="",
        side=Side.BUY,
        position_side=PositionSide.BOTH,
        price=D(50_000),
        quantity=D("0.5"),
        fee=D(10),
        fee_currency="USDT",
        realized_pnl=D(0),
        maker=False,
        at_ms=NOW_MS - 60_000,
    )
    return replace(base, **changes)


def mark(price: object = 50_100, *, age_ms: int = 500) -> Mark:
    at_ms = NOW_MS - age_ms
    return Mark(price=Decimal(str(price)), exchange_ms=at_ms, heard_ms=at_ms, source="ws")


def read(*positions: Position, age_ms: int = 1_000, complete: bool = True) -> Fact[tuple[Position, ...]]:
    return Fact(positions, NOW_MS - age_ms, NOW_MS - age_ms + 50, complete)


def facts(*held: Position, stops: tuple[Stop, ...] = (), **changes: Any) -> Facts:
    """Those positions held and in the books, read a second ago, with exactly those stops."""
    base = Facts(
        now_ms=NOW_MS,
        protection=PROTECTION,
        freshness=FRESH,
        expected_mode=PositionMode.ONE_WAY,
        positions={each.key: each for each in held},
        positions_read=read(*held),
        positions_before=read(*held, age_ms=6_000),
        stops={each.stop_id: each for each in stops},
        stops_read_ms={BTC: NOW_MS - 1_000, ETH: NOW_MS - 1_000},
        tracked={each.key: tracked(each) for each in held},
        naked_since={} if stops else {each.key: NOW_MS - 1_000 for each in held},
        marks={BTC: mark()},
        instruments={BTC: INSTRUMENT},
        our_ids=frozenset(each.client_id for each in stops if each.client_id.startswith("hf-")),
    )
    return replace(base, **changes)


def tried(
    purpose: Purpose = Purpose.PLACE_STOP,
    outcome: Outcome | None = None,
    *,
    age_ms: int = 900,
    whole: bool = True,
) -> Attempt:
    return Attempt(purpose=purpose, whole=whole, at_ms=NOW_MS - age_ms, outcome=outcome)


def refused(reason: RejectReason = RejectReason.OTHER) -> Rejected:
    return Rejected(reason=reason, code="-1", message=reason.value)


ACCEPTED = Accepted(exchange_id="x1")


def sent(purpose: Purpose = Purpose.PLACE_STOP, key: PositionKey = KEY, **changes: Any) -> Journaled:
    """A request of ours that is under way."""
    intent = Intent(purpose=purpose, symbol=key.symbol, side=Side.SELL, position_side=key.side)
    return journaled(intent, **({"client_id": ClientOrderId("hf-1-stop-1zzzzz")} | changes))
