"""The routes of the public API, a module for every noun; each owns its handlers and their declarations."""
