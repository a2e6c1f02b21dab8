"""Bitget USDT-FUTURES (API v2) over the simulator's core: REST and WebSocket."""
