"""The kill test: processes die at any moment under load, and every message is accounted for afterwards."""
