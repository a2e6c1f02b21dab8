"""Names of the command line's own files in a home."""

from __future__ import annotations

from pathlib import Path

from holdfast.store.home import Home

CONFIG_NAME = "holdfast.toml"
CHECKED_NAME = "checked_config.json"


def config_path(home: Home, asked: Path | None) -> Path | None:
    """The configuration file: the one asked for, else the home's own where there is one."""
    if asked is not None:
        return asked.expanduser()
    own = home.path / CONFIG_NAME
    return own if own.exists() else None
