"""Virtual time: exact jumps, seeded order, processes that die or freeze, and what is forbidden."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from holdfast.drills.blocking import DrillBlocking
from holdfast.drills.loop import PROCESS, Deadlock, Forbidden, Process, SimLoop, StepLimit, bury, run_drill


def run(work: Callable[[SimLoop], Coroutine[Any, Any, Any]], seed: int | None = None, **options: Any) -> Any:
    loop = SimLoop(None if seed is None else random.Random(seed), **options)
    return run_drill(loop, work(loop))


def test_asyncio_still_has_the_private_parts_the_loop_stands_on() -> None:
    """Runs first: an upgrade of Python that moves one of them is named here."""
    loop = SimLoop(None)
    try:
        timer = loop.call_at(1.0, print)
        handle = loop.call_soon(print)
        task_like = asyncio.Task.__init__
        for holder, name in (
            (loop, "_ready"),
            (loop, "_stopping"),
            (loop, "_run_once"),
            (loop, "_check_closed"),
            (loop, "_timer_handle_cancelled"),
            (timer, "_scheduled"),
            (timer, "_cancelled"),
            (handle, "_callback"),
            (handle, "_context"),
            (handle, "_run"),
        ):
            assert hasattr(holder, name), f"asyncio lost {type(holder).__name__}.{name}"
        assert callable(task_like)
    finally:
        loop.close()


def test_a_task_step_is_known_by_its_callback() -> None:
    """What the seeded pick and the hook before steps stand on, for first steps and wake-ups alike."""

    async def work(loop: SimLoop) -> list[str]:
        seen: list[str] = []
        loop.before_step = lambda _, name: seen.append(name)
        await loop.start_in(Process("p"), asyncio.sleep(1), "sleeper")
        return seen

    assert run(work) == ["sleeper", "sleeper"]


def test_time_jumps_exactly_to_each_timer() -> None:
    async def work(loop: SimLoop) -> list[float]:
        times = []
        for pause in (0.1, 3600.0, 1e-9, 86_400 * 365.0):
            await asyncio.sleep(pause)
            times.append(loop.time())
        return times

    times = run(work)
    assert times[0] == 0.1
    assert times[1] == 3600.1
    assert times[2] > times[1]
    assert times[3] == times[2] + 86_400 * 365.0


def test_timers_of_one_moment_fire_in_the_order_they_were_set() -> None:
    async def work(loop: SimLoop) -> list[int]:
        fired: list[int] = []
        for number in range(50):
            loop.call_at(5.0, fired.append, number)
        await asyncio.sleep(6)
        return fired

    assert run(work, seed=1) == list(range(50))


def _race(loop: SimLoop) -> Coroutine[Any, Any, list[int]]:
    async def one(order: list[int], number: int) -> None:
        await asyncio.sleep(1)
        order.append(number)

    async def work() -> list[int]:
        order: list[int] = []
        await asyncio.gather(*(one(order, number) for number in range(6)))
        return order

    return work()


def test_the_seed_picks_among_ready_steps_and_always_alike() -> None:
    orders = {seed: run(_race, seed) for seed in range(20)}
    assert len({tuple(order) for order in orders.values()}) > 10
    assert all(run(_race, seed) == order for seed, order in orders.items())
    assert run(_race, None) == list(range(6))


def test_a_check_await_act_race_is_found() -> None:
    """Two who look first and act later: in order they never meet, shuffled they sometimes do."""

    async def work(loop: SimLoop) -> int:
        taken = 0

        async def take() -> None:
            nonlocal taken
            await asyncio.sleep(0)
            free = taken == 0
            await asyncio.sleep(0)
            if free:
                taken += 1

        async def second() -> None:
            for _ in range(3):
                await asyncio.sleep(0)
            await take()

        await asyncio.gather(take(), second())
        return taken

    assert run(work) == 1
    assert {run(work, seed) for seed in range(40)} == {1, 2}


def test_waiting_for_what_never_comes_is_a_deadlock() -> None:
    async def work(loop: SimLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="nothing is ready"):
        run(work)


def test_spinning_ends_at_the_step_limit() -> None:
    async def work(loop: SimLoop) -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(StepLimit, match="expected at most 1000"):
        run(work, steps_max=1000)


async def _thread(loop: SimLoop) -> None:
    await asyncio.to_thread(print)


async def _from_a_thread(loop: SimLoop) -> None:
    loop.call_soon_threadsafe(print)


async def _process(loop: SimLoop) -> None:
    await asyncio.create_subprocess_exec("true")


async def _dns(loop: SimLoop) -> None:
    await loop.getaddrinfo("example.org", 443)


async def _socket(loop: SimLoop) -> None:
    await asyncio.open_connection("127.0.0.1", 1)


async def _server(loop: SimLoop) -> None:
    await asyncio.start_server(print, "127.0.0.1", 0)


async def _datagrams(loop: SimLoop) -> None:
    await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))


@pytest.mark.parametrize("what", [_thread, _from_a_thread, _process, _dns, _socket, _server, _datagrams])
def test_what_cannot_be_simulated_is_loud(what: Callable[[SimLoop], Coroutine[Any, Any, None]]) -> None:
    with pytest.raises(Forbidden):
        run(what)


def test_a_killed_process_never_runs_again_without_a_last_word() -> None:
    async def work(loop: SimLoop) -> list[str]:
        said: list[str] = []

        async def live() -> None:
            try:
                while True:
                    await asyncio.sleep(1)
                    said.append("alive")
            finally:
                said.append("last words")

        process = Process("p")
        loop.start_in(process, live(), "live")
        await asyncio.sleep(2.5)
        loop.kill(process)
        await asyncio.sleep(10)
        told = list(said)
        bury(process)
        assert not process.unfinished()
        return told

    assert run(work) == ["alive", "alive"]


def test_what_a_process_starts_belongs_to_it() -> None:
    async def work(loop: SimLoop) -> list[str | None]:
        owners: list[str | None] = []

        def note() -> None:
            process = PROCESS.get()
            owners.append(process.name if process else None)

        async def child() -> None:
            note()
            loop.call_later(1, note)

        async def parent() -> None:
            await asyncio.create_task(child())

        await loop.start_in(Process("p"), parent(), "parent")
        note()
        await asyncio.sleep(2)
        return owners

    assert run(work) == ["p", None, "p"]


def test_a_paused_process_finds_all_that_came_meanwhile_in_order() -> None:
    async def work(loop: SimLoop) -> list[tuple[int, float]]:
        seen: list[tuple[int, float]] = []

        async def live() -> None:
            for number in (1, 2, 3):
                loop.call_later(number, lambda number=number: seen.append((number, loop.time())))
            await asyncio.sleep(100)

        process = Process("p")
        loop.start_in(process, live(), "live")
        await asyncio.sleep(1.5)
        loop.pause(process)
        await asyncio.sleep(30)
        assert seen == [(1, 1.0)]
        loop.resume(process)
        await asyncio.sleep(1)
        return seen

    assert run(work) == [(1, 1.0), (2, 31.5), (3, 31.5)]


def test_the_hook_before_a_step_may_kill_right_there() -> None:
    async def work(loop: SimLoop) -> int:
        done = 0
        process = Process("p")

        async def live() -> None:
            nonlocal done
            while True:
                done += 1
                await asyncio.sleep(1)

        def die_at_third(number: int, _: str) -> None:
            if number == 3:
                loop.kill(process)

        loop.before_step = die_at_third
        loop.start_in(process, live(), "live")
        await asyncio.sleep(10)
        bury(process)
        return done

    assert run(work) == 2


def test_an_exception_that_nobody_retrieves_is_a_problem_of_the_drill() -> None:
    loop = SimLoop(None)

    async def work() -> None:
        async def fail() -> None:
            raise ValueError("told to nobody")

        asyncio.create_task(fail(), name="careless")  # noqa: RUF006 — dropped on purpose
        await asyncio.sleep(1)

    run_drill(loop, work())
    assert loop.problems == [
        "Task exception was never retrieved (careless): ValueError: told to nobody",
    ]


# --- blocking work -------------------------------------------------------------------------------


def test_blocking_work_is_done_in_order_and_told_later() -> None:
    async def work(loop: SimLoop) -> tuple[list[str], list[float]]:
        blocking = DrillBlocking(loop, random.Random(3), (10, 50))
        order: list[str] = []
        told: list[float] = []

        async def ask(name: str) -> None:
            await blocking(lambda: order.append(name))
            told.append(loop.time())

        await asyncio.gather(*(ask(name) for name in "abcdef"))
        return order, told

    order, told = run(work, seed=None)
    assert order == list("abcdef")
    assert told == sorted(told)
    assert 0.06 <= told[-1] <= 0.3


def test_blocking_work_is_finished_for_a_caller_that_gave_up() -> None:
    async def work(loop: SimLoop) -> bool:
        blocking = DrillBlocking(loop, random.Random(3), (1000, 1000))
        done: list[bool] = []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await blocking(lambda: done.append(True))
        assert not done
        await asyncio.sleep(2)
        return bool(done)

    assert run(work)


def test_blocking_errors_reach_the_caller() -> None:
    async def work(loop: SimLoop) -> None:
        def fail() -> None:
            raise OSError("no space left")

        await DrillBlocking(loop, random.Random(1), (0, 1))(fail)

    with pytest.raises(OSError, match="no space"):
        run(work)


@pytest.mark.parametrize(("where", "done"), [("before", False), ("after", True)])
def test_a_process_may_die_on_either_side_of_its_work(where: str, done: bool) -> None:
    async def work(loop: SimLoop) -> list[str]:
        blocking = DrillBlocking(loop, random.Random(3), (5, 5))
        process = Process("p")
        seen: list[str] = []

        def die(_: str) -> None:
            loop.kill(process)

        blocking.before_work, blocking.after_work = (die, None) if where == "before" else (None, die)

        async def live() -> None:
            await blocking(lambda: seen.append("done"))
            seen.append("told")

        loop.start_in(process, live(), "live")
        await asyncio.sleep(1)
        bury(process)
        return seen

    assert run(work) == (["done"] if done else [])
