"""What a person at this machine may ask of the modems of the running driver, through its control socket.

Owns the form of the requests to `modem.sock` in INFINIREACH_VAR; the socket is the runtime's. One JSON
object per line, one answer per line:

    {"status": {}}
        {"ok": true, "modems": [{"name", "state", "reason", "remedy", "window", "signal_percent", "operator",
        "is_roaming", "port", "maker", "model", "imei", "iccid", "parts_today", "parts_per_day", "resets",
        "balance_ussd", "number_differs", "counts"}], "counts": {"segments", "reports"}}
        number_differs: the SIM tells another number than modems.toml does; counts: what came in since the driver
        started, and what became of it, by name: a modem's own, and of segments and reports those of all modems
    {"ussd": {"device": "alpha", "code": "*100#"}}
        {"ok": true, "text": "…", "is_open": false}; is_open: the network waits for an answer, sent the same way
    {"unlock": {"device": "alpha"}}
        {"ok": true, "is_last_try": false}; the PIN in modems.toml is right, whatever became of it, and is to be tried
        once more; is_last_try: if the SIM refuses it now, it may be locked

Whoever hangs up before the answer takes back what was not begun: a code that waits for its turn is not sent.

    {"ok": false, "code": "…", "error": "a sentence"}
        code: invalid_request, unknown_device, not_ready, ussd_refused, ussd_unanswered
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from drivers.modem.at.results import ChannelClosed, CommandUnanswered
from drivers.modem.config import unknown_modem
from drivers.modem.life.modem import Modem, ModemAway
from drivers.modem.ussd import UssdRefused, UssdUnanswered
from drivers.runtime.control_socket import RequestRefused

SOCKET_NAME = "modem.sock"


class Requests:
    """Passes requests to the modems."""

    def __init__(self, modems: Mapping[str, Modem], counts: Mapping[str, Counter[str]]) -> None:
        """`counts` are those that all modems have in common; they go on counting."""
        self._modems = modems
        self._counts = counts

    async def carry_out(self, request: Any) -> dict[str, Any]:
        """The fields of the answer. Raises RequestRefused."""
        match request:
            case {"status": dict()}:
                return {
                    "modems": [modem.status() for modem in self._modems.values()],
                    "counts": {name: dict(counts) for name, counts in self._counts.items()},
                }
            case {"ussd": {"device": str(name), "code": str(code)}}:
                return await self._ask_ussd(self._modem(name), code)
            case {"unlock": {"device": str(name)}}:
                return await self._unlock(self._modem(name))
            case _:
                raise RequestRefused(
                    "invalid_request",
                    'The request must be {"status": {}}, {"ussd": {"device", "code"}} or {"unlock": {"device"}}.',
                )

    def _modem(self, name: str) -> Modem:
        modem = self._modems.get(name)
        if modem is None:
            raise RequestRefused("unknown_device", unknown_modem(name, self._modems))
        return modem

    async def _ask_ussd(self, modem: Modem, code: str) -> dict[str, Any]:
        try:
            answer = await modem.ask_ussd(code)
        except ValueError as error:
            raise RequestRefused("invalid_request", f"code {error}") from None
        except UssdRefused as refused:
            raise RequestRefused("ussd_refused", str(refused)) from None
        except UssdUnanswered as unanswered:
            raise RequestRefused("ussd_unanswered", str(unanswered)) from None
        except CommandUnanswered:
            raise RequestRefused("ussd_unanswered", "The modem did not answer in time.") from None
        except ModemAway as away:
            raise RequestRefused("not_ready", str(away)) from None
        except ChannelClosed:
            raise RequestRefused("not_ready", "The modem went away.") from None
        return {"text": answer.text, "is_open": answer.is_open}

    async def _unlock(self, modem: Modem) -> dict[str, Any]:
        try:
            return {"is_last_try": await modem.unlock()}
        except ModemAway as away:
            raise RequestRefused("not_ready", str(away)) from None
