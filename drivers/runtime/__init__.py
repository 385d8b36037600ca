"""The driver SDK: everything between a driver's `send` and the core's driver stream.

A driver imports what it needs from here; docs/writing-a-driver.md shows one in a hundred lines.
"""

from drivers.runtime.context import Context, Receipt, Store
from drivers.runtime.driver import Driver, StartRefused
from drivers.runtime.journal import JournalUnwritable
from drivers.runtime.main import run
from drivers.runtime.outcomes import (
    CutShort,
    Delivered,
    Failed,
    Outcome,
    Read,
    Report,
    SendAgain,
    Submitted,
    Unknown,
)
from drivers.runtime.records import SegmentMark
from drivers.runtime.settings import Setting

__all__ = [
    "Context",
    "CutShort",
    "Delivered",
    "Driver",
    "Failed",
    "JournalUnwritable",
    "Outcome",
    "Read",
    "Receipt",
    "Report",
    "SegmentMark",
    "SendAgain",
    "Setting",
    "StartRefused",
    "Store",
    "Submitted",
    "Unknown",
    "run",
]
