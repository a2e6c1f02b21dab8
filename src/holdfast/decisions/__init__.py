"""What to do about it: pure functions from facts to verdicts and intents."""
