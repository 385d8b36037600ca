"""What a check of `infinireach doctor` says."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw, and how to mend it where it is not ok."""

    check: str
    state: Literal["ok", "warning", "fault"]
    detail: str
    remedy: str = ""
