"""What a person sees while the demo runs: the bot's own word, drawn from its HTTP interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

Status = Mapping[str, Any]
WIDE = 110
"""Columns from which on the table of positions has lines."""

DECISION_STYLES: Mapping[str, str] = {
    "entry": "green",
    "refused": "yellow",
    "close": "magenta",
    "stop": "cyan",
    "liquidation": "bold magenta",
    "alert": "bold red",
}
_PROTECTION: Mapping[str, tuple[str, str]] = {
    # Words beside colours: colour is never the only signal.
    "verified": ("verified", "green"),
    "pending": ("pending", "yellow"),
    "missing": ("MISSING", "bold red"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What the demo itself knows: its clock and how long it goes on."""

    market_ms: int
    speed_asked: float
    speed_now: float
    speed_effective: float
    minutes_left: float | None
    phase: str
    """`starting`, `trading`, `ending` …"""
    equity_at_start: float | None


def clock_text(at_ms: int) -> str:
    """Market time for people, UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"


def time_text(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=UTC):%H:%M:%S}"


def number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def price(value: float | None) -> str:
    """Six significant digits, never an exponent."""
    if value is None:
        return "–"
    return f"{value:,.2f}" if abs(value) >= 1_000 else f"{value:.6g}"


def signed(value: float | None, digits: int = 2) -> Text:
    if value is None:
        return Text("–")
    style = "green" if value > 0 else "red" if value < 0 else ""
    return Text(f"{value:+,.{digits}f}", style=style)


def clock_line(heading: Heading) -> Text:
    """What the demo itself knows, in one line."""
    left = "" if heading.minutes_left is None else f"   {heading.minutes_left:.1f} market minutes to go"
    return Text.assemble(
        (" DEMO ", "reverse bold"),
        f"  {heading.phase}   market time ",
        (clock_text(heading.market_ms), "bold"),
        f"   speed {heading.speed_now:.1f}× now, {heading.speed_effective:.1f}× effective,"
        f" {heading.speed_asked:g}× asked{left}",
    )


def header(status: Status | None, heading: Heading) -> RenderableType:
    """Mode, clock, money and the one number that must stay 0."""
    first = clock_line(heading)
    if status is None:
        return Panel(
            Group(first, Text("waiting for the bot's first picture …", style="dim")), title="holdfast"
        )
    equity = status["balances"]["equity"]
    started = heading.equity_at_start
    gained = equity - started if equity is not None and started is not None else None
    naked = len(status["unprotected"])
    second = Text.assemble(
        f"{status['exchange']} at {status['address']}   {status['state']}, {status['mode']}"
        f"   prices by {status['price_source']}",
        ("" if status["synced"] else "   not synced", "yellow"),
        (f"   blocked: {', '.join(status['blocks'])}" if status["blocks"] else "", "yellow"),
    )
    third = Text.assemble(
        f"equity {number(equity)} USDT   day PnL ",
        signed(gained),
        f"   available {number(status['balances']['available'])}   ",
        (f"unprotected {naked}", "bold red" if naked else "bold green"),
    )
    return Panel(Group(first, second, third), title="holdfast")


def positions(status: Status | None, width: int = WIDE) -> RenderableType:
    """One row per position, as the exchange has it; without lines where the terminal is narrow."""
    narrow = width < WIDE
    table = Table(
        expand=not narrow,
        title="positions",
        title_justify="left",
        box=None if narrow else box.HEAVY_HEAD,
        padding=(0, 1, 0, 0) if narrow else (0, 1),
    )
    for name in ("symbol", "side"):
        table.add_column(name, no_wrap=True)
    for name in ("size", "entry", "mark", "uPnL", "ROE %", "stop"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("protected" if narrow else "protected since", no_wrap=True)
    held: Sequence[Mapping[str, Any]] = status["positions"] if status else ()
    for each in held:
        table.add_row(
            each["symbol"].partition(":")[0],
            each["side"],
            f"{each['size']:g}",
            price(each["entry"]),
            price(each["mark"]),
            signed(each["unrealized_pnl"]),
            signed(each["roe"]),
            price(each["stop_price"]),
            protection(each, narrow=narrow),
        )
    if not held:
        table.add_row(Text("none", style="dim"), *[""] * 8)
    return table


def protection(position: Mapping[str, Any], *, narrow: bool = False) -> Text:
    """Whether its stop stands on the exchange, and since when (market time)."""
    word, style = _PROTECTION.get(position["protection"], (position["protection"], ""))
    word = "ok" if narrow and word == "verified" else word
    since = position["protected_since_ms"]
    return Text(f"{word} {time_text(since)}" if since else word, style=style)


def decisions(status: Status | None, rows: int) -> RenderableType:
    """The newest decisions, each with its reason."""
    table = Table.grid(padding=(0, 1), expand=True)
    for width in (8, 9, 10):
        table.add_column(no_wrap=True, width=width)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for each in (status["decisions"] if status else ())[: max(1, rows)]:
        style = DECISION_STYLES.get(each["kind"], "")
        table.add_row(
            Text(time_text(each["at_ms"]), style="dim"),
            Text(each["kind"], style=style),
            each["symbol"].partition(":")[0],
            each["text"],
        )
    return Panel(table, title="just decided, and why", title_align="left")


def screen(status: Status | None, heading: Heading, width: int, height: int) -> RenderableType:
    """The whole picture for a terminal of *width* columns and *height* lines."""
    held = max(1, len(status["positions"])) if status else 1
    alerts = [each for each in status["alerts"] if each["severity"] != "info"] if status else []
    shown = [Text(f"! {each['severity']}: {each['text']}", style="bold red") for each in alerts[:3]]
    footer = foot(heading)
    rows = height - held - len(shown) - (16 if width >= WIDE else 15)
    return Group(header(status, heading), positions(status, width), *shown, decisions(status, rows), footer)


def foot(heading: Heading) -> Text:
    """What can be done, or what is under way."""
    if heading.phase == "ending":
        return Text("Closing every position; protective stops go last.", style="bold")
    return Text("Ctrl-C ends it flat.", style="dim")


def screens(told: Mapping[str, Status | None], heading: Heading, width: int, height: int) -> RenderableType:
    """The picture of the bots at several exchanges (name → what it says); of one it is `screen`."""
    if len(told) == 1:
        return screen(next(iter(told.values())), heading, width, height)
    seats: list[RenderableType] = []
    held = 0
    for name, status in told.items():
        seats += [seat_line(name, status), *([positions(status, WIDE - 1)] if status else [])]
        held += 2 + max(1, len(status["positions"])) if status else 0
    newest = [(each, name) for name, status in told.items() if status for each in status["decisions"]]
    newest.sort(key=lambda pair: pair[0]["at_ms"], reverse=True)
    said = {
        "decisions": [
            {**each, "kind": name, "text": f"{each['kind']}: {each['text']}"} for each, name in newest
        ]
    }
    rows = height - held - len(told) - 7
    return Group(Panel(clock_line(heading), title="holdfast"), *seats, decisions(said, rows), foot(heading))


def seat_line(name: str, status: Status | None) -> Text:
    """One bot among several: where, how it is, its money, and the one number that must stay 0."""
    if status is None:
        return Text(f"{name}: waiting for the bot's first picture …", style="dim")
    naked = len(status["unprotected"])
    return Text.assemble(
        (name, "bold"),
        f" at {status['address']}   {status['state']}, {status['mode']}   prices by {status['price_source']}"
        f"   equity {number(status['balances']['equity'])} USDT   ",
        (f"unprotected {naked}", "bold red" if naked else "bold green"),
        (f"   blocked: {', '.join(status['blocks'])}" if status["blocks"] else "", "yellow"),
    )


def progress_lines(told: Mapping[str, Status | None], heading: Heading) -> list[str]:
    """The same in a line each, where there is no terminal; several are named."""
    if len(told) == 1:
        return [progress_line(status, heading) for status in told.values()]
    return [f"{name:<8} {progress_line(status, heading)}" for name, status in told.items()]


def progress_line(status: Status | None, heading: Heading) -> str:
    """One bot's line."""
    if status is None:
        return f"{clock_text(heading.market_ms)}  {heading.phase}: waiting for the bot"
    newest = status["decisions"][0] if status["decisions"] else None
    told = f"  {newest['kind']} {newest['symbol']}: {newest['text']}" if newest else ""
    return (
        f"{clock_text(heading.market_ms)}  {heading.phase}  {heading.speed_effective:.1f}×"
        f"  equity {number(status['balances']['equity'])}  positions {len(status['positions'])}"
        f"  unprotected {len(status['unprotected'])}{told}"
    )


def summary_table(summary: Mapping[str, Any], title: str) -> RenderableType:
    """How it ended; what concerns the exchange is the exchange's own word."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, value in summary.items():
        if value in ((), [], {}, "") or name == "exchanges":
            continue
        table.add_row(name.replace("_", " "), _told(value))
    return table


def _told(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return str(value)


def console() -> Console:
    """Standard error: standard output is for the summary alone."""
    return Console(stderr=True)
