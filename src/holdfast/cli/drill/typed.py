"""The options of `holdfast drill` as they are typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

# typer reads these at run time; Optional[X] keeps them readable for every Python it supports.
Rows = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Argument(metavar="ROW", help="With --gauntlet: only these rows (G02) or drills (G03-408)."),
]
Gauntlet = Annotated[bool, typer.Option("--gauntlet", help="The named drills, each with its verdict.")]
Worlds = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--worlds", min=1, help="So many, of the seeds from --seed on; without it just one."),
]
Hours = Annotated[float, typer.Option("--hours", min=0.05, help="Length of each, in simulated time.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The first world's number.")]
Exchange = Annotated[str, typer.Option("--exchange", help="binance, bingx or bitget.")]
Jobs = Annotated[int, typer.Option("--jobs", min=0, help="Processes at a time; 0 = one per processor.")]
Plant = Annotated[
    str, typer.Option("--plant", help="Plant this mistake in the bot; `list` prints what there is.")
]
Calm = Annotated[bool, typer.Option("--calm", help="The same worlds with nothing going wrong.")]
Replay = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--replay", help="A plan that a violation left: run it again, to the same digest."),
]
Explain = Annotated[bool, typer.Option("--explain", help="Print the timeline around each violation.")]
Json = Annotated[bool, typer.Option("--json", help="Data for machines on standard output.")]
ReportFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--report", help="Write one HTML page about it here."),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the plans of violations.")]
Shrink = Annotated[
    int, typer.Option("--shrink", min=0, help="Runs spent on making a violation's plan small; 0 = none.")
]
Twice = Annotated[
    int, typer.Option("--twice", min=1, help="One of so many runs again under another hash seed, compared.")
]
Soak = Annotated[
    bool, typer.Option("--soak", help="Gauntlet, plants, calm worlds, then new seeds for --minutes.")
]
Minutes = Annotated[float, typer.Option("--minutes", min=0, help="Of real time, for --soak.")]
