"""What an exchange says in a day's work: every kind of answer and frame once, as its simulator words them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from unittest import mock

from holdfast.domain.account import MarginMode
from holdfast.domain.orders import Direction
from holdfast.exchanges.streaming import Source, StreamKeeper
from holdfast.exchanges.transport import Answer, Transport
from tests.conformance.reads import READS
from tests.conformance.stand import BTC, ETH, LOT, MODES, Desk, P, run

OF_A_KIND_MAX = 4
"""So many answers of one endpoint, and frames of one length class, are kept."""


@dataclass(frozen=True, slots=True)
class Corpus:
    answers: tuple[bytes, ...]
    frames: Mapping[str, tuple[str | bytes, ...]]
    """By stream."""


async def _day(d: Desk) -> None:
    """A bit of everything, so that no list is empty and every event has come."""
    await d.exchange.watch_marks([BTC, ETH])
    await d.exchange.account_config(priority=P)
    await d.listen(BTC, ETH)
    await d.exchange.set_leverage(BTC, 3)
    await d.exchange.set_margin_mode(ETH, MarginMode.ISOLATED)
    for direction in Direction if d.hedge else (Direction.LONG,):
        await d.enter(direction=direction, quantity=2 * LOT)
        await d.stop(direction=direction)
        await d.sized(direction=direction, ratio="0.98" if direction is Direction.LONG else "1.2")
    await d.limit("hf-limit")
    for read in (*READS.values(), lambda d: d.exchange.quotes([BTC, ETH], priority=P)):
        await d.rest(1.2)
        await read(d)
    await d.cancel("hf-limit")
    await d.cancel("hf-limit")
    await d.move("0.97")
    d.core.transfer("key", LOT)
    d.core.set_leverage("key", BTC, 4)
    for stop in await d.stops():
        await d.rest(1.2)
        await d.cancel_stop(stop_id=stop.stop_id)
    await d.close()
    await d.exchange.transfers(0, priority=P)
    await d.fills()
    await d.rest(6)


@cache
def corpus(exchange: str) -> Corpus:
    """In both position modes."""
    answers: dict[tuple[str, str], list[bytes]] = {}
    frames: dict[str, dict[int, list[str | bytes]]] = {}
    send, made = Transport.send, StreamKeeper.__init__

    async def noted(self: Transport, method: str, url: str, *args: Any) -> Answer:
        answer = await send(self, method, url, *args)
        kept = answers.setdefault((method, url.partition("?")[0]), [])
        if len(kept) < OF_A_KIND_MAX:
            kept.append(answer.body)
        return answer

    def listening(self: StreamKeeper, *, source: Source, **others: Any) -> None:
        def hear(frame: str | bytes) -> bool:
            kept = frames.setdefault(source.name, {}).setdefault(len(frame) // 32, [])
            if len(kept) < OF_A_KIND_MAX:
                kept.append(frame)
            return source.hear(frame)

        made(self, source=replace(source, hear=hear), **others)

    with (
        mock.patch.object(Transport, "send", noted),
        mock.patch.object(StreamKeeper, "__init__", listening),
    ):
        for mode in MODES:
            run(exchange, mode, _day)
    return Corpus(
        tuple(body for kept in answers.values() for body in kept),
        {name: tuple(f for kept in kinds.values() for f in kept) for name, kinds in frames.items()},
    )
