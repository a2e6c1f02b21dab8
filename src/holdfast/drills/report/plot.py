"""The minutes around a violation as a picture: price, position, cover, troubles, lives and orders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from xml.etree.ElementTree import Element

from holdfast.drills.recording import Bar, Entry, Lane, Recording
from holdfast.drills.report.around import Scene, clock_text
from holdfast.drills.report.markup import el
from holdfast.drills.words import short

BEFORE_MS, AFTER_MS = 240_000, 60_000
WIDTH, LEFT, RIGHT = 960, 90, 10
"""In the picture's own units; the page scales it."""
PRICE_HEIGHT, HELD_HEIGHT, ROW_HEIGHT, GAP = 120, 50, 18, 12
TICK_EVERY_MS = 60_000
TICK_LANES = (Lane.SENT, Lane.ARRIVED, Lane.EXCHANGE, Lane.DECIDED)
TROUBLES_MAX = 8


@dataclass(frozen=True, slots=True)
class _Time:
    """Where a moment stands in the picture."""

    since_ms: int
    until_ms: int

    def x(self, at_ms: int) -> float:
        inside = min(max(at_ms, self.since_ms), self.until_ms) - self.since_ms
        return round(LEFT + inside / (self.until_ms - self.since_ms) * (WIDTH - LEFT - RIGHT), 1)

    def holds(self, at_ms: int) -> bool:
        return self.since_ms <= at_ms <= self.until_ms

    def meets(self, bar: Bar) -> bool:
        return bar.since_ms <= self.until_ms and bar.until_ms >= self.since_ms


def plot(recording: Recording, scene: Scene) -> Element:
    """An inline SVG: nothing is fetched, nothing is scripted; every mark says what it is when pointed at."""
    at_ms = scene.violation.at_ms
    since_ms = max(recording.start_ms, at_ms - BEFORE_MS)
    time = _Time(since_ms, max(min(recording.end_ms, at_ms + AFTER_MS), since_ms + 1_000))
    symbol = scene.symbol or next(iter(sorted(recording.held)), "")
    y = float(GAP)
    drawn: list[Element] = []
    for height, parts in (
        (PRICE_HEIGHT, _price(recording, symbol, time)),
        (HELD_HEIGHT, _held(recording, symbol, time)),
        *((ROW_HEIGHT, row) for row in _rows(recording, symbol, time)),
    ):
        drawn.append(el("g", *parts, transform=f"translate(0 {y})"))
        y += height + GAP
    drawn += _axis(time, y)
    x = time.x(at_ms)
    drawn.append(_line(x, 0, x, y, "verdict"))
    bottom = y + ROW_HEIGHT
    told = f"Timeline around {clock_text(at_ms)}: {scene.violation.checker}"
    return el("svg", el("title", told), *drawn, viewBox=f"0 0 {WIDTH} {bottom:g}", role="img", class_="plot")


# --- price and position ------------------------------------------------------------------------------


def _price(recording: Recording, symbol: str, time: _Time) -> Iterator[Element]:
    points = [(at, float(price)) for at, price in recording.prices.get(symbol, ()) if time.holds(at)]
    yield _label(f"{short(symbol)} mark", PRICE_HEIGHT)
    for bar in recording.naked:
        if bar.symbol == symbol and time.meets(bar):
            yield _bar(bar, time, PRICE_HEIGHT, "naked", f"naked for {bar.until_ms - bar.since_ms} ms")
    if points:
        yield _curve([(time.x(at), value) for at, value in points], PRICE_HEIGHT, "price")


def _held(recording: Recording, symbol: str, time: _Time) -> Iterator[Element]:
    yield _label("position", HELD_HEIGHT)
    steps = list(_steps(recording.held.get(symbol, []), time))
    if any(value for _, value in steps):
        yield _curve([(time.x(at), value) for at, value in steps], HELD_HEIGHT, "held")


def _steps(changes: list[tuple[int, Decimal]], time: _Time) -> Iterator[tuple[int, float]]:
    """The line goes level from change to change."""
    value = 0.0
    for at, quantity in changes:
        if at >= time.since_ms:
            break
        value = float(quantity)
    yield time.since_ms, value
    for at, quantity in changes:
        if time.holds(at):
            yield at, value
            value = float(quantity)
            yield at, value
    yield time.until_ms, value


def _curve(points: list[tuple[float, float]], height: float, class_: str) -> Element:
    values = [value for _, value in points]
    low, high = min(values), max(values)
    span = high - low or 1.0
    shown = " ".join(f"{x:g},{height - (value - low) / span * height:.1f}" for x, value in points)
    return el("polyline", el("title", f"{low:.8g} to {high:.8g}"), points=shown, class_=class_)


# --- rows of marks -----------------------------------------------------------------------------------


def _rows(recording: Recording, symbol: str, time: _Time) -> Iterator[list[Element]]:
    yield [_label("bot", ROW_HEIGHT), *_bars(recording.lives, time, "life")]
    troubles = sorted((each for each in recording.troubles if time.meets(each)), key=lambda bar: bar.since_ms)
    for bar in troubles[:TROUBLES_MAX]:
        yield [_label(bar.text, ROW_HEIGHT), *_bars([bar], time, "trouble")]
    for lane in TICK_LANES:
        mine = (
            entry
            for entry in recording.entries
            if entry.lane is lane and time.holds(entry.at_ms) and entry.symbol in ("", symbol)
        )
        yield [_label(lane.value, ROW_HEIGHT), *(_tick(entry, time) for entry in mine)]


def _bars(bars: Iterable[Bar], time: _Time, class_: str) -> Iterator[Element]:
    for bar in bars:
        if time.meets(bar):
            yield _bar(bar, time, ROW_HEIGHT, class_, bar.text)


def _bar(bar: Bar, time: _Time, height: float, class_: str, told: str) -> Element:
    x = time.x(bar.since_ms)
    width = max(2.0, time.x(bar.until_ms) - x)
    return el("rect", el("title", told), x=x, y=0, width=f"{width:g}", height=height, class_=class_)


def _tick(entry: Entry, time: _Time) -> Element:
    x = time.x(entry.at_ms)
    return _line(x, 0, x, ROW_HEIGHT, entry.lane.value, f"{clock_text(entry.at_ms)} {entry.text}")


def _axis(time: _Time, y: float) -> list[Element]:
    first = -(-time.since_ms // TICK_EVERY_MS) * TICK_EVERY_MS
    drawn = []
    for at_ms in range(first, time.until_ms + 1, TICK_EVERY_MS):
        x = time.x(at_ms)
        drawn.append(_line(x, 0, x, y, "grid"))
        drawn.append(el("text", clock_text(at_ms)[:8], x=x, y=y + 12, class_="axis"))
    return drawn


def _line(x1: float, y1: float, x2: float, y2: float, class_: str, told: str = "") -> Element:
    inside = (el("title", told),) if told else ()
    return el("line", *inside, x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}", class_=class_)


def _label(text: str, height: float) -> Element:
    return el("text", text[:14], el("title", text), x=LEFT - 6, y=height / 2 + 4, class_="label")
