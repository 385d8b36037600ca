"""The driver as a program, with waits that a test can afford: `python hurried_driver.py`."""

from typing import ClassVar

from drivers.android.driver import AndroidDriver
from drivers.android.timing import Timing
from drivers.runtime import run


class HurriedDriver(AndroidDriver):
    """Looks at its phones more often; all else is as it is."""

    timing: ClassVar[Timing] = Timing(
        examine_s=0.5, sweep_s=0.5, catch_up_s=1.0, locked_s=1.0, again_s=0.2, pace_look_s=0.2, down_s=1.0
    )


if __name__ == "__main__":
    run(HurriedDriver)
