"""What is remembered: intent journal, books, flags, operator state and the audit chain."""
