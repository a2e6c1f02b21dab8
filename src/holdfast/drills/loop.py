"""An event loop in virtual time: it never waits, and the same seed gives the same order of steps.

Idle, it jumps exactly to the next timer. Callbacks keep asyncio's first-in-first-out order, on which
transports rely; among adjacent *task steps* the seed picks, for asyncio promises nothing there. What
virtual time cannot contain is forbidden loudly: threads, sockets, DNS, subprocesses.

A simulated operating-system `Process` is a mark in the context of everything that runs for it. A dead
process never runs again, without a last word; a paused one finds all that came meanwhile when it wakes.
"""

# asyncio's private parts are in no stub, and what is forbidden returns nothing.
# mypy: disable-error-code="attr-defined,override"

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import heapq
import inspect
import random
import sys
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NoReturn, TypeVar
from unittest import mock

T = TypeVar("T")
TASKS_TIDY = 256
SHUFFLED_MAX = 16
"""Among so many task steps at the head of the queue the next one is picked."""
CHECK_EVERY_STEPS = 100_000
UNWIND_MAX = 50
_SWEEP_MIN = 512


class Deadlock(RuntimeError):
    """Nothing is ready and no timer is set: everybody waits for something that will never come."""


class Forbidden(RuntimeError):
    """Something that cannot be simulated: it would bring real time or real chance."""


class StepLimit(RuntimeError):
    """More steps than the drill allows: somebody spins."""


@dataclass(slots=True, eq=False)
class Process:
    """One simulated process, as the loop sees it. *alive* and *paused* are set by `SimLoop`."""

    name: str
    alive: bool = True
    paused: bool = False
    held: list[asyncio.Handle] = field(default_factory=list)
    """What became due while it was paused."""
    tasks: list[weakref.ref[asyncio.Task[Any]]] = field(default_factory=list)
    """All that were started, in their order; finished ones leave when there are many."""
    left: list[asyncio.Task[Any]] = field(default_factory=list)
    """What a dead one left unfinished: held, or the collector would come upon it, and it would complain."""
    _tidy_at: int = TASKS_TIDY

    @property
    def runs(self) -> bool:
        return self.alive and not self.paused

    def started(self, task: asyncio.Task[Any]) -> None:
        """Remember a task: a dead process's have to be put away without a word."""
        self.tasks.append(weakref.ref(task))
        if len(self.tasks) >= self._tidy_at:
            self.tasks = [weakref.ref(each) for each in self.unfinished()]
            self._tidy_at = 2 * len(self.tasks) + TASKS_TIDY

    def unfinished(self) -> list[asyncio.Task[Any]]:
        """Its tasks that are not done, in the order of their start."""
        found = (each() for each in self.tasks)
        return [task for task in found if task is not None and not task.done()]


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("PROCESS", default=None)
"""Whose code is running; None = the world's own (the exchange, the drill)."""

BeforeStep = Callable[[int, str], None]
"""Called with the step's number (of its process) and the task's name."""


class _Handle(asyncio.Handle):
    """asyncio's own without its checks for debugging: there is one for every step of a world."""

    __slots__ = ()

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: SimLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._callback, self._args, self._loop = callback, args, loop
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False
        self._repr = self._source_traceback = None


class _Timer(asyncio.TimerHandle):
    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: SimLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._when, self._callback, self._args, self._loop = when, callback, args, loop
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False
        self._repr = self._source_traceback = None
        self._scheduled = True

    def cancel(self) -> None:
        if not self._cancelled:
            self._loop._timer_handle_cancelled(self)
            self._cancelled = True
            self._callback = self._args = None  # type: ignore[assignment]


class SimLoop(asyncio.BaseEventLoop):
    """Run a drill with `run_drill`. Uses private parts of asyncio that `tests/drills` watches."""

    def __init__(self, chance: random.Random | None, *, steps_max: int | None = None) -> None:
        """*chance* picks among ready task steps (None: in their order)."""
        super().__init__()
        self._now = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._sequence = 0
        self._cancelled = 0
        self._tasks = 0
        self._chance = chance
        self.steps = 0
        """Callbacks and task steps run so far."""
        self.steps_max = steps_max
        self.before_step: BeforeStep | None = None
        """Called before each step of a process's task; may kill or pause that process."""
        self.process_steps = 0
        self.problems: list[str] = []
        """What went to the loop's exception handler: in a drill nothing may."""
        self.at_check: Callable[[], object] = _nothing
        """Called every `CHECK_EVERY_STEPS` steps: for what has to happen at fixed points."""
        self._check_at = self._next_check()
        self.set_exception_handler(_note_problem)

    # --- time --------------------------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Any = None) -> asyncio.Handle:
        """asyncio's own, without its checks for debugging."""
        if self._closed:
            self._check_closed()
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Timers of the same moment fire in the order in which they were set."""
        if self._closed:
            self._check_closed()
        timer = _Timer(when, callback, args, self, context)
        self._sequence += 1
        heapq.heappush(self._timers, (when, self._sequence, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self._cancelled += 1
        if self._cancelled > _SWEEP_MIN and self._cancelled * 2 > len(self._timers):
            self._timers = [entry for entry in self._timers if not entry[2]._cancelled]
            heapq.heapify(self._timers)
            self._cancelled = 0

    # --- one turn ----------------------------------------------------------------------------------

    def _run_once(self) -> None:
        ready: deque[asyncio.Handle] = self._ready
        timers = self._timers
        if not ready and not self._stopping:
            self._jump()
        while timers and timers[0][0] <= self._now:
            self._make_ready(ready)
        chance, may_run = self._chance, self._may_run
        count = len(ready)
        for _ in range(count):
            if chance is not None and len(ready) > 1:
                _pick(ready, chance)
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle._context.get(PROCESS)
            if process is None or may_run(process, handle):
                handle._run()
        self.steps += count
        if self.steps >= self._check_at:
            self._check_steps()

    def _jump(self) -> None:
        """To the very moment of the next timer: adding to the time would round, and then spin."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
            self._cancelled -= 1
        if not timers:
            raise Deadlock(f"at {self._now:.3f} s nothing is ready and no timer is set")
        self._now = max(self._now, timers[0][0])

    def _make_ready(self, ready: deque[asyncio.Handle]) -> None:
        """Take the first timer, which is due."""
        handle = heapq.heappop(self._timers)[2]
        handle._scheduled = False
        if handle._cancelled:
            self._cancelled -= 1
        else:
            ready.append(handle)

    def _may_run(self, process: Process, handle: asyncio.Handle) -> bool:
        """Whether a step of *process* may run; one of a paused process is kept for later."""
        if self.before_step is not None and process.alive and not process.paused:
            task = getattr(handle._callback, "__self__", None)
            if isinstance(task, asyncio.Task):
                self.process_steps += 1
                self.before_step(self.process_steps, task.get_name())
        if process.alive and process.paused:
            process.held.append(handle)
        return process.alive and not process.paused

    def _check_steps(self) -> None:
        if self.steps_max is not None and self.steps > self.steps_max:
            raise StepLimit(f"at {self._now:.3f} s: {self.steps} steps, expected at most {self.steps_max}")
        self.at_check()
        self._check_at = self._next_check()

    def _next_check(self) -> int:
        """The number of steps at which to look next."""
        at = self.steps + CHECK_EVERY_STEPS
        return at if self.steps_max is None else min(at, self.steps_max + 1)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: contextvars.Context | None = None
    ) -> asyncio.Task[Any]:
        self._check_closed()
        process = PROCESS.get() if context is None else context.get(PROCESS)
        self._tasks += 1  # asyncio's own numbers go on from one loop to the next
        name = name or f"task {self._tasks}"
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        if process is not None:
            process.started(task)
        return task

    # --- processes ---------------------------------------------------------------------------------

    def start_in(self, process: Process, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run *work* as the main task of *process*."""
        context = contextvars.copy_context()
        context.run(PROCESS.set, process)
        return self.create_task(work, name=name, context=context)

    def kill(self, process: Process) -> None:
        """As kill -9: nothing of it ever runs again."""
        process.alive = False
        process.held.clear()
        process.left = process.unfinished()

    def pause(self, process: Process) -> None:
        process.paused = True

    def resume(self, process: Process) -> None:
        """All that became due meanwhile runs now, in its order."""
        process.paused = False
        self._ready.extend(process.held)
        process.held.clear()

    # --- what cannot be simulated ------------------------------------------------------------------

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> NoReturn:
        raise Forbidden(f"a thread for {func!r}: blocking work goes through the seam for it")

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> NoReturn:
        raise Forbidden(f"call_soon_threadsafe({callback!r}): there is no other thread in a drill")

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> NoReturn:
        raise Forbidden(f"DNS for {host}:{port}")

    async def create_connection(self, *_: Any, **options: Any) -> NoReturn:
        raise Forbidden(f"a socket to {options.get('host')}:{options.get('port')}")

    async def create_server(self, *_: Any, **options: Any) -> NoReturn:
        raise Forbidden(f"a listening socket at {options.get('host')}:{options.get('port')}")

    async def create_datagram_endpoint(self, *_: Any, **options: Any) -> NoReturn:
        raise Forbidden(f"a datagram socket at {options.get('local_addr')}")

    async def subprocess_exec(self, *args: Any, **_: Any) -> NoReturn:
        raise Forbidden(f"a process {args[1:]}")

    async def subprocess_shell(self, *args: Any, **_: Any) -> NoReturn:
        raise Forbidden(f"a process {args[1:]}")

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """An async generator that is thrown away would be closed at a moment the collector chooses."""
        self.problems.append(f"an async generator was dropped unfinished: {agen!r}")


def _nothing() -> None:
    return


def _pick(ready: deque[asyncio.Handle], chance: random.Random) -> None:
    """Bring one of the task steps at the head of the queue to its front."""
    length = 0
    for handle in ready:
        if length == SHUFFLED_MAX or not isinstance(
            getattr(handle._callback, "__self__", None), asyncio.Task
        ):
            break
        length += 1
    if length < 2:
        return
    index = int(chance.random() * length)
    if index:
        handle = ready[index]
        del ready[index]
        ready.appendleft(handle)


def _note_problem(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio would only log: an exception that nobody retrieved, a task that was dropped."""
    if not isinstance(loop, SimLoop):
        raise TypeError(f"expected a SimLoop, found {loop!r}")
    error = context.get("exception")
    where = context.get("task") or context.get("future") or context.get("handle") or ""
    named = where.get_name() if isinstance(where, asyncio.Task) else type(where).__name__
    told = "" if error is None else f": {type(error).__name__}: {error}"
    loop.problems.append(f"{context.get('message', 'unknown')} ({named}){told}")


@cache
def _settle_garbage() -> None:
    """Once per process: what is there before the first drill (modules) is looked through no more."""
    gc.collect()
    gc.freeze()


def run_drill(loop: SimLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run *main* to its end on *loop* and close it. Garbage is collected at fixed points only: what
    destructors do (a connection given back, an exception told) would otherwise depend on memory."""
    _settle_garbage()
    with _quietly():
        gc.collect()  # what is left of the worlds before
    gc.disable()
    loop.at_check = gc.collect
    try:
        asyncio.set_event_loop(loop)
        result = loop.run_until_complete(main)
        gc.collect()  # what was dropped unnoticed has to be told before the drill is judged
        return result
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        gc.enable()


def bury(process: Process) -> None:
    """Put away what a dead process left unfinished, once its loop is closed.

    Its coroutines end here at last, and whatever they try on the way out fails: there is no loop, and
    nobody is told. Left to the collector they would do the same at some moment, aloud.
    """
    with _quietly():
        for task in process.left or process.unfinished():
            _unwind(task)
        process.left.clear()
        process.tasks.clear()
        gc.collect()


@contextmanager
def _quietly() -> Iterator[None]:
    """What a dead process's leftovers complain of while they are put away concerns nobody."""
    with warnings.catch_warnings(action="ignore"), mock.patch.object(sys, "unraisablehook"):
        yield


def _unwind(task: asyncio.Task[Any]) -> None:
    coroutine: Any = task.get_coro()
    for _ in range(UNWIND_MAX):
        if coroutine is None or inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED:
            break
        with contextlib.suppress(BaseException):
            coroutine.close()
    task._log_destroy_pending = False
