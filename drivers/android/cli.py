"""`infinireach android`: find out what is wrong with a phone, and check phones.toml.

Owns the options and how findings are shown; what is found out lies in `doctor`.
"""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from drivers.android.config import read_config, read_url
from drivers.android.doctor import examine
from drivers.modem.probe.findings import Finding, Mark
from drivers.runtime.config_file import ConfigInvalid
from drivers.runtime.output import EXIT_FAILED, note, printable, say, say_json

HELP = """Android phones with the app SMS Gateway for Android: find out what is wrong with one.

The driver itself: infinireach driver android"""

MARKS = {Mark.OK: "ok     ", Mark.WARNING: "warning", Mark.FAULT: "fault  "}
EXAMPLES = (
    "Example: infinireach android doctor http://192.168.1.20:8080 --user sms --password-file phone.password"
)

app = typer.Typer(
    name="android",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with local variables would show secrets
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def android() -> None:
    """Hold the commands together: with one alone typer would leave out its name."""


@app.command("doctor", epilog=EXAMPLES)
def doctor(
    url: Annotated[str, typer.Argument(help="Where the app is: the local address that it shows.")],
    *,
    user: Annotated[str, typer.Option(help="The user that the app shows.")] = "",
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password; asked for if it is not given.")
    ] = None,
    webhook: Annotated[
        str, typer.Option(help="The url of [webhook], to see whether it answers.", metavar="URL")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON.")] = False,
) -> None:
    """Examine a phone: the way to it, the app, its password, SIMs, battery, clock, inbox, webhooks and limit.

    Sends nothing and changes nothing. Exit status 0: messages go out through it; 1: they do not.
    """
    try:
        url, webhook = read_url(url), read_url(webhook) if webhook else ""
    except ValueError as error:
        raise typer.BadParameter(f"the url {error}") from None
    password = _password(password_file) if user else ""
    examination = asyncio.run(
        examine(
            url,
            user=user,
            password=password,
            webhook_url=webhook,
            tell=(lambda finding: None) if as_json else _show,
        )
    )
    if as_json:
        say_json(examination.document())
    elif examination.can_send:
        say(f"\nIt can send. The entry for phones.toml:\n\n{printable(examination.entry)}")
    else:
        say("\nIt cannot send.")
    raise typer.Exit(0 if examination.can_send else EXIT_FAILED)


@app.command("check-config")
def check_config(
    *,
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="INFINIREACH_ANDROID_CONFIG", help="The file of phones.")
    ] = Path("phones.toml"),
) -> None:
    """Check phones.toml and tell every fault of it at once."""
    try:
        found = read_config(config)
    except ConfigInvalid as invalid:
        note(str(invalid))
        sys.exit(EXIT_FAILED)
    webhook = "with" if found.webhook is not None else "without"
    say(f"{config} is fine: {len(found.phones)} phone(s), {webhook} webhooks.")


def _password(file: Path | None) -> str:
    if file is None:
        return typer.prompt("Password", hide_input=True, err=True)
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter("the password file must be a text file that can be read") from None


def _show(finding: Finding) -> None:
    say(f"{MARKS[finding.mark]}  {finding.step:<8}  {printable(finding.seen)}")
    if finding.remedy and finding.mark is not Mark.OK:
        say(f"{'':19}{printable(finding.remedy)}")


if __name__ == "__main__":
    app(prog_name="infinireach android")
