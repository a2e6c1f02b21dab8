"""Every decoder there is, found by walking the adapters' modules: what reads bytes, and what reads rows.

A decoder is a module's `Reader` or `Table`, or a function that takes what came off the wire: a body, an
`Answer`, a struct of the dialect's `wire` module, or a container of those.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import msgspec

from holdfast.domain.account import Fact
from holdfast.exchanges.capabilities import CAPABILITIES
from holdfast.exchanges.decoding import Reader, Table
from holdfast.exchanges.transport import Answer

EXCHANGES = tuple(CAPABILITIES)


@dataclass(frozen=True, slots=True)
class Decoder:
    """*takes*: the parameters' types by name; of an object that reads, none."""

    exchange: str
    name: str
    call: Callable[..., Any]
    takes: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.exchange}.{self.name}"


def modules(exchange: str) -> list[ModuleType]:
    package = importlib.import_module(f"holdfast.exchanges.{exchange}")
    return [
        importlib.import_module(f"{package.__name__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    ]


def readers(exchange: str) -> Iterator[tuple[str, Reader[Any] | Table[Any]]]:
    """By name; one that is imported elsewhere under another name is told twice."""
    for module in modules(exchange):
        for name, found in sorted(vars(module).items()):
            if isinstance(found, Reader | Table):
                yield f"{_short(module)}.{name}", found


def functions(exchange: str) -> Iterator[Decoder]:
    """Functions, private ones among them, that take what came off the wire."""
    for module in modules(exchange):
        for name, found in sorted(vars(module).items()):
            if not inspect.isfunction(found) or found.__module__ != module.__name__:
                continue
            hints = typing.get_type_hints(found)
            hints.pop("return", None)
            if any(map(_off_the_wire, hints.values())):
                yield Decoder(exchange, f"{_short(module)}.{name}", found, hints)


def structs(exchange: str) -> dict[str, type[msgspec.Struct]]:
    """The dialect's rows and bodies, by name."""
    wire = importlib.import_module(f"holdfast.exchanges.{exchange}.wire")
    return {
        name: found
        for name, found in vars(wire).items()
        if inspect.isclass(found) and issubclass(found, msgspec.Struct) and found is not msgspec.Struct
    }


def is_struct(hint: object) -> bool:
    """A row or body of a dialect; domain values may be structs, too."""
    return (
        inspect.isclass(hint)
        and issubclass(hint, msgspec.Struct)
        and hint.__module__.startswith("holdfast.exchanges.")
    )


def _off_the_wire(hint: object) -> bool:
    if typing.get_origin(hint) in (Fact, Callable):
        return False
    return (
        hint in (bytes, str | bytes, Answer)
        or is_struct(hint)
        or any(map(_off_the_wire, typing.get_args(hint)))
    )


def _short(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]
