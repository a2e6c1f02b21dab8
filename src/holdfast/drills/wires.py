"""What each exchange calls what drills speak of: which request is an order, a stop, a read.

Troubles name whom they strike (`order`, `positions`), checkers ask what has arrived; only this table
knows the paths and parameters behind those names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

from holdfast.domain.numbers import ONE, ZERO
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bingx import ids
from holdfast.simulator.core.model import SimAlgo, SimOrder
from holdfast.simulator.faults import carries
from holdfast.simulator.requests import Arrival

Endpoint = tuple[str, str, Mapping[str, str]]
"""Method, path (a regular expression) and parameters, as a fault names requests; "" = any method."""

ExchangeName = Literal["binance", "bingx", "bitget"]
BINANCE: Final = "binance"
BINGX: Final = "bingx"
BITGET: Final = "bitget"
CLOSING = ".*-out-.*"
"""Client ids of closing orders: in hedge mode no flag says that an order closes."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Wire:
    """One exchange's dialect, as far as drills have to know it."""

    exchange: ExchangeName
    endpoints: Mapping[str, Endpoint]
    """Target of troubles → which requests are meant. A target that is missing does not exist there."""
    sockets: str
    """Paths of its WebSockets, as a regular expression."""
    client_ids: tuple[str, ...]
    """Parameters that carry an order's own name."""
    cancel_ids: tuple[str, ...]
    """Parameters by which a cancel names what it cancels; texts that contain the ids will do."""
    wire_id: Callable[[SimOrder | SimAlgo], str]
    """The id by which clients know an order or a stop."""
    stream_name: Callable[[Symbol], str]
    """A symbol as the names of market streams spell it."""
    weight_per_minute: int
    """What the exchange lets an address ask for."""
    orders_per_10s: int
    orders_per_minute: int
    wallet_step: Decimal = ZERO
    """To which the wallet is rounded where it is told; 0 = it is not."""
    tick_max: Decimal = Decimal("Infinity")
    """The coarsest tick that it can tell of: BingX tells of decimals only."""
    _known: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def asks(self, arrival: Arrival) -> frozenset[str]:
        """The targets whose troubles would strike this request."""
        return self.meant(arrival.method, arrival.path, arrival.params)

    def meant(self, method: str, path: str, params: Mapping[str, str]) -> frozenset[str]:
        """The same of a request's parts."""
        names = self._known.get((method, path))
        if names is None:
            names = self._known[method, path] = self._named(method, path)
        return frozenset(name for name in names if carries(params, self.endpoints[name][2]))

    def _named(self, method: str, path: str) -> tuple[str, ...]:
        return tuple(
            name
            for name, (wanted, pattern, _) in self.endpoints.items()
            if wanted in ("", method) and re.search(pattern, path)
        )

    def client_id(self, params: Mapping[str, str]) -> str:
        """The client's own name for the order that a request is about, "" when it gives none."""
        return next((params[name] for name in self.client_ids if params.get(name)), "")

    def cancelled(self, params: Mapping[str, str]) -> set[str]:
        """Every id that a cancel may mean."""
        texts = (params[name] for name in self.cancel_ids if name in params)
        return {found for text in texts for found in re.findall(r"[\w-]+", text)}


def _own_id(order: SimOrder | SimAlgo) -> str:
    return str(order.algo_id if isinstance(order, SimAlgo) else order.order_id)


def _bingx_id(order: SimOrder | SimAlgo) -> str:
    made = ids.of_stop(order.algo_id) if isinstance(order, SimAlgo) else ids.of_order(order.order_id)
    return str(made)


_BINANCE = Wire(
    exchange=BINANCE,
    endpoints={
        "all": ("", "^/fapi/", {}),
        "send": ("POST", "/(order|algoOrder)$", {}),
        "order": ("POST", "/order$", {}),
        "close": ("POST", "/order$", {"newClientOrderId": CLOSING}),
        "stop": ("POST", "/algoOrder$", {}),
        "cancel": ("DELETE", "/(order|algoOrder)$", {}),
        "reads": ("GET", "^/fapi/", {}),
        "find": ("GET", "/(order|algoOrder)$", {}),
        "positions": ("GET", "/positionRisk$", {}),
        "balance": ("GET", "/account$", {}),
        "orders": ("GET", "/openOrders$", {}),
        "stops": ("GET", "/openAlgoOrders$", {}),
        "trades": ("GET", "/userTrades$", {}),
        "config": ("GET", "/(accountConfig|symbolConfig)$", {}),
        "prices": ("GET", "/premiumIndex$", {}),
        "rules": ("GET", "/exchangeInfo$", {}),
        "time": ("GET", "/time$", {}),
        "candles": ("GET", "/klines$", {}),
        "key": ("", "/listenKey$", {}),
    },
    sockets="^/(private|market|public)/",
    client_ids=("newClientOrderId", "clientAlgoId", "origClientOrderId"),
    cancel_ids=("algoId", "clientAlgoId"),
    wire_id=_own_id,
    stream_name=lambda symbol: symbol.compact.lower(),
    weight_per_minute=2_400,
    orders_per_10s=300,
    orders_per_minute=1_200,
)

# One endpoint takes orders and stops, and one list shows both.
_BINGX = Wire(
    exchange=BINGX,
    endpoints={
        "all": ("", "^/openApi/", {}),
        "send": ("POST", "/trade/order$", {}),
        "order": ("POST", "/trade/order$", {"type": "MARKET|LIMIT"}),
        "close": ("POST", "/trade/order$", {"type": "MARKET|LIMIT", "clientOrderId": CLOSING}),
        "stop": ("POST", "/trade/order$", {"type": "STOP_MARKET"}),
        "cancel": ("DELETE", "/trade/order$", {}),
        "reads": ("GET", "^/openApi/", {}),
        "find": ("GET", "/trade/(order|fullOrder)$", {}),
        "positions": ("GET", "/user/positions$", {}),
        "balance": ("GET", "/user/balance$", {}),
        "orders": ("GET", "/openOrders$", {}),
        "stops": ("GET", "/openOrders$", {}),
        "trades": ("GET", "/fillHistory$", {}),
        "config": ("GET", "/(dual|assetMode|leverage|marginType)$", {}),
        "prices": ("GET", "/quote/(premiumIndex|ticker)$", {}),
        "rules": ("GET", "/quote/contracts$", {}),
        "time": ("GET", "/server/time$", {}),
        "candles": ("GET", "/klines$", {}),
        "key": ("", "/userDataStream$", {}),
    },
    sockets="^/swap-market",
    client_ids=("clientOrderId",),
    cancel_ids=("orderId", "clientOrderId"),
    wire_id=_bingx_id,
    stream_name=lambda symbol: symbol.dashed,
    weight_per_minute=6_000,
    orders_per_10s=100,
    orders_per_minute=600,
    wallet_step=Decimal("0.0001"),
    tick_max=ONE,
)

# No listen key: who logs in on a socket hears of the account.
_BITGET = Wire(
    exchange=BITGET,
    endpoints={
        "all": ("", "^/api/", {}),
        "send": ("POST", "/order/place-(order|tpsl-order)$", {}),
        "order": ("POST", "/order/place-order$", {}),
        "close": ("POST", "/order/place-order$", {"clientOid": CLOSING}),
        "stop": ("POST", "/order/place-tpsl-order$", {}),
        "cancel": ("POST", "/order/cancel-(order|plan-order)$", {}),
        "reads": ("GET", "^/api/", {}),
        "find": ("GET", "/order/(detail|orders-plan-history)$", {}),
        "positions": ("GET", "/position/(all|single)-position$", {}),
        "balance": ("GET", "/account/accounts$", {}),
        "orders": ("GET", "/orders-pending$", {}),
        "stops": ("GET", "/orders-plan-pending$", {}),
        "trades": ("GET", "/order/fills$", {}),
        "config": ("GET", "/account/account$", {}),
        "prices": ("GET", "/market/tickers?$", {}),
        "rules": ("GET", "/market/contracts$", {}),
        "time": ("GET", "/public/time$", {}),
        "candles": ("GET", "/(history-)?candles$", {}),
    },
    sockets="^/v2/ws/",
    client_ids=("clientOid",),
    cancel_ids=("orderId", "clientOid", "orderIdList"),
    wire_id=_own_id,
    stream_name=lambda symbol: symbol.compact,
    weight_per_minute=6_000,
    orders_per_10s=200,
    orders_per_minute=1_200,
)

WIRES: Mapping[str, Wire] = {wire.exchange: wire for wire in (_BINANCE, _BINGX, _BITGET)}
