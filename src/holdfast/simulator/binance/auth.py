"""Who asks, and is the request theirs and fresh (exchange sheet §2).

Two doors. *Named*: accounts come from a file or the admin API; an unknown key is refused and every
signature is verified. *Open* (the default): a key never seen opens a demo account on its first use.
The secret of such an account was never told to the simulator and cannot be derived from a
signature, so for it a signature is checked for its *shape* (64 hex digits) only. Accounts that were
named stay fully checked behind the open door, too. Whoever wants to test signing names the account.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from urllib.parse import unquote_plus

from holdfast.simulator.binance.errors import bad_signature, malformed_key, missing, too_early, too_late
from holdfast.simulator.binance.params import Params

RECV_WINDOW_MS = 5_000
RECV_WINDOW_MS_MAX = 60_000
AHEAD_MS_MAX = 1_000

_KEY = re.compile(r"^[A-Za-z0-9_.:-]{1,128}$")
_SHAPE = re.compile(r"^[0-9a-fA-F]{64}$")
# `signature` is last in every client; a signature elsewhere is cut out wherever it stands.
_SIGNATURE_PAIR = re.compile(r"(^|&)signature=[^&]*")


def checked_key(header: str | None) -> str:
    """The API key, or -2014."""
    if not header or not _KEY.match(header):
        raise malformed_key()
    return header


def sign(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def signed_payload(raw_query: str, raw_body: str) -> str:
    """The very characters that were signed: raw query, raw body, no separator, no signature pair."""
    return _without_signature(raw_query) + _without_signature(raw_body)


def _without_signature(raw: str) -> str:
    return _SIGNATURE_PAIR.sub("", raw).removeprefix("&")


def check_signature(raw_query: str, raw_body: str, signature: str, secret: str | None) -> None:
    """Raise -1022 unless the signature fits; *secret* None means that only its shape can be checked.

    A client whose HTTP library re-quotes after signing is verified against the decoded form, too
    (sheet §2: python-binance's batch cancel).
    """
    if not _SHAPE.match(signature):
        raise bad_signature()
    if secret is None:
        return
    payload = signed_payload(raw_query, raw_body)
    # The third form is what was signed when only spaces were re-quoted afterwards.
    forms = (payload, unquote_plus(payload), payload.replace("%20", "+"))
    if not any(hmac.compare_digest(sign(secret, form), signature.lower()) for form in forms):
        raise bad_signature()


def check_time(params: Params, now_ms: int) -> None:
    """Raise -1021 unless `timestamp < now + 1000` and `now - timestamp <= recvWindow`."""
    timestamp = params.need_integer("timestamp")
    window = params.integer("recvWindow", RECV_WINDOW_MS)
    if not 0 < window <= RECV_WINDOW_MS_MAX:
        raise missing("recvWindow")
    if timestamp >= now_ms + AHEAD_MS_MAX:
        raise too_early()
    if now_ms - timestamp > window:
        raise too_late()
