"""Binance's two streams: what happens to the account, and mark prices (exchange sheet §7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence

import msgspec

from holdfast.domain.intents import Priority
from holdfast.domain.invariant import require
from holdfast.domain.protocols import Clock
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.binance import events, requests, wire
from holdfast.exchanges.binance.decode import LISTEN_KEY
from holdfast.exchanges.caller import Caller
from holdfast.exchanges.decoding import BadAnswer, Reader
from holdfast.exchanges.names import Names
from holdfast.exchanges.port import ExchangeError, Listener, News, StreamState
from holdfast.exchanges.stats import AdapterStats
from holdfast.exchanges.streaming import Source, StreamKeeper, StreamLost

USER = "user"
MARKET = "market"
SYMBOLS_PER_SUBSCRIBE = 200
GAP_EVERY_S = 5.0
"""Unreadable events ask for the truth to be read again, but not oftener than this."""

_CONTROL = Reader(wire.ControlReply)


class BinanceStreams:
    """The streams of one account. `start` once, `stop` once.

    The listen key is never deleted: that would end the stream of every process on the account.
    """

    def __init__(
        self,
        *,
        caller: Caller[requests.Request],
        clock: Clock,
        ws_url: str,
        names: Callable[[], Names],
        keeper: Callable[[Source, Callable[[bool, str], None]], StreamKeeper],
        keepalive_ms: int,
        stats: AdapterStats,
    ) -> None:
        self._caller = caller
        self._clock = clock
        self._ws_url = ws_url
        self._names = names
        self._make_keeper = keeper
        self._keepalive_ms = keepalive_ms
        self._stats = stats
        self._listener: Listener | None = None
        self._keepers: dict[str, StreamKeeper] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._symbols: list[Symbol] = []
        self._key_renewed_ms = 0
        self._gap_s = float("-inf")
        self._gap_cause = ""

    def start(self, symbols: Sequence[Symbol], listener: Listener) -> None:
        """Start both tasks and return; the market's only when there is something to watch."""
        require(self._listener is None, "streams are started once")
        self._listener = listener
        self._symbols = list(dict.fromkeys(symbols))
        self._run(USER, self._user_source())
        if self._symbols:
            self._run(MARKET, self._market_source())

    async def stop(self) -> None:
        """Cancel both and wait for them."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def watch_marks(self, symbols: Sequence[Symbol]) -> None:
        """Watch more symbols, on the running connection."""
        new = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self._symbols]
        self._symbols.extend(new)
        if MARKET in self._tasks:
            for text in self._subscriptions(new):
                await self._keepers[MARKET].send(text)
        elif self._symbols and self._listener is not None:
            self._run(MARKET, self._market_source())

    def _run(self, name: str, source: Source) -> None:
        keeper = self._make_keeper(source, lambda up, cause: self._report(name, up=up, cause=cause))
        self._keepers[name] = keeper
        self._tasks[name] = _named_task(keeper.run(), f"binance-{name}-stream")
        self._tasks[name].add_done_callback(lambda task: self._ended(name, task))

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        """Only a bug ends a stream's task; it must not look like a quiet market."""
        if task.cancelled():
            return
        error = task.exception()
        self._report(name, up=False, cause=f"stream task ended: {type(error).__name__}")
        task.get_loop().call_exception_handler(
            {"message": f"binance {name} stream ended", "exception": error, "task": task}
        )

    def _report(self, name: str, *, up: bool, cause: str) -> None:
        if self._listener is not None:
            self._listener(StreamState(stream=name, up=up, cause=cause))

    # --- the user's stream ---

    def _user_source(self) -> Source:
        return Source(
            name=USER,
            url=self._user_url,
            hello=tuple,
            hear=self._hear_user,
            tick=self._tick_user,
            up_on_data=False,
        )

    async def _user_url(self) -> str:
        """A listen key for each connection: the exchange gives the living one again, and extends it."""
        asked_ms = self._clock.monotonic_ms()
        try:
            body = await self._caller.read(requests.NEW_LISTEN_KEY, Priority.PROTECT)
            key = LISTEN_KEY.read(body).listenKey
        except (ExchangeError, BadAnswer) as error:
            raise StreamLost(f"no listen key: {error}") from error
        self._key_renewed_ms = asked_ms
        return f"{self._ws_url}/private/ws?listenKey={key}"

    async def _tick_user(self) -> None:
        self._ask_again_after_gap()
        asked_ms = self._clock.monotonic_ms()
        if asked_ms - self._key_renewed_ms < self._keepalive_ms:
            return
        try:
            await self._caller.read(requests.KEEP_LISTEN_KEY, Priority.PROTECT)
        except ExchangeError as error:
            raise StreamLost(f"listen key not extended: {error}") from error
        self._key_renewed_ms = asked_ms

    def _hear_user(self, body: str | bytes) -> bool:
        try:
            kind = events.HEAD.read(body).e
            if kind == events.LISTEN_KEY_EXPIRED:
                raise StreamLost("listen key expired")
            news = events.user_news(kind, body, self._names())
        except BadAnswer as error:
            self._gap(str(error))
            return True
        if news is None:
            self._stats.ignored_events[kind if kind in events.IGNORED else "unknown kind"] += 1
        for item in news or ():
            self._tell(item)
        return True

    def _gap(self, cause: str) -> None:
        """An event that we could not read may have been a fill: the truth must be read again."""
        self._stats.bad_events[USER] += 1
        self._gap_cause = cause
        if asyncio.get_running_loop().time() - self._gap_s >= GAP_EVERY_S:
            self._ask_again_after_gap()

    def _ask_again_after_gap(self) -> None:
        """An *up* is what makes everything be read again (port: `StreamState`)."""
        if self._gap_cause:
            cause, self._gap_cause = self._gap_cause, ""
            self._gap_s = asyncio.get_running_loop().time()
            self._report(USER, up=True, cause=f"an event could not be read: {cause}")

    # --- the market's stream ---

    def _market_source(self) -> Source:
        async def url() -> str:
            banned = self._caller.refusal(Priority.PROTECT)
            if banned is not None:
                raise StreamLost(banned.cause)
            return f"{self._ws_url}/market/ws"

        async def tick() -> None:
            return

        return Source(
            name=MARKET,
            url=url,
            hello=lambda: self._subscriptions(self._symbols),
            hear=self._hear_market,
            tick=tick,
            up_on_data=True,
        )

    def _subscriptions(self, symbols: Sequence[Symbol]) -> tuple[str, ...]:
        streams = [f"{self._names().wire(symbol).lower()}@markPrice@1s" for symbol in symbols]
        parts = (
            streams[at : at + SYMBOLS_PER_SUBSCRIBE] for at in range(0, len(streams), SYMBOLS_PER_SUBSCRIBE)
        )
        return tuple(
            msgspec.json.encode({"method": "SUBSCRIBE", "params": part, "id": number}).decode()
            for number, part in enumerate(parts, start=1)
        )

    def _hear_market(self, body: str | bytes) -> bool:
        try:
            news = events.mark_news(body, self._names(), self._clock.now_ms())
        except BadAnswer:
            return self._hear_control(body)
        if news is None:
            self._stats.ignored_events[MARKET] += 1
            return False
        self._tell(news)
        return True

    def _hear_control(self, body: str | bytes) -> bool:
        """No price: an answer to SUBSCRIBE, or what cannot be read. Silence is judged by prices."""
        try:
            reply = _CONTROL.read(body)
        except BadAnswer:
            reply = wire.ControlReply()
        if reply.code is not None:
            raise StreamLost(f"subscription refused: {reply.code} {reply.msg[:80]}")
        if reply.id is None:
            self._stats.bad_events[MARKET] += 1
        return False

    def _tell(self, item: News) -> None:
        if self._listener is not None:
            self._listener(item)


def _named_task(work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
    """Kept by the caller, cancelled by `stop`."""
    return asyncio.get_running_loop().create_task(work, name=name)
