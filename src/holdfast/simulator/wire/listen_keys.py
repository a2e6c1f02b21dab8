"""Listen keys: what a client names to hear its account's events."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass

KEY_LETTERS = string.ascii_letters + string.digits


class NoListenKey(LookupError):
    """The account has no active listen key."""


@dataclass(slots=True)
class ListenKey:
    key: str
    account_id: str
    expires_ms: int


class ListenKeys:
    """One active key per account, alive for an hour from the last POST or PUT."""

    def __init__(self, life_ms: int, chance: random.Random) -> None:
        self._life_ms = life_ms
        self._chance = chance
        self._by_account: dict[str, ListenKey] = {}

    def open(self, account_id: str, now_ms: int) -> str:
        """The active key, extended; or a new one."""
        active = self._by_account.get(account_id)
        if active is None or active.expires_ms <= now_ms:
            key = "".join(self._chance.choices(KEY_LETTERS, k=64))
            active = self._by_account[account_id] = ListenKey(key, account_id, 0)
        active.expires_ms = now_ms + self._life_ms
        return active.key

    def extend(self, account_id: str, now_ms: int) -> str:
        """Extend the active key. Raises `NoListenKey`."""
        active = self._by_account.get(account_id)
        if active is None or active.expires_ms <= now_ms:
            raise NoListenKey
        active.expires_ms = now_ms + self._life_ms
        return active.key

    def close(self, account_id: str) -> None:
        """End the stream of every process on this account. Raises `NoListenKey`."""
        if self._by_account.pop(account_id, None) is None:
            raise NoListenKey

    def active(self, account_id: str) -> str | None:
        key = self._by_account.get(account_id)
        return key.key if key else None

    def account_of(self, key: str) -> str | None:
        return next((item.account_id for item in self._by_account.values() if item.key == key), None)

    def expire(self, now_ms: int) -> list[ListenKey]:
        """Remove and return the keys whose time is over."""
        over = [key for key in self._by_account.values() if key.expires_ms <= now_ms]
        for key in over:
            del self._by_account[key.account_id]
        return over

    def expire_now(self, account_id: str) -> None:
        """Let the active key end at the next step (drills)."""
        if account_id in self._by_account:
            self._by_account[account_id].expires_ms = 0
