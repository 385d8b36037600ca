"""`infinireach device`: the devices of a tenant, through the REST API."""

import typer

from core.cli.options import AsJson
from core.cli.output import say_json, table
from core.cli.rest_client import KeyOption, UrlOption, client

app = typer.Typer(no_args_is_help=True, help="Look at devices.")


@app.command("list")
def list_(*, url: UrlOption = "", api_key: KeyOption = "", as_json: AsJson = False) -> None:
    """List devices with their numbers and what they need."""
    answer = client(url, api_key).get("/api/v1/devices")
    if as_json:
        say_json(answer)
        return
    table(
        ["ID", "NAME", "STATUS", "CHANNELS", "NUMBERS", "SIGNAL", "DRIVER", "LAST SEEN", "REMEDY"],
        [
            [
                device["id"],
                device["name"],
                device["status"],
                ",".join(device["channels"]),
                ",".join(dict.fromkeys(number["number"] for number in device["numbers"])),
                "" if device["signalPercent"] is None else f"{device['signalPercent']} %",
                device["driver"],
                device["lastSeenAt"],
                device["remedy"],
            ]
            for device in answer["devices"]
        ],
        none="There is no device yet. Enrol a driver: infinireach driver-token create NAME",
    )
