"""Group commit: fewer commits, no poison, and what was answered is there after any kill."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import exc, select

from holdfast.store import audit
from holdfast.store.audit_file import AuditFile, verify_file
from holdfast.store.database import Store, open_store
from holdfast.store.errors import JournalRefused, StoreUnwritable
from holdfast.store.journal import open_intents, write_ahead
from holdfast.store.schema import meta
from holdfast.store.writer import BATCH_MAX, PATIENT_MAX_S, PATIENT_S, GroupWriter
from tests.store.builders import ACCOUNT, ETH, NOW, journaled, running


class Seam:
    """Blocking work on one thread, as in the running bot; *before* runs on it first."""

    def __init__(self) -> None:
        self.executor = ThreadPoolExecutor(max_workers=1)
        self.before: Callable[[], object] = lambda: None

    async def __call__(self, fn: Callable[[], Any], /) -> Any:
        def work() -> Any:
            self.before()
            return fn()

        return await asyncio.get_running_loop().run_in_executor(self.executor, work)


@pytest_asyncio.fixture
async def seam() -> AsyncIterator[Seam]:
    made = Seam()
    yield made
    made.executor.shutdown()


@pytest_asyncio.fixture
async def writer(store: Store, seam: Seam) -> AsyncIterator[GroupWriter]:
    made = GroupWriter(store, seam)
    yield made
    await made.close()


def _put(key: str) -> Callable[[Any], str]:
    def work(connection: Any) -> str:
        connection.execute(meta.insert().values(key=key, value="v", updated_ms=NOW))
        return key

    return work


def _keys(store: Store) -> set[str]:
    return set(store.read(lambda c: c.execute(select(meta.c.key)).scalars().all()))


async def test_what_waits_together_is_committed_together(writer: GroupWriter, store: Store):
    keys = [f"k{number}" for number in range(100)]
    answers = await asyncio.gather(*(writer.submit(_put(key)) for key in keys))
    assert answers == keys
    assert _keys(store) == set(keys)
    assert writer.commits == 1
    assert writer.written == 100


async def test_what_comes_during_a_commit_goes_into_the_next(writer: GroupWriter, seam: Seam, store: Store):
    loop = asyncio.get_running_loop()
    later: list[asyncio.Task[str]] = []

    def arrive() -> None:
        later.extend(asyncio.create_task(writer.submit(_put(f"late{n}"))) for n in range(20))

    def meanwhile() -> None:
        seam.before = lambda: None
        loop.call_soon_threadsafe(arrive)

    seam.before = meanwhile
    await writer.submit(_put("first"))
    while not later:
        await asyncio.sleep(0)
    await asyncio.gather(*later)
    assert len(_keys(store)) == 21
    assert writer.commits <= 3


async def test_a_large_crowd_is_served_in_bounded_batches(writer: GroupWriter):
    await asyncio.gather(*(writer.submit(_put(f"k{number}")) for number in range(BATCH_MAX + 1)))
    assert writer.commits == 2


async def test_an_urgent_write_overtakes_all_that_waits(writer: GroupWriter, store: Store):
    """A stop's intent is durable before any of the books that were handed over earlier."""
    durable_at: dict[str, int] = {}

    async def put(key: str, *, urgent: bool = False) -> None:
        await writer.submit(_put(key), urgent=urgent)
        durable_at[key] = writer.commits

    books = [put(f"book{number}") for number in range(50)]
    await asyncio.gather(*books, put("stop", urgent=True), put("other stop", urgent=True))
    assert durable_at["stop"] == durable_at["other stop"] == 1
    assert {durable_at[f"book{number}"] for number in range(50)} == {2}
    assert len(_keys(store)) == 52


async def test_a_running_transaction_ends_early_for_an_urgent_write(writer: GroupWriter, store: Store):
    """It waits for the function that runs and its commit; the rest follows in its old order."""
    loop = asyncio.get_running_loop()
    order: list[str] = []
    arrived = threading.Event()
    urgent: list[asyncio.Task[str]] = []

    def note(key: str) -> Callable[[Any], str]:
        def work(connection: Any) -> str:
            order.append(key)
            return _put(key)(connection)

        return work

    def arrive() -> None:
        urgent.append(asyncio.create_task(writer.submit(note("stop"), urgent=True)))
        loop.call_soon(arrived.set)

    def slow(connection: Any) -> str:
        loop.call_soon_threadsafe(arrive)
        assert arrived.wait(10)
        return note("slow")(connection)

    await asyncio.gather(*(writer.submit(each) for each in (slow, note("second"), note("third"))))
    assert await urgent[0] == "stop"
    assert order == ["slow", "stop", "second", "third"]
    assert (writer.commits, writer.written) == (3, 4)
    assert _keys(store) == set(order)


async def test_one_that_fails_takes_nothing_of_the_others(writer: GroupWriter, store: Store):
    """Its own error, its own savepoint, whatever kind of error it is."""

    def breaks(connection: Any) -> None:
        _put("half")(connection)
        raise LookupError("mine")

    def wrong_sql(connection: Any) -> None:
        _put("other half")(connection)
        connection.execute(meta.insert().values(key="a", value=None, updated_ms=NOW))

    work = [_put("a"), breaks, _put("a"), wrong_sql, _put("b")]
    answers = await asyncio.gather(*(writer.submit(each) for each in work), return_exceptions=True)
    assert [type(answer) for answer in answers] == [
        str,
        LookupError,
        exc.IntegrityError,
        exc.IntegrityError,
        str,
    ]
    assert _keys(store) == {"a", "b"}
    assert (writer.commits, writer.written) == (1, 2)


async def test_one_that_fails_alone_leaves_nothing(writer: GroupWriter, store: Store):
    """Without a group its savepoint is the transaction."""

    def breaks(connection: Any) -> None:
        _put("half")(connection)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await writer.submit(breaks)
    await writer.submit(_put("after"))
    assert _keys(store) == {"after"}


async def test_two_entries_in_one_commit_still_see_each_other(writer: GroupWriter, store: Store):
    """The journal's condition holds within a group: one of two entries on a symbol is refused."""
    await writer.submit(running)
    entries = [journaled("hf-1-a"), journaled("hf-1-b"), journaled("hf-1-c", symbol=ETH)]
    answers = await asyncio.gather(
        *(writer.submit(lambda c, e=each: write_ahead(c, e, at_ms=NOW)) for each in entries),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [type(None), JournalRefused, type(None)]
    assert [each.client_id for each in store.read(lambda c: open_intents(c, ACCOUNT))] == ["hf-1-a", "hf-1-c"]


async def test_a_locked_database_fails_all_and_recovers(sqlite_path: Path, seam: Seam):
    """Gauntlet G26: nobody is told that it was written; the next submit tries anew."""
    store = open_store(sqlite_path, busy_ms=20)
    writer = GroupWriter(store, seam)
    other = sqlite3.connect(sqlite_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    failed = await asyncio.gather(*(writer.submit(_put(f"k{n}")) for n in range(3)), return_exceptions=True)
    assert [type(answer) for answer in failed] == [StoreUnwritable] * 3
    assert len({id(answer) for answer in failed}) == 3
    other.execute("ROLLBACK")
    other.close()
    assert await writer.submit(_put("k0")) == "k0"
    assert (_keys(store), writer.commits) == ({"k0"}, 1)
    await writer.close()
    store.close()


async def test_a_full_disk_fails_all_and_keeps_what_was_there(sqlite_store: Store, seam: Seam):
    writer = GroupWriter(sqlite_store, seam)
    await writer.submit(_put("before"))

    def too_much(connection: Any) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count=1")
        connection.execute(meta.insert().values(key="big", value="x" * 3_000_000, updated_ms=NOW))

    work = [_put("small"), too_much, _put("small too")]
    failed = await asyncio.gather(*(writer.submit(each) for each in work), return_exceptions=True)
    assert [type(answer) for answer in failed] == [StoreUnwritable] * 3
    assert "size limit full" in str(failed[0])
    assert _keys(sqlite_store) == {"before"}
    await writer.close()


async def test_a_wait_cancelled_before_its_turn_writes_nothing(writer: GroupWriter, store: Store):
    waiting = asyncio.create_task(writer.submit(_put("never")))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await writer.submit(_put("after"))
    assert _keys(store) == {"after"}


async def test_closing_finishes_what_waits_then_refuses(writer: GroupWriter, store: Store):
    waiting = asyncio.create_task(writer.submit(_put("last")))
    await asyncio.sleep(0)
    await writer.close()
    assert await waiting == "last"
    assert _keys(store) == {"last"}
    with pytest.raises(StoreUnwritable, match="expected an open writer"):
        await writer.submit(_put("too late"))


async def test_a_seam_that_breaks_leaves_nobody_waiting(sqlite_store: Store, seam: Seam):
    writer = GroupWriter(sqlite_store, seam)

    def broken() -> None:
        raise InterruptedError("the thread is gone")

    seam.before = broken
    pumps: list[asyncio.Task[None]] = []
    waiting = [asyncio.create_task(writer.submit(_put(f"k{n}"))) for n in range(3)]
    await asyncio.sleep(0)
    assert writer._pump is not None
    pumps.append(writer._pump)
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnwritable] * 3
    ended = await asyncio.gather(*pumps, return_exceptions=True)
    assert isinstance(ended[0], InterruptedError)
    await writer.close()


async def test_the_audit_file_follows_the_commits(sqlite_store: Store, seam: Seam, tmp_path: Path):
    file = AuditFile(tmp_path / "logs" / "audit.jsonl", sqlite_store, lambda: NOW)
    writer = GroupWriter(sqlite_store, seam, project=file.catch_up)
    for number in range(3):
        await writer.submit(lambda c, n=number: audit.append(c, "TEST", "", {"n": n}, NOW))
    await writer.close()
    head = sqlite_store.read(audit.head)
    assert head[0] == 3
    assert verify_file(tmp_path / "logs" / "audit.jsonl", expected_head=head).ok


async def test_the_audit_file_waits_for_a_pause(sqlite_store: Store, seam: Seam):
    """Writes that follow one another are not held up by the projection; a pause brings it."""
    loop = asyncio.get_running_loop()
    projected: list[int] = []
    done = asyncio.Event()

    def project(_enough: Callable[[], bool]) -> None:
        projected.append(writer.commits)
        loop.call_soon_threadsafe(done.set)

    writer = GroupWriter(sqlite_store, seam, project=project)
    for number in range(5):
        await writer.submit(_put(f"k{number}"))
    await done.wait()
    assert projected == [5]
    await writer.submit(_put("last"))
    await writer.close()
    assert projected == [5, 6]


_CHILD = """
import asyncio, sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from holdfast.store import audit
from holdfast.store.database import open_store
from holdfast.store.writer import PATIENT_MAX_S, PATIENT_S, GroupWriter

async def main():
    executor = ThreadPoolExecutor(max_workers=1)
    async def seam(fn, /):
        return await asyncio.get_running_loop().run_in_executor(executor, fn)
    writer = GroupWriter(open_store(sys.argv[1]), seam)
    async def one(lane):
        number = 0
        while True:
            number += 1
            name = f"{lane}-{number}"
            await writer.submit(lambda c: audit.append(c, "TEST", name, {}, 1))
            print(name, flush=True)
    await asyncio.gather(*(one(lane) for lane in range(4)))

asyncio.run(main())
"""


@pytest.mark.process
@pytest.mark.parametrize("answers", [1, 120])
def test_a_kill_in_the_middle_of_commits_loses_nothing_answered(
    sqlite_path: Path, tmp_path: Path, answers: int
):
    """kill -9 while four lanes write: every answered event is there, the chain holds, no half group."""
    script = tmp_path / "child.py"
    script.write_text(_CHILD)
    child = subprocess.Popen(
        [sys.executable, str(script), str(sqlite_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    told = [child.stdout.readline().strip() for _ in range(answers)]
    child.kill()
    told += child.stdout.read().split()
    child.wait()
    store = open_store(sqlite_path)
    held = store.read(lambda c: [event.correlation_id for event in audit.events_after(c, 0)])
    assert store.read(audit.verify).ok
    store.close()
    assert set(told) - {""} <= set(held)
    assert len(held) == len(set(held)) >= answers


async def test_patient_writes_let_what_follows_at_once_go_first(writer: GroupWriter, store: Store):
    """The books of a fill, and then the intent of its stop: it must not find the disk busy with them."""
    order: list[str] = []

    def noted(key: str) -> Callable[[Any], object]:
        def work(connection: Any) -> object:
            order.append(key)
            return _put(key)(connection)

        return work

    books = [writer.enqueue(noted(f"fill {number}"), patient=True) for number in range(3)]
    await asyncio.sleep(PATIENT_S / 4)
    await writer.submit(noted("stop"), urgent=True)
    assert order == ["stop"]
    assert not any(future.done() for future in books)
    await asyncio.gather(*books)
    assert order == ["stop", "fill 0", "fill 1", "fill 2"]
    assert writer.commits == 2


async def test_somebody_who_waits_takes_the_patient_ones_along(writer: GroupWriter):
    """An entry is judged by the outcomes before it: they keep their place, and nobody waits longer."""
    began = asyncio.get_running_loop().time()
    before = writer.enqueue(_put("outcome"), patient=True)
    await writer.submit(_put("entry"))
    assert before.done()
    assert writer.commits == 1
    assert asyncio.get_running_loop().time() - began < PATIENT_MAX_S


async def test_patience_ends_though_urgent_ones_keep_coming(writer: GroupWriter):
    patient = writer.enqueue(_put("books"), patient=True)
    async with asyncio.timeout(10 * PATIENT_MAX_S):
        for number in count():
            await writer.submit(_put(f"stop {number}"), urgent=True)
            if patient.done():
                break
            await asyncio.sleep(PATIENT_S / 4)


async def test_the_projection_can_be_asked_for_without_a_commit(sqlite_store: Store, seam: Seam):
    rounds: list[int] = []
    writer = GroupWriter(sqlite_store, seam, project=lambda enough: rounds.append(1))
    writer.project()
    await writer.close()
    writer.project()
    assert (rounds, writer.commits) == ([1], 0)
