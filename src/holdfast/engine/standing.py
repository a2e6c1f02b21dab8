"""What is known of the orders, or of the stops, that stand at the exchange: reads, and news on top."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from holdfast.decisions.belief import Heard, believe, newest, outlives
from holdfast.domain.account import Fact
from holdfast.domain.orders import Order, Stop
from holdfast.domain.symbol import Symbol

B = TypeVar("B", Stop, Order)


@dataclass(slots=True)
class Standing(Generic[B]):
    """One kind of thing, by symbol. News that a read has surely seen is forgotten with that read."""

    key: Callable[[B], str]
    visibility_ms: int
    reads: dict[Symbol, Fact[tuple[B, ...]]] = field(default_factory=dict)
    heard: dict[Symbol, dict[str, Heard[B]]] = field(default_factory=dict)
    _believed: dict[str, B] | None = None
    """Made once between two changes: every step asks several times, and most change nothing."""

    def hear(self, symbol: Symbol, name: str, value: B | None, at_ms: int) -> None:
        """News of one thing, true at *at_ms* of our clock; None = it is gone."""
        news: Heard[B] = Heard(value, at_ms)
        if outlives(news, self.reads.get(symbol), self.visibility_ms):
            self._believed = None
            known = self.heard.setdefault(symbol, {})
            known[name] = newest(known.get(name), news)

    def read(self, symbol: Symbol | None, fact: Fact[tuple[B, ...]], known: set[Symbol]) -> None:
        """All of one symbol, or (None) of all symbols: then silence speaks for every known one.

        A read older than what is known is no use; an incomplete one proves presence only.
        """
        if not fact.complete:
            for value in fact.value:
                # As it was when a read is sure to see it: news since then says more.
                self.hear(value.symbol, self.key(value), value, fact.asked_ms - self.visibility_ms)
            return
        self._believed = None
        for each, part in self._by_symbol(symbol, fact, known | set(self.heard)).items():
            before = self.reads.get(each)
            if before is None or before.asked_ms <= part.asked_ms:
                self.reads[each] = part
                self._prune(each, part)

    @staticmethod
    def _by_symbol(
        symbol: Symbol | None, fact: Fact[tuple[B, ...]], known: set[Symbol]
    ) -> dict[Symbol, Fact[tuple[B, ...]]]:
        """A read over all symbols as one read per symbol, so that each keeps its own age."""
        by_name: dict[Symbol, list[B]] = {}
        for each in fact.value:
            by_name.setdefault(each.symbol, []).append(each)
        names = {symbol} if symbol is not None else known | set(by_name)
        return {
            name: Fact(tuple(by_name.get(name, ())), fact.asked_ms, fact.answered_ms, fact.complete)
            for name in sorted(names)
        }

    def _prune(self, symbol: Symbol, fact: Fact[tuple[B, ...]]) -> None:
        news = self.heard.pop(symbol, {})
        kept = {name: each for name, each in news.items() if outlives(each, fact, self.visibility_ms)}
        if kept:
            self.heard[symbol] = kept

    def believed(self) -> Mapping[str, B]:
        """Each symbol's read corrected by the news that it may not have seen."""
        if self._believed is None:
            self._believed = self._corrected()
        return self._believed

    def _corrected(self) -> dict[str, B]:
        found: dict[str, B] = {}
        for symbol in sorted(set(self.reads) | set(self.heard)):
            news = self.heard.get(symbol, {})
            found.update(believe(self.reads.get(symbol), news, self.key, self.visibility_ms))
        return found
