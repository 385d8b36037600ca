"""What a modem sends, cut into lines and prompts.

Owns the bytes of the line: line ends, noise, bounded length. Knows nothing of commands or result codes.
Sources: ITU-T V.250 §5.7.1 (formats of results), 3GPP TS 27.005 §4.3 (the prompt).
"""

from collections.abc import Iterator
from enum import Enum

LINE_OCTETS_MAX = 8192
"""A longer line is dropped whole: the longest that modems send is a list of networks, some 2 000 octets."""

CARRIAGE_RETURN, LINE_FEED, TABULATOR, BLANK, GREATER_THAN, DELETE = b"\r\n\t >\x7f"
ASCII_END = 0x80


class Mark(Enum):
    """What stands between lines and is none."""

    PROMPT = ">"
    """The modem asks for a PDU. It has no line end of its own."""


Token = str | Mark


class Tokenizer:
    """Bytes in, tokens out; how the bytes are spread over calls changes nothing."""

    def __init__(self) -> None:
        self.wants_prompt = False
        """Whether a `>` where a line begins is the prompt. Else it is a character like any other."""
        self._line = bytearray()
        self._is_overlong = False

    def feed(self, data: bytes) -> Iterator[Token]:
        """The tokens that these bytes complete.

        Lazily, so that the consumer of one token decides by `wants_prompt` how the next byte is read.
        Empty lines are left out, control characters too (NULs are seen after a reset, Ctrl-Z in an echo).
        """
        for octet in data:
            if octet in {CARRIAGE_RETURN, LINE_FEED}:
                yield from self._end_line()
            elif (octet < BLANK and octet != TABULATOR) or octet == DELETE:
                continue
            elif octet == GREATER_THAN and self.wants_prompt and self._is_at_line_start():
                self._line.clear()
                yield Mark.PROMPT
            elif len(self._line) < LINE_OCTETS_MAX:
                self._line.append(octet)
            else:
                self._is_overlong = True

    def _end_line(self) -> Iterator[str]:
        text = decoded(bytes(self._line)).strip()
        is_overlong = self._is_overlong
        self._line.clear()
        self._is_overlong = False
        if text and not is_overlong:
            yield text

    def _is_at_line_start(self) -> bool:
        """Nothing but blanks and noise since the last line end."""
        return all(octet in {BLANK, TABULATOR} or octet >= ASCII_END for octet in self._line)


def decoded(line: bytes) -> str:
    """Almost always ASCII. Names of networks may be UTF-8; of anything else each octet is kept as one character."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
