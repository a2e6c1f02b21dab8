"""Configuration: what is wrong is told all at once, with its place; what is right is told with its origin."""

import os
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.config import ConfigError, is_simulator, load
from holdfast.cli.layers import line_numbers
from holdfast.exchanges.factory import REAL, TEST

HERE = "http://127.0.0.1:9100"
PAPER = f'[account]\nbase_url = "{HERE}"\n'
KEYS = {"HOLDFAST_KEYS__API_KEY": "k" * 64, "HOLDFAST_KEYS__API_SECRET": "s" * 64}


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "holdfast.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


def faults(*args, **options):
    with pytest.raises(ConfigError) as caught:
        load(*args, **options)
    return [str(fault) for fault in caught.value.faults]


def live_text():
    """The documented values written out, as a live operator has to."""
    from importlib import resources

    profile = (resources.files("holdfast.cli") / "paper.toml").read_text()
    return f'mode = "live"\n[account]\nid = "main"\nkey_cannot_withdraw = true\n{profile}'


def origin_of(loaded, path):
    return next(each.origin for each in loaded.effective if each.path == path)


def test_paper_is_the_default_with_documented_values(file):
    loaded = load(file(PAPER), {})
    assert loaded.settings.trading_mode == "paper"
    assert loaded.settings.limits.max_positions == 4
    assert loaded.settings.breakers.error_rate_max_ratio == Decimal("0.02")
    assert loaded.settings.breakers.mark_age_ms_max == loaded.settings.limits.mark_age_ms_max
    assert set(loaded.settings.trading.strategies) == {"adx_trend", "donchian"}
    assert loaded.base_url == HERE
    assert loaded.warnings == ()


def test_each_layer_overrides_the_one_below_and_is_named(file):
    text = PAPER + "[limits]\nmax_positions = 3\ncooldown_sec = 7\ndaily_trades_max = 9\n"
    environment = {"HOLDFAST_LIMITS__MAX_POSITIONS": "2", "HOLDFAST_LIMITS__COOLDOWN_SEC": "8"}
    loaded = load(file(text), environment, {"limits.max_positions": 1})
    limits = loaded.settings.limits
    assert (limits.max_positions, limits.cooldown_sec, limits.daily_trades_max) == (1, 8, 9)
    assert origin_of(loaded, "limits.max_positions") == "command line"
    assert origin_of(loaded, "limits.cooldown_sec") == "environment HOLDFAST_LIMITS__COOLDOWN_SEC"
    assert origin_of(loaded, "limits.daily_trades_max") == "holdfast.toml:6"
    assert origin_of(loaded, "limits.leverage_max").startswith("paper profile:")
    assert origin_of(loaded, "http.port") == "default"


def test_all_faults_are_told_at_once_with_their_lines(file):
    path = file(
        'symbols = ["BTC/USDT", "??"]\n[limits]\nmax_position = 3\nleverage_max = "many"\n'
        "daily_trades_max = -1\n[nonsense]\nx = 1\n"
    )
    told = faults(path, {"HOLDFAST_TRADING__LEVERAGE": "0"})
    assert told == [
        "symbols.1: expected a symbol like BTC/USDT, found '??' (holdfast.toml:1)",
        "limits.daily_trades_max: expected at least 0, found -1 (holdfast.toml:5)",
        "limits.leverage_max: expected a whole number, found 'many' (holdfast.toml:4)",
        (
            "limits.max_position: expected a known name (did you mean max_positions?), found an unknown name"
            " (holdfast.toml:3)"
        ),
        "trading.leverage: expected at least 1, found 0 (environment HOLDFAST_TRADING__LEVERAGE)",
        (
            "nonsense: expected one of account, breakers, engine, freshness, http, keys, limits, liquidation,"
            " mode, protection, symbols, trading, found an unknown name (holdfast.toml:6)"
        ),
        (
            "account.base_url: expected a simulator's address (paper mode never talks to a real exchange),"
            " found nothing"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("limits = 5", "limits: expected a table, found 5"),
        ("account = [1]", "account: expected a table, found 1"),
        ("[limits\n", "holdfast.toml: expected valid TOML, found"),
        ("a = 1\na = 2", "holdfast.toml: expected valid TOML, found"),
        ("mode = 'yolo'", "mode: expected one of paper, dry_run, demo, testnet, sandbox, live, found 'yolo'"),
        ("symbols = []", "symbols: expected"),
        ("[http]\nport = 70000", "http.port: expected at most 65535, found 70000 (holdfast.toml:2)"),
        ("[limits]\nvolatility_max = nan", "limits.volatility_max: expected a finite number"),
        ("[liquidation]\ntimeout_seconds = 99", "liquidation: expected a sound liquidation"),
        ("[liquidation]\nemergency_liquidation = false", "close_positions and cancel_orders"),
        ("[trading.strategies.moon]", "expected one of adx_trend, donchian or module:factory, found 'moon'"),
        ("[trading.strategies.donchian]\nentry_bars = 'x'", "strategies.donchian.entry_bars"),
        ("[trading]\nleverage = 50", "trading.leverage: expected at most limits.leverage_max (10), found 50"),
        ("[limits]\norder_notional_max_ratio = 9", "is above position_notional_max_ratio"),
    ],
)
def test_each_wrong_file_has_its_sentence(file, text, told):
    assert told in "\n".join(
        faults(file(text), {"HOLDFAST_ACCOUNT__BASE_URL": HERE} if "account" not in text else {})
    )


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_missing_or_unreadable_file_is_named(tmp_path, content):
    path = tmp_path / "holdfast.toml"
    if content is not None:
        path.write_bytes(content)
    (told,) = faults(path, {})
    assert told.startswith(f"{path}: expected")


def test_unknown_variables_of_ours_are_refused_and_others_ignored():
    told = faults(None, {"HOLDFAST_LIMITZ__X": "1", "HOLDFAST_HOME": "/x", "PATH": "/bin"})
    assert [line for line in told if "HOLDFAST_LIMITZ__X" in line]
    assert not [line for line in told if "HOME" in line or "PATH" in line]


@pytest.mark.parametrize("name", ["DRY_RUN", "BOT_TEST_MODE"])
def test_the_documents_paper_variables_win_over_live(file, name):
    loaded = load(file(live_text()), {name: "1", "HOLDFAST_ACCOUNT__BASE_URL": HERE})
    assert loaded.settings.trading_mode == "paper"
    assert origin_of(loaded, "mode") == f"environment {name}"


def test_a_paper_variable_of_zero_gives_no_permission(file):
    assert load(file(PAPER), {"DRY_RUN": "0"}).settings.trading_mode == "paper"


@pytest.mark.parametrize(
    ("text", "ratio"), [("0.05", "0.05"), ("5", "0.05"), ("5%", "0.05"), ("0.5 %", "0.005"), ("1", "0.01")]
)
def test_thresholds_of_the_documents_are_ratio_or_per_cent(file, text, ratio):
    environment = {"ERROR_RATE_THRESHOLD": text, "EQUITY_DRAWDOWN_THRESHOLD": text}
    breakers = load(file(PAPER), environment).settings.breakers
    assert breakers.error_rate_max_ratio == breakers.drawdown_max_ratio == Decimal(ratio)


def test_a_threshold_that_is_no_number_is_named(file):
    assert faults(file(PAPER), {"ERROR_RATE_THRESHOLD": "two"}) == [
        "ERROR_RATE_THRESHOLD: expected a ratio (0.02) or per cent (2%), found 'two'"
    ]


@pytest.mark.parametrize(
    ("text", "set_"), [("1", True), ("true", True), ("0", False), ("", False), ("off", False)]
)
def test_the_global_kill_switch_is_read(file, text, set_):
    assert load(file(PAPER), {"GLOBAL_KILL_SWITCH": text}).settings.global_kill_switch is set_


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://fapi.binance.com",
        "http://localhost.evil.example",
        "http://10.0.0.1:80",
        "http://127.0.0.1@evil.example/",
        "fapi.binance.com",
    ],
)
@pytest.mark.parametrize("mode", ["paper", "demo"])
def test_paper_and_demo_never_talk_to_a_real_host(mode, url):
    told = faults(None, {"HOLDFAST_MODE": mode, "HOLDFAST_ACCOUNT__BASE_URL": url})
    assert "never talks to a real exchange" in told[0]


@given(st.text(alphabet="localhst127.0:[]@/#?%\\", max_size=20))
def test_only_loopback_hosts_count_as_simulators(host):
    if is_simulator(f"http://{host}"):
        from urllib.parse import urlsplit

        found = urlsplit(f"http://{host}").hostname
        assert found == "localhost" or found == "::1" or found.startswith("127.") or "127." in found


def test_live_needs_the_flag_keys_account_and_every_limit(file):
    told = faults(file('mode = "live"\n'), {})
    assert "mode: expected the flag --live beside it, found live without the flag (holdfast.toml:1)" in told
    assert "keys.api_key: expected a key of binance, found nothing" in told
    missing = "expected a value (live mode has no default for what can lose money), found nothing"
    for name in ("account.id", "limits.max_positions", "breakers.drawdown_max_ratio", "trading.leverage"):
        assert f"{name}: {missing}" in told


def test_live_with_everything_said_is_accepted(file):
    loaded = load(file(live_text()), KEYS, live=True)
    assert loaded.settings.trading_mode == "live"
    assert loaded.settings.account_id == "main"
    assert loaded.base_url == ""


def test_live_needs_the_operators_word_that_the_key_cannot_withdraw(file):
    """No exchange tells by an answer we know what a key may do; so somebody has to have looked."""
    told = faults(file(live_text().replace("key_cannot_withdraw = true\n", "")), KEYS, live=True)
    assert [line.partition(":")[0] for line in told] == ["account.key_cannot_withdraw"]
    assert "look at the exchange whether the key may withdraw" in told[0]
    text = live_text().replace("withdraw = true", "withdraw = false")
    assert "found False (holdfast.toml:4)" in faults(file(text), KEYS, live=True)[0]


@pytest.mark.parametrize("exchange", ["binance", "bingx", "bitget"])
@pytest.mark.parametrize("mode", ["testnet", "live"])
def test_each_exchange_has_its_own_addresses_for_testnet_and_live(file, exchange, mode):
    text = live_text().replace("[account]\n", f'[account]\nexchange = "{exchange}"\n')
    keys = KEYS | ({"HOLDFAST_KEYS__PASSPHRASE": "open sesame"} if exchange == "bitget" else {})
    loaded = load(file(text.replace('"live"', f'"{mode}"')), keys, live=mode == "live")
    assert loaded.settings.address == {"testnet": TEST, "live": REAL}[mode][exchange].rest
    assert (loaded.base_url, loaded.ws_url) == ("", "")
    assert loaded.passphrase.reveal_to_signer() == ("open sesame" if exchange == "bitget" else "")


def test_an_exchange_nobody_has_built_is_refused_with_those_there_are(file):
    assert faults(file(PAPER), {}, {"account.exchange": "kraken"}) == [
        "account.exchange: expected one of 'binance', 'bingx' or 'bitget', found 'kraken' (command line)"
    ]


def test_the_passphrase_is_wanted_where_keys_have_one_and_only_there(file):
    wanted = "keys.passphrase: expected the passphrase of that key (bitget's have one), found nothing"
    assert faults(file(PAPER), KEYS, {"account.exchange": "bitget"}) == [wanted]
    given = KEYS | {"HOLDFAST_KEYS__PASSPHRASE": "open sesame"}
    loaded = load(file(PAPER), given, {"account.exchange": "bitget"})
    assert loaded.passphrase.reveal_to_signer() == "open sesame"
    assert "sesame" not in repr(loaded)
    shown = {each.path: each.value for each in loaded.effective}
    assert shown["keys.passphrase"] == "(hidden)"
    assert loaded.hash == load(file(PAPER), {}, {"account.exchange": "bitget"}).hash
    for exchange in ("binance", "bingx"):
        (told,) = faults(file(PAPER), given, {"account.exchange": exchange})
        expected = f"nothing: keys of {exchange} have none (those of bitget do)"
        where = "(hidden) (environment HOLDFAST_KEYS__PASSPHRASE)"
        assert told == f"keys.passphrase: expected {expected}, found {where}"


def test_half_a_key_is_refused_in_paper_mode_too(file):
    told = faults(file(PAPER), {"HOLDFAST_KEYS__API_KEY": "k" * 64})
    assert told == ["keys.api_secret: expected the secret of that key, found nothing"]


def test_a_stream_address_alone_is_refused(file):
    text = PAPER.replace("base_url", "ws_url")
    assert "account.ws_url: expected nothing without a base_url beside it" in "".join(faults(file(text), {}))


def test_the_live_flag_alone_makes_nothing_live(file):
    assert "mode: expected live, because of --live, found paper" in faults(file(PAPER), {}, live=True)


def test_keys_are_never_shown_and_do_not_change_the_hash(file):
    with_keys = load(file(PAPER), KEYS)
    assert with_keys.hash == load(file(PAPER), {}).hash
    assert with_keys.api_secret.reveal_to_signer() == "s" * 64
    assert "kkk" not in repr(with_keys)
    assert "sss" not in repr(with_keys)
    told = faults(file(PAPER + "[keys]\napi_key = 12345678\n"), {})
    assert told == ["keys.api_key: expected text, found (hidden) (holdfast.toml:4)"]


def test_a_file_with_keys_that_others_may_read_is_refused(file):
    path = file(PAPER + '[keys]\napi_key = "k"\napi_secret = "s"\n')
    assert load(path, {}).api_key
    os.chmod(path, 0o644)
    assert "others may read it" in faults(path, {})[0]


def test_any_other_value_changes_the_hash(file):
    assert load(file(PAPER), {}).hash != load(file(PAPER), {}, {"limits.max_positions": 3}).hash


def test_what_is_allowed_but_risky_is_warned_about(file):
    text = (
        PAPER
        + "[liquidation]\nemergency_liquidation = false\nclose_positions = false\ncancel_orders = false\n"
    )
    warnings = load(file(text), {}, {"limits.max_positions": 0}).warnings
    assert [words.split(":")[0] for words in warnings] == [
        "liquidation.emergency_liquidation is off",
        "limits.max_positions is 0",
    ]


def test_lines_of_keys_and_tables_are_found():
    text = 'a = 1\n[x]\nb = 2\n# c = 3\n[x."y"]\n"d" = 4\n'
    assert line_numbers(text) == {"a": 1, "x": 2, "x.b": 3, "x.y": 5, "x.y.d": 6}
