"""The driver of GSM, LTE and 5G modems: SMS through SIM cards that their owner has."""
