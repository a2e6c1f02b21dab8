"""The operator's desk: orders of a person and the kill file, in force at once, durable as soon as can be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

from holdfast.decisions.gate import Mode, OperatorState, Refusal
from holdfast.decisions.step import Concern
from holdfast.engine.account import Account
from holdfast.engine.events import Applied, Inbox, Ordered
from holdfast.engine.memory import MemoryUnwritable

DURABLE_PATIENCE_S = 1.0
DURABLE_RETRY_S = 1.0
STATES = {"run": OperatorState.RUNNING, "stop": OperatorState.STOPPED, "kill": OperatorState.KILLED}


class OperatorDesk:
    """Takes orders into the account; called by its consumer only, `command` excepted."""

    def __init__(
        self,
        account: Account,
        inbox: Inbox,
        *,
        sync: Callable[[], None],
        accept_loss: Callable[[], tuple[Decimal, Decimal] | None],
        spawn: Callable[[str, Coroutine[Any, Any, None]], None],
    ) -> None:
        self._account = account
        self._inbox = inbox
        self._sync = sync
        self._accept_loss = accept_loss
        self._spawn = spawn
        self._last: Ordered | None = None
        self.written = asyncio.Event()
        """The last order, if there was one, is durable."""
        self.written.set()

    @property
    def unwritten(self) -> str:
        """The order that is in force and not durable; empty when there is none."""
        return "" if self._last is None or self.written.is_set() else f"the operator's {self._last.command}"

    def obey_kill_file(self) -> None:
        """Looked at on every step, before anything is decided: no entry leaves after it was seen."""
        account = self._account
        if account.operator is OperatorState.KILLED:
            return
        why = account.kill_ordered()
        if why is not None:
            self.obey(Ordered("kill", "kill file", why, asyncio.get_running_loop().create_future()))

    def obey(self, order: Ordered) -> None:
        """In force at once in memory; made durable beside, then answered."""
        account, state = self._account, STATES[order.command]
        if state is OperatorState.STOPPED and account.operator is OperatorState.KILLED:
            tell(order, "killed is latched; only run lifts it")
            return
        account.operator, account.operator_why = state, f"{order.who}: {order.why}"
        self._last = order
        self.written.clear()
        if state is OperatorState.RUNNING:
            self._resume()
        account.say("operator", "", f"{order.command} by {order.who}: {order.why}")
        self._spawn("operator", self._make_durable(state, order))

    def _resume(self) -> None:
        """A person has looked: the mode goes up, what was lost is the new start (R1.7), all is read again.

        Whatever stands against trading still will step the mode down again.
        """
        account = self._account
        account.mode, account.mode_why = Mode.NORMAL, ""
        accepted = self._accept_loss() if Refusal.DRAWDOWN in account.breakers.blocks else None
        if accepted is not None:
            account.memory.audit("EQUITY_PEAK_ACCEPTED", "", {"old": accepted[0], "new": accepted[1]})
        account.relieved("MODE_STEPPED_DOWN")
        self._sync()

    async def _make_durable(self, state: OperatorState, order: Ordered) -> None:
        """Answer once it is durable, or soon that it is not yet: an order in force must not wait for a
        disk. Then it is tried again until it is written or a later order stands (G26, G30)."""
        while (trouble := await self._set_operator(state, order)) is not None:
            text = f"{state.value} is in force but not written yet, a restart would not know of it: {trouble}"
            self._account.concern(Concern("ORDER_NOT_DURABLE", "critical", "", text))
            tell(order, text)
            await asyncio.sleep(DURABLE_RETRY_S)
            if order is not self._last:
                return
        if order is self._last:
            self.written.set()
            self._account.relieved("ORDER_NOT_DURABLE")
        tell(order, state.value)

    async def _set_operator(self, state: OperatorState, order: Ordered) -> str | None:
        """Why it could not be written; None when it is durable."""
        try:
            async with asyncio.timeout(DURABLE_PATIENCE_S):
                await self._account.memory.set_operator(state, order.who, order.why)
        except MemoryUnwritable as error:
            return str(error)
        except TimeoutError:
            return f"the database took longer than {DURABLE_PATIENCE_S} s"
        return None

    async def command(self, command: str, who: str, why: str) -> str:
        """Give an operator's command and wait until it is durable; returns the new state, or what stands
        in the way of it (a database that does not take it is waited for `DURABLE_PATIENCE_S`)."""
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._inbox.put(Ordered(command, who, why, done), urgent=True)
        return await done


def tell(asked: Ordered | Applied, answer: str) -> None:
    """Whoever asked may have given up waiting meanwhile."""
    if not asked.done.done():
        asked.done.set_result(answer)
