"""The simulated network's own memory: which messages it took and for which of them it still owes reports.

It is apart from the driver's journal, as a real network is: it survives every crash of the driver and the loss of
the journal. The radio log is the ground truth for tests: one JSON line per message, appended at the moment the
network takes it. A message that went out twice has two lines.
"""

import json
import os
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.v1.message_pb2 import CHANNEL_WHATSAPP, MediaType

MARK_DIGITS = 20
"""Fixed width, so that the mark is overwritten in place."""

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
"""One encoder for all lines: `json.dumps` would build one for each."""


@dataclass(slots=True, eq=False)
class TakenMessage:
    """A message that the network took."""

    command_id: str
    message_id: str
    destination: str
    time_s: float
    """When, in seconds since 1970."""
    segments: int
    channel: str
    """`sms` or `whatsapp`."""
    content: str
    """`text`, `template`, or what kind of file it is."""
    owes_report: bool
    """Whether the network still owes its final report."""
    end: int = 0
    """Where its line ends in the radio log."""


def channel_of(command: SendCommand) -> str:
    """`sms` or `whatsapp`."""
    return "whatsapp" if command.channel == CHANNEL_WHATSAPP else "sms"


def content_of(command: SendCommand) -> str:
    """What a command carries: `text`, `template`, or what kind of file."""
    if command.WhichOneof("content") == "media":
        return MediaType.Name(command.media.media.type).removeprefix("MEDIA_TYPE_").lower()
    return command.WhichOneof("content") or "text"


class Radio:
    """The radio log, and beside it the mark up to which nothing is owed any more."""

    def __init__(self, path: Path) -> None:
        """Open or create the log at `path`, which only its owner may read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._log = os.open(path, flags | os.O_APPEND, 0o600)
        self._mark_file = os.open(path.with_name(path.name + ".mark"), flags, 0o600)
        self._owing: deque[TakenMessage] = deque()
        self._mark = self._read_mark()
        self._size = os.fstat(self._log).st_size
        if self._mark > self._size:
            # Somebody removed the log.
            self._mark = 0

    def close(self) -> None:
        """Give the files free."""
        os.close(self._log)
        os.close(self._mark_file)

    def owed(self) -> list[TakenMessage]:
        """The messages that an earlier process left without their final report, oldest first. Call it once."""
        content = os.pread(self._log, self._size - self._mark, self._mark)
        if content and not content.endswith(b"\n"):
            # The machine stopped in the middle of a line.
            self._size += os.write(self._log, b"\n")
        end = self._mark
        for line in content.splitlines(keepends=True):
            end += len(line)
            message = _parse(line, end)
            if message is not None and message.owes_report:
                self._owing.append(message)
        return list(self._owing)

    def take(
        self, commands: Sequence[SendCommand], owing: Sequence[bool], *, time_s: float
    ) -> list[TakenMessage]:
        """The network takes the messages: one write for all of them. `owing` says which get a final report."""
        taken: list[TakenMessage] = []
        lines: list[bytes] = []
        end = self._size
        for command, owes_report in zip(commands, owing, strict=True):
            message = TakenMessage(
                command_id=command.command_id,
                message_id=command.message_id,
                destination=command.destination,
                time_s=time_s,
                segments=max(1, command.text.segments),
                channel=channel_of(command),
                content=content_of(command),
                owes_report=owes_report,
            )
            line = _format(message)
            end += len(line)
            message.end = end
            lines.append(line)
            taken.append(message)
        _write_all(self._log, b"".join(lines))
        self._size = end
        self._owing.extend(message for message in taken if message.owes_report)
        return taken

    def reported(self, messages: Iterable[TakenMessage]) -> None:
        """The final reports of these are in the driver's journal."""
        for message in messages:
            message.owes_report = False
        mark = self._mark
        while self._owing and not self._owing[0].owes_report:
            mark = self._owing.popleft().end
        if mark != self._mark:
            self._mark = mark
            os.pwrite(self._mark_file, f"{mark:0{MARK_DIGITS}d}".encode(), 0)

    def _read_mark(self) -> int:
        digits = os.pread(self._mark_file, MARK_DIGITS, 0)
        return int(digits) if digits.isdigit() else 0


def _format(message: TakenMessage) -> bytes:
    fields = {
        "command_id": message.command_id,
        "message_id": message.message_id,
        "destination": message.destination,
        "time": message.time_s,
        "segments": message.segments,
        "channel": message.channel,
        "content": message.content,
        "report": message.owes_report,
    }
    return _encode(fields).encode() + b"\n"


def _parse(line: bytes, end: int) -> TakenMessage | None:
    try:
        fields = json.loads(line)
        return TakenMessage(
            command_id=fields["command_id"],
            message_id=fields["message_id"],
            destination=fields["destination"],
            time_s=fields["time"],
            segments=fields["segments"],
            # Lines of earlier versions tell neither.
            channel=fields.get("channel", "sms"),
            content=fields.get("content", "text"),
            owes_report=fields["report"],
            end=end,
        )
    except (ValueError, KeyError, TypeError):
        return None


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]
