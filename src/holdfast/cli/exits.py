"""How a command ends: an exit status that means something, and one sentence instead of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import IntEnum
from importlib import import_module


class Exit(IntEnum):
    """The exit status of every command."""

    FINE = 0
    FAILED = 1
    BAD_USE = 2
    GUARANTEE_VIOLATED = 3
    NOT_KNOWN = 4


EPILOG = (
    "Exit status: 0 fine, 1 failed, 2 bad use (nothing was done), 3 a guarantee was violated"
    " (an unprotected position, a doubled order, books that do not match the exchange), 4 that could not"
    " be known."
)


class Failure(Exception):
    """A command cannot do what was asked; the text is one sentence for the operator."""

    def __init__(self, message: str, status: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.status = status


_EXPECTED: tuple[tuple[str, str, Exit], ...] = (
    # module, exception, exit status: what an operator can cause. Looked up only when something was
    # raised, so that no command imports what it does not use.
    ("holdfast.cli.exits", "Failure", Exit.FAILED),
    ("holdfast.cli.faults", "ConfigError", Exit.BAD_USE),
    ("holdfast.store.errors", "StoreError", Exit.BAD_USE),
    ("holdfast.console.port", "PortUnusable", Exit.BAD_USE),
    ("holdfast.runtime.pace", "BadPaceFile", Exit.BAD_USE),
    ("holdfast.simulator.core.bars", "BadMarketData", Exit.BAD_USE),
    ("holdfast.simulator.server", "CannotServe", Exit.BAD_USE),
    ("holdfast.simulator.accounts", "BadAccounts", Exit.BAD_USE),
    ("holdfast.exchanges.factory", "UnsafeAddress", Exit.BAD_USE),
    ("holdfast.strategies.base", "StrategyError", Exit.BAD_USE),
    ("holdfast.domain.symbol", "BadSymbol", Exit.BAD_USE),
    ("holdfast.exchanges.port", "ExchangeError", Exit.FAILED),
)


def explained(error: BaseException) -> tuple[str, Exit] | None:
    """The sentence and status for an error that an operator can cause; None = it is a bug of ours."""
    if isinstance(error, Failure):
        return str(error), error.status
    if isinstance(error, BaseExceptionGroup):
        return explained(error.exceptions[0]) if len(error.exceptions) == 1 else None
    names = {(each.__module__, each.__name__) for each in type(error).__mro__}
    for module, name, status in _EXPECTED:
        if (module, name) in names and isinstance(error, getattr(import_module(module), name)):
            return str(error), status
    return None


def guarded(command: Callable[[], int]) -> int:
    """Run *command*; expected errors become one sentence on stderr and their exit status."""
    try:
        return command()
    except KeyboardInterrupt:
        say("stopped by the keyboard")
        return Exit.FAILED
    except Exception as error:
        told = explained(error)
        if told is None:
            raise
        message, status = told
        say(message)
        return status


def say(message: str) -> None:
    """A line for people; standard output is for data alone."""
    for line in message.splitlines() or [""]:
        print(f"holdfast: {line}", file=sys.stderr, flush=True)  # noqa: T201 (the command line speaks)
