"""Assertions that cannot be switched off."""


class InvariantViolation(Exception):
    """A bug in this program. The only correct reaction is to halt trading, keeping protection."""


def require(condition: bool, message: str) -> None:
    """Raise `InvariantViolation` unless *condition* holds (unlike `assert`, `-O` does not strip it)."""
    if not condition:
        raise InvariantViolation(message)
