"""What the parts that all exchanges share have to know of BingX."""

from __future__ import annotations

from holdfast.domain.protocols import Clock
from holdfast.exchanges.bingx import requests
from holdfast.exchanges.bingx.decode import TIME
from holdfast.exchanges.bingx.errors import judge
from holdfast.exchanges.bingx.markets import markets
from holdfast.exchanges.bingx.names import DashedNames
from holdfast.exchanges.bingx.requests import Request
from holdfast.exchanges.caller import Dialect
from holdfast.exchanges.governor import Bans
from holdfast.exchanges.hub import Hub, Markets, Read

DIALECT = Dialect(
    judge=judge, server_time=requests.SERVER_TIME, read_time=lambda body: TIME.of(body).serverTime
)


def hub(clock: Clock, bans: Bans | None) -> Hub[Request]:
    """What the accounts at one BingX address share."""
    made = Hub(clock, requests.LIMITS, _markets, bans)
    made.markets = Markets({}, DashedNames({}))
    return made


async def _markets(read: Read[Request]) -> Markets:
    return markets(await read(requests.CONTRACTS))
