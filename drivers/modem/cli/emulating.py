"""`infinireach modem emulate`: modems without hardware, and what can be done to them while they run.

Owns the commands and options; what they mean is the emulator's (docs/modem-emulator.md).
"""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.fake_kit.telling import Listener, kind_named, parameters_shown, values
from drivers.modem.cli.options import AsJson
from drivers.modem.emulator import FAULTS, NUMBER
from drivers.modem.emulator.command import MODEMS_MAX, SOCKET_NAME, Options, serve
from drivers.modem.emulator.inbound import SENDER, Kind
from drivers.modem.emulator.network import RADIO_S, REPORT_AFTER_S
from drivers.modem.emulator.script import ScriptInvalid
from drivers.runtime.command_line import var_folder
from drivers.runtime.control_socket import SocketUnusable
from drivers.runtime.output import CommandFailed, say, say_json, table

FOLDER_NAME = "emulated"
EMULATOR = Listener(
    "emulated modem", start="infinireach up --modem emulated", place=f"{FOLDER_NAME}/{SOCKET_NAME}"
)
PORT_MAX = 65_535
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
HELP = "Serve modems that need no hardware, and make things happen to them."
EXAMPLES = "Example: infinireach modem emulate --folder /tmp/bank --modems 4 --radio-s 3"
INBOUND_EXAMPLES = (
    'Example: infinireach modem emulate inbound --from +1234567890 --body "A long text …" --parts 3,1,2'
)
FAULT_EXAMPLES = "Example: infinireach modem emulate fault cms_error code=38 --count 2"

SocketOption = Annotated[
    Path | None,
    typer.Option(
        "--socket", help=f"Control socket. Not set: {FOLDER_NAME}/{SOCKET_NAME} in INFINIREACH_VAR."
    ),
]
ModemOption = Annotated[
    str, typer.Option("--modem", help="Name or number of the modem; not needed if there is only one.")
]

app = typer.Typer(help=HELP, epilog=EXAMPLES)


@app.callback(invoke_without_command=True)
def emulate(  # noqa: PLR0913 - one option each
    context: typer.Context,
    *,
    folder: Annotated[
        Path | None,
        typer.Option(help=f"Where the device files are. Not set: {FOLDER_NAME} in INFINIREACH_VAR."),
    ] = None,
    modems: Annotated[int, typer.Option(min=1, max=MODEMS_MAX, help="How many, on one network.")] = 1,
    number: Annotated[str, typer.Option(help="Of the first SIM; the next ones count on from it.")] = NUMBER,
    tcp: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=PORT_MAX,
            help="Also listen there on 127.0.0.1, the next ones above; 0: anywhere.",
            show_default=False,
        ),
    ] = None,
    socket: SocketOption = None,
    radio_log: Annotated[
        Path | None, typer.Option(help="File to which every part is appended that the network takes.")
    ] = None,
    script: Annotated[
        Path | None, typer.Option(help="File of orders that are carried out by themselves.")
    ] = None,
    radio_s: Annotated[float, typer.Option(min=0, help="Seconds that a part is on the air.")] = RADIO_S,
    report_s: Annotated[
        float, typer.Option(min=0, help="Seconds after which a part's delivery is reported.")
    ] = REPORT_AFTER_S,
    pin: Annotated[str, typer.Option(help="The SIMs' PIN; empty: they want none.")] = "",
) -> None:
    """Serve modems that need no hardware, until Ctrl-C; its commands make things happen to them."""
    if context.invoked_subcommand is not None:
        return
    if not E164.fullmatch(number):
        raise CommandFailed("--number must be a plus sign and 7 to 15 digits, such as +15559876543.")
    if not re.fullmatch("([0-9]{4,8})?", pin):
        raise CommandFailed("--pin must be 4 to 8 digits.")
    if tcp is not None and tcp + modems - 1 > PORT_MAX:
        raise CommandFailed(f"--tcp must leave a port for each modem: at most {PORT_MAX + 1 - modems}.")
    options = Options(
        folder=folder or var_folder() / FOLDER_NAME,
        modems=modems,
        number=number,
        tcp_port=tcp,
        control_socket=socket,
        radio_log=radio_log,
        script=script,
        radio_s=radio_s,
        report_after_s=report_s,
        pin=pin,
    )
    try:
        options.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        serve(options, say=say)
    except (ScriptInvalid, SocketUnusable) as unusable:
        raise CommandFailed(str(unusable)) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise CommandFailed(f"The modems cannot be served: {error.strerror or error}{where}.") from None


@app.command("inbound", epilog=INBOUND_EXAMPLES)
def inbound(
    *,
    sender: Annotated[str, typer.Option("--from", help="A number, a short code or a name.")] = SENDER,
    body: Annotated[str, typer.Option(help="The text.")],
    modem: Annotated[
        str, typer.Option("--to", help="Number or name of the modem; not needed if there is only one.")
    ] = "",
    kind: Annotated[Kind, typer.Option(help="What kind of message.")] = Kind.TEXT,
    parts: Annotated[
        str,
        typer.Option(help="In which order the parts of a long text come, such as 3,1,2; 1,2 leaves 3 out."),
    ] = "",
    socket: SocketOption = None,
) -> None:
    """Let a message come in to an emulated modem."""
    order = [part.strip() for part in parts.split(",")] if parts else []
    if not all(part.isdecimal() for part in order):
        raise CommandFailed("--parts takes numbers with commas between, such as 3,1,2.")
    fields: dict[str, Any] = {"from": sender, "body": body, "kind": kind.value}
    count = _tell(socket, "inbound", {**fields, "parts": [int(part) for part in order]}, modem)["pdus"]
    say(f"It comes in, in {count} parts." if count > 1 else "It comes in.")


@app.command("fault", epilog=FAULT_EXAMPLES)
def fault(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of: infinireach modem emulate faults")],
    parameters: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="What the fault may be told.")
    ] = None,
    *,
    count: Annotated[int | None, typer.Option(help="How many times it strikes.", show_default=False)] = None,
    skip: Annotated[int, typer.Option(help="How many times all goes well before.")] = 0,
    seconds: Annotated[float | None, typer.Option(help="How long it lasts.", show_default=False)] = None,
    modem: ModemOption = "",
    socket: SocketOption = None,
) -> None:
    """Have an emulated modem, its SIM or its network misbehave."""
    kind = kind_named(FAULTS, name)
    extent: dict[str, Any] = {"count": count, "skip": skip, "seconds": seconds}
    fields = {
        "name": name,
        **values(kind, parameters or []),
        **{k: v for k, v in extent.items() if v is not None},
    }
    _tell(socket, "fault", fields, modem)
    say(kind.sentence)


@app.command("clear")
def clear(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Only this fault.", show_default=False)] = "",
    *,
    modem: ModemOption = "",
    socket: SocketOption = None,
) -> None:
    """End the faults of an emulated modem."""
    cleared = _tell(socket, "clear", {"name": name} if name else {}, modem)["cleared"]
    say(f"Faults that were ended: {cleared}.")


@app.command("faults")
def faults() -> None:
    """List the faults that an emulated modem can have, and what each may be told."""
    table(
        ["NAME", "REACHES", "WHAT", "MAY BE TOLD"],
        [
            [
                kind.name,
                kind.when.name.lower(),
                kind.sentence,
                "; ".join(parameters_shown(kind)),
            ]
            for kind in FAULTS.values()
        ],
        none="There is none.",
    )


@app.command("change")
def change(
    *,
    radio_s: Annotated[
        float | None, typer.Option(min=0, help="Seconds that a part is on the air.", show_default=False)
    ] = None,
    report_s: Annotated[
        float | None, typer.Option(min=0, help="Seconds until its report.", show_default=False)
    ] = None,
    signal: Annotated[
        int | None, typer.Option(min=0, max=31, help="As AT+CSQ tells it.", show_default=False)
    ] = None,
    modem: ModemOption = "",
    socket: SocketOption = None,
) -> None:
    """Change the network, or the signal of a modem."""
    network = {"radio_s": radio_s, "report_after_s": report_s}
    if wanted := {key: value for key, value in network.items() if value is not None}:
        _tell(socket, "network", wanted)
    if signal is not None:
        _tell(socket, "modem", {"signal": signal}, modem)
    say("Changed.")


@app.command("state")
def state(*, socket: SocketOption = None, as_json: AsJson = False) -> None:
    """Show the emulated modems: where they are, and how they are."""
    answer = _tell(socket, "state", {})
    if as_json:
        say_json({key: answer[key] for key in ("network", "modems")})
        return
    table(
        ["NAME", "NUMBER", "PORT", "SIM", "NETWORK", "SIGNAL", "STORED", "FAULTS"],
        [
            [
                modem["name"],
                modem["number"],
                " ".join([*modem["ports"], *modem["urls"]]),
                modem["sim"],
                modem["registration"],
                modem["signal"],
                " ".join(f"{name} {count}" for name, count in modem["stored"].items()),
                " ".join(fault["name"] for fault in modem["faults"]),
            ]
            for modem in answer["modems"]
        ],
        none="There is none.",
    )


@app.command("taken")
def taken(
    *,
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many, at most.")] = 20,
    socket: SocketOption = None,
    as_json: AsJson = False,
) -> None:
    """Show the messages that the emulated network took, the last ones."""
    messages = _tell(socket, "taken", {"last": last})["messages"]
    if as_json:
        say_json({"messages": messages})
        return
    table(
        ["TIME", "FROM", "TO", "PARTS", "TEXT"],
        [
            [each["time"], each["from"], each["to"], len(each["references"]), each["body"]]
            for each in messages
        ],
        none="It took nothing yet.",
    )


def _tell(socket: Path | None, order: str, fields: dict[str, Any], modem: str = "") -> dict[str, Any]:
    return EMULATOR.tell(socket, order, {**fields, **({"modem": modem} if modem else {})})
