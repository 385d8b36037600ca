"""The way to a modem: its port, and AT commands carried out over it one at a time."""
