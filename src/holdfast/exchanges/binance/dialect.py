"""What the parts that all exchanges share have to know of Binance."""

from __future__ import annotations

from holdfast.domain.protocols import Clock
from holdfast.exchanges.binance import requests
from holdfast.exchanges.binance.decode import TIME
from holdfast.exchanges.binance.errors import judge
from holdfast.exchanges.binance.markets import brackets, markets
from holdfast.exchanges.binance.requests import Request
from holdfast.exchanges.caller import Dialect
from holdfast.exchanges.governor import Bans
from holdfast.exchanges.hub import Hub, Markets, Read

DIALECT = Dialect(
    judge=judge, server_time=requests.SERVER_TIME, read_time=lambda body: TIME.read(body).serverTime
)


def hub(clock: Clock, bans: Bans | None) -> Hub[Request]:
    """What the accounts at one Binance address share."""
    return Hub(clock, requests.LIMITS, _markets, bans)


async def _markets(read: Read[Request]) -> Markets:
    ladders = brackets(await read(requests.BRACKETS))
    return markets(await read(requests.EXCHANGE_INFO), ladders)
