"""Commands; where the parts are put together."""
