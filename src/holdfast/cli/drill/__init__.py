"""`holdfast drill`: the bot against everything that can go wrong, in virtual time."""
