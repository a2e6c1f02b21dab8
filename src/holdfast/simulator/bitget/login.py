"""Logging in on a private WebSocket (bitget.md §7.1, §7.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from holdfast.simulator.bitget.auth import VALID_MS, VERIFY, Credentials, check_sign
from holdfast.simulator.bitget.venue import Venue
from holdfast.simulator.wire.errors import WireError

SECONDS_MAX = 100_000_000_000
"""A timestamp below is in seconds, one above in ms: clients send both."""
_STAMP = re.compile(r"^[0-9]{1,16}$")


class Refusal(Exception):
    """An `error` event."""

    def __init__(self, code: int, msg: str) -> None:
        super().__init__(f"{code} {msg}")
        self.code = code
        self.msg = msg


def logged_in(venue: Venue, arg: Mapping[str, object]) -> str:
    """The account id of who logs in. Raises `Refusal`."""
    key = _text(arg, "apiKey") or _text(arg, "api_key")  # clients say both
    stamp = _text(arg, "timestamp")
    shown = Credentials(key, _text(arg, "sign"), stamp, _text(arg, "passphrase"), stamp + VERIFY)
    known = venue.core.account_by_key(key)
    if not key or (known is None and not venue.config.open_door):
        raise Refusal(30011, "Invalid ACCESS_KEY")
    if not shown.passphrase or venue.passphrases.get(key, shown.passphrase) != shown.passphrase:
        raise Refusal(30012, "Invalid ACCESS_PASSPHRASE")
    _check_time(stamp, venue.core.now_ms)
    try:
        check_sign(shown, known.secret if known is not None else "")
    except WireError as error:
        raise Refusal(30015, "Invalid sign") from error
    return venue.account(key).account_id


def _text(arg: Mapping[str, object], name: str) -> str:
    value = arg.get(name)
    return "" if value is None else str(value)


def _check_time(stamp: str, now_ms: int) -> None:
    if not _STAMP.match(stamp):
        raise Refusal(30013, "Invalid ACCESS_TIMESTAMP")
    at_ms = int(stamp) * (1_000 if int(stamp) < SECONDS_MAX else 1)
    if abs(now_ms - at_ms) > VALID_MS:
        raise Refusal(30014, "Request timestamp expired")
