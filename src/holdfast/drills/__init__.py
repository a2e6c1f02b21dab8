"""The whole bot in virtual time: one process, one seed, a clock that jumps from event to event."""
