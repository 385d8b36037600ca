"""What goes out through a modem and what comes in."""
