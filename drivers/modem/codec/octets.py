"""Reading octets from the front to the back, and what is said when they end too soon.

Owns the one exception of the decoders. Knows nothing of messages.
"""

import re

_HEXADECIMAL = re.compile(r"(?:[0-9A-Fa-f]{2})+")


class Malformed(ValueError):
    """Octets that are not the PDU they should be; the sentence says why and quotes none of them."""


def octets_of(hexadecimal: str) -> bytes:
    """The octets of a line from a modem, which may have blanks around it; raises Malformed."""
    digits = hexadecimal.strip()
    if not _HEXADECIMAL.fullmatch(digits):
        raise Malformed("not an even number of hexadecimal digits" if digits else "empty")
    return bytes.fromhex(digits)


class Octets:
    """A reader that never reads past the end."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._position = 0

    def octet(self, what: str) -> int:
        """The next octet; raises Malformed, naming what was looked for."""
        return self.take(1, what)[0]

    def take(self, count: int, what: str) -> bytes:
        """The next `count` octets; raises Malformed if there are fewer, naming what was looked for."""
        taken = self._octets[self._position : self._position + count]
        if len(taken) < count:
            raise Malformed(f"ends within the {what}")
        self._position += count
        return taken
