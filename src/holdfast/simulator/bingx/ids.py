"""Ids as BingX writes them: integers of 19 digits, orders and stops in one space."""

from __future__ import annotations

from typing import NamedTuple

STOPS = 1_700_000_000_000_000_000
ORDERS = 1_800_000_000_000_000_000
POSITIONS = 1_900_000_000_000_000_000


class CoreId(NamedTuple):
    """What a wire id means to the core: a regular order's id, or a conditional's."""

    order_id: int | None = None
    algo_id: int | None = None


def of_order(order_id: int) -> int:
    return ORDERS + order_id


def of_stop(algo_id: int) -> int:
    return STOPS + algo_id


def core_id(wire_id: int) -> CoreId:
    if wire_id >= ORDERS:
        return CoreId(order_id=wire_id - ORDERS)
    return CoreId(algo_id=wire_id - STOPS)
