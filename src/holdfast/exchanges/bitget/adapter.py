"""The `Exchange` port for one classic Bitget account, USDT-FUTURES."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from holdfast.decisions.gate import Approved
from holdfast.domain.account import (
    AccountConfig,
    Balance,
    Candle,
    Fact,
    MarginMode,
    Mark,
    Position,
    Quote,
    Transfer,
)
from holdfast.domain.instrument import Instrument
from holdfast.domain.intents import (
    Accepted,
    Journaled,
    Lookup,
    NotFound,
    Outcome,
    Priority,
    Purpose,
    Rejected,
    RejectReason,
    Unavailable,
    Unknown,
)
from holdfast.domain.orders import Fill, Order, Stop
from holdfast.domain.protocols import Clock
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bitget import decode, errors, requests, wire
from holdfast.exchanges.bitget.asking import Asker
from holdfast.exchanges.bitget.census import Census
from holdfast.exchanges.bitget.history import History
from holdfast.exchanges.bitget.requests import Request
from holdfast.exchanges.bitget.settings import Settings
from holdfast.exchanges.bitget.streams import BitgetStreams
from holdfast.exchanges.caller import Caller, Signed, Word
from holdfast.exchanges.decoding import BadAnswer, NotJson
from holdfast.exchanges.hub import Hub
from holdfast.exchanges.names import Names
from holdfast.exchanges.port import Capabilities, Exchange, ExchangeError, Listener
from holdfast.exchanges.stats import AdapterStats
from holdfast.exchanges.transport import Answer

T = TypeVar("T")
R = TypeVar("R")

INSTRUMENTS_AGE_MAX_MS = 3600 * 1000
"""Rules change without notice (minimum notionals do); an account that opens takes none older."""


class BitgetExchange:
    """One account. Made by `exchanges.factory.make_exchange`; see the port for the contract."""

    def __init__(
        self,
        *,
        caller: Caller[Request],
        hub: Hub[Request],
        clock: Clock,
        capabilities: Capabilities,
        streams: BitgetStreams,
        stats: AdapterStats,
        margin_currency: str,
        fills_pages_max: int,
    ) -> None:
        self._caller = caller
        self._hub = hub
        self._clock = clock
        self._capabilities = capabilities
        self._streams = streams
        self._margin_currency = margin_currency
        self._asker = Asker(caller, clock, stats)
        self._census = Census(self._asker, clock)
        self._settings = Settings(self._asker, clock)
        self._history = History(self._asker, caller, clock, pages_max=fills_pages_max)
        self.stats = stats

    # --- life ---

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def open(self) -> None:
        """Measure the clock, then load the instruments (once per address). Raises `ExchangeError`."""
        await self._caller.measure_clock(samples=2)  # the first round trip includes connecting
        await self.load_instruments(age_max_ms=INSTRUMENTS_AGE_MAX_MS)

    async def load_instruments(self, *, age_max_ms: int) -> None:
        """Read the trading rules again unless they are younger; raises `ExchangeError`."""

        async def read(request: Request) -> bytes:
            return await self._caller.read(request, Priority.OBSERVE)

        try:
            await self._hub.load(read, age_max_ms=age_max_ms)
        except BadAnswer as error:
            raise ExchangeError(self._caller.bad_answer("instruments", error)) from error

    async def close(self) -> None:
        """Stop the streams. The shared session stays."""
        await self._streams.stop()

    def instrument(self, symbol: Symbol) -> Instrument | None:
        return self._hub.markets.instruments.get(symbol)

    def instruments(self) -> Mapping[Symbol, Instrument]:
        """All perpetual contracts the exchange lists."""
        return self._hub.markets.instruments

    def clock_offset_ms(self) -> int:
        return self._caller.clock_offset_ms

    def clock_uncertainty_ms(self) -> int:
        """How wrong the measured offset may be: half the round trip."""
        return self._caller.clock_uncertainty_ms

    async def measure_clock(self) -> int:
        return await self._caller.measure_clock()

    def budget(self) -> Mapping[str, float]:
        return self._caller.budget.report()

    @property
    def _names(self) -> Names:
        return self._hub.markets.names

    # --- facts ---

    async def positions(self, *, priority: Priority) -> Fact[tuple[Position, ...]]:
        """Open positions; incomplete when a row could not be read: what we cannot read may be open."""
        found = await self._asker.rows(
            requests.POSITIONS, decode.POSITIONS, lambda row: decode.position(row, self._names), priority
        )
        self._settings.hear(found.value)
        return found

    async def balance(self, *, priority: Priority) -> Fact[Balance]:
        """The margin currency's balance; raises `ExchangeError` when the account does not list it."""

        def read(body: bytes) -> Balance:
            return decode.balance(decode.rows(decode.BALANCES, body, lambda row: row), self._margin_currency)

        return await self._asker.fact(requests.BALANCES, read, priority)

    async def open_orders(self, symbol: Symbol | None, *, priority: Priority) -> Fact[tuple[Order, ...]]:
        """Regular orders: this list shows no plan order."""
        wire_id = None if symbol is None else self._wire(symbol)
        return await self._asker.pages(
            lambda before: requests.open_orders(wire_id, before),
            lambda body: decode.orders_page(decode.ORDERS, body, lambda row: decode.order(row, self._names)),
            priority,
            requests.PAGE,
        )

    async def open_stops(self, symbol: Symbol | None, *, priority: Priority) -> Fact[tuple[Stop, ...]]:
        """All books of plan orders, and the stops that positions name; see `census`."""
        return await self._census.stops(symbol, self._names, priority)

    async def account_config(self, *, priority: Priority) -> Fact[AccountConfig]:
        """Position mode, and the settings of the symbols in use; see `Settings.config`."""
        return await self._settings.config(self._hub.markets.instruments, self._names, priority)

    async def fills(self, symbol: Symbol, since_ms: int, *, priority: Priority) -> Fact[tuple[Fill, ...]]:
        """Executions since *since_ms*; incomplete when they reach beyond the exchange's three months."""
        return await self._history.fills(self._wire(symbol), since_ms, self._names, priority)

    async def transfers(self, since_ms: int, *, priority: Priority) -> Fact[tuple[Transfer, ...]]:
        return await self._history.transfers(since_ms, priority)

    async def find_order(
        self, symbol: Symbol, client_id: str, *, order_id: str = "", priority: Priority
    ) -> Lookup:
        request = requests.find_order(self._wire(symbol), client_id, order_id)
        asked_ms = self._clock.now_ms()
        answer = await self._caller.send(request, priority)
        match answer:
            case Answer():
                return self._read(
                    request, lambda body: self._found_order(body, symbol, client_id), answer.body
                )
            case Rejected(reason=RejectReason.NOT_FOUND):
                return NotFound(asked_ms=asked_ms)
            case Rejected():
                return Unknown(cause=f"{answer.code} {answer.message}")
            case _:
                return answer

    async def find_stop(self, symbol: Symbol, client_id: str, *, priority: Priority) -> Lookup:
        try:
            return await self._census.find(symbol, client_id, self._names, priority)
        except ExchangeError as error:
            match error.outcome:
                case Rejected() as refused:
                    return Unknown(cause=f"{refused.code} {refused.message}")
                case word:
                    return word

    def remember_stops(self, asked: Iterable[Journaled]) -> None:
        """Lists tell their names; positions, which name a stop by its id, do not."""
        for each in asked:
            if each.exchange_id:
                self._census.placed(each.exchange_id, each.client_id, each.intent.trigger_source)

    async def candles(
        self, symbol: Symbol, timeframe: str, limit: int, *, priority: Priority
    ) -> tuple[Candle, ...]:
        """The last *limit* bars, older ones from the history; fewer when there are no more."""
        bars: tuple[Candle, ...] = ()
        length_ms = requests.LENGTHS_MS.get(timeframe, 0)
        while len(bars) < limit:
            end_ms = bars[0].open_ms - 1 if bars else None
            most = requests.BARS_LIMIT if end_ms is None else requests.OLD_BARS_LIMIT
            ask = min(limit - len(bars), most)
            request = requests.candles(self._wire(symbol), timeframe, ask, end_ms)
            fact = await self._asker.fact(
                request,
                lambda body: decode.candles(body, length_ms, self._caller.exchange_now_ms()),
                priority,
            )
            earlier = tuple(bar for bar in fact.value if end_ms is None or bar.open_ms <= end_ms)
            bars = earlier[-(limit - len(bars)) :] + bars
            if len(earlier) < ask:
                break
        return bars

    async def marks(self, symbols: Sequence[Symbol], *, priority: Priority) -> Mapping[Symbol, Mark]:
        """Mark prices by REST; a symbol the exchange does not answer for is left out."""
        return await self._tickers(symbols, lambda row, _, heard: decode.mark(row, heard), priority)

    async def quotes(self, symbols: Sequence[Symbol], *, priority: Priority) -> Mapping[Symbol, Quote]:
        """Best bid and ask by REST; see the port."""
        return await self._tickers(symbols, lambda row, asked, _: decode.quote(row, asked), priority)

    async def _tickers(
        self, symbols: Sequence[Symbol], read: Callable[[wire.TickerRow, int, int], R], priority: Priority
    ) -> dict[Symbol, R]:
        """What *read* makes of each symbol's row, and of when it was asked for and heard."""
        wanted = {self._wire(symbol): symbol for symbol in symbols}
        if not wanted:
            return {}
        request = requests.tickers(tuple(wanted))
        fact = await self._asker.fact(request, lambda body: body, priority)

        def convert(row: wire.TickerRow) -> tuple[Symbol, R] | None:
            symbol = wanted.get(row.symbol.upper())
            return None if symbol is None else (symbol, read(row, fact.asked_ms, fact.answered_ms))

        rows = self._asker.sane(request.endpoint, lambda: decode.rows(decode.TICKERS, fact.value, convert))
        return dict(rows.values)

    # --- requests that change something ---

    async def submit(self, approved: Approved) -> Outcome:
        """Send once, signed with the journaled time; see the port.

        Around it may be questions: for the symbol's margin mode or a stop's family before, for what
        became of it after. When one before it fails, nothing was sent.
        """
        journaled = approved.journaled
        self._wire(journaled.intent.symbol)
        try:
            match journaled.intent.purpose:
                case Purpose.ENTER | Purpose.CLOSE:
                    return await self._place_order(journaled)
                case Purpose.PLACE_STOP:
                    return await self._place_stop(journaled)
                case Purpose.CANCEL_ORDER:
                    return await self._cancel_order(journaled)
                case Purpose.CANCEL_STOP:
                    return await self._cancel_stop(journaled)
        except ExchangeError as error:
            return _not_sent(error)

    async def _send(self, request: Request, journaled: Journaled) -> Answer | Word:
        signed = Signed(journaled.signed_ms, journaled.window_ms)
        answer = await self._caller.send(request, journaled.intent.priority, signed)
        self._settings.answered(answer)
        return answer

    async def _place_order(self, journaled: Journaled) -> Outcome:
        """The answer only says that it was taken; order/detail says what became of it."""
        intent = journaled.intent
        mode = await self._settings.margin_mode(intent.symbol, self._names, intent.priority)
        request = requests.order(journaled, self._names, mode)
        outcome = await self._taken(request, journaled)
        if isinstance(outcome, Rejected) and outcome.code == errors.CONDITION:
            self._settings.forget(intent.symbol)
        if not isinstance(outcome, Accepted):
            return outcome
        found = await self.find_order(intent.symbol, journaled.client_id, priority=intent.priority)
        if isinstance(found, Accepted):
            return found
        # Displacing older orders the exchange may leave the id out; without it nothing can be followed.
        return outcome if outcome.exchange_id else Unknown(cause="the exchange took it without naming it")

    async def _place_stop(self, journaled: Journaled) -> Outcome:
        """Placed, then looked for in its book: what is found there is the proof."""
        intent = journaled.intent
        outcome = await self._taken(requests.stop(journaled, self._names), journaled)
        if not isinstance(outcome, Accepted):
            return outcome
        if not outcome.exchange_id:
            return Unknown(cause="the exchange took it without naming it")
        self._census.placed(outcome.exchange_id, journaled.client_id, intent.trigger_source)
        try:
            stop = await self._census.standing(
                intent.symbol, outcome.exchange_id, self._names, intent.priority
            )
        except ExchangeError:
            return outcome  # it was taken; the next census will show it
        return Accepted(exchange_id=outcome.exchange_id, stop=stop)

    async def _taken(self, request: Request, journaled: Journaled) -> Outcome:
        answer = await self._send(request, journaled)
        if not isinstance(answer, Answer):
            return answer
        return self._read(request, lambda body: _acknowledged(body, journaled.client_id), answer.body)

    async def _cancel_order(self, journaled: Journaled) -> Outcome:
        request = requests.cancel_order(journaled, self._names)
        answer = await self._send(request, journaled)
        if not isinstance(answer, Answer):
            return answer
        return self._read(request, lambda body: _acknowledged(body, None), answer.body)

    async def _cancel_stop(self, journaled: Journaled) -> Outcome:
        """A cancel has to say the family, so the plan is looked for first, and its id in the answer."""
        intent = journaled.intent
        plan = await self._census.plan(intent, self._names, intent.priority)
        if plan is None:
            return _gone("no book of plan orders shows it")
        stop_id = plan.stop.stop_id
        request = requests.cancel_plan(self._names.wire(intent.symbol), plan.type, stop_id)
        answer = await self._send(request, journaled)
        if not isinstance(answer, Answer):
            return answer
        return self._read(request, lambda body: _cancelled(body, stop_id), answer.body)

    async def set_leverage(self, symbol: Symbol, leverage: int) -> Outcome:
        """Applies to an open position too. The answer must name the leverage that was asked."""

        def read(body: bytes) -> Outcome:
            row = decode.LEVERAGE.read(decode.data(body))
            cross = decode.margin_mode(row.marginMode) is MarginMode.CROSS
            told = {row.crossMarginLeverage} if cross else {row.longLeverage, row.shortLeverage}
            if told != {leverage} or decode.symbol(row.symbol, self._names) != symbol:
                raise BadAnswer(f"expected leverage {leverage} of {symbol}, found {told}")
            return Accepted(exchange_id="")

        return await self._setting(requests.set_leverage(self._wire(symbol), leverage), symbol, read)

    async def set_margin_mode(self, symbol: Symbol, mode: MarginMode) -> Outcome:
        """The answer must name the mode that was asked; `Rejected(NO_CHANGE)` where it says so."""

        def read(body: bytes) -> Outcome:
            row = decode.MARGIN_MODE.read(decode.data(body))
            if decode.margin_mode(row.marginMode) is not mode:
                raise BadAnswer(f"expected margin mode {mode} of {symbol}, found {row.marginMode}")
            return Accepted(exchange_id="")

        return await self._setting(requests.set_margin_mode(self._wire(symbol), mode), symbol, read)

    async def _setting(self, request: Request, symbol: Symbol, read: Callable[[bytes], Outcome]) -> Outcome:
        """Whatever may have come of it, what was known of the symbol is asked for again."""
        answer = await self._caller.send(request, Priority.TRADE)
        if not isinstance(answer, Unavailable):
            self._settings.forget(symbol)
        return self._read(request, read, answer.body) if isinstance(answer, Answer) else answer

    # --- streams ---

    async def start_streams(self, symbols: Sequence[Symbol], listener: Listener) -> None:
        for symbol in symbols:
            self._wire(symbol)
        self._streams.start(symbols, listener)

    async def watch_marks(self, symbols: Sequence[Symbol]) -> None:
        """Add symbols to the running market stream."""
        await self._streams.watch_marks(symbols)

    # --- reading ---

    def _wire(self, symbol: Symbol) -> str:
        """The symbol's name there; from now on the account has to do with it."""
        if symbol in self._hub.markets.instruments:
            self._settings.uses(symbol)
        return self._names.wire(symbol)

    def _found_order(self, body: bytes, symbol: Symbol, client_id: str) -> Accepted:
        order = decode.order(decode.ORDER.read(decode.data(body)), self._names)
        if order.symbol != symbol or (client_id and order.client_id != client_id):
            raise BadAnswer(f"expected an answer about {symbol} {client_id}, found {order.client_id}")
        return Accepted(exchange_id=order.order_id, order=order)

    def _read(self, request: Request, read: Callable[[bytes], T], body: bytes) -> T | Unknown:
        """A good answer's body; what cannot be read may still have had its effect."""
        try:
            return read(body)
        except NotJson as error:
            return Unknown(cause=f"{request.endpoint}: {error}")
        except BadAnswer as error:
            return self._caller.bad_answer(request.endpoint, error)


def _acknowledged(body: bytes, client_id: str | None) -> Accepted:
    """An answer about another order proves nothing about ours."""
    row = decode.ACK.read(decode.data(body))
    if not (row.orderId or row.clientOid):
        raise BadAnswer("expected the order's id, found none")
    if client_id is not None and row.clientOid not in (None, "", client_id):
        raise BadAnswer(f"expected an answer about {client_id}, found {row.clientOid}")
    return Accepted(exchange_id=row.orderId or "")


def _cancelled(body: bytes, stop_id: str) -> Accepted | Rejected:
    """Only the list of successes says that it is cancelled; empty lists do not (sheet §9)."""
    row = decode.CANCELLED.read(decode.data(body))
    if any(done.orderId == stop_id for done in row.successList or []):
        return Accepted(exchange_id=stop_id)
    failed = next((item for item in row.failureList or [] if item.orderId in (None, "", stop_id)), None)
    if failed is None:
        return _gone("neither cancelled nor refused: it is in no book of that name")
    return _gone(failed.errorMsg, failed.errorCode)


def _gone(message: str, code: str = "") -> Rejected:
    return Rejected(reason=RejectReason.NOT_FOUND, code=code, message=message)


def _not_sent(error: ExchangeError) -> Rejected | Unavailable:
    """A question before the request failed: the request itself was never sent, so it had no effect."""
    match error.outcome:
        case Unavailable() as later:
            return later
        case Rejected(reason=reason) as refused if reason is not RejectReason.NOT_FOUND:
            return refused  # the request would be, too: of the key, the clock, the symbol
        case _:
            return Unavailable(cause=f"not sent, as a question before it failed: {error}")


if TYPE_CHECKING:

    def _conforms(exchange: BitgetExchange) -> Exchange:
        """The type checker proves that the port is fulfilled."""
        return exchange
