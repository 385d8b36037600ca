"""+CUSD: codes to the network and its answers, which come unasked (3GPP TS 27.007, 7.15)."""

from collections.abc import Callable, Sequence

from drivers.modem.emulator.clock import Clock, Timer
from drivers.modem.emulator.command_line import Call, Form
from drivers.modem.emulator.errors import EquipmentRefusal
from drivers.modem.emulator.interpreter import Handler
from drivers.modem.emulator.profile import Profile
from drivers.modem.emulator.radio import Radio
from drivers.modem.emulator.ussd import UssdMenu

DEFAULT_ALPHABET = 15
"""The coding scheme of answers (TS 23.038, clause 5)."""
ENDED, ASKS, ABORTED = 0, 1, 2
CANCEL = 2


class UssdCommands:
    """One session at a time."""

    def __init__(
        self,
        profile: Profile,
        radio: Radio,
        clock: Clock,
        menu: UssdMenu,
        *,
        answer_s: Callable[[], float],
        announce: Callable[[str], None],
    ) -> None:
        self._profile = profile
        self._radio = radio
        self._clock = clock
        self._menu = menu
        self._answer_s = answer_s
        self._announce = announce
        self._session: UssdMenu | None = None
        self._timer: Timer | None = None
        self._is_shown = False

    def reset(self) -> None:
        """The modem was switched off."""
        if self._timer is not None:
            self._timer.cancel()
        self._session, self._timer, self._is_shown = None, None, False

    def handlers(self) -> dict[str, Handler]:
        """The commands that are answered here."""
        return {"+CUSD": self._code}

    def _code(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            return ["+CUSD: (0-2)"]
        if call.form is Form.READ:
            return [f"+CUSD: {int(self._is_shown)}"]
        mode = call.number(0, 0)
        if mode == CANCEL:
            is_shown = self._is_shown
            self.reset()
            self._is_shown = is_shown
            return []
        self._is_shown = mode == 1
        if not call.text(1):
            return []
        if not self._radio.is_registered:
            raise EquipmentRefusal(30)
        answer = (self._session or self._menu).reply(self._profile.decoded(call.text(1)))
        self._session = answer if answer.replies else None
        self._timer = self._clock.later(self._answer_s(), lambda: self._answer(answer))
        return []

    def _answer(self, answer: UssdMenu) -> None:
        if self._is_shown:
            text = answer.text if self._profile.charset != "UCS2" else self._profile.encoded(answer.text)
            self._announce(f'+CUSD: {ASKS if answer.replies else ENDED},"{text}",{DEFAULT_ALPHABET}')
