"""What a person at this machine may ask of the running driver, through its control socket.

Owns the form of the requests to `whatsapp.sock` in INFINIREACH_VAR; the socket is the runtime's. One JSON object per
line, one answer per line:

    {"status": {}}
        {"ok": true, "numbers": [{"name", "state_reason", "remedy", "window", "display_number_differs"}],
        "counts": {…}, "webhook_port": 8087}
        display_number_differs: Meta shows another number than whatsapp.toml does, which some countries' forms do
        counts: what came in since the driver started, and what became of it, by kind; see docs/whatsapp-cloud.md

    {"ok": false, "code": "invalid_request", "error": "a sentence"}
"""

from collections.abc import Callable, Sequence
from typing import Any

from drivers.runtime.control_socket import RequestRefused
from drivers.whatsapp_cloud.conditions import CONDITIONS
from drivers.whatsapp_cloud.counts import Counts
from drivers.whatsapp_cloud.number import Number

SOCKET_NAME = "whatsapp.sock"


class Requests:
    """Answers requests."""

    def __init__(self, numbers: Sequence[Number], counts: Counts, port: Callable[[], int]) -> None:
        self._numbers = numbers
        self._counts = counts
        self._port = port

    async def carry_out(self, request: Any) -> dict[str, Any]:
        """The fields of the answer. Raises RequestRefused."""
        match request:
            case {"status": dict()}:
                return {
                    "numbers": [_status(number) for number in self._numbers],
                    "counts": self._counts.as_dict(),
                    "webhook_port": self._port(),
                }
            case _:
                raise RequestRefused("invalid_request", 'The request must be {"status": {}}.')


def _status(number: Number) -> dict[str, Any]:
    shown = "".join(filter(str.isdecimal, number.display_number))
    return {
        "name": number.config.name,
        "state_reason": number.reason.value,
        "remedy": CONDITIONS[number.reason].remedy,
        "window": number.window,
        "display_number_differs": bool(shown) and shown != number.config.number.removeprefix("+"),
    }
