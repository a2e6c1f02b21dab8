"""Who asks, and is the request theirs and fresh (exchange sheet §2). The two doors are as on Binance."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import unquote

from holdfast.simulator.bingx.errors import bad_signature, bad_time, no_signature
from holdfast.simulator.bingx.params import Params

RECV_WINDOW_MS = 5_000
AHEAD_MS_MAX = 1_000
_SHAPE = re.compile(r"^[0-9a-fA-F]{64}$")
_SIGNATURE_PAIR = re.compile(r"(^|&)signature=[^&]*")


def sign(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def sorted_payload(pairs: Mapping[str, str]) -> str:
    """Every parameter but the signature, sorted by name, not encoded."""
    return "&".join(f"{name}={value}" for name, value in sorted(pairs.items()) if name != "signature")


def check_signature(raw_query: str, raw_body: str, sent: Mapping[str, str], secret: str | None) -> None:
    """100412 without a signature, 100001 unless it fits; *secret* None: only its shape can be checked.

    Signed is the sorted list of parameters, or the very text that was sent: the exchange's own
    snippets put `timestamp` last, whatever its place in the alphabet.
    """
    signature = sent.get("signature", "")
    if not signature:
        raise no_signature()
    if not _SHAPE.match(signature):
        raise bad_signature()
    if secret is None:
        return
    raw = "&".join(part for part in (_without(raw_query), _without(raw_body)) if part)
    forms = (sorted_payload(sent), raw, unquote(raw))
    if not any(hmac.compare_digest(sign(secret, form), signature.lower()) for form in forms):
        raise bad_signature()


def _without(raw: str) -> str:
    return _SIGNATURE_PAIR.sub("", raw).removeprefix("&")


def check_time(params: Params, now_ms: int) -> None:
    """100421 without a timestamp, or for one that is not of these seconds."""
    text = params.text("timestamp")
    if not text.isdigit():
        raise bad_time()
    window = min(params.integer("recvWindow", RECV_WINDOW_MS), RECV_WINDOW_MS)
    if now_ms - int(text) > window or int(text) >= now_ms + AHEAD_MS_MAX:
        raise bad_time()
