"""What `holdfast drill` was asked for, and what of it fits together."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from holdfast.cli.exits import Exit, Failure

PLANT_LIST = "list"
EXCHANGES = ("binance", "bingx", "bitget")


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillOptions:
    """As typed; *jobs* 0 = one per processor."""

    rows: tuple[str, ...] = ()
    gauntlet: bool = False
    soak: bool = False
    worlds: int | None = None
    hours: float = 2.0
    seed: int = 1
    exchange: str = "binance"
    jobs: int = 0
    minutes: float = 30.0
    plant: str = ""
    calm: bool = False
    replay: Path | None = None
    explain: bool = False
    json: bool = False
    report: Path | None = None
    out: Path = Path("sim-fail")
    shrink: int = 60
    twice: int = 20

    @property
    def processes(self) -> int:
        return self.jobs or os.cpu_count() or 1

    @property
    def asked(self) -> str:
        """The command, for a report."""
        return shlex.join(["holdfast", *sys.argv[1:]])

    def check(self) -> None:
        """Raises `Failure` (bad use) where the parts contradict each other."""
        if self.exchange not in EXCHANGES:
            raise _bad(f"expected --exchange out of {', '.join(EXCHANGES)}, found {self.exchange!r}")
        ways = {
            "--gauntlet": self.gauntlet,
            "--replay": self.replay is not None,
            "--soak": self.soak,
            "--worlds": self.worlds is not None,
        }
        chosen = [name for name, wanted in ways.items() if wanted]
        if len(chosen) > 1:
            raise _bad(f"expected one of {', '.join(ways)}, found {' and '.join(chosen)}")
        if self.rows and not self.gauntlet:
            raise _bad(f"expected --gauntlet before the names of its rows, found {' '.join(self.rows)}")
        if self.exchange != EXCHANGES[0] and (self.replay is not None or self.soak):
            raise _bad(
                "--exchange is for worlds by seed and the gauntlet: a plan names its own, a soak has all"
            )
        whole = [name for name in ("--gauntlet", "--replay", "--soak") if ways[name]]
        for option, given in {"--plant": bool(self.plant), "--calm": self.calm}.items():
            if whole and given:
                raise _bad(f"{option} is for worlds by seed, found {whole[0]} beside it")


def _bad(sentence: str) -> Failure:
    return Failure(f"drill: {sentence}", Exit.BAD_USE)
