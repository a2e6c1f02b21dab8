"""The one named boundary: catches what nobody expected, and makes the bot safer (architecture rule 12)."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from holdfast.decisions.breakers import stricter
from holdfast.decisions.gate import Mode
from holdfast.decisions.step import Concern
from holdfast.domain.invariant import InvariantViolation
from holdfast.engine.account import Account

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in work that somebody else wrote."""

    text: str


async def contained(work: Callable[[], Awaitable[T]]) -> T | Failure:
    """Do foreign work (an order manager handed to us) that must never end a liquidation (R4.3)."""
    try:
        return await work()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # we are to end; else something inside the foreign work was cancelled
        return _failure(error)
    except Exception as error:  # noqa: BLE001 — part of the one boundary: told to the caller as a value
        return _failure(error)


def contained_call(work: Callable[[], T]) -> T | Failure:
    """The same for a plain call."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 — part of the one boundary: told to the caller as a value
        return _failure(error)


def _failure(error: BaseException) -> Failure:
    return Failure(f"{type(error).__name__}: {error}")


class Boundary:
    """`with boundary("consumer"):`: an unexpected error steps the mode down, keeps everything that
    protects running, and tells the operator. A violated invariant halts; another bug allows reducing only.
    """

    def __init__(self, account: Account) -> None:
        self._account = account

    def __call__(self, name: str) -> _Within:
        return _Within(self, name)

    def unexpected(self, name: str, error: Exception) -> None:
        account = self._account
        mode = Mode.HALTED if isinstance(error, InvariantViolation) else Mode.REDUCE_ONLY
        account.mode = stricter(account.mode, mode)
        account.mode_why = f"unexpected error in {name}: {type(error).__name__}: {error}"
        account.counters["unexpected_errors"] += 1
        trace = "".join(traceback.format_exception(error)[-6:])
        account.log("error.unexpected", {"where": name, "error": str(error), "trace": trace})
        account.concern(Concern("UNEXPECTED_ERROR", "critical", name, account.mode_why))
        account.note_mode()


class _Within:
    """One entering of the boundary; without a generator, for every event passes through here."""

    __slots__ = ("_boundary", "_name")

    def __init__(self, boundary: Boundary, name: str) -> None:
        self._boundary = boundary
        self._name = name

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self._boundary.unexpected(self._name, error)
        return True
