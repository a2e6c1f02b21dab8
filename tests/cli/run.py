"""Runs the command line in this process, as a user would type it."""

import sys
from dataclasses import dataclass

from holdfast.cli.main import main


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


def holdfast(monkeypatch, capsys, *arguments):
    """Exit status and output of `holdfast …`."""
    monkeypatch.setattr(sys, "argv", ["holdfast", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "200")
    capsys.readouterr()
    status = main()
    told = capsys.readouterr()
    return Ran(int(status), told.out, told.err)
