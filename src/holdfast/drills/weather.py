"""The network between bot and exchange, and the bot's clock, as troubles make them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from holdfast.drills.kinds import KINDS
from holdfast.drills.network import LinkKind
from holdfast.drills.plan import Heal, Trouble
from holdfast.drills.world import World


class Links:
    """Plane LINK. Where two troubles of a sort overlap, what they made holds until the last one ends."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._network = world.network
        self._standing: Counter[tuple[str, LinkKind]] = Counter()
        # What is begun → (how it begins, how it ends); both for one kind of link.
        self._ways: Mapping[str, tuple[Callable[[LinkKind, Trouble], int], Callable[[LinkKind], None]]] = {
            "reset": (self._reset, _nothing),
            "cut": (self._cut, _nothing),
            "stall": (self._stall, lambda kind: self._network.stall(kind, on=False)),
            "refuse": (self._refuse, self._accept),
            "vanish": (self._vanish, self._appear),
            "lose": (self._lose, self._keep),
            "slow": (self._slow, self._fast),
        }

    async def strike(self, trouble: Trouble) -> Heal:
        """Make the weather; healing makes it fine again."""
        verb = KINDS[trouble.kind].begin
        kinds = tuple(LinkKind) if trouble.target == "all" else (LinkKind(trouble.target),)
        begin, end = self._ways[verb]
        count = 0
        for kind in kinds:
            count += begin(kind, trouble)
            self._standing[verb, kind] += 1

        async def heal() -> int:
            for kind in kinds:
                self._standing[verb, kind] -= 1
                if not self._standing[verb, kind]:
                    end(kind)
            return count

        return heal

    def _reset(self, kind: LinkKind, _: Trouble) -> int:
        return self._network.reset(kind)

    def _cut(self, kind: LinkKind, _: Trouble) -> int:
        return self._network.cut(kind)

    def _stall(self, kind: LinkKind, _: Trouble) -> int:
        self._network.stall(kind, on=True)
        return len(self._network.links(kind))

    def _refuse(self, kind: LinkKind, _: Trouble) -> int:
        self._network.conditions[kind].refuse = True
        return self._network.reset(kind)

    def _accept(self, kind: LinkKind) -> None:
        self._network.conditions[kind].refuse = False

    def _vanish(self, kind: LinkKind, _: Trouble) -> int:
        self._network.conditions[kind].unreachable = True
        return self._network.cut(kind)

    def _appear(self, kind: LinkKind) -> None:
        self._network.conditions[kind].unreachable = False

    def _lose(self, kind: LinkKind, trouble: Trouble) -> int:
        self._network.conditions[kind].loss = float(trouble.numbers["loss"])
        return len(self._network.links(kind))

    def _keep(self, kind: LinkKind) -> None:
        self._network.conditions[kind].loss = 0.0

    def _slow(self, kind: LinkKind, trouble: Trouble) -> int:
        latency_ms = float(trouble.numbers["latency_ms"])
        self._network.conditions[kind].latency_ms = (latency_ms / 2, latency_ms)
        return len(self._network.links(kind))

    def _fast(self, kind: LinkKind) -> None:
        self._network.conditions[kind].latency_ms = self._world.spec.latency_ms


def _nothing(_: LinkKind) -> None:
    """What was struck stays so; new connections are as good as ever."""


class Clocks:
    """Plane CLOCK. When the last trouble is over a time service sets the clock right."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._standing = 0

    async def strike(self, trouble: Trouble) -> Heal:
        """Put the bot's clock wrong; healing undoes just that."""
        clock, numbers = self._world.bot_clock, trouble.numbers
        began_ms = self._world.elapsed_ms
        self._standing += 1
        if "ppm" in numbers:
            clock.drift(float(numbers["ppm"]))
        else:
            clock.step(float(numbers["by_ms"]))

        async def heal() -> int:
            self._standing -= 1
            if not self._standing:
                clock.correct()
            elif "ppm" in numbers:
                clock.drift(0)
                clock.step(-(self._world.elapsed_ms - began_ms) * float(numbers["ppm"]) / 1e6)
            else:
                clock.step(-float(numbers["by_ms"]))
            return 1

        return heal
