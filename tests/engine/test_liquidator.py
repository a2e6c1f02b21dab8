"""A liquidation is bounded, never raises, and says honestly what came of it (R4, G15-G18)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.engine.liquidation import LiquidationConfig, LiquidationState
from holdfast.engine.liquidator import LiquidationManager, LiquidationResult, continued
from tests.engine.parts import FakeClock, FakeIds, hang


def quick(**changes: Any) -> LiquidationConfig:
    """Shorter than a configuration may be, so that the tests are."""
    made = LiquidationConfig()
    given = {"timeout_seconds": 0.4, "retry_delay_seconds": 0.02} | changes
    for name, value in given.items():
        object.__setattr__(made, name, value)
    return made


FAST = quick()


@dataclass
class FakeOrderManager:
    """The documented port (R4.4); each call does as its plan says, then as a good exchange would."""

    amounts: dict[str, Any] = field(default_factory=dict)
    plans: dict[str, list[Any]] = field(default_factory=dict)
    """By method: what its next calls do instead: an exception to raise, a value, or a coroutine function."""
    resting: dict[str, int] = field(default_factory=dict)
    stops: dict[str, int] = field(default_factory=dict)
    lag: int = 0
    """So many reads still show what was closed."""
    calls: list[tuple[float, str, str]] = field(default_factory=list)
    pending: list[Sequence[str]] = field(default_factory=list)

    async def _planned(self, name: str, what: str) -> Any:
        self.calls.append((asyncio.get_running_loop().time(), name, what))
        await asyncio.sleep(0)
        plan = self.plans.get(name)
        step = (plan.pop(0) if len(plan) > 1 else plan[0]) if plan else None
        if isinstance(step, BaseException):
            raise step
        return await step() if callable(step) else step

    async def get_all_positions(self, symbols: Sequence[str]) -> Any:
        planned = await self._planned("positions", ",".join(symbols))
        if planned is not None:
            return planned
        found = [
            {"symbol": s, "positionAmt": a, "entryPrice": "1", "unrealizedProfit": "0"}
            for s, a in sorted(self.amounts.items())
            if not symbols or s in symbols
        ]
        if self.lag and any(name == "close" for _, name, _ in self.calls):
            self.lag -= 1
            return [{**row, "positionAmt": row["positionAmt"] or "1"} for row in found]
        return found

    async def cancel_all_orders(self, symbol: str) -> Any:
        planned = await self._planned("cancel", symbol)
        return self.resting.pop(symbol, 0) if planned is None else planned

    async def execute_market_close(self, symbol: str, side: str, quantity: Decimal) -> object:
        planned = await self._planned("close", f"{symbol} {side} {quantity}")
        self.amounts[symbol] = "0"
        return planned or {}

    async def cancel_protective_orders(self, symbol: str) -> int:
        assert not Decimal(str(self.amounts[symbol])), "a stop went before its position"
        await self._planned("tidy", symbol)
        return self.stops.pop(symbol, 0)

    def protective_orders(self, symbol: str) -> int:
        return self.stops.get(symbol, 0)

    def pending_entries(self, symbols: Sequence[str]) -> Sequence[str]:
        return self.pending.pop(0) if self.pending else ()

    def names(self) -> list[str]:
        return [name for _, name, _ in self.calls]

    def times(self, name: str) -> list[float]:
        return [at for at, each, _ in self.calls if each == name]


@dataclass
class Audit:
    events: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    broken: bool = False

    def __call__(self, event: str, correlation_id: str, details: Any) -> None:
        if self.broken:
            raise OSError("logs/ is not writable")
        self.events.append((event, correlation_id, dict(details)))

    def types(self) -> list[str]:
        return [event for event, _, _ in self.events]


def manager(
    orders: Any, config: LiquidationConfig = FAST, audit: Audit | None = None, states: list[Any] | None = None
) -> LiquidationManager:
    return LiquidationManager(
        config,
        orders,
        ids=FakeIds(),
        clock=FakeClock(),
        audit=audit or Audit(),
        on_state=(states if states is not None else []).append,
    )


async def run(orders: Any, *symbols: str, config: LiquidationConfig = FAST, **more: Any) -> LiquidationResult:
    return await manager(orders, config, **more).execute_liquidation(symbols)


# --- states --------------------------------------------------------------------------------------


async def test_everything_is_closed_by_the_right_side_and_stops_go_last() -> None:
    orders = FakeOrderManager({"A": "1.5", "B": Decimal(-2), "C": 0.1}, resting={"A": 2}, stops={"A": 1})
    audit, states = Audit(), list[Any]()
    result = await run(orders, audit=audit, states=states)
    assert result.state is LiquidationState.COMPLETED
    assert result.positions_closed == ("A", "B", "C")
    assert result.orders_cancelled == 2
    closes = [what for _, name, what in orders.calls if name == "close"]
    assert closes == ["A SELL 1.5", "B BUY 2", "C SELL 0.1"]
    assert orders.names()[-3:] == ["tidy"] * 3
    assert states == [LiquidationState.IN_PROGRESS, LiquidationState.IDLE]
    assert audit.types() == [
        "LIQUIDATION_START",
        "ORDER_CANCELLED",
        *["ORDER_PLACED"] * 3,
        "LIQUIDATION_COMPLETE",
    ]
    assert {correlation for _, correlation, _ in audit.events} == {result.correlation_id}


async def test_nothing_to_do_is_complete() -> None:
    result = await run(FakeOrderManager())
    assert (result.state, result.positions_closed, result.errors) == (LiquidationState.COMPLETED, (), ())


async def test_disabled_liquidation_is_skipped_and_touches_nothing() -> None:
    off = LiquidationConfig(emergency_liquidation=False, close_positions=False, cancel_orders=False)
    orders = FakeOrderManager({"A": 1})
    assert (await run(orders, config=off)).state is LiquidationState.SKIPPED
    assert orders.calls == []


async def test_one_stubborn_symbol_is_partial_and_keeps_its_stop() -> None:
    """G15: the others are closed at once; the survivor is named with its reason and its stop."""
    refuse = RuntimeError("-2022 ReduceOnly Order is rejected.")
    orders = FakeOrderManager({"A": 1, "B": 1}, stops={"A": 1, "B": 1})
    close = orders.execute_market_close

    async def stubborn(symbol: str, side: str, quantity: Decimal) -> object:
        if symbol == "B":
            raise refuse
        return await close(symbol, side, quantity)

    orders.execute_market_close = stubborn  # type: ignore[method-assign]
    result = await run(orders)
    assert result.state is LiquidationState.PARTIAL
    assert (result.positions_closed, result.positions_failed) == (("A",), ("B",))
    assert (orders.stops, result.orders_left_protective) == ({"B": 1}, 1)
    assert any("-2022" in error for error in result.errors)


async def test_refused_closes_fail_after_all_tries_with_growing_pauses() -> None:
    """G17: bounded retries that wait 0, d, 2d, 4d; the stop stays."""
    orders = FakeOrderManager({"A": 1}, {"close": [RuntimeError("503")]}, stops={"A": 1})
    audit = Audit()
    result = await run(orders, config=quick(retry_delay_seconds=0.1, timeout_seconds=3), audit=audit)
    assert result.state is LiquidationState.FAILED
    assert orders.stops == {"A": 1}
    at = orders.times("close")
    late = [b - a - pause for (a, b), pause in zip(pairwise(at), (0.1, 0.2, 0.4), strict=True)]
    assert all(0 <= each < 0.15 for each in late), late
    assert audit.types().count("ORDER_REJECTED") == 4
    assert audit.types()[-1] == "LIQUIDATION_FAILED"


async def test_accepted_close_that_does_nothing_is_no_success() -> None:
    """Success is what a read confirms, never what a request was answered."""
    orders = FakeOrderManager({"A": 1})

    async def shrug(symbol: str, side: str, quantity: Decimal) -> object:
        return {"status": "FILLED"}

    orders.execute_market_close = shrug  # type: ignore[method-assign]
    assert (await run(orders)).state is LiquidationState.FAILED


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_positions_that_lag_behind_the_close_are_waited_for(retries: int) -> None:
    orders = FakeOrderManager({"A": 1}, lag=2)
    config = quick(max_retries=retries)
    assert (await run(orders, config=config)).state is LiquidationState.COMPLETED


async def test_failed_reads_confirm_nothing() -> None:
    orders = FakeOrderManager({"A": 1}, {"positions": [OSError("503")]})
    result = await run(orders)
    assert result.state is LiquidationState.FAILED
    assert "tidy" not in orders.names()


async def test_reads_that_hang_keep_no_known_position_open() -> None:
    """What is believed open is closed blind, in time, and nothing is called confirmed."""

    @dataclass
    class Knowing(FakeOrderManager):
        def last_known(self, symbols: Sequence[str]) -> Sequence[dict[str, Any]]:
            return [{"symbol": s, "positionAmt": a} for s, a in sorted(self.amounts.items())]

    orders = Knowing({"BTC/USDT": "0.5", "ETH/USDT": "-2"}, {"positions": [hang]})
    result = await run(orders)
    assert orders.amounts == {"BTC/USDT": "0", "ETH/USDT": "0"}
    assert result.state is LiquidationState.FAILED
    assert result.duration_seconds < 0.6


async def test_flat_that_only_an_earlier_read_showed_is_not_tidied() -> None:
    """The last read failed: what it would have shown is not known."""
    rows = [{"symbol": "A", "positionAmt": 1}]
    orders = FakeOrderManager({"A": 1}, {"positions": [rows, OSError("503")]}, stops={"A": 1})
    result = await run(orders)
    assert result.state is LiquidationState.FAILED
    assert orders.stops == {"A": 1}


async def test_flat_before_the_cancels_is_not_flat_after_them() -> None:
    """The read after the cancels failed: what was being cancelled may have filled."""
    orders = FakeOrderManager(plans={"positions": [[], OSError("503")]})
    assert (await run(orders, "A")).state is LiquidationState.FAILED
    orders = FakeOrderManager(plans={"positions": [[], hang]})
    assert (await run(orders, "A")).state is LiquidationState.FAILED
    orders = FakeOrderManager(plans={"positions": [[], OSError("503"), []]})
    assert (await run(orders, "A")).state is LiquidationState.COMPLETED


async def test_no_stop_goes_while_the_last_read_failed() -> None:
    rows = [{"symbol": "A", "positionAmt": 1}]
    plans: dict[str, list[Any]] = {"positions": [rows, [], OSError("503")]}
    orders = FakeOrderManager({"A": 1}, plans, stops={"A": 1}, pending=[["B"]] * 99)
    assert (await run(orders)).state is LiquidationState.PARTIAL
    assert orders.stops == {"A": 1}


async def test_something_cancelled_inside_an_order_manager_is_one_failed_try() -> None:
    plans: dict[str, list[Any]] = {"positions": [asyncio.CancelledError(), None]}
    result = await run(FakeOrderManager({"A": 1}, plans))
    assert result.state is LiquidationState.COMPLETED
    assert any("CancelledError" in error for error in result.errors)


async def test_cancels_that_fail_are_tried_again_and_told() -> None:
    """A resting entry that stays could open a position after the end."""
    orders = FakeOrderManager({"A": 1}, {"cancel": [OSError("503"), None]}, resting={"A": 1})
    result = await run(orders)
    assert (result.state, result.orders_cancelled) == (LiquidationState.COMPLETED, 1)
    orders = FakeOrderManager({"A": 1}, {"cancel": [OSError("503")]}, resting={"A": 1})
    result = await run(orders)
    assert (result.state, result.positions_closed) == (LiquidationState.PARTIAL, ("A",))


async def test_named_symbols_without_positions_have_their_orders_cancelled() -> None:
    orders = FakeOrderManager({"B": 1}, resting={"A": 3})
    result = await run(orders, "A")
    assert (result.state, result.orders_cancelled) == (LiquidationState.COMPLETED, 3)
    assert orders.amounts == {"B": 1}


async def test_positions_are_read_again_after_the_cancels() -> None:
    """What was being cancelled may have filled instead."""
    orders = FakeOrderManager({"A": 0})

    async def fills() -> int:
        orders.plans.clear()
        orders.amounts["A"] = 1
        return 0

    orders.plans["cancel"] = [fills]
    result = await run(orders, "A")
    assert (result.state, result.positions_closed) == (LiquidationState.COMPLETED, ("A",))


async def test_entry_without_an_answer_is_not_flat() -> None:
    """G03: it may open a position after the last look."""
    orders = FakeOrderManager(pending=[["A"]] * 99)
    result = await run(orders)
    assert (result.state, result.positions_failed) == (LiquidationState.FAILED, ("A",))
    orders = FakeOrderManager(pending=[["A"], ["A"]])
    assert (await run(orders)).state is LiquidationState.COMPLETED


async def test_both_sides_of_a_hedged_symbol_are_closed() -> None:
    rows = [{"symbol": "A", "positionAmt": 1}, {"symbol": "A", "positionAmt": -2}]
    orders = FakeOrderManager({"A": 0}, {"positions": [rows, [], []]})
    result = await run(orders)
    assert result.state is LiquidationState.COMPLETED
    assert sorted(what for _, name, what in orders.calls if name == "close") == ["A BUY 2", "A SELL 1"]


async def test_closing_can_be_switched_off() -> None:
    config = quick(close_positions=False)
    orders = FakeOrderManager({"A": 1}, resting={"A": 1}, stops={"A": 1})
    result = await run(orders, config=config)
    assert (result.state, result.orders_cancelled) == (LiquidationState.COMPLETED, 1)
    assert (orders.amounts, orders.stops) == ({"A": 1}, {"A": 1})


async def test_stop_that_cannot_be_cancelled_is_told() -> None:
    orders = FakeOrderManager({"A": 1}, {"tidy": [OSError("503")]}, stops={"A": 1})
    result = await run(orders)
    assert result.state is LiquidationState.COMPLETED
    assert any("stop not cancelled" in error for error in result.errors)


# --- one at a time -------------------------------------------------------------------------------


async def test_call_beside_a_running_one_fails_and_touches_nothing() -> None:
    gate = asyncio.Event()
    orders, audit, states = FakeOrderManager({"A": 1}, {"close": [gate.wait]}), Audit(), list[Any]()
    made = manager(orders, audit=audit, states=states)
    first = asyncio.create_task(made.execute_liquidation())
    await asyncio.sleep(0.02)
    before = (made.get_metrics(), list(audit.events), list(states), list(orders.calls))
    second = await made.execute_liquidation()
    assert (second.state, second.errors) == (LiquidationState.FAILED, ("already_running",))
    assert before == (made.get_metrics(), audit.events, states, orders.calls)
    gate.set()
    assert (await first).state is LiquidationState.COMPLETED
    assert made.get_metrics()["execution_count"] == 1
    assert (await made.execute_liquidation()).state is LiquidationState.COMPLETED


async def test_metrics_tell_of_the_last_run() -> None:
    made = manager(FakeOrderManager({"A": 1, "B": 1}, resting={"A": 2}))
    await made.execute_liquidation()
    told = made.get_metrics()
    assert told["last_state"] == "COMPLETED"
    assert (told["last_positions_closed"], told["last_orders_cancelled"]) == (2, 2)


# --- never raises, never too long ----------------------------------------------------------------


@pytest.mark.parametrize("method", ["positions", "cancel", "close", "tidy"])
async def test_hanging_order_manager_is_cut_at_the_timeout(method: str) -> None:
    orders = FakeOrderManager({"A": 1}, {method: [hang]}, stops={"A": 1})
    result = await run(orders)
    assert 0.4 <= result.duration_seconds < 0.8
    assert any("timeout" in error for error in result.errors)
    assert result.state is (LiquidationState.COMPLETED if method == "tidy" else LiquidationState.FAILED)


async def test_order_manager_that_ignores_cancelling_is_left_behind() -> None:
    loop = asyncio.get_running_loop()
    holding = loop.create_future()

    async def holds() -> None:
        while not holding.done():
            try:
                await asyncio.shield(holding)
            except asyncio.CancelledError:
                continue

    result = await run(FakeOrderManager({"A": 1}, {"close": [holds]}))
    assert result.duration_seconds < 0.8
    assert result.state is LiquidationState.FAILED
    holding.set_result(None)
    await asyncio.sleep(0.01)


async def test_unwritable_audit_never_stops_a_liquidation() -> None:
    result = await run(FakeOrderManager({"A": 1}), audit=Audit(broken=True))
    assert result.state is LiquidationState.COMPLETED
    assert any("not writable" in error for error in result.errors)


class Plain:
    """An order manager that raises before it even returns something to await."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


async def test_order_manager_without_anything_fails_politely() -> None:
    assert (await run(Plain(), "A")).state is LiquidationState.FAILED


BAD = st.sampled_from(
    [
        OSError("503"),
        ValueError("bad"),
        TimeoutError(),
        asyncio.CancelledError(),
        KeyError("symbol"),
        AssertionError(),
        StopAsyncIteration(),
        [{"symbol": "A"}],
        [{"symbol": "A", "positionAmt": "NaN"}],
        [{"symbol": "A", "positionAmt": None}],
        [None],
        17,
        "text",
        [],
        None,
    ]
)
PLANS = st.dictionaries(
    st.sampled_from(["positions", "cancel", "close", "tidy"]), st.lists(BAD, min_size=1, max_size=4)
)


@settings(max_examples=60)
@given(PLANS)
def test_no_answer_of_an_order_manager_makes_it_raise_or_lie(plans: dict[str, list[Any]]) -> None:
    """COMPLETED only if the last read that succeeded showed nothing open."""
    orders = FakeOrderManager({"A": 1}, {name: list(plan) for name, plan in plans.items()}, stops={"A": 1})
    config = quick(retry_delay_seconds=0.001)
    result = asyncio.run(run(orders, "A", config=config))
    assert result.state in (LiquidationState.COMPLETED, LiquidationState.PARTIAL, LiquidationState.FAILED)
    assert result.duration_seconds < 0.8
    lied = [] in plans.get("positions", [])
    if result.state is LiquidationState.COMPLETED and not lied:
        assert not Decimal(str(orders.amounts["A"]))


# --- configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout_seconds": 0.9},
        {"timeout_seconds": 30.1},
        {"timeout_seconds": "5"},
        {"timeout_seconds": True},
        {"max_retries": -1},
        {"max_retries": 11},
        {"max_retries": 1.5},
        {"retry_delay_seconds": 0.05},
        {"retry_delay_seconds": 5.1},
        {"close_positions": 1},
        {"emergency_liquidation": False},
        {"timeout_seconds": float("nan")},
    ],
)
def test_configuration_out_of_range_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="liquidation"):
        LiquidationConfig(**changes)


@pytest.mark.parametrize(
    ("then", "state", "closed"),
    [
        (
            LiquidationResult(state=LiquidationState.COMPLETED, positions_closed=("B",)),
            "COMPLETED",
            ("A", "B"),
        ),
        (LiquidationResult(state=LiquidationState.COMPLETED), "COMPLETED", ("A",)),
        (LiquidationResult(state=LiquidationState.FAILED, positions_failed=("B",)), "PARTIAL", ("A",)),
        (LiquidationResult(state=LiquidationState.FAILED, positions_failed=("A", "B")), "FAILED", ()),
    ],
)
def test_two_runs_tell_how_things_stand_after_the_second(
    then: LiquidationResult, state: str, closed: tuple[str, ...]
) -> None:
    first = LiquidationResult(
        state=LiquidationState.PARTIAL, positions_closed=("A",), positions_failed=("B",), orders_cancelled=2
    )
    both = continued(first, then)
    assert (both.state.value, both.positions_closed, both.orders_cancelled) == (state, closed, 2)
    assert both.positions_failed == then.positions_failed
