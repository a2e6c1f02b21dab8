"""Binance USDⓈ-M on the wire, over the core."""
