"""What happened, in words: one line for each thing that a recording keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from holdfast.decisions.gate import Approved
from holdfast.domain.intents import Accepted, Journaled, Outcome, Rejected, Unavailable, Unknown
from holdfast.domain.numbers import plain
from holdfast.engine.events import Answered, FillsRead, Ordered, ReadDone, Told
from holdfast.exchanges.port import (
    BalanceNews,
    ConfigNews,
    MarginCall,
    OrderNews,
    PositionNews,
    StopNews,
    StreamState,
)
from holdfast.simulator.core.model import (
    AccountEvent,
    AlgoEvent,
    ConfigEvent,
    MarginCallEvent,
    OrderEvent,
    SimPosition,
)
from holdfast.simulator.core.truth import CoverChange
from holdfast.simulator.requests import Arrival

SHOWN_PARAMS = (
    *("side", "positionSide", "tradeSide", "holdSide", "type", "planType", "quantity", "size"),
    *(
        "triggerPrice",
        "stopPrice",
        "price",
        "closePosition",
        "reduceOnly",
        "algoId",
        "orderId",
        "orderIdList",
    ),
)
"""Of a request; its ids stand beside the line."""


def short(symbol: object) -> str:
    """`BTC/USDT` for `BTC/USDT:USDT`: the settlement currency says nothing here."""
    return str(symbol).partition(":")[0]


# --- the exchange ------------------------------------------------------------------------------------


def order_words(event: OrderEvent) -> str:
    order, fill = event.order, event.fill
    head = f"order {event.execution}: {order.side} {plain(order.quantity)} {order.kind}"
    if order.reduce_only:
        head += " reduce-only"
    if order.algo_id:
        head += f" of stop {order.algo_id}"
    if fill is not None:
        return f"{head}, filled {plain(fill.quantity)} at {plain(fill.price)}, {order.status}"
    return f"{head}, {order.status}"


def algo_words(event: AlgoEvent) -> str:
    algo = event.algo
    size = "whole position" if algo.close_position else plain(algo.quantity)
    why = f" ({algo.reject_reason})" if algo.reject_reason else ""
    return (
        f"stop {algo.algo_id} {algo.status}{why}: {algo.side} {size} at {algo.working} "
        f"{plain(algo.trigger_price)}"
    )


def account_words(event: AccountEvent) -> str:
    held = "; ".join(map(_position_words, event.positions))
    return f"account ({event.reason}): wallet {plain(event.wallet)}" + (f"; {held}" if held else "")


def _position_words(position: SimPosition) -> str:
    return f"{short(position.symbol)} {plain(position.quantity)} at {position.entry_price:.6g}"


def config_words(event: ConfigEvent) -> str:
    changes = {
        "leverage": event.leverage,
        "multi-assets": event.multi_assets,
        "position mode": event.position_mode,
    }
    return "settings changed: " + ", ".join(f"{n} {v}" for n, v in changes.items() if v is not None)


def margin_words(event: MarginCallEvent) -> str:
    return "margin call: " + "; ".join(map(_position_words, event.positions))


def cover_words(change: CoverChange) -> str:
    said = {True: "covered by a stop", False: "NAKED: no stop covers it", None: "position is over"}
    return said[change.covered]


def arrival_words(arrival: Arrival) -> str:
    path = arrival.path.rpartition("/")[2]
    told = " ".join(f"{name}={arrival.params[name]}" for name in SHOWN_PARAMS if name in arrival.params)
    met = ", ".join(fault.kind.value for fault in arrival.faults)
    return f"{arrival.method} {path} {told}".rstrip() + (f" — met {met}" if met else "")


EXCHANGE_WORDS: Mapping[type, Callable[[Any], str]] = {
    OrderEvent: order_words,
    AlgoEvent: algo_words,
    AccountEvent: account_words,
    ConfigEvent: config_words,
    MarginCallEvent: margin_words,
}


# --- the bot -----------------------------------------------------------------------------------------


def submitted_words(approved: Approved) -> str:
    intent = approved.intent
    parts = [
        intent.purpose.value,
        intent.side.value,
        plain(intent.quantity) if intent.quantity else "",
        f"at {plain(intent.trigger_price)}" if intent.trigger_price is not None else "",
        f"target {intent.target_id}" if intent.target_id else "",
        f"— {intent.reason}" if intent.reason else "",
    ]
    return " ".join(part for part in parts if part)


def outcome_words(outcome: Outcome) -> str:
    match outcome:
        case Accepted():
            return f"accepted as {outcome.exchange_id}"
        case Rejected():
            return f"rejected: {outcome.reason} ({outcome.code} {outcome.message})"
        case Unknown():
            return f"UNKNOWN: {outcome.cause}"
        case Unavailable():
            return f"unavailable: {outcome.cause}" + (" (banned)" if outcome.banned else "")


def _order_news(news: OrderNews) -> str:
    order = news.order
    return f"told: order {order.status}, filled {plain(order.filled)} of {plain(order.quantity)}"


def _stop_news(news: StopNews) -> str:
    return f"told: stop {news.stop.stop_id} {news.stop.status} at {plain(news.stop.trigger_price)}"


def _position_news(news: PositionNews) -> str:
    return f"told: position {plain(news.quantity)} at {news.entry_price:.6g}"


def _balance_news(news: BalanceNews) -> str:
    return f"told: wallet {plain(news.wallet)} {news.currency} ({news.cause})"


def _config_news(news: ConfigNews) -> str:
    return f"told: leverage {news.leverage}"


def _margin_news(_: MarginCall) -> str:
    return "told: margin call"


def _stream_state(news: StreamState) -> str:
    return f"stream {news.stream} {'up' if news.up else 'DOWN'}: {news.cause}".rstrip(": ")


NEWS_WORDS: Mapping[type, Callable[[Any], str]] = {
    # Prices are left out: there are too many, and the plot shows them.
    OrderNews: _order_news,
    StopNews: _stop_news,
    PositionNews: _position_news,
    BalanceNews: _balance_news,
    ConfigNews: _config_news,
    MarginCall: _margin_news,
    StreamState: _stream_state,
}


def told_words(event: Told) -> str:
    words = NEWS_WORDS.get(type(event.news))
    return "" if words is None else words(event.news)


def read_words(event: ReadDone) -> str:
    if event.fact is None:
        return f"read {event.want.read} FAILED: {_failure(event.failure)}"
    value = event.fact.value
    size = f"{len(value)} rows" if hasattr(value, "__len__") else "answered"
    return f"read {event.want.read}: {size}" + ("" if event.fact.complete else ", incomplete")


def _failure(failure: Rejected | Unknown | Unavailable | None) -> str:
    return "no reason" if failure is None else outcome_words(failure)


def answered_words(event: Answered) -> str:
    return f"{event.journaled.intent.purpose} {outcome_words(event.outcome)}"


def fills_words(event: FillsRead) -> str:
    return f"read fills: {len(event.fills)}" + ("" if event.complete else ", incomplete")


def ordered_words(event: Ordered) -> str:
    return f"the operator orders {event.command}: {event.why}"


INBOX_WORDS: Mapping[type, Callable[[Any], str]] = {
    Told: told_words,
    ReadDone: read_words,
    Answered: answered_words,
    FillsRead: fills_words,
    Ordered: ordered_words,
}


def journaled_of(event: object) -> Journaled | None:
    """The request that an event of the inbox is about."""
    return event.journaled if isinstance(event, Answered) else None


def log_words(event: str, fields: Mapping[str, object]) -> str:
    """A line of the bot's log: its kind and its text, other fields where there is no text."""
    text = fields.get("text")
    if text is None:
        text = ", ".join(f"{name} {value}" for name, value in fields.items() if value not in ("", None))
    head = str(fields.get("id", "")) if event.startswith("alert") else ""
    return f"{event}: {head} {text}".replace("  ", " ")
