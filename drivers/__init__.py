"""Drivers: processes that own radios or accounts and connect to the core over the driver protocol."""
