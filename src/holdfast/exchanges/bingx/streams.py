"""BingX's two streams: what happens to the account, and mark prices (exchange sheet §7).

Every frame is packed with gzip, and the exchange's own `Ping` wants `Pong` as text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence

import msgspec

from holdfast.domain.intents import Priority
from holdfast.domain.invariant import require
from holdfast.domain.protocols import Clock
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bingx import events, requests, wire
from holdfast.exchanges.bingx.account import AccountSettings
from holdfast.exchanges.bingx.decode import LISTEN_KEY
from holdfast.exchanges.bingx.requests import Request
from holdfast.exchanges.bingx.stops import StopLedger
from holdfast.exchanges.caller import Caller
from holdfast.exchanges.decoding import BadAnswer
from holdfast.exchanges.names import Names
from holdfast.exchanges.port import (
    ConfigNews,
    ExchangeError,
    Listener,
    News,
    PositionNews,
    StopNews,
    StreamState,
)
from holdfast.exchanges.stats import AdapterStats
from holdfast.exchanges.streaming import Source, StreamKeeper, StreamLost

USER = "user"
MARKET = "market"
MODE = "mode"
PATH = "/swap-market"
TOPICS_MAX = 200
"""Of one connection (80403 beyond it): prices of more symbols come by REST."""
GAP_EVERY_S = 5.0
"""Unreadable events ask for the truth to be read again, but not oftener than this."""


ReadMode = Callable[[Priority], Awaitable[bool]]
"""Asks whether the account is in hedge mode, and remembers it; raises `ExchangeError`."""


class BingxStreams:
    """The streams of one account. `start` once, `stop` once.

    The listen key is never deleted: that would end the stream of every process on the account.
    """

    def __init__(
        self,
        *,
        caller: Caller[Request],
        clock: Clock,
        ws_url: str,
        names: Callable[[], Names],
        account: AccountSettings,
        stops: StopLedger,
        keeper: Callable[[Source, Callable[[bool, str], None]], StreamKeeper],
        keepalive_ms: int,
        stats: AdapterStats,
    ) -> None:
        self._caller = caller
        self._clock = clock
        self._ws_url = ws_url
        self._names = names
        self._account = account
        self._stops = stops
        self._make_keeper = keeper
        self._keepalive_ms = keepalive_ms
        self._stats = stats
        self._listener: Listener | None = None
        self._read_mode: ReadMode | None = None
        self._keepers: dict[str, StreamKeeper] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._pinged: set[str] = set()
        self._symbols: list[Symbol] = []
        self._unsure: list[tuple[str, bytes]] = []
        """Events about positions that wait for the account's mode to be asked for."""
        self._key = ""
        self._key_renewed_ms = 0
        self._gap_s = float("-inf")
        self._gap_cause = ""

    def start(self, symbols: Sequence[Symbol], listener: Listener, read_mode: ReadMode) -> None:
        """Start both tasks and return; the market's only when there is something to watch."""
        require(self._listener is None, "streams are started once")
        self._listener, self._read_mode = listener, read_mode
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
        room = max(0, TOPICS_MAX - len(self._symbols))
        self._symbols.extend(new)
        if MARKET in self._tasks:
            for text in self._subscriptions(new[:room]):
                await self._keepers[MARKET].send(text)
        elif self._symbols and self._listener is not None:
            self._run(MARKET, self._market_source())

    def _run(self, name: str, source: Source) -> None:
        keeper = self._make_keeper(source, lambda up, cause: self._report(name, up=up, cause=cause))
        self._keepers[name] = keeper
        self._tasks[name] = _named_task(keeper.run(), f"bingx-{name}-stream")
        self._tasks[name].add_done_callback(lambda task: self._ended(name, task))

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        """Only a bug ends a stream's task; it must not look like a quiet market."""
        if task.cancelled():
            return
        error = task.exception()
        self._report(name, up=False, cause=f"stream task ended: {type(error).__name__}")
        task.get_loop().call_exception_handler(
            {"message": f"bingx {name} stream ended", "exception": error, "task": task}
        )

    def _report(self, name: str, *, up: bool, cause: str) -> None:
        self._tell(StreamState(stream=name, up=up, cause=cause))

    def _owed(self, name: str) -> tuple[str, ...]:
        """The answer to the exchange's last `Ping`."""
        if name not in self._pinged:
            return ()
        self._pinged.discard(name)
        return ("Pong",)

    def _unpacked(self, name: str, frame: str | bytes) -> bytes:
        """What a frame says; empty for a `Ping`, which is answered. Raises `BadAnswer`."""
        body = events.unpacked(frame)
        if body != events.PING:
            return body
        self._pinged.add(name)
        return b""

    # --- the user's stream ---

    def _user_source(self) -> Source:
        return Source(
            name=USER,
            url=self._user_url,
            hello=tuple,
            hear=self._hear_user,
            tick=self._tick_user,
            up_on_data=False,
            owed=lambda: self._owed(USER),
        )

    async def _user_url(self) -> str:
        """A listen key for each connection; a living one is given again, and extended."""
        asked_ms = self._clock.monotonic_ms()
        try:
            body = await self._caller.read(requests.NEW_LISTEN_KEY, Priority.PROTECT)
            self._key = LISTEN_KEY.read(body).listenKey
        except (ExchangeError, BadAnswer) as error:
            raise StreamLost(f"no listen key: {error}") from error
        self._key_renewed_ms = asked_ms
        return f"{self._ws_url}{PATH}?listenKey={self._key}"

    async def _tick_user(self) -> None:
        self._ask_again_after_gap()
        asked_ms = self._clock.monotonic_ms()
        if asked_ms - self._key_renewed_ms < self._keepalive_ms:
            return
        try:
            await self._caller.read(requests.keep_listen_key(self._key), Priority.PROTECT)
        except ExchangeError as error:
            raise StreamLost(f"listen key not extended: {error}") from error
        self._key_renewed_ms = asked_ms

    def _hear_user(self, frame: str | bytes) -> bool:
        try:
            body = self._unpacked(USER, frame)
            if body:
                self._hear_event(body)
        except BadAnswer as error:
            self._gap(str(error))
        return True

    def _hear_event(self, body: bytes) -> None:
        head = events.HEAD.read(body)
        _refused(head)
        if head.e == events.LISTEN_KEY_EXPIRED:
            raise StreamLost("listen key expired")
        if head.e == events.SETTINGS:
            self._hear_settings(body)
            return
        news = events.user_news(head.e, body, self._names(), hedge=self._account.hedge)
        if news is None:
            self._stats.ignored_events["unknown kind"] += 1
        elif all(self._account.sure_of(symbol) for symbol in _held_by(news)):
            self._tell_all(news)
        else:
            self._unsure.append((head.e, body))
            self._ask_mode()

    async def _asked(self, ask: ReadMode) -> bool | None:
        """None when there was no answer; then at least the positions are read again."""
        try:
            return await ask(Priority.PROTECT)
        except ExchangeError as error:
            self._gap(f"positions in an unknown mode: {error}")
            return None

    def _tell_all(self, news: events.Heard) -> None:
        for item in news:
            self._tell(self._named(item))
        if events.untold_fill(news):
            self._gap("an execution without its size")

    def _ask_mode(self) -> None:
        """Positions changed where none was known: somebody may have changed the mode before."""
        if self._read_mode is None or (MODE in self._tasks and not self._tasks[MODE].done()):
            return
        self._tasks[MODE] = _named_task(self._learn_mode(self._read_mode), "bingx-position-mode")
        self._tasks[MODE].add_done_callback(self._mode_asked)

    def _mode_asked(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._ended(USER, task)

    async def _learn_mode(self, ask: ReadMode) -> None:
        hedge = await self._asked(ask)
        while hedge is None:
            await asyncio.sleep(GAP_EVERY_S)
            hedge = await self._asked(ask)
        unsure, self._unsure = self._unsure, []
        for kind, event in unsure:
            news = events.user_news(kind, event, self._names(), hedge=hedge) or ()
            for symbol in _held_by(news):
                self._account.sure(symbol, self._clock.now_ms())
            self._tell_all(news)

    def _named(self, item: News) -> News:
        if not isinstance(item, StopNews):
            return item
        return StopNews(stop=self._stops.named(item.stop), exchange_ms=item.exchange_ms)

    def _hear_settings(self, body: bytes) -> None:
        """Told every five seconds: only a change is news."""
        symbol, setting, exchange_ms = events.settings(body, self._names())
        if self._account.hear(symbol, setting, self._clock.now_ms()):
            self._tell(ConfigNews(symbol=symbol, leverage=setting.leverage, exchange_ms=exchange_ms))

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
            return f"{self._ws_url}{PATH}"

        async def tick() -> None:
            return

        return Source(
            name=MARKET,
            url=url,
            hello=lambda: self._subscriptions(self._symbols[:TOPICS_MAX]),
            hear=self._hear_market,
            tick=tick,
            up_on_data=True,
            owed=lambda: self._owed(MARKET),
        )

    def _subscriptions(self, symbols: Sequence[Symbol]) -> tuple[str, ...]:
        """One frame each: the exchange takes no lists."""
        topics = (f"{self._names().wire(symbol)}@markPrice" for symbol in symbols)
        return tuple(
            msgspec.json.encode({"id": topic, "reqType": "sub", "dataType": topic}).decode()
            for topic in topics
        )

    def _hear_market(self, frame: str | bytes) -> bool:
        """Silence is judged by prices: neither a `Ping` nor an answer to a subscription is one."""
        try:
            body = self._unpacked(MARKET, frame)
            return bool(body) and self._hear_price(body)
        except BadAnswer:
            self._stats.bad_events[MARKET] += 1
            return False

    def _hear_price(self, body: bytes) -> bool:
        head = events.HEAD.read(body)
        _refused(head)
        if not head.dataType.endswith("@markPrice"):
            return False
        self._tell(events.mark_news(body, self._names(), self._clock.now_ms()))
        return True

    def _tell(self, item: News) -> None:
        if self._listener is not None:
            self._listener(item)


def _held_by(news: events.Heard) -> list[Symbol]:
    return [item.symbol for item in news if isinstance(item, PositionNews)]


def _refused(head: wire.EventHead) -> None:
    if head.code:
        raise StreamLost(f"refused by the exchange: {head.code} {head.msg[:80]}")


def _named_task(work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
    """Kept by the caller, cancelled by `stop`."""
    return asyncio.get_running_loop().create_task(work, name=name)
