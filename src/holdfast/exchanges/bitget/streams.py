"""Bitget's two sockets: what happens to the account, and mark prices (exchange sheet §7)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable, Coroutine, Sequence

import msgspec

from holdfast.domain.intents import Priority
from holdfast.domain.invariant import require
from holdfast.domain.protocols import Clock
from holdfast.domain.secret import Secret
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bitget import events, wire
from holdfast.exchanges.bitget.requests import PRODUCT, Request
from holdfast.exchanges.caller import Caller
from holdfast.exchanges.decoding import BadAnswer
from holdfast.exchanges.names import Names
from holdfast.exchanges.port import Listener, News, StreamState
from holdfast.exchanges.stats import AdapterStats
from holdfast.exchanges.streaming import Source, StreamKeeper, StreamLost

USER = "user"
MARKET = "market"
SYMBOLS_PER_SUBSCRIBE = 50
GAP_EVERY_S = 5.0
"""Unreadable events ask for the truth to be read again, but not oftener than this."""
PING, PONG = "ping", "pong"


def login_frame(api_key: str, secret: Secret, passphrase: Secret, exchange_now_ms: int) -> str:
    """The text that logs a socket in; its time is in seconds."""
    at = str(exchange_now_ms // 1000)
    key, text = secret.reveal_to_signer().encode(), f"{at}GET/user/verify".encode()
    sign = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    arg = {
        "apiKey": api_key,
        "passphrase": passphrase.reveal_to_signer(),
        "timestamp": at,
        "sign": sign,
    }
    return msgspec.json.encode({"op": "login", "args": [arg]}).decode()


class BitgetStreams:
    """The streams of one account. `start` once, `stop` once.

    The private one is up when all its channels are acknowledged; from then on it is judged by the
    exchange's own answers to `ping`, as an account may be silent for hours.
    """

    def __init__(
        self,
        *,
        caller: Caller[Request],
        clock: Clock,
        ws_url: str,
        login: Callable[[int], str],
        names: Callable[[], Names],
        keeper: Callable[[Source, Callable[[bool, str], None]], StreamKeeper],
        stats: AdapterStats,
    ) -> None:
        self._caller = caller
        self._clock = clock
        self._ws_url = ws_url
        self._login = login
        self._names = names
        self._make_keeper = keeper
        self._stats = stats
        self._listener: Listener | None = None
        self._keepers: dict[str, StreamKeeper] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._symbols: list[Symbol] = []
        self._news = events.UserNews()
        self._acknowledged: set[str] = set()
        self._to_send: tuple[str, ...] = ()
        self._gap_s = float("-inf")
        self._gap_cause = ""

    def start(self, symbols: Sequence[Symbol], listener: Listener) -> None:
        """Start both tasks and return; the market's only when there is something to watch."""
        require(self._listener is None, "streams are started once")
        self._listener = listener
        self._symbols = list(dict.fromkeys(symbols))
        self._run(self._user_source())
        if self._symbols:
            self._run(self._market_source())

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
            self._run(self._market_source())

    def _run(self, source: Source) -> None:
        name = source.name
        keeper = self._make_keeper(source, lambda up, cause: self._report(name, up=up, cause=cause))
        self._keepers[name] = keeper
        self._tasks[name] = _named_task(keeper.run(), f"bitget-{name}-stream")
        self._tasks[name].add_done_callback(lambda task: self._ended(name, task))

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        """Only a bug ends a stream's task; it must not look like a quiet market."""
        if task.cancelled():
            return
        error = task.exception()
        self._report(name, up=False, cause=f"stream task ended: {type(error).__name__}")
        task.get_loop().call_exception_handler(
            {"message": f"bitget {name} stream ended", "exception": error, "task": task}
        )

    def _report(self, name: str, *, up: bool, cause: str) -> None:
        self._tell(StreamState(stream=name, up=up, cause=cause))

    def _tell(self, item: News) -> None:
        if self._listener is not None:
            self._listener(item)

    async def _url(self, path: str) -> str:
        banned = self._caller.refusal(Priority.PROTECT)
        if banned is not None:
            raise StreamLost(banned.cause)
        return f"{self._ws_url}/v2/ws/{path}"

    # --- the user's stream ---

    def _user_source(self) -> Source:
        return Source(
            name=USER,
            url=lambda: self._url("private"),
            hello=self._hello_user,
            hear=self._hear_user,
            owed=self._owed,
            tick=self._tick_user,
            up_on_data=True,
        )

    def _hello_user(self) -> tuple[str, ...]:
        """Only to log in: a subscription before that is acknowledged may be refused."""
        self._acknowledged = set()
        return (self._login(self._caller.exchange_now_ms()),)

    def _owed(self) -> tuple[str, ...]:
        """What is to be sent after a message; asked after each."""
        texts, self._to_send = self._to_send, ()
        return texts

    async def _tick_user(self) -> None:
        self._ask_again_after_gap()
        await self._keepers[USER].send(PING)

    def _hear_user(self, body: str | bytes) -> bool:
        """Whether it proves that events come: the last acknowledgement, and everything after it."""
        if body != PONG:
            try:
                self._take(events.FRAME.read(body))
            except BadAnswer as error:
                self._gap(str(error))
        return len(self._acknowledged) == len(events.CHANNELS)

    def _take(self, frame: wire.Frame) -> None:
        match frame.event:
            case "error":
                raise StreamLost(f"refused: {frame.code} {(frame.msg or '')[:80]}")
            case "login":
                if str(frame.code) not in ("0", "None"):
                    raise StreamLost(f"login refused: {frame.code}")
                self._to_send = tuple(_subscription([(channel, "default")]) for channel in events.CHANNELS)
            case "subscribe" if frame.arg is not None:
                self._acknowledged |= {frame.arg.channel} & set(events.CHANNELS)
            case _:
                self._take_push(frame)

    def _take_push(self, frame: wire.Frame) -> None:
        news = self._news.read(frame, self._names())
        if news is None:
            self._stats.ignored_events[frame.arg.channel if frame.arg else "unknown kind"] += 1
        for item in news or ():
            self._tell(item)

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
        async def tick() -> None:
            await self._keepers[MARKET].send(PING)

        return Source(
            name=MARKET,
            url=lambda: self._url("public"),
            hello=lambda: self._subscriptions(self._symbols),
            hear=self._hear_market,
            tick=tick,
            up_on_data=True,
        )

    def _subscriptions(self, symbols: Sequence[Symbol]) -> tuple[str, ...]:
        wanted = [("ticker", self._names().wire(symbol)) for symbol in symbols]
        step = SYMBOLS_PER_SUBSCRIBE
        return tuple(_subscription(wanted[at : at + step]) for at in range(0, len(wanted), step))

    def _hear_market(self, body: str | bytes) -> bool:
        """Silence is judged by prices."""
        if body == PONG:
            return False
        try:
            frame = events.FRAME.read(body)
            if frame.event == "error":
                raise StreamLost(f"subscription refused: {frame.code} {(frame.msg or '')[:80]}")
            if frame.event is not None:
                return False
            news = events.mark_news(frame, self._names(), self._clock.now_ms())
        except BadAnswer:
            self._stats.bad_events[MARKET] += 1
            return False
        for item in news:
            self._tell(item)
        return bool(news)


def _subscription(wanted: Sequence[tuple[str, str]]) -> str:
    args = [{"instType": PRODUCT, "channel": channel, "instId": name} for channel, name in wanted]
    return msgspec.json.encode({"op": "subscribe", "args": args}).decode()


def _named_task(work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
    """Kept by the caller, cancelled by `stop`."""
    return asyncio.get_running_loop().create_task(work, name=name)
