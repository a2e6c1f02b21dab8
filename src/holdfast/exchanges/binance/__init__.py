"""Binance USDⓈ-M futures, as spoken in 2026 (stops live in the Algo service)."""
