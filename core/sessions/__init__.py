"""Driver sessions: the core's end of the driver stream."""
