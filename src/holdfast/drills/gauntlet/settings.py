"""Rows of the gauntlet about settings and rights: limits of the exchange, clocks, modes, leases, keys."""

from __future__ import annotations
