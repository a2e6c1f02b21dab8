"""What checkers found: violations, the first ones in full and all of them counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

KEPT_PER_CHECKER = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A promise that was broken. *checker*: S1 … S11, L1 … L5; *at_ms*: exchange time."""

    checker: str
    at_ms: int
    text: str
    facts: Mapping[str, object] = field(default_factory=dict)
    """What it is known by: ids, quantities, times."""

    def __str__(self) -> str:
        named = ", ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.checker} at {self.at_ms}: {self.text}" + (f" ({named})" if named else "")


class Findings:
    """Collects violations and goes on: the first is what a drill fails by, the rest explain it."""

    def __init__(self, on_first: Callable[[Violation], None] = lambda violation: None) -> None:
        """*on_first* hears of each checker's first violation."""
        self._on_first = on_first
        self.violations: list[Violation] = []
        """In the order of finding, at most `KEPT_PER_CHECKER` of each checker."""
        self.counts: Counter[str] = Counter()

    def add(self, checker: str, at_ms: int, text: str, **facts: object) -> None:
        self.counts[checker] += 1
        if self.counts[checker] > KEPT_PER_CHECKER:
            return
        shown = {name: _plain(value) for name, value in facts.items()}
        violation = Violation(checker=checker, at_ms=at_ms, text=text, facts=shown)
        self.violations.append(violation)
        if self.counts[checker] == 1:
            self._on_first(violation)

    @property
    def first(self) -> Violation | None:
        return self.violations[0] if self.violations else None

    def of(self, checker: str) -> tuple[Violation, ...]:
        return tuple(violation for violation in self.violations if violation.checker == checker)


def _plain(value: object) -> object:
    """Numbers and words as they are; everything else as its text, so that facts can be written down."""
    return value if isinstance(value, bool | int | str) or value is None else str(value)
