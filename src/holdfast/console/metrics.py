"""The same numbers for Prometheus: one sample per name, each with its account and exchange."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

_LABELS = ("account", "exchange")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_:]")


class _Numbers:
    """A collector over one flat mapping; names that end in `_total` are counters."""

    def __init__(self, numbers: Mapping[str, float], labels: tuple[str, str]) -> None:
        self._numbers = numbers
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        for name in sorted(self._numbers):
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = kind(metric_name(name), f"holdfast: {name}", labels=_LABELS)
            family.add_metric(self._labels, self._numbers[name])
            yield family


def metric_name(name: str) -> str:
    """A name that Prometheus takes."""
    clean = _NOT_IN_NAMES.sub("_", name)
    return f"_{clean}" if clean[:1].isdigit() else clean


def prometheus_text(numbers: Mapping[str, float], *, account: str, exchange: str) -> bytes:
    """The exposition format of *numbers*."""
    registry = CollectorRegistry()
    registry.register(_Numbers(numbers, (account, exchange)))
    return generate_latest(registry)
