"""What to believe when a read and the news disagree (architecture rule 4).

A read is a picture that may be a little older than its question; news is about one thing and carries
its own time. So news wins over a read unless the read was asked late enough to have seen it, and late
or repeated news never undoes something newer. Believing wrongly costs time, never truth: whatever is
believed from news is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from holdfast.domain.account import Fact

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Heard(Generic[T]):
    """News of one thing: *value* (None = it is gone) was true at *at_ms* of our clock."""

    value: T | None
    at_ms: int


def newest(old: Heard[T] | None, new: Heard[T]) -> Heard[T]:
    """The later of two pieces of news; of two at the same time the one that came last."""
    return new if old is None or new.at_ms >= old.at_ms else old


def outlives(heard: Heard[T], fact: Fact[tuple[T, ...]] | None, visibility_ms: int) -> bool:
    """Whether the news may be missing from the read and so is believed over it."""
    return fact is None or not fact.complete or heard.at_ms > fact.asked_ms - visibility_ms


def believe(
    fact: Fact[tuple[T, ...]] | None,
    heard: Mapping[K, Heard[T]],
    key: Callable[[T], K],
    visibility_ms: int,
) -> dict[K, T]:
    """The read, corrected by every piece of news that it may not have seen."""
    believed = {key(each): each for each in fact.value} if fact else {}
    for name, news in heard.items():
        if not outlives(news, fact, visibility_ms):
            continue
        if news.value is None:
            believed.pop(name, None)
        else:
            believed[name] = news.value
    return believed
