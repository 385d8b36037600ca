"""`infinireach message`: send, look at and watch messages through the REST API."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.options import AsJson
from core.cli.output import EXIT_FAILED, CommandFailed, fields, note, one_line, say, say_json, table
from core.cli.rest_client import KeyOption, RestClient, UrlOption, client, segment

FINAL_STATUSES = frozenset({"delivered", "failed", "expired", "cancelled", "unknown"})
SUCCESSFUL_STATUSES = frozenset({"sent", "delivered"})
POLL_S = 0.5
POLL_S_MAX = 2.0
"""A message is looked at less and less often: `watch` must not use up what the key may ask in a minute."""
WATCHED_MESSAGES = 50
"""How many of the newest messages `watch` looks at when it is given no id."""

app = typer.Typer(no_args_is_help=True, help="Send, look at and watch messages.")

IdArgument = Annotated[str, typer.Argument(help="Message id, or the job id of the answer.")]
ChannelOption = Annotated[str, typer.Option(help="sms or whatsapp.")]
SEND_EXAMPLES = """Examples:\n
infinireach message send "Hello" --to +1234567890 --from +15559876543 --watch\n
infinireach message send --to +1234567890 --channel whatsapp --template order_shipped --language en_US\n
infinireach message send --to +1234567890 --channel whatsapp --media image --file-url https://example.com/a.png"""


@app.command("send", epilog=SEND_EXAMPLES)
def send(  # noqa: PLR0913 - each is an option of the command line
    text: Annotated[
        str,
        typer.Argument(help="The text, up to 1600 characters, on whatsapp 4096; with --media its caption."),
    ] = "",
    *,
    to: Annotated[str, typer.Option(help="Recipient, such as +1234567890.")],
    sender: Annotated[
        str, typer.Option("--from", help="Number of one of your devices; not needed if there is only one.")
    ] = "",
    channel: ChannelOption = "sms",
    template: Annotated[str, typer.Option(help="Name of an approved template, in place of a text.")] = "",
    language: Annotated[str, typer.Option(help="The template's language, such as en_US.")] = "",
    components: Annotated[
        str,
        typer.Option(help="What goes into its places: JSON in the operator's form.", metavar="JSON|@FILE"),
    ] = "",
    media: Annotated[str, typer.Option(help="Send a file: image, video, audio, document or sticker.")] = "",
    file_url: Annotated[str, typer.Option(help="Where the network fetches the file, by https.")] = "",
    filename: Annotated[str, typer.Option(help="A document's name for the recipient.")] = "",
    external_id: Annotated[str, typer.Option(help="Your own id; repeating it sends nothing twice.")] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until its final status.")] = False,
    url: UrlOption = "",
    api_key: KeyOption = "",
    as_json: AsJson = False,
) -> None:
    """Send a message; it is accepted once this returns, and sent as soon as its device can."""
    if watch and as_json:
        raise CommandFailed("--json gives one document and --watch goes on: use one of them.")
    content: dict[str, Any] = {
        "template": _template(template, language, components),
        "media": _given({"type": media, "url": file_url, "filename": filename}),
        "message": text,
    }
    api = client(url, api_key)
    body: dict[str, Any] = {"to": to, "from": sender or only_number(api, channel), "channel": channel}
    answer = api.post("/api/v1/messages", _given({**body, **content, "externalId": external_id}))
    if as_json:
        say_json(answer)
    elif watch:
        follow(api, str(answer["messageId"]), timeout_s=0)
    else:
        say(f"Queued as {answer['messageId']}. Follow it: infinireach message watch {answer['messageId']}")


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """What was said; the API tells what is missing."""
    return {name: value for name, value in values.items() if value}


def _template(name: str, language: str, components: str) -> dict[str, Any]:
    """The template that the options describe; empty if they name none. Raises CommandFailed."""
    if (language or components) and not name:
        option = "--components" if components else "--language"
        raise CommandFailed(f"{option} belongs to a template: name it with --template.")
    if components.startswith("@"):
        try:
            components = Path(components[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandFailed(f"The file of --components cannot be read: {error}") from None
    try:
        parsed = json.loads(components) if components else None
    except (ValueError, RecursionError) as error:
        problem = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise CommandFailed(
            f"--components must be JSON, or @ and the path of a file with it: {problem}"
        ) from None
    return _given({"name": name, "language": language, "components": parsed})


@app.command("get")
def get(
    message_id: IdArgument, *, url: UrlOption = "", api_key: KeyOption = "", as_json: AsJson = False
) -> None:
    """Show a message and every step of it: the answer to "why has it not arrived?"."""
    api = client(url, api_key)
    message = api.get(f"/api/v1/messages/{segment(message_id)}")
    steps = timeline(api, message_id)
    if as_json:
        say_json({**message, "timeline": steps})
        return
    shown = {name: value for name, value in message.items() if name not in {"success", "messageId"}}
    for name in ("template", "media"):
        if name in shown:
            shown |= {f"{name}.{part}": _line(value) for part, value in shown.pop(name).items()}
    fields(shown, texts=("message",))
    say()
    for step in steps:
        say(step_line(step))


@app.command("list", epilog="Example: infinireach message list --status failed --limit 20")
def list_(
    *,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, newest first.")] = 20,
    status: Annotated[str, typer.Option(help="Only this status, such as queued or failed.")] = "",
    channel: Annotated[str, typer.Option(help="Only sms or whatsapp.")] = "",
    direction: Annotated[str, typer.Option(help="Only outbound or inbound.")] = "",
    url: UrlOption = "",
    api_key: KeyOption = "",
    as_json: AsJson = False,
) -> None:
    """List messages, newest first, inbound ones included."""
    api = client(url, api_key)
    answer = api.get("/api/v1/messages", limit=limit, status=status, channel=channel, direction=direction)
    if as_json:
        say_json(answer)
        return
    table(
        ["ID", "CREATED", "DIRECTION", "CHANNEL", "FROM", "TO", "STATUS", "REASON"],
        [
            [
                m["id"],
                m["createdAt"],
                m["direction"],
                m["channel"],
                m["from"],
                m["to"],
                m["status"],
                m["reason"],
            ]
            for m in answer["messages"]
        ],
        none="There is no such message.",
    )


@app.command(
    "watch", epilog="Ends with status 1 if the message fails. Without an id it goes on until Ctrl-C."
)
def watch(
    message_id: Annotated[str, typer.Argument(help="Message id; without it, all messages.")] = "",
    *,
    timeout_s: Annotated[int, typer.Option("--timeout", min=0, help="Seconds; 0: no limit.")] = 0,
    url: UrlOption = "",
    api_key: KeyOption = "",
) -> None:
    """Follow a message to its end, or every message as it comes and goes."""
    api = client(url, api_key)
    try:
        if message_id:
            follow(api, message_id, timeout_s=timeout_s)
        else:
            follow_all(api, timeout_s=timeout_s)
    except KeyboardInterrupt:
        note("")


def follow(api: RestClient, message_id: str, *, timeout_s: float) -> None:
    """Print each step of a message until its status is final; typer.Exit if that is no success."""
    deadline = time.monotonic() + timeout_s if timeout_s else float("inf")
    status, pause_s = "", POLL_S
    printed: set[str] = set()  # by their words: of a long timeline the API leaves out the first steps
    while True:
        message = api.get(f"/api/v1/messages/{segment(message_id)}")
        if message["status"] != status:
            for line in map(step_line, timeline(api, message_id)):
                if line not in printed:
                    say(line)
                printed.add(line)
            status, pause_s = message["status"], POLL_S
        if status in FINAL_STATUSES:
            break
        if time.monotonic() >= deadline:
            raise CommandFailed(f"Still {status} after {timeout_s:g} s.")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.25, POLL_S_MAX)
    reason = f" ({message['reason']})" if message.get("reason") else ""
    say(f"{message['status']}{reason}")
    if message["status"] not in SUCCESSFUL_STATUSES:
        raise typer.Exit(EXIT_FAILED)


def follow_all(api: RestClient, *, timeout_s: float) -> None:
    """Print a line whenever one of the newest messages has another status than before."""
    deadline = time.monotonic() + timeout_s if timeout_s else float("inf")
    known: dict[str, str] | None = None
    while time.monotonic() < deadline:
        messages = api.get("/api/v1/messages", limit=WATCHED_MESSAGES)["messages"]
        if known is None:
            known = {message["id"]: message["status"] for message in messages}
            note("Watching; Ctrl-C ends it.")
        for message in reversed(messages):
            if known.get(message["id"]) != message["status"]:
                known[message["id"]] = message["status"]
                arrow = one_line(f"{message['from']} -> {message['to']}")
                say(f"{message['id']}  {message['channel']:8}  {arrow}  {message['status']}")
        time.sleep(POLL_S_MAX)


def _line(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def timeline(api: RestClient, message_id: str) -> list[dict[str, Any]]:
    """The steps of a message, oldest first; of very many the newest."""
    return list(api.get(f"/api/v1/messages/{segment(message_id)}/timeline")["timeline"])


def step_line(step: dict[str, Any]) -> str:
    """One step as people read it."""
    more = "  ".join(f"{name}={value}" for name, value in (step.get("attributes") or {}).items())
    said = step.get("description") or step["step"]
    return one_line(f"{step['time']}  {said}{'  ' if more else ''}{more}")


def only_number(api: RestClient, channel: str) -> str:
    """The number of the only device on a channel. Raises CommandFailed if there is another count of them."""
    numbers = [
        number["number"]
        for device in api.get("/api/v1/devices")["devices"]
        for number in device["numbers"]
        if number["channel"] == channel
    ]
    if len(numbers) == 1:
        return str(numbers[0])
    there_are = f"There are: {', '.join(numbers)}" if numbers else f"No device can send over {channel} yet."
    raise CommandFailed(f"Say which number sends with --from. {there_are}")
