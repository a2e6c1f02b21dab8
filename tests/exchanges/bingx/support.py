"""What the BingX tests share: recorded answers and names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from holdfast.exchanges.bingx.names import DashedNames
from tests.exchanges.support import BTC

DATA = Path(__file__).parent / "data"
RECORDED = json.loads((DATA / "recorded.json").read_text())
"""Recorded answers (`answers`), user events (`events`), mark prices (`marks`) and errors (`errors`)."""
ANSWERS: dict[str, Any] = RECORDED["answers"]
NAMES = DashedNames({"BTC-USDT": BTC})
