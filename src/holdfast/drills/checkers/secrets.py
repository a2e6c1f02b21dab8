"""S10: no secret in any byte that the bot leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.drills.checkers.findings import Findings

CHUNK = 1 << 20


@dataclass(slots=True)
class SecretChecks:
    """*secrets*: what they are called, and what they are."""

    secrets: Mapping[str, str]
    findings: Findings

    def read(self, where: str, data: bytes, at_ms: int) -> None:
        for name, secret in self.secrets.items():
            if secret and secret.encode() in data:
                self.findings.add("S10", at_ms, f"the {name} stands in {where}")

    def search(self, folder: Path, at_ms: int, *, but: frozenset[str] = frozenset()) -> None:
        """Every file of the bot's home, *but* those that are meant to hold a secret."""
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in but:
                self._search_file(path, str(path.relative_to(folder)), at_ms)

    def _search_file(self, path: Path, where: str, at_ms: int) -> None:
        """Piece by piece, with an overlap: a secret must not hide between two pieces."""
        overlap = max((len(secret.encode()) for secret in self.secrets.values()), default=1)
        rest = b""
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                self.read(where, rest + piece, at_ms)
                rest = piece[-overlap:]
