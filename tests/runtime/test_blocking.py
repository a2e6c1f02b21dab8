"""One thread, in order, and nothing lost."""

import asyncio
import threading

import pytest

from holdfast.runtime.blocking import Blocking


async def test_work_is_done_in_order_on_one_named_thread():
    blocking, done = Blocking("store"), []

    def work(number):
        done.append((number, threading.current_thread().name))
        return number

    results = await asyncio.gather(*(blocking(lambda n=n: work(n)) for n in range(20)))
    blocking.close()
    assert results == list(range(20))
    assert [number for number, _ in done] == list(range(20))
    assert {name for _, name in done} == {"holdfast-store_0"}


async def test_what_the_work_raises_reaches_the_caller():
    blocking = Blocking("store")
    with pytest.raises(ZeroDivisionError):
        await blocking(lambda: 1 / 0)
    blocking.close()


async def test_closing_finishes_what_was_handed_over():
    blocking, gate, done = Blocking("store"), threading.Event(), []
    waiting = asyncio.create_task(blocking(lambda: (gate.wait(5), done.append(1))), name="work")
    await asyncio.sleep(0)
    gate.set()
    blocking.close()
    blocking.close()
    assert done == [1]
    await waiting


async def test_how_long_the_oldest_call_is_waited_for_is_known():
    blocking, gate = Blocking("store"), threading.Event()
    assert blocking.waiting_ns() == 0
    waiting = [asyncio.create_task(blocking(lambda: gate.wait(5)), name=f"work-{n}") for n in range(2)]
    await asyncio.sleep(0.05)
    assert blocking.waiting_ns() >= 40_000_000
    gate.set()
    await asyncio.gather(*waiting)
    assert blocking.waiting_ns() == 0
    blocking.close()
