"""Nobody gets in without the token, from another site, or by another host name."""

import pytest
from httpx import ASGITransport, AsyncClient

from holdfast.console.app import create_app
from holdfast.console.guard import Guard
from holdfast.runtime.logs import Logs

from .views import FixedClock, RememberingCommands, view

TOKEN = "0123456789abcdef0123456789abcdef"
READS = ["/api/status", "/api/metrics", "/metrics", "/logs", "/api/bot/positions"]
ORDERS = ["/run", "/stop", "/kill", "/flatten"]
HIDDEN = ["/", "/docs", "/openapi.json", "/redoc", "/nothing"]


@pytest.fixture
def served(tmp_path):
    logs, commands = Logs(tmp_path / "bot.log", FixedClock()), RememberingCommands()
    app = create_app(view, commands, token=TOKEN, logs=logs, clock=FixedClock(), hosts=("bot.example",))
    yield app, commands
    logs.close()


async def request(app, method, path, base="http://127.0.0.1:8000", **headers):
    async with AsyncClient(transport=ASGITransport(app), base_url=base) as http:
        return await http.request(method, path, headers=headers)


@pytest.mark.parametrize("method_path", [("GET", p) for p in READS + HIDDEN] + [("POST", p) for p in ORDERS])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Cookie": f"token={TOKEN}"},
    ],
)
async def test_without_the_right_token_nothing_answers(served, method_path, headers):
    app, commands = served
    answer = await request(app, *method_path, **headers)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error"}
    assert commands.heard == []


async def test_a_token_in_the_query_is_no_token(served):
    assert (await request(served[0], "GET", f"/api/status?token={TOKEN}")).status_code == 401


async def test_health_alone_is_open_and_tells_no_secret(served):
    answer = await request(served[0], "GET", "/health")
    assert answer.status_code == 200
    assert TOKEN not in answer.text
    assert "10005" not in answer.text


@pytest.mark.parametrize("path", ["/health", "/api/status", "/kill"])
@pytest.mark.parametrize(
    "base", ["http://evil.example:8000", "http://127.0.0.1.evil.example", "http://10.0.0.5:8000"]
)
async def test_another_host_name_is_refused_even_with_the_token(served, base, path):
    app, commands = served
    method = "POST" if path == "/kill" else "GET"
    answer = await request(app, method, path, base, Authorization=f"Bearer {TOKEN}")
    assert answer.status_code == 403
    assert commands.heard == []


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "https://localhost"]
)
async def test_pages_of_other_sites_are_refused_even_with_the_token(served, origin):
    app, commands = served
    answer = await request(app, "POST", "/kill", Authorization=f"Bearer {TOKEN}", Origin=origin)
    assert answer.status_code == 403
    assert commands.heard == []
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:8000", "http://bot.example"]
)
async def test_loopback_and_configured_hosts_are_served(served, base):
    answer = await request(served[0], "GET", "/api/status", base, Authorization=f"Bearer {TOKEN}")
    assert answer.status_code == 200


async def test_our_own_origin_is_served(served):
    answer = await request(
        served[0], "POST", "/stop", Authorization=f"bearer {TOKEN}", Origin="http://127.0.0.1:8000"
    )
    assert answer.status_code == 200


async def test_a_preflight_of_another_site_gets_no_permission(served):
    answer = await request(
        served[0],
        "OPTIONS",
        "/kill",
        **{"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_an_empty_token_is_refused_at_construction():
    with pytest.raises(ValueError, match="expected a token"):
        Guard(lambda *_: None, token="")
