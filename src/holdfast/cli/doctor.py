"""`holdfast doctor`: whether a bot with this configuration could trade, and what stands in its way (R1.14).

Each examination is a question of its own: one that fails hides no other. Nothing is sent that changes
anything, so it may be asked beside a running bot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from holdfast.cli.exits import Exit, Failure
from holdfast.cli.looking import Desk, Where, at_desk, not_known, patiently, without_stop
from holdfast.cli.operate import put
from holdfast.cli.preflight import rights, worth_a_look
from holdfast.domain.account import AccountConfig, Balance
from holdfast.domain.instrument import Instrument
from holdfast.domain.intents import Priority
from holdfast.domain.numbers import plain
from holdfast.exchanges.port import ExchangeError


class Level(StrEnum):
    """How bad a finding is, in this order."""

    FINE = "fine"
    WARNING = "warning"
    FAULT = "fault"
    VIOLATED = "violated"


@dataclass(frozen=True, slots=True)
class Finding:
    examined: str
    level: Level
    words: str


STATUS = {
    Level.FINE: Exit.FINE,
    Level.WARNING: Exit.FINE,
    Level.FAULT: Exit.FAILED,
    Level.VIOLATED: Exit.GUARANTEE_VIOLATED,
}


def doctor(where: Where, *, as_json: bool) -> int:
    """Print what was found; 1 when something stands in the way of trading, 3 when a position has no stop."""

    async def work(desk: Desk) -> int:
        found = [finding async for finding in examine(desk)]
        if as_json:
            put([{"examined": f.examined, "level": f.level.value, "words": f.words} for f in found])
        else:
            _show(found)
        return max(STATUS[finding.level] for finding in found)

    return at_desk(where, work)


def _show(found: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    colours = {Level.FINE: "green", Level.WARNING: "yellow"}
    table = Table(title="doctor", title_justify="left")
    for name in ("examined", "verdict", "found"):
        table.add_column(name, overflow="fold")
    for each in found:
        colour = colours.get(each.level, "red")
        table.add_row(each.examined, f"[{colour}]{each.level.value}[/{colour}]", each.words)
    Console().print(table)


# --- examinations --------------------------------------------------------------------------------


async def examine(desk: Desk) -> AsyncIterator[Finding]:
    """Everything, in the order in which one would put it right. Without the exchange it ends early."""
    for finding in _settings(desk):
        yield finding
    try:
        await patiently(desk.exchange.open)
    except ExchangeError as error:
        settings = desk.loaded.settings
        words = f"{settings.address}: expected {settings.exchange} to answer, found: {error}"
        yield Finding("exchange", Level.FAULT, words)
        return
    yield _reached(desk)
    yield _clock(desk)
    for name, examination in EXAMINATIONS.items():
        for finding in await _asked(name, examination, desk):
            yield finding
    yield _budget(desk)


Examination = Callable[[Desk], Awaitable[list[Finding]]]


async def _asked(name: str, examination: Examination, desk: Desk) -> list[Finding]:
    try:
        return await examination(desk)
    except ExchangeError as error:
        return [Finding(name, Level.FAULT, str(not_known(error, name)))]
    except Failure as failure:
        return [Finding(name, Level.FAULT, str(failure))]


def _settings(desk: Desk) -> list[Finding]:
    settings = desk.loaded.settings
    words = f"{settings.trading_mode} on {settings.exchange} at {settings.address}, hash {desk.loaded.hash}"
    warnings = [Finding("configuration", Level.WARNING, words) for words in desk.loaded.warnings]
    return [Finding("configuration", Level.FINE, words), *warnings]


def _reached(desk: Desk) -> Finding:
    listed = len(desk.exchange.instruments())
    words = f"answers in about {2 * desk.exchange.clock_uncertainty_ms()} ms, lists {listed} contracts"
    return Finding("exchange", Level.FINE, words)


def _clock(desk: Desk) -> Finding:
    """What counts is what correcting leaves: the offset itself is corrected in every request."""
    left, allowed = (
        desk.exchange.clock_uncertainty_ms(),
        desk.loaded.settings.breakers.clock_uncertainty_ms_max,
    )
    words = f"ours is {-desk.exchange.clock_offset_ms()} ms ahead, known to {left} ms (allowed {allowed})"
    return Finding("clock", Level.FINE if left <= allowed else Level.FAULT, words)


async def _account(desk: Desk) -> list[Finding]:
    settings = desk.loaded.settings
    config = (await patiently(lambda: desk.exchange.account_config(priority=Priority.OBSERVE))).value
    wrong = [Finding("keys", Level.FAULT, words) for words in rights(config, settings)]
    looks = [Finding("account", Level.WARNING, words) for words in worth_a_look(config, settings)]
    fine = Finding("keys", Level.FINE, f"taken by {settings.exchange}, may trade") if not wrong else None
    modes = f"{config.position_mode} mode, {_leverages(desk, config)}"
    return [*([fine] if fine else wrong), Finding("account", Level.FINE, modes), *looks]


def _leverages(desk: Desk, config: AccountConfig) -> str:
    known = {symbol: config.leverage.get(symbol) for symbol in desk.loaded.settings.symbols}
    return "leverage " + ", ".join(f"{symbol} {value or 'not told'}" for symbol, value in known.items())


async def _money(desk: Desk) -> list[Finding]:
    settings = desk.loaded.settings
    balance = (await patiently(lambda: desk.exchange.balance(priority=Priority.OBSERVE))).value
    words = f"equity {plain(balance.equity)}, available {plain(balance.available)} {balance.currency}"
    level = Level.FINE if balance.available > 0 else Level.FAULT
    rules = {symbol: desk.exchange.instrument(symbol) for symbol in settings.symbols}
    tradable = [_tradable(desk, balance, str(symbol), each) for symbol, each in rules.items()]
    return [Finding("balance", level, words), *tradable]


def _tradable(desk: Desk, balance: Balance, symbol: str, rules: Instrument | None) -> Finding:
    """Whether the smallest order fits into what one order may be worth (R5.6)."""
    settings = desk.loaded.settings
    if rules is None or not rules.tradable:
        found = "one that it does not" if rules is None else "one that is halted"
        words = f"expected a contract that {settings.exchange} lets trade, found {found}"
        return Finding(symbol, Level.FAULT, words)
    most = balance.equity * settings.limits.order_notional_max_ratio
    needs = f"an order is worth at least {plain(rules.notional_min)}, limits allow {plain(round(most, 2))}"
    return Finding(symbol, Level.FINE if Decimal(rules.notional_min) <= most else Level.FAULT, needs)


async def _stops(desk: Desk) -> list[Finding]:
    naked = await without_stop(desk)
    words = "every position has a stop at the exchange"
    if naked:
        words = "WITHOUT A STOP: " + ", ".join(f"{p.symbol} {plain(p.quantity)}" for p in naked)
    return [Finding("stops", Level.VIOLATED if naked else Level.FINE, words)]


EXAMINATIONS: dict[str, Examination] = {"account": _account, "balance": _money, "stops": _stops}


def _budget(desk: Desk) -> Finding:
    """What the questions above used, and others at this address: the exchange's own count where it tells."""
    said = desk.exchange.budget()
    limits = [
        name.removesuffix("_limit") for name in said if name.startswith("budget_") and name.endswith("_limit")
    ]
    shares = {name: said[f"{name}_used"] / said[f"{name}_limit"] for name in limits if said[f"{name}_limit"]}
    fullest = max(shares, key=lambda name: shares[name], default="")
    if not fullest:
        return Finding("budget", Level.WARNING, "this exchange's limits are not known")
    used, limit = said[f"{fullest}_used"], said[f"{fullest}_limit"]
    words = f"{fullest.removeprefix('budget_')}: {used:g} of {limit:g} used"
    return Finding("budget", Level.FINE if shares[fullest] < 0.7 else Level.WARNING, words)
