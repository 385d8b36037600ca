"""The AT dialogue with a modem (3GPP TS 27.005 and 27.007), without I/O."""
