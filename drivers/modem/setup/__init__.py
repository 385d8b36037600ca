"""From an open port to a modem that can work."""
