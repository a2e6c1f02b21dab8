"""The shell that acts: supervisor, lanes, trading loop, liquidator, shutdown."""
