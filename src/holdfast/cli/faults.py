"""What the operator did wrong, said so that it can be put right: where, what was expected, what was found."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_SECRET_PATHS = ("keys.",)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. *origin* is `file:line`, a variable's name, or empty."""

    path: str
    expected: str
    found: str
    origin: str = ""

    def __str__(self) -> str:
        where = f" ({self.origin})" if self.origin else ""
        return f"{self.path}: expected {self.expected}, found {self.found}{where}"


class ConfigError(Exception):
    """The operator has to change something; *faults* holds everything that is wrong, not only the first."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


_EXPECTED: Mapping[str, str] = {
    # pydantic's word for what is wrong → what would be right; "{…}" come from the error's context.
    "missing": "a value",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "decimal_parsing": "a number",
    "decimal_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "one of {expected}",
    "enum": "one of {expected}",
}


def faults_of(error: ValidationError, model: type[BaseModel], origins: Mapping[str, str]) -> list[Fault]:
    """Pydantic's findings in our words; *origins* maps dotted paths to where their values stand."""
    return [_fault(each, model, origins) for each in error.errors(include_url=False)]


def _fault(detail: ErrorDetails, model: type[BaseModel], origins: Mapping[str, str]) -> Fault:
    path = ".".join(str(part) for part in detail["loc"])
    origin = origins.get(path) or _nearest(path, origins)
    if detail["type"] == "extra_forbidden":
        return Fault(path, _known_names(detail["loc"], model), "an unknown name", origin)
    words = _EXPECTED.get(detail["type"])
    expected = words.format(**detail.get("ctx", {})) if words else detail["msg"]
    if detail["type"] == "missing":
        return Fault(path, expected, "nothing", origin)
    return Fault(path, expected, shown(path, detail["input"]), origin)


def _nearest(path: str, origins: Mapping[str, str]) -> str:
    """Where a path without a line of its own stands: with what is in it, or with its table."""
    inside = sorted(origin for name, origin in origins.items() if name.startswith(f"{path}.") and origin)
    if inside:
        return inside[0]
    while "." in path:
        path = path.rpartition(".")[0]
        if path in origins:
            return origins[path]
    return ""


def shown(path: str, value: object) -> str:
    """A found value as text; never a key's."""
    if path.startswith(_SECRET_PATHS):
        return "(hidden)"
    if isinstance(value, Enum):
        return repr(value.value)
    if isinstance(value, tuple | list):
        return ", ".join(shown(path, each) for each in value) or "none"
    return str(value) if isinstance(value, Decimal) else repr(value)


def _known_names(location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    *parents, name = location
    known: list[str] = []
    current: type[BaseModel] | None = model
    for parent in parents:
        field = current.model_fields.get(str(parent)) if current else None
        kind = field.annotation if field else None
        current = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    if current is not None:
        known = sorted(current.model_fields)
    close = difflib.get_close_matches(str(name), known, n=1)
    if close:
        return f"a known name (did you mean {close[0]}?)"
    return f"one of {', '.join(known)}" if known else "a known name"
