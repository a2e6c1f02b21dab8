"""The demo's two processes: started apart from the terminal, watched, and ended in the right order."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.cli.exits import Exit, Failure

POLL_S = 0.05
TAIL_LINES = 15
NAMED_SETTINGS = (
    "DRY_RUN",
    "BOT_TEST_MODE",
    "GLOBAL_KILL_SWITCH",
    "ERROR_RATE_THRESHOLD",
    "EQUITY_DRAWDOWN_THRESHOLD",
)
"""Variables of the user's own bot beside `HOLDFAST_*`: a demo is not it."""


@dataclass(slots=True)
class Child:
    """A process of ours; everything it prints is in *output*."""

    name: str
    process: asyncio.subprocess.Process
    output: Path

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    def tail(self) -> str:
        """Its last words."""
        lines = self.output.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  | {line}" for line in lines[-TAIL_LINES:])

    def crashed(self) -> Failure:
        """What to say when it ended by itself. Bad use stays bad use."""
        status = self.process.returncode
        words = f"the {self.name} ended by itself with status {status}:\n{self.tail()}"
        return Failure(words, Exit.BAD_USE if status == Exit.BAD_USE else Exit.FAILED)

    async def stop(self, patience_s: float) -> int | None:
        """SIGTERM, then wait; its exit status, or None when it had to be killed."""
        if self.running:
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(patience_s):
                return await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            return None

    def kill(self) -> None:
        """At once; for the way out of an error."""
        if self.running:
            self.process.kill()


async def start(name: str, arguments: Sequence[str], output: Path, extra: Mapping[str, str]) -> Child:
    """Run `python -m holdfast …` in a session of its own: Ctrl-C reaches the demo, which ends it in order.

    *extra* goes into its environment, over ours; settings of the user's own bot are left out.
    """
    ours = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("HOLDFAST_") and key not in NAMED_SETTINGS
    }
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "holdfast",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            env={**ours, "PYTHONUNBUFFERED": "1", **extra},
        )
    return Child(name, process, output)


async def first_json(child: Child, patience_s: float) -> dict[str, Any]:
    """The first line of JSON that *child* prints. Raises `Failure` when it ends or says nothing."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        for line in child.output.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("{") and line.endswith("}"):
                found: dict[str, Any] = json.loads(line)
                return found
        if not child.running:
            raise child.crashed()
        await asyncio.sleep(POLL_S)
    raise Failure(f"the {child.name} did not come up within {patience_s:g} s:\n{child.tail()}")
