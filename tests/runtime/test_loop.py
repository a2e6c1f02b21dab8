"""asyncio in market time: sleeps, order of timers, sockets and libraries on top."""

import asyncio
import gc
import time

import pytest
from aiohttp import ClientSession, ClientTimeout, web

from holdfast.runtime import loop as runtime_loop
from holdfast.runtime.clock import RealClock, SharedClock
from holdfast.runtime.loop import ScaledLoop, keep_collector_away
from holdfast.runtime.pace import BOT_SLOT, PaceFile

MAY = 1_746_057_600_000


@pytest.fixture
def clock(tmp_path):
    pace = PaceFile.create(tmp_path / "pace", start_ms=MAY, speed=20.0)
    yield SharedClock(pace)
    pace.close()


def test_twenty_market_seconds_take_one_real_second(clock):
    async def main():
        before = clock.now_ms()
        await asyncio.sleep(20)
        return clock.now_ms() - before

    started = time.monotonic()
    market_ms = runtime_loop.run(main(), clock)
    assert 0.9 < time.monotonic() - started < 1.6
    assert 20_000 <= market_ms < 32_000


def test_timers_fire_in_the_order_of_their_times(clock):
    async def main():
        fired = []
        loop = asyncio.get_running_loop()
        for delay in (3.0, 1.0, 2.0, 0.5, 2.5):
            loop.call_later(delay, fired.append, delay)
        await asyncio.sleep(3.5)
        return fired

    assert runtime_loop.run(main(), clock) == [0.5, 1.0, 2.0, 2.5, 3.0]


def test_a_timeout_counts_market_time(clock):
    async def main():
        async with asyncio.timeout(5):
            await asyncio.Event().wait()

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        runtime_loop.run(main(), clock)
    assert time.monotonic() - started < 1.0


def test_a_sleeping_loop_notices_a_higher_speed(clock):
    clock.pace.set_speed(1.0)

    async def main():
        asyncio.get_running_loop().call_later(0.05, clock.pace.set_speed, 100.0)
        await asyncio.sleep(30)

    started = time.monotonic()
    runtime_loop.run(main(), clock)
    assert time.monotonic() - started < 2.0


def test_aiohttp_server_and_client_work_in_market_time(clock):
    async def slow(request):
        await asyncio.sleep(float(request.query["seconds"]))
        return web.json_response({"now": clock.now_ms()})

    async def main():
        application = web.Application()
        application.router.add_get("/", slow)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            async with ClientSession(timeout=ClientTimeout(total=10)) as session:
                async with session.get(f"http://127.0.0.1:{port}/?seconds=2") as answer:
                    told = (await answer.json())["now"]
                with pytest.raises(TimeoutError):
                    await session.get(f"http://127.0.0.1:{port}/?seconds=15")
        finally:
            await runner.cleanup()
        return told

    started = time.monotonic()
    assert runtime_loop.run(main(), clock) >= MAY + 2_000
    assert time.monotonic() - started < 3.0


def test_the_loop_says_how_late_it_is_and_leaves(clock):
    async def main():
        await asyncio.sleep(3)
        time.sleep(0.2)  # a stall of 4 market seconds
        await asyncio.sleep(1.5)
        return clock.pace.last_beat(BOT_SLOT)

    beat = runtime_loop.run(main(), clock, slot=BOT_SLOT)
    assert beat is not None
    assert beat.late_ns > 500_000_000
    assert clock.pace.last_beat(BOT_SLOT) is None


def test_with_the_real_clock_the_stock_loop_runs():
    async def main():
        return type(asyncio.get_running_loop())

    assert runtime_loop.run(main(), RealClock()) is not ScaledLoop


def test_waiting_for_the_disk_counts_as_lateness(clock):
    clock.waits.append(lambda: 100_000_000)  # 100 ms real

    async def main():
        await asyncio.sleep(2)
        return clock.pace.last_beat(BOT_SLOT)

    beat = runtime_loop.run(main(), clock, slot=BOT_SLOT)
    assert beat is not None
    assert beat.late_ns >= 2_000_000_000


def test_what_exists_is_left_alone_by_the_collector():
    """And what is made later is not."""
    gc.unfreeze()
    keep_collector_away()
    try:
        assert gc.get_freeze_count() > 1000
        gone: list[object] = []
        gone.append(gone)
        del gone
        assert gc.collect() > 0
    finally:
        gc.unfreeze()
