"""Carrying events from the outbox to whoever consumes them."""
