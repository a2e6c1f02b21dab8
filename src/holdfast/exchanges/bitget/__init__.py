"""Bitget USDT-FUTURES, classic account, API v2 as spoken in 2026 (stops are plan orders)."""
