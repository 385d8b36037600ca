"""`infinireach fake graph`: a Graph without Meta, and what can be done to it while it runs.

Owns the commands and options; what they mean is said in docs/fake-graph.md.
"""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.fake_kit.telling import Listener, kind_named, parameters_shown, values
from drivers.runtime.command_line import Application, var_folder
from drivers.runtime.control_socket import SocketUnusable
from drivers.runtime.output import CommandFailed, say, say_json, table
from drivers.whatsapp_cloud.fake_graph.acceptance import Rules
from drivers.whatsapp_cloud.fake_graph.checking import Template
from drivers.whatsapp_cloud.fake_graph.command import (
    CALLBACK_URL,
    PORT,
    SOCKET_NAME,
    Options,
    serve,
)
from drivers.whatsapp_cloud.fake_graph.fault_table import FAULTS
from drivers.whatsapp_cloud.fake_graph.graph import NUMBER, VERIFY_TOKEN, Credentials
from drivers.whatsapp_cloud.fake_graph.limits import MESSAGES_PER_S, PAIR_BURST
from drivers.whatsapp_cloud.fake_graph.notices import Number

FOLDER_NAME = "fake-graph"
GRAPH = Listener("fake Graph", start="infinireach fake graph", place=f"{FOLDER_NAME}/{SOCKET_NAME}")
PORT_MAX = 65_535
NUMBER_FORM = re.compile(r"(\+[1-9][0-9]{6,14})(?:=([0-9]{1,20}))?")
TEMPLATE_FORM = re.compile(r"([a-z0-9_]{1,512}):([A-Za-z_]{2,15})(?::([0-9]{1,2}))?")
URL_FORM = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
HELP = "Play Meta's Graph for WhatsApp on this machine, and make things happen to it."
EXAMPLES = "Example: infinireach fake graph --window-open --template order_update:en_US:2"
INBOUND_EXAMPLES = 'Example: infinireach fake graph inbound +15551112222 "Hello"'
FAULT_EXAMPLES = "Example: infinireach fake graph fault error code=131056 --to +15551112222 --count 3"

SocketOption = Annotated[
    Path | None,
    typer.Option(
        "--socket", help=f"Control socket. Not set: {FOLDER_NAME}/{SOCKET_NAME} in INFINIREACH_VAR."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON document instead of text.")]


app = Application("infinireach fake graph", name="graph", help=HELP)


@app.callback(invoke_without_command=True, help=HELP, epilog=EXAMPLES)
def graph(  # noqa: PLR0913 - one option each
    context: typer.Context,
    *,
    port: Annotated[int, typer.Option(min=0, max=PORT_MAX, help="On 127.0.0.1; 0: any.")] = PORT,
    callback: Annotated[str, typer.Option(help="Where webhooks go.")] = CALLBACK_URL,
    number: Annotated[
        list[str] | None,
        typer.Option(help=f"A number of ours, +1555…=PHONE_NUMBER_ID. Not set: {NUMBER.number}."),
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option(help="A template, NAME:LANGUAGE:PARAMETERS, besides hello_world:en_US:0."),
    ] = None,
    window_open: Annotated[
        bool, typer.Option("--window-open", help="Users count as having written just now.")
    ] = False,
    refuse_at_once: Annotated[
        bool, typer.Option("--refuse-at-once", help="Outside the window the answer refuses, not a status.")
    ] = False,
    unread: Annotated[bool, typer.Option("--unread", help="Users do not read what they get.")] = False,
    status_s: Annotated[float, typer.Option(min=0, help="Seconds to each status.")] = 0.5,
    messages_per_s: Annotated[
        float, typer.Option(min=1, help="What a number may send in a second.")
    ] = MESSAGES_PER_S,
    pair_burst: Annotated[
        float, typer.Option(min=1, help="Messages to one user before it is one in six seconds.")
    ] = PAIR_BURST,
    verify_token: Annotated[str, typer.Option(help="Told in the handshake.")] = VERIFY_TOKEN,
    folder: Annotated[
        Path | None,
        typer.Option(
            help=f"For whatsapp.toml, token, secret and socket. Not set: {FOLDER_NAME} in INFINIREACH_VAR."
        ),
    ] = None,
    socket: SocketOption = None,
) -> None:
    """Play Graph until Ctrl-C; writes a whatsapp.toml for the driver, and prints it."""
    if context.invoked_subcommand is not None:
        return
    if not URL_FORM.fullmatch(callback):
        raise CommandFailed(f"--callback must be an http:// or https:// address, such as {CALLBACK_URL}.")
    options = Options(
        folder=folder or var_folder() / FOLDER_NAME,
        port=port,
        numbers=[_number(each, place) for place, each in enumerate(number or [], start=1)] or [NUMBER],
        templates=[_template(each) for each in template or []],
        callback_url=callback,
        credentials=Credentials(verify_token=verify_token),
        rules=Rules(
            is_window_open=window_open,
            is_window_refused_at_once=refuse_at_once,
            users_read=not unread,
            status_after_s=status_s,
            messages_per_s=messages_per_s,
            pair_burst=pair_burst,
        ),
        control_socket=socket,
    )
    _serve(options)


@app.command("inbound", epilog=INBOUND_EXAMPLES)
def inbound(
    sender: Annotated[str, typer.Argument(help="A number, or the id of a user who hides it, US.1349….")],
    body: Annotated[str, typer.Argument(help="The text, or the caption of a file.")] = "",
    *,
    to: Annotated[str, typer.Option(help="Number of ours; not needed if there is only one.")] = "",
    kind: Annotated[str, typer.Option(help="text, image, video, audio, document, sticker.")] = "text",
    name: Annotated[str, typer.Option(help="In the user's profile.")] = "A user",
    reply_to: Annotated[str, typer.Option(help="Id of the message that it answers, wamid.….")] = "",
    group: Annotated[str, typer.Option(help="Id of the group in which it is written.")] = "",
    socket: SocketOption = None,
) -> None:
    """Have a user write, which opens the window of 24 hours."""
    fields = {"from": sender, "body": body, "to": to, "kind": kind, "name": name}
    say(GRAPH.tell(socket, "inbound", {**fields, "reply_to": reply_to, "group_id": group})["id"])


@app.command("fault", epilog=FAULT_EXAMPLES)
def fault(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of: infinireach fake graph faults")],
    parameters: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="What the fault may be told.")
    ] = None,
    *,
    count: Annotated[int, typer.Option(min=1, help="How many times it strikes.")] = 1,
    lasting: Annotated[bool, typer.Option("--lasting", help="It strikes until it is cleared.")] = False,
    skip: Annotated[int, typer.Option(min=0, help="How many times all goes well before.")] = 0,
    to: Annotated[str, typer.Option(help="Only for messages to this number, id or group.")] = "",
    socket: SocketOption = None,
) -> None:
    """Have the fake Graph misbehave."""
    kind = kind_named(FAULTS, name)
    fields = {"name": name, "count": count, "lasting": lasting, "skip": skip, "to": to}
    GRAPH.tell(socket, "fault", {**values(kind, parameters or []), **fields})
    say(kind.sentence)


@app.command("clear")
def clear(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Only this fault.", show_default=False)] = "",
    *,
    socket: SocketOption = None,
) -> None:
    """End faults."""
    say(f"Faults that were ended: {GRAPH.tell(socket, 'clear', {'name': name})['cleared']}.")


@app.command("faults")
def faults() -> None:
    """List the faults that there are, and what each may be told."""
    table(
        ["NAME", "WHEN", "WHAT", "MAY BE TOLD"],
        [
            [
                kind.name,
                kind.when.value,
                kind.sentence,
                "; ".join(parameters_shown(kind)),
            ]
            for kind in FAULTS.values()
        ],
        none="There is none.",
    )


@app.command("status")
def status(
    message_id: Annotated[str, typer.Argument(metavar="ID", help="wamid.…, taken or not.")],
    name: Annotated[str, typer.Argument(metavar="STATUS", help="sent, delivered, read or failed.")],
    *,
    code: Annotated[int, typer.Option(help="Of the error, for failed.")] = 0,
    callback_data: Annotated[
        str | None, typer.Option(help="Instead of the message's own.", show_default=False)
    ] = None,
    phone_number_id: Annotated[str, typer.Option(help="Instead of ours.")] = "",
    socket: SocketOption = None,
) -> None:
    """Have a status go out, of any message and any number."""
    fields: dict[str, Any] = {"id": message_id, "status": name, "code": code}
    if callback_data is not None:
        fields["callback_data"] = callback_data
    GRAPH.tell(socket, "status", {**fields, "phone_number_id": phone_number_id})
    say("It is on its way.")


@app.command("revoke-token")
def revoke_token(*, socket: SocketOption = None) -> None:
    """Let no token be valid any more."""
    GRAPH.tell(socket, "token", {"revoke": True})
    say("The token is not valid any more.")


@app.command("new-token")
def new_token(*, socket: SocketOption = None) -> None:
    """Make a new token and write it into the token file; those before are not valid any more."""
    GRAPH.tell(socket, "token", {})
    say("The token file has a new token.")


@app.command("pause")
def pause(*, socket: SocketOption = None) -> None:
    """Let webhooks wait."""
    GRAPH.tell(socket, "webhooks", {"paused": True})
    say("Webhooks wait.")


@app.command("resume")
def resume(*, socket: SocketOption = None) -> None:
    """Let go the webhooks that wait."""
    GRAPH.tell(socket, "webhooks", {"paused": False})
    say("Webhooks go out.")


@app.command("advance")
def advance(
    hours: Annotated[float, typer.Argument(min=0, help="How many.")], *, socket: SocketOption = None
) -> None:
    """Let hours pass at once: windows close, limits are free again."""
    GRAPH.tell(socket, "clock", {"advance_s": hours * 3600})
    say("It is later now.")


@app.command("state")
def state(*, socket: SocketOption = None) -> None:
    """Show how the fake Graph is, as one JSON document."""
    say_json({key: value for key, value in GRAPH.tell(socket, "state", {}).items() if key != "ok"})


@app.command("taken")
def taken(
    *,
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many, at most.")] = 20,
    socket: SocketOption = None,
    as_json: AsJson = False,
) -> None:
    """Show the messages that were accepted, the last ones."""
    messages = GRAPH.tell(socket, "taken", {"last": last})["messages"]
    if as_json:
        say_json({"messages": messages})
        return
    table(
        ["ID", "FROM", "TO", "TYPE", "STATUSES", "TEXT"],
        [
            [each["id"], each["from"], each["to"], each["type"], " ".join(each["statuses"]), each["body"]]
            for each in messages
        ],
        none="It took nothing yet.",
    )


def _serve(options: Options) -> None:
    try:
        options.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        serve(options, say=say)
    except SocketUnusable as unusable:
        raise CommandFailed(str(unusable)) from None
    except OSError as error:
        raise CommandFailed(f"It cannot be served: {error.strerror or error}.") from None


def _number(text: str, place: int) -> Number:
    match = NUMBER_FORM.fullmatch(text)
    if match is None:
        raise CommandFailed(f"--number must be like {NUMBER.number}={NUMBER.phone_number_id}, not {text}.")
    return Number(match[1], match[2] or f"{100_000_000_000_000 + place}")


def _template(text: str) -> Template:
    match = TEMPLATE_FORM.fullmatch(text)
    if match is None:
        raise CommandFailed(f"--template must be like order_update:en_US:2, not {text}.")
    return Template(match[1], match[2], int(match[3] or 0))
