"""`infinireach webhook`: endpoints that events are delivered to, through the REST API."""

from typing import Annotated

import typer

from core.cli.options import AsJson
from core.cli.output import EXIT_FAILED, fields, note, say, say_json, table
from core.cli.rest_client import KeyOption, UrlOption, client, segment

EVENTS_DEFAULT = "message.inbound,message.delivered,message.failed"

app = typer.Typer(no_args_is_help=True, help="Make, list and test webhooks.")


@app.command("create", epilog="Example: infinireach webhook create http://127.0.0.1:9000/hook")
def create(
    target: Annotated[str, typer.Argument(help="Where events are posted to.", metavar="TARGET")],
    *,
    events: Annotated[
        str, typer.Option(help="Comma-separated, such as message.read; empty: all but that one.")
    ] = EVENTS_DEFAULT,
    description: Annotated[str, typer.Option(help="For people.")] = "",
    url: UrlOption = "",
    api_key: KeyOption = "",
    as_json: AsJson = False,
) -> None:
    """Make a webhook. Its secret, which signs every delivery, is shown now and never again."""
    chosen = [event.strip() for event in events.split(",") if event.strip()]
    body = {"url": target, "events": chosen, **({"description": description} if description else {})}
    answer = client(url, api_key).post("/api/v1/webhooks", body)
    if as_json:
        say_json(answer)
        return
    fields({name: answer["webhook"][name] for name in ("id", "url", "events", "secret")})
    note(f"Try it: infinireach webhook test {answer['webhook']['id']}")


@app.command("list")
def list_(*, url: UrlOption = "", api_key: KeyOption = "", as_json: AsJson = False) -> None:
    """List webhooks."""
    answer = client(url, api_key).get("/api/v1/webhooks")
    if as_json:
        say_json(answer)
        return
    table(
        ["ID", "URL", "ENABLED", "EVENTS", "DISABLED BECAUSE"],
        [
            [hook["id"], hook["url"], hook["enabled"], ",".join(hook["events"]), hook["disabledReason"]]
            for hook in answer["webhooks"]
        ],
        none="There is no webhook yet. Make one: infinireach webhook create TARGET",
    )


@app.command("test")
def try_out(
    webhook_id: Annotated[str, typer.Argument(help="The webhook's id, from `webhook list`.")],
    *,
    url: UrlOption = "",
    api_key: KeyOption = "",
    as_json: AsJson = False,
) -> None:
    """Post a signed test event to a webhook and say how it answered; status 1 if it was not 2xx in time."""
    answer = client(url, api_key).post(f"/api/v1/webhooks/{segment(webhook_id)}/test")
    attempt = answer.get("attempt") or {}
    if as_json:
        say_json(answer)
    elif answer["success"]:
        say(f"It answered {attempt.get('httpStatus')} after {attempt.get('durationMs')} ms.")
    else:
        status = attempt.get("httpStatus")
        note(f"It answered {status}." if status else f"It did not answer: {attempt.get('error')}")
    if not answer["success"]:
        raise typer.Exit(EXIT_FAILED)
