"""The file that remembers a ban."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.store.bans import BanFile
from tests.exchanges.support import HandClock

HERE, THERE = "https://here.test", "https://there.test"


class Desk:
    def __init__(self, path: Path) -> None:
        self.clock, self.lines = HandClock(), list[str]()
        self.path = path / "ban.json"
        self.file = self.made()
        self.bans = self.file.of(HERE)

    def made(self) -> BanFile:
        """As a new process reads it."""
        return BanFile(self.path, self.clock, lambda event, fields: self.lines.append(event))


def test_ban_runs_out_and_is_never_longer_than_it_was_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.bans.left_ms() == 0
    desk.bans.note(60_000)
    desk.clock.pass_ms(20_000)
    assert desk.bans.left_ms() == 40_000
    desk.clock.pass_ms(-3_600_000)
    assert desk.bans.left_ms() == 60_000
    desk.clock.pass_ms(3_700_000)
    assert desk.bans.left_ms() == 0
    assert desk.lines == []


def test_each_exchange_has_its_own_ban(tmp_path: Path) -> None:
    """One process serves several: what one of them says holds nobody else back."""
    desk = Desk(tmp_path)
    desk.bans.note(60_000)
    assert (desk.file.of(HERE).left_ms(), desk.file.of(THERE).left_ms()) == (60_000, 0)
    desk.clock.pass_ms(10_000)
    desk.file.of(THERE).note(20_000)
    again = desk.made()
    assert (again.of(HERE).left_ms(), again.of(THERE).left_ms()) == (50_000, 20_000)
    desk.clock.pass_ms(30_000)
    again.of(HERE).note(5_000)
    assert list(json.loads(desk.path.read_text())) == [HERE]


@pytest.mark.parametrize("found", ["", "[]", '{"https://here.test": {}}', '{"at_ms": 1, "for_ms": 1}'])
def test_file_that_says_nothing_is_told_and_holds_nobody_up(tmp_path: Path, found: str) -> None:
    desk = Desk(tmp_path)
    desk.path.write_text(found)
    assert desk.bans.left_ms() == 0
    assert desk.lines == ["error.ban_file"]


def test_file_that_cannot_be_written_is_told_and_written_later(tmp_path: Path) -> None:
    """The disk was full when the ban was heard (dense seed 50046)."""
    desk = Desk(tmp_path / "later")
    desk.bans.note(10_000)
    assert "ban.json" in desk.file.problem
    (tmp_path / "later").mkdir()
    desk.clock.pass_ms(1_000)
    desk.file.keep()
    assert (desk.file.problem, desk.bans.left_ms()) == ("", 9_000)
    desk.path.unlink()
    desk.file.keep()
    assert not desk.path.exists()
