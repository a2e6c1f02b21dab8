"""Rows of the gauntlet about disaster: disk, prices, maintenance, a stuck exchange."""

from __future__ import annotations
