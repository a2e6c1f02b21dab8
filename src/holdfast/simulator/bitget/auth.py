"""Who asks, and is the request theirs and fresh (bitget.md §2, §7.1).

As everywhere in the simulator there are two doors. *Named* accounts are verified in full: key,
signature, passphrase. Behind the *open* door a key never seen opens a demo account; its secret was
never told, so its signature is checked for its shape only, and any passphrase will do.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import unquote

from holdfast.simulator.bitget.errors import (
    bad_signature,
    bad_timestamp,
    expired,
    invalid_key,
    no_header,
)

VALID_MS = 30_000
VERIFY = "GET/user/verify"
"""What a WebSocket login signs behind its timestamp."""

_KEY = re.compile(r"^[A-Za-z0-9_.:-]{1,128}$")
_STAMP = re.compile(r"^[0-9]{1,16}$")
_HEADERS = ("ACCESS-KEY", "ACCESS-SIGN", "ACCESS-TIMESTAMP", "ACCESS-PASSPHRASE")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a caller shows, with the very text that was signed."""

    key: str
    sign: str
    timestamp: str
    passphrase: str
    signed: str


def sign(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def require_headers(shown: Credentials) -> None:
    """40001, 40002, 40003, 40011: each header has its code when it is missing."""
    values = (shown.key, shown.sign, shown.timestamp, shown.passphrase)
    for name, value in zip(_HEADERS, values, strict=True):
        if not value:
            raise no_header(name)
    if not _KEY.match(shown.key):
        raise invalid_key()


def check_time(timestamp: str, now_ms: int) -> None:
    """40005 for what is no time in ms, 40008 for one more than 30 s away."""
    if not _STAMP.match(timestamp):
        raise bad_timestamp()
    if abs(now_ms - int(timestamp)) > VALID_MS:
        raise expired()


def check_sign(shown: Credentials, secret: str) -> None:
    """40009 unless the signature fits; without a secret (open door) only its shape can be checked."""
    try:
        if len(base64.b64decode(shown.sign, validate=True)) != hashlib.sha256().digest_size:
            raise bad_signature()
    except binascii.Error as error:
        raise bad_signature() from error
    if not secret:
        return
    forms = (shown.signed, unquote(shown.signed))  # some clients sign before they quote
    if not any(hmac.compare_digest(sign(secret, form), shown.sign) for form in forms):
        raise bad_signature()
