"""The outside: one port in domain words, one dialect per exchange behind it."""
