"""The command `holdfast`: what can be asked, with examples. The work is done in the modules beside it.

Everything heavy is imported inside the commands, so that `--help` is instant.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Optional

import typer

from holdfast.cli.drill import command as drill_command
from holdfast.cli.exits import EPILOG, Exit, guarded
from holdfast.runtime.pace import BOT_SLOT, SLOTS

app = typer.Typer(
    name="holdfast",
    help="A crypto-futures trading bot that holds fast: every position protected on the exchange, no order"
    " doubled or forgotten.\n\nStart with `holdfast demo`: it trades a simulated exchange before your eyes.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
checks = typer.Typer(
    help="Check what a bot relies on, without trading.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(checks, name="check")

DEFAULT_HOME = Path("~/.holdfast")

# typer reads these annotations at run time; Optional[X] keeps them readable for every Python it supports.
HomeOption = Annotated[
    Path,
    typer.Option(
        "--home", envvar="HOLDFAST_HOME", help="Folder of this bot: database, logs, token.", show_default=True
    ),
]
ConfigOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--config", envvar="HOLDFAST_CONFIG", help="Configuration file; default: holdfast.toml in the home."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Data for machines on standard output.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit log.")]
ExchangeOption = Annotated[
    str, typer.Option("--exchange", help="Which exchange: binance, bingx, bitget; all = the three at once.")
]
OtherExchangeOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--exchange", help="Overrides account.exchange: binance, bingx, bitget."),
]
BaseUrlOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--base-url", help="Overrides account.base_url: the exchange's (a simulator's) address."),
]
SymbolsOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--symbols", help="What to trade, by commas, in any spelling: BTC/USDT,ETHUSDT."),
]
DataOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--data", help="Folder of candles to replay (freqtrade's feather files)."),
]
StartOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--start", help="Where in the data to begin: 2025-05-06T07:00 (UTC) or milliseconds."),
]
SeedOption = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--seed", help="Generate a market from this number instead of replaying data."),
]
PaceOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--pace", hidden=True, help="Pace file of a shared, scaled clock."),
]
ParentOption = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--parent", hidden=True, help="End when this process is gone."),
]


def _finish(command: Callable[[], int]) -> None:
    raise typer.Exit(guarded(command))


@app.command(epilog=f"Example: holdfast demo --symbols BTC/USDT,SOL/USDT --minutes 60 --speed 20\n\n{EPILOG}")
def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="Lines of progress instead of a screen.")
    ] = False,
    json: JsonOption = False,
    exchange: ExchangeOption = "binance",
    symbols: SymbolsOption = None,
    data: DataOption = None,
    seed: SeedOption = None,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="How long, in market time.")] = 30.0,
    speed: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            "--speed",
            min=0.1,
            max=200,
            help="Ceiling: times real time, held back if need be; default: 20, with all exchanges 8.",
        ),
    ] = None,
    home: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--home", help="Empty or new folder to keep; default: a temporary one."),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="The bot's HTTP port, 0 = any.")
    ] = 8000,
    start: StartOption = None,
    latency_ms: Annotated[int, typer.Option("--latency-ms", min=0, help="Round trip to the exchange.")] = 50,
) -> None:
    """Watch the bot trade a simulated exchange, and end it flat.

    Starts an exchange in a box and the bot as two processes at many times real time; with --exchange all
    the three exchanges over one market, and a bot at each. No network, no account, no money. With --json
    the last line of standard output is one JSON object; what it says about the exchange comes from the
    simulator, not from the bot.
    """
    from holdfast.cli.demo.prepare import DemoOptions
    from holdfast.cli.demo.run import run_demo

    options = DemoOptions(
        headless=headless,
        json=json,
        exchange=exchange,
        symbols=symbols,
        data=data,
        seed=seed,
        minutes=minutes,
        asked_speed=speed,
        home=home,
        port=port,
        start=start,
        latency_ms=latency_ms,
    )
    _finish(lambda: run_demo(options))


@app.command(
    epilog="Example: holdfast run --home ~/bot --exchange binance --base-url http://127.0.0.1:9100\n\n"
    "The status tells how the shutdown ended: 0 all flat, 1 partly or not, 3 a guarantee was violated.\n\n"
    f"{EPILOG}"
)
def run(
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    exchange: OtherExchangeOption = None,
    base_url: BaseUrlOption = None,
    symbols: SymbolsOption = None,
    port: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--port", min=0, max=65_535, help="Overrides http.port."),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help='Real money. Needs mode = "live" and a passed `check config`.')
    ] = False,
    pace: PaceOption = None,
    pace_slot: Annotated[
        int, typer.Option("--pace-slot", min=BOT_SLOT, max=SLOTS - 1, hidden=True)
    ] = BOT_SLOT,
    parent: ParentOption = None,
    await_config: Annotated[bool, typer.Option("--await-config", hidden=True)] = False,
) -> None:
    """Run the bot until SIGTERM or Ctrl-C, then close what it holds.

    The default mode is paper: no order ever leaves for a real exchange.
    """
    from holdfast.cli.runbot import RunOptions, run_bot_command

    options = RunOptions(
        home=home,
        config=config,
        exchange=exchange,
        base_url=base_url,
        symbols=symbols,
        port=port,
        live=live,
        pace=pace,
        pace_slot=pace_slot,
        parent=parent,
        await_config=await_config,
    )
    _finish(lambda: run_bot_command(options))


@app.command(
    epilog="Example: holdfast simulator --exchange binance --port 9100 --seed 7 --speed 20\n\n"
    "Example: holdfast simulator --exchange binance --exchange bingx --exchange bitget\n\n"
    "Example: holdfast simulator --data candles/ --start 2025-05-06T07:00 --accounts accounts.json\n\n"
    f"{EPILOG}"
)
def simulator(
    exchange: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--exchange", help="Which one: binance, bingx, bitget. Several: on several ports."),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="The first exchange's port, 0 = any.")
    ] = 9100,
    admin_port: Annotated[
        int, typer.Option("--admin-port", min=0, max=65_535, help="Port of the admin API, 0 = any.")
    ] = 0,
    data: DataOption = None,
    seed: SeedOption = None,
    symbols: SymbolsOption = None,
    start: StartOption = None,
    speed: Annotated[float, typer.Option("--speed", min=0.01, max=1_000, help="Times real time.")] = 1.0,
    latency_ms: Annotated[
        int, typer.Option("--latency-ms", min=0, help="Added round trip, market time.")
    ] = 0,
    accounts: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--accounts", help="JSON list of accounts; without it any key opens a demo account."),
    ] = None,
    json: JsonOption = False,
    pace: PaceOption = None,
    parent: ParentOption = None,
) -> None:
    """An exchange in a box: the real one's wire protocol, on this machine.

    Point any client of the exchange at it. Faults and the truth are on the admin port. Several exchanges
    share one market: the first is served on --port, the others on the ports behind it.
    """
    from holdfast.cli.simulate import SimulatorOptions, run_simulator

    options = SimulatorOptions(
        exchanges=tuple(exchange or ("binance",)),
        host=host,
        port=port,
        admin_port=admin_port,
        data=data,
        seed=seed,
        symbols=symbols,
        start=start,
        speed=speed,
        latency_ms=latency_ms,
        accounts=accounts,
        json=json,
        pace=pace,
        parent=parent,
    )
    _finish(lambda: run_simulator(options))


@app.command(epilog=EPILOG)
def status(home: HomeOption = DEFAULT_HOME, json: JsonOption = False) -> None:
    """Mode, state, balances, positions, alerts and the last decisions of the running bot."""
    from holdfast.cli import operate

    _finish(lambda: operate.status(home, as_json=json))


@app.command(epilog=EPILOG)
def positions(home: HomeOption = DEFAULT_HOME, json: JsonOption = False) -> None:
    """The running bot's positions, each with its stop and whether that was seen on the exchange."""
    from holdfast.cli import operate

    _finish(lambda: operate.positions(home, as_json=json))


@app.command(epilog=EPILOG)
def stop(home: HomeOption = DEFAULT_HOME, reason: ReasonOption = "", json: JsonOption = False) -> None:
    """Take no new entries. Positions stay, protected and supervised; works without the bot too."""
    from holdfast.cli import operate

    _finish(lambda: operate.order(home, operate.STOP, reason, as_json=json))


@app.command(epilog=EPILOG)
def resume(home: HomeOption = DEFAULT_HOME, reason: ReasonOption = "", json: JsonOption = False) -> None:
    """Trade again after stop, kill or a step down: clears the latch, syncs with the exchange, then trades."""
    from holdfast.cli import operate

    _finish(lambda: operate.order(home, operate.RESUME, reason, as_json=json))


@app.command(epilog=f'Example: holdfast kill --reason "news" --liquidate\n\n{EPILOG}')
def kill(
    home: HomeOption = DEFAULT_HOME,
    reason: ReasonOption = "",
    liquidate: Annotated[bool, typer.Option("--liquidate", help="Close every position too.")] = False,
    json: JsonOption = False,
) -> None:
    """Halt all trading, latched over restarts. Positions and their stops stay, unless --liquidate.

    Works when the bot does not answer: it leaves the file KILL in the home, read at every step.
    """
    from holdfast.cli import operate

    _finish(lambda: operate.order(home, operate.KILL, reason, liquidate=liquidate, as_json=json))


@app.command(epilog=EPILOG)
def flatten(home: HomeOption = DEFAULT_HOME, reason: ReasonOption = "", json: JsonOption = False) -> None:
    """Close every position of the running bot at market and take no new entries."""
    from holdfast.cli import operate

    _finish(lambda: operate.order(home, operate.FLATTEN, reason, as_json=json))


app.command(epilog=drill_command.EXAMPLES)(drill_command.drill)


@app.command(epilog=f"Example: holdfast doctor --home ~/bot\n\n{EPILOG}")
def doctor(
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    exchange: OtherExchangeOption = None,
    base_url: BaseUrlOption = None,
    live: Annotated[
        bool, typer.Option("--live", help="Look at the real exchange of a live setting.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Whether a bot with this configuration could trade: exchange, clock, keys, balance, symbols, stops.

    Asks the exchange and changes nothing, beside a running bot or without one.
    """
    from holdfast.cli import doctor as examining
    from holdfast.cli.looking import Where

    where = Where(home=home, config=config, exchange=exchange, base_url=base_url, live=live)
    _finish(lambda: examining.doctor(where, as_json=json))


@app.command("risk-monitor", epilog=f"Example: holdfast risk-monitor --check-stoploss\n\n{EPILOG}")
def risk_monitor(
    check_stoploss: Annotated[
        bool,
        typer.Option("--check-stoploss", help="Print stoploss_missing=[…]: 0 none, 1 some, 4 not known."),
    ] = False,
    check_bitget_stoploss: Annotated[
        bool, typer.Option("--check-bitget-stoploss", help="The same; this home has to be Bitget's.")
    ] = False,
    exchange: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--exchange", help="Which exchange is meant; default: this home's."),
    ] = None,
    account: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--account", help="Which account is meant; default: this home's."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Look at the exchange for positions without a covering stop, beside a running bot or without one.

    Sets the flag `<exchange>_stoploss_missing` in the database and the metric of that name.
    """
    from holdfast.cli import risk

    if not (check_stoploss or check_bitget_stoploss):
        raise typer.BadParameter("what to check: --check-stoploss or --check-bitget-stoploss")
    meant = "bitget" if check_bitget_stoploss else exchange
    _finish(lambda: risk.check_stops(home, config, exchange=meant, account=account, as_json=json))


@checks.command("positions", epilog=EPILOG)
def check_positions(
    home: HomeOption = DEFAULT_HOME, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Compare the books with what the exchange has: 0 in sync, 1 not, 4 not known."""
    from holdfast.cli import risk

    _finish(lambda: risk.check_positions(home, config, as_json=json))


@checks.command("config", epilog=EPILOG)
def check_config(
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    live: Annotated[
        bool, typer.Option("--live", help="Check for live trading, and remember that it passed.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Every setting in force, where it comes from, and the hash of all; every fault at once."""
    from holdfast.cli import check

    _finish(lambda: check.config(home, config, live=live, as_json=json))


@checks.command("audit", epilog=EPILOG)
def check_audit(home: HomeOption = DEFAULT_HOME, json: JsonOption = False) -> None:
    """Verify the chain of audit events in the database and in logs/audit.jsonl; 3 = it is broken."""
    from holdfast.cli import check

    _finish(lambda: check.audit(home, as_json=json))


OneExchangeOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--exchange", help="Only this one: binance, bingx, bitget."),
]


@app.command(epilog=f"Example: holdfast exchanges --exchange bitget --json\n\n{EPILOG}")
def exchanges(exchange: OneExchangeOption = None, json: JsonOption = False) -> None:
    """What each exchange does with stops and closes in each position mode; what is unverified says so."""
    from holdfast.cli import exchanges as known

    _finish(lambda: known.exchanges(exchange, as_json=json))


@app.command(epilog=f"Example: holdfast errors 40812 --exchange bitget\n\n{EPILOG}")
def errors(
    code: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="The exchange's code, as its answer or our log has it; without it all."),
    ] = None,
    exchange: OneExchangeOption = None,
    json: JsonOption = False,
) -> None:
    """An exchange's error code in words: what it means, what the bot makes of it, what to do."""
    from holdfast.cli import exchanges as known

    _finish(lambda: known.errors(code, exchange, as_json=json))


@app.command(epilog=EPILOG)
def version() -> None:
    """The version of this program."""
    from importlib.metadata import version as version_of

    sys.stdout.write(f"holdfast {version_of('holdfast')}\n")


def main() -> int:
    """The entry point; returns the exit status."""
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.FAILED
    return Exit.FINE
