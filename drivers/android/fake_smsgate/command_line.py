"""`infinireach fake smsgate`: the fake phone that runs until a signal, and what can be done to it meanwhile.

Owns the commands and options; what they mean is the phone's (docs/fake-smsgate.md).
"""

import asyncio
import json
import os
import re
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.android.fake_smsgate.fault_table import FAULTS, SIMS_MAX, FaultKind, Value
from drivers.android.fake_smsgate.gate import NUMBER, PASSWORD, SENDER, SIGNING_KEY, USER, FakeSmsGate
from drivers.android.fake_smsgate.orders import SENT_DEFAULT, SENT_MAX, Orders
from drivers.android.fake_smsgate.radio import LIMIT_PARTS, RADIO_S, REPORT_S, Conditions
from drivers.android.fake_smsgate.values import AppKind, OverLimit, Sim
from drivers.runtime import control_socket

EXIT_FAILED = 1
PORT, PORT_MAX = 8080, 65_535
SOCKET_NAME = "fake-smsgate.sock"
ASK_TIMEOUT_S = 10.0
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
HELP = 'Play a phone with "SMS Gateway for Android" on it, and make things happen to it.'
EXAMPLES = "Example: infinireach fake smsgate --number +15559876543 --number +15559876544 --radio-s 3"
FAULT_EXAMPLES = "Example: infinireach fake smsgate fault away --seconds 60"

SocketOption = Annotated[
    Path | None,
    typer.Option("--socket", help=f"Control socket. Not set: {SOCKET_NAME} in INFINIREACH_VAR."),
]


class CommandFailed(Exception):
    """A command cannot go on; its text is one or more sentences for people."""


class Application(typer.Typer):
    """The whole command line. A fault ends in one sentence and a status, not in a traceback."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command of `args`, or of the process; ends with SystemExit."""
        try:
            return super().__call__(*args, prog_name="infinireach fake smsgate", **kwargs)
        except CommandFailed as failed:
            typer.echo(str(failed), err=True)
            sys.exit(EXIT_FAILED)


app = Application(
    help=HELP,
    epilog=EXAMPLES,
    pretty_exceptions_enable=False,  # a traceback with local variables would show numbers
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(slots=True, frozen=True)
class Options:
    """What phone there is to be."""

    port: int
    user: str
    password: str
    numbers: tuple[str, ...]
    kind: AppKind
    conditions: Conditions
    speed: float
    radio_log: Path | None
    socket: Path


@app.callback(invoke_without_command=True, help=HELP, epilog=EXAMPLES)
def serve(  # noqa: PLR0913 - one option each
    context: typer.Context,
    *,
    port: Annotated[int, typer.Option(min=0, max=PORT_MAX, help="On 127.0.0.1; 0: any.")] = PORT,
    user: Annotated[str, typer.Option(help="As the app shows it.")] = USER,
    password: Annotated[str, typer.Option(help="As the app shows it.")] = PASSWORD,
    number: Annotated[
        list[str] | None, typer.Option(help=f"Of a SIM; up to {SIMS_MAX}. Not set: {NUMBER}.")
    ] = None,
    kind: Annotated[AppKind, typer.Option(help="An app of today, or one of before.")] = AppKind.NEW,
    radio_s: Annotated[float, typer.Option(min=0, help="Seconds that a part is on the air.")] = RADIO_S,
    report_s: Annotated[float, typer.Option(min=0, help="Seconds until its report.")] = REPORT_S,
    limit: Annotated[
        int, typer.Option(min=0, help="Parts in 30 minutes that Android allows; 0: any number.")
    ] = LIMIT_PARTS,
    over_limit: Annotated[
        OverLimit, typer.Option(help="What becomes of a message that exceeds it.")
    ] = OverLimit.SILENT,
    speed: Annotated[float, typer.Option(min=0.01, help="How much faster than ours its days pass.")] = 1.0,
    radio_log: Annotated[
        Path | None, typer.Option(help="File to which every part is appended that the network takes.")
    ] = None,
    socket: SocketOption = None,
) -> None:
    """Be a phone until Ctrl-C; the commands make things happen to it."""
    if context.invoked_subcommand is not None:
        return
    numbers = tuple(number or [NUMBER])
    if len(numbers) > SIMS_MAX or not all(E164.fullmatch(each) for each in numbers):
        raise CommandFailed(
            f"--number must be a plus sign and 7 to 15 digits, such as {NUMBER}, at most {SIMS_MAX} times."
        )
    conditions = Conditions(radio_s, report_s, limit or None, over_limit)
    options = Options(
        port, user, password, numbers, kind, conditions, speed, radio_log, socket or _socket_path()
    )
    try:
        asyncio.run(_run(options))
    except control_socket.SocketUnusable as unusable:
        raise CommandFailed(str(unusable)) from None
    except OSError as error:
        raise CommandFailed(f"The phone cannot be there: {error.strerror or error}.") from None


@app.command("inbound")
def inbound(
    *,
    sender: Annotated[str, typer.Option("--from", help="A number, a short code or a name.")] = SENDER,
    body: Annotated[str, typer.Option(help="The text.")],
    sim: Annotated[int, typer.Option(min=1, max=SIMS_MAX, help="To which SIM, by its slot.")] = 1,
    socket: SocketOption = None,
) -> None:
    """Let a message come in."""
    _tell(socket, "inbound", {"from": sender, "body": body, "sim": sim})
    typer.echo("It comes in.")


@app.command("fault", epilog=FAULT_EXAMPLES)
def fault(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of: infinireach fake smsgate faults")],
    parameters: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="What the fault may be told.")
    ] = None,
    *,
    count: Annotated[int | None, typer.Option(help="How many times it strikes.", show_default=False)] = None,
    skip: Annotated[int, typer.Option(help="How many times all goes well before.")] = 0,
    seconds: Annotated[float | None, typer.Option(help="How long it lasts.", show_default=False)] = None,
    socket: SocketOption = None,
) -> None:
    """Have the phone, its app or its network misbehave."""
    kind = FAULTS.get(name)
    if kind is None:
        raise CommandFailed(f"There is no fault {name}. There are: {', '.join(FAULTS)}")
    extent: dict[str, Any] = {"count": count, "skip": skip or None, "seconds": seconds}
    given = {key: value for key, value in extent.items() if value is not None}
    _tell(socket, "fault", {"name": name, **_values(kind, parameters or []), **given})
    typer.echo(kind.sentence)


@app.command("clear")
def clear(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Only this fault.", show_default=False)] = "",
    *,
    socket: SocketOption = None,
) -> None:
    """End faults."""
    cleared = _tell(socket, "clear", {"name": name} if name else {})["cleared"]
    typer.echo(f"Faults that were ended: {cleared}.")


@app.command("faults")
def faults() -> None:
    """List the faults that the phone can have, and what each may be told."""
    for kind in FAULTS.values():
        typer.echo(f"{kind.name:<24}{kind.extent.value:<11}{kind.sentence}")
        for each in kind.parameters:
            typer.echo(f"{'':<35}{each.name}={_text(each.default)}: {each.sentence}")


@app.command("restart")
def restart(
    *,
    lose_memory: Annotated[bool, typer.Option("--lose-memory", help="As if its data were cleared.")] = False,
    socket: SocketOption = None,
) -> None:
    """Kill the app and start it again."""
    _tell(socket, "restart", {"memory_kept": not lose_memory})
    typer.echo("The app is back.")


@app.command("state")
def state(*, socket: SocketOption = None) -> None:
    """Show how the phone is, as JSON."""
    answer = _tell(socket, "state", {})
    typer.echo(json.dumps({key: value for key, value in answer.items() if key != "ok"}, indent=2))


@app.command("sent")
def sent(
    *,
    last: Annotated[int, typer.Option(min=1, max=SENT_MAX, help="How many, at most.")] = SENT_DEFAULT,
    socket: SocketOption = None,
) -> None:
    """Show the parts that the network took, the last ones, as JSON."""
    typer.echo(json.dumps({"parts": _tell(socket, "sent", {"last": last})["parts"]}, indent=2))


async def _run(options: Options) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        phone = FakeSmsGate(
            port=options.port,
            user=options.user,
            password=options.password,
            sims=[Sim(slot, number) for slot, number in enumerate(options.numbers, 1)],
            kind=options.kind,
            conditions=options.conditions,
            speed=options.speed,
            radio_log=options.radio_log,
        )
        await stack.enter_async_context(phone)
        control = control_socket.ControlSocket(Orders(phone).answer)
        await control.open(options.socket)
        stack.push_async_callback(control.close)
        typer.echo(f"A phone that is none answers at {phone.url}. For phones.toml:\n\n{phone.config()}\n")
        typer.echo(f"Webhooks are signed with {SIGNING_KEY}. Ctrl-C ends it.")
        await stopped.wait()


def _socket_path() -> Path:
    try:
        return Path(os.environ.get("INFINIREACH_VAR") or "var").expanduser() / SOCKET_NAME
    except RuntimeError:
        raise CommandFailed("INFINIREACH_VAR begins in the home of a user whom there is not.") from None


def _tell(socket: Path | None, order: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Tell the phone something; its answer. Raises CommandFailed with the phone's sentence if it refuses."""
    path = socket or _socket_path()
    try:
        answer = control_socket.ask(path, {order: fields}, timeout_s=ASK_TIMEOUT_S)
    except control_socket.NobodyListens:
        raise CommandFailed(f"No fake phone runs at {path}. Start one: infinireach fake smsgate") from None
    except PermissionError:
        raise CommandFailed(f"The fake phone at {path} is another user's.") from None
    except control_socket.AnswerMissing as missing:
        raise CommandFailed(f"The fake phone at {path} {missing}") from None
    if not answer.get("ok"):
        raise CommandFailed(str(answer.get("error") or "The fake phone refused it."))
    return answer


def _values(kind: FaultKind, given: list[str]) -> dict[str, Value]:
    """What KEY=VALUE means, by the kinds of the parameters. Raises CommandFailed."""
    known = {parameter.name: parameter.default for parameter in kind.parameters}
    values: dict[str, Value] = {}
    for each in given:
        key, _, text = each.partition("=")
        if key not in known:
            raise CommandFailed(f"{kind.name} takes {', '.join(known) or 'no parameters'}, not {key}.")
        try:
            values[key] = _value(text, known[key])
        except (ValueError, KeyError):
            raise CommandFailed(f"{key} must be like {_text(known[key])}, not {text!r}.") from None
    return values


def _value(text: str, like: Value) -> Value:
    match like:
        case bool():
            return {"yes": True, "true": True, "no": False, "false": False}[text]
        case int():
            return int(text, 0)
        case float():
            return float(text)
        case str():
            return text


def _text(value: Value) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
