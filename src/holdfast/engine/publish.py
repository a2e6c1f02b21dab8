"""Makes the published `View` out of what the supervisor knows (R1.2, R1.3, R3.7, R5.8)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from holdfast.decisions import protect as protecting
from holdfast.decisions.breakers import error_rate
from holdfast.domain.account import Position, PositionKey
from holdfast.domain.intents import Purpose
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Stop
from holdfast.engine.account import Account
from holdfast.engine.bookkeeper import Bookkeeper
from holdfast.engine.view import PositionView, Protection, View
from holdfast.store.flags import stoploss_missing

HUNDRED = Decimal(100)
CENT = Decimal("0.01")


def publish(account: Account, books: Bookkeeper) -> View:
    """The whole picture of this moment; cheap enough to make after every batch of events."""
    state, now = account.state, account.clock.now_ms()
    positions = state.believed_positions()
    stops = state.believed_stops()
    views = tuple(
        _position(account, position, stops, now)
        for _, position in sorted(positions.items(), key=lambda item: item[0].name)
    )
    balance = state.balance.value if state.balance else None
    return View(
        at_ms=now,
        started_ms=account.started_ms,
        account_id=account.settings.account_id,
        user_id=account.settings.user_id,
        exchange=account.settings.exchange,
        address=account.settings.address,
        trading_mode=account.settings.trading_mode,
        mode=account.mode.value,
        operator_state=account.operator.value,
        state_why=account.operator_why if account.mode.value == "normal" else account.mode_why,
        blocks=_blocks(account),
        synced=account.synced,
        last_sync_ms=account.last_sync_ms,
        price_source=account.price_source,
        wallet=balance.wallet if balance else None,
        equity=balance.equity if balance else None,
        available=balance.available if balance else None,
        positions=views,
        unprotected=tuple(v.symbol for v in views if v.ours and v.protection is Protection.MISSING),
        open_intents=len(state.intents),
        alerts=account.alerts.views(),
        decisions=tuple(account.decisions),
        metrics=metrics(account, books, now),
        statistics=statistics(account, books),
        liquidation_state=account.liquidation_state,
        shutting_down=account.shutting_down,
    )


def _blocks(account: Account) -> tuple[str, ...]:
    common = sorted(refusal.value for refusal in account.breakers.blocks)
    per_symbol = [
        f"{refusal.value} {symbol}"
        for symbol, refusals in sorted(account.breakers.symbol_blocks.items())
        for refusal in sorted(refusals)
    ]
    return (*common, *per_symbol)


def _position(account: Account, position: Position, stops: Mapping[str, Stop], now: int) -> PositionView:
    state, key = account.state, position.key
    mark = state.marks.get(position.symbol)
    price = mark.price if mark else position.mark_price
    unrealized = (price - position.entry_price) * position.quantity
    tracked = state.tracked.get(key)
    covering = [s for s in stops.values() if protecting.covers(s, position, account.settings.protection, now)]
    stop = covering[-1] if covering else None
    notional = abs(position.quantity) * price
    # What was set last counts: a position row may still carry the leverage of before.
    leverage = state.leverage_of(position.symbol) or position.leverage or account.settings.trading.leverage
    liquidation = position.liquidation_price if position.liquidation_price > 0 else None
    read = state.positions_read
    return PositionView(
        account_id=account.settings.account_id,
        symbol=str(position.symbol),
        side=position.direction.value,
        quantity=abs(position.quantity),
        entry_price=position.entry_price,
        mark_price=price,
        leverage=leverage,
        unrealized_pnl=unrealized,
        roe_pct=(unrealized / (notional / leverage) * HUNDRED).quantize(CENT) if notional else ZERO,
        notional=notional,
        margin_ratio_pct=_margin_ratio(account),
        liquidation_price=liquidation,
        liquidation_distance_pct=(
            (abs(price - liquidation) / price * HUNDRED).quantize(CENT) if liquidation and price else None
        ),
        stop_price=stop.trigger_price if stop else (tracked.stop_price if tracked else None),
        protection=_protection(account, key, stop),
        protected_since_ms=state.protected_since.get(key),
        naked_ms=_naked_ms(account, key, now),
        opened_ms=tracked.opened_ms if tracked else None,
        strategy=tracked.strategy if tracked else "",
        ours=tracked is not None,
        age_ms=max(0, now - read.asked_ms) if read else -1,
    )


def _protection(account: Account, key: PositionKey, stop: Stop | None) -> Protection:
    """Verified only when a complete read of the book, or the exchange's own event, showed the stop."""
    if stop is None:
        pending = any(
            j.intent.purpose is Purpose.PLACE_STOP
            and PositionKey(j.intent.symbol, j.intent.position_side) == key
            for j in account.state.intents.values()
        )
        return Protection.PENDING if pending else Protection.MISSING
    read = account.state.stops.reads.get(key.symbol)
    seen = read is not None and any(each.stop_id == stop.stop_id for each in read.value)
    return (
        Protection.VERIFIED if seen or stop.stop_id in account.state.stops_confirmed else Protection.PENDING
    )


def _naked_ms(account: Account, key: PositionKey, now: int) -> int:
    naked = account.state.naked
    running = now - naked.since[key] if key in naked.since else 0
    return naked.spent.get(key, 0) + running


def _margin_ratio(account: Account) -> Decimal | None:
    balance = account.state.balance.value if account.state.balance else None
    if balance is None or balance.equity <= 0:
        return None
    return (balance.maintenance_margin / balance.equity * HUNDRED).quantize(CENT)


def metrics(account: Account, books: Bookkeeper, now: int) -> dict[str, float]:
    """Flat numbers by the names that the runbooks use (R1.2)."""
    counters, state = account.counters, account.state
    limits = account.settings.breakers
    rate = error_rate(tuple(account.operations), now_ms=now, window_ms=limits.error_window_ms, sample_min=1)
    down = account.socket_down_since_ms
    drift = account.drift_sum / account.drift_count if account.drift_count else ZERO
    naked, missing = len(state.naked.since), len(account.alerts.of("STOP_MISSING"))
    flag = stoploss_missing(account.settings.exchange)
    return {
        "error_rate": float(rate or 0),
        "price_drift_avg": float(drift),
        "equity_drawdown": float(account.equity.drawdown_ratio) if account.equity else 0.0,
        "ws_reconnects": float(max(0, counters["ws_connects"] - 2)),
        "ws_down_seconds": (now - down) / 1000 if down is not None else 0.0,
        "reconciliations": float(books.reconciliations),
        "positions": float(len(state.believed_positions())),
        "positions_unprotected": float(naked),
        flag: float(missing > 0),
        f"{flag}_count": float(missing),
        "naked_seconds_max": state.naked.longest / 1000,
        "naked_seconds_total": state.naked.total / 1000,
        "open_intents": float(len(state.intents)),
        "unknown_outcomes": float(counters["unknown_outcomes"]),
        "read_failures": float(counters["read_failures"]),
        "fills": float(counters["fills"]),
        "steps": float(counters["steps"]),
        "unexpected_errors": float(counters["unexpected_errors"]),
        "alerts_active": float(len(account.alerts.standing)),
        "exits_pending": float(len(books.pending)),
        **account.exchange.budget(),
    }


def statistics(account: Account, books: Bookkeeper) -> dict[str, float]:
    """Session figures that count what happened (R5.8).

    win_rate = successful / (successful + failed); execution_rate = trades executed / signals processed.
    """
    signals = account.counters["signals"]
    closed = books.wins + books.losses
    return {
        "signals_processed": float(signals),
        "trades_executed": float(books.entries),
        "trades_closed": float(books.exits),
        "refused": float(account.counters["refused"]),
        "successful_trades": float(books.wins),
        "failed_trades": float(books.losses),
        "total_pnl": float(books.realized),
        "win_rate": books.wins / closed if closed else 0.0,
        "execution_rate": books.entries / signals if signals else 0.0,
        "open_positions": float(len(account.state.tracked)),
    }
