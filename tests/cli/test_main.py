"""What every user meets first: help, bad use, and one sentence instead of a traceback."""

import json
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
import tomllib
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pytest

from holdfast.cli.exits import Exit, Failure, explained
from holdfast.cli.simulate import SNIPPETS
from holdfast.store.database import open_store
from holdfast.store.home import ExchangeAddress, Home

from .run import holdfast

COMMANDS = [
    (),
    ("demo",),
    ("drill",),
    ("run",),
    ("simulator",),
    ("status",),
    ("positions",),
    ("stop",),
    ("resume",),
    ("kill",),
    ("flatten",),
    ("exchanges",),
    ("errors",),
    ("check",),
    ("check", "config"),
    ("check", "audit"),
    ("version",),
]
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def cli(monkeypatch, capsys):
    for name in ("HOLDFAST_HOME", "HOLDFAST_CONFIG", "DRY_RUN", "BOT_TEST_MODE"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: holdfast(monkeypatch, capsys, *arguments)


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def files_in(path):
    return sorted(each for each in Path(path).rglob("*") if each.is_file())


@pytest.mark.parametrize("command", COMMANDS, ids=lambda parts: "-".join(parts) or "holdfast")
def test_every_command_has_help_and_says_its_exit_statuses(cli, command):
    told = cli(*command, "--help")
    assert told.status == Exit.FINE
    assert "Usage:" in told.out
    if command != ("version",):
        words = " ".join(told.out.split())
        assert "0 fine, 1 failed, 2 bad use (nothing was done), 3 a guarantee was violated" in words


def test_help_imports_nothing_heavy():
    program = (
        "import sys; sys.argv = ['holdfast', '--help']\n"
        "from holdfast.cli.main import main; main()\n"
        "names = {'ccxt', 'fastapi', 'sqlalchemy', 'aiohttp', 'numpy', 'pyarrow'}\n"
        "print('HEAVY', sorted(names & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("demo", "--minutes", "x"),
        ("demo", "--speed", "0"),
        ("run", "--unknown"),
        ("simulator", "--port", "70000"),
        ("check", "nothing"),
    ],
)
def test_bad_use_is_status_two_without_a_traceback(cli, arguments):
    told = cli(*arguments)
    assert told.status == Exit.BAD_USE
    assert "Traceback" not in told.err


def test_version_is_the_packages_own(cli):
    told = cli("version")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert told.out == f"holdfast {project['version']}\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "expected a readable configuration file, found No such file or directory"),
        ("[limits", "holdfast.toml: expected valid TOML"),
        ("max_positions = 3", "max_positions: expected one of"),
        ("mode = 'live'", "mode: expected the flag --live beside it"),
    ],
)
def test_a_bad_configuration_runs_nothing_and_writes_nothing(cli, tmp_path, text, sentence):
    path, home = tmp_path / "holdfast.toml", tmp_path / "home"
    if text is not None:
        path.write_text(text)
    told = cli("run", "--home", home, "--config", path)
    assert told.status == Exit.BAD_USE
    assert sentence in told.err
    assert not home.exists()


def test_an_unknown_variable_of_ours_runs_nothing(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_RIKS__LEVERAGE", "3")
    told = cli("run", "--home", tmp_path / "home", "--base-url", NOBODY)
    assert told.status == Exit.BAD_USE
    assert "HOLDFAST_RIKS__LEVERAGE" in told.err


def test_run_with_a_port_in_use_writes_nothing(cli, tmp_path, taken_port):
    told = cli("run", "--home", tmp_path / "home", "--base-url", NOBODY, "--port", taken_port)
    assert told.status == Exit.BAD_USE
    assert f"127.0.0.1:{taken_port}: expected a port to listen on, found: it is in use" in told.err
    assert not (tmp_path / "home").exists()


def test_demo_with_a_port_in_use_says_so_at_once(cli, tmp_path, taken_port):
    told = cli("demo", "--headless", "--home", tmp_path / "home", "--port", taken_port)
    assert told.status == Exit.BAD_USE
    assert "it is in use" in told.err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("option", ["--port", "--admin-port"])
def test_simulator_with_a_port_in_use_is_one_sentence(cli, taken_port, option):
    other = "--admin-port" if option == "--port" else "--port"
    told = cli("simulator", option, taken_port, other, "0")
    assert told.status == Exit.BAD_USE
    assert f"expected a free port, found 127.0.0.1:{taken_port}" in told.err


def test_run_against_nobody_fails_with_one_sentence(cli, tmp_path):
    told = cli("run", "--home", tmp_path / "home", "--base-url", NOBODY, "--port", "0")
    assert told.status == Exit.FAILED
    assert f"{NOBODY}: expected binance to answer, found: cannot connect" in told.err
    assert "Traceback" not in told.err
    assert not (tmp_path / "home" / "bot.json").exists()


@pytest.mark.parametrize("command", ["simulator", "demo"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--data", "nowhere"), "expected a directory of candle files, found nothing there"),
        (("--data", "empty"), "expected files like BTC_USDT_USDT-1m-futures.feather, found none"),
        (("--data", "torn"), "expected a readable feather file"),
        (("--data", "nan"), "row 2"),
        (("--data", "torn", "--seed", "1"), "expected --data or --seed, found both"),
        (("--symbols", "??"), "expected a symbol like BTC/USDT:USDT"),
        (("--symbols", ","), "expected symbols like BTC/USDT,ETH/USDT"),
        (("--start", "yesterday"), "expected a time like 2025-05-06T07:00 or milliseconds"),
    ],
)
def test_a_bad_market_is_one_sentence(cli, tmp_path, command, arguments, sentence):
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "BTC_USDT_USDT-1m-futures.feather").write_bytes(b"ARROW1 not really")
    (tmp_path / "nan").mkdir()
    write_candles(tmp_path / "nan", [100.0, float("nan"), 101.0])
    given = [tmp_path / part if part in ("nowhere", "empty", "torn", "nan") else part for part in arguments]
    told = cli(command, *given, "--port", "0", *(("--headless",) if command == "demo" else ()))
    assert told.status == Exit.BAD_USE
    assert sentence in told.err
    assert "Traceback" not in told.err


def write_candles(folder, closes):
    times = pa.array(
        [1_746_057_600_000 + 60_000 * n for n in range(len(closes))], pa.timestamp("ms", tz="UTC")
    )
    columns = {name: pa.array(closes, pa.float64()) for name in ("open", "high", "low", "close", "volume")}
    table = pa.table({"date": times, **columns})
    feather.write_feather(table, folder / "BTC_USDT_USDT-1m-futures.feather")


def used_home(path, address=None):
    home = Home(path)
    home.prepare()
    home.api_token()
    open_store(home.database).close()
    if address:
        home.bind(address)
    return home


def test_a_home_of_another_exchange_is_refused_unchanged(cli, tmp_path):
    real = ExchangeAddress(exchange="binance", base_url="https://fapi.binance.com", mode="live")
    home = used_home(tmp_path / "home", real)
    before = {path: path.read_bytes() for path in files_in(home.path)}
    for command in (("run", "--base-url", NOBODY), ("demo", "--headless")):
        told = cli(*command, "--home", home.path, "--port", "0")
        assert told.status == Exit.BAD_USE
        assert "https://fapi.binance.com" in told.err
    after = {path: path.read_bytes() for path in files_in(home.path) if path != home.lock_file}
    assert after == before


def test_a_database_of_a_newer_version_is_refused_unchanged(cli, tmp_path):
    home = used_home(tmp_path / "home")
    connection = sqlite3.connect(home.database)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    before = home.database.read_bytes()
    told = cli("run", "--home", home.path, "--base-url", NOBODY, "--port", "0")
    assert told.status == Exit.BAD_USE
    assert str(home.database) in told.err
    assert "newer" in told.err
    assert home.database.read_bytes() == before


def test_a_home_in_use_is_refused_naming_who_uses_it(cli, tmp_path):
    home = used_home(tmp_path / "home")
    with home.lock():
        told = cli("run", "--home", home.path, "--base-url", NOBODY, "--port", "0")
    assert told.status == Exit.BAD_USE
    assert "expected no other holdfast in it, found process" in told.err


def test_a_demo_does_not_settle_in_a_folder_of_other_things(cli, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"meow")
    told = cli("demo", "--headless", "--home", tmp_path / "photos", "--port", "0")
    assert told.status == Exit.BAD_USE
    assert "expected a new or empty folder" in told.err
    assert files_in(tmp_path / "photos") == [tmp_path / "photos" / "cat.jpg"]


def test_bad_accounts_of_a_simulator_are_one_sentence(cli, tmp_path):
    (tmp_path / "accounts.json").write_text("[]")
    told = cli("simulator", "--port", "0", "--accounts", tmp_path / "accounts.json")
    assert told.status == Exit.BAD_USE
    assert "expected a list of accounts" in told.err


def test_check_config_tells_values_origins_and_hash(cli, tmp_path):
    path = tmp_path / "holdfast.toml"
    path.write_text(f'[account]\nbase_url = "{NOBODY}"\n')
    told = cli("check", "config", "--home", tmp_path / "home", "--config", path, "--json")
    assert told.status == Exit.FINE
    data = json.loads(told.out)
    assert data["mode"] == "paper"
    assert len(data["hash"]) == 64
    settings = {each["path"]: each for each in data["settings"]}
    assert settings["account.base_url"]["origin"] == "holdfast.toml:2"
    shown = cli("check", "config", "--home", tmp_path / "home", "--config", path)
    assert data["hash"] in shown.out
    assert not (tmp_path / "home").exists()


def test_live_needs_a_passed_check_of_the_same_values(cli, tmp_path, monkeypatch):
    from .test_config import KEYS, live_text

    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    path, home = tmp_path / "holdfast.toml", tmp_path / "home"
    path.write_text(live_text())
    where = ("--home", home, "--config", path, "--live")
    refused = cli("run", *where)
    assert refused.status == Exit.BAD_USE
    assert "found no check" in refused.err
    passed = cli("check", "config", *where)
    assert passed.status == Exit.FINE
    path.write_text(live_text().replace("max_positions = 4", "max_positions = 5"))
    changed = cli("run", *where)
    assert changed.status == Exit.BAD_USE
    assert "found a check of other values" in changed.err


def test_only_what_an_operator_can_cause_becomes_a_sentence():
    assert explained(Failure("no", Exit.BAD_USE)) == ("no", Exit.BAD_USE)
    assert explained(ExceptionGroup("", [Failure("one")])) == ("one", Exit.FAILED)
    assert explained(ExceptionGroup("", [Failure("one"), Failure("two")])) is None
    assert explained(KeyError("a bug of ours")) is None


@pytest.mark.process
def test_a_simulator_lives_in_the_present_and_ends_cleanly(tmp_path):
    import signal
    import urllib.request

    command = [sys.executable, "-m", "holdfast", "simulator", "--port", "0", "--seed", "3", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        told = json.loads(process.stdout.readline())
        with urllib.request.urlopen(f"{told['url']}/fapi/v1/time") as answer:
            exchange_ms = json.load(answer)["serverTime"]
        with urllib.request.urlopen(f"{told['admin_url']}/health") as answer:
            assert json.load(answer)["ok"] is True
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert abs(exchange_ms - time.time() * 1000) < 5_000
    assert process.returncode == Exit.FINE
    assert err == ""


@pytest.mark.process
def test_one_process_serves_several_exchanges_with_one_market_behind_them():
    import signal
    import urllib.request

    command = [sys.executable, "-m", "holdfast", "simulator", "--port", "0", "--seed", "3", "--json"]
    command += ["--exchange", "binance", "--exchange", "bingx"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        told = json.loads(process.stdout.readline())
        binance, bingx = told["exchanges"]
        paths = (
            f"{binance['url']}/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=2",
            f"{bingx['url']}/openApi/swap/v3/quote/klines?symbol=BTC-USDT&interval=1m&limit=2",
        )
        answers = []
        for path in paths:
            with urllib.request.urlopen(path) as answer:
                answers.append(json.load(answer))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert (told["url"], binance["exchange"], bingx["exchange"]) == (binance["url"], "binance", "bingx")
    assert len({binance["admin_url"], bingx["admin_url"]}) == 2
    closed, open_ms = answers[0][0], answers[0][0][0]
    same = next(row for row in answers[1]["data"] if row["time"] == open_ms)
    assert float(same["close"]) == pytest.approx(float(closed[4]), abs=0.2)
    assert process.returncode == Exit.FINE
    assert err == ""


def test_an_exchange_nobody_simulates_is_refused_with_a_sentence(cli):
    ended = cli("simulator", "--exchange", "bingx", "--exchange", "mtgox", "--port", "0")
    assert ended.status == Exit.BAD_USE
    assert "found 'mtgox'" in ended.err


@pytest.mark.process
@pytest.mark.parametrize("exchange", sorted(SNIPPETS))
def test_what_the_simulator_says_to_try_works(exchange, capsys):
    command = [sys.executable, "-m", "holdfast", "simulator", "--port", "0", "--json", "--exchange", exchange]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = json.loads(process.stdout.readline())["url"]
        exec(textwrap.dedent(SNIPPETS[exchange].format(url=url)), {})
        process.terminate()
    assert "'total': 10000.0" in capsys.readouterr().out
