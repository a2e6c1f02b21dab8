"""Rows of the gauntlet about books and exchange: closed elsewhere, unknown, unreadable, too small."""

from __future__ import annotations
