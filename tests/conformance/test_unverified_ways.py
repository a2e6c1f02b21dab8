"""Where an exchange's documents are silent or differ: the cases a way touches hold both ways.

The first way is the simulator's default and what docs/conformance.md tells of; here is the other one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from holdfast.simulator.bingx.config import Switches as BingxSwitches
from holdfast.simulator.bitget.switches import Switches as BitgetSwitches
from holdfast.simulator.bitget.venue import BitgetOptions
from tests.conformance.case import CASES
from tests.conformance.stand import MODES, run
from tests.conformance.table import cases

CENSUS = (110, 112, 113, 114, 115, 117, 128, 204, 205, 206, 207, 213)
FIRED = (118, 120, 124, 125, 209, 210, 235)
ENDED = (114, 123, 124, 133, 236)
SENT = (20, 22, 24, 26, 28, 29, 31, 35, 37, 40, 41, 60, 201)
BINGX: Mapping[str, tuple[Any, tuple[int, ...]]] = {
    "truncates_quantity": (False, (*SENT, 171)),
    "stops_keep_client_ids": (True, (*CENSUS, *FIRED)),
    "stops_only_reduce": (True, (110, 112, 124)),
    "stops_end_with_position": (False, (110, 118, 124)),
    "stops_end_delay_ms": (1_500, ENDED),
    "orphans_end_as": ("EXPIRED", ENDED),
    "child_gets_new_id": (False, FIRED),
    "triggered_as": ("FILLED", FIRED),
    "old_codes": (True, (31, 33, 38, 41, 114, 121, 122, 170, 173, 174, 175, 179, 182)),
    "post_only_refused": (False, (26,)),
    "duplicate_code": (101400, (41, 42, 183, 215)),
    "cancel_answers": ("PENDING", (29, 30, 31, 114, 117, 207)),
    "index_always_lists": (True, (7,)),
    "settlement_ms": (1_500, SENT),
}
BITGET: Mapping[str, tuple[Any, tuple[int, ...]]] = {
    "condition_means": ("position", (110, 122)),
    "gone_plan": ("listed", (114, 125, 126)),
    "child_named_by_plan": (False, FIRED),
    "displacing_order_id": (True, (39, 40)),
    "hedge_close_beyond": ("refused", (37, 40)),
    "dust_closes": (False, (35, 36, 37)),
    "order_sets_margin_mode": (False, (20, 154)),
    "unchanged_setting": ("refused", (151, 155)),
    "hedge_close_flag": ("NO", (35, 36, 39)),
    "detail_status": ("status", SENT),
    "null_lists": (True, (4, *CENSUS)),
    "hidden_pos_loss": (True, (110, 113, 115, 117, 118, 123, 206, 208, 235)),
    "first_events": (True, (230, 231, 232, 234)),
}
"""Switch → its other way, and the cases it touches."""
WAYS = [("bingx", *each) for each in BINGX.items()] + [("bitget", *each) for each in BITGET.items()]


@pytest.mark.parametrize(
    ("exchange", "switch", "way"), WAYS, ids=[f"{exchange}-{switch}" for exchange, switch, _ in WAYS]
)
def test_cases_hold_the_other_way(exchange: str, switch: str, way: tuple[Any, tuple[int, ...]]) -> None:
    """In one position mode each, one after the other."""
    value, numbers = way
    chosen = {switch: value}
    ways: dict[str, Any] = (
        {"bingx": BingxSwitches(**chosen)}
        if exchange == "bingx"
        else {"bitget": BitgetOptions(switches=BitgetSwitches(**chosen))}
    )
    assert set(numbers) <= {case.number for case in cases()}
    for turn, number in enumerate(numbers):
        mode = MODES[turn % 2]
        if not CASES[number].why_not(exchange, mode):
            run(exchange, mode, CASES[number].proof, **ways)
