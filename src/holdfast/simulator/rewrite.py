"""Answers and events that are not shaped as documented: fields gone, retyped, or saying something new."""

from __future__ import annotations

import re

import orjson

from holdfast.simulator.faults import Fault, FaultKind

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def rewritten(fault: Fault, payload: object) -> object:
    """*payload* (decoded JSON) as a rewriting *fault* leaves it; the original stays as it is."""
    if isinstance(payload, list):
        return [rewritten(fault, each) for each in payload]
    if not isinstance(payload, dict):
        return payload
    touched = {name for name in payload if re.fullmatch(fault.member or ".*", str(name))}
    if fault.kind is FaultKind.FIELD_MISSING:
        return {name: rewritten(fault, value) for name, value in payload.items() if name not in touched}
    return {
        name: _value(fault, value) if name in touched else rewritten(fault, value)
        for name, value in payload.items()
    }


def rewritten_body(fault: Fault, body: bytes) -> bytes:
    """The same for an answer's body; what is no JSON passes unchanged."""
    try:
        return orjson.dumps(rewritten(fault, orjson.loads(body)))
    except orjson.JSONDecodeError:
        return body


def _value(fault: Fault, value: object) -> object:
    """A touched member; of lists and objects what is in them."""
    if isinstance(value, list | dict):
        return rewritten(fault, value)
    if fault.kind is FaultKind.FIELD_CHANGED:
        return fault.word
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return value
