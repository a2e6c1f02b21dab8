"""What the HTTP interface says and does; who is let in is in test_guard.py."""

from dataclasses import replace
from decimal import Decimal

import pytest
from httpx import ASGITransport, AsyncClient

from holdfast.console.app import create_app
from holdfast.engine.view import AlertView, DecisionView, Protection
from holdfast.runtime.logs import Logs

from .views import NOW, FixedClock, RememberingCommands, position, view

D = Decimal
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def logs(tmp_path):
    made = Logs(tmp_path / "bot.log", FixedClock())
    yield made
    made.close()


@pytest.fixture
def commands():
    return RememberingCommands()


def client(logs, commands, now=None, **options):
    app = create_app(lambda: now, commands, token=TOKEN, logs=logs, clock=FixedClock(), **options)
    return AsyncClient(
        transport=ASGITransport(app),
        base_url="http://127.0.0.1:8000",
        headers={"Authorization": f"Bearer {TOKEN}"},
    )


async def ask(logs, path, now=None):
    async with client(logs, RememberingCommands(), now or view()) as http:
        answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return answer


async def test_health_tells_mode_state_and_age_of_the_last_sync(logs):
    assert (await ask(logs, "/health")).json() == {
        "status": "ok",
        "why": [],
        "trading_mode": "demo",
        "state": "running",
        "mode": "normal",
        "last_sync_age_ms": 1_000,
    }


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"synced": False}, "not_synced"),
        ({"last_sync_ms": NOW - 60_001}, "sync_old"),
        ({"unprotected": ("BTC/USDT:USDT",)}, "unprotected_positions"),
        ({"mode": "halted"}, "halted"),
        ({"alerts": (AlertView(id="x", severity="critical", text="", since_ms=0),)}, "critical_alert"),
    ],
)
async def test_each_ailment_degrades_health_with_its_own_word(logs, changes, why):
    health = (await ask(logs, "/health", replace(view(), **changes))).json()
    assert (health["status"], health["why"]) == ("degraded", [why])


async def test_a_killed_bot_is_well_and_says_that_it_is_killed(logs):
    killed = view(operator_state="killed", mode="halted")
    health = (await ask(logs, "/health", killed)).json()
    assert (health["status"], health["state"]) == ("ok", "killed")


async def test_before_the_first_view_only_health_answers(logs, commands):
    async with client(logs, commands) as http:
        assert (await http.get("/health")).json()["state"] == "starting"
        status = await http.get("/api/status")
    assert status.status_code == 503
    assert "starting" in status.json()["error"]


async def test_status_tells_everything_the_requirement_names(logs):
    decision = DecisionView(at_ms=NOW, kind="entry", symbol="BTC/USDT:USDT", text="breakout")
    status = (await ask(logs, "/api/status", view(decisions=(decision,)))).json()
    assert status["trading_mode"] == "demo"
    assert status["state"] == "running"
    assert status["why"] == "started"
    assert status["balances"] == {"wallet": 10000.1, "equity": 10005.38, "available": 9700.0}
    assert status["last_sync_age_ms"] == 1_000
    assert status["price_source"] == "ws"
    assert status["decisions"][0]["text"] == "breakout"
    held = status["positions"][0]
    assert held["symbol"] == "BTC/USDT:USDT"
    assert (held["side"], held["size"], held["entry"], held["mark"]) == ("long", 0.014, 94123.1, 94500.55)
    assert (held["leverage"], held["unrealized_pnl"], held["roe"]) == (5, 5.2843, 2.0)
    assert (held["margin_ratio"], held["liquidation_price"], held["liquidation_distance"]) == (
        0.53,
        76000,
        19.58,
    )
    assert (held["stop_price"], held["stop_verified"], held["protection"]) == (92000, True, "verified")


@pytest.mark.parametrize("protection", [Protection.PENDING, Protection.MISSING])
async def test_only_a_stop_seen_on_the_exchange_counts_as_verified(logs, protection):
    held = view(positions=(position(protection=protection),))
    told = (await ask(logs, "/api/bot/positions", held)).json()["positions"][0]
    assert (told["stop_verified"], told["protection"]) == (False, protection.value)


async def test_positions_come_with_the_age_of_that_knowledge(logs):
    told = (await ask(logs, "/api/bot/positions", view(unprotected=("SOL/USDT:USDT",)))).json()
    assert (told["count"], told["unprotected"], told["last_sync_age_ms"]) == (1, ["SOL/USDT:USDT"], 1_000)


async def test_metrics_are_flat_numbers_with_account_and_exchange(logs):
    told = (await ask(logs, "/api/metrics")).json()
    assert told["error_rate"] == 0.0
    assert told["price_drift_avg"] == 0.0001
    assert told["signals_processed"] == 12.0
    assert (told["account"], told["exchange"], told["liquidation_state"]) == ("main", "binance", "IDLE")


async def test_prometheus_gets_the_same_numbers_labelled(logs, commands):
    async with client(logs, commands, view(), metrics=lambda: {"clock speed": 20.0}) as http:
        text = (await http.get("/metrics")).text
    labels = '{account="main",exchange="binance"}'
    assert f"price_drift_avg{labels} 0.0001" in text
    assert f"orders_total{labels} 3.0" in text
    assert "# TYPE orders_total counter" in text
    assert f"clock_speed{labels} 20.0" in text


async def test_logs_are_filtered_and_carry_their_plain_form(logs):
    logs.logger.info("order", account="main", side="BUY")
    logs.logger.error("submit", account="other", code="-1003")
    both = (await ask(logs, "/logs")).json()
    assert both["count"] == 2
    errors = (await ask(logs, "/logs?level=error")).json()["lines"]
    assert [line["tag"] for line in errors] == ["rate_limit"]
    assert errors[0]["text"].startswith('ERR {"event": "submit"')
    text = (await ask(logs, "/logs?event=order&account=main&format=text")).text
    assert text.startswith('LOG {"event": "order"')


@pytest.mark.parametrize("query", ["limit=0", "limit=many", "level=loud", "format=xml"])
async def test_a_bad_query_is_refused_with_its_name(logs, commands, query):
    async with client(logs, commands, view()) as http:
        answer = await http.get(f"/logs?{query}")
    assert answer.status_code == 422
    assert query.split("=")[0] in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/run", None, {"why": ""}),
        ("/stop", {"reason": "news"}, {"why": "news"}),
        ("/kill", None, {"why": "", "liquidate": False}),
        ("/kill", {"reason": "storm", "liquidate": True}, {"why": "storm", "liquidate": True}),
        ("/flatten", {"reason": "holiday"}, {"why": "holiday"}),
    ],
)
async def test_each_order_reaches_the_engine_with_who_and_why(logs, commands, path, body, told):
    async with client(logs, commands, view()) as http:
        answer = await http.post(path, json=body, headers={"X-Operator": "ada"})
    assert answer.status_code == 200
    assert answer.json()["message"] == f"{path[1:]}: as told"
    assert commands.heard == [(path[1:], {"who": "ada@127.0.0.1", **told})]


async def test_a_refused_order_is_a_conflict_not_a_success(logs):
    async with client(logs, RememberingCommands(done=False), view()) as http:
        answer = await http.post("/run")
    assert answer.status_code == 409
    assert answer.json()["done"] is False


@pytest.mark.parametrize("body", [{"resaon": "typo"}, {"reason": 5}, {"liquidate": "perhaps"}])
async def test_a_misspelt_order_orders_nothing(logs, commands, body):
    async with client(logs, commands, view()) as http:
        answer = await http.post("/kill", json=body)
    assert answer.status_code == 422
    assert commands.heard == []


async def test_numbers_of_an_exchange_survive_json_exactly(logs):
    odd = view(positions=(position(entry_price=D("0.123456789012345")),))
    told = (await ask(logs, "/api/bot/positions", odd)).json()["positions"][0]["entry"]
    assert D(str(told)) == D("0.123456789012345")
