"""Small parts that stand where the world would: a clock, ids, an exchange that does as told, a memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from holdfast.decisions.breakers import BreakerLimits
from holdfast.decisions.gate import Approved
from holdfast.decisions.policy import Freshness, Protection
from holdfast.domain.account import Fact
from holdfast.domain.instrument import Instrument
from holdfast.domain.intents import Accepted, Journaled, Lookup, NotFound, Outcome, Priority
from holdfast.domain.orders import ClientOrderId, Fill, Stop
from holdfast.domain.symbol import Symbol
from holdfast.engine.liquidation import LiquidationConfig
from holdfast.engine.memory import Exit
from holdfast.engine.settings import BotSettings, Trading
from holdfast.engine.state import AccountState
from holdfast.exchanges.port import Capabilities
from tests.decisions.examples import BTC, ETH, INSTRUMENT, LIMITS, NOW_MS

CAPABILITIES = Capabilities(
    name="binance",
    stop_closes_position=True,
    two_stops_may_stand=True,
    stop_keeps_client_id=True,
    stop_locks_quantity=False,
    whole_stop_expires_when_flat=True,
    window_ms=5_000,
    money_step=Decimal("0.00000001"),
    visibility_ms=2_000,
    one_list=False,
)


def settings(**changes: Any) -> BotSettings:
    given: dict[str, Any] = {
        "account_id": "main",
        "user_id": "tester",
        "exchange": "binance",
        "symbols": (BTC, ETH),
        "address": "http://127.0.0.1:1",
        "trading_mode": "demo",
        "limits": LIMITS,
        "breakers": _breakers(),
        "protection": Protection(default_stop_pct=Decimal(2)),
        "trading": Trading(strategies={}, leverage=5, risk_per_trade_ratio=Decimal("0.01")),
        "liquidation": LiquidationConfig(),
        "freshness": Freshness(),
    }
    return BotSettings(**(given | changes))


def _breakers() -> BreakerLimits:
    return BreakerLimits(
        positions_age_ms_max=60_000,
        balance_age_ms_max=60_000,
        mark_age_ms_max=60_000,
        clock_uncertainty_ms_max=1_000,
        socket_down_ms_max=30_000,
        error_rate_max_ratio=Decimal("0.5"),
        error_window_ms=600_000,
        error_sample_min=20,
        drawdown_max_ratio=Decimal("0.5"),
        drawdown_latches=True,
        day_loss_max_ratio=Decimal("0.5"),
        entries_per_symbol_max=50,
        entries_window_ms=3_600_000,
        unknown_age_ms_max=60_000,
        unknown_count_max=10,
        unknown_grace_ms=60_000,
        mark_jump_max_ratio=Decimal("0.5"),
        release_ratio=Decimal("0.8"),
        settle_ms=500,
    )


def state(**changes: Any) -> AccountState:
    made = AccountState(settings=settings(**changes), two_stops_may_stand=True, whole_stops=True)
    made.instruments = {BTC: INSTRUMENT}
    return made


@dataclass
class FakeClock:
    """Stands still until told."""

    ms: int = NOW_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms


@dataclass
class FakeIds:
    count: int = 0

    def client_order_id(self, tag: str) -> ClientOrderId:
        self.count += 1
        return ClientOrderId(f"hf-1-{tag}-{self.count}aaaaa")

    def correlation_id(self, prefix: str) -> str:
        return f"{prefix}_20250506_010203_abcdef"


NEVER = NotFound(asked_ms=0)
Answer = Callable[[Approved], Awaitable[Outcome]]


async def accept(approved: Approved) -> Outcome:
    return Accepted(exchange_id=f"x-{approved.journaled.client_id}")


@dataclass
class FakeExchange:
    """Of the port only what the part under test asks for; anything else fails loudly."""

    answer: Answer = accept
    sent: list[Journaled] = field(default_factory=list)
    capabilities: Capabilities = CAPABILITIES
    offset_ms: int = 0
    reads: dict[str, Callable[[], Awaitable[Any]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    executions: tuple[Fill, ...] = ()
    since: list[int] = field(default_factory=list)
    found: Lookup = NEVER
    rules: Mapping[Symbol, Instrument] = field(default_factory=dict)
    remembered: list[Journaled] = field(default_factory=list)

    def budget(self) -> dict[str, float]:
        return {}

    def clock_offset_ms(self) -> int:
        return self.offset_ms

    def instrument(self, symbol: Symbol) -> Instrument | None:
        return self.rules.get(symbol)

    async def submit(self, approved: Approved) -> Outcome:
        self.sent.append(approved.journaled)
        return await self.answer(approved)

    async def _read(self, name: str) -> Any:
        self.asked.append(name)
        return await self.reads[name]()

    async def transfers(self, since_ms: int, *, priority: Priority) -> Any:
        return await self._read("transfers")

    async def positions(self, *, priority: Priority) -> Any:
        return await self._read("positions")

    async def balance(self, *, priority: Priority) -> Any:
        return await self._read("balance")

    async def open_orders(self, symbol: Symbol | None, *, priority: Priority) -> Any:
        return await self._read("orders")

    async def open_stops(self, symbol: Symbol | None, *, priority: Priority) -> Any:
        return await self._read("stops")

    async def fills(self, symbol: Symbol, since_ms: int, *, priority: Priority) -> Fact[tuple[Fill, ...]]:
        self.since.append(since_ms)
        return Fact(self.executions, NOW_MS, NOW_MS)

    async def find_order(
        self, symbol: Symbol, client_id: str, *, order_id: str = "", priority: Priority
    ) -> Lookup:
        self.asked.append(f"order {client_id or order_id}")
        return self.found

    def remember_stops(self, asked: Iterable[Journaled]) -> None:
        self.remembered.extend(asked)

    async def find_stop(self, symbol: Symbol, client_id: str, *, priority: Priority) -> Lookup:
        self.asked.append(f"stop {client_id}")
        return self.found


@dataclass
class FakeMemory:
    """Remembers the words it was told; its write-ahead does as *ahead* says."""

    ahead: Callable[[Journaled], Awaitable[None]] | None = None
    written: list[Journaled] = field(default_factory=list)
    told: list[tuple[str, Any]] = field(default_factory=list)

    async def write_ahead(self, journaled: Journaled) -> None:
        if self.ahead is not None:
            await self.ahead(journaled)
        self.written.append(journaled)

    def note_outcome(self, journaled: Journaled, outcome: Outcome, at_ms: int) -> None:
        self.told.append(("outcome", (journaled, outcome)))

    def note_dead(self, journaled: Journaled, why: str, at_ms: int) -> None:
        self.told.append(("dead", (journaled, why)))

    def note_stop(self, stop: Stop, at_ms: int) -> None:
        self.told.append(("stop", stop))

    def protect_trade(self, handle: int, stop_price: Decimal, since_ms: int) -> None:
        self.told.append(("protect", (handle, stop_price)))

    def audit(self, event_type: str, correlation_id: str, details: Mapping[str, object]) -> None:
        self.told.append(("audit", (event_type, dict(details))))

    def open_trade(self, tracked: Any, journaled: Journaled | None, leverage: int) -> None:
        self.told.append(("open", (tracked, journaled)))

    def resize_trade(self, handle: int, quantity: Decimal, entry_price: Decimal) -> None:
        self.told.append(("resize", (handle, quantity)))

    def leave_trade(self, handle: int, reason: str) -> None:
        self.told.append(("leave", (handle, reason)))

    def close_trade(self, handle: int, exit_: Exit) -> None:
        self.told.append(("close", (handle, exit_)))

    def correct_exit(self, handle: int, exit_: Exit) -> None:
        self.told.append(("correct", (handle, exit_)))

    def add_fills(self, fills: Sequence[Fill]) -> None:
        self.told.append(("fills", tuple(fills)))

    def words(self, kind: str) -> list[Any]:
        return [what for name, what in self.told if name == kind]


async def hang(*_: object) -> Any:
    await asyncio.Event().wait()
