"""The modem driver on emulated modems, beside gammu-smsd and smstools (P8)."""
