"""What one simulated Bitget holds beside the core, and what a handler is given."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from holdfast.domain.account import PositionMode
from holdfast.domain.orders import PositionSide
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bitget.errors import condition, unknown_key
from holdfast.simulator.bitget.limits import Limits, RateLimiter
from holdfast.simulator.bitget.lives import Lives
from holdfast.simulator.bitget.params import Params
from holdfast.simulator.bitget.plans import Plan, Presets
from holdfast.simulator.bitget.switches import Switches
from holdfast.simulator.core.config import CoreConfig
from holdfast.simulator.core.model import CoreEvent, OrderEvent, SimAccount, SimPosition
from holdfast.simulator.wire import venue
from holdfast.simulator.wire.venue import WireConfig

MARGIN_COIN = "USDT"


@dataclass(frozen=True, slots=True, kw_only=True)
class BitgetOptions:
    """What can be chosen of this exchange."""

    limits: Limits = field(default_factory=Limits)
    switches: Switches = field(default_factory=Switches)


@dataclass(frozen=True, slots=True, kw_only=True)
class BitgetConfig(WireConfig):
    """What only this exchange's wire has."""

    options: BitgetOptions = field(default_factory=BitgetOptions)


@dataclass(slots=True)
class Filled:
    """An order with presets that has become (part of) a position."""

    account_id: str
    symbol: Symbol
    side: PositionSide
    presets: Presets


@dataclass(slots=True, kw_only=True)
class Venue(venue.Venue):
    """One exchange: the core, and the state that only its dialect has."""

    config: BitgetConfig
    limiter: RateLimiter = field(init=False)
    lives: Lives = field(default_factory=Lives)
    passphrases: dict[str, str] = field(default_factory=dict)
    """By key; keys without one take any."""
    plans: dict[int, Plan] = field(default_factory=dict)
    """By algo id."""
    presets: dict[int, Presets] = field(default_factory=dict)
    """By order id."""
    order_names: dict[tuple[str, str], int] = field(default_factory=dict)
    """Order ids by account and client id: those are unique for good."""
    plan_names: dict[tuple[str, str], int] = field(default_factory=dict)
    cancelled: dict[tuple[str, str], int] = field(default_factory=dict)
    """When an account last cancelled that id."""
    filled: list[Filled] = field(default_factory=list)
    """Presets to bring to life once the core is at rest."""

    def __post_init__(self) -> None:
        venue.Venue.__post_init__(self)
        self.limiter = RateLimiter(self.config.options.limits)
        self.core.listen(self._hear, prices=False)

    @property
    def switches(self) -> Switches:
        return self.config.options.switches

    def account(self, key: str) -> SimAccount:
        """The account of *key*; opens one behind the open door, else raises 40037."""
        account = self.known(key)
        if account is None:
            raise unknown_key()
        return account

    def side_leverage(self, account: SimAccount, symbol: Symbol, side: PositionSide) -> int:
        """Of one side of hedge mode: its own, else the symbol's."""
        return account.side_leverage.get((symbol, side)) or self.leverage(account, symbol)

    def name_account(
        self, key: str, secret: str, wallet: Decimal | None = None, passphrase: str = ""
    ) -> SimAccount:
        if passphrase:
            self.passphrases[key] = passphrase
        return venue.Venue.name_account(self, key, secret, wallet, passphrase)

    def own_name(self) -> str:
        """A client id as the exchange makes them: digits."""
        return "1" + "".join(self.chance.choices("0123456789", k=18))

    def _hear(self, event: CoreEvent) -> None:
        self.lives.hear(event)
        if not isinstance(event, OrderEvent):
            return
        order = event.order
        self.order_names.setdefault((event.account_id, order.client_id), order.order_id)
        if event.fill is not None:
            plan = self.plans.get(order.algo_id)
            presets = plan.presets if plan is not None else self.presets.get(order.order_id)
            if presets:
                self.filled.append(Filled(event.account_id, order.symbol, order.position_side, presets))


def bitget_core(config: CoreConfig, options: BitgetOptions) -> CoreConfig:
    """*config* with Bitget's ways."""
    return replace(
        config,
        reduce_only_conflict=False,
        reduce_only_displaces=True,
        refuse_unmatched=False,
        child_named_by_id=options.switches.child_named_by_plan,
    )


def hedge(account: SimAccount) -> bool:
    return account.position_mode is PositionMode.HEDGE


def held(account: SimAccount, symbol: Symbol, side: PositionSide) -> SimPosition | None:
    """The position, if there is one."""
    position = account.positions.get((symbol, side))
    return position if position is not None and position.quantity else None


@dataclass(slots=True)
class Call(venue.Call):
    """One request on its way through."""

    venue: Venue
    params: Params

    @property
    def switches(self) -> Switches:
        return self.venue.switches

    def now(self) -> SimAccount:
        """The account as it is, whatever reads show: what orders are judged by."""
        return self.core.view(self.account_id)

    def check_margin_coin(self, params: Params) -> None:
        """40812 for another coin than the product's."""
        if params.text("marginCoin", MARGIN_COIN).upper() != MARGIN_COIN:
            raise condition("marginCoin")
