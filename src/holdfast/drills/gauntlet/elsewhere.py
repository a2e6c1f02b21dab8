"""The gauntlet at BingX and Bitget: its rows are told in Binance's words, and this table has the others'.

A fault is put into the exchange's words as it is added; a request is put into Binance's as it arrives, for
`Watch` to look at. What cannot be said elsewhere is a row in `ABSENT`, with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.drills.wires import BINANCE, BINGX, BITGET, CLOSING, WIRES, Wire
from holdfast.simulator.faults import REWRITING, Fault
from holdfast.simulator.requests import Arrival

Words = tuple[int | None, int, str]
"""HTTP status (None = the kind's usual), code and message."""

SIGNED = r"/(order|algoOrder|positionRisk|account|openOrders|openAlgoOrders|userTrades|leverage|listenKey)$"
"""Everything that needs a key."""
NAMES: Mapping[tuple[str, str], str] = {
    ("POST", "/order$"): "order",
    ("POST", "/algoOrder$"): "stop",
    ("", r"/(order|algoOrder)$"): "send",
    ("DELETE", "/order$"): "cancel",
    ("DELETE", "/algoOrder$"): "cancel",
    ("GET", "/order$"): "find",
    ("GET", "/fapi/v1/order$"): "find",
    ("GET", "/algoOrder$"): "find",
    ("GET", "/positionRisk$"): "positions",
    ("GET", "/openOrders$"): "orders",
    ("GET", "/openAlgoOrders$"): "stops",
    ("GET", "penAlgoOrders$"): "stops",
    ("", "/klines$"): "candles",
    ("", "^/fapi/"): "all",
    ("GET", "^/fapi/"): "reads",
}
"""How rows name requests (method, path) → the name that `wires` has for them."""
SPOKEN: Mapping[str, tuple[str, ...]] = {
    "order": ("/fapi/v1/order",),
    "stop": ("/fapi/v1/algoOrder",),
    "find": ("/fapi/v1/order", "/fapi/v1/algoOrder"),
    "positions": ("/fapi/v3/positionRisk",),
    "balance": ("/fapi/v3/account",),
    "orders": ("/fapi/v1/openOrders",),
    "stops": ("/fapi/v1/openAlgoOrders",),
    "trades": ("/fapi/v1/userTrades",),
    "prices": ("/fapi/v1/premiumIndex",),
    "rules": ("/fapi/v1/exchangeInfo",),
    "candles": ("/fapi/v1/klines",),
}
"""What a request is called at Binance; where one stands for two there, it has both names."""
DOWN = {BINANCE: "Service Unavailable", BINGX: "Service Unavailable", BITGET: "Server upgrade"}
"""What an endpoint that is down says."""
METHODS = {"cancel": "DELETE"}
SENDING: Mapping[str, Mapping[str, str]] = {
    BINANCE: {"order": "POST /fapi/v1/order", "stop": "POST /fapi/v1/algoOrder"},
    BINGX: dict.fromkeys(("order", "stop"), "POST /openApi/swap/v2/trade/order"),
    BITGET: {
        "order": "POST /api/v2/mix/order/place-order",
        "stop": "POST /api/v2/mix/order/place-tpsl-order",
    },
}
"""How the bytes of an order or a stop begin, as `Point.what` has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """One exchange's words for what rows say of Binance."""

    paths: Mapping[str, str]
    """Patterns that stand for several kinds of requests at once, or for streams."""
    codes: Mapping[int, Words]
    """A refusal or a doubt by its code at Binance."""
    params: Mapping[str, str]
    """Parameters that have another name, as Binance calls them."""
    values: Mapping[str, str] = field(default_factory=dict)


SPEECH: Mapping[str, Speech] = {
    BINGX: Speech(
        paths={
            SIGNED: ("^/openApi/(swap/v[123]/(trade|user|positionSide)|user)/"),
            "^/fapi/v[13]/(order|positionRisk)$": "/(trade/order|user/positions)$",
            "premiumIndex|positionRisk|markPrice": "premiumIndex|user/positions|markPrice",
            "^ethusdt@": "^ETH-USDT@",
        },
        codes={
            -1006: (None, 100500, "system busy"),
            -1007: (None, 101500, "rpc timeout"),
            -2014: (None, 100412, "signature is missing"),
            -2015: (None, 100413, "Incorrect apiKey"),
            -2019: (None, 101204, "Insufficient margin"),
            -2021: (None, 110411, "Stop Loss price should be less than the current price."),
            -2022: (None, 101290, "Reduce Only order can only decrease position"),
            -4023: (None, 110422, "The minimum order amount is reached."),
            -4120: (None, 109414, "parameter error"),
            -4130: (None, 110406, "The position already has a stop loss order."),
            -4136: (None, 109400, "closePosition: not supported."),
            -4137: (None, 109400, "closePosition: not supported."),
        },
        params={"clientOrderId": "newClientOrderId", "stopPrice": "triggerPrice"},
    ),
    BITGET: Speech(
        paths={
            SIGNED: ("^/api/v2/mix/(order|position|account)/"),
            "^/fapi/v[13]/(order|positionRisk)$": "/(place-order|detail|(all|single)-position)$",
            "premiumIndex|positionRisk|markPrice": "ticker|position",
            "^ethusdt@": "/ETHUSDT$",
        },
        codes={
            -1006: (400, 45001, "Unknown error"),
            -1007: (400, 40010, "Request timed out"),
            -2014: (400, 40009, "sign signature error"),
            -2015: (400, 40037, "Apikey does not exist"),
            -2019: (400, 40762, "The order amount exceeds the balance"),
            -2021: (400, 40917, "Stop loss price must be less than the current price"),
            -2022: (400, 22002, "No position to close"),
            -4023: (400, 40808, "size should be a multiple of the step"),
            -4120: (400, 400172, "planType Illegal type"),
            -4130: (400, 43031, "Stop loss already existed"),
            -4136: (400, 40017, "Parameter verification failed"),
            -4137: (400, 40017, "Parameter verification failed"),
        },
        params={
            "clientOid": "newClientOrderId",
            "size": "quantity",
            "orderType": "type",
            "force": "timeInForce",
        },
        values={"market": "MARKET", "limit": "LIMIT", "ioc": "IOC", "gtc": "GTC", "YES": "true"},
    ),
}

_ONE_ENDPOINT = "one endpoint takes orders and stops of every kind"
_NO_NAMES = "stops have no client id there: nobody can ask for one by it"
_STRANGERS = "stops that another run left have no name there: they are a stranger's and stay"
_NO_KEYS = "there are no listen keys: who logs in on a socket hears of the account"
_UNCOUNTED = "no answer tells what an address has used: what others use of it cannot be seen"
_NO_LENGTH = "a refusal for its rate names no time there, and is told to an account by the second"
_GATEWAY = "a 503 there is the gateway's and proves nothing: every close that meets it is in doubt"
_DISPLACED = "a resting reduce-only order blocks no close there: the exchange cancels it"
ABSENT: Mapping[str, Mapping[str, str]] = {
    "G05-4120": {BINGX: _ONE_ENDPOINT},
    "G06-deaf": {BINGX: _NO_NAMES},
    "G14-orphan": {BINGX: _STRANGERS},
    "G16": {BITGET: _DISPLACED},
    "G16-exit": {BITGET: _DISPLACED},
    "G21-dead-key": {BITGET: _NO_KEYS},
    "G21-expired": {BITGET: _NO_KEYS},
    "G17": {BINGX: _GATEWAY},
    "G22": {BINGX: _NO_LENGTH},
    "G22-ban": {BINGX: _NO_LENGTH},
    "G22-flood": {BINGX: _UNCOUNTED, BITGET: _UNCOUNTED},
    "G22-shared": {BINGX: _UNCOUNTED, BITGET: _UNCOUNTED},
}
"""Drill → exchange → why it is about another exchange's wire only."""
_UNTOLD = "settings looked at before each entry, as no stream tells of a change at once"
_BESIDE = "sized stops replaced where two together may not exceed the position"
_BY_HAND = "plan orders by hand in the simulator's books"
_CAUSE = "the cause of an exit read out of its executions"
_CHILD = "the order of a triggered stop known as the stop's"
_PAIRED = "answers that are told from another request's on a connection used again at once"
_SHARE = "a closing minimum in the simulator that leaves dust"
NEEDS: Mapping[str, Mapping[str, str]] = {
    "G10-adl": {BINGX: _CAUSE},
    "G10-liquidation": {BINGX: _CAUSE},
    "G11-twice": {BINGX: _PAIRED, BITGET: _PAIRED},
    "G12-later": {BINGX: "a look into why it is protected 39 ms later than promised"},
    "G14": {BITGET: _BY_HAND},
    "G14-flip": {BINGX: _BESIDE},
    "G14-restart": {BITGET: _BY_HAND},
    "G14-size": {BINGX: _BESIDE},
    "G18": {BINGX: _SHARE, BITGET: _SHARE},
    "G20": {BITGET: "a look into why prices by REST come 11 s apart"},
    "G21-disorder": {BITGET: "a look into why the fill is known after 4.1 s instead of 3.4"},
    "G22-lane": {BINGX: "a look into why an emergency leaves 74 ms late, 50 promised"},
    "G24-close-race": {BINGX: _CHILD},
    "G24-grown": {BINGX: _BESIDE},
    "G25-leverage": {BINGX: _UNTOLD, BITGET: _UNTOLD},
    "G25-leverage-held": {BITGET: _UNTOLD},
    "G25-margin": {BINGX: _UNTOLD, BITGET: _UNTOLD},
    "G28": {BINGX: _CHILD},
    "G28-zero": {BITGET: "the first frame of each subscription struck too: now it brings a true price"},
    "G31-delisted": {BINGX: _CAUSE},
    "G32": {BINGX: "a look into why a stop that hangs is not closed behind"},
    "G32-back": {BINGX: "a look into why a stop that hangs is not closed behind"},
}
"""Drill → exchange → what is not built there yet: strict expected failures, as `Row.needs`."""


# --- faults ------------------------------------------------------------------------------------------


def fault_at(exchange: str, fault: Fault) -> Fault:
    """A fault that names Binance's requests, codes and members, in the words of *exchange*."""
    if exchange == BINANCE:
        return fault
    speech, wire = SPEECH[exchange], WIRES[exchange]
    changes: dict[str, Any] = _refusal(speech, fault)
    name = NAMES.get((fault.method, fault.path))
    if name is not None:
        method, path, params = wire.endpoints[name]
        changes |= {"method": method, "path": path, "params": {**params, **_wanted(wire, fault)}}
    elif fault.path in speech.paths:
        changes["path"] = speech.paths[fault.path]
    if fault.kind in REWRITING and fault.method:
        changes.setdefault("method", fault.method)
    return replace(fault, **changes)


def code_at(exchange: str, code: int) -> str:
    """How an exchange's own code for what Binance calls *code* is written."""
    return str(code if exchange == BINANCE else SPEECH[exchange].codes[code][1])


def _refusal(speech: Speech, fault: Fault) -> dict[str, Any]:
    if fault.code is None or fault.code not in speech.codes:
        return {}
    status, code, msg = speech.codes[fault.code]
    return {"status": status, "code": code, "msg": msg}


def _wanted(wire: Wire, fault: Fault) -> dict[str, str]:
    """Parameters by which a row tells closes, symbols and whole-position stops from others."""
    said: dict[str, str] = {}
    theirs = {ours: name for name, ours in SPEECH[wire.exchange].params.items()}
    for name, value in fault.params.items():
        if name == "reduceOnly":
            said[wire.client_ids[0]] = CLOSING
        elif name == "symbol":
            said["symbol"] = _symbol(wire, value)
        elif name == "closePosition" and wire.exchange == BITGET:
            said["planType"] = "pos_loss"
        elif name == "type" and wire.exchange == BITGET:
            said["orderType"] = value.lower()
        else:
            said[theirs.get(name, name)] = value
    return said


def _symbol(wire: Wire, compact: str) -> str:
    return compact if wire.exchange == BITGET else compact.replace("USDT", "-USDT")


# --- requests ----------------------------------------------------------------------------------------


def spoken(wire: Wire, arrival: Arrival) -> Iterator[Arrival]:
    """A request as Binance would have been asked; under two names where one asks for both."""
    if wire.exchange == BINANCE:
        yield arrival
        return
    if re.search(wire.sockets, arrival.path):
        user = "private" in arrival.path or "listenKey" in arrival.params
        yield replace(arrival, path="/private/ws" if user else "/market/ws")
        return
    for name in sorted(wire.asks(arrival)):
        for path in _cancelled(arrival) if name == "cancel" else SPOKEN.get(name, ()):
            params = _spoken_params(wire, arrival.params, name, path)
            yield replace(arrival, method=METHODS.get(name, arrival.method), path=path, params=params)


def _cancelled(arrival: Arrival) -> tuple[str, ...]:
    """Whether an order or a stop: by the path at Bitget, by the id at BingX."""
    stop = "plan-order" in arrival.path or arrival.params.get("orderId", "").startswith("17")
    return ("/fapi/v1/algoOrder",) if stop else ("/fapi/v1/order",)


def _spoken_params(wire: Wire, params: Mapping[str, str], name: str, path: str) -> dict[str, str]:
    speech = SPEECH[wire.exchange]
    said = {speech.params.get(each, each): speech.values.get(value, value) for each, value in params.items()}
    if "symbol" in said:
        said["symbol"] = said["symbol"].replace("-", "")
    own = said.pop("newClientOrderId", "")
    if own:
        said[_id_name(name, path)] = own
    if said.get("planType") == "pos_loss":
        said["closePosition"] = "true"
    return said


def _id_name(name: str, path: str) -> str:
    if path.endswith("/algoOrder"):
        return "clientAlgoId"
    return "newClientOrderId" if name == "order" else "origClientOrderId"
