"""`python -m drivers.android` runs the driver of Android phones."""

from drivers.android.driver import AndroidDriver
from drivers.runtime import run

if __name__ == "__main__":
    run(AndroidDriver)
