"""The accounts file: who may trade on the simulated exchange, with which secret and money."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import orjson

from holdfast.domain.numbers import BadNumber, number


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


def read_accounts(path: Path) -> tuple[NamedAccount, ...]:
    """Read `[{"key": …, "secret": …, "wallet": "10000", "passphrase": …}, …]`. Raises `BadAccounts`."""
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
    unknown = sorted(set(entry) - {"key", "secret", "wallet", "passphrase"})
    if unknown:
        raise BadAccounts(f"{where}: expected key, secret, wallet and passphrase, found {unknown[0]!r}")
    for name in ("key", "secret"):
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise BadAccounts(f"{where}: {name}: expected text, found {entry.get(name)!r}")
    passphrase = entry.get("passphrase", "")
    if not isinstance(passphrase, str):
        raise BadAccounts(f"{where}: passphrase: expected text, found {passphrase!r}")
    return NamedAccount(entry["key"], entry["secret"], _wallet(where, entry.get("wallet")), passphrase)


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
