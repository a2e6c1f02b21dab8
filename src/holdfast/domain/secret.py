"""Text that must not leak: keys of exchanges, tokens of channels."""

from __future__ import annotations

from typing import NoReturn, final


@final
class Secret:
    """A string that cannot be printed, logged, pickled, copied into JSON or compared by accident.

    Only who signs may look inside, by a name one can search for: `reveal_to_signer`.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal_to_signer(self) -> str:
        """The text itself, for the one place that signs with it."""
        return self._value

    def __bool__(self) -> bool:
        """Whether there is anything inside."""
        return bool(self._value)

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("a Secret is never compared")

    __hash__ = None  # type: ignore[assignment]  # a hash would tell equal secrets apart from others

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never serialised")
