"""`python -m drivers.modem` runs the driver of modems, or one of the commands about modems."""

import logging

import structlog

from drivers.modem.cli.main import app

if __name__ == "__main__":
    # Commands speak for themselves; the driver sets up its logs when it starts.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    app()
