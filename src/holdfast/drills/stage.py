"""A world as the stage of troubles: every plane of the catalogue, and the moments they wait for.

stage = WorldStage(world)
world.start_bot()
played = await play(schedule, stage, stage.sleep_until)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from holdfast.drills.hand import Hand
from holdfast.drills.kinds import KINDS, Moment, Plane
from holdfast.drills.lives import Life
from holdfast.drills.machine import Disk, Machine
from holdfast.drills.person import Person
from holdfast.drills.plan import Heal, Schedule, Trouble, faults_of
from holdfast.drills.weather import Clocks, Links
from holdfast.drills.world import World
from holdfast.simulator.core.model import CoreEvent, OrderEvent
from holdfast.simulator.requests import Arrival


class WorldStage:
    """`plan.Stage` over one world. Make it before the bot is started: it listens from then on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._moments = Moments(world)
        self.hand = Hand(world)
        self.machine = Machine(world)
        links, clocks, disk, person = Links(world), Clocks(world), Disk(world), Person(world)
        self._planes: Mapping[Plane, Callable[[Schedule, Trouble], Awaitable[Heal]]] = {
            Plane.WIRE: self._wire,
            Plane.HAND: lambda _, trouble: self.hand.strike(trouble),
            Plane.LINK: lambda _, trouble: links.strike(trouble),
            Plane.CLOCK: lambda _, trouble: clocks.strike(trouble),
            Plane.DISK: lambda _, trouble: disk.strike(trouble),
            Plane.PROCESS: lambda schedule, trouble: self.machine.strike(trouble, schedule.length_ms),
            Plane.OPERATOR: lambda _, trouble: person.strike(trouble),
        }

    def elapsed_ms(self) -> int:
        return self._world.elapsed_ms

    async def sleep_until(self, at_ms: int) -> None:
        """To *at_ms* after the world's beginning."""
        await self._world.run_for(max(0, at_ms - self._world.elapsed_ms))

    async def moment(self, moment: Moment, until_ms: int) -> bool:
        return await self._moments.wait(moment, until_ms)

    async def strike(self, schedule: Schedule, trouble: Trouble) -> Heal:
        return await self._planes[KINDS[trouble.kind].plane](schedule, trouble)

    async def _wire(self, schedule: Schedule, trouble: Trouble) -> Heal:
        plan = self._world.server.faults
        stream = self._world.wire.stream_name(self.hand.symbol(trouble))
        numbers = [plan.add(fault) for fault in faults_of(schedule, trouble, stream)]

        async def heal() -> int:
            for number in numbers:
                plan.remove(number)
            return sum(map(plan.fired, numbers))

        return heal


class Moments:
    """Tells when something worth waiting for happens: by the exchange, and of decisions by the bot's log."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: dict[Moment, list[asyncio.Future[None]]] = {}
        self._changed = asyncio.Event()
        self._standing: Mapping[Moment, Callable[[], bool]] = {
            Moment.POSITION: lambda: bool(world.truth().positions),
            Moment.COVERED: lambda: any(position.covered for position in world.truth().positions),
            Moment.FLAT: self._flat,
        }
        world.server.log.listen(self._arrived)
        world.server.core.listen(self._told, prices=False)
        world.listeners.append(self._said)

    async def wait(self, moment: Moment, until_ms: int) -> bool:
        """False when it has not come by *until_ms*."""
        left_s = max(0, until_ms - self._world.elapsed_ms) / 1000
        try:
            async with asyncio.timeout(left_s):
                await (self._stands(moment) if moment in self._standing else self._comes(moment))
        except TimeoutError:
            return False
        return True

    async def _comes(self, moment: Moment) -> None:
        coming = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(moment, []).append(coming)
        await coming

    async def _stands(self, moment: Moment) -> None:
        while not self._standing[moment]():
            self._changed.clear()
            await self._changed.wait()

    def _flat(self) -> bool:
        view = self._world.server.core.view(self._world.account_id)
        return not (self._world.truth().positions or view.live_orders or view.live_algos)

    def _arrived(self, arrival: Arrival) -> None:
        asks = self._world.wire.asks(arrival)
        if "send" in asks:
            self._happens(Moment.SUBMIT)
        elif "positions" in asks:
            self._happens(Moment.RECONCILE)

    def _said(self, _life: Life, event: str, fields: dict[str, object]) -> None:
        # What is decided has a correlation id; that it was opened is said without one.
        if event == "decision.entry" and fields.get("correlation_id"):
            self._happens(Moment.ENTRY)

    def _told(self, event: CoreEvent) -> None:
        self._changed.set()
        if isinstance(event, OrderEvent) and event.fill is not None:
            self._happens(Moment.FILL)

    def _happens(self, moment: Moment) -> None:
        for coming in self._waiting.pop(moment, ()):
            if not coming.done():
                coming.set_result(None)
