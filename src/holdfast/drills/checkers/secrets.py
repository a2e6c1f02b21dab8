"""S10: no secret in any byte that the bot leaves behind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from holdfast.drills.checkers.findings import Findings

CHUNK = 1 << 20
OVERLAP_MIN = 100
SIGNATURE = re.compile(rb"signature=[0-9a-f]{16,}")
"""What signs a request: in a URL that an error shows, for example."""


@dataclass(slots=True)
class SecretChecks:
    """*secrets*: what they are, and what they are called; more may be learned as the world goes on."""

    secrets: dict[str, str]
    findings: Findings

    def read(self, where: str, data: bytes, at_ms: int) -> None:
        for secret, name in self.secrets.items():
            if secret.encode() in data:
                self.findings.add("S10", at_ms, f"the {name} stands in {where}")
        if SIGNATURE.search(data):
            self.findings.add("S10", at_ms, f"a request's signature stands in {where}")

    def search(self, folder: Path, at_ms: int, *, but: frozenset[str] = frozenset()) -> None:
        """Every file of the bot's home, *but* those that are meant to hold a secret."""
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in but:
                self._search_file(path, str(path.relative_to(folder)), at_ms)

    def _search_file(self, path: Path, where: str, at_ms: int) -> None:
        """Piece by piece, with an overlap: a secret must not hide between two pieces."""
        overlap = max(OVERLAP_MIN, *(len(secret.encode()) for secret in self.secrets))
        rest = b""
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                self.read(where, rest + piece, at_ms)
                rest = piece[-overlap:]
