"""What a drill was made from: the code and the versions of everything it runs on.

A world is a function of its plan and of these. Where two runs of one plan differ, look here first.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import holdfast

SHORT = 12
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """*commit*: of the checkout, with `+` when files differ from it; *lock*: of all installed versions."""

    commit: str
    lock: str
    python: str

    def __str__(self) -> str:
        return f"commit={self.commit} lock={self.lock}"


@cache
def origin() -> Origin:
    """Of this process."""
    return Origin(commit=_commit(), lock=_lock(), python=platform.python_version())


def _commit() -> str:
    folder = Path(holdfast.__file__).resolve().parent
    found = _git(folder, "rev-parse", f"--short={SHORT}", "HEAD")
    if not found:
        return UNKNOWN
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return f"{found}+" if changed else found


def _git(folder: Path, *arguments: str) -> str:
    """Its answer; empty where there is no git or no checkout."""
    git = shutil.which("git")
    if git is None:
        return ""
    done = subprocess.run(  # noqa: S603  (our own words, no shell)
        [git, "-C", str(folder), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _lock() -> str:
    """What is installed counts, not what a file says should be."""
    named = sorted({f"{each.name}=={each.version}".lower() for each in distributions()})
    return hashlib.sha256("\n".join(named).encode()).hexdigest()[:SHORT]
