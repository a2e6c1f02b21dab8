"""Many drills over several processes, some of them twice under another hash seed.

    for done in run_fleet(judge, cases, jobs=2, twice=every(20)):
        done.answer, done.again      # None where its worker died: `done.failure` says how

What runs is a function at the top of a module, its argument and its answer are pickled. A worker that dies
is one failed drill and never silence: what it said stands on standard error, and another takes its place.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar
from unittest import mock

Task = TypeVar("Task")
Answer = TypeVar("Answer")
Twice = Callable[[int], bool]
"""Whether the task of this number (from 0) is run a second time."""

FIRST_HASH_SEED, SECOND_HASH_SEED = "0", "2"
"""Of the processes for first and for second runs; chosen so that sets of the usual symbols are walked in
another order there (many pairs walk such small sets alike)."""
TASKS_PER_WORKER = 100
"""Then its process is replaced: whatever a world leaves behind in memory ends with it."""


@dataclass(slots=True, kw_only=True)
class Done(Generic[Task, Answer]):
    """One task and what came of it; *again* only where it was run twice."""

    task: Task
    answer: Answer | None = None
    again: Answer | None = None
    failure: str = ""
    """How its worker died; it has no answer then."""


def every(count: int) -> Twice:
    """The first of each *count* tasks; 1 = all."""
    return lambda number: number % count == 0


def never(_: int) -> bool:
    return False


@dataclass(slots=True)
class _Run(Generic[Task, Answer]):
    """One task on its way through one or two workers."""

    done: Done[Task, Answer]
    second: bool
    """Another run has to follow this one."""
    hash_seed: str = FIRST_HASH_SEED


class _Worker:
    """A process that answers one task after the other."""

    def __init__(self, work: Callable[[Any], Any], hash_seed: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.hash_seed = hash_seed
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(work, theirs), daemon=True)
        with mock.patch.dict(os.environ, {"PYTHONHASHSEED": hash_seed}):
            self.process.start()
        theirs.close()
        self.tasks = 0

    def give(self, task: object) -> None:
        self.tasks += 1
        with suppress(BrokenPipeError):  # it died: found out when its answer is read
            self.pipe.send(task)

    def end(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join()


def _serve(work: Callable[[Any], Any], pipe: Connection) -> None:
    """In the worker: until nobody asks any more. An error ends it, with its traceback."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started it
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        pipe.send(work(task))


def run_fleet(
    work: Callable[[Task], Answer], tasks: Iterable[Task], *, jobs: int, twice: Twice = never
) -> Iterator[Done[Task, Answer]]:
    """Run every task in *jobs* processes at a time; answers come as they are ready.

    *tasks* is asked for the next one only when somebody is free for it, so it may be endless.
    """
    fleet: _Fleet[Task, Answer] = _Fleet(work, jobs)
    waiting = (_Run(Done[Task, Answer](task=task), second=twice(number)) for number, task in enumerate(tasks))
    try:
        while True:
            fleet.fill(waiting)
            if not fleet.busy:
                return
            yield from fleet.heard()
    finally:
        fleet.end()


@dataclass(slots=True)
class _Fleet(Generic[Task, Answer]):
    work: Callable[[Task], Answer]
    jobs: int
    busy: dict[_Worker, _Run[Task, Answer]] = field(default_factory=dict)
    _idle: list[_Worker] = field(default_factory=list)
    _again: deque[_Run[Task, Answer]] = field(default_factory=deque)
    """Waits for its second run."""

    def fill(self, waiting: Iterator[_Run[Task, Answer]]) -> None:
        while len(self.busy) < self.jobs:
            run = self._again.popleft() if self._again else next(waiting, None)
            if run is None:
                return
            worker = self._worker(run.hash_seed)
            self.busy[worker] = run
            worker.give(run.done.task)

    def heard(self) -> list[Done[Task, Answer]]:
        """Wait for an answer, or a death; the tasks that are done by it."""
        pipes = {worker.pipe: worker for worker in self.busy}
        ready = [pipes[pipe] for pipe in wait(list(pipes)) if isinstance(pipe, Connection)]
        return [done for worker in ready if (done := self._answered(worker)) is not None]

    def end(self) -> None:
        for worker in (*self._idle, *self.busy):
            worker.end()

    def _worker(self, hash_seed: str) -> _Worker:
        for worker in self._idle:
            if worker.hash_seed == hash_seed:
                self._idle.remove(worker)
                return worker
        return _Worker(self.work, hash_seed)

    def _answered(self, worker: _Worker) -> Done[Task, Answer] | None:
        run = self.busy.pop(worker)
        try:
            answer: Answer = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            run.done.failure = f"its process died with status {worker.process.exitcode}"
            worker.end()
            return run.done
        self._free(worker)
        if run.hash_seed == SECOND_HASH_SEED:
            run.done.again = answer
            return run.done
        run.done.answer = answer
        if run.second:
            self._again.append(_Run(run.done, second=False, hash_seed=SECOND_HASH_SEED))
            return None
        return run.done

    def _free(self, worker: _Worker) -> None:
        if worker.tasks >= TASKS_PER_WORKER:
            worker.end()
        else:
            self._idle.append(worker)
