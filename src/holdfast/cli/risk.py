"""`holdfast risk-monitor` and `holdfast check positions`: guarantees looked at from outside the bot.

Both ask the exchange themselves, beside a running bot or without one. A question that fails proves
neither that all is well nor that it is not, and has an exit status of its own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from holdfast.cli.exits import Exit, Failure, say
from holdfast.cli.looking import Desk, Where, at_desk, differences, not_known, patiently, without_stop
from holdfast.cli.operate import existing_home, put
from holdfast.engine.snapshot import stops_missing_file
from holdfast.exchanges.port import ExchangeError
from holdfast.store.atomic import write_atomic
from holdfast.store.database import open_store
from holdfast.store.flags import RiskFlag, set_flag, stoploss_missing


async def _opened(desk: Desk) -> None:
    try:
        await patiently(desk.exchange.open)
    except ExchangeError as error:
        raise not_known(error, desk.loaded.settings.address) from error


def check_stops(
    home: Path, config: Path | None, *, exchange: str | None, account: str | None, as_json: bool
) -> int:
    """Print `stoploss_missing=[…]`, set the flag and the metric; 0 none, 1 some, 4 not known (R2.1 to R2.4).

    *exchange* and *account*: which are meant; None = the home's. Another one is bad use.
    """
    existing_home(home)

    async def work(desk: Desk) -> int:
        settings = desk.loaded.settings
        _meant("exchange", settings.exchange, exchange)
        _meant("account", settings.account_id, account)
        await _opened(desk)
        naked = sorted(str(position.symbol) for position in await without_stop(desk))
        _leave(desk, naked)
        if as_json:
            put({"exchange": desk.loaded.settings.exchange, "stoploss_missing": naked})
        else:
            sys.stdout.write(f"stoploss_missing={json.dumps(naked)}\n")
        return Exit.FAILED if naked else Exit.FINE

    return at_desk(Where(home=home, config=config), work)


def _meant(what: str, has: str, asked: str | None) -> None:
    if asked not in (None, has):
        raise Failure(f"{what}: expected the one of this home, {has}, found {asked}", Exit.BAD_USE)


def _leave(desk: Desk, naked: list[str]) -> None:
    """The flag in the database and the metric's file, as the bot itself leaves them."""
    settings, now = desk.loaded.settings, desk.clock.now_ms()
    flag = RiskFlag(
        flag=stoploss_missing(settings.exchange),
        value=int(bool(naked)),
        account_id=settings.account_id,
        user_id=settings.user_id,
        exchange=settings.exchange,
        detail=", ".join(naked),
        updated_ms=now,
    )
    store = open_store(desk.home.database)
    try:
        store.write(lambda connection: set_flag(connection, flag))
    finally:
        store.close()
    name, text = stops_missing_file(settings.exchange, settings.account_id, len(naked))
    write_atomic(desk.home.metrics / name, text.encode(), durable=False)


def check_positions(home: Path, config: Path | None, *, as_json: bool) -> int:
    """Compare the books with the exchange; 0 in sync, 1 not, 4 not known (R3.6)."""
    existing_home(home)

    async def work(desk: Desk) -> int:
        await _opened(desk)
        count, found = await differences(desk)
        if as_json:
            rows = [
                {
                    "symbol": str(each.key.symbol),
                    "side": each.key.side.value,
                    "books": str(each.booked),
                    "exchange": str(each.held),
                }
                for each in found
            ]
            put({"compared": count, "differences": rows})
        for each in found:
            say(each.words)
        say(f"{count} positions compared, {len(found)} differ")
        return Exit.FAILED if found else Exit.FINE

    return at_desk(Where(home=home, config=config), work)
