"""`infinireach fake smsgate`: the fake phone that runs until a signal, and what can be done to it meanwhile.

Owns the commands and options; what they mean is the phone's (docs/fake-smsgate.md).
"""

import asyncio
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.android.fake_smsgate.fault_table import FAULTS, SIMS_MAX
from drivers.android.fake_smsgate.gate import NUMBER, PASSWORD, SENDER, SIGNING_KEY, USER, FakeSmsGate
from drivers.android.fake_smsgate.orders import SENT_DEFAULT, SENT_MAX, Orders
from drivers.android.fake_smsgate.radio import LIMIT_PARTS, RADIO_S, REPORT_S, Conditions
from drivers.android.fake_smsgate.values import AppKind, OverLimit, Sim
from drivers.fake_kit.serving import listen, stop_signal
from drivers.fake_kit.telling import Listener, kind_named, parameters_shown, values
from drivers.runtime.command_line import Application
from drivers.runtime.control_socket import SocketUnusable
from drivers.runtime.output import CommandFailed, say, say_json

PORT, PORT_MAX = 8080, 65_535
SOCKET_NAME = "fake-smsgate.sock"
PHONE = Listener("fake phone", start="infinireach fake smsgate", place=SOCKET_NAME)
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
HELP = 'Play a phone with "SMS Gateway for Android" on it, and make things happen to it.'
EXAMPLES = "Example: infinireach fake smsgate --number +15559876543 --number +15559876544 --radio-s 3"
FAULT_EXAMPLES = "Example: infinireach fake smsgate fault away --seconds 60"

SocketOption = Annotated[
    Path | None,
    typer.Option("--socket", help=f"Control socket. Not set: {SOCKET_NAME} in INFINIREACH_VAR."),
]


app = Application("infinireach fake smsgate", help=HELP, epilog=EXAMPLES)


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
        port, user, password, numbers, kind, conditions, speed, radio_log, PHONE.socket_path(socket)
    )
    try:
        asyncio.run(_run(options))
    except SocketUnusable as unusable:
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
    PHONE.tell(socket, "inbound", {"from": sender, "body": body, "sim": sim})
    say("It comes in.")


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
    kind = kind_named(FAULTS, name)
    extent: dict[str, Any] = {"count": count, "skip": skip or None, "seconds": seconds}
    given = {key: value for key, value in extent.items() if value is not None}
    PHONE.tell(socket, "fault", {"name": name, **values(kind, parameters or []), **given})
    say(kind.sentence)


@app.command("clear")
def clear(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Only this fault.", show_default=False)] = "",
    *,
    socket: SocketOption = None,
) -> None:
    """End faults."""
    cleared = PHONE.tell(socket, "clear", {"name": name} if name else {})["cleared"]
    say(f"Faults that were ended: {cleared}.")


@app.command("faults")
def faults() -> None:
    """List the faults that the phone can have, and what each may be told."""
    for kind in FAULTS.values():
        say(f"{kind.name:<24}{kind.when.value:<11}{kind.sentence}")
        for parameter in parameters_shown(kind):
            say(f"{'':<35}{parameter}")


@app.command("restart")
def restart(
    *,
    lose_memory: Annotated[bool, typer.Option("--lose-memory", help="As if its data were cleared.")] = False,
    socket: SocketOption = None,
) -> None:
    """Kill the app and start it again."""
    PHONE.tell(socket, "restart", {"memory_kept": not lose_memory})
    say("The app is back.")


@app.command("state")
def state(*, socket: SocketOption = None) -> None:
    """Show how the phone is, as JSON."""
    answer = PHONE.tell(socket, "state", {})
    say_json({key: value for key, value in answer.items() if key != "ok"})


@app.command("sent")
def sent(
    *,
    last: Annotated[int, typer.Option(min=1, max=SENT_MAX, help="How many, at most.")] = SENT_DEFAULT,
    socket: SocketOption = None,
) -> None:
    """Show the parts that the network took, the last ones, as JSON."""
    say_json({"parts": PHONE.tell(socket, "sent", {"last": last})["parts"]})


async def _run(options: Options) -> None:
    stopped = stop_signal()
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
        await listen(stack, options.socket, Orders(phone).answer)
        say(f"A phone that is none answers at {phone.url}. For phones.toml:\n\n{phone.config()}\n")
        say(f"Webhooks are signed with {SIGNING_KEY}. Ctrl-C ends it.")
        await stopped.wait()
