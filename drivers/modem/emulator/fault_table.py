"""Every fault that the emulator can be told to have: the one table behind control socket, help and documents.

What a fault does is done where it strikes.
"""

from drivers.fake_kit.fault_table import Extent, FaultKind, Parameter

SECONDS_MAX = 86_400.0
ERROR_MAX = 9_999
OCTET_MAX = 255
COMMAND_PATTERN = "[!-~]{1,40}"
PIN_PATTERN, PUK_PATTERN = "[0-9]{4,8}", "[0-9]{8}"
NUMBER_PATTERN, ICCID_PATTERN = r"\+[1-9][0-9]{6,14}", "[0-9]{18,20}"


def _seconds(name: str, default: float, sentence: str) -> Parameter:
    return Parameter(name, default, sentence, most=SECONDS_MAX)


TAKEN = Parameter("taken", default=True, sentence="Whether the network has the message all the same.")
MOVED = Parameter("moved", default=False, sentence="Whether the port comes back under another name.")
POWERED = Parameter(
    "powered",
    default=False,
    sentence="Whether the modem keeps its power; else it starts anew when it is back.",
)
AWAY_S = _seconds("away_s", 2.0, "Seconds until the port is back.")

_SENDING = (
    FaultKind("no_prompt", Extent.COUNT, "AT+CMGS gets no prompt; the modem forgets the command."),
    FaultKind(
        "late_prompt",
        Extent.COUNT,
        "The prompt takes its time.",
        (_seconds("delay_s", 5.0, "Seconds until it comes."),),
    ),
    FaultKind("bare_prompt", Extent.COUNT, "The prompt is `>` without the blank."),
    FaultKind(
        "interrupted_send", Extent.COUNT, "Unsolicited codes come after the prompt and before the result."
    ),
    FaultKind(
        "cms_error",
        Extent.COUNT,
        "The message is refused with +CMS ERROR.",
        (
            Parameter("code", 500, "The number after +CMS ERROR.", most=ERROR_MAX),
            Parameter("taken", default=False, sentence=TAKEN.sentence),
        ),
    ),
    FaultKind("ok_without_reference", Extent.COUNT, "The result is OK without +CMGS.", (TAKEN,)),
    FaultKind(
        "hang_after_pdu",
        Extent.COUNT,
        "After the PDU the modem says nothing, and never how it ended.",
        (TAKEN, _seconds("hang_s", 30.0, "Seconds until it takes commands again.")),
    ),
    FaultKind(
        "slow_radio",
        Extent.COUNT,
        "The network takes its time with a part.",
        (_seconds("delay_s", 20.0, "Seconds from the PDU to the result."),),
    ),
    FaultKind("reboot_in_send", Extent.COUNT, "The modem restarts between PDU and result.", (TAKEN,)),
    FaultKind(
        "vanish_in_send",
        Extent.COUNT,
        "The port disappears between PDU and result.",
        (TAKEN, AWAY_S, MOVED, POWERED),
    ),
    FaultKind("reference_reuse", Extent.COUNT, "A part gets the reference of the part before it."),
)
_REPORTS = (
    FaultKind("report_doubled", Extent.COUNT, "The network reports twice."),
    FaultKind("report_before_result", Extent.COUNT, "The report comes before +CMGS."),
    FaultKind("report_lost", Extent.COUNT, "No report ever comes."),
    FaultKind(
        "report_late",
        Extent.COUNT,
        "The report takes its time.",
        (_seconds("delay_s", 60.0, "Seconds until it comes."),),
    ),
    FaultKind(
        "report_failed",
        Extent.COUNT,
        "The report says that the message was not delivered.",
        (Parameter("status", 0x46, "TP-Status of 3GPP TS 23.040, 9.2.3.15.", most=OCTET_MAX),),
    ),
    FaultKind(
        "report_temporary",
        Extent.COUNT,
        "A report says that the network still tries, before the final one.",
        (Parameter("status", 0x30, "TP-Status of the first report.", most=OCTET_MAX),),
    ),
)
_INBOUND = (
    FaultKind("lost_cmti", Extent.COUNT, "A stored message is not announced by +CMTI or +CDSI."),
    FaultKind(
        "reports_in_sm",
        Extent.DURATION,
        "Under ds=2 of +CNMI reports are stored among the messages: +CDSI names SM.",
    ),
    FaultKind(
        "index_reuse",
        Extent.COUNT,
        "Somebody else deletes a message once it was read; the next that comes in gets its index.",
    ),
    FaultKind("inbound_doubled", Extent.COUNT, "The network delivers an incoming message twice."),
    FaultKind("memory_full", Extent.DURATION, "No memory takes anything more."),
    FaultKind("cnmi_reset", Extent.NOW, "The modem sets mt and ds of +CNMI to 0 by itself."),
)
_MODEM = (
    FaultKind("hang", Extent.DURATION, "The modem says nothing; afterwards it answers what it was told."),
    FaultKind("wrong_port", Extent.DURATION, "The port takes everything and answers nothing."),
    FaultKind("lost_result", Extent.COUNT, "A command is carried out and its final result never comes."),
    FaultKind("sleepy", Extent.COUNT, "A command is overheard."),
    FaultKind(
        "refuse",
        Extent.DURATION,
        "A command ends with an error.",
        (
            Parameter(
                "command",
                "+CNMI",
                "Its name, such as +CNMI; +CNMI= or +CNMI? is that form only, +CNMI=2 what begins so.",
                pattern=COMMAND_PATTERN,
            ),
            Parameter("code", 0, "The number after +CME ERROR; 0: a bare ERROR.", most=ERROR_MAX),
        ),
    ),
    FaultKind("echo_on", Extent.DURATION, "The modem echoes whatever ATE0 said."),
    FaultKind("reboot", Extent.NOW, "The modem restarts."),
    FaultKind("vanish", Extent.NOW, "The port disappears and comes back.", (AWAY_S, MOVED, POWERED)),
)
_SIM = (
    FaultKind("sim_busy", Extent.DURATION, "The SIM is busy: +CME ERROR: 14, +CMS ERROR: 314."),
    FaultKind("no_sim", Extent.DURATION, "There is no SIM: +CME ERROR: 10, +CMS ERROR: 310."),
    FaultKind("sim_failure", Extent.DURATION, "The SIM does not work: +CME ERROR: 13, +CMS ERROR: 313."),
    FaultKind(
        "pin",
        Extent.NOW,
        "The SIM wants its PIN.",
        (
            Parameter("pin", "1234", "The PIN.", pattern=PIN_PATTERN),
            Parameter("tries", 3, "Tries that are left.", least=1, most=3),
        ),
    ),
    FaultKind(
        "puk",
        Extent.NOW,
        "The PIN was wrong too often: the SIM wants its PUK.",
        (Parameter("puk", "12345678", "The PUK.", pattern=PUK_PATTERN),),
    ),
    FaultKind(
        "sim_swap",
        Extent.NOW,
        "Another SIM is in the modem, which restarts.",
        (
            Parameter("number", "+15559876500", "The number of the new SIM.", pattern=NUMBER_PATTERN),
            Parameter("iccid", "89490200009876543210", "Its serial number.", pattern=ICCID_PATTERN),
        ),
    ),
    FaultKind("no_smsc", Extent.DURATION, "+CSCA? is empty: the SIM has lost its service centre."),
)
_RADIO = (
    FaultKind("no_signal", Extent.DURATION, "There is no signal and no network."),
    FaultKind("registration_denied", Extent.DURATION, "The network does not admit the SIM."),
)
_WIRE = (
    FaultKind("split_reads", Extent.DURATION, "What the modem says comes byte by byte."),
    FaultKind(
        "slow_reads",
        Extent.DURATION,
        "What the modem says comes slowly.",
        (Parameter("bytes_per_s", 100.0, "How slowly.", least=1.0, most=1e6),),
    ),
    FaultKind(
        "merged_reads",
        Extent.DURATION,
        "What the modem says is held back and comes in one piece.",
        (_seconds("delay_s", 0.2, "Seconds for which it is held back."),),
    ),
    FaultKind("garbage", Extent.COUNT, "Bytes that mean nothing come before what the modem says."),
)

FAULTS: dict[str, FaultKind] = {
    kind.name: kind for kind in (*_SENDING, *_REPORTS, *_INBOUND, *_MODEM, *_SIM, *_RADIO, *_WIRE)
}
"""By name, in the order in which people read them."""
