"""Orders and questions: over HTTP to a bot that answers, by the home to one that does not."""

import asyncio
import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from holdfast.cli import botfile
from holdfast.cli.botfile import BotFile
from holdfast.cli.exits import Exit
from holdfast.console.app import create_app
from holdfast.console.port import listen
from holdfast.console.server import HttpServer
from holdfast.decisions.gate import OperatorState
from holdfast.runtime.logs import Logs
from holdfast.store import audit
from holdfast.store.audit_file import AuditFile
from holdfast.store.database import open_store
from holdfast.store.home import Home
from holdfast.store.operator import operator_of, set_operator
from tests.console.views import NOW, FixedClock, RememberingCommands, view

from .run import holdfast


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "home")
    made.prepare()
    made.api_token()
    store = open_store(made.database)
    store.write(lambda c: set_operator(c, OperatorState.RUNNING, "test", "first start", NOW))
    AuditFile(made.audit, store, lambda: NOW).catch_up()
    store.close()
    return made


@pytest.fixture
def cli(monkeypatch, capsys, home):
    monkeypatch.delenv("HOLDFAST_HOME", raising=False)
    return lambda *arguments: holdfast(monkeypatch, capsys, *arguments, "--home", home.path)


@contextmanager
def running(home, commands, now):
    """A bot's HTTP interface on a real port, in a thread; the home says where."""
    logs = Logs(home.logs / "bot.log", FixedClock())
    app = create_app(lambda: now, commands, token=home.api_token().value, logs=logs, clock=FixedClock())
    ended, up = threading.Event(), threading.Event()

    async def serve():
        server = HttpServer(app, listen("127.0.0.1", 0))
        await server.start()
        where = BotFile(pid=1, host="127.0.0.1", port=server.port, address="x", started_ms=NOW)
        botfile.write(home, where)
        up.set()
        while not ended.is_set():
            await asyncio.sleep(0.01)
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert up.wait(10)
    try:
        yield
    finally:
        ended.set()
        thread.join(10)
        logs.close()


def state_of(home):
    store = open_store(home.database, read_only=True)
    try:
        return store.read(lambda c: operator_of(c, "main")).state
    finally:
        store.close()


@pytest.mark.parametrize("command", ["status", "positions"])
def test_questions_are_answered_for_people_and_machines(cli, home, command):
    with running(home, RememberingCommands(), view()):
        people, machines = cli(command), cli(command, "--json")
    assert (people.status, machines.status) == (Exit.FINE, Exit.FINE)
    assert "BTC/USDT" in people.out
    assert "verified" in people.out
    assert json.loads(machines.out)["positions"][0]["symbol"] == "BTC/USDT:USDT"


def test_an_unprotected_position_is_a_violated_guarantee(cli, home):
    with running(home, RememberingCommands(), replace(view(), unprotected=("BTC/USDT:USDT",))):
        told = cli("positions")
    assert told.status == Exit.GUARANTEE_VIOLATED
    assert "without a stop: BTC/USDT:USDT" in told.out


@pytest.mark.parametrize(
    ("arguments", "heard"),
    [
        (("stop", "--reason", "news"), ("stop", {"why": "news"})),
        (("resume",), ("run", {"why": ""})),
        (("kill",), ("kill", {"why": "", "liquidate": False})),
        (("kill", "--liquidate", "--reason", "x"), ("kill", {"why": "x", "liquidate": True})),
        (("flatten",), ("flatten", {"why": ""})),
    ],
)
def test_orders_reach_the_running_bot(cli, home, arguments, heard):
    commands = RememberingCommands()
    with running(home, commands, view()):
        told = cli(*arguments)
    assert told.status == Exit.FINE, told.err
    ((command, said),) = commands.heard
    assert (command, {name: said[name] for name in heard[1]}) == heard
    assert said["who"].endswith("@127.0.0.1")
    assert state_of(home) is OperatorState.RUNNING  # the engine latches, not the command line


def test_a_refused_order_is_a_failure(cli, home):
    with running(home, RememberingCommands(done=False), view()):
        told = cli("resume", "--json")
    assert told.status == Exit.FAILED
    assert json.loads(told.out)["done"] is False


@pytest.mark.parametrize("command", ["status", "positions"])
def test_questions_to_nobody_fail_with_one_sentence(cli, home, command):
    told = cli(command)
    assert told.status == Exit.FAILED
    assert f"the bot of {home.path} is not running" in told.err


def test_a_kill_without_the_bot_is_latched_twice_and_told_honestly(cli, home):
    told = cli("kill", "--reason", "storm")
    assert told.status == Exit.FINE
    assert "gave no answer" in told.err
    assert state_of(home) is OperatorState.KILLED
    assert "storm" in (home.kill_ordered() or "")


def test_a_kill_that_should_liquidate_without_the_bot_is_no_success(cli, home):
    told = cli("kill", "--liquidate")
    assert told.status == Exit.FAILED
    assert "nothing was closed" in told.err
    assert state_of(home) is OperatorState.KILLED


def test_a_bot_that_hangs_is_killed_by_the_home(cli, home, monkeypatch):
    monkeypatch.setattr("holdfast.cli.client.ORDER_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        where = BotFile(pid=1, host="127.0.0.1", port=mute.getsockname()[1], address="x", started_ms=NOW)
        botfile.write(home, where)
        assert cli("kill").status == Exit.FINE
        stopped = cli("stop")
    assert home.kill_ordered() is not None
    assert state_of(home) is OperatorState.KILLED
    assert stopped.status == Exit.FAILED
    assert "did not answer within 0.2 s" in stopped.err


def test_stop_and_resume_without_the_bot_are_latched(cli, home):
    assert cli("stop").status == Exit.FINE
    assert state_of(home) is OperatorState.STOPPED
    assert cli("resume").status == Exit.FINE
    assert state_of(home) is OperatorState.RUNNING


def test_a_stop_does_not_soften_a_kill_but_resume_clears_it(cli, home):
    cli("kill")
    stopped = cli("stop")
    assert stopped.status == Exit.FAILED
    assert "only `resume` clears a kill" in stopped.err
    resumed = cli("resume")
    assert resumed.status == Exit.FINE
    assert "removed the file" in resumed.err
    assert state_of(home) is OperatorState.RUNNING
    assert home.kill_ordered() is None


def test_flatten_without_the_bot_closes_nothing_and_says_so(cli):
    told = cli("flatten")
    assert told.status == Exit.FAILED
    assert "nothing was closed" in told.err


@pytest.mark.parametrize("command", ["status", "kill", "resume", "flatten"])
def test_a_folder_that_is_no_home_is_bad_use_and_stays_untouched(monkeypatch, capsys, tmp_path, command):
    told = holdfast(monkeypatch, capsys, command, "--home", tmp_path / "nobody")
    assert told.status == Exit.BAD_USE
    assert "expected the home of a bot, found none" in told.err
    assert not (tmp_path / "nobody").exists()


def test_something_else_on_the_port_is_not_taken_for_the_bot(cli, home):
    def answer(listening):
        connection, _ = listening.accept()
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = threading.Thread(target=answer, args=(other,))
        thread.start()
        where = BotFile(pid=1, host="127.0.0.1", port=other.getsockname()[1], address="x", started_ms=NOW)
        botfile.write(home, where)
        told = cli("status")
        thread.join(5)
    assert told.status == Exit.FAILED
    assert "is no bot of ours" in told.err


@pytest.mark.parametrize("content", ["{", "[]", '{"pid": 1}'])
def test_a_damaged_bot_file_is_one_sentence(cli, home, content):
    (home.path / "bot.json").write_text(content)
    told = cli("status")
    assert told.status == Exit.BAD_USE
    assert "expected where the bot runs" in told.err


# --- the audit chain -----------------------------------------------------------------------------


def test_an_unbroken_chain_passes_also_after_orders_without_the_bot(cli, home):
    cli("kill")
    cli("resume")
    told = cli("check", "audit", "--json")
    assert told.status == Exit.FINE, told.err
    parts = json.loads(told.out)
    assert parts[str(home.database)] == parts[str(home.audit)]
    assert parts[str(home.audit)]["events"] == 3


def test_a_changed_line_is_found_with_its_number(cli, home):
    cli("stop", "--reason", "quiet")
    home.audit.write_text(home.audit.read_text().replace("quiet", "noisy"))
    told = cli("check", "audit")
    assert told.status == Exit.GUARANTEE_VIOLATED
    assert "broken at 2" in told.err
    assert "changed after it was written" in told.err


def test_a_file_that_is_behind_the_database_is_not_broken(cli, home):
    store = open_store(home.database)
    store.write(lambda c: audit.append(c, "SOMETHING", "", {}, NOW))
    store.close()
    told = cli("check", "audit")
    assert told.status == Exit.FINE
    assert "1 events behind the database" in told.err


def test_a_file_that_knows_more_than_the_database_is_broken(cli, home):
    lines = home.audit.read_text().splitlines()
    last = json.loads(lines[-1])
    forged = audit.make_event(last["seq"] + 1, last["hash"], "FORGED", "", {}, NOW)
    home.audit.write_text("\n".join([*lines, forged.line]) + "\n")
    assert cli("check", "audit").status == Exit.GUARANTEE_VIOLATED
