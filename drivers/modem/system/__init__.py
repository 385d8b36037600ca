"""Files for the system that runs the driver: a udev rule, a systemd unit."""
