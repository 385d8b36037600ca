"""What a probe finds, one step after the other, and what becomes of it.

Knows neither ports nor modems.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Mark(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    WARNING = "warning"
    """It can send, with troubles."""
    FAULT = "fault"
    """It cannot send."""


@dataclass(slots=True, frozen=True)
class Finding:
    """One step and what it showed."""

    step: str
    mark: Mark
    seen: str
    """A sentence."""
    remedy: str = ""
    """What a person can do; empty where nothing needs to be done."""


Tell = Callable[[Finding], None]


@dataclass(slots=True)
class Examination:
    """A probe from its beginning to its end."""

    port: str
    """Where the modem answers; the port that was asked for if it answers nowhere."""
    findings: list[Finding] = field(default_factory=list[Finding])
    entry: str = ""
    """A [[modem]] table for modems.toml; empty if no modem answered."""
    is_complete: bool = False
    """Every step was made."""

    @property
    def can_send(self) -> bool:
        """Whether messages go out through this modem as it is."""
        return self.is_complete and all(finding.mark is not Mark.FAULT for finding in self.findings)

    def document(self) -> dict[str, Any]:
        """As it stands in JSON."""
        return {
            "port": self.port,
            "can_send": self.can_send,
            "findings": [
                {"step": each.step, "mark": each.mark.value, "seen": each.seen, "remedy": each.remedy}
                for each in self.findings
            ],
            "entry": self.entry,
        }
