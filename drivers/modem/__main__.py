"""`python -m drivers.modem` runs the driver of modems, or one of the commands about modems."""

from drivers.modem.cli.main import app

if __name__ == "__main__":
    app()
