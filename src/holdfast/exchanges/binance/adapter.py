"""The `Exchange` port for one Binance USDⓈ-M account."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

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
    Unknown,
)
from holdfast.domain.orders import Fill, Order, Stop
from holdfast.domain.protocols import Clock
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.binance import decode, requests
from holdfast.exchanges.binance.answers import same, stop_cancelled
from holdfast.exchanges.binance.requests import Request
from holdfast.exchanges.binance.streams import BinanceStreams
from holdfast.exchanges.caller import Caller, Signed, if_listed
from holdfast.exchanges.decoding import BadAnswer, NotJson, Rows, Table, each_once
from holdfast.exchanges.hub import Hub
from holdfast.exchanges.names import Names
from holdfast.exchanges.port import Capabilities, ConfigNews, Exchange, ExchangeError, Listener, News
from holdfast.exchanges.stats import AdapterStats
from holdfast.exchanges.transport import Answer


class OfSymbol(Protocol):
    """A row about one symbol."""

    symbol: str


T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S", bound=OfSymbol)

INSTRUMENTS_AGE_MAX_MS = 3600 * 1000
"""Rules change without notice (minimum notionals do); an account that opens takes none older."""


class BinanceExchange:
    """One account. Made by `exchanges.factory.make_exchange`; see the port for the contract."""

    def __init__(
        self,
        *,
        caller: Caller[Request],
        hub: Hub[Request],
        clock: Clock,
        capabilities: Capabilities,
        streams: BinanceStreams,
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
        self._fills_pages_max = fills_pages_max
        self._config: AccountConfig | None = None
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
        config = self._config
        return await self._table(
            requests.POSITIONS,
            decode.POSITIONS,
            lambda row: decode.position(row, self._names, config),
            priority,
        )

    async def balance(self, *, priority: Priority) -> Fact[Balance]:
        """The margin currency's balance; raises `ExchangeError` when the account does not list it."""
        return await self._fact(
            requests.ACCOUNT,
            lambda body: decode.balance(decode.ACCOUNT.read(body), self._margin_currency),
            priority,
        )

    async def open_orders(self, symbol: Symbol | None, *, priority: Priority) -> Fact[tuple[Order, ...]]:
        return await self._table(
            requests.open_orders(self._wire(symbol)),
            decode.ORDERS,
            lambda row: decode.order(row, self._names),
            priority,
        )

    async def open_stops(self, symbol: Symbol | None, *, priority: Priority) -> Fact[tuple[Stop, ...]]:
        """The algo book: since 2025-12-09 the only one on Binance that can hold a stop (-4120)."""
        return await self._table(
            requests.open_stops(self._wire(symbol)),
            decode.ALGOS,
            lambda row: decode.stop(row, self._names),
            priority,
        )

    async def account_config(self, *, priority: Priority) -> Fact[AccountConfig]:
        """Two questions; what they say of leverage and margin mode is joined to later positions."""
        account = await self._fact(requests.ACCOUNT_CONFIG, decode.ACCOUNT_CONFIG.read, priority)
        symbols = await self._table(
            requests.SYMBOL_CONFIG,
            decode.SYMBOL_CONFIGS,
            lambda row: decode.symbol_config(row, self._names),
            priority,
        )
        self._config = decode.account_config(account.value, symbols.value)
        return Fact(self._config, account.asked_ms, symbols.answered_ms, symbols.complete)

    async def fills(self, symbol: Symbol, since_ms: int, *, priority: Priority) -> Fact[tuple[Fill, ...]]:
        """Executions since *since_ms*; incomplete when they reach beyond the exchange's three months."""
        now = self._caller.exchange_now_ms()
        start = max(since_ms, now - requests.FILLS_HISTORY_MS)
        asked_ms = self._clock.now_ms()
        found, complete = await self._fills_from(symbol, start, now, priority)
        value = tuple(fill for fill in found if fill.at_ms >= since_ms)
        return Fact(value, asked_ms, self._clock.now_ms(), complete and start == since_ms)

    async def _fills_from(
        self, symbol: Symbol, start: int, now: int, priority: Priority
    ) -> tuple[tuple[Fill, ...], bool]:
        """Week by week, and on by trade id where a page was full."""
        wire_id, found, complete = self._names.wire(symbol), list[Fill](), True
        where: dict[str, int] = {"startTime": start}
        for _ in range(self._fills_pages_max):
            end = where.get("startTime", now) + requests.FILLS_WINDOW_MS - 1
            if "startTime" in where and end < now:
                where["endTime"] = end
            request = requests.fills(wire_id, **where)
            body = await self._caller.read(request, priority)
            page = self._rows(request, decode.TRADES, lambda row: decode.fill(row, self._names), body)
            complete = complete and not page.bad
            found.extend(page.values)
            if len(page.values) + page.bad >= requests.FILLS_LIMIT and page.values:
                where = {"fromId": int(page.values[-1].trade_id) + 1}
            elif "endTime" in where:
                where = {"startTime": where["endTime"] + 1}
            else:
                return each_once(found), complete
        return each_once(found), False

    async def transfers(self, since_ms: int, *, priority: Priority) -> Fact[tuple[Transfer, ...]]:
        """Deposits and withdrawals; incomplete when there are more than one answer holds."""
        fact = await self._table(requests.transfers(since_ms), decode.INCOMES, decode.transfer, priority)
        return replace(fact, complete=fact.complete and len(fact.value) < requests.INCOME_LIMIT)

    async def find_order(
        self, symbol: Symbol, client_id: str, *, order_id: str = "", priority: Priority
    ) -> Lookup:
        request, id_ = requests.find_order(self._names.wire(symbol), client_id, order_id), client_id or None
        return await self._find(request, lambda body: self._found_order(body, symbol, id_), priority)

    async def find_stop(self, symbol: Symbol, client_id: str, *, priority: Priority) -> Lookup:
        request = requests.find_stop(client_id)
        return await self._find(request, lambda body: self._found_stop(body, symbol, client_id), priority)

    def remember_stops(self, asked: Iterable[Journaled]) -> None:
        """The exchange keeps their names."""

    async def _find(self, request: Request, read: Callable[[bytes], Accepted], priority: Priority) -> Lookup:
        asked_ms = self._clock.now_ms()
        answer = await self._caller.send(request, priority)
        match answer:
            case Answer():
                return self._read(request.endpoint, read, answer.body)
            case Rejected(reason=RejectReason.NOT_FOUND):
                return NotFound(asked_ms=asked_ms)
            case Rejected():
                return Unknown(cause=f"{answer.code} {answer.message}")
            case _:
                return answer

    async def candles(
        self, symbol: Symbol, timeframe: str, limit: int, *, priority: Priority
    ) -> tuple[Candle, ...]:
        """The last *limit* bars in as many questions as that takes; fewer when there are no more."""
        bars: tuple[Candle, ...] = ()
        while len(bars) < limit:
            ask = min(limit - len(bars), requests.KLINES_LIMIT)
            end_ms = bars[0].open_ms - 1 if bars else None
            request = requests.candles(self._names.wire(symbol), timeframe, ask, end_ms)
            fact = await self._fact(
                request, lambda body: decode.candles(body, self._caller.exchange_now_ms()), priority
            )
            earlier = tuple(bar for bar in fact.value if end_ms is None or bar.open_ms <= end_ms)
            bars = earlier + bars
            if len(earlier) < ask:
                break
        return bars

    async def marks(self, symbols: Sequence[Symbol], *, priority: Priority) -> Mapping[Symbol, Mark]:
        """Mark prices by REST; a symbol the exchange does not answer for is left out."""
        return await self._of_each(
            symbols, requests.marks, decode.PREMIUMS, lambda row, _, heard: decode.mark(row, heard), priority
        )

    async def quotes(self, symbols: Sequence[Symbol], *, priority: Priority) -> Mapping[Symbol, Quote]:
        """Best bid and ask by REST; see the port."""
        return await self._of_each(
            symbols,
            requests.quotes,
            decode.BOOK_TICKERS,
            lambda row, asked, _: decode.quote(row, asked),
            priority,
        )

    async def _of_each(
        self,
        symbols: Sequence[Symbol],
        make: Callable[[tuple[str, ...]], tuple[Request, ...]],
        table: Table[S],
        read: Callable[[S, int, int], R],
        priority: Priority,
    ) -> dict[Symbol, R]:
        """What the exchange says of *symbols*; *read* takes a row, and when it was asked for and heard."""
        wanted = {self._names.wire(symbol): symbol for symbol in symbols}
        found: dict[Symbol, R] = {}
        for request in make(tuple(sorted(wanted))):
            fact = await if_listed(self._fact(request, lambda body: body, priority))
            if fact is None:
                continue
            listed = b"[" + fact.value + b"]" if fact.value[:1] == b"{" else fact.value
            convert = _among(wanted, read, fact)
            found.update(self._rows(request, table, convert, listed).values)
        return found

    # --- requests that change something ---

    async def submit(self, approved: Approved) -> Outcome:
        """Send once, signed with the journaled time; see the port."""
        journaled = approved.journaled
        request = requests.submission(journaled, self._names)
        signed = Signed(journaled.signed_ms, journaled.window_ms)
        answer = await self._caller.send(request, journaled.intent.priority, signed)
        if not isinstance(answer, Answer):
            return answer
        return self._read(request.endpoint, lambda body: self._ack(journaled, body), answer.body)

    def _ack(self, journaled: Journaled, body: bytes) -> Accepted:
        intent = journaled.intent
        match intent.purpose:
            case Purpose.ENTER | Purpose.CLOSE:
                return self._found_order(body, intent.symbol, journaled.client_id)
            case Purpose.PLACE_STOP:
                return self._found_stop(body, intent.symbol, journaled.client_id)
            case Purpose.CANCEL_ORDER:
                return self._found_order(body, intent.symbol, None)
            case Purpose.CANCEL_STOP:
                return stop_cancelled(body)

    async def set_leverage(self, symbol: Symbol, leverage: int) -> Outcome:
        """Applies to an open position too. The answer must name the leverage that was asked."""

        def read(body: bytes) -> Accepted:
            row = decode.LEVERAGE.read(body)
            if row.leverage != leverage or self._names.symbol(row.symbol) != symbol:
                raise BadAnswer(f"expected leverage {leverage} of {symbol}, found {row.leverage}")
            self._note_leverage(symbol, row.leverage)
            return Accepted(exchange_id="")

        return await self._setting(requests.set_leverage(self._names.wire(symbol), leverage), read)

    async def set_margin_mode(self, symbol: Symbol, mode: MarginMode) -> Outcome:
        """`Rejected(NO_CHANGE)` when it is so already."""

        def read(body: bytes) -> Accepted:
            code = decode.SUCCESS.read(body).code
            if code != 200:
                raise BadAnswer(f"expected code 200, found {code}")
            self._note_margin_mode(symbol, mode)
            return Accepted(exchange_id="")

        return await self._setting(requests.set_margin_mode(self._names.wire(symbol), mode), read)

    async def _setting(self, request: Request, read: Callable[[bytes], Accepted]) -> Outcome:
        answer = await self._caller.send(request, Priority.TRADE)
        return self._read(request.endpoint, read, answer.body) if isinstance(answer, Answer) else answer

    # --- streams ---

    async def start_streams(self, symbols: Sequence[Symbol], listener: Listener) -> None:
        def hear(news: News) -> None:
            self._note(news)
            listener(news)

        self._streams.start(symbols, hear)

    async def watch_marks(self, symbols: Sequence[Symbol]) -> None:
        """Add symbols to the running market stream."""
        await self._streams.watch_marks(symbols)

    def _note(self, news: News) -> None:
        """Leverage changed by hand shows in the next positions."""
        if isinstance(news, ConfigNews) and news.symbol is not None and news.leverage is not None:
            self._note_leverage(news.symbol, news.leverage)

    def _note_leverage(self, symbol: Symbol, leverage: int) -> None:
        if self._config is not None:
            self._config = replace(self._config, leverage={**self._config.leverage, symbol: leverage})

    def _note_margin_mode(self, symbol: Symbol, mode: MarginMode) -> None:
        if self._config is not None:
            self._config = replace(self._config, margin_mode={**self._config.margin_mode, symbol: mode})

    # --- reading ---

    def _wire(self, symbol: Symbol | None) -> str | None:
        return None if symbol is None else self._names.wire(symbol)

    def _found_order(self, body: bytes, symbol: Symbol, client_id: str | None) -> Accepted:
        order = decode.order(decode.ORDER.read(body), self._names)
        same(order.symbol, symbol, order.client_id, client_id)
        return Accepted(exchange_id=order.order_id, order=order)

    def _found_stop(self, body: bytes, symbol: Symbol, client_id: str) -> Accepted:
        stop = decode.stop(decode.ALGO.read(body), self._names)
        same(stop.symbol, symbol, stop.client_id, client_id)
        return Accepted(exchange_id=stop.stop_id, stop=stop)

    def _read(self, what: str, read: Callable[[bytes], Accepted], body: bytes) -> Accepted | Unknown:
        """A good answer's body; what cannot be read may still have had its effect."""
        try:
            return read(body)
        except NotJson as error:
            return Unknown(cause=f"{what}: {error}")
        except BadAnswer as error:
            return self._caller.bad_answer(what, error)

    async def _fact(self, request: Request, read: Callable[[bytes], T], priority: Priority) -> Fact[T]:
        asked_ms = self._clock.now_ms()
        body = await self._caller.read(request, priority)
        answered_ms = self._clock.now_ms()
        try:
            return Fact(read(body), asked_ms, answered_ms)
        except BadAnswer as error:
            raise ExchangeError(self._caller.bad_answer(request.endpoint, error)) from error

    async def _table(
        self, request: Request, table: Table[T], convert: Callable[[T], R | None], priority: Priority
    ) -> Fact[tuple[R, ...]]:
        asked_ms = self._clock.now_ms()
        body = await self._caller.read(request, priority)
        answered_ms = self._clock.now_ms()
        rows = self._rows(request, table, convert, body)
        return Fact(rows.values, asked_ms, answered_ms, not rows.bad)

    def _rows(
        self, request: Request, table: Table[T], convert: Callable[[T], R | None], body: bytes
    ) -> Rows[R]:
        try:
            rows = table.read(body, convert)
        except BadAnswer as error:
            raise ExchangeError(self._caller.bad_answer(request.endpoint, error)) from error
        if rows.bad:
            self.stats.bad_rows[request.endpoint] += rows.bad
        return rows


def _among(
    wanted: Mapping[str, Symbol], read: Callable[[S, int, int], R], fact: Fact[bytes]
) -> Callable[[S], tuple[Symbol, R] | None]:
    """Rows of other symbols are left out before anything else of them is looked at."""

    def convert(row: S) -> tuple[Symbol, R] | None:
        symbol = wanted.get(row.symbol)
        return None if symbol is None else (symbol, read(row, fact.asked_ms, fact.answered_ms))

    return convert


if TYPE_CHECKING:

    def _conforms(exchange: BinanceExchange) -> Exchange:
        """The type checker proves that the port is fulfilled."""
        return exchange
