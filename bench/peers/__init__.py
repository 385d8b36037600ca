"""Our accepts beside those of other gateways, on the same machine in the same run."""
