"""A case of the conformance suite: a number for ever, a promise in words, and what proves it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from holdfast.domain.account import PositionMode
from holdfast.exchanges.capabilities import CAPABILITIES
from tests.conformance.stand import Desk

Proof = Callable[[Desk], Awaitable[None]]
EXCHANGES = tuple(CAPABILITIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """*absent*: why an exchange, a mode or an `exchange/mode` cannot do it; without that it must hold."""

    number: int
    title: str
    proof: Proof
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"XC-{self.number:03}"

    @property
    def section(self) -> str:
        """The module it stands in."""
        return self.proof.__module__.rpartition(".")[2]

    def why_not(self, exchange: str, mode: PositionMode) -> str:
        """Why it does not apply; empty when it does."""
        keys = (exchange, mode.value, f"{exchange}/{mode.value}")
        return next((self.absent[key] for key in keys if key in self.absent), "")


CASES: dict[int, Case] = {}
"""All of them, by number; filled by importing the modules they stand in."""


def case(number: int, title: str, absent: Mapping[str, str] | None = None) -> Callable[[Proof], Proof]:
    """Make a function a case."""

    def add(proof: Proof) -> Proof:
        assert number not in CASES, f"two cases are called {number}"
        CASES[number] = Case(number=number, title=title, proof=proof, absent=absent or {})
        return proof

    return add


def lacking(capability: str, why: str) -> dict[str, str]:
    """The exchanges whose capabilities say that they do not have it."""
    return {name: why for name, can in CAPABILITIES.items() if not getattr(can, capability)}


def having(capability: str, why: str) -> dict[str, str]:
    """The exchanges whose capabilities say that they do have it."""
    return {name: why for name, can in CAPABILITIES.items() if getattr(can, capability)}


ONE_SIDE = {"one_way": "one-way mode has one position per symbol"}
