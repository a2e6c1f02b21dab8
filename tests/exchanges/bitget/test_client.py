"""ccxt's Bitget client as we use it: what leaves for pretended money says so."""

import pytest

from holdfast.domain.invariant import InvariantViolation
from holdfast.domain.secret import Secret
from holdfast.exchanges.bitget import requests
from holdfast.exchanges.bitget.client import BitgetClient
from holdfast.exchanges.caller import Signed
from holdfast.exchanges.transport import Answer
from tests.exchanges.support import NOW_MS


class Wire:
    """Keeps the headers of what would have been sent."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []

    async def send(self, _method: str, _url: str, headers: dict[str, str], _body: bytes | None) -> Answer:
        self.headers.append(dict(headers or {}))
        return Answer(200, {}, b"")


def client(wire: Wire, *, paper_mark: bool) -> BitgetClient:
    return BitgetClient(
        base_url="http://127.0.0.1:1",
        api_key="key",
        secret=Secret("secret"),
        passphrase=Secret("phrase"),
        transport=wire,  # type: ignore[arg-type]
        paper_mark=paper_mark,
    )


@pytest.mark.parametrize("paper_mark", [True, False])
async def test_requests_of_the_demo_carry_its_mark_and_others_never(paper_mark: bool) -> None:
    """The same host trades real money."""
    wire = Wire()
    await client(wire, paper_mark=paper_mark).call(requests.account("BTCUSDT"), Signed(NOW_MS, 5_000))
    assert wire.headers[0].get("PAPTRADING") == ("1" if paper_mark else None)
    assert wire.headers[0]["ACCESS-PASSPHRASE"] == "phrase"


async def test_a_signed_request_without_the_mark_does_not_leave() -> None:
    """Should ccxt ever forget it."""
    wire = Wire()
    made = client(wire, paper_mark=True)
    made.options["sandboxMode"] = False
    with pytest.raises(InvariantViolation, match="lacks its mark"):
        await made.call(requests.account("BTCUSDT"), Signed(NOW_MS, 5_000))
    assert wire.headers == []
