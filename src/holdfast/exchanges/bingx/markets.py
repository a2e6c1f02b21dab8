"""What may be traded on BingX, from the list of contracts."""

from __future__ import annotations

from holdfast.exchanges.bingx import decode
from holdfast.exchanges.bingx.names import DashedNames
from holdfast.exchanges.decoding import BadAnswer
from holdfast.exchanges.hub import Markets
from holdfast.exchanges.names import readable


def markets(contracts: bytes) -> Markets:
    """The contracts of an answer; raises `BadAnswer`.

    Without margin ladders: the exchange tells them of one symbol at a time, to signed requests only.
    """
    rows = decode.CONTRACTS.of(contracts, decode.instrument)
    if rows.bad and not rows.values:
        raise BadAnswer(f"expected instruments, found {rows.bad} rows and none readable")
    listed = {wire_id: found for wire_id, found in rows.values if readable(found.symbol)}
    names = DashedNames({wire_id: found.symbol for wire_id, found in listed.items()})
    return Markets({found.symbol: found for found in listed.values()}, names, rows.bad)
