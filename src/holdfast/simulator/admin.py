"""The admin API: the truth about accounts, the hand that meddles, and the faults.

It is served on a port of its own and never on the exchange's, so that nothing a bot can reach by
mistake changes the world. Answers are JSON; bad requests get 400 and one clear sentence, what the
core refuses 409. Only this machine is served: a `Host` or `Origin` of another name is refused, so
that no web page can reach it through a browser. A bearer token may be required on top.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from holdfast.domain.numbers import ONE, BadNumber, number, plain
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import BadSymbol, Symbol
from holdfast.simulator.core.engine import Core
from holdfast.simulator.core.model import CoreRefusal, SimAccount
from holdfast.simulator.core.truth import PositionTruth, Truth
from holdfast.simulator.events import EventLog, Row, algo_json, order_json
from holdfast.simulator.faults import BadFault, FaultPlan, read_faults
from holdfast.simulator.requests import RequestLog

NAMED = ("key", "secret", "wallet", "passphrase")
LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
STATUSES = ("TRADING", "PENDING_TRADING", "PRE_SETTLE", "SETTLING", "CLOSE", "TRADING_HALT")


class Dialect(Protocol):
    """What the admin API needs of a simulated exchange, whichever it is."""

    log: RequestLog

    @property
    def core(self) -> Core: ...

    @property
    def faults(self) -> FaultPlan: ...

    def step(self) -> None:
        """Catch up with the clock and tell listeners."""

    def name_account(self, key: str, secret: str, wallet: Decimal | None, phrase: str, /) -> SimAccount: ...

    def reset_limits(self) -> None: ...

    def expire_stream(self, account_id: str) -> None: ...


class Bad(Exception):
    """A request to the admin API that makes no sense."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


# --- reading ---------------------------------------------------------------------------------------


class Fields:
    """The fields of a request, from its JSON body or its query. Unknown ones are refused."""

    def __init__(self, values: Mapping[str, object], known: tuple[str, ...]) -> None:
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise Bad(f"unknown field {unknown[0]!r}; known are {', '.join(known) or 'none'}")
        self._values = values

    def text(self, name: str, default: str | None = None) -> str:
        value = self._values.get(name, default)
        if not isinstance(value, str) or (default is None and not value):
            raise Bad(f"{name}: expected text, found {value!r}")
        return value

    def decimal(self, name: str, default: Decimal | None = None) -> Decimal:
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            raise Bad(f"{name}: expected a number, found {value!r}")
        try:
            return number(str(value))
        except BadNumber as error:
            raise Bad(f"{name}: {error}") from error

    def decimal_or_none(self, name: str) -> Decimal | None:
        return self.decimal(name) if self._values.get(name) is not None else None

    def integer(self, name: str, default: int | None = None) -> int:
        value = self.decimal(name, None if default is None else Decimal(default))
        if value != int(value):
            raise Bad(f"{name}: expected a whole number, found {plain(value)}")
        return int(value)

    def symbol(self) -> Symbol:
        try:
            return Symbol.parse(self.text("symbol"))
        except BadSymbol as error:
            raise Bad(f"symbol: {error}") from error

    def word(self, name: str, words: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(name, default)
        if value not in words:
            raise Bad(f"{name}: expected one of {', '.join(words)}, found {value!r}")
        return value

    def side(self) -> Side:
        return Side(self.word("side", tuple(Side)))

    def position_side(self) -> PositionSide:
        return PositionSide(self.word("position_side", tuple(PositionSide), PositionSide.BOTH))


# --- the truth as JSON -----------------------------------------------------------------------------


def _position(core: Core, account: SimAccount, truth: PositionTruth) -> Row:
    """A position with its prices and the stops that stand on its closing side."""
    held = account.positions.get((truth.symbol, truth.side))
    closing = Side.SELL if truth.quantity > 0 else Side.BUY
    stops = [
        algo
        for algo in account.algos.values()
        if not algo.status.final
        and (algo.symbol, algo.position_side, algo.side) == (truth.symbol, truth.side, closing)
    ]
    return {
        "symbol": str(truth.symbol),
        "side": truth.side.value,
        "quantity": plain(truth.quantity),
        "entry_price": plain(held.entry_price) if held else "0",
        "mark_price": plain(core.prices(truth.symbol).mark),
        "stop_prices": [plain(algo.trigger_price) for algo in stops],
        "opened_ms": truth.opened_ms,
        "closed_ms": truth.closed_ms,
        "covered": truth.covered,
        "naked_ms_total": truth.naked_ms_total,
        "naked_ms_max": truth.naked_ms_max,
        "naked_spans": [{"since_ms": span.since_ms, "until_ms": span.until_ms} for span in truth.naked_spans],
        "stops_live": truth.stops_live,
    }


def truth_json(core: Core, account: SimAccount) -> Row:
    """Everything that is so, whatever a bot believes. Seconds are market seconds."""
    truth: Truth = core.truth(account.account_id)
    live_orders = [order for order in account.orders.values() if not order.status.final]
    live_algos = [algo for algo in account.algos.values() if not algo.status.final]
    return {
        "at_ms": truth.at_ms,
        "account": account.account_id,
        "equity": plain(truth.equity),
        "wallet": plain(truth.wallet),
        "flat": not truth.positions,
        "positions": [_position(core, account, item) for item in truth.positions],
        "past_positions": [_position(core, account, item) for item in truth.past_positions],
        "orders": [order_json(order) for order in live_orders],
        "algos": [algo_json(algo) for algo in live_algos],
        "naked_seconds_max": float(truth.naked_seconds_max),
        "naked_seconds_total": float(truth.naked_seconds_total),
        "unprotected_now": [f"{symbol} {side.value}" for symbol, side in truth.unprotected_now],
        "entries": truth.entries,
        "exits": truth.exits,
        "fills": truth.fills,
        "liquidations": truth.liquidations,
        "refused": dict(truth.refused),
        "duplicate_orders": truth.duplicate_orders,
        "duplicate_client_ids": list(truth.duplicate_client_ids),
        "orphan_stops": list(truth.orphan_stops),
    }


# --- the application -------------------------------------------------------------------------------

Action = Callable[["AdminApp", Fields], object]


@dataclass(frozen=True, slots=True)
class Door:
    """One endpoint: its fields, what it does, and what the help says."""

    fields: tuple[str, ...]
    action: Action
    help: str


class AdminApp:
    """The admin API over one simulated exchange."""

    def __init__(self, dialect: Dialect, events: EventLog, host: str = "127.0.0.1", token: str = "") -> None:
        self.dialect = dialect
        self.events = events
        self._names = LOCAL_NAMES | {host}
        self._token = token
        self.application = web.Application(client_max_size=1024 * 1024)
        self.application.router.add_route("*", "/{tail:.*}", self.handle)

    @property
    def core(self) -> Core:
        return self.dialect.core

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            self._admit(request)
            payload = await self._act(request)
        except (Bad, BadFault) as error:
            return _json({"error": str(error)}, error.status if isinstance(error, Bad) else 400)
        except CoreRefusal as refusal:
            detail = {name: str(value) for name, value in refusal.detail.items()}
            return _json({"error": f"refused: {refusal.why.value}", "detail": detail}, 409)
        return _json(payload, 200)

    def _admit(self, request: web.Request) -> None:
        """Only from this machine, by its own names, and with the token where one is set."""
        origin = request.headers.get("Origin")
        for said in (f"//{request.host}", *([origin] if origin is not None else [])):
            name = urlsplit(said).hostname
            if name not in self._names:
                raise Bad(f"refused: served to this machine only, not to {name or 'an unnamed origin'}", 403)
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._token and not hmac.compare_digest(given.encode(), self._token.encode()):
            raise Bad("refused: expected the bearer token this simulator was started with", 401)

    async def _act(self, request: web.Request) -> object:
        door = DOORS.get((request.method, request.path))
        if door is None:
            raise Bad(f"no such endpoint: {request.method} {request.path}; GET / lists them", 404)
        body = await request.read()
        self.dialect.step()
        if request.path == "/faults" and request.method == "POST":
            return _add_faults(self, _decoded(body))
        values = _object(body) if request.method == "POST" else dict(request.query)
        result = door.action(self, Fields(values, door.fields))
        self.dialect.step()
        return result

    def account(self, fields: Fields) -> SimAccount:
        """The account named by its API key, or the only one there is."""
        keys = self.core.accounts()
        key = fields.text("account", keys[0] if len(keys) == 1 else None)
        account = self.core.account_by_key(key)
        if account is None:
            raise Bad(
                f"account: expected one of {', '.join(keys) or '(none opened yet)'}, found {key!r}", 404
            )
        return account


def _decoded(body: bytes) -> object:
    try:
        return orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise Bad(f"body: expected JSON, found something else ({error})") from error


def _object(body: bytes) -> Mapping[str, object]:
    value = _decoded(body)
    if not isinstance(value, dict):
        raise Bad(f"body: expected a JSON object, found {type(value).__name__}")
    return value


def _json(payload: object, status: int) -> web.Response:
    body = orjson.dumps(payload, option=orjson.OPT_APPEND_NEWLINE)
    return web.Response(status=status, body=body, content_type="application/json")


# --- actions ---------------------------------------------------------------------------------------


def _help(_app: AdminApp, _fields: Fields) -> object:
    return {
        f"{method} {path}": {"fields": list(door.fields), "does": door.help}
        for (method, path), door in DOORS.items()
    }


def _health(app: AdminApp, _fields: Fields) -> object:
    return {"ok": True, "now_ms": app.core.now_ms, "symbols": [str(symbol) for symbol in app.core.symbols()]}


def _accounts(app: AdminApp, _fields: Fields) -> object:
    found = [app.core.account_by_key(key) for key in app.core.accounts()]
    return [
        {"account": account.account_id, "wallet": plain(account.wallet), "named": bool(account.secret)}
        for account in found
        if account is not None
    ]


def _name_account(app: AdminApp, fields: Fields) -> object:
    key, secret, phrase = fields.text("key"), fields.text("secret"), fields.text("passphrase", "")
    try:
        account = app.dialect.name_account(key, secret, fields.decimal_or_none("wallet"), phrase)
    except ValueError as error:
        raise Bad(f"key: expected a key that is not in use, found {key!r} ({error})") from error
    return {"account": account.account_id, "wallet": plain(account.wallet)}


def _truth(app: AdminApp, fields: Fields) -> object:
    return truth_json(app.core, app.account(fields))


def _events(app: AdminApp, fields: Fields) -> object:
    return app.events.since(fields.integer("since", 0), fields.text("account", ""))


def _requests(app: AdminApp, fields: Fields) -> object:
    return [seen.to_json() for seen in app.dialect.log.listing(fields.text("account", ""))]


def _close(app: AdminApp, fields: Fields) -> object:
    account = app.account(fields)
    share = fields.decimal("share", ONE)
    if not 0 < share <= 1:
        raise Bad(f"share: expected more than 0 and at most 1, found {plain(share)}")
    order = app.core.close_by_hand(account.account_id, fields.symbol(), fields.position_side(), share)
    return {"order": order_json(order) if order else None}


def _open(app: AdminApp, fields: Fields) -> object:
    account = app.account(fields)
    order = app.core.open_by_hand(
        account.account_id, fields.symbol(), fields.side(), fields.decimal("quantity")
    )
    return {"order": order_json(order)}


def _cancel(app: AdminApp, fields: Fields) -> object:
    """By hand in the app: the owner sees no difference between a bot's orders and their own."""
    account, symbol = app.account(fields), fields.symbol()
    what = fields.word("what", ("stops", "orders"), "stops")
    cancel = app.core.cancel_stops_by_hand if what == "stops" else app.core.cancel_all_orders
    return {"cancelled": cancel(account.account_id, symbol)}


def _price(app: AdminApp, fields: Fields) -> object:
    ratio = fields.decimal("ratio")
    if ratio <= 0:
        raise Bad(f"ratio: expected more than 0, found {plain(ratio)}")
    app.core.move_price(fields.symbol(), ratio, fields.integer("seconds", 0))
    return {"ok": True}


def _liquidity(app: AdminApp, fields: Fields) -> object:
    app.core.set_liquidity(fields.symbol(), fields.decimal("ratio"), fields.decimal_or_none("spread_ratio"))
    return {"ok": True}


def _status(app: AdminApp, fields: Fields) -> object:
    app.core.set_status(fields.symbol(), fields.word("status", STATUSES))
    return {"ok": True}


def _filters(app: AdminApp, fields: Fields) -> object:
    app.core.set_filters(
        fields.symbol(),
        price_step=fields.decimal_or_none("price_step"),
        quantity_step=fields.decimal_or_none("quantity_step"),
        quantity_min=fields.decimal_or_none("quantity_min"),
        notional_min=fields.decimal_or_none("notional_min"),
    )
    return {"ok": True}


def _leverage(app: AdminApp, fields: Fields) -> object:
    account = app.account(fields)
    most = app.core.set_leverage(account.account_id, fields.symbol(), fields.integer("leverage"))
    return {"notional_max": plain(most)}


def _transfer(app: AdminApp, fields: Fields) -> object:
    account_id = app.account(fields).account_id
    app.core.transfer(account_id, fields.decimal("amount"))
    return {"wallet": plain(app.core.view(account_id).wallet)}


def _adl(app: AdminApp, fields: Fields) -> object:
    app.core.adl(app.account(fields).account_id, fields.symbol(), fields.position_side())
    return {"ok": True}


def _stick(app: AdminApp, fields: Fields) -> object:
    app.core.stick_triggering(fields.symbol())
    return {"ok": True}


def _expire_stream(app: AdminApp, fields: Fields) -> object:
    app.dialect.expire_stream(app.account(fields).account_id)
    return {"ok": True}


def _faults(app: AdminApp, _fields: Fields) -> object:
    return [active.to_json() for active in app.dialect.faults.listing()]


def _add_faults(app: AdminApp, data: object) -> object:
    return {"ids": [app.dialect.faults.add(fault) for fault in read_faults(data)]}


def _remove_faults(app: AdminApp, fields: Fields) -> object:
    """One by its id, or all."""
    number_ = fields.integer("id", 0)
    if not number_:
        app.dialect.faults.clear()
    elif not app.dialect.faults.remove(number_):
        raise Bad(f"id: expected the id of an active fault, found {number_}", 404)
    return {"ok": True, "fired": app.dialect.faults.fired(number_)}


def _reset_limits(app: AdminApp, _fields: Fields) -> object:
    app.dialect.reset_limits()
    return {"ok": True}


DOORS: Mapping[tuple[str, str], Door] = {
    ("GET", "/"): Door((), _help, "this list"),
    ("GET", "/health"): Door((), _health, "alive, exchange time, symbols"),
    ("GET", "/accounts"): Door((), _accounts, "accounts; `named` ones have their signatures verified"),
    ("POST", "/accounts"): Door(NAMED, _name_account, "open a named account"),
    ("GET", "/truth"): Door(("account",), _truth, "the true state of an account"),
    ("GET", "/events"): Door(("account", "since"), _events, "account events after number `since`"),
    ("GET", "/requests"): Door(("account",), _requests, "the last requests the exchange has seen"),
    ("POST", "/close"): Door(
        ("account", "symbol", "position_side", "share"),
        _close,
        "market-close (a share of) a position by hand",
    ),
    ("POST", "/open"): Door(("account", "symbol", "side", "quantity"), _open, "market order by hand"),
    ("POST", "/cancel"): Door(
        ("account", "symbol", "what"), _cancel, "cancel stops (default) or orders of a symbol by hand"
    ),
    ("POST", "/price"): Door(
        ("symbol", "ratio", "seconds"), _price, "multiply the price by `ratio`, at once or over `seconds`"
    ),
    ("POST", "/liquidity"): Door(
        ("symbol", "ratio", "spread_ratio"),
        _liquidity,
        "scale what the book holds; 0 = nothing to trade with",
    ),
    ("POST", "/status"): Door(("symbol", "status"), _status, "change a symbol's status (TRADING, CLOSE …)"),
    ("POST", "/filters"): Door(
        ("symbol", "price_step", "quantity_step", "quantity_min", "notional_min"),
        _filters,
        "change a symbol's filters in flight",
    ),
    ("POST", "/leverage"): Door(("account", "symbol", "leverage"), _leverage, "set leverage by hand"),
    ("POST", "/transfer"): Door(("account", "amount"), _transfer, "deposit, or withdraw when negative"),
    ("POST", "/adl"): Door(("account", "symbol", "position_side"), _adl, "auto-deleverage a position"),
    ("POST", "/stick"): Door(("symbol",), _stick, "let the symbol's next triggered stop hang"),
    ("POST", "/expire-stream"): Door(("account",), _expire_stream, "let the account's listen key run out"),
    ("GET", "/faults"): Door((), _faults, "active faults and how often each was met and fired"),
    ("POST", "/faults"): Door((), _faults, "add one fault or a list; see the fields of a fault in the docs"),
    ("DELETE", "/faults"): Door(("id",), _remove_faults, "remove one fault by id, or all"),
    ("POST", "/reset-limits"): Door((), _reset_limits, "forget rate-limit counts and bans"),
}
