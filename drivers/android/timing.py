"""How long the driver waits for what, beside the waits of phones.toml and those for one answer in `phone_api`."""

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Timing:
    """Waits in seconds, beside those of phones.toml."""

    examine_s: float = 30.0
    """Between two looks at health, SIMs and webhooks."""
    sweep_s: float = 60.0
    """Between two sweeps through what came in."""
    catch_up_s: float = 900.0
    """Between two times that the phone is to look for what its app missed."""
    locked_s: float = 60.0
    """Before a phone that refused the password is asked again; more often and it lets nobody in."""
    stuck_s: float = 75.0
    """After which a message that the phone has and does not send is its condition."""
    overtime_s: float = 600.0
    """After its deadline, in which a phone that has a message and can be asked says what became of it; then it is
    unknown."""
    again_s: float = 5.0
    """Before a phone that answered with a fault of its own is given the message again."""
    pace_look_s: float = 5.0
    """Between two looks whether Android's limit has room."""
    down_s: float = 20.0
    """For which a phone may be away before the commands that wait for it are given back."""
