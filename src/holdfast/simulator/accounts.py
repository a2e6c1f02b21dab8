"""The accounts file: who may trade on the simulated exchange, with which secret and money."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import orjson

from holdfast.domain.account import PositionMode
from holdfast.domain.numbers import BadNumber, number

FIELDS = ("key", "secret", "wallet", "passphrase", "position_mode")


class BadAccounts(ValueError):
    """The accounts file cannot be used; the text names file, entry, what was expected and found."""


@dataclass(frozen=True, slots=True)
class NamedAccount:
    key: str
    secret: str
    wallet: Decimal | None
    """None: what every account starts with."""
    passphrase: str = ""
    """Where the exchange asks for one."""
    position_mode: PositionMode | None = None
    """None: the one the exchange gives new accounts."""


def read_accounts(path: Path) -> tuple[NamedAccount, ...]:
    """Read `[{"key": …, "secret": …, "wallet": "10000", "passphrase": …, "position_mode": "one_way"}, …]`.

    Only key and secret have to be there. Raises `BadAccounts`.
    """
    try:
        entries = orjson.loads(path.read_bytes())
    except OSError as error:
        raise BadAccounts(f"{path}: expected a readable file, found: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise BadAccounts(f"{path}: expected JSON, found something else ({error})") from error
    if not isinstance(entries, list) or not entries:
        raise BadAccounts(f"{path}: expected a list of accounts with at least one entry")
    found = tuple(_account(f"{path}, entry {place}", entry) for place, entry in enumerate(entries, 1))
    keys = [account.key for account in found]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise BadAccounts(f"{path}: expected each key once, found {twice[0]!r} more often")
    return found


def _account(where: str, entry: object) -> NamedAccount:
    if not isinstance(entry, dict):
        raise BadAccounts(f"{where}: expected an object, found {type(entry).__name__}")
    unknown = sorted(set(entry) - set(FIELDS))
    if unknown:
        raise BadAccounts(f"{where}: expected {', '.join(FIELDS)}, found {unknown[0]!r}")
    for name in ("key", "secret"):
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise BadAccounts(f"{where}: {name}: expected text, found {entry.get(name)!r}")
    passphrase = entry.get("passphrase", "")
    if not isinstance(passphrase, str):
        raise BadAccounts(f"{where}: passphrase: expected text, found {passphrase!r}")
    return NamedAccount(
        key=entry["key"],
        secret=entry["secret"],
        wallet=_wallet(where, entry.get("wallet")),
        passphrase=passphrase,
        position_mode=_mode(where, entry.get("position_mode")),
    )


def _mode(where: str, value: object) -> PositionMode | None:
    if value is None:
        return None
    try:
        return PositionMode(str(value))
    except ValueError as error:
        modes = " or ".join(PositionMode)
        raise BadAccounts(f"{where}: position_mode: expected {modes}, found {value!r}") from error


def _wallet(where: str, value: object) -> Decimal | None:
    if value is None:
        return None
    try:
        wallet = number(str(value))
    except BadNumber as error:
        raise BadAccounts(f"{where}: wallet: {error}") from error
    if wallet < 0:
        raise BadAccounts(f"{where}: wallet: expected 0 or more, found {value}")
    return wallet
