"""What becomes of one outgoing part: decided by its destination, unless a fault of the modem decides otherwise."""

from dataclasses import dataclass, replace
from enum import Enum, auto

from drivers.fake_kit.faults import Fault, Faults

DELIVERED, EXPIRED = 0x00, 0x46
"""TP-Status of a final report (3GPP TS 23.040, 9.2.3.15)."""
FAILED = 0x40
"""From here on TP-Status says that a message will not be delivered."""


class Ending(Enum):
    """What the modem learns, and says, after the radio time."""

    REFERENCE = auto()
    """+CMGS with a reference, and OK."""
    BARE_OK = auto()
    ERROR = auto()
    """+CMS ERROR."""
    HANG = auto()
    REBOOT = auto()
    VANISH = auto()


@dataclass(slots=True, frozen=True)
class Fate:
    """What the network and the modem do with a part."""

    ending: Ending = Ending.REFERENCE
    error: int = 0
    """The number of +CMS ERROR."""
    is_taken: bool = True
    """Whether the network has it."""
    has_old_reference: bool = False
    """Whether it gets the reference of the part before it."""
    radio_s: float | None = None
    """Seconds on the air; None: the network's usual."""
    reports: tuple[int, ...] = (DELIVERED,)
    """TP-Status of each report, if one was asked for."""
    report_after_s: float | None = None
    """Seconds from the taking to the first report; None: the network's usual."""
    is_reported_first: bool = False
    """Whether the reports come before the modem says that the part was sent."""
    fault: Fault | None = None
    """What HANG and VANISH are told."""

    @property
    def is_delivered(self) -> bool:
        """Whether its recipient gets it, reported or not."""
        return self.is_taken and all(status < FAILED for status in self.reports)


USUAL = Fate()
FATES: dict[str, Fate] = {
    "+15005550000": USUAL,
    "+15005550001": Fate(Ending.ERROR, error=1, is_taken=False),
    "+15005550002": Fate(Ending.ERROR, error=27, is_taken=False),
    "+15005550003": Fate(Ending.ERROR, error=21, is_taken=False),
    "+15005550004": Fate(reports=()),
    "+15005550005": Fate(report_after_s=5.0),
    "+15005550006": Fate(Ending.ERROR, error=332, reports=()),
    "+15005550007": Fate(Ending.REBOOT),
    "+15005550008": Fate(reports=(EXPIRED,)),
    "+15005550009": Fate(reports=(DELIVERED, DELIVERED), is_reported_first=True),
}
"""The numbers with a fate of docs/sandbox.md, as a modem shows them."""


def fate_of(destination: str, faults: Faults) -> Fate:
    """What becomes of a part. Faults that count are counted."""
    fate = FATES.get(destination, USUAL)
    if fault := faults.take("slow_radio"):
        fate = replace(fate, radio_s=fault.number("delay_s"))
    if faults.take("reference_reuse"):
        fate = replace(fate, has_old_reference=True)
    return _with_ending(_with_reports(fate, faults), faults)


def _with_reports(fate: Fate, faults: Faults) -> Fate:
    if fault := faults.take("report_failed"):
        fate = replace(fate, reports=(int(fault.number("status")),))
    if fault := faults.take("report_temporary"):
        fate = replace(fate, reports=(int(fault.number("status")), *fate.reports))
    if faults.take("report_doubled"):
        fate = replace(fate, reports=fate.reports * 2)
    if faults.take("report_lost"):
        fate = replace(fate, reports=())
    if fault := faults.take("report_late"):
        fate = replace(fate, report_after_s=fault.number("delay_s"))
    if faults.take("report_before_result"):
        fate = replace(fate, is_reported_first=True)
    return fate


def _with_ending(fate: Fate, faults: Faults) -> Fate:
    if fault := faults.take("cms_error"):
        return replace(
            fate,
            ending=Ending.ERROR,
            error=int(fault.number("code")),
            is_taken=fault.flag("taken"),
        )
    for name, ending in (
        ("ok_without_reference", Ending.BARE_OK),
        ("hang_after_pdu", Ending.HANG),
        ("reboot_in_send", Ending.REBOOT),
        ("vanish_in_send", Ending.VANISH),
    ):
        if fault := faults.take(name):
            return replace(fate, ending=ending, is_taken=fault.flag("taken"), fault=fault)
    return fate
