"""`holdfast drill`: which of its ways was asked for."""

from __future__ import annotations

from pathlib import Path

import typer

from holdfast.cli.drill import typed
from holdfast.cli.drill.options import EXCHANGES, PLANT_LIST, DrillOptions
from holdfast.cli.exits import EPILOG, Exit, Failure, guarded

EXAMPLES = (
    "Examples:\n\n"
    "  holdfast drill --gauntlet                      every named drill\n\n"
    "  holdfast drill --gauntlet G02 G07              these rows\n\n"
    "  holdfast drill --seed 7 --hours 24             one world: two digests, the same everywhere\n\n"
    "  holdfast drill --seed 7 --exchange bitget      the same at another exchange\n\n"
    "  holdfast drill --worlds 200 --report out.html  many worlds, and a page about them\n\n"
    "  holdfast drill --plant list                    mistakes to plant, and who has to find them\n\n"
    "  holdfast drill --replay sim-fail/7-S2.json --explain\n\n"
    "More: docs/drills.md. Status 1 here: a drill came to no verdict; 3: a promise was broken.\n\n"
    f"{EPILOG}"
)


def drill(
    rows: typed.Rows = None,
    gauntlet: typed.Gauntlet = False,
    worlds: typed.Worlds = None,
    hours: typed.Hours = 2.0,
    seed: typed.Seed = 1,
    exchange: typed.Exchange = EXCHANGES[0],
    jobs: typed.Jobs = 0,
    plant: typed.Plant = "",
    calm: typed.Calm = False,
    replay: typed.Replay = None,
    explain: typed.Explain = False,
    json: typed.Json = False,
    report: typed.ReportFile = None,
    out: typed.Out = Path("sim-fail"),
    shrink: typed.Shrink = 60,
    twice: typed.Twice = 20,
    soak: typed.Soak = False,
    minutes: typed.Minutes = 30.0,
) -> None:
    """Rehearse failure: the real bot and the simulated exchange in virtual time, judged by the exchange.

    Each seed is a world with troubles of its own. Checkers watch every promise; when all is healed the
    bot has to recover. A violation prints one line, leaves its plan as a file, and is made small.
    """
    options = DrillOptions(
        rows=tuple(rows or ()),
        gauntlet=gauntlet,
        worlds=worlds,
        hours=hours,
        seed=seed,
        exchange=exchange,
        jobs=jobs,
        plant=plant,
        calm=calm,
        replay=replay,
        explain=explain,
        json=json,
        report=report,
        out=out,
        shrink=shrink,
        twice=twice,
        soak=soak,
        minutes=minutes,
    )
    raise typer.Exit(guarded(lambda: run_drill(options)))


def run_drill(options: DrillOptions) -> int:
    """Run what was asked for; its exit status. Raises `Failure`."""
    if options.plant == PLANT_LIST:
        from holdfast.cli.drill.worlds import list_plants

        return list_plants()
    options.check()
    if options.gauntlet:
        from holdfast.cli.drill.gauntlet import run_gauntlet

        return run_gauntlet(options)
    if options.replay is not None:
        from holdfast.cli.drill.replay import run_replay

        return run_replay(options, options.replay)
    if options.soak:
        from holdfast.cli.drill.soak import run_soak

        return run_soak(options)
    _known(options.plant)
    from holdfast.cli.drill.worlds import run_worlds

    return run_worlds(options)


def _known(plant: str) -> None:
    from holdfast.drills.plants import PLANTS

    if plant and plant not in PLANTS:
        known = ", ".join((PLANT_LIST, *PLANTS))
        raise Failure(f"drill: expected a planted bug out of {known}, found {plant!r}", Exit.BAD_USE)
