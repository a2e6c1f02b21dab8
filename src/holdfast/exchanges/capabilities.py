"""What each exchange can do, as data (sources: the exchange sheets)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from holdfast.exchanges.port import Capabilities

# A whole-position stop and a sized reduce-only stop may stand together on Binance; two of the
# whole-position form in one direction may not (-4130).
BINANCE = Capabilities(
    name="binance",
    stop_closes_position=True,
    two_stops_may_stand=True,
    stop_keeps_client_id=True,
    one_list=False,
    stop_locks_quantity=False,
    whole_stop_expires_when_flat=True,
    window_ms=5000,
    visibility_ms=2000,
    money_step=Decimal("0.00000001"),
)

# One stop for the whole position (110406); sized ones may stand beside it, together not above the position.
# Unverified: that stops end with their position, lock no quantity, and how soon an order is visible.
BINGX = Capabilities(
    name="bingx",
    stop_closes_position=True,
    two_stops_may_stand=True,
    stop_keeps_client_id=False,
    one_list=True,
    stop_locks_quantity=False,
    whole_stop_expires_when_flat=True,
    window_ms=5000,
    visibility_ms=2000,
    money_step=Decimal("0.0001"),
)

# A whole-position stop (pos_loss) and sized ones (loss_plan) stand in one book; a second pos_loss is
# refused (43031). A request is valid for 30 s and signed so that only the window is left of it.
BITGET = Capabilities(
    name="bitget",
    stop_closes_position=True,
    two_stops_may_stand=True,
    stop_keeps_client_id=True,
    one_list=False,
    stop_locks_quantity=False,
    whole_stop_expires_when_flat=True,
    window_ms=5000,
    visibility_ms=3000,
    money_step=Decimal("0.00000001"),
)

CAPABILITIES: Mapping[str, Capabilities] = {each.name: each for each in (BINANCE, BINGX, BITGET)}
"""By exchange name, as settings spell it."""
