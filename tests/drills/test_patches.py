"""All clocks and all chance of ccxt and aiohttp are ours in a drill, also after an upgrade of either."""

from __future__ import annotations

import ast
import json
import random
import re
import subprocess
import sys
import uuid
from importlib import import_module
from pathlib import Path

import aiohttp.helpers
import pytest

from holdfast.drills import patches
from holdfast.drills.patches import HARMLESS, PATCHES, Sources, patched

MODULES = {"time", "random", "uuid", "secrets", "datetime"}
NAMES = {"urandom", "getrandom", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns"}
NOW = {"now", "utcnow", "today"}
SOURCE = Path(patches.__file__).parents[1]

# Where our own code may know the world's time and chance. Everything else is given a clock or a generator.
OURS = {
    "runtime/blocking.py",  # how long the disk is waited for, in real time
    "runtime/clock.py",
    "runtime/ids.py",  # names the type of the generator it is given
    "runtime/pace.py",
    "runtime/pacer.py",
    "cli/compose.py",  # where the real generators are made
    "cli/demo/",
    "cli/drill/",  # how long a person waits for drills
    "cli/lifeline.py",
    "cli/looking.py",  # as compose.py
    "cli/runbot.py",
    "cli/simulate.py",
    "engine/exchange_adapter.py",  # where a script's generator is made
    "engine/assembly.py",  # names the type of the generator it is given
    "store/home.py",  # the API token
    "simulator/",  # seeded generators only; `test_the_simulator_only_has_seeded_chance` looks
    "drills/",
}


MAY_USE = re.compile(
    rf"(?:import|from)\b.*\b(?:{'|'.join(sorted(MODULES))})\b"
    rf"|\.(?:{'|'.join(sorted(NAMES))})\b|\.(?:{'|'.join(sorted(NOW))})\("
)
"""A text without a match has nothing to be found: most of the libraries need not be parsed."""


def uses_of(source: str) -> set[str]:
    """Names by which a module reaches clocks and chance, as they stand in it."""
    found: set[str] = set()
    if not MAY_USE.search(source):
        return found
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {a.asname or a.name for a in node.names if a.name.split(".")[0] in MODULES}
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "") in MODULES:
            found |= {a.asname or a.name for a in node.names}
        elif isinstance(node, ast.Attribute) and node.attr in NAMES and isinstance(node.value, ast.Name):
            found.add(node.value.id)
    return found


def reads_now(source: str) -> set[str]:
    """`datetime.now()` and its like read the machine's clock, whatever module they stand in."""
    if not MAY_USE.search(source):
        return set()
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return {ast.unparse(f) for f in calls if isinstance(f, ast.Attribute) and f.attr in NOW}


def loaded_modules() -> dict[str, str]:
    """Modules of the libraries that our process really imports, and their files."""
    code = (
        "import json, sys, holdfast.exchanges.factory, aiohttp.web\n"
        "from holdfast.exchanges.binance import client\n"
        "from holdfast.exchanges.bingx import client\n"
        "from holdfast.exchanges.bitget import client\n"
        "print(json.dumps({n: m.__file__ for n, m in sys.modules.items()"
        " if n.split('.')[0] in ('ccxt', 'aiohttp') and getattr(m, '__file__', None)}))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(told.stdout)


def test_every_clock_and_chance_of_the_installed_libraries_is_known() -> None:
    """Fails when an upgrade of ccxt or aiohttp brings a new one: patch it, or say why it is harmless."""
    unknown = []
    for module, file in sorted(loaded_modules().items()):
        if not file.endswith(".py"):
            continue
        source = Path(file).read_text()
        names = uses_of(source) - {"datetime"} | ({"datetime"} if reads_now(source) else set())
        unknown += [
            f"{module}: {name}"
            for name in sorted(names)
            if (module, name) not in PATCHES and (module, name) not in HARMLESS
        ]
    assert unknown == []


def test_everything_that_is_patched_is_still_there() -> None:
    for module, name in PATCHES:
        assert hasattr(import_module(module), name), f"{module}.{name} is gone: remove its patch"


def test_what_is_called_harmless_is_still_there() -> None:
    for module, name in HARMLESS:
        source = Path(str(import_module(module).__file__)).read_text()
        assert name in uses_of(source) | {"datetime"}, f"{module} does not use {name} any more"


def test_our_own_code_is_given_its_time_and_chance() -> None:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        source = path.read_text()
        used = (uses_of(source) - {"datetime", "UTC", "timedelta"}) | reads_now(source)
        if used and not name.startswith(tuple(OURS)):
            found[name] = sorted(used)
    assert found == {}


def test_the_simulator_and_the_drills_only_have_seeded_chance() -> None:
    """`random.Random(seed)` and the type `random.Random`; never the module's own generator."""
    careless = []
    for path in sorted([*(SOURCE / "simulator").rglob("*.py"), *(SOURCE / "drills").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            unseeded = called in ("random.Random", "Random") and not node.args
            module_wide = called.startswith("random.") and called != "random.Random"
            if unseeded or module_wide or called.startswith(("secrets.", "uuid.")):
                careless.append(f"{path.name}:{node.lineno} {called}")
    assert [each for each in careless if not each.startswith("patches.py")] == []


def test_patches_hold_for_their_time_only() -> None:
    import ccxt.base.exchange  # noqa: F401

    exchange = sys.modules["ccxt.base.exchange"]
    real = exchange.time
    chance = random.Random(7)
    with patched(Sources(lambda: 1_800_000_000.0, lambda: 5.0, chance)):
        assert exchange.Exchange.milliseconds() == 1_800_000_000_000
        assert exchange.Exchange.uuid() == str(uuid.UUID(int=random.Random(7).getrandbits(128), version=4))
        assert aiohttp.helpers.rfc822_formatted_time() == "Fri, 15 Jan 2027 08:00:00 GMT"
        with pytest.raises(RuntimeError, match="real time"):
            exchange.time.sleep(1)
    assert exchange.time is real


def test_websocket_masks_and_keys_come_from_the_seed() -> None:
    from aiohttp import client
    from aiohttp._websocket.writer import WebSocketWriter

    def course() -> tuple[bytes, int]:
        chance = random.Random(7)
        with patched(Sources(lambda: 0.0, lambda: 0.0, chance)):
            writer = WebSocketWriter(None, None, use_mask=True)  # type: ignore[arg-type]
            return client.os.urandom(16), writer.get_random_bits()

    assert course() == course()
