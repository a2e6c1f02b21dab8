"""Every decoder of every adapter against hostile input: only the adapter's own words may come out.

The decoders are found by a walk over the modules (`decoders.py`), their input is what the simulators say
(`tests/conformance/corpus.py`) with members replaced, removed or doubled, and plain junk. What a walk finds
and the fuzz cannot feed fails; so does what it never reads to its end, as it would prove nothing then.
"""

from __future__ import annotations

import collections.abc
import copy
import gzip
import json
import random
import typing
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest

from holdfast.domain.account import AccountConfig, MarginMode, PositionMode
from holdfast.domain.intents import Accepted, Purpose, Rejected, Unavailable, Unknown
from holdfast.domain.orders import ExchangeStatus, Order, OrderType, PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bingx.names import DashedNames
from holdfast.exchanges.decoding import MAGNITUDE_MAX, BadAnswer, Rows, Table
from holdfast.exchanges.names import Names
from holdfast.exchanges.port import ExchangeError, OrderNews
from holdfast.exchanges.streaming import Source, StreamKeeper, StreamLost
from holdfast.exchanges.transport import Answer, Transport
from tests.conformance.corpus import corpus
from tests.conformance.reads import READS
from tests.conformance.stand import LOT, Desk, run
from tests.exchanges.decoders import EXCHANGES, Decoder, functions, is_struct, readers, structs
from tests.exchanges.support import BTC, NOW_MS

ROUNDS = 150
OWN_WORDS = (BadAnswer, StreamLost)
NO_NUMBERS = ("", " ", "-0", "NaN", "Infinity", "1e400", "1e999999999", "9" * 50, "1_000", "１", "١", "0x1")
JUNK: tuple[Any, ...] = (
    *NO_NUMBERS,
    *(None, True, False, [], {}, [[]], [None], {"": {}}, ["x"] * 50),
    *(0, -1, 1, 1.5, 2**63, -(2**63), 10**30, float("nan"), float("inf")),
    *("0", "-1", "1e5", "0." + "0" * 40 + "1", "\x00", "😀", "a" * 10_000, "TRUE", "BUY", "LONG", "nonsense"),
)
BROKEN = (
    *(b"", b" ", b"null", b"[]", b"{}", b"0", b'""', b"{", b"NaN", b"ok", b"\x00", b"\xff\xfe"),
    *(b"<html><body>502</body></html>", b"[" * 5_000, b'{"a":' * 5_000, b"\xef\xbb\xbf{}"),
    *(b'{"code":0', b'{"code":0,"data":', b'{"code":"00000","data":'),
)
ORDER = Order(
    symbol=BTC,
    order_id="1",
    client_id="hf-1",
    side=Side.BUY,
    position_side=PositionSide.BOTH,
    type=OrderType.MARKET,
    status=ExchangeStatus.PARTIAL,
    quantity=Decimal(1),
    filled=Decimal("0.5"),
    average_price=Decimal(100),
    price=Decimal(0),
    reduce_only=False,
    updated_ms=NOW_MS,
)
RECORDED = {
    name: [
        each
        for part in json.loads((Path(__file__).parent / name / "data" / "recorded.json").read_text()).values()
        for each in (part.values() if isinstance(part, dict) else part)
    ]
    for name in ("binance", "bingx")
}
"""Of the real exchanges, where a simulator does not get round to saying it."""
CONFIG = AccountConfig(
    position_mode=PositionMode.ONE_WAY, can_trade=True, multi_assets=False, leverage={BTC: 5}
)


# --- what to feed ----------------------------------------------------------------------------------


@cache
def said(exchange: str) -> tuple[Any, ...]:
    """All answers and frames of the exchange, as plain JSON values."""
    known = corpus(exchange)
    values = []
    for body in (*known.answers, *(frame for kind in known.frames.values() for frame in kind)):
        raw = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        with suppress(json.JSONDecodeError):
            values.append(json.loads(raw))
    return (*values, *RECORDED.get(exchange, ()))


def inside(value: Any) -> collections.abc.Iterator[Any]:
    """The value, and every object and list in it; texts that are JSON are looked into, too."""
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from inside(inner)


@cache
def rows(exchange: str, kind: type[msgspec.Struct]) -> tuple[Any, ...]:
    """What fits the struct among all that the exchange says: of the fullest fits a few."""
    fitting = []
    array = kind.__struct_config__.array_like
    named = set(kind.__struct_encode_fields__)
    for value in (each for whole in said(exchange) for each in inside(whole)):
        if isinstance(value, list) is not array or not isinstance(value, dict | list):
            continue
        with suppress(msgspec.ValidationError):
            made(kind, value)
            fitting.append((len(named & set(value)) if isinstance(value, dict) else len(value), value))
    fullest = max((score for score, _ in fitting), default=0)
    return tuple(value for score, value in fitting if score == fullest)[:20]


def made(kind: Any, plain: Any) -> Any:
    """A struct as its reader would make it; raises `msgspec.MsgspecError`."""
    return msgspec.json.decode(json.dumps(plain), type=kind, strict=False)


def mutated(chance: random.Random, whole: Any) -> Any:
    """The value with up to three of its members replaced, removed or doubled."""
    value = copy.deepcopy(whole)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        place = chance.choice([each for each in inside(value) if isinstance(each, dict | list)] or [[]])
        if not place:
            continue
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        match chance.randrange(6):
            case 0:
                del place[key]
            case 1 if isinstance(place, list):
                place.append(copy.deepcopy(place[key]))
            case 2 if isinstance(place[key], str):
                place[key] = chance.choice(words(whole))
            case _:
                place[key] = copy.deepcopy(chance.choice(JUNK))
    return value


def words(value: Any) -> list[str]:
    """Texts that stand somewhere in the value: the right word in the wrong place."""
    found = [each for whole in inside(value) for each in (whole.values() if isinstance(whole, dict) else ())]
    return [each for each in found if isinstance(each, str)] or [""]


def body(chance: random.Random, exchange: str) -> bytes:
    """An answer or a frame, whole, mutated, cut, doubled, or junk."""
    if chance.random() < 0.1:
        return chance.choice(BROKEN)
    content = json.dumps(mutated(chance, chance.choice(said(exchange)))).encode()
    match chance.randrange(12):
        case 0:
            return content[: chance.randrange(len(content) + 1)]
        case 1:
            return content + content
        case 2:
            at = chance.randrange(len(content) + 1)
            return content[:at] + chance.randbytes(chance.randrange(4)) + content[at + 1 :]
        case _:
            return content


class Feeder:
    """Makes arguments for a decoder by the types of its parameters."""

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange
        self.chance = random.Random(f"hostile/{exchange}")
        listed = {"BTC-USDT": BTC} if exchange == "bingx" else {"BTCUSDT": BTC}
        self.names = DashedNames(listed) if exchange == "bingx" else Names(listed)

    def argument(self, name: str, hint: Any) -> Any:
        """Raises `msgspec.MsgspecError` for a row that its reader would have refused already."""
        chance, origin, args = self.chance, typing.get_origin(hint), typing.get_args(hint)
        if is_struct(hint):
            return made(hint, mutated(chance, chance.choice(rows(self.exchange, hint))))
        if hint in (bytes, str | bytes):
            return body(chance, self.exchange)
        if hint is Answer:
            headers = {"retry-after": str(chance.choice(JUNK))}
            return Answer(chance.choice((200, 400, 403, 418, 429, 503)), headers, body(chance, self.exchange))
        if origin in (collections.abc.Mapping, dict):
            key = BTC if args[0] is Symbol else chance.choice(("BTCUSDT", "PRICE_FILTER", "LOT_SIZE"))
            return {key: self.argument(name, args[1])} if is_struct(args[1]) else {}
        if origin is Rows:
            return Rows((self.argument(name, args[0]),), 0)
        if origin is Table:
            return self._table
        if origin is collections.abc.Callable:
            return lambda *given: True if args[1] is bool else given[0]
        if origin is collections.abc.Iterable:
            return [self.argument(name, args[0])] if is_struct(args[0]) else []
        return self._plain(name, hint)

    @property
    def _table(self) -> Table[Any]:
        return next(found for _, found in readers(self.exchange) if isinstance(found, Table))

    def _plain(self, name: str, hint: Any) -> Any:
        chance = self.chance
        kinds = [str(each.get("e")) for each in said(self.exchange) if isinstance(each, dict) and "e" in each]
        known: dict[Any, collections.abc.Callable[[], Any]] = {
            Names: lambda: self.names,
            Order: lambda: ORDER,
            bool: lambda: chance.random() < 0.5,
            int: lambda: chance.choice((NOW_MS, 60_000, 0)),
            AccountConfig | None: lambda: chance.choice((None, CONFIG)),
            str | None: lambda: chance.choice((None, "hf-1")),
            str: lambda: chance.choice(
                {"kind": [*kinds, "NEW_KIND"], "timeframe": ["1m", "5m"], "inside": ["", "order"]}.get(
                    name, ["USDT", "hf-1", "LOT_SIZE"]
                )
            ),
        }
        assert hint in known, f"say how a {hint} for {name} is made"
        return known[hint]()


# --- what must come out ----------------------------------------------------------------------------


def sane(value: Any) -> bool:
    """Every number is one, and of a size that exists."""
    if isinstance(value, Decimal):
        return value.is_finite() and abs(value) <= MAGNITUDE_MAX**2
    if is_dataclass(value):
        return all(sane(getattr(value, each.name)) for each in fields(value))
    if isinstance(value, msgspec.Struct):
        return all(sane(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, dict):
        return all(map(sane, value.values()))
    return all(map(sane, value)) if isinstance(value, list | tuple) else True


@contextmanager
def told(what: str) -> collections.abc.Iterator[None]:
    """Whatever escapes says what it came of."""
    try:
        yield
    except BaseException as error:
        error.add_note(what)
        raise


def decoders() -> list[Decoder]:
    return [found for exchange in EXCHANGES for found in functions(exchange)]


@pytest.mark.parametrize("decoder", decoders(), ids=str)
def test_a_decoder_raises_only_our_own_words(decoder: Decoder) -> None:
    """And is read to its end now and then: a fuzz that gets nowhere proves nothing."""
    feeder, ends = Feeder(decoder.exchange), 0
    for round_ in range(ROUNDS * 20):
        if round_ >= ROUNDS and ends:
            break
        try:
            arguments = {name: feeder.argument(name, hint) for name, hint in decoder.takes.items()}
        except msgspec.MsgspecError:
            continue
        with suppress(*OWN_WORDS), told(f"{decoder} of {arguments!r:.1500}"):
            found = decoder.call(**arguments)
            assert sane(found), found
            ends += 1
    assert ends, f"{decoder}: nothing that the exchange says is read by it; give the corpus a sample"


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_reader_raises_only_our_own_words(exchange: str) -> None:
    """Structs and tables, of whole bodies and of what envelopes hold."""
    chance = random.Random(exchange)
    for name, reader in readers(exchange):
        arguments = (lambda row: row,) if isinstance(reader, Table) else ()
        for read in (reader.read, getattr(reader, "of", reader.read)):
            for _ in range(ROUNDS // 3):
                content = body(chance, exchange)
                with suppress(BadAnswer), told(f"{exchange}.{name} of {content!r:.1500}"):
                    read(content, *arguments)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_stream_takes_any_frame(exchange: str) -> None:
    """Counted, or the end of the connection; what it tells is sane, and afterwards it still tells."""
    chance, _ = random.Random(f"frames/{exchange}"), said(exchange)
    sources: dict[str, Source] = {}
    made = StreamKeeper.__init__

    def watched(self: StreamKeeper, *, source: Source, **others: Any) -> None:
        sources[source.name] = source
        made(self, source=source, **others)

    async def proof(d: Desk) -> None:
        await d.listen(BTC)
        for name, source in sources.items():
            for _ in range(ROUNDS * 4):
                sent = frame(chance, exchange, name)
                with suppress(StreamLost), told(f"{exchange} {name} of {sent!r:.1500}"):
                    source.hear(sent)
                    source.owed()
        assert all(map(sane, d.heard))
        assert d.exchange.stats.bad_events
        await d.rest(120)  # what was asked for again by it has been answered
        d.heard.clear()
        await d.enter("hf-after")
        await d.until(lambda: any(news.fill is not None for news in d.of(OrderNews)))

    with mock.patch.object(StreamKeeper, "__init__", watched):
        run(exchange, PositionMode.HEDGE, proof)


def frame(chance: random.Random, exchange: str, stream: str) -> str | bytes:
    """One of the stream's frames, mutated, or anything; packed as the exchange packs them."""
    whole = chance.choice(corpus(exchange).frames[stream])
    raw = gzip.decompress(whole) if whole[:2] == b"\x1f\x8b" else whole  # type: ignore[arg-type]
    try:
        content = json.dumps(mutated(chance, json.loads(raw))).encode()
    except json.JSONDecodeError:
        content = raw if isinstance(raw, bytes) else raw.encode()
    content = chance.choice((content, content, content, body(chance, exchange), content[: len(content) // 2]))
    if isinstance(whole, str):
        return content.decode("utf-8", "replace")
    packed = gzip.compress(content)
    return chance.choice((packed, packed, packed, content, packed[: len(packed) // 2], packed + packed))


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_an_adapter_takes_any_answer(exchange: str) -> None:
    """Reads fail with our own error, requests come to one of four outcomes; then all is as it was."""
    chance, _ = random.Random(f"answers/{exchange}"), said(exchange)
    send, hostile = Transport.send, [False]

    async def answered(self: Transport, *request: Any) -> Answer:
        answer = await send(self, *request)
        if not hostile[0] or chance.random() < 0.2:
            return answer
        try:
            content = json.dumps(mutated(chance, json.loads(answer.body))).encode()
        except json.JSONDecodeError:
            content = answer.body
        changed = chance.choice((content, content, content, body(chance, exchange), content[:-1]))
        return Answer(chance.choice((200, 200, 200, answer.status, 500)), answer.headers, changed)

    async def proof(d: Desk) -> None:
        await d.exchange.watch_marks([BTC])
        await d.enter("hf-entry", quantity=LOT * 5)
        await d.limit("hf-limit")
        hostile[0] = True
        for _ in range(ROUNDS // 12):
            for name, read in READS.items():
                with suppress(ExchangeError), told(f"{exchange}: {name}"):
                    assert sane(await read(d))
            await send_all(d)
        hostile[0] = False
        await d.rest(200)
        await d.exchange.load_instruments(age_max_ms=0)
        assert (await d.order("hf-limit")).price > 0

    with mock.patch.object(Transport, "send", answered):
        run(exchange, PositionMode.ONE_WAY, proof)


async def send_all(d: Desk) -> None:
    """One of each request that changes something; what it comes to is for the query to say."""
    price = (d.core.prices(BTC).mark * Decimal("0.9")).quantize(Decimal(1))
    stop = {"purpose": Purpose.PLACE_STOP, "side": Side.SELL, "trigger_price": price}
    wanted: tuple[dict[str, Any], ...] = (
        {"type": OrderType.LIMIT, "price": price},
        {"purpose": Purpose.CLOSE, "side": Side.SELL, "quantity": LOT / 10},
        {**stop, "close_position": True, "quantity": Decimal(0)},
        {**stop, "quantity": LOT},
        {"purpose": Purpose.CANCEL_ORDER, "target_client_id": "hf-1"},
        {"purpose": Purpose.CANCEL_STOP, "target_id": "12345"},
    )
    for changes in wanted:
        with told(f"{d.stand.exchange}: {changes}"):
            outcome = await d.send(**changes)
            assert isinstance(outcome, Accepted | Rejected | Unknown | Unavailable)
            assert sane(outcome)
        await d.rest(1)
    for asked in (d.exchange.set_leverage(BTC, 4), d.exchange.set_margin_mode(BTC, MarginMode.CROSS)):
        assert isinstance(await asked, Accepted | Rejected | Unknown | Unavailable)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_every_row_and_body_of_a_dialect_is_in_its_corpus(exchange: str) -> None:
    """Or no decoder of it is fuzzed with more than junk."""
    unseen = {name for name, kind in structs(exchange).items() if not rows(exchange, kind)}
    assert unseen == set(), unseen
