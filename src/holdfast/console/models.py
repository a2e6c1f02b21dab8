"""What the HTTP interface says, word by word (R1.2, R1.3). Times are UTC milliseconds, `*_pct` per cent."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from holdfast.engine.commands import CommandResult
from holdfast.engine.view import AlertView, DecisionView, PositionView, Protection, View

# JSON has one kind of number; the shortest text of the nearest double is the Decimal's own text for
# anything an exchange quotes (≤ 15 digits).
Number = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]


class Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True, extra="forbid")


class Health(Answer):
    status: str
    """`ok` or `degraded`."""
    why: list[str]
    trading_mode: str
    state: str
    mode: str
    last_sync_age_ms: int | None


class Position(Answer):
    account: str
    symbol: str
    side: str
    size: Number
    entry: Number
    mark: Number
    leverage: int
    unrealized_pnl: Number
    roe: Number
    """Per cent of the initial margin."""
    notional: Number
    margin_ratio: Number | None
    """Per cent."""
    liquidation_price: Number | None
    liquidation_distance: Number | None
    """Per cent of the mark price."""
    stop_price: Number | None
    stop_verified: bool
    """Seen in the exchange's own book, covering the whole position."""
    protection: str
    protected_since_ms: int | None
    naked_ms: int
    opened_ms: int | None
    strategy: str
    ours: bool
    age_ms: int

    @classmethod
    def of(cls, position: PositionView) -> Position:
        return cls(
            account=position.account_id,
            symbol=position.symbol,
            side=position.side,
            size=position.quantity,
            entry=position.entry_price,
            mark=position.mark_price,
            leverage=position.leverage,
            unrealized_pnl=position.unrealized_pnl,
            roe=position.roe_pct,
            notional=position.notional,
            margin_ratio=position.margin_ratio_pct,
            liquidation_price=position.liquidation_price,
            liquidation_distance=position.liquidation_distance_pct,
            stop_price=position.stop_price,
            stop_verified=position.protection is Protection.VERIFIED,
            protection=position.protection.value,
            protected_since_ms=position.protected_since_ms,
            naked_ms=position.naked_ms,
            opened_ms=position.opened_ms,
            strategy=position.strategy,
            ours=position.ours,
            age_ms=position.age_ms,
        )


class Positions(Answer):
    positions: list[Position]
    count: int
    unprotected: list[str]
    at_ms: int
    last_sync_age_ms: int | None


class Decision(Answer):
    at_ms: int
    kind: str
    symbol: str
    text: str
    correlation_id: str

    @classmethod
    def of(cls, decision: DecisionView) -> Decision:
        return cls.model_validate(decision)


class Alert(Answer):
    id: str
    severity: str
    text: str
    since_ms: int
    runbook: str

    @classmethod
    def of(cls, alert: AlertView) -> Alert:
        return cls.model_validate(alert)


class Balances(Answer):
    wallet: Number | None
    equity: Number | None
    available: Number | None


class Status(Answer):
    at_ms: int
    started_ms: int
    account: str
    user: str
    exchange: str
    address: str
    trading_mode: str
    mode: str
    state: str
    """`running`, `stopped` or `killed`."""
    why: str
    blocks: list[str]
    synced: bool
    last_sync_ms: int | None
    last_sync_age_ms: int | None
    price_source: str
    balances: Balances
    positions: list[Position]
    unprotected: list[str]
    open_intents: int
    alerts: list[Alert]
    decisions: list[Decision]
    statistics: dict[str, float]
    liquidation_state: str
    shutting_down: bool

    @classmethod
    def of(cls, view: View, now_ms: int) -> Status:
        return cls(
            at_ms=view.at_ms,
            started_ms=view.started_ms,
            account=view.account_id,
            user=view.user_id,
            exchange=view.exchange,
            address=view.address,
            trading_mode=view.trading_mode,
            mode=view.mode,
            state=view.operator_state,
            why=view.state_why,
            blocks=list(view.blocks),
            synced=view.synced,
            last_sync_ms=view.last_sync_ms,
            last_sync_age_ms=sync_age_ms(view, now_ms),
            price_source=view.price_source,
            balances=Balances(wallet=view.wallet, equity=view.equity, available=view.available),
            positions=[Position.of(each) for each in view.positions],
            unprotected=list(view.unprotected),
            open_intents=view.open_intents,
            alerts=[Alert.of(each) for each in view.alerts],
            decisions=[Decision.of(each) for each in view.decisions],
            statistics=dict(view.statistics),
            liquidation_state=view.liquidation_state,
            shutting_down=view.shutting_down,
        )


class Metrics(Answer):
    """Flat numbers by name; at least those of R1.2."""

    model_config = ConfigDict(extra="allow")

    account: str
    exchange: str
    liquidation_state: str


class LogLines(Answer):
    lines: list[dict[str, Any]]
    """As in `logs/bot.log`; `text` is the plain form (`LOG {…}`, `ERR {…}`)."""
    count: int


class Order(BaseModel):
    """What the operator says with a command."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=500)


class KillOrder(Order):
    liquidate: bool = False


class Result(Answer):
    done: bool
    state: str
    message: str
    correlation_id: str
    details: dict[str, Any]

    @classmethod
    def of(cls, result: CommandResult) -> Result:
        return cls(
            done=result.done,
            state=result.state,
            message=result.message,
            correlation_id=result.correlation_id,
            details=dict(result.details),
        )


def sync_age_ms(view: View, now_ms: int) -> int | None:
    """How old the last complete sync is *now*, not when the view was made (R3.7)."""
    return None if view.last_sync_ms is None else max(0, now_ms - view.last_sync_ms)
