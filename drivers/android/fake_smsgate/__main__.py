"""`python -m drivers.android.fake_smsgate` is `infinireach fake smsgate`."""

from drivers.android.fake_smsgate.command_line import app

if __name__ == "__main__":
    app()
