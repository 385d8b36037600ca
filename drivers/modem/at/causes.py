"""What an error code of a modem or a network means for a message, and what to do about it.

Owns the table and nothing else. Sources: 3GPP TS 24.011 §8.2.5.4 and annex E-2 (0 to 127, RP cause), TS 23.040
§9.2.3.22 (128 to 255, TP failure cause), TS 27.005 §3.2.5 (300 to 511), TS 27.007 §9.2 (+CME ERROR). From 512 on a
number means what its vendor likes.

The reasons NO_SERVICE, DEVICE_FAULT and RATE_LIMITED let the core send a message again, on another device too. They
stand only where the network certainly did not take it.
"""

from dataclasses import dataclass
from enum import Enum

from drivers.modem.at.results import Domain
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_CONTENT_UNSUPPORTED,
    FAILURE_REASON_DESTINATION_INVALID,
    FAILURE_REASON_DESTINATION_UNREACHABLE,
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NETWORK_REJECTED,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_OUTCOME_UNKNOWN,
    FAILURE_REASON_RATE_LIMITED,
    FAILURE_REASON_UNSPECIFIED,
    FailureReason,
)

RETRIES_MAX = 3
VENDOR_CODES_START = 512


class Action(Enum):
    """What to do about a message that was refused."""

    PERMANENT = "permanent"
    """It fails now: another try would be refused in the same way."""
    ACCEPTED = "accepted"
    """The network has it already: an earlier try arrived."""
    WITHOUT_FEATURE = "without_feature"
    """Once more without the validity period, or without the class."""
    RETRY = "retry"
    """Once more on this device after a while, at most `Cause.retries_max` times."""
    AMBIGUOUS = "ambiguous"
    """The network may have it: never once more without being told so."""
    DEVICE = "device"
    """Nothing was sent, and nothing can be until the device is well again."""
    STORAGE = "storage"
    """Its memory is full: empty it, then once more."""


@dataclass(slots=True, frozen=True)
class Cause:
    """What a code means."""

    action: Action
    reason: FailureReason
    """If it is to fail in the end."""
    sentence: str
    """For people."""
    retries_max: int = RETRIES_MAX


def permanent(sentence: str, reason: FailureReason = FAILURE_REASON_NETWORK_REJECTED) -> Cause:
    """A refusal for good."""
    return Cause(Action.PERMANENT, reason, sentence, retries_max=0)


def retry(sentence: str, reason: FailureReason, *, retries_max: int = RETRIES_MAX) -> Cause:
    """A refusal that may pass."""
    return Cause(Action.RETRY, reason, sentence, retries_max)


def ambiguous(sentence: str) -> Cause:
    """No refusal, or none of which the network certainly knows."""
    return Cause(Action.AMBIGUOUS, FAILURE_REASON_OUTCOME_UNKNOWN, sentence, retries_max=0)


def device(sentence: str, reason: FailureReason = FAILURE_REASON_DEVICE_FAULT) -> Cause:
    """Nothing left the modem."""
    return Cause(Action.DEVICE, reason, sentence)


def storage(sentence: str) -> Cause:
    """No room."""
    return Cause(Action.STORAGE, FAILURE_REASON_DEVICE_FAULT, sentence)


def without_feature(sentence: str) -> Cause:
    """The message asks for something that the network does not offer."""
    return Cause(Action.WITHOUT_FEATURE, FAILURE_REASON_CONTENT_UNSUPPORTED, sentence, retries_max=1)


NO_SIM = device("There is no SIM in the modem.")
PIN_NEEDED = device("The SIM waits for its PIN.")
PUK_NEEDED = device("The SIM is locked and waits for its PUK.")
SIM_FAILED = device("The SIM failed.")
SIM_WRONG = device("The modem refuses this SIM.")
SIM_BUSY = retry("The SIM is busy.", FAILURE_REASON_DEVICE_FAULT)
LOCKED_TO_NETWORK = device("The modem is locked to another network.")
NO_NETWORK = "The modem has no network."
NETWORK_TIMEOUT = ambiguous("The network did not answer in time.")
MEMORY_FULL = storage("The memory for messages is full.")
MALFORMED = permanent("The network takes the message for malformed.")
DATA_CODING_REFUSED = permanent(
    "The network does not support this alphabet.", FAILURE_REASON_CONTENT_UNSUPPORTED
)

NETWORK_CAUSES = {
    1: permanent("The network knows no such number.", FAILURE_REASON_DESTINATION_INVALID),
    8: permanent("The operator has barred this SIM from sending; often its credit is used up."),
    10: permanent("Messages to this number are barred."),
    17: retry("The network failed.", FAILURE_REASON_NO_SERVICE),
    21: permanent("The network rejected the message."),
    27: retry("The recipient's equipment is out of order.", FAILURE_REASON_DESTINATION_UNREACHABLE),
    28: permanent("The network does not know the subscriber."),
    29: permanent("The network refuses this service."),
    30: permanent("The network does not know the subscriber."),
    # Some networks say so of dead numbers for ever: more than one retry would only block what waits behind.
    38: retry("The network is out of order.", FAILURE_REASON_NETWORK_REJECTED, retries_max=1),
    41: retry("The network failed for a moment.", FAILURE_REASON_NO_SERVICE),
    42: retry("The network is congested.", FAILURE_REASON_RATE_LIMITED),
    47: retry("The network has no resources free.", FAILURE_REASON_RATE_LIMITED),
    50: permanent("This SIM's subscription has no messages."),
    69: permanent("The network does not offer this service."),
    81: MALFORMED,
    95: MALFORMED,
    96: MALFORMED,
    97: MALFORMED,
    98: MALFORMED,
    99: MALFORMED,
    111: MALFORMED,
    127: ambiguous("The networks do not say what became of the message."),
    128: permanent("The network does not support this kind of message.", FAILURE_REASON_CONTENT_UNSUPPORTED),
    129: permanent("The network does not support silent messages.", FAILURE_REASON_CONTENT_UNSUPPORTED),
    130: permanent("The network cannot replace the earlier message."),
    143: permanent("The network does not support this kind of message.", FAILURE_REASON_CONTENT_UNSUPPORTED),
    144: DATA_CODING_REFUSED,
    145: without_feature("The network does not support this class of messages."),
    159: DATA_CODING_REFUSED,
    176: permanent("The network does not support this kind of message.", FAILURE_REASON_CONTENT_UNSUPPORTED),
    192: retry("The message centre is busy.", FAILURE_REASON_RATE_LIMITED),
    193: permanent("The message centre does not know this SIM."),
    194: retry("The message centre failed.", FAILURE_REASON_NO_SERVICE),
    195: permanent("The message centre takes the number for invalid.", FAILURE_REASON_DESTINATION_INVALID),
    196: permanent("The recipient is barred from messages.", FAILURE_REASON_DESTINATION_UNREACHABLE),
    197: Cause(
        Action.ACCEPTED,
        FAILURE_REASON_UNSPECIFIED,
        "The message centre has this message already.",
        retries_max=0,
    ),
    198: without_feature("The message centre does not support this form of validity period."),
    199: without_feature("The message centre does not support validity periods."),
    208: MEMORY_FULL,
    211: MEMORY_FULL,
    255: ambiguous("The message centre gave an error without a reason."),
}
MESSAGE_SERVICE_CAUSES = {
    300: device("The modem failed."),
    301: retry("The modem's message service is in use.", FAILURE_REASON_DEVICE_FAULT),
    302: device("The modem does not allow it now; often its radio is off."),
    303: device("The modem does not support it."),
    304: permanent("The modem takes the message for malformed.", FAILURE_REASON_CONTENT_UNSUPPORTED),
    305: permanent("The modem takes the message for malformed.", FAILURE_REASON_CONTENT_UNSUPPORTED),
    310: NO_SIM,
    311: PIN_NEEDED,
    312: LOCKED_TO_NETWORK,
    313: SIM_FAILED,
    314: SIM_BUSY,
    315: SIM_WRONG,
    316: PUK_NEEDED,
    317: PIN_NEEDED,
    318: PUK_NEEDED,
    320: storage("The memory for messages failed."),
    321: device("The memory has no message at this place."),
    322: MEMORY_FULL,
    330: device("The modem does not know its message centre's number."),
    331: retry(NO_NETWORK, FAILURE_REASON_NO_SERVICE),
    332: NETWORK_TIMEOUT,
    340: device("The modem expected no acknowledgement."),
    500: ambiguous("The modem gave an error without a reason."),
    515: retry("The modem is busy.", FAILURE_REASON_DEVICE_FAULT),
}
EQUIPMENT_CAUSES = {
    0: device("The modem failed."),
    1: device("The modem's parts do not reach each other."),
    3: device("The modem does not allow it now."),
    4: device("The modem does not support it."),
    5: LOCKED_TO_NETWORK,
    10: NO_SIM,
    11: PIN_NEEDED,
    12: PUK_NEEDED,
    13: SIM_FAILED,
    14: SIM_BUSY,
    15: SIM_WRONG,
    16: device("The SIM refused the PIN."),
    17: PIN_NEEDED,
    18: PUK_NEEDED,
    20: MEMORY_FULL,
    21: device("The memory has no message at this place."),
    22: device("The modem did not find it."),
    23: storage("The memory failed."),
    24: permanent("The text is too long for the modem.", FAILURE_REASON_CONTENT_UNSUPPORTED),
    25: permanent("The modem takes the text for malformed.", FAILURE_REASON_CONTENT_UNSUPPORTED),
    26: permanent("The number is too long for the modem.", FAILURE_REASON_DESTINATION_INVALID),
    27: permanent("The modem takes the number for malformed.", FAILURE_REASON_DESTINATION_INVALID),
    30: device(NO_NETWORK, FAILURE_REASON_NO_SERVICE),
    31: NETWORK_TIMEOUT,
    32: device("The network allows this SIM only emergency calls.", FAILURE_REASON_NO_SERVICE),
    40: LOCKED_TO_NETWORK,
    41: LOCKED_TO_NETWORK,
    42: LOCKED_TO_NETWORK,
    43: LOCKED_TO_NETWORK,
    44: LOCKED_TO_NETWORK,
    45: LOCKED_TO_NETWORK,
    46: LOCKED_TO_NETWORK,
    47: LOCKED_TO_NETWORK,
    50: permanent("The modem takes the command for malformed.", FAILURE_REASON_CONTENT_UNSUPPORTED),
    100: ambiguous("The modem gave an error without a reason."),
}
TABLES = {
    Domain.CMS: NETWORK_CAUSES | MESSAGE_SERVICE_CAUSES,
    Domain.CME: EQUIPMENT_CAUSES,
    Domain.NONE: {},
}


def cause_of(domain: Domain, code: int | None) -> Cause:
    """What an error means for the message that was handed over; unknown codes by their range.

    If the PDU was not written when the error came (before the prompt, PduNotWritten), nothing was sent, whatever stands
    here: AMBIGUOUS then is no more than a refusal without a known reason.
    """
    if code is None:
        return ambiguous("The modem gave an error without a reason.")
    known = TABLES[domain].get(code)
    return known if known is not None else cause_by_range(domain, code)


def cause_by_range(domain: Domain, code: int) -> Cause:
    """What an error may mean that no standard names, or whose meaning is its vendor's."""
    if code >= VENDOR_CODES_START:
        return ambiguous(f"The modem gave its maker's own error {code}.")
    if domain is Domain.CMS and 0 < code < 128:
        # TS 24.011 §8.2.5.4: what is not known counts as 41, a temporary failure.
        return retry(f"The network refused the message with cause {code}.", FAILURE_REASON_NETWORK_REJECTED)
    if domain is Domain.CMS and 128 <= code < 192:
        # TS 23.040 §9.2.3.22: groups of what a message asks for and is not supported.
        return permanent(
            f"The message centre refused the message with cause {code}.", FAILURE_REASON_CONTENT_UNSUPPORTED
        )
    if domain is Domain.CMS and 192 <= code < 256:
        return ambiguous(f"The message centre gave the error {code}, which has no known meaning.")
    return ambiguous(f"The modem gave the error {code}, which has no known meaning.")
