"""PDUs by libgammu, which others have trusted for twenty years.

Owns what has to be said to it for that.
"""

from importlib import import_module
from typing import Any

from drivers.modem.codec import Encoding, encoding_of

# It has neither type hints nor stubs.
gammu: Any = import_module("gammu")

SEGMENTS_MAX = 45
"""It has room for no more."""


def submits(
    text: str,
    *,
    destination: str,
    reference: int,
    reference_bits: int,
    smsc: str,
    wants_report: bool,
    validity: str,
    message_class: int = -1,
) -> list[str]:
    """SMS-SUBMIT PDUs in upper-case hexadecimal; `validity` is such as 5M, 3H, 2D, 4W or Max."""
    in_ucs2 = encoding_of(text) is Encoding.UCS2
    identifier = "ConcatenatedTextLong" if reference_bits == 8 else "ConcatenatedTextLong16bit"
    segments = gammu.EncodeSMS({
        "Class": message_class,
        "Unicode": in_ucs2,
        "Entries": [{"ID": identifier, "Buffer": text}],
    })
    pdus: list[str] = []
    for segment in segments:
        segment["Number"] = destination
        segment["SMSC"] = {"Number": smsc, "Validity": validity, "Location": 0}
        segment["Type"] = "Status_Report" if wants_report else "Submit"
        if in_ucs2:
            # One alone begins an escape sequence of its own.
            segment["Text"] = segment["Text"].replace("~", "~~")
        header = segment["UDH"]
        if header["Type"] != "NoUDH":
            numbers = header["Text"][-2:]
            octets = reference_bits // 8
            header["Text"] = header["Text"][:3] + reference.to_bytes(octets, "big") + numbers
        pdus.append(gammu.EncodePDU(segment, "Submit").hex().upper())
    return pdus


def decode(pdu: str) -> dict[str, Any]:
    """What libgammu reads in a PDU that came in."""
    return gammu.DecodePDU(bytes.fromhex(pdu), True)
