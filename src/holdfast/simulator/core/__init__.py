"""The exchange itself, without a wire: it knows orders, positions and margin, no HTTP and no bot."""
