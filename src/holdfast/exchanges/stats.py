"""What an adapter counts, for metrics and for noticing that an exchange changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class AdapterStats:
    """Counters since the adapter was made; read by metrics, written by the adapter only."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """Answers by word: `ok`, `rejected`, `unknown`, `unavailable`."""
    codes: Counter[str] = field(default_factory=Counter)
    """Refusals by the exchange's code."""
    gaps: Counter[str] = field(default_factory=Counter)
    """What our tables do not know, by what was found. Should stay empty: each is a job for us."""
    bad_rows: Counter[str] = field(default_factory=Counter)
    """Rows left out of an answer because they could not be read, by endpoint."""
    bad_events: Counter[str] = field(default_factory=Counter)
    """Stream messages that could not be read, by stream."""
    ignored_events: Counter[str] = field(default_factory=Counter)
    """Stream messages of kinds we do not use, by kind."""
    reconnects: Counter[str] = field(default_factory=Counter)
    """Connections lost, by stream."""


NOTES_MAX = 200


def note(counter: Counter[str], what: str) -> None:
    """Count *what* the exchange said; a hostile exchange cannot fill the memory with new words."""
    key = what[:160]
    counter[key if key in counter or len(counter) < NOTES_MAX else "(others)"] += 1
