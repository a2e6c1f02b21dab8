"""Rows of the gauntlet about endings: closing everything, crashes, kill."""

from __future__ import annotations
