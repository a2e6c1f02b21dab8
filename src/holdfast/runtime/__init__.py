"""The real clock, ids, chance, the one seam for blocking work, and the disk."""
