"""`ExchangeAdapter`: one exchange's account for scripts of one's own, over the bot's adapters (R2.7).

    keys = {"api_key": …, "api_secret": …, "passphrase": …}
    async with ExchangeAdapter("bitget", keys=keys) as adapter:
        await adapter.place_stop_loss_order("BTC/USDT", "long", position_amount=0.01, stop_price=90_000)

Without `sandbox=False` it talks to the exchange's own test environment, with *base_url* to a simulator.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Self

from holdfast.decisions.gate import Refused, approve_protective
from holdfast.decisions.protect import stop_intent
from holdfast.domain.account import Position
from holdfast.domain.intents import Accepted, Journaled, Outcome, Priority, Rejected, Unavailable, Unknown
from holdfast.domain.numbers import number
from holdfast.domain.orders import Direction, Stop
from holdfast.domain.secret import Secret
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.explained import remedy_of
from holdfast.exchanges.factory import Credentials, MadeExchange, make_exchange, resolve
from holdfast.exchanges.shared import ExchangeShared
from holdfast.runtime.clock import RealClock, SteadyClock
from holdfast.runtime.ids import BotIds

KEY_NAMES: Mapping[str, tuple[str, ...]] = {
    # Ours first, then as ccxt calls them.
    "api_key": ("api_key", "apiKey"),
    "api_secret": ("api_secret", "secret"),
    "passphrase": ("passphrase", "password"),
}
LOOKS_EVERY_S = 0.25
PRIORITY = Priority.PROTECT


class StopNotPlaced(Exception):
    """No stop was seen standing; the text says why, and what to do. *outcome*: the exchange's word."""

    def __init__(self, message: str, outcome: Outcome | None = None) -> None:
        super().__init__(message)
        self.outcome = outcome


class ExchangeAdapter:
    """One account. Opened with its first use or by `async with`; `close()` it.

    Raises `ValueError` for what makes no sense, `UnsafeAddress` for an address that may not be used.
    """

    def __init__(
        self,
        exchange: str,
        *,
        keys: Mapping[str, str],
        sandbox: bool = True,
        trade_mode: str = "futures",
        base_url: str | None = None,
    ) -> None:
        if trade_mode != "futures":
            raise ValueError(f"trade_mode: expected 'futures', found {trade_mode!r}")
        self.name = exchange
        self._base_url = base_url
        self._live = not sandbox and base_url is None
        self._testnet = sandbox and base_url is None
        # Here, before anything is opened: an address that may not be used is told at once.
        resolve(exchange, base_url=base_url, ws_url=None, live=self._live, testnet=self._testnet)
        self._credentials = _credentials(exchange, keys)
        chance = random.SystemRandom()
        self._clock = SteadyClock(RealClock())
        self._ids = BotIds(self._clock, self._clock.now_ms(), chance)
        self._shared = ExchangeShared(clock=self._clock, random=chance)
        self._opening = asyncio.Lock()
        self._made: MadeExchange | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def open(self) -> MadeExchange:
        """The adapter beneath; its clock is measured and the trading rules read once. Raises
        `ExchangeError`."""
        async with self._opening:
            if self._made is None:
                made = make_exchange(
                    self.name,
                    credentials=self._credentials,
                    base_url=self._base_url,
                    clock=self._clock,
                    shared=self._shared,
                    live=self._live,
                    testnet=self._testnet,
                )
                await made.open()
                self._made = made
            return self._made

    async def close(self) -> None:
        """End every connection."""
        if self._made is not None:
            await self._made.close()
        await self._shared.close()

    async def place_stop_loss_order(
        self,
        symbol: str,
        direction: str,
        *,
        position_amount: Decimal | float | str,
        stop_price: Decimal | float | str,
    ) -> Stop:
        """Place a stop for the whole position, at market, and return it as the exchange's book shows it.

        *direction* is the position's, `long` or `short`; *position_amount* (base) what is believed to be
        held: a smaller position is refused, for then something else is so than who asks believes. On
        Bitget it is a `pos_loss` plan order, found again by the pending-plan-orders query.
        Raises `StopNotPlaced`, `ExchangeError` (a read failed), `ValueError`, `BadSymbol`.
        """
        name, side = Symbol.parse(symbol), _direction(direction)
        amount, price = _positive("position_amount", position_amount), _positive("stop_price", stop_price)
        exchange = await self.open()
        rules = exchange.instrument(name)
        if rules is None:
            raise ValueError(f"symbol: expected one that {self.name} lists, found {name}")
        position = await _position(exchange, name, side, amount)
        trigger = rules.price_up(price) if side is Direction.LONG else rules.price_down(price)
        journaled = self._journaled(position, trigger, exchange.capabilities.window_ms)
        approved = approve_protective(journaled, position.quantity)
        if isinstance(approved, Refused):
            raise StopNotPlaced(f"{name}: refused here: {', '.join(approved.reasons)}")
        return await _standing(exchange, journaled, await exchange.submit(approved))

    def _journaled(self, position: Position, trigger: Decimal, window_ms: int) -> Journaled:
        intent = stop_intent(position, trigger, whole=True, reason="asked for by a script")
        return Journaled(
            intent=intent,
            client_id=self._ids.client_order_id("stop"),
            account_id=self.name,
            signed_ms=self._clock.now_ms(),
            window_ms=window_ms,
        )


async def _position(
    exchange: MadeExchange, symbol: Symbol, direction: Direction, amount: Decimal
) -> Position:
    held = (await exchange.positions(priority=PRIORITY)).value
    for position in held:
        if position.symbol == symbol and position.direction is direction:
            if abs(position.quantity) >= amount:
                return position
            found = f"a {direction} position of {abs(position.quantity)}"
            raise StopNotPlaced(f"{symbol}: expected to hold {amount} or more, found {found}")
    raise StopNotPlaced(f"{symbol}: expected a {direction} position to protect, found none")


async def _standing(exchange: MadeExchange, journaled: Journaled, outcome: Outcome) -> Stop:
    """The stop as a read of the exchange's books shows it, whatever the answer to placing it was."""
    symbol = journaled.intent.symbol
    if isinstance(outcome, Unknown):
        found = await exchange.find_stop(symbol, journaled.client_id, priority=PRIORITY)
        outcome = found if isinstance(found, Accepted) else outcome
    if not isinstance(outcome, Accepted):
        words = f"{_told(outcome)}; {remedy_of(exchange.capabilities.name, outcome)}"
        raise StopNotPlaced(f"{symbol}: no stop was seen: {words}", outcome)
    looks = exchange.capabilities.visibility_ms / 1000 / LOOKS_EVERY_S
    for _ in range(int(looks) + 1):
        for stop in (await exchange.open_stops(symbol, priority=PRIORITY)).value:
            if stop.stop_id == outcome.exchange_id:
                return stop
        await asyncio.sleep(LOOKS_EVERY_S)
    words = f"stop {outcome.exchange_id} was accepted and is in no book: look at the exchange"
    raise StopNotPlaced(f"{symbol}: {words}", outcome)


def _told(outcome: Rejected | Unknown | Unavailable) -> str:
    """The exchange's words."""
    return f"{outcome.code} {outcome.message}" if isinstance(outcome, Rejected) else outcome.cause


def _credentials(exchange: str, keys: Mapping[str, str]) -> Credentials:
    """Raises `ValueError` for a part that is missing, or a name nobody knows."""
    known = {name for names in KEY_NAMES.values() for name in names}
    strange = sorted(set(keys) - known)
    if strange:
        raise ValueError(f"keys: expected {', '.join(KEY_NAMES)}, found {strange[0]!r}")
    parts = {
        name: next((keys[each] for each in names if keys.get(each)), "") for name, names in KEY_NAMES.items()
    }
    needed = [*KEY_NAMES] if exchange == "bitget" else [*KEY_NAMES][:2]
    missing = [name for name in needed if not parts[name]]
    if missing:
        raise ValueError(f"keys: expected {', '.join(needed)} for {exchange}, found no {missing[0]}")
    return Credentials(parts["api_key"], Secret(parts["api_secret"]), Secret(parts["passphrase"]))


def _direction(text: str) -> Direction:
    try:
        return Direction(str(text).lower())
    except ValueError as error:
        raise ValueError(f"direction: expected the position's, long or short, found {text!r}") from error


def _positive(name: str, value: Decimal | float | str) -> Decimal:
    found = number(str(value))
    if found <= 0:
        raise ValueError(f"{name}: expected more than 0, found {value}")
    return found
