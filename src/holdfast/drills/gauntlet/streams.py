"""Rows of the gauntlet about streams and fills: silence, disorder, partial fills."""

from __future__ import annotations
