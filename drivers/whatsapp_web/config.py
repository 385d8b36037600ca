"""The settings of the driver, and what it refuses to start without.

Owns their words and limits. Knows neither the library nor the account.
"""

import importlib.util
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from drivers.runtime import Setting
from drivers.runtime import settings as read

PAUSE_S_MAX = 3600.0
PER_DAY_MAX = 10_000
INSTALL = f"{sys.executable} -m pip install 'infinireach[whatsapp-web]'"
RISK = (
    "must be yes: WhatsApp forbids clients other than its own and bans numbers that use them, often for good. "
    "Read docs/whatsapp-web.md, and use a number that you can lose"
)


@dataclass(slots=True, frozen=True)
class Range:
    """Seconds from one figure to another."""

    least_s: float
    most_s: float


@dataclass(slots=True, frozen=True)
class Night:
    """Hours of the local clock in which nothing is sent: from `begins` until just before `ends`."""

    begins: int
    ends: int

    def covers(self, hour: int) -> bool:
        """Whether the hour, 0 to 23, belongs to the night."""
        if self.begins < self.ends:
            return self.begins <= hour < self.ends
        return hour >= self.begins or hour < self.ends


def read_acceptance(text: str) -> bool:
    """yes, and nothing else."""
    if text.lower() != "yes":
        raise ValueError(RISK)
    return True


def read_number(text: str) -> str:
    """A phone number, E.164."""
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", text):
        raise ValueError("must be E.164: a plus sign and 7 to 15 digits")
    return text


def read_pause(text: str) -> Range:
    """Two figures with a dash, or one."""
    sentence = f"must be seconds from 0 to {PAUSE_S_MAX:g}, such as 5-8"
    least, dash, most = text.partition("-")
    try:
        pause = Range(float(least), float(most if dash else least))
    except ValueError:
        raise ValueError(sentence) from None
    if not 0 <= pause.least_s <= pause.most_s <= PAUSE_S_MAX:
        raise ValueError(sentence)
    return pause


def read_night(text: str) -> Night:
    """Two hours with a dash."""
    hours = re.fullmatch(r"([0-9]{1,2})-([0-9]{1,2})", text)
    begins, ends = (int(hours[1]), int(hours[2])) if hours else (0, 0)
    if begins == ends or max(begins, ends) > 23:
        raise ValueError("must be two different hours of the day, such as 22-7")
    return Night(begins, ends)


ACCEPT_RISK = Setting(
    "INFINIREACH_WHATSAPP_WEB_ACCEPT_RISK",
    read_acceptance,
    "`yes` says that you know what docs/whatsapp-web.md says of bans; nothing starts without it.",
    "no",
)
NUMBER = Setting(
    "INFINIREACH_WHATSAPP_WEB_NUMBER",
    read_number,
    "The account's number, E.164; required.",
)
ACCOUNT = Setting(
    "INFINIREACH_WHATSAPP_WEB_ACCOUNT",
    read.name,
    "What the account is called everywhere; another name is another device.",
    "whatsapp-web",
)
SESSION = Setting(
    "INFINIREACH_WHATSAPP_WEB_SESSION",
    read.path,
    "File with the session, a credential. Not set: whatsapp-web/<account>/session.db in INFINIREACH_VAR.",
)
PAIRING = Setting(
    "INFINIREACH_WHATSAPP_WEB_PAIRING",
    read.one_of("qr", "code"),
    "How to pair: `qr` to scan, or `code` to type into the phone.",
    "qr",
)
PAUSE = Setting(
    "INFINIREACH_WHATSAPP_WEB_PAUSE_S",
    read_pause,
    "Seconds between two messages, drawn anew each time from this range.",
    "5-8",
)
PER_DAY = Setting(
    "INFINIREACH_WHATSAPP_WEB_PER_DAY",
    read.number(1, PER_DAY_MAX),
    "Messages on one day of the local clock at most.",
    "200",
)
FIRST_CONTACT = Setting(
    "INFINIREACH_WHATSAPP_WEB_FIRST_CONTACT",
    read.yes_or_no,
    "Whether to write to people who have never written to the account.",
    "no",
)
NIGHT = Setting(
    "INFINIREACH_WHATSAPP_WEB_NIGHT",
    read_night,
    "Hours of the local clock in which nothing is sent, such as 22-7. Not set: none.",
)
SETTINGS = (ACCEPT_RISK, NUMBER, ACCOUNT, SESSION, PAIRING, PAUSE, PER_DAY, FIRST_CONTACT, NIGHT)


def check_number(settings: dict[str, Any]) -> Iterable[str]:
    """There is no account without a number. One that is wrong has been reported already."""
    if settings[NUMBER.name] is None and not os.environ.get(NUMBER.name):
        yield f"{NUMBER.name}: must be set to the account's number, E.164"


def check_library(settings: dict[str, Any]) -> Iterable[str]:
    """The library is an extra. Looks for it and loads nothing."""
    if importlib.util.find_spec("neonize") is None:
        yield f"The library neonize is not installed; to install it: {INSTALL}"
