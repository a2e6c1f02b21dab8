"""One home, one bot, one exchange address."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.store.atomic import write_atomic
from holdfast.store.errors import StoreError
from holdfast.store.home import ExchangeAddress, Home

DEMO = ExchangeAddress(exchange="binance", base_url="http://127.0.0.1:40001", mode="paper")
REAL = ExchangeAddress(exchange="binance", base_url="https://fapi.binance.com", mode="live")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.prepare()
    return made


def test_looking_at_a_home_makes_nothing(tmp_path: Path):
    home = Home(tmp_path / "home")
    assert (home.address(), home.kill_ordered()) == (None, None)
    assert os.listdir(tmp_path) == []


def test_a_prepared_home_is_its_owners_only(home: Home):
    assert sorted(os.listdir(home.path)) == ["logs", "metrics"]
    assert {path.stat().st_mode & 0o777 for path in (home.path, home.logs, home.metrics)} == {0o700}


def test_a_file_in_place_of_the_home_is_named(tmp_path: Path):
    (tmp_path / "home").write_text("x")
    with pytest.raises(StoreError, match=r"home .*/home: expected a folder, found"):
        Home(tmp_path / "home").prepare()


# --- binding -------------------------------------------------------------------------------------


def test_a_demo_home_never_talks_to_a_real_host(home: Home):
    home.bind(DEMO)
    with pytest.raises(StoreError, match="to which it belongs, found binance at https://fapi") as caught:
        home.bind(REAL)
    assert "\n" not in str(caught.value)
    assert home.address() == DEMO


@pytest.mark.parametrize(
    "other",
    [
        ExchangeAddress(exchange="bitget", base_url="https://fapi.binance.com", mode="live"),
        ExchangeAddress(exchange="binance", base_url="https://testnet.binancefuture.com", mode="live"),
        ExchangeAddress(exchange="binance", base_url="http://fapi.binance.com", mode="live"),
        ExchangeAddress(exchange="binance", base_url="https://fapi.binance.com", mode="testnet"),
        ExchangeAddress(exchange="binance", base_url="https://fapi.binance.com.evil.org", mode="live"),
        DEMO,
    ],
)
def test_a_live_home_serves_its_one_address(home: Home, other: ExchangeAddress):
    home.bind(REAL)
    home.bind(ExchangeAddress(exchange="Binance", base_url="https://FAPI.binance.com/", mode="LIVE"))
    with pytest.raises(StoreError, match="another home"):
        home.bind(other)


def test_a_simulator_may_come_up_at_another_port(home: Home):
    home.bind(DEMO)
    moved = ExchangeAddress(exchange="binance", base_url="http://localhost:5", mode="paper")
    home.bind(moved)
    assert home.address() == moved


@pytest.mark.parametrize("words", ["", "{", "[]", '{"exchange": "binance"}', '{"exchange": 1}', "\udcff"])
def test_a_spoilt_address_file_binds_nothing(home: Home, words: str):
    data = words.encode("utf-8", "surrogateescape")
    home.address_file.write_bytes(data)
    with pytest.raises(StoreError, match=r"exchange\.json: expected") as caught:
        home.bind(DEMO)
    assert "\n" not in str(caught.value)
    assert home.address_file.read_bytes() == data


# --- token and KILL file -------------------------------------------------------------------------


def test_the_token_is_made_once_and_for_the_owner_only(home: Home):
    token = home.api_token()
    assert len(token.value) == 43
    assert token.warning == ""
    assert home.api_token() == token
    assert home.token_file.stat().st_mode & 0o777 == 0o600
    assert token.value not in repr(token)
    assert sorted(os.listdir(home.path)) == ["api_token", "logs", "metrics"]


def test_a_token_others_could_read_is_tightened_with_a_warning(home: Home):
    token = home.api_token()
    home.token_file.chmod(0o644)
    found = home.api_token()
    assert found.value == token.value
    assert "expected mode 600, found 644; tightened" in found.warning
    assert token.value not in found.warning
    assert home.token_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("data", [b"", b"short\n", b"x" * 40 + b" y" * 10, b"\xff" * 43])
def test_a_spoilt_token_file_opens_nothing(home: Home, data: bytes):
    home.token_file.write_bytes(data)
    home.token_file.chmod(0o600)
    with pytest.raises(StoreError, match="api_token: expected a"):
        home.api_token()


def test_a_kill_file_orders_the_kill_however_it_looks(home: Home):
    found = []
    for data in (b"", b"going on holiday\nmore", b"\xff\xfe", b"x" * 9999):
        home.kill_file.write_bytes(data)
        found.append(home.kill_ordered())
    assert found[0] == f"file {home.kill_file} is present"
    assert found[1] == "going on holiday"
    assert all(found)
    home.kill_file.unlink()
    home.kill_file.symlink_to("nowhere")
    assert home.kill_ordered()
    home.kill_file.unlink()
    home.kill_file.mkdir()
    assert home.kill_ordered()


# --- lock ----------------------------------------------------------------------------------------


def test_a_second_holdfast_in_the_home_is_refused(home: Home):
    words = f"found process {os.getpid()} running there"
    with home.lock(), pytest.raises(StoreError, match=words), home.lock():
        pytest.fail("two at once")
    with home.lock():
        assert home.lock_file.read_text() == f"{os.getpid()}\n"


@pytest.mark.process
def test_the_lock_ends_with_its_process_however_it_ends(home: Home):
    """kill -9 leaves no stale lock."""
    script = (
        "import sys, time; from holdfast.store.home import Home\n"
        "with Home(sys.argv[1]).lock(): print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(home.path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match=f"found process {child.pid} running there"), home.lock():
        pytest.fail("two at once")
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with home.lock():
        assert home.lock_file.read_text() == f"{os.getpid()}\n"


# --- atomic files --------------------------------------------------------------------------------


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path):
    path = tmp_path / "final_snapshot.json"
    for data in (b'{"positions": []}', b"{}"):
        write_atomic(path, data, mode=0o640)
        assert path.read_bytes() == data
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == [path.name]


def test_a_failed_replacement_leaves_the_old_file(tmp_path: Path):
    folder = tmp_path / "final_snapshot.json"
    folder.mkdir()
    (folder / "inside").touch()
    with pytest.raises(StoreError, match="expected to write it, found: Is a directory"):
        write_atomic(folder, b"x")
    assert os.listdir(tmp_path) == [folder.name]
    with pytest.raises(StoreError, match="No such file"):
        write_atomic(tmp_path / "none" / "file", b"x")
