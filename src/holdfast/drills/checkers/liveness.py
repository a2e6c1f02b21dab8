"""L1 to L5: with all troubles healed the bot finds back, within minutes, to a state that it can explain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.decisions.gate import Mode, OperatorState
from holdfast.domain.account import PositionKey
from holdfast.domain.intents import Journaled
from holdfast.domain.orders import OrderState
from holdfast.domain.symbol import Symbol
from holdfast.drills.checkers.books import BookChecks
from holdfast.drills.checkers.bounds import CYCLE_MS
from holdfast.drills.checkers.durable import Durable
from holdfast.drills.checkers.findings import Findings
from holdfast.drills.checkers.mirror import Mirror, Origin, origin_of
from holdfast.drills.wires import Wire
from holdfast.engine.bot import Bot
from holdfast.simulator.core.model import SimAlgo, SimOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterHeal:
    """What a bot says of itself once it had time to recover. *alerts* by (id, symbol)."""

    at_ms: int
    mode: Mode
    mode_why: str
    operator: OperatorState
    operator_why: str
    synced: bool
    exits_pending: int
    """Exits without their executions, though there was time to read them."""
    alerts: tuple[tuple[str, str], ...]
    intents: tuple[Journaled, ...]
    orders: frozenset[str]
    """Exchange ids of the orders and stops that it believes to stand."""
    closing: frozenset[PositionKey]
    """Positions that it is closing."""
    shut: frozenset[Symbol] = frozenset()
    """What the exchange does not let be traded; not the bot's word."""
    flatten: bool = False
    """It was told to flatten, and had the time for it."""


def after_heal(
    bot: Bot, at_ms: int, *, shut: frozenset[Symbol] = frozenset(), flatten: bool = False
) -> AfterHeal:
    """*shut*: what the exchange does not let be traded."""
    account, state = bot.account, bot.account.state
    return AfterHeal(
        at_ms=at_ms,
        mode=account.mode,
        mode_why=account.mode_why,
        operator=account.operator,
        operator_why=account.operator_why,
        synced=account.synced,
        exits_pending=overdue_exits(bot),
        alerts=tuple(account.alerts.standing),
        intents=tuple(state.intents.values()),
        orders=frozenset(state.believed_orders()) | frozenset(state.believed_stops()),
        closing=frozenset(t.key for t in state.tracked.values() if t.closing_reason),
        shut=shut,
        flatten=flatten,
    )


def overdue_exits(bot: Bot) -> int:
    now_ms = bot.account.clock.now_ms()
    return sum(now_ms - exit_.gone_ms > CYCLE_MS for exit_ in bot.supervisor.books.pending.values())


Cause = Callable[[AfterHeal, Mirror, str], bool]
"""Whether the cause of an alert stands, given what it is about."""


def _held(_told: AfterHeal, mirror: Mirror, name: str) -> bool:
    """*name* is a position's or a symbol's."""
    return any(name in (key.name, str(key.symbol)) for key in mirror.open_positions())


def _leaving(told: AfterHeal, mirror: Mirror, name: str) -> bool:
    return _held(told, mirror, name) and any(key.name == name for key in told.closing)


def _any_held(_told: AfterHeal, mirror: Mirror, _symbol: str) -> bool:
    return bool(mirror.open_positions())


def _stepped_down(told: AfterHeal, _mirror: Mirror, _symbol: str) -> bool:
    return told.mode is not Mode.NORMAL


def _foreign(_told: AfterHeal, mirror: Mirror, symbol: str) -> bool:
    orders = (order for order in mirror.orders.values() if str(order.symbol) == symbol)
    return any(origin_of(order) is not Origin.BOT for order in orders)


def _shut(told: AfterHeal, _mirror: Mirror, symbol: str) -> bool:
    return any(str(each) == symbol for each in told.shut)


def _switched(told: AfterHeal, mirror: Mirror, setting: str) -> bool:
    """Modes cannot be switched back while a position is held, and leverage is left alone there."""
    what, _, symbol = setting.partition(" ")
    if what == "position_mode":
        return mirror.position_mode is not mirror.wanted_mode
    return _held(told, mirror, symbol)


def _always(_told: AfterHeal, _mirror: Mirror, _symbol: str) -> bool:
    return True


# What may still stand when nothing is wrong any more. What is not named here has to be gone.
STANDING_CAUSES: Mapping[str, Cause] = {
    "STOP_MISSING": _leaving,
    "STOP_REFUSED": _leaving,
    "PROTECTION_FAILED": _leaving,
    "CLOSE_REFUSED": _leaving,
    "FOREIGN_POSITION": _held,
    "NOT_LED": _held,
    "FOREIGN_ORDER": _foreign,
    "NOT_TRADABLE": _shut,
    "ACCOUNT_DRIFT": _switched,
    "LIQUIDATION_FAILED": _any_held,
    "LIQUIDATION_UNFINISHED": _any_held,
    # Latched: a person has to look, and says so by resuming.
    "MODE_STEPPED_DOWN": _stepped_down,
    "UNEXPECTED_ERROR": _stepped_down,
    # The configuration's own mistake; no recovery mends it.
    "SYMBOL_UNKNOWN": _always,
}


@dataclass(slots=True)
class LivenessChecks:
    mirror: Mirror
    durable: Durable
    books: BookChecks
    findings: Findings
    wire: Wire

    def judge(self, told: AfterHeal, *, causes: Mapping[str, Cause] = STANDING_CAUSES) -> None:
        """*causes*: those of a world in which something stays broken (a delisted symbol) have more rows."""
        self._orders(told)
        self._mode(told)
        self._alerts(told, causes)
        self._reconciled(told)
        if told.flatten:
            self._flat(told)

    def _orders(self, told: AfterHeal) -> None:
        for journaled in told.intents:
            young = told.at_ms - journaled.signed_ms <= CYCLE_MS
            if journaled.state is not OrderState.WORKING and not young:
                text = f"the end of {journaled.client_id} ({journaled.intent.purpose}) is still not known"
                self.findings.add("L1", told.at_ms, text, state=journaled.state.value)
        standing: list[SimOrder | SimAlgo] = [*self.mirror.orders.values(), *self.mirror.algos.values()]
        for order in standing:
            name = self.wire.wire_id(order)
            fresh = told.at_ms - order.created_ms <= CYCLE_MS
            if origin_of(order) is Origin.BOT and name not in told.orders and not fresh:
                text = f"an order of ours on {order.symbol} stands and the bot does not know of it"
                self.findings.add("L1", told.at_ms, text, client_id=order.client_id)

        live = {order.client_id for order in standing}
        for row in self.durable.open_intents():
            if row.state is OrderState.WORKING and row.client_id not in live:
                text = f"the journal holds {row.client_id} ({row.purpose}) for working, and it is over"
                self.findings.add("L1", told.at_ms, text, symbol=row.symbol)

    def _mode(self, told: AfterHeal) -> None:
        if told.mode is not Mode.NORMAL and not told.mode_why:
            self.findings.add("L2", told.at_ms, f"the mode is {told.mode} for no stated reason")
        if told.operator is not OperatorState.RUNNING and not told.operator_why:
            self.findings.add("L2", told.at_ms, f"{told.operator} for no stated reason")

    def _alerts(self, told: AfterHeal, causes: Mapping[str, Cause]) -> None:
        for id_, symbol in told.alerts:
            cause = causes.get(id_)
            if cause is None or not cause(told, self.mirror, symbol):
                text = f"the alert {id_} {symbol} stands though its cause is over".replace("  ", " ")
                self.findings.add("L3", told.at_ms, text)

    def _reconciled(self, told: AfterHeal) -> None:
        if not told.synced:
            self.findings.add("L4", told.at_ms, "the account has not been read whole since the last doubt")
        if told.exits_pending:
            text = f"{told.exits_pending} exits have not found their executions"
            self.findings.add("L4", told.at_ms, text)
        for key, since_ms in self.books.differing().items():
            if told.at_ms - since_ms > CYCLE_MS:
                text = f"books and exchange differ on {key.symbol}"
                self.findings.add("L4", told.at_ms, text, since_ms=since_ms)

    def _flat(self, told: AfterHeal) -> None:
        for key, held in self.mirror.open_positions().items():
            text = f"told to flatten, and {key.symbol} still holds {held.quantity}"
            self.findings.add("L5", told.at_ms, text)
        for order in self.mirror.orders.values():
            if origin_of(order) is Origin.BOT:
                text = f"told to flatten, and an order on {order.symbol} still stands"
                self.findings.add("L5", told.at_ms, text, client_id=order.client_id)
