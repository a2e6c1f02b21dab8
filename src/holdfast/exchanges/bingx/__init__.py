"""BingX USDT-M perpetual."""
