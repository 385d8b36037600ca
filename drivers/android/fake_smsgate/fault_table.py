"""Every fault that the fake phone can be told to have: the one table behind control socket, help and documents.

What a fault does is done where it strikes.
"""

from drivers.fake_kit.fault_table import Extent, FaultKind, Parameter

SECONDS_MAX = 604_800.0
PERCENT_MAX = 100
STATUS_MIN, STATUS_MAX = 400, 599
SIMS_MAX = 3


def _seconds(name: str, default: float, sentence: str, least: float = 0.0) -> Parameter:
    return Parameter(name, default, sentence, least, SECONDS_MAX)


_COUNT, _LASTS, _NOW = Extent.COUNT, Extent.DURATION, Extent.NOW
_KEPT = ("kept", "lost")
_KINDS = (
    FaultKind("away", _LASTS, "The phone is out of the network: connections are refused, webhooks wait."),
    FaultKind("hang", _LASTS, "The app takes requests and answers none of them before this ends."),
    FaultKind(
        "slow",
        _LASTS,
        "Every answer takes its time.",
        (_seconds("delay_s", 5.0, "Seconds until it comes."),),
    ),
    FaultKind(
        "error",
        _COUNT,
        "A request is not carried out and answered with an error.",
        (Parameter("status", 500, "Its status.", STATUS_MIN, STATUS_MAX),),
    ),
    FaultKind("answer_lost", _COUNT, "The app takes a message, and the connection breaks before it says so."),
    FaultKind("wrong_password", _LASTS, "Somebody changed the password in the app."),
    FaultKind(
        "app_killed",
        _NOW,
        "The system ends the app; it comes back later.",
        (
            _seconds("away_s", 5.0, "Seconds until it is back."),
            Parameter("memory", "kept", "What it knew: messages, webhooks, its inbox.", choices=_KEPT),
            Parameter("results", "kept", "What the radio reports meanwhile.", choices=_KEPT),
        ),
    ),
    FaultKind("stuck_pending", _COUNT, "A message stays Pending for ever."),
    FaultKind(
        "stuck_processed",
        _COUNT,
        "A message stays Processed for ever.",
        (Parameter("taken", True, "Whether the network has it all the same."),),
    ),
    FaultKind(
        "send_failed",
        _COUNT,
        "The radio refuses a message.",
        (Parameter("reason", "RESULT_ERROR_NO_SERVICE", "Android's name of the reason."),),
    ),
    FaultKind(
        "not_delivered",
        _COUNT,
        "The network reports that a message was not delivered.",
        (Parameter("status", 70, "TP-Status of 3GPP TS 23.040, 9.2.3.15.", 64, 127),),
    ),
    FaultKind("sent_for_ever", _COUNT, "No report of a message ever comes: it stays Sent."),
    FaultKind("one_part_delivered", _COUNT, "Only the first part of a message is ever reported."),
    FaultKind(
        "report_before_sent", _COUNT, "The report of a part comes before the app knows that it was sent."
    ),
    FaultKind("webhook_doubled", _COUNT, "An event is sent twice, with two different ids of the event."),
    FaultKind("webhook_reordered", _COUNT, "An event is sent after the one that follows it."),
    FaultKind("webhook_lost", _COUNT, "An event is never sent."),
    FaultKind("webhook_wrongly_signed", _COUNT, "An event is signed with another key."),
    FaultKind("webhook_unsigned", _COUNT, "An event is sent without a signature."),
    FaultKind("webhook_old_shape", _LASTS, "Events name the other side as earlier apps did: phoneNumber."),
    FaultKind(
        "battery",
        _LASTS,
        "The battery runs down; below 10 percent the app calls itself failed.",
        (Parameter("percent", 5, "What is left.", 0, PERCENT_MAX),),
    ),
    FaultKind(
        "no_sim",
        _LASTS,
        "A SIM is not there.",
        (Parameter("sim", 1, "Its slot, counted from 1.", 1, SIMS_MAX),),
    ),
    FaultKind(
        "clock_off",
        _LASTS,
        "The phone's clock is wrong.",
        (_seconds("ahead_s", 3600.0, "How far ahead; less than 0: late.", -SECONDS_MAX),),
    ),
)


FAULTS = {kind.name: kind for kind in _KINDS}
"""By name, in the order of the documents."""
