"""The network's USSD services: codes, and menus that ask on (3GPP TS 27.007, 7.15)."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True, frozen=True)
class UssdMenu:
    """An answer, and what may be replied to it; without replies the session ends."""

    text: str = ""
    replies: Mapping[str, "UssdMenu"] = field(default_factory=dict[str, "UssdMenu"])

    def reply(self, code: str) -> "UssdMenu":
        """What the network answers to a code or a reply."""
        return self.replies.get(code, UNKNOWN)


UNKNOWN = UssdMenu("Unknown code.")
MENU = UssdMenu(
    replies={
        "*100#": UssdMenu("Your balance is 12.34 EUR."),
        "*123#": UssdMenu(
            "1 Balance\n2 Tariff",
            {
                "1": UssdMenu("Your balance is 12.34 EUR."),
                "2": UssdMenu("You pay nothing: you are emulated."),
            },
        ),
    }
)
"""What every SIM of the emulated network can ask."""
