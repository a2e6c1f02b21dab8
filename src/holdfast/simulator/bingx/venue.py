"""What one simulated BingX holds beside the core, and what a handler is given."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.domain.orders import PositionSide
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bingx.config import BingxConfig, Switches
from holdfast.simulator.bingx.errors import bad_key
from holdfast.simulator.bingx.limits import RateLimiter
from holdfast.simulator.bingx.params import Params
from holdfast.simulator.bingx.positions import Positions
from holdfast.simulator.core.model import SimAccount
from holdfast.simulator.wire import venue
from holdfast.simulator.wire.figures import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What is remembered of an order though the core has no use for it."""

    type: str
    """As it was placed."""
    client_id: str = ""
    """The client's own, in lower case; "" when none was sent or kept."""
    working_type: str = ""
    stop_loss: Row | None = None
    take_profit: Row | None = None


@dataclass(frozen=True, slots=True)
class MarginChange:
    """An isolated position's margin as changed by hand."""

    symbol: Symbol
    position_id: int
    change: str
    after: str
    at_ms: int


@dataclass(slots=True, kw_only=True)
class Venue(venue.Venue):
    """One exchange: the core, and the state that only its dialect has."""

    config: BingxConfig
    limiter: RateLimiter = field(init=False)
    positions: Positions = field(init=False)
    extras: dict[int, Extras] = field(default_factory=dict)
    """By the core's order id or algo id: the two number ranges do not meet."""
    client_ids: dict[tuple[str, str], int] = field(default_factory=dict)
    """(account, client id) → when it was used."""
    cancelled: dict[tuple[str, int], int] = field(default_factory=dict)
    """(account, wire id) → when its cancelling was last asked for."""
    margin_changes: dict[str, list[MarginChange]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        venue.Venue.__post_init__(self)
        self.limiter = RateLimiter(self.switches.limits)
        self.positions = Positions()
        self.core.listen(self.positions.hear, prices=False)

    @property
    def switches(self) -> Switches:
        return self.config.switches

    def account(self, key: str) -> SimAccount:
        """The account of *key*; opens one behind the open door, else raises 100413."""
        account = self.known(key)
        if account is None:
            raise bad_key()
        return account

    def side_leverage(self, account: SimAccount, symbol: Symbol, side: PositionSide) -> int:
        return account.side_leverage.get((symbol, side)) or self.leverage(account, symbol)

    def cancel_for(self, account_id: str, symbol: Symbol | None) -> None:
        """The dead-man switch ends protective stops, too."""
        for each in self.core.symbols() if symbol is None else (symbol,):
            self.core.cancel_all_orders(account_id, each)
            self.core.cancel_all_algos(account_id, each)


@dataclass(slots=True)
class Call(venue.Call):
    """One request on its way through."""

    venue: Venue
    params: Params

    @property
    def switches(self) -> Switches:
        return self.venue.switches


def stamped(call: Call, data: object) -> Whole:
    """The usual envelope with a time on it, as some endpoints have it."""
    return Whole({"code": 0, "msg": "", "timestamp": call.now_ms, "data": data})


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer that does not come in the usual envelope; *body* None: no body at all."""

    body: Row | None
    status: int = 200
