"""The contract test kit: what every driver has to pass, against a small core that speaks the real protocol."""
