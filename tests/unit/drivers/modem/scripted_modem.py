"""A modem that answers by a table: what it is asked is kept, what it says a test decides."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from drivers.modem.at.results import CommandRefused, CommandUnanswered, Domain
from drivers.modem.line import Priority

Answer = Sequence[str] | Exception | Callable[[], "Answer"]

GOOD: dict[str, Answer] = {
    "AT": [],
    "ATE0": [],
    "ATV1": [],
    "ATQ0": [],
    "AT+CMEE=1": [],
    "AT+CGMI": ["Example"],
    "AT+CGMM": ["+CGMM: Model 1"],
    "AT+CGMR": ["1.0"],
    "AT+CGSN": ["490154203237518"],
    "AT+CFUN?": ["+CFUN: 1"],
    "AT+CPIN?": ["+CPIN: READY"],
    "AT+CCID": ["+CCID: 89490200001234567890"],
    "AT+CIMI": ["262010000000001"],
    'AT+CSCS="GSM"': [],
    "AT+CREG=2": [],
    "AT+CEREG=2": [],
    "AT+COPS=3,2": [],
    "AT+CSCA?": ['+CSCA: "+491710760000",145'],
    "AT+CMGF=0": [],
    "AT+CPMS=?": ['+CPMS: ("ME","MT","SM","SR"),("ME","MT","SM"),("ME","MT","SM")'],
    'AT+CPMS="ME","ME","ME"': ["+CPMS: 0,23,0,23,0,23"],
    'AT+CPMS="SM","SM","SM"': ["+CPMS: 0,20,0,20,0,20"],
    'AT+CPMS="MT","MT","MT"': ["+CPMS: 0,43,0,43,0,43"],
    "AT+CPMS?": ['+CPMS: "ME",0,23,"ME",0,23,"ME",0,23'],
    "AT+CNMI=?": ["+CNMI: (0-2),(0-3),(0,2,3),(0-2),(0,1)"],
    "AT+CNMI=2,1,0,2,0": [],
    "AT+CNMI?": ["+CNMI: 2,1,0,2,0"],
    "AT+CSMS=0": ["+CSMS: 1,1,1"],
    "AT+CSMS=1": ["+CSMS: 1,1,1"],
    "AT+CSMS?": ["+CSMS: 0,1,1,1"],
    "AT+CNUM": [],
    "AT+CREG?": ['+CREG: 2,1,"00C3","01A2B3C4",7'],
    "AT+CEREG?": ["+CEREG: 2,0"],
    "AT+COPS?": ['+COPS: 0,2,"26201",7'],
    "AT+CSQ": ["+CSQ: 20,99"],
    "AT+CMGF?": ["+CMGF: 0"],
}
"""A modem that does everything right."""


def refusal(code: int | None = None, domain: Domain = Domain.CME) -> CommandRefused:
    """The error of a command; without a code a bare ERROR."""
    if code is None:
        return CommandRefused("AT", Domain.NONE, None, "ERROR")
    return CommandRefused("AT", domain, code, f"+{domain} ERROR: {code}")


def no_answer() -> CommandUnanswered:
    return CommandUnanswered("AT", "no answer in time")


def in_turn(*answers: Answer) -> Callable[[], Answer]:
    """One answer after the other; the last one stays."""
    left = list(answers)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


class ScriptedModem:
    """Implements `line.Commands`. What is not in the table is answered ERROR."""

    def __init__(self, changes: Mapping[str, Answer] | None = None) -> None:
        self.answers: dict[str, Answer] = {**GOOD, **(changes or {})}
        self.asked: list[str] = []

    async def execute(
        self, command: str, *, timeout_s: float, priority: Priority = Priority.READ
    ) -> Sequence[str]:
        self.asked.append(command)
        answer = self.answers.get(command, refusal())
        while callable(answer):
            answer = answer()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def submit(
        self, *, tpdu_octets: int, pdu: str, timeout_s: float, before_pdu: Callable[[], Awaitable[None]]
    ) -> int:
        raise AssertionError("nothing is sent while a modem is set up")

    def asked_with(self, beginning: str) -> list[str]:
        return [command for command in self.asked if command.startswith(beginning)]
