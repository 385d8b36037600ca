"""The command line for modems, `infinireach modem`."""
