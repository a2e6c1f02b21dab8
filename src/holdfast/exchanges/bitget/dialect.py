"""What the parts that all exchanges share have to know of Bitget."""

from __future__ import annotations

from holdfast.domain.protocols import Clock
from holdfast.exchanges.bitget import decode, requests
from holdfast.exchanges.bitget.errors import judge
from holdfast.exchanges.bitget.markets import markets
from holdfast.exchanges.bitget.requests import Request
from holdfast.exchanges.caller import Dialect
from holdfast.exchanges.governor import Bans
from holdfast.exchanges.hub import Hub, Markets, Read

DIALECT = Dialect(judge=judge, server_time=requests.SERVER_TIME, read_time=decode.server_time)


def hub(clock: Clock, bans: Bans | None) -> Hub[Request]:
    """What the accounts at one Bitget address share."""
    return Hub(clock, requests.LIMITS, _markets, bans)


async def _markets(read: Read[Request]) -> Markets:
    return markets(await read(requests.CONTRACTS))
