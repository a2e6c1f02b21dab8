"""One writer for everything: what waits together is committed together.

A commit costs a disk flush, a statement next to nothing. While one commit is under way everything
submitted meanwhile gathers, and goes into the next as one transaction; each submitted function runs
in its own savepoint, so that one that fails takes nothing of the others with it.

Money waits for some writes: a stop is sent only after its intent is durable. Those are *urgent*: they
go next, in a transaction of their own, and a transaction that is still taking in functions ends early
for them. So they wait for one function and one commit at most, however many books are behind.

For others nobody waits at all: the books of a fill. Those are *patient*: they keep their place, but no
commit is begun for their sake alone as long as something else may follow at once, for it would find the
disk busy. What follows a fill at once is the intent of its stop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar, cast, final

from sqlalchemy import Connection

from holdfast.store.database import Store
from holdfast.store.errors import StoreUnwritable, concerns_the_database

T = TypeVar("T")
BATCH_MAX = 256
"""Functions in one transaction: bounds how long the first of them waits for the last."""
PATIENT_S = 0.02
"""The pause (loop time) in which nothing else came, after which patient writes have their turn."""
PATIENT_MAX_S = 0.2
"""And so long they wait at most."""
PROJECT_AFTER = 32
"""Under unbroken load the projection still runs after so many commits."""
QUIET_S = 0.02
"""The projection waits for so long a pause (loop time): right behind a commit it would stand in the way
of the next write, and a pause gathers more lines into one go."""


class Blocking(Protocol):
    """The one seam for blocking work: runs *fn* off the event loop and returns its result."""

    async def __call__(self, fn: Callable[[], T], /) -> T: ...


@dataclass(frozen=True, slots=True)
class _Job:
    function: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    until_s: float
    """Loop time until which it may be kept waiting; 0 = somebody waits for it."""


@dataclass(frozen=True, slots=True)
class _Done:
    value: Any


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


def _never() -> bool:
    return False


def commit_group(
    store: Store,
    functions: Sequence[Callable[[Connection], Any]],
    enough: Callable[[], bool] = _never,
) -> list[_Done | _Failed]:
    """Run them in one transaction, each in a savepoint; the results hold once this returns.

    Once *enough* says so no further function is begun, and there are fewer results than functions.
    Raises `StoreUnwritable` when the database fails: then nothing of any is known to be durable.
    """
    if len(functions) == 1:
        return [_alone(store, functions[0])]
    results: list[_Done | _Failed] = []
    with store.transaction() as connection:
        for function in functions:
            if results and enough():
                break
            results.append(_attempt(connection, function))
    return results


def _alone(store: Store, function: Callable[[Connection], Any]) -> _Done | _Failed:
    """One by itself needs no savepoint, the transaction is its own; a stop's intent is mostly alone."""
    return _handed_over(lambda: store.write(function))


def _attempt(connection: Connection, function: Callable[[Connection], Any]) -> _Done | _Failed:
    def within_a_savepoint() -> Any:
        with connection.begin_nested():
            return function(connection)

    return _handed_over(within_a_savepoint)


def _handed_over(work: Callable[[], Any]) -> _Done | _Failed:
    """Whatever goes wrong belongs to the one who submitted the work, unless the database itself failed."""
    try:
        return _Done(work())
    except Exception as error:
        if isinstance(error, StoreUnwritable) or concerns_the_database(error):
            raise
        return _Failed(error)


@final
class GroupWriter:
    """The asyncio side of the store's one writing connection. Use it from one event loop."""

    def __init__(
        self,
        store: Store,
        blocking: Blocking,
        *,
        project: Callable[[Callable[[], bool]], object] | None = None,
    ) -> None:
        """*project* is called (through *blocking*) after commits, when there is time; it must not raise.

        What it is given says, once something urgent waits, that it should end early; it is called again.
        It is for the audit file: `project=audit_file.catch_up` of an `AuditFile`.
        """
        self._store = store
        self._blocking = blocking
        self._project = project
        self._urgent: deque[_Job] = deque()
        self._waiting: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._unprojected = 0
        """Commits since the projection last ran to its end."""
        self._closed = False
        self.commits = 0
        """Transactions committed so far."""
        self.written = 0
        """Submitted functions whose effect became durable."""

    async def submit(self, function: Callable[[Connection], T], *, urgent: bool = False) -> T:
        """Run *function* in the next transaction; returns its result once the commit is durable.

        *urgent* overtakes everything that is not, so it must not rely on what was submitted before.
        Raises what *function* raised, and then nothing of it was written; or `StoreUnwritable`,
        and then it must be taken as not written, though a commit whose answer was lost may still
        be found after a restart. Cancelling the wait before its turn takes it out of the queue;
        later it is written all the same.
        """
        return cast("T", await self.enqueue(function, urgent=urgent))

    def enqueue(
        self, function: Callable[[Connection], Any], *, urgent: bool = False, patient: bool = False
    ) -> asyncio.Future[Any]:
        """`submit` without waiting: its place is taken when this returns, so the order of several is the
        order of these calls. (Tasks that submit take their places in whatever order they first run.)

        *patient*: nobody waits for it, so it may lie for `PATIENT_MAX_S`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._closed:
            text = f"database {self._store.where}: expected an open writer, found it closed"
            future.set_exception(StoreUnwritable(text))
            return future
        until_s = loop.time() + PATIENT_MAX_S if patient else 0.0
        (self._urgent if urgent else self._waiting).append(_Job(function, future, until_s))
        self._go_on()
        return future

    def project(self) -> None:
        """Have the projection run again though nothing was committed: what it writes to may work again."""
        if self._project is not None and not self._closed:
            self._unprojected += 1
            self._go_on()

    def _go_on(self) -> None:
        self._arrived.set()
        if self._pump is None:
            self._pump = asyncio.create_task(self._drain(), name="store-writer")

    async def close(self) -> None:
        """Finish what waits, then refuse everything. The store itself stays open."""
        self._closed = True
        self._arrived.set()
        while self._pump is not None:
            await asyncio.wait([self._pump])

    async def _drain(self) -> None:
        try:
            while self._urgent or self._waiting or self._unprojected:
                if self._urgent or self._waiting:
                    await self._lie_in_wait()
                    await self._commit_waiting()
                    self._unprojected += self._project is not None
                if self._project and (self._unprojected >= PROJECT_AFTER or await self._quiet()):
                    await self._blocking(partial(self._project, self._urgent_waits))
                    self._unprojected = len(self._urgent)  # it may have ended early for them
        finally:
            # The queues are empty here unless this task was cancelled or the seam itself has failed.
            self._pump = None
            left = (*self._urgent, *self._waiting)
            _fail((job.future for job in left), "the writer was stopped before its turn came")
            self._urgent.clear()
            self._waiting.clear()

    async def _lie_in_wait(self) -> None:
        """While all that waits is patient: until a moment passes in which nothing comes."""
        loop = asyncio.get_running_loop()
        while not (self._closed or self._urgent) and all(job.until_s for job in self._waiting):
            pause_s = min(PATIENT_S, self._waiting[0].until_s - loop.time())
            if pause_s <= 0 or not await self._comes_within(pause_s):
                return

    async def _quiet(self) -> bool:
        """Nothing waits, and nothing comes for a moment (at once when closing)."""
        if self._urgent or self._waiting:
            return False
        return self._closed or not await self._comes_within(QUIET_S)

    async def _comes_within(self, pause_s: float) -> bool:
        self._arrived.clear()
        try:
            async with asyncio.timeout(pause_s):
                await self._arrived.wait()
        except TimeoutError:
            return False
        return True

    async def _commit_waiting(self) -> None:
        urgent = bool(self._urgent)
        batch = self._take()
        if not batch:
            return
        futures = [job.future for job in batch]
        try:
            # An urgent group is not cut short, it is what the others are cut short for.
            enough = _never if urgent else self._urgent_waits
            work = partial(commit_group, self._store, [job.function for job in batch], enough)
            results = await self._blocking(work)
            self.commits += 1
            for future, result in zip(futures, results, strict=False):
                self._answer(future, result)
            # What was not begun keeps its place.
            self._waiting.extendleft(reversed(batch[len(results) :]))
            del futures[len(results) :]
        except StoreUnwritable as error:
            _fail(futures, str(error))
        finally:
            _fail(futures, "the writer was stopped before the commit was confirmed")
        if urgent:
            # Who waited sends now, before the thread takes processor time for the books.
            await asyncio.sleep(0)

    def _take(self) -> list[_Job]:
        """The next transaction's jobs that somebody still waits for: urgent ones go by themselves."""
        queue = self._urgent or self._waiting
        taken = [queue.popleft() for _ in range(min(BATCH_MAX, len(queue)))]
        return [job for job in taken if not job.future.done()]

    def _urgent_waits(self) -> bool:
        """Asked on the blocking thread; reading a length is safe there."""
        return bool(self._urgent)

    def _answer(self, future: asyncio.Future[Any], result: _Done | _Failed) -> None:
        self.written += isinstance(result, _Done)
        if future.done():
            return
        if isinstance(result, _Done):
            future.set_result(result.value)
        else:
            future.set_exception(result.error)


def _fail(futures: Iterable[asyncio.Future[Any]], why: str) -> None:
    """Tell those that have no answer yet."""
    for future in futures:
        if not future.done():
            future.set_exception(StoreUnwritable(why))
