"""Somebody at the exchange: the owner in the app, the exchange's operators, and the market itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.numbers import ONE, ZERO, floor_to
from holdfast.domain.orders import Side
from holdfast.domain.symbol import Symbol
from holdfast.drills.kinds import KINDS
from holdfast.drills.plan import Heal, Trouble
from holdfast.drills.world import World
from holdfast.simulator.core.engine import Core
from holdfast.simulator.core.model import CoreRefusal, SimAlgo

Done = tuple[int, Callable[[], object]]
"""How many things were touched, and how to undo it."""
FUNDING_IN_MS = 5_000
PAST_STOP = Decimal("0.003")
"""How far behind a stop the price goes to trigger it."""
TO_STOP_S = 3


def _nothing() -> None:
    """There is nothing to undo."""


class Hand:
    """Plane HAND. Every deed is done at the exchange's present time; what it refuses touches nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._deeds: Mapping[str, Callable[[Symbol, Trouble], Done]] = {
            "expire_stream": self._expire_stream,
            "thin": lambda s, t: self._liquidity(s, _decimal(t, "ratio"), int(t.numbers["levels"])),
            "dry": lambda s, _: self._liquidity(s, ZERO, None),
            "spread": self._spread,
            "coarse": self._coarse,
            "leverage": self._leverage,
            "hedge": self._hedge,
            "isolate": self._isolate,
            "withdraw": self._withdraw,
            "adl": lambda s, _: self._end_position(s, lambda: self._core.adl(self._account, s)),
            "liquidate": lambda s, _: self._end_position(s, lambda: self._core.liquidate(self._account, s)),
            "delist": lambda s, _: self._end_position(s, lambda: self._core.delist(s)),
            "halt": self._halt,
            "cancel_stops": lambda s, _: (self._core.cancel_stops_by_hand(self._account, s), _nothing),
            "close": lambda s, _: self._close(s, ONE),
            "reduce": lambda s, t: self._close(s, _decimal(t, "share")),
            "open": self._open,
            "flip": self._flip,
            "stick": self._stick,
            "fund": self._fund,
            "jump": self._jump,
            "freeze": self._freeze,
        }

    @property
    def _core(self) -> Core:
        return self._world.server.core

    @property
    def _account(self) -> str:
        return self._world.account_id

    async def strike(self, trouble: Trouble) -> Heal:
        """Do what the trouble says; healing undoes it."""
        server = self._world.server
        server.step()
        try:
            count, undo = self._deeds[KINDS[trouble.kind].begin](self.symbol(trouble), trouble)
        except CoreRefusal:
            count, undo = 0, _nothing
        server.step()

        async def heal() -> int:
            server.step()
            try:
                undo()
            except CoreRefusal:
                return count  # an account that has changed since may not be changed back
            server.step()
            return count

        return heal

    def symbol(self, trouble: Trouble) -> Symbol:
        """Whom it strikes: one of those *held* (any when none is), or any; which one its time tells."""
        held = sorted(position.symbol for position in self._world.truth().positions)
        among = held if trouble.target == "held" and held else sorted(self._core.symbols())
        return among[trouble.at_ms % len(among)]

    def _quantity(self, symbol: Symbol) -> Decimal:
        """Signed; of the one-way position."""
        positions = self._world.truth().positions
        return next((each.quantity for each in positions if each.symbol == symbol), ZERO)

    # --- the market ----------------------------------------------------------------------------------

    def _liquidity(self, symbol: Symbol, ratio: Decimal, levels: int | None) -> Done:
        self._core.set_liquidity(symbol, ratio, levels=levels)
        return 1, lambda: self._core.set_liquidity(symbol, ONE)

    def _spread(self, symbol: Symbol, trouble: Trouble) -> Done:
        usual = self._core.config.spread_ratio
        self._core.set_liquidity(symbol, ONE, usual * _decimal(trouble, "factor"))
        return 1, lambda: self._core.set_liquidity(symbol, ONE, usual)

    def _jump(self, symbol: Symbol, trouble: Trouble) -> Done:
        ratio, seconds = _decimal(trouble, "ratio"), int(trouble.numbers["seconds"])
        self._core.move_price(symbol, ratio, seconds)
        if not trouble.for_ms:
            return 1, _nothing
        return 1, lambda: self._core.move_price(symbol, ONE / ratio, seconds)

    def _freeze(self, symbol: Symbol, _: Trouble) -> Done:
        self._core.freeze_mark(symbol, frozen=True)
        return 1, lambda: self._core.freeze_mark(symbol, frozen=False)

    def _fund(self, symbol: Symbol, trouble: Trouble) -> Done:
        self._core.set_funding(symbol, _decimal(trouble, "rate"), FUNDING_IN_MS)
        return int(self._quantity(symbol) != 0), _nothing

    # --- the exchange's operators ----------------------------------------------------------------------

    def _expire_stream(self, _symbol: Symbol, _: Trouble) -> Done:
        """Its listen key runs out, or where there is none its login."""
        hub = self._world.server.app.hub
        heard = sum(hub.tongue.owner(socket) == self._account for socket in hub.sockets.all())
        self._world.server.app.expire_stream(self._account)
        return heard, _nothing

    def _coarse(self, symbol: Symbol, trouble: Trouble) -> Done:
        rules, factor = self._core.instrument(symbol), _decimal(trouble, "factor")
        tick, least = rules.price_step, rules.notional_min
        coarse = tick * factor if tick * factor <= self._world.wire.tick_max else tick * 10
        self._core.set_filters(symbol, price_step=coarse, notional_min=least * factor)
        return 1, lambda: self._core.set_filters(symbol, price_step=tick, notional_min=least)

    def _halt(self, symbol: Symbol, trouble: Trouble) -> Done:
        if not self._core.instrument(symbol).trading:
            return 0, _nothing
        self._core.set_status(symbol, trouble.word)
        return 1, lambda: self._core.set_status(symbol, "TRADING")

    def _end_position(self, symbol: Symbol, end: Callable[[], None]) -> Done:
        if not self._quantity(symbol):
            return 0, _nothing
        end()
        return 1, _nothing

    def _stick(self, symbol: Symbol, _: Trouble) -> Done:
        """The next stop hangs, and the price goes to where it triggers."""
        stops = self._stops(symbol)
        if not stops:
            return 0, _nothing
        self._core.stick_triggering(symbol)
        stop = stops[0]
        beyond = stop.trigger_price * (ONE + (PAST_STOP if stop.side is Side.BUY else -PAST_STOP))
        self._core.move_price(symbol, beyond / self._core.prices(symbol).last, TO_STOP_S)
        return 1, lambda: self._core.unstick_triggering(symbol)

    def _stops(self, symbol: Symbol) -> list[SimAlgo]:
        view = self._core.view(self._account)
        live = [view.algos[number] for number in view.live_algos]
        return [algo for algo in live if algo.symbol == symbol]

    # --- the owner's second login ----------------------------------------------------------------------

    def _leverage(self, symbol: Symbol, trouble: Trouble) -> Done:
        before = self._core.view(self._account).leverage.get(symbol, self._core.config.leverage)
        wanted = int(trouble.numbers["leverage"])
        self._core.set_leverage(self._account, symbol, wanted)
        undo = lambda: self._core.set_leverage(self._account, symbol, before)  # noqa: E731
        return int(wanted != before), undo

    def _hedge(self, _symbol: Symbol, _: Trouble) -> Done:
        before = self._core.view(self._account).position_mode
        other = PositionMode.HEDGE if before is PositionMode.ONE_WAY else PositionMode.ONE_WAY
        self._core.set_position_mode(self._account, other)
        return 1, lambda: self._core.set_position_mode(self._account, before)

    def _isolate(self, symbol: Symbol, _: Trouble) -> Done:
        self._core.set_margin_mode(self._account, symbol, MarginMode.ISOLATED)
        return 1, lambda: self._core.set_margin_mode(self._account, symbol, MarginMode.CROSS)

    def _withdraw(self, _symbol: Symbol, trouble: Trouble) -> Done:
        most = self._core.summary(self._core.view(self._account)).max_withdraw
        amount = floor_to(most * _decimal(trouble, "share"), Decimal("0.01"))
        if amount <= 0:
            return 0, _nothing
        self._core.transfer(self._account, -amount)
        return 1, lambda: self._core.transfer(self._account, amount)

    def _close(self, symbol: Symbol, share: Decimal) -> Done:
        order = self._core.close_by_hand(self._account, symbol, share=share)
        return int(order is not None), _nothing

    def _open(self, symbol: Symbol, trouble: Trouble) -> Done:
        worth = self._world.truth().equity * _decimal(trouble, "equity_share")
        quantity = worth / self._core.prices(symbol).last
        return self._trade(symbol, Side(trouble.word), quantity)

    def _flip(self, symbol: Symbol, _: Trouble) -> Done:
        held = self._quantity(symbol)
        return self._trade(symbol, Side.SELL if held > 0 else Side.BUY, abs(held) * 2)

    def _trade(self, symbol: Symbol, side: Side, quantity: Decimal) -> Done:
        whole = floor_to(quantity, self._core.instrument(symbol).quantity_step)
        if whole <= 0:
            return 0, _nothing
        self._core.open_by_hand(self._account, symbol, side, whole)
        return 1, _nothing


def _decimal(trouble: Trouble, name: str) -> Decimal:
    return Decimal(str(trouble.numbers[name]))
