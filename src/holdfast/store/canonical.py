"""One JSON text per value: sorted keys, exact numbers as strings, always the same bytes."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from holdfast.domain.symbol import Symbol


def canonical(value: object) -> str:
    """*value* as canonical JSON. What is no JSON becomes text: Decimal, Symbol, enums, frozen values.

    `canonical(json.loads(canonical(x))) == canonical(x)`, which is what the audit chain's hashes
    rest on. Raises nothing for any value: an unknown kind is written as its `repr`.
    """
    return json.dumps(plain_data(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def plain_data(value: object) -> Any:
    """*value* as dicts, lists, strings, numbers, booleans and None; a frozen value says its type in `is`."""
    if value is None or type(value) in (bool, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Enum):
        return plain_data(value.value)
    if isinstance(value, str):
        return _clean(value)
    return _compound(value)


def _compound(value: object) -> Any:
    if isinstance(value, Decimal | Symbol):
        return str(value)
    fields = _fields(value)
    if fields is not None:
        return {"is": type(value).__name__} | {name: plain_data(getattr(value, name)) for name in fields}
    if isinstance(value, Mapping):
        return {_key(key): plain_data(item) for key, item in value.items()}
    if isinstance(value, AbstractSet):
        return sorted((plain_data(item) for item in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain_data(item) for item in value]
    return _clean(repr(value))


def _fields(value: object) -> Iterable[str] | None:
    """The names of a frozen value's fields; None = it is none."""
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # Fields hidden from repr are keys and secrets: they stay hidden here too.
        return [each.name for each in dataclasses.fields(value) if each.repr]
    return None


def _key(key: object) -> str:
    data = plain_data(key)
    if isinstance(data, str):
        return data
    if isinstance(data, dict):
        return "|".join(str(item) for name, item in data.items() if name != "is")
    return str(data)


def _clean(text: str) -> str:
    """Without lone surrogates, which are no Unicode text and no database takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def clean(text: str) -> str:
    """Text that every database takes as it is: no lone surrogates, no NUL."""
    return _clean(text).replace("\0", "�")


def iso_ms(at_ms: int) -> str:
    """`2026-11-20T23:29:01.123Z` (R4.5), by integers only."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
