"""What each exchange does with stops and closes, per position mode, in words; each with how sure that is.

`Capabilities` is what the bot decides by; this is what a person wants to know before trusting it. What
the exchange's documents leave open, or tell in two ways, is *unverified*: nothing may rest on it; where
the simulator has it as a switch, drills can run both ways (sources: the exchange sheets).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.domain.account import PositionMode
from holdfast.exchanges.capabilities import CAPABILITIES
from holdfast.exchanges.port import Capabilities


@dataclass(frozen=True, slots=True)
class Told:
    """One cell: what is so, and whether that is known for sure."""

    value: str
    verified: bool = True


COLUMNS: Mapping[str, str] = {
    "attached_stops": "a stop can be sent with the entry",
    "whole_position_stop": "one stop for all of a position, whatever its size",
    "second_stop": "a stop beside the first, so that none is missing while it is moved",
    "stop_replaced": "how a stop is moved",
    "stop_client_ids": "a stop keeps the client id it was sent with",
    "stop_locks_quantity": "a waiting stop takes its quantity from what can be closed",
    "close_says": "how an order says that it only closes",
    "dust_closes": "what is worth less than the minimum can be closed",
    "dead_man_timer": "the exchange cancels by itself when nobody asks it to wait on",
    "stop_books": "where a stop can stand, and is looked for",
    "survives_flat": "what stays when the position is gone",
    "key_rights": "whether an answer tells what a key may do",
    "test_environment": "pretended money at the exchange itself",
}
"""By name, with what it means."""

ONE_WAY, HEDGE = PositionMode.ONE_WAY, PositionMode.HEDGE
_UNUSED = "; the bot does not use it"
_OTHER_FORM = "the other form is placed at the new price, then the first is cancelled"

_SHARED: Mapping[str, Mapping[str, Told]] = {
    "binance": {
        "attached_stops": Told("no"),
        "whole_position_stop": Told("closePosition; one per direction (-4130)"),
        "second_stop": Told("a sized one beside the whole-position one"),
        "dead_man_timer": Told(
            f"per symbol, regular orders; of stops nothing is said{_UNUSED}", verified=False
        ),
        "stop_books": Told("the algo book (openAlgoOrders)"),
        "key_rights": Told("no; of the account: may it trade, may money leave it"),
        "test_environment": Told("demo-fapi.binance.com"),
    },
    "bingx": {
        "attached_stops": Told(f"stopLoss, takeProfit: orders of their own after the fill{_UNUSED}"),
        "whole_position_stop": Told("closePosition; one per position (110406)"),
        "second_stop": Told("sized ones, together not above the position", verified=False),
        "dust_closes": Told("yes, closing is taken below the minimum", verified=False),
        "dead_man_timer": Told("cancelAllAfter: of the whole account, protective stops too; never used"),
        "stop_books": Told("the one list of open orders (openOrders)"),
        "survives_flat": Told("TRIGGER orders, resting orders; stops end with the position", verified=False),
        "key_rights": Told("no"),
        "test_environment": Told("open-api-vst.bingx.com, the money is VST"),
    },
    "bitget": {
        "attached_stops": Told(f"presets: stops of the position after the fill{_UNUSED}"),
        "whole_position_stop": Told("pos_loss; one per side (43031)"),
        "second_stop": Told("sized ones (loss_plan) beside pos_loss"),
        "dust_closes": Told("yes, when all that is left is closed", verified=False),
        "dead_man_timer": Told("none"),
        "stop_books": Told(
            "orders-plan-pending three times (profit_loss, normal_plan, track_plan), and the positions'"
            " stopLossId"
        ),
        "survives_flat": Told("normal_plan, track_plan, resting orders; pos_loss and loss_plan end"),
        "key_rights": Told("no"),
        "test_environment": Told("api.bitget.com with the mark PAPTRADING: 1"),
    },
}
_BY_MODE: Mapping[tuple[str, PositionMode], Mapping[str, Told]] = {
    ("binance", ONE_WAY): {
        "close_says": Told("reduceOnly"),
        "dust_closes": Told("yes, reduceOnly and closePosition have no minimum"),
        "survives_flat": Told("sized stops (they only reduce); whole-position ones expire"),
    },
    ("binance", HEDGE): {
        "close_says": Told("positionSide; reduceOnly is refused (-1106)"),
        "dust_closes": Told("by closePosition; of other closes nothing is said", verified=False),
        "survives_flat": Told("sized stops of the side; whole-position ones expire"),
    },
    ("bingx", ONE_WAY): {"close_says": Told("reduceOnly with positionSide BOTH")},
    ("bingx", HEDGE): {"close_says": Told("positionSide LONG or SHORT; reduceOnly is refused (109400)")},
    ("bitget", ONE_WAY): {"close_says": Told("reduceOnly YES")},
    ("bitget", HEDGE): {"close_says": Told("tradeSide close; side is the position's own")},
}
UNVERIFIED: Mapping[str, frozenset[str]] = {
    "binance": frozenset(),
    "bingx": frozenset({"stop_client_ids", "stop_locks_quantity"}),
    "bitget": frozenset({"stop_locks_quantity"}),
}
"""Of what `Capabilities` says."""


def features(exchange: str, mode: PositionMode) -> dict[str, Told]:
    """Every column of one exchange in one position mode. Raises `KeyError` for an exchange nobody built."""
    stated = _stated(CAPABILITIES[exchange], UNVERIFIED[exchange])
    known = {**stated, **_SHARED[exchange], **_BY_MODE[exchange, mode]}
    return {name: known[name] for name in COLUMNS}


def _stated(capabilities: Capabilities, unverified: frozenset[str]) -> dict[str, Told]:
    """What the bot itself decides by."""
    replaced = (
        _OTHER_FORM if capabilities.two_stops_may_stand else "the first is cancelled, then another placed"
    )
    said = {
        "stop_replaced": replaced,
        "stop_client_ids": "yes" if capabilities.stop_keeps_client_id else "no: known by what it is",
        "stop_locks_quantity": "yes" if capabilities.stop_locks_quantity else "no",
    }
    return {name: Told(value, name not in unverified) for name, value in said.items()}
