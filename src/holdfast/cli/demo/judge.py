"""How a demo ended, judged by the exchange's own truth and the bot's own books."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from holdfast.cli.demo.prepare import PROTECT_DEADLINE_MS, WALLET
from holdfast.cli.exits import Exit
from holdfast.store import books
from holdfast.store.books import Trade
from holdfast.store.database import open_store
from holdfast.store.home import Home
from holdfast.store.words import TradeStatus

NAKED_MARGIN_S = 5.0
"""What may be added to the protect deadline: the close itself takes its round trips."""
CLOSE_ENOUGH = Decimal("0.0001")
"""Quote currency per symbol; more where the wire rounds each fill's PnL and fee to more than that in sum."""


@dataclass(slots=True)
class Totals:
    """One symbol's trading: *traded* counts both ways in base, *held* is signed; money in quote."""

    fills: int = 0
    traded: Decimal = Decimal(0)
    held: Decimal = Decimal(0)
    realized: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paced:
    """How fast the shared clock went while there was trading."""

    effective_speed: float
    speed_asked: float
    market_s: float
    real_s: float
    late_market_ms_max: float

    def told(self) -> dict[str, Any]:
        """As part of a summary."""
        return {
            "market_minutes": round(self.market_s / 60, 2),
            "real_seconds": round(self.real_s, 2),
            "speed_asked": self.speed_asked,
            "effective_speed": round(self.effective_speed, 2),
            "late_market_ms_max": round(self.late_market_ms_max),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything the verdict is made from."""

    truth: Mapping[str, Any]
    """`/truth` of the simulator's admin API."""
    events: Sequence[Mapping[str, Any]]
    """`/events` of the same."""
    trades: Sequence[Trade]
    """The bot's books of this run."""
    snapshot: Mapping[str, Any]
    """The bot's `logs/final_snapshot.json`."""
    bot_status: int | None
    """Exit status of the bot's process; None = it had to be killed."""
    money_step: Decimal
    """To what the exchange rounds a fill's figures."""
    paced: Paced
    first_protected_s: float | None


def read_books(home: Home, after_id: int) -> list[Trade]:
    """The bot's trades of this run. Raises `StoreError`."""
    store = open_store(home.database, read_only=True)
    try:
        found = store.read(lambda c: books.trades(c, account_id="demo"))
    finally:
        store.close()
    return [trade for trade in found if trade.id > after_id]


def read_snapshot(home: Home) -> dict[str, Any]:
    """The bot's last picture; empty when it left none."""
    try:
        found = json.loads(home.snapshot.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def exchange_totals(events: Iterable[Mapping[str, Any]]) -> dict[str, Totals]:
    """Per symbol, out of every fill the exchange told."""
    totals: dict[str, Totals] = defaultdict(Totals)
    for event in events:
        fill, order = event.get("fill"), event.get("order")
        if not fill or not order:
            continue
        quantity, each = Decimal(fill["quantity"]), totals[order["symbol"]]
        each.fills += 1
        each.traded += quantity
        each.held += quantity if order["side"].lower() == "buy" else -quantity
        each.realized += Decimal(fill["realized"])
        each.fees += Decimal(fill["fee"])
    return dict(totals)


def book_totals(trades: Iterable[Trade]) -> dict[str, Totals]:
    """The same out of the bot's books; a closed life was traded twice, in and out."""
    totals: dict[str, Totals] = defaultdict(Totals)
    for trade in trades:
        each = totals[str(trade.symbol)]
        each.traded += trade.entry_quantity * 2 - trade.quantity
        each.held += trade.quantity * trade.side.sign
        each.realized += trade.realized_pnl
        each.fees += trade.fees
    return dict(totals)


def books_against_exchange(
    trades: Sequence[Trade], events: Sequence[Mapping[str, Any]], money_step: Decimal
) -> list[str]:
    """Every difference between the bot's books and the exchange's fills, in words.

    *money_step*: to what the exchange rounds each fill's fee and result where they can be read.
    """
    found: list[str] = []
    if events and events[0]["seq"] != 1:
        found.append("the exchange no longer remembers its first fills: nothing can be proven")
    pending = [trade for trade in trades if trade.status is TradeStatus.EXIT_PENDING]
    found += [f"{trade.symbol}: the books do not know its true exit yet" for trade in pending]
    ours, theirs = book_totals(trades), exchange_totals(events)
    for symbol in sorted({*ours, *theirs}):
        found += _differences(symbol, ours.get(symbol, Totals()), theirs.get(symbol, Totals()), money_step)
    return found


def _differences(symbol: str, ours: Totals, theirs: Totals, money_step: Decimal) -> list[str]:
    open_now = ours.held != 0 or theirs.held != 0
    money = Decimal("Infinity") if open_now else max(CLOSE_ENOUGH, money_step * theirs.fills)
    compared = {
        # While a position is open its entry fee and partial exits are not in the books yet.
        "held": (ours.held, theirs.held, Decimal(0)),
        "traded": (ours.traded, theirs.traded, Decimal(0)),
        "realized PnL": (ours.realized, theirs.realized, money),
        "fees": (ours.fees, theirs.fees, money),
    }
    return [
        f"{symbol}: {name} is {mine} in the books, {real} at the exchange"
        for name, (mine, real, tolerance) in compared.items()
        if abs(mine - real) > tolerance
    ]


def errors_of(evidence: Evidence) -> list[str]:
    """What went wrong, apart from what the guarantees count."""
    found: list[str] = []
    if evidence.bot_status is None:
        found.append("the bot did not end in time and was killed")
    elif evidence.bot_status:
        found.append(f"the bot ended with status {evidence.bot_status}")
    unexpected = int(evidence.snapshot.get("metrics", {}).get("unexpected_errors", 0))
    if unexpected:
        found.append(f"{unexpected} unexpected errors in the bot (see logs/bot.log)")
    found += [str(words) for words in evidence.snapshot.get("liquidation", {}).get("errors", ())]
    if evidence.truth["liquidations"]:
        found.append(f"the exchange liquidated {evidence.truth['liquidations']} positions")
    return found


def summary_of(evidence: Evidence) -> dict[str, Any]:
    """The demo's result as one flat object; what concerns the exchange is the exchange's word."""
    truth, snapshot = evidence.truth, evidence.snapshot
    differences = books_against_exchange(evidence.trades, evidence.events, evidence.money_step)
    errors = errors_of(evidence)
    return {
        "entries": truth["entries"],
        "exits": truth["exits"],
        "refused": int(snapshot.get("statistics", {}).get("refused", 0)),
        "naked_seconds_max": truth["naked_seconds_max"],
        "naked_seconds_total": truth["naked_seconds_total"],
        "unprotected_now": len(truth["unprotected_now"]),
        "duplicate_orders": truth["duplicate_orders"],
        "books_match_exchange": not differences,
        "flat": truth["flat"],
        "liquidation_state": snapshot.get("liquidation", {}).get("state", "UNKNOWN"),
        "errors": len(errors),
        "error_texts": errors,
        "book_differences": differences,
        "orphan_stops": len(truth["orphan_stops"]),
        "pnl": float(Decimal(truth["wallet"]) - WALLET),
        **evidence.paced.told(),
        "first_protected_seconds": evidence.first_protected_s,
    }


SUMS = (
    "entries",
    "exits",
    "refused",
    "naked_seconds_total",
    "unprotected_now",
    "duplicate_orders",
    "errors",
    "orphan_stops",
    "pnl",
)
LISTS = ("error_texts", "book_differences")


def joined(summaries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One summary of several exchanges' (name → its own), with those under `exchanges`."""
    each = [*summaries.values()]
    protected = [one["first_protected_seconds"] for one in each]
    states = dict.fromkeys(one["liquidation_state"] for one in each)
    return {
        **each[0],
        **{name: round(sum(one[name] for one in each), 8) for name in SUMS},
        **{name: [f"{of}: {text}" for of in summaries for text in summaries[of][name]] for name in LISTS},
        "naked_seconds_max": max(one["naked_seconds_max"] for one in each),
        "books_match_exchange": all(one["books_match_exchange"] for one in each),
        "flat": all(one["flat"] for one in each),
        "liquidation_state": ", ".join(states),
        "first_protected_seconds": None if None in protected else max(protected),
        "exchanges": {name: dict(one) for name, one in summaries.items()},
    }


def verdict(summary: Mapping[str, Any]) -> Exit:
    """3 a guarantee was violated, 1 it did not do its job, 0 clean; of several exchanges the worst."""
    if "exchanges" in summary:
        return max(verdict(one) for one in summary["exchanges"].values())
    naked_max_s = PROTECT_DEADLINE_MS / 1000 + NAKED_MARGIN_S
    violated = (
        summary["unprotected_now"]
        or summary["duplicate_orders"]
        or not summary["books_match_exchange"]
        or summary["naked_seconds_max"] > naked_max_s
    )
    if violated:
        return Exit.GUARANTEE_VIOLATED
    failed = not summary["entries"] or not summary["flat"] or summary["errors"]
    return Exit.FAILED if failed else Exit.FINE


def words(summary: Mapping[str, Any], status: Exit) -> str:
    """The verdict in one sentence for people."""
    if status is not Exit.FINE and "exchanges" in summary:
        told = {name: (one, verdict(one)) for name, one in summary["exchanges"].items()}
        return "; ".join(f"{name}: {words(one, found)}" for name, (one, found) in told.items())
    if status is Exit.FINE:
        return "clean: every position was protected, nothing doubled, books and exchange agree, flat"
    if status is Exit.GUARANTEE_VIOLATED:
        return "A GUARANTEE WAS VIOLATED: see above"
    causes = {
        "it is not flat": not summary["flat"],
        "there were errors": bool(summary["errors"]),
        "no entry was made (it ended too early, or the market gave no signal)": not summary["entries"],
    }
    return "not done: " + ", ".join(cause for cause, applies in causes.items() if applies)
