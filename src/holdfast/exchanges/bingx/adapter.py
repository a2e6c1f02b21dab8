"""The `Exchange` port for one BingX USDT-M account."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
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
    Unknown,
)
from holdfast.domain.orders import ExchangeStatus, Fill, Order, PositionSide, Stop, StopStatus
from holdfast.domain.protocols import Clock
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bingx import decode, requests, wire
from holdfast.exchanges.bingx.account import AccountSettings
from holdfast.exchanges.bingx.answers import OfSymbol, among, no_lookup, same, standing, taken
from holdfast.exchanges.bingx.asking import Asking
from holdfast.exchanges.bingx.config import ConfigReader
from holdfast.exchanges.bingx.decode import Listed
from holdfast.exchanges.bingx.fills import FillReader
from holdfast.exchanges.bingx.listing import OpenOrders
from holdfast.exchanges.bingx.requests import Request
from holdfast.exchanges.bingx.stops import CLOCK_SLACK_MS, StopLedger
from holdfast.exchanges.bingx.streams import BingxStreams
from holdfast.exchanges.caller import Caller, Signed, if_listed
from holdfast.exchanges.decoding import BadAnswer
from holdfast.exchanges.hub import Hub
from holdfast.exchanges.names import Names
from holdfast.exchanges.port import Capabilities, Exchange, ExchangeError, Listener
from holdfast.exchanges.stats import AdapterStats
from holdfast.exchanges.transport import Answer

R = TypeVar("R")
S = TypeVar("S", bound=OfSymbol)

INSTRUMENTS_AGE_MAX_MS = 3600 * 1000
"""Rules change without notice (minimum notionals do); an account that opens takes none older."""
NO_PERMISSION = "100004"


class BingxExchange:
    """One account. Made by `exchanges.factory.make_exchange`; see the port for the contract."""

    def __init__(
        self,
        *,
        caller: Caller[Request],
        hub: Hub[Request],
        clock: Clock,
        capabilities: Capabilities,
        streams: BingxStreams,
        account: AccountSettings,
        stops: StopLedger,
        stats: AdapterStats,
        margin_currency: str,
        fills_pages_max: int,
    ) -> None:
        self._caller = caller
        self._hub = hub
        self._clock = clock
        self._capabilities = capabilities
        self._streams = streams
        self._account = account
        self._stops = stops
        self._margin_currency = margin_currency
        self._ask = Asking(caller, clock, stats)
        self._open = OpenOrders(self._ask)
        self._config = ConfigReader(self._ask, lambda: self._names, account)
        self._fills = FillReader(self._ask, lambda: self._names, account, pages_max=fills_pages_max)
        self.stats = stats

    # --- life ---

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def open(self) -> None:
        """Measure the clock, load the instruments, learn the position mode. Raises `ExchangeError`."""
        await self._caller.measure_clock(samples=2)  # the first round trip includes connecting
        await self.load_instruments(age_max_ms=INSTRUMENTS_AGE_MAX_MS)
        await self._config.read_mode(Priority.PROTECT)  # what protects waits for it

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
        """All contracts the exchange lists."""
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
        found = await self._ask.table(requests.POSITIONS, decode.POSITIONS, self._position, priority)
        if found.complete:
            self._account.hear_open((position.symbol for position in found.value), found.asked_ms)
        return found

    async def balance(self, *, priority: Priority) -> Fact[Balance]:
        """The margin currency's balance; raises `ExchangeError` when the account does not list it."""
        return await self._ask.fact(
            requests.BALANCE,
            lambda body: decode.balance(decode.BALANCES.of(body), self._margin_currency),
            priority,
        )

    async def open_orders(self, symbol: Symbol | None, *, priority: Priority) -> Fact[tuple[Order, ...]]:
        """What is no stop in the one list of open orders."""
        return await self._open.read(
            self._wire(symbol), lambda row: None if decode.is_stop(row) else self._order(row), priority
        )

    async def open_stops(self, symbol: Symbol | None, *, priority: Priority) -> Fact[tuple[Stop, ...]]:
        """Every conditional order: stops, profits and triggers stand in the list of open orders."""
        return await self._open.read(
            self._wire(symbol),
            lambda row: self._stops.named(self._stop(row)) if decode.is_stop(row) else None,
            priority,
        )

    async def account_config(self, *, priority: Priority) -> Fact[AccountConfig]:
        return await self._config.read(priority)

    async def transfers(self, since_ms: int, *, priority: Priority) -> Fact[tuple[Transfer, ...]]:
        """Deposits and withdrawals; incomplete when there are more than one answer holds."""
        fact = await self._ask.table(requests.transfers(since_ms), decode.INCOMES, decode.transfer, priority)
        return replace(fact, complete=fact.complete and len(fact.value) < requests.INCOME_LIMIT)

    async def fills(self, symbol: Symbol, since_ms: int, *, priority: Priority) -> Fact[tuple[Fill, ...]]:
        return await self._fills.since(symbol, since_ms, priority)

    async def find_order(
        self, symbol: Symbol, client_id: str, *, order_id: str = "", priority: Priority
    ) -> Lookup:
        request = requests.find_order(self._names.wire(symbol), client_id, order_id)

        def read(body: bytes) -> Accepted:
            order = self._order(decode.ORDER.of(body))
            same(order.symbol, symbol, order.client_id, "" if order_id else client_id)
            return Accepted(exchange_id=order.order_id, order=order)

        return await self._find(request, read, priority)

    async def find_stop(self, symbol: Symbol, client_id: str, *, priority: Priority) -> Lookup:
        """By the id or the shape that we know it by; else by a client id that the exchange may not keep.

        Then "not found" would prove nothing, so it is `Unknown`.
        """
        wire_id, stop_id = self._names.wire(symbol), self._stops.id_of(client_id)
        asked_ms = self._stops.asked_ms(client_id)
        if not stop_id and asked_ms is not None:
            return await self._find_asked(wire_id, client_id, asked_ms, priority)
        if not client_id:
            return Unknown(cause="a stop without a name of ours cannot be asked for")
        request = requests.find_order(wire_id, client_id, stop_id)

        def read(body: bytes) -> Accepted:
            stop = self._stops.named(self._stop(decode.ORDER.of(body)))
            same(stop.symbol, symbol, stop.client_id, client_id)
            return Accepted(exchange_id=stop.stop_id, stop=stop)

        found = await self._find(request, read, priority)
        if isinstance(found, NotFound) and not stop_id:
            return Unknown(cause="the exchange keeps no client ids of stops: not found proves nothing")
        return await self._ended(found, priority)

    async def _ended(self, found: Lookup, priority: Priority) -> Lookup:
        """A triggered stop's own row stays so for good: that it is over is told by its order."""
        stop = found.stop if isinstance(found, Accepted) else None
        if stop is None or stop.status is not StopStatus.TRIGGERED or not stop.order_id:
            return found
        child = await self.find_order(stop.symbol, "", order_id=stop.order_id, priority=priority)
        over = isinstance(child, Accepted) and child.order is not None and child.order.status.final
        if not over:
            return found
        return Accepted(exchange_id=stop.stop_id, stop=replace(stop, status=StopStatus.FINISHED))

    def remember_stops(self, asked: Iterable[Journaled]) -> None:
        """By the exchange's id, or where no answer had come by what was asked for."""
        for each in asked:
            if each.exchange_id:
                self._stops.placed(each.client_id, each.exchange_id)
            else:
                self._stops.asked(each, each.signed_ms + self._caller.clock_offset_ms)

    async def _find_asked(self, wire_id: str, client_id: str, asked_ms: int, priority: Priority) -> Lookup:
        """Among everything placed since it was asked for, open or over."""
        started_ms = self._clock.now_ms()
        request = requests.orders_since(wire_id, asked_ms - CLOCK_SLACK_MS)
        answer = await self._caller.send(request, priority)
        if not isinstance(answer, Answer):
            return no_lookup(answer, started_ms)
        try:
            rows = self._ask.rows(request, decode.OPEN_ORDERS, lambda row: row, answer.body)
        except ExchangeError as error:
            return Unknown(cause=str(error))
        stops = [self._stop(row) for row in rows.values if decode.is_stop(row)]
        found = self._stops.find(client_id, stops)
        if found is not None:
            return Accepted(exchange_id=found.stop_id, stop=found)
        return Unknown(cause="rows that cannot be read") if rows.bad else NotFound(asked_ms=started_ms)

    async def _find(self, request: Request, read: Callable[[bytes], Accepted], priority: Priority) -> Lookup:
        asked_ms = self._clock.now_ms()
        answer = await self._caller.send(request, priority)
        if isinstance(answer, Answer):
            return self._ask.outcome(request.endpoint, read, answer.body)
        return no_lookup(answer, asked_ms)

    async def candles(
        self, symbol: Symbol, timeframe: str, limit: int, *, priority: Priority
    ) -> tuple[Candle, ...]:
        """The last *limit* bars in as many questions as that takes; fewer when there are no more."""
        bars: tuple[Candle, ...] = ()
        while len(bars) < limit:
            ask = min(limit - len(bars), requests.KLINES_LIMIT)
            end_ms = bars[0].open_ms - 1 if bars else None
            request = requests.candles(self._names.wire(symbol), timeframe, ask, end_ms)
            fact = await self._ask.fact(
                request,
                lambda body: decode.candles(body, timeframe, self._caller.exchange_now_ms()),
                priority,
            )
            earlier = tuple(bar for bar in fact.value if end_ms is None or bar.open_ms <= end_ms)
            bars = earlier + bars
            if len(earlier) < ask:
                break
        return bars

    async def marks(self, symbols: Sequence[Symbol], *, priority: Priority) -> Mapping[Symbol, Mark]:
        """Mark prices by REST; a symbol the exchange does not answer for is left out."""
        heard = self._caller.exchange_now_ms

        def read(row: wire.PremiumRow, fact: Fact[bytes]) -> Mark:
            return replace(decode.mark(row, heard()), heard_ms=fact.answered_ms)

        return await self._of_each(symbols, requests.marks, decode.PREMIUMS, read, priority)

    async def quotes(self, symbols: Sequence[Symbol], *, priority: Priority) -> Mapping[Symbol, Quote]:
        """Best bid and ask by REST; see the port."""

        def read(row: wire.TickerRow, fact: Fact[bytes]) -> Quote:
            return decode.quote(row, fact.asked_ms)

        return await self._of_each(symbols, requests.quotes, decode.TICKERS, read, priority)

    async def _of_each(
        self,
        symbols: Sequence[Symbol],
        make: Callable[[tuple[str, ...]], tuple[Request, ...]],
        table: Listed[S],
        read: Callable[[S, Fact[bytes]], R],
        priority: Priority,
    ) -> dict[Symbol, R]:
        """What the exchange says of *symbols*; rows of others are left out before they are looked at."""
        wanted = {self._names.wire(symbol): symbol for symbol in symbols}
        found: dict[Symbol, R] = {}
        for request in make(tuple(sorted(wanted))):
            fact = await if_listed(self._ask.fact(request, lambda body: body, priority))
            if fact is None:
                continue
            rows = self._ask.rows(request, table, among(wanted, read, fact), fact.value)
            found.update(rows.values)
        return found

    # --- requests that change something ---

    async def submit(self, approved: Approved) -> Outcome:
        """Send once, signed with the journaled time; see the port."""
        journaled = self._aimed(approved.journaled)
        request = requests.submission(journaled, self._names)
        signed = Signed(journaled.signed_ms, journaled.window_ms)
        stop = journaled.intent.purpose is Purpose.PLACE_STOP
        if journaled.intent.purpose in (Purpose.ENTER, Purpose.CLOSE):
            self._account.sure(journaled.intent.symbol, self._clock.now_ms())
        if stop:
            self._stops.asked(journaled, journaled.signed_ms + self._caller.clock_offset_ms)
        answer = await self._caller.send(request, journaled.intent.priority, signed)
        if isinstance(answer, Answer):
            return self._ask.outcome(request.endpoint, lambda body: self._ack(journaled, body), answer.body)
        if stop and not isinstance(answer, Unknown):
            self._stops.refused(journaled.client_id)
        if isinstance(answer, Rejected) and answer.code == NO_PERMISSION:
            self._account.can_trade = False
        return answer

    def _aimed(self, journaled: Journaled) -> Journaled:
        """A cancel of one of our stops by its name, aimed at the id that the exchange knows it by."""
        intent = journaled.intent
        if intent.purpose is not Purpose.CANCEL_STOP or intent.target_id:
            return journaled
        stop_id = self._stops.id_of(intent.target_client_id)
        return replace(journaled, intent=replace(intent, target_id=stop_id)) if stop_id else journaled

    def _ack(self, journaled: Journaled, body: bytes) -> Accepted:
        match journaled.intent.purpose:
            case Purpose.ENTER | Purpose.CLOSE:
                row = self._acknowledged(journaled, body)
                return Accepted(exchange_id=str(row.orderId), order=taken(journaled, str(row.orderId)))
            case Purpose.PLACE_STOP:
                row = self._acknowledged(journaled, body)
                self._stops.placed(journaled.client_id, str(row.orderId))
                stop = self._stops.named(
                    standing(journaled, str(row.orderId), self._caller.exchange_now_ms())
                )
                return Accepted(exchange_id=str(row.orderId), stop=stop)
            case Purpose.CANCEL_ORDER | Purpose.CANCEL_STOP:
                return self._cancelled(journaled, body)

    def _acknowledged(self, journaled: Journaled, body: bytes) -> wire.AckRow:
        """What an order is taken by: its id. An answer about another order proves nothing about ours."""
        row, intent = decode.ACK.of(body), journaled.intent
        named = (row.clientOrderID or row.clientOrderId).lower()
        same(self._names.symbol(row.symbol), intent.symbol, named, journaled.client_id if named else "")
        if not row.orderId or decode.side(row.side) is not intent.side:
            raise BadAnswer(
                f"expected an id and a {intent.side} order, found {row.orderId} {row.side[:20]!r}"
            )
        self._account.can_trade = True
        return row

    def _cancelled(self, journaled: Journaled, body: bytes) -> Accepted:
        """Some answers still show the state before."""
        row, intent = decode.ORDER.of(body), journaled.intent
        order = self._order(row)
        same(
            order.symbol, intent.symbol, order.client_id, "" if intent.target_id else intent.target_client_id
        )
        if intent.target_id and intent.target_id != order.order_id:
            raise BadAnswer(f"expected an answer about order {intent.target_id}, found {order.order_id}")
        if intent.purpose is Purpose.CANCEL_STOP:
            return Accepted(exchange_id=order.order_id)
        ended = order if order.status.final else replace(order, status=ExchangeStatus.CANCELLED)
        return Accepted(exchange_id=order.order_id, order=ended)

    async def set_leverage(self, symbol: Symbol, leverage: int) -> Outcome:
        """Of both sides in hedge mode. The answer must name the leverage that was asked."""

        def read(body: bytes) -> Accepted:
            row = decode.LEVERAGE_SET.of(body)
            if row.leverage != leverage or self._names.symbol(row.symbol) != symbol:
                raise BadAnswer(f"expected leverage {leverage} of {symbol}, found {row.leverage}")
            return Accepted(exchange_id="")

        sides = (PositionSide.LONG, PositionSide.SHORT) if self._account.hedge else (PositionSide.BOTH,)
        for side in sides:
            outcome = await self._set(requests.set_leverage(self._names.wire(symbol), leverage, side), read)
            if not isinstance(outcome, Accepted):
                return outcome
        self._account.set_leverage(symbol, leverage)
        return Accepted(exchange_id="")

    async def set_margin_mode(self, symbol: Symbol, mode: MarginMode) -> Outcome:
        """To be in it already is no error here."""

        def read(body: bytes) -> Accepted:
            decode.DONE.read(body)
            self._account.set_margin_mode(symbol, mode)
            return Accepted(exchange_id="")

        return await self._set(requests.set_margin_mode(self._names.wire(symbol), mode), read)

    async def _set(self, request: Request, read: Callable[[bytes], Accepted]) -> Outcome:
        answer = await self._caller.send(request, Priority.TRADE)
        if isinstance(answer, Answer):
            return self._ask.outcome(request.endpoint, read, answer.body)
        return answer

    # --- streams ---

    async def start_streams(self, symbols: Sequence[Symbol], listener: Listener) -> None:
        self._account.watch(symbols)
        self._streams.start(symbols, listener, self._config.read_mode)

    async def watch_marks(self, symbols: Sequence[Symbol]) -> None:
        """Add symbols to the running market stream."""
        self._account.watch(symbols)
        await self._streams.watch_marks(symbols)

    # --- reading ---

    def _wire(self, symbol: Symbol | None) -> str | None:
        return None if symbol is None else self._names.wire(symbol)

    def _position(self, row: wire.PositionRow) -> Position | None:
        """Its rows tell the mode, seconds after a hand changed it."""
        found = decode.position(row, self._names, hedge=self._account.hedge)
        if found is not None and row.onlyOnePosition is not None:
            now_ms = self._caller.exchange_now_ms()
            self._account.hear_mode(hedge=not row.onlyOnePosition, exchange_ms=now_ms)
        return found

    def _order(self, row: wire.OrderRow) -> Order:
        return decode.order(row, self._names, hedge=self._account.hedge)

    def _stop(self, row: wire.OrderRow) -> Stop:
        return decode.stop(row, self._names, hedge=self._account.hedge)


if TYPE_CHECKING:

    def _conforms(exchange: BingxExchange) -> Exchange:
        """The type checker proves that the port is fulfilled."""
        return exchange
