"""Measured figures, one command each. Prints and keeps numbers; asserts none."""
