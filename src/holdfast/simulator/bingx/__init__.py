"""BingX's USDT-M perpetual swap as its clients see it: REST, gzip WebSocket, user stream."""
