"""Rows of the gauntlet about stops: refused, lost, delayed, cancelled, doubled."""

from __future__ import annotations
