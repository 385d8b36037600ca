"""How long the driver waits for what: every wait of it is a field here.

Owns the figures and their reasons; knows nothing of modems. A setting makes all of them shorter for tests.
"""

from dataclasses import dataclass, fields, replace


@dataclass(slots=True, frozen=True)
class Timing:
    """All waits in seconds. Where a manual or a standard gives a figure, it is named."""

    speed: float = 1.0
    """How many times as fast as real modems these figures are."""

    # Finding and opening the port.
    port_missing_s: float = 2.0
    """Between two looks for a port that is not there."""
    port_lost_s: float = 0.5
    """Before a port that was lost is looked for; the kernel needs a moment too."""
    port_refused_s: float = 15.0
    """Before a port that could not be opened, or is the wrong one, is tried again."""
    identify_s: float = 5.0
    """For a modem on a port that may be the wrong one to answer AT."""

    barrier_s: float = 5.0
    """For a modem to answer ESC and AT after a time-out."""
    silence_s: float = 0.3
    """After which nothing more of an earlier answer comes."""

    # Setting up.
    wake_s: float = 1.0
    """For one AT while the modem may be asleep, stuck at a prompt or booting."""
    boot_s: float = 30.0
    """In which a modem that boots must answer AT."""
    setting_s: float = 2.0
    """For a command that only changes the modem's own state."""
    answer_s: float = 5.0
    """For a command that asks the modem or its SIM."""
    radio_s: float = 15.0
    """For AT+CFUN, which may start the radio."""
    pin_s: float = 30.0
    """For AT+CPIN with a PIN: the SIM and the network's lock are checked."""
    sim_busy_s: float = 30.0
    """In which a SIM that says busy (+CME ERROR: 14) must be ready."""
    busy_step_s: float = 1.0
    """Between two questions to somebody who is busy."""
    smsc_s: float = 10.0
    """For AT+CSCA; it reads the SIM."""
    storage_s: float = 10.0
    """For AT+CPMS; it counts what is stored."""
    registration_s: float = 60.0
    """In which a modem finds its network before a person is told."""
    searching_s: float = 3.0
    """Between two looks at a modem that has no network."""
    start_up_again_s: float = 10.0
    """Between two attempts to set up a modem that is not ready."""

    # Serving.
    health_s: float = 60.0
    """Between two looks at signal, registration and storage."""
    sweep_s: float = 90.0
    """Between two sweeps through the stores: a lost +CMTI is noticed by them."""
    reassert_s: float = 720.0
    """Between two checks that the modem still has its notification settings."""
    settle_s: float = 1.0
    """For the rest of what a modem says unasked as it boots, before it is asked whether it did."""
    down_s: float = 20.0
    """For which a modem may be away before the commands that wait for it are given back."""
    failing_s: float = 30.0
    """Before a modem that failed several times in a row is tried again; doubles each time."""
    failing_max_s: float = 600.0

    # Mending.
    reset_answer_s: float = 5.0
    """For AT+CFUN=1,1 to be answered; many a modem is gone before it does."""
    reset_settle_s: float = 10.0
    """After a reset, before its port is looked for."""
    reset_command_s: float = 60.0
    """For the owner's reset command to end."""
    cool_down_s: float = 300.0
    """Between two rounds of rough measures for one modem, and in which it must have worked for the next trouble to be a
    new one."""
    fault_s: float = 15.0
    """Before a modem whose task failed unexpectedly is started again."""

    # Sending and receiving.
    prompt_s: float = 10.0
    """For the prompt of AT+CMGS."""
    retry_step_s: float = 5.0
    """Before the n-th try of a part that the network is too busy for, n times this."""
    report_parking_s: float = 60.0
    """For which a report without its part is kept: it may be faster than +CMGS."""
    acknowledgement_s: float = 2.0
    """In which +CMT and +CDS must be answered with +CNMA."""
    read_s: float = 5.0
    """For AT+CMGR and AT+CMGD."""
    list_s: float = 30.0
    """For AT+CMGL, which reads the whole store."""
    fragment_wait_s: float = 600.0
    """For the missing parts of a long message."""
    late_fragment_s: float = 86400.0
    """For which late parts of a message that was handed in with gaps are still awaited."""
    journal_s: float = 10.0
    """For the journal to note that a part is about to go out, while the modem waits at its prompt."""
    journal_retry_s: float = 1.0
    """Before a message that the journal could not take is offered to it again."""
    resume_s: float = 3600.0
    """For the modem to come back with the same SIM while a message is partly sent."""

    # Asking the network.
    ussd_s: float = 60.0
    """For a USSD code's turn and the modem's OK, and then for the network's answer."""
    minute_s: float = 60.0
    """What parts_per_minute counts in."""

    @property
    def ussd_whole_s(self) -> float:
        """The longest that a question by USSD takes: its turn, its answer, and the end of one without an answer."""
        return 2 * self.ussd_s + self.answer_s

    def scaled(self, by: float) -> "Timing":
        """The same, everything `by` times as fast."""
        waits = {
            field.name: getattr(self, field.name) / by for field in fields(self) if field.name != "speed"
        }
        return replace(self, speed=self.speed * by, **waits)
