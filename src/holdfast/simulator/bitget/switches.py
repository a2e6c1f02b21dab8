"""What is not known for sure about Bitget: each of it a switch, for drills to run both ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """Bitget's unverified ways (bitget.md, marked [?] there). The defaults are the likelier reading."""

    condition_means: Literal["parameter", "position"] = "parameter"
    """What 40812 "The condition {0} is not met" says: *parameter* (a margin coin that does not fit, say),
    or also *position*: no position for a TPSL order, or a planType that does not fit. With *parameter*
    those two are 43023 and 400172."""
    second_tpsl: Literal["refused", "replaces"] = "refused"
    """A second whole-position stop (profit) of a side: 43031 (43030), or it takes the first one's place."""
    tpsl_after_open_ms: int = 0
    """How long a new position is invisible to TPSL orders: they are refused with 43023."""
    resized_position_tpsl: Literal["ignored", "refused"] = "ignored"
    """modify-tpsl-order with a size for pos_loss or pos_profit."""
    reduce_only_plan: Literal["taken", "refused"] = "taken"
    """A normal_plan with reduceOnly in one-way mode: 22042 when refused."""
    gone_plan: Literal["refused", "listed"] = "refused"
    """Cancelling a plan order that is over: 43025, or an entry of the answer's failureList."""
    child_named_by_plan: bool = True
    """The order a plan turns into has the plan's id as clientOid; otherwise the plan's own clientOid."""
    displacing_order_id: bool = False
    """The answer to a reduce-only order that displaces older ones has its orderId."""
    hedge_close_beyond: Literal["cut", "refused"] = "cut"
    """A market close in hedge mode that asks for more than resting closes leave: cut to that, or 40757."""
    one_way_trade_side: Literal["refused", "ignored"] = "refused"
    """tradeSide sent in one-way mode: 40774, or no matter."""
    dust_closes: bool = True
    """What closes all of a position may be worth less than the minimum; otherwise 45110."""
    order_sets_margin_mode: bool = True
    """An order of another marginMode than the symbol's, which is flat, changes it; otherwise 40812."""
    unchanged_setting: Literal["answered", "refused"] = "answered"
    """Setting the leverage (margin mode) that is there already: 40814 (45054) when refused."""
    hedge_close_flag: Literal["YES", "NO"] = "YES"
    """What REST rows of closing orders in hedge mode say of reduceOnly."""
    detail_status: Literal["state", "status"] = "state"
    """What order/detail calls an order's status."""
    null_lists: bool = False
    """An empty list of orders or fills is null."""
    hidden_pos_loss: bool = False
    """Whole-position stops are in no listing of plan orders, only in the position's stopLossId."""
    first_events: bool = False
    """Subscribing to orders, orders-algo or fill is followed by an empty snapshot."""
    wrong_passphrase: Literal[40012, 40036] = 40012
