"""Gets the first answer out of a modem that may be asleep, booting, silent by setting, or not there at all.

Owns what is tried for how long. Knows nothing of what the modem is.
"""

from drivers.modem.at.results import CommandRefused, CommandUnanswered
from drivers.modem.line import Commands
from drivers.modem.timing import Timing
from drivers.runtime.clock import Clock

WAKE_COMMANDS = ("AT", "ATE0V1Q0")
"""In turn until one is answered: the first AT may be lost in a sleeping modem, and ATQ1 keeps a modem silent."""


async def wake(commands: Commands, timing: Timing, clock: Clock, *, within_s: float) -> None:
    """Wait until the modem answers, whatever it says.

    Raises CommandUnanswered if it does not within this time, ChannelClosed if the channel has given up before.
    """
    give_up_at = clock.monotonic() + within_s
    turn = 0
    while True:
        try:
            await commands.execute(WAKE_COMMANDS[turn % len(WAKE_COMMANDS)], timeout_s=timing.wake_s)
        except CommandRefused:
            return
        except CommandUnanswered:
            if clock.monotonic() >= give_up_at:
                raise
            turn += 1
        else:
            return
