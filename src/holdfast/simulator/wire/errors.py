"""How an exchange says no: a code, words, and an HTTP status; each dialect has its own table of them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from holdfast.domain.numbers import plain
from holdfast.simulator.core.model import CoreRefusal, Refused


class WireError(Exception):
    """A refusal in the exchange's words; *headers* come on top of the usual ones."""

    def __init__(
        self, code: int, msg: str, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{code} {msg}")
        self.code = code
        self.msg = msg
        self.status = status
        self.headers = dict(headers or {})

    def body(self) -> dict[str, object]:
        return {"code": self.code, "msg": self.msg}


class _Words(dict[str, object]):
    """Unknown names stay readable instead of raising: a refusal must always reach the client."""

    def __missing__(self, key: str) -> str:
        return "-"


def worded(table: Mapping[Refused, tuple[int, str]], refusal: CoreRefusal, status: int = 400) -> WireError:
    """The exchange's error for what the core refused; `{limit}` and the like come from its detail."""
    code, words = table[refusal.why]
    detail = _Words({name: _text(value) for name, value in refusal.detail.items()})
    return WireError(code, words.format_map(detail), status)


def _text(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)
