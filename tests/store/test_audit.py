"""The chain: what was changed, removed, reordered or cut is found, in the store and in the file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from holdfast.store import audit
from holdfast.store.audit import GENESIS
from holdfast.store.audit_file import AuditFile, AuditLogger, verify_file
from holdfast.store.canonical import canonical, iso_ms
from holdfast.store.database import Store, open_store
from holdfast.store.errors import StoreError
from tests.store.builders import BTC, NOW, D

KEYS = ["timestamp", "event_type", "correlation_id", "details", "seq", "prev", "hash"]


def _append(store: Store, count: int = 1, **details: object) -> None:
    def work(connection):
        for number in range(count):
            audit.append(connection, "TEST", "liq_1", {"number": number, **details}, NOW + number)

    store.write(work)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "audit.jsonl"


@pytest.fixture
def file(sqlite_store: Store, path: Path) -> AuditFile:
    """The projection of five events."""
    _append(sqlite_store, 5)
    made = AuditFile(path, sqlite_store, lambda: NOW)
    assert made.catch_up() == 5
    return made


def _events(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- canonical JSON ------------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(anything)
def test_canonical_text_is_a_fixed_point(value: object):
    """The hashes rest on this: read back and written again it is the same text, and Unicode."""
    words = canonical(value)
    assert canonical(json.loads(words)) == words
    assert words.encode()


def test_a_moment_is_written_in_utc_with_milliseconds():
    assert iso_ms(1_795_217_341_123) == "2026-11-20T23:29:01.123Z"
    assert iso_ms(1_795_217_341_000) == "2026-11-20T23:29:01.000Z"


# --- in the store --------------------------------------------------------------------------------


def test_the_chain_holds_and_carries_its_owner(store: Store):
    def work(connection):
        audit.append(connection, "A", "c\0", {"x": D("1.10"), "s": BTC}, NOW, account_id="acc-1", user_id="u")
        audit.append(connection, "B", "", {"words": "🚨 стоп \0 \udc80"}, NOW)

    store.write(work)
    assert store.read(audit.verify) == audit.VerifyResult(ok=True, lines=2)
    first = store.read(lambda c: audit.recent(c, account_id="acc-1"))[0]
    assert audit.details_of(first) == {
        "account_id": "acc-1",
        "user_id": "u",
        "x": "1.10",
        "s": "BTC/USDT:USDT",
    }
    assert first.prev == GENESIS
    assert [event.seq for event in store.read(lambda c: audit.recent(c, event_type="B"))] == [2]


def test_an_event_is_gone_with_the_change_it_describes(store: Store):
    def work(connection):
        audit.append(connection, "A", "", {}, NOW)
        raise LookupError

    with pytest.raises(LookupError):
        store.write(work)
    assert store.read(audit.head) == (0, GENESIS)


@pytest.mark.parametrize(
    ("change", "first_bad"),
    [
        ("UPDATE audit SET details = replace(details, '2', '7') WHERE seq = 3", 3),
        ("UPDATE audit SET event_type = 'NICE' WHERE seq = 3", 3),
        ("UPDATE audit SET timestamp_ms = timestamp_ms + 1 WHERE seq = 3", 3),
        ("UPDATE audit SET correlation_id = '' WHERE seq = 3", 3),
        ("UPDATE audit SET hash = prev WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = 3", 4),
        ("DELETE FROM audit WHERE seq = 1", 2),
        ("UPDATE audit SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3)", -3),
    ],
)
def test_tampering_with_the_store_is_found(store: Store, change: str, first_bad: int):
    _append(store, 5)
    store.write(lambda c: c.execute(text(change)))
    if first_bad < 0:  # the second half of swapping two events
        store.write(lambda c: c.execute(text("UPDATE audit SET seq = -seq WHERE seq < 0")))
        first_bad = 2
    found = store.read(audit.verify)
    assert (found.ok, found.first_bad) == (False, first_bad)
    assert found.reason


# --- the file ------------------------------------------------------------------------------------


def test_each_line_has_the_documented_shape(file: AuditFile, path: Path):
    """R4.5, with seq, prev and hash behind."""
    lines = _events(path)
    assert [list(line) for line in lines] == [KEYS] * 5
    assert lines[0]["timestamp"] == iso_ms(NOW)
    assert (lines[0]["prev"], lines[1]["prev"]) == (GENESIS, lines[0]["hash"])
    assert lines[4]["details"] == {"number": 4}
    assert verify_file(path).ok


def test_the_file_follows_the_store(file: AuditFile, path: Path, sqlite_store: Store):
    _append(sqlite_store, 2)
    assert (file.catch_up(), file.catch_up(), file.problem) == (2, 0, "")
    again = AuditFile(path, sqlite_store, lambda: NOW)
    _append(sqlite_store)
    assert again.catch_up() == 1
    assert verify_file(path, expected_head=sqlite_store.read(audit.head)).ok
    assert len(_events(path)) == 8


def test_the_file_ends_early_when_told_and_goes_on_later(file: AuditFile, path: Path, sqlite_store: Store):
    """Whole lines only: something urgent waits for the disk's thread, the rest follows."""
    _append(sqlite_store, 5)
    answers = iter([False, True])
    assert file.catch_up(lambda: next(answers)) == 2
    assert verify_file(path).ok
    assert file.catch_up() == 3
    assert verify_file(path, expected_head=sqlite_store.read(audit.head)).ok


@pytest.mark.parametrize("keep", [1, 40, 250])
def test_a_torn_tail_is_cut_and_told(sqlite_store: Store, file: AuditFile, path: Path, keep: int):
    """A crash or a full disk in the middle of a line."""
    whole = path.read_bytes()
    torn = whole + b'{"timestamp":"2026-11-20T23:29:01.123Z","event_type":"TEST",'[:keep] * 9
    path.write_bytes(torn)
    again = AuditFile(path, sqlite_store, lambda: NOW)
    assert again.catch_up() == 1
    assert path.read_bytes().startswith(whole)
    last = _events(path)[-1]
    assert last["event_type"] == "AUDIT_REPAIRED"
    assert last["details"]["torn_bytes_cut"] == len(torn) - len(whole)
    assert verify_file(path, expected_head=sqlite_store.read(audit.head)).ok


def test_a_file_torn_in_its_first_line_is_made_anew(sqlite_store: Store, file: AuditFile, path: Path):
    path.write_bytes(path.read_bytes()[:30])
    assert AuditFile(path, sqlite_store, lambda: NOW).catch_up() == 6
    assert verify_file(path, expected_head=sqlite_store.read(audit.head)).ok


def test_a_rotated_file_is_rebuilt_while_running(sqlite_store: Store, file: AuditFile, path: Path):
    before = path.read_bytes()
    path.rename(path.with_suffix(".1"))
    _append(sqlite_store)
    assert file.catch_up() == 6
    assert path.read_bytes().startswith(before)


def _edit(path: Path, number: int, old: str, new: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    assert old in lines[number]
    lines[number] = lines[number].replace(old, new)
    path.write_text("".join(lines))


def _move(path: Path, order: list[int]) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[number] for number in order))


@pytest.mark.parametrize(
    ("tamper", "first_bad"),
    [
        (lambda path: _edit(path, 2, '"number":2', '"number":3'), 3),
        (lambda path: _edit(path, 2, '"details":{', '"details":{"number":0,'), 3),
        (lambda path: _edit(path, 2, '"TEST"', '"NICE"'), 3),
        (lambda path: _edit(path, 2, ".125Z", ".126Z"), 3),
        (lambda path: _edit(path, 2, '"liq_1"', "1"), 3),
        (lambda path: _edit(path, 2, '"seq":3', '"seq":true'), 3),
        (lambda path: _edit(path, 2, "{", "[" * 50_000), 3),
        (lambda path: _move(path, [0, 1, 3, 4]), 3),
        (lambda path: _move(path, [1, 2, 3, 4]), 1),
        (lambda path: _move(path, [0, 2, 1, 3, 4]), 2),
        (lambda path: _move(path, [0, 1, 2, 2, 3, 4]), 4),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), 5),
        (lambda path: _move(path, [0, 1, 2]), 4),
        (lambda path: path.write_bytes(b""), 1),
    ],
)
def test_tampering_with_the_file_is_found(
    sqlite_store: Store, file: AuditFile, path: Path, tamper, first_bad: int
):
    """Edited, removed, reordered, doubled, torn, and (against the store's head) cut off cleanly."""
    tamper(path)
    found = verify_file(path, expected_head=sqlite_store.read(audit.head))
    assert (found.ok, found.first_bad) == (False, first_bad)
    assert found.reason
    assert "\n" not in found.reason


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path):
    with pytest.raises(StoreError, match="expected a readable audit file, found: No such file"):
        verify_file(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    "tamper",
    [
        lambda path: _edit(path, 4, '"number":4', '"number":5'),
        lambda path: path.write_text("somebody's notes\n"),
        lambda path: path.write_text("\n"),
    ],
)
def test_a_file_that_disagrees_is_kept_aside_and_told(
    sqlite_store: Store, file: AuditFile, path: Path, tamper
):
    tamper(path)
    evidence = path.read_bytes()
    again = AuditFile(path, sqlite_store, lambda: NOW)
    assert again.catch_up() == 6
    last = _events(path)[-1]
    assert last["event_type"] == "AUDIT_DISAGREED"
    assert (path.parent / last["details"]["kept_as"]).read_bytes() == evidence
    assert verify_file(path, expected_head=sqlite_store.read(audit.head)).ok


def test_a_file_ahead_of_a_restored_store_is_kept_aside(
    file: AuditFile, path: Path, tmp_path: Path, sqlite_store: Store
):
    other = open_store(tmp_path / "restored.db")
    _append(other, 2)
    assert AuditFile(path, other, lambda: NOW).catch_up() == 3
    assert "which the store has not" in _events(path)[-1]["details"]["reason"]
    other.close()


def test_an_unwritable_folder_stops_nothing_and_is_told(sqlite_store: Store, tmp_path: Path):
    """The events wait in the store and follow when the disk works again."""
    (tmp_path / "logs").write_text("in the way")
    file = AuditFile(tmp_path / "logs" / "audit.jsonl", sqlite_store, lambda: NOW)
    _append(sqlite_store, 3)
    assert file.catch_up() == 0
    assert "expected to write it, found" in file.problem
    os.unlink(tmp_path / "logs")
    assert (file.catch_up(), file.problem) == (3, "")


# --- AuditLogger ---------------------------------------------------------------------------------


def test_the_logger_keeps_a_chain_of_its_own(tmp_path: Path):
    logger = AuditLogger(tmp_path / "logs", now_ms=lambda: NOW)
    assert logger.log_event("LIQUIDATION_START", "liq_20261120_232901_ab12cd", {"state": "IN_PROGRESS"})
    again = AuditLogger(tmp_path / "logs", now_ms=lambda: NOW)
    assert again.log_event("LIQUIDATION_COMPLETE")
    path = tmp_path / "logs" / "audit.jsonl"
    assert verify_file(path) == audit.VerifyResult(ok=True, lines=2)
    assert [line["correlation_id"] for line in _events(path)] == ["liq_20261120_232901_ab12cd", ""]


def test_the_logger_repairs_a_torn_end(tmp_path: Path):
    path = tmp_path / "audit.jsonl"
    AuditLogger(tmp_path, now_ms=lambda: NOW).log_event("A")
    path.write_bytes(path.read_bytes() + b'{"timest')
    AuditLogger(tmp_path, now_ms=lambda: NOW).log_event("B")
    assert [line["event_type"] for line in _events(path)] == ["A", "AUDIT_REPAIRED", "B"]
    assert verify_file(path).ok


def test_the_logger_never_continues_a_file_that_is_no_chain(tmp_path: Path):
    path = tmp_path / "audit.jsonl"
    path.write_text("notes\n")
    logger = AuditLogger(tmp_path, now_ms=lambda: NOW)
    assert not logger.log_event("A")
    assert "expected an audit file" in logger.problem
    assert path.read_text() == "notes\n"


def test_an_unwritable_folder_is_told_at_the_start_and_stops_nothing(tmp_path: Path):
    (tmp_path / "logs").write_text("in the way")
    logger = AuditLogger(tmp_path / "logs", now_ms=lambda: NOW)
    assert "expected to write it, found" in logger.problem
    assert logger.log_event("A") is False
    os.unlink(tmp_path / "logs")
    assert (logger.log_event("A"), logger.problem) == (True, "")


def test_the_logger_can_speak_into_the_store(sqlite_store: Store, tmp_path: Path):
    def sink(event_type, correlation_id, details):
        sqlite_store.write(lambda c: audit.append(c, event_type, correlation_id, details, NOW))

    logger = AuditLogger(tmp_path / "logs", now_ms=lambda: NOW, sink=sink)
    assert logger.log_event("A", details={"n": 1})
    assert sqlite_store.read(audit.head)[0] == 1
    assert not (tmp_path / "logs").exists()
