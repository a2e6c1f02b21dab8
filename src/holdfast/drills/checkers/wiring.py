"""Checkers put to a world: who listens where, and what of the world's condition excuses what.

watch = watch_world(world)          # before the bot is started
world.start_bot()
...
watch.trouble_began("disk_full")    # whoever carries out a plan says so
...
watch.judge_recovery()              # after the liveness phase
outcome = watch.finish()            # at the end
"""

# Checkers look where no interface reaches.
# ruff: noqa: SLF001

from __future__ import annotations

import shutil
from collections.abc import Callable, Coroutine, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, event

from holdfast.decisions.gate import Approved, Mode, OperatorState
from holdfast.domain.account import PositionKey
from holdfast.domain.intents import Outcome as Answer
from holdfast.domain.numbers import ZERO
from holdfast.domain.protocols import Clock
from holdfast.domain.symbol import Symbol
from holdfast.drills.checkers import impairments as because
from holdfast.drills.checkers.bounds import bounds_of
from holdfast.drills.checkers.checkers import Checkers, Outcome, Watched
from holdfast.drills.checkers.durable import SqliteDurable
from holdfast.drills.checkers.findings import Violation
from holdfast.drills.checkers.freshness import Believed
from holdfast.drills.checkers.impairments import Cause
from holdfast.drills.checkers.liveness import STANDING_CAUSES, after_heal
from holdfast.drills.checkers.liveness import Cause as AlertCause
from holdfast.drills.checkers.mirror import Mirror
from holdfast.drills.checkers.naked import closed_cause
from holdfast.drills.checkers.restart import BotState, state_in, state_of
from holdfast.drills.home import new_folder
from holdfast.drills.kinds import KINDS, Moment, Plane
from holdfast.drills.lives import Life
from holdfast.drills.network import LinkKind
from holdfast.drills.plan import Heal, Schedule, Stage, Trouble
from holdfast.drills.world import KEY, PASSPHRASE, SECRET, World
from holdfast.engine.bot import Bot
from holdfast.engine.memory import Remembered
from holdfast.engine.recall import StoreMemory
from holdfast.engine.settings import BotSettings
from holdfast.simulator.faults import ON_SOCKETS
from holdfast.store.database import Store, open_store

T = TypeVar("T")

SLOW_MS = 1_000
"""A network that takes so long one way excuses what has to be quick."""
SLOW_DISK_MS = 500
PROTECTION_ALERTS = frozenset({"STOP_MISSING", "STOP_REFUSED", "PROTECTION_FAILED", "CLOSE_REFUSED"})
FILES_FAIL = frozenset({"full", "read_only", "files_full", "files_read_only"})
ON_THE_ACCOUNT = ("all", "user")
# Troubles that cannot be seen from outside: what each of them excuses while it lasts.
EXCUSES: Mapping[str, tuple[Cause, ...]] = {
    "disk_full": (because.STORE,),
    "disk_read_only": (because.STORE,),
    "database_locked": (because.STORE,),
    "maintenance": (because.NETWORK,),
}


class WorldWatch:
    """The checkers of one world. Made before the bot is started."""

    def __init__(self, world: World, *, on_first: Callable[[Violation], None], budget: Decimal) -> None:
        self._world = world
        account_id = world.account_id
        mirror = Mirror(account_id)
        mirror.now_ms = world.now_ms
        mirror.wallet = world.server.core.view(account_id).wallet
        mirror.wallets.note(0, mirror.wallet)
        mirror.position_mode = mirror.wanted_mode = world.spec.position_mode
        self._durable = SqliteDurable(world.home.database, world.settings.account_id)
        self.checkers = Checkers(
            mirror=mirror,
            durable=self._durable,
            bounds=bounds_of(world.settings, budget=budget),
            watched=Watched(alerted=self._alerted, hindered=self._hindered, look=self._look),
            secrets={KEY: "API key", SECRET: "API key's secret", PASSPHRASE: "passphrase"},
            wire=world.wire,
            on_first=on_first,
        )
        self._standing: set[Cause] = set()
        self._messages_struck = 0
        self._files_fail = 0
        """Troubles that stand and let no file be written."""
        self._symbols = world.server.core.symbols()
        self._awaited: Life | None = None
        """A bot that was built again and has not read its account yet."""
        world.server.core.listen(self.checkers.exchange, trades=False)
        world.server.core.listen_cover(self.checkers.cover)
        world.server.log.listen(self.checkers.arrived)
        world.births.append(self._born)
        world.deaths.append(self._died)

    # --- told by whoever carries out a plan ----------------------------------------------------

    def trouble_began(self, kind: str) -> None:
        """A trouble of the catalogue that lasts begins."""
        if KINDS[kind].plane is not Plane.WIRE:  # the wire's tell of themselves, each time they strike
            self.checkers.struck(kind, self._world.now_ms)
        if KINDS[kind].heavy:
            self.checkers.useful.began(kind)
        for cause in EXCUSES.get(kind, ()):
            self.checkers.began(cause)
        if KINDS[kind].begin == "stall":
            self.checkers.rates.stalled()
        self._files_fail += KINDS[kind].begin in FILES_FAIL
        self._note_rules(kind)

    def trouble_ended(self, kind: str) -> None:
        if KINDS[kind].heavy:
            self.checkers.useful.ended(kind, self._world.now_ms)
        for cause in EXCUSES.get(kind, ()):
            self.checkers.ended(cause, self.checkers.bounds.tries_pause_ms)
        if KINDS[kind].begin == "stall":
            self.checkers.rates.flowed(self._world.now_ms)
        self._files_fail -= KINDS[kind].begin in FILES_FAIL
        self._note_rules(kind)

    def _note_rules(self, kind: str) -> None:
        if kind == "tick_changed":
            self.checkers.restarts.rules_changed()

    def trouble_struck(self, kind: str) -> None:
        """A trouble that is over as it happens."""
        self.checkers.struck(kind, self._world.now_ms)
        if KINDS[kind].heavy:
            self.checkers.useful.struck(self._world.now_ms)

    # --- judging -------------------------------------------------------------------------------

    def judge_recovery(
        self, *, flatten: bool = False, causes: Mapping[str, AlertCause] = STANDING_CAUSES
    ) -> None:
        """L1 to L5: to be called when all troubles have been healed for long enough, the bot running."""
        core = self._world.server.core
        shut = frozenset(symbol for symbol in self._symbols if not core.instrument(symbol).trading)
        told = after_heal(self._world.bot, self._world.now_ms, shut=shut, flatten=flatten)
        self.checkers.liveness.judge(told, causes=causes)

    def judge_store(self) -> bool:
        """S8 of the running bot; False while something waits to be written, so that nothing was judged."""
        bot = self._world.bot
        if not settled(bot):
            return False
        self._compare(state_of(bot, settled=True), "at the end")
        return True

    def finish(self) -> Outcome:
        """The world is over: what is left behind is searched, what still runs is summed up."""
        home, secrets = self._world.home, self.checkers.secrets.secrets
        if home.token_file.exists():
            secrets[home.token_file.read_text().strip()] = "API token"
        self.checkers.secrets.search(home.path, self._world.now_ms, but=frozenset({home.token_file.name}))
        self._durable.close()
        return self.checkers.outcome()

    # --- the bot's lives -----------------------------------------------------------------------

    def _born(self, life: Life) -> None:
        bot, store = life.bot, life.store
        if bot is None or store is None:
            return
        if self._files_fail:
            self.checkers.rates.forgotten()  # the life before may have ended by itself
        self._durable.open()
        event.listen(store._reading, "engine_disposed", lambda engine: self._durable.close())
        _overhear(bot, lambda approved: self._submitted(bot, approved))
        self.checkers.hit(because.BOT, self._world.now_ms, self.checkers.bounds.start_ms)
        if life.number > 1:
            self._awaited = life
            self.checkers.restarts.born(self._durable.standing())

    def _died(self, life: Life) -> None:
        self._awaited = None
        self.checkers.given.bot_died()
        self.checkers.struck("killed", self._world.now_ms)
        if self._files_fail:
            self.checkers.rates.forgotten()
        bot = life.bot
        if bot is None:
            return
        running = state_of(bot, settled=settled(bot))
        if bot.supervisor.recalled.is_set():
            self._compare(running, f"after death {life.number}")
        self.checkers.restarts.went(running, self._durable.standing())

    def _compare(self, running: BotState, when: str) -> None:
        world = self._world
        remembered = rebuild(world.home.database, world.settings, world.bot_clock)
        self.checkers.restarts.rebuilt(running, state_in(remembered), when=when)

    def _submitted(self, bot: Bot, approved: Approved) -> None:
        account, state, symbol = bot.account, bot.account.state, approved.intent.symbol
        key = PositionKey(symbol, approved.intent.position_side)
        mark, held = state.marks.get(symbol), state.believed_positions().get(key)
        believed = Believed(
            symbol=symbol,
            client_id=approved.journaled.client_id,
            mark=mark.price if mark else None,
            key=key,
            position=held.quantity if held else ZERO,
            wallet=state.balance.value.wallet if state.balance else None,
        )
        unwanted = {
            account.operator.value: account.operator is not OperatorState.RUNNING,
            account.mode.value: account.mode is not Mode.NORMAL,
        }
        why = ", ".join(word for word, holds in unwanted.items() if holds)
        self.checkers.submitted(approved.journaled, believed, wanted=why)

    # --- asked and looked at once a second -------------------------------------------------------

    def _bot(self) -> Bot | None:
        return self._world.bot if self._world.bot_runs and self._world.life.bot is not None else None

    def _alerted(self, symbol: Symbol) -> bool:
        bot = self._bot()
        standing = bot.account.alerts.standing if bot is not None else ()
        return any(id_ in PROTECTION_ALERTS and name == str(symbol) for id_, name in standing)

    def _hindered(self) -> str:
        bot = self._bot()
        if bot is None:
            return "not running"
        account = bot.account
        reasons = {
            "not synced": not account.synced,
            f"operator: {account.operator.value}": account.operator is not OperatorState.RUNNING,
            f"mode: {account.mode.value}": account.mode is not Mode.NORMAL,
            " ".join(sorted(block.value for block in account.breakers.blocks)): bool(account.breakers.blocks),
        }
        return ", ".join(word for word, holds in reasons.items() if holds)

    def _look(self, now_ms: int) -> None:
        core, links = self._world.server.core, self._cut_off()
        shut = (symbol for symbol in self._symbols if not core.instrument(symbol).trading)
        standing = set(map(closed_cause, shut))
        if self._absent():
            standing.add(because.BOT)
        if LinkKind.REST in links:
            standing.add(because.NETWORK)
        if LinkKind.USER in links or self._untold(now_ms):
            standing.add(because.STREAM)
        if self._world.disk_ms[1] > SLOW_DISK_MS:
            standing.add(because.STORE)
        if standing != self._standing:
            self._changed(standing)
        listen_key = self._world.server.app.hub.keys.active(self.checkers.mirror.account_id)
        if listen_key is not None:
            self.checkers.secrets.secrets[listen_key] = "listen key"
        self._note_bot(now_ms)

    def _changed(self, standing: set[Cause]) -> None:
        """What stands now and did not a second ago, and the other way round."""
        before, self._standing = self._standing, standing
        for cause in sorted(standing - before, key=str):
            self.checkers.began(cause)
            self._note(cause, began=True)
        for cause in sorted(before - standing, key=str):
            self.checkers.ended(cause, self._grace_ms(cause))
            self._note(cause, began=False)

    def _grace_ms(self, cause: Cause) -> int:
        """How long who was kept from acting needs to notice that it may."""
        bounds = self.checkers.bounds
        known: dict[Cause, int] = {
            because.BOT: bounds.start_ms,
            because.STREAM: bounds.doubt_ms,
            because.STORE: bounds.doubt_ms,
        }
        return known.get(cause, bounds.tries_pause_ms)

    def _note(self, cause: Cause, *, began: bool) -> None:
        """Whatever plan brought it about: no healthy bot trades while these stand."""
        if cause not in (because.BOT, because.NETWORK):
            return
        if began:
            self.checkers.useful.began(str(cause))
        else:
            self.checkers.useful.ended(str(cause), self._world.now_ms)

    def _absent(self) -> bool:
        """Dead, frozen or not started, and not by an error of its own."""
        world = self._world
        if not world.lives:
            return True
        life = world.life
        return not (life.running and life.process.runs) and life.ended_by is None

    def _cut_off(self) -> set[LinkKind]:
        """Kinds of links over which little or nothing passes."""
        network = self._world.network
        kinds = {link.kind for link in network._links.values() if link.is_cut}
        for kind, now in network.conditions.items():
            if now.stall or now.refuse or now.unreachable or now.latency_ms[1] >= SLOW_MS:
                kinds.add(kind)
        return kinds

    def _untold(self, now_ms: int) -> bool:
        """Events of the account are being lost, delayed or doubled at the exchange.

        Requests tell of their faults themselves; messages are counted here.
        """
        active = [each for each in self._world.server.faults.listing() if each.fault.kind in ON_SOCKETS]
        struck = sum(each.fired for each in active)
        if struck > self._messages_struck:
            self.checkers.struck("stream", now_ms)
        self._messages_struck = struck
        mine = (each for each in active if each.fault.stream in ON_THE_ACCOUNT and not each.spent)
        return any(each.within(now_ms) for each in mine)

    def _note_bot(self, now_ms: int) -> None:
        bot = self._bot()
        if bot is None:
            return
        running = bot.account.operator is OperatorState.RUNNING
        if running is bool(self.checkers.given.in_force):
            self.checkers.given.obeyed("run" if running else bot.account.operator.value, now_ms)
        awaited = self._awaited
        if awaited is self._world.life and bot.account.synced:
            self._awaited = None
            self.checkers.restarts.came(state_of(bot, settled=settled(bot)))


def watch_world(
    world: World,
    *,
    on_first: Callable[[Violation], None] = lambda violation: None,
    budget: Decimal = Decimal("0.5"),
) -> WorldWatch:
    """Put checkers to *world*, whose bot has not been started yet.

    *on_first* hears of each checker's first violation; *budget* is the share of the exchange's message
    limits that the bot may use.
    """
    return WorldWatch(world, on_first=on_first, budget=budget)


class WatchedStage:
    """A stage whose troubles the checkers hear of; plays in its place."""

    def __init__(self, stage: Stage, watch: WorldWatch) -> None:
        self._stage, self._watch = stage, watch

    def elapsed_ms(self) -> int:
        return self._stage.elapsed_ms()

    async def moment(self, moment: Moment, until_ms: int) -> bool:
        return await self._stage.moment(moment, until_ms)

    async def strike(self, schedule: Schedule, trouble: Trouble) -> Heal:
        watch, kind = self._watch, trouble.kind
        if not trouble.for_ms:
            if KINDS[kind].plane is not Plane.PROCESS:  # deaths and pauses are seen
                watch.trouble_struck(kind)
            return await self._stage.strike(schedule, trouble)
        watch.trouble_began(kind)
        try:
            heal = await self._stage.strike(schedule, trouble)
        except BaseException:
            watch.trouble_ended(kind)
            raise

        async def healed() -> int:
            try:
                return await heal()
            finally:
                watch.trouble_ended(kind)

        return healed


def settled(bot: Bot) -> bool:
    """Whether nothing waits: no write or order to become durable, no news to be applied."""
    memory: Any = bot.account.memory
    ordered = not bot.supervisor.desk.written.is_set()
    return not (memory._outbox or memory._pump is not None or len(bot.supervisor.inbox) or ordered)


def _overhear(bot: Bot, told: Callable[[Approved], None]) -> None:
    """Hear of every request in the moment it is handed to the exchange's client."""
    exchange: Any = bot.account.exchange
    submit = exchange.submit

    async def overheard(approved: Approved) -> Answer:
        told(approved)
        answer: Answer = await submit(approved)
        return answer

    exchange.submit = overheard


# --- what a start would remember ---------------------------------------------------------------------


class _AtOnce:
    """Stands in for the writer and for the seam for blocking work: everything is done at once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def submit(self, function: Callable[[Connection], T], *, urgent: bool = False) -> T:
        return self._store.write(function)

    async def __call__(self, work: Callable[[], T], /) -> T:
        return work()


def rebuild(database: Path, settings: BotSettings, clock: Clock) -> Remembered:
    """What a bot that starts from *database* would remember; asked of a copy."""
    folder = new_folder()
    try:
        copy = folder / database.name
        for suffix in ("", "-wal"):
            part = database.with_name(database.name + suffix)
            if part.exists():
                shutil.copyfile(part, copy.with_name(copy.name + suffix))
        store = open_store(copy, quick_check=False)
        try:
            return _run(_memory(store, settings, clock).recall())
        finally:
            store.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _memory(store: Store, settings: BotSettings, clock: Clock) -> StoreMemory:
    at_once: Any = _AtOnce(store)
    return StoreMemory(
        store=store,
        writer=at_once,
        blocking=at_once,
        clock=clock,
        account_id=settings.account_id,
        user_id="",
        exchange=settings.exchange,
        lease_epoch=0,
        log=lambda event, fields: None,
    )


def _run(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("expected a coroutine that waits for nothing, found one that waits")
