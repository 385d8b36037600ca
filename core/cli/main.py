"""`infinireach`: the commands by name.

Owns the list of commands and that a fault ends in one sentence and a status, not in a traceback.
"""

import gc
import sys
from typing import Any

import typer

from core.cli import (
    certs,
    configuration,
    devices,
    doctor,
    driver_tokens,
    installation,
    keys,
    messages,
    migration,
    pruning,
    roles,
    simulate,
    tenants,
    up,
    webhooks,
)
from core.cli.output import EXIT_FAILED, CommandFailed, fail
from core.errors import InfiniReachError

HELP = """A gateway of your own for SMS and WhatsApp.

infinireach up starts everything on this machine and shows how to send a first message."""


class Application(typer.Typer):
    """The whole command line."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command of `args`, or of the process; ends with SystemExit."""
        gc.freeze()  # modules live as long as the process; nobody need wait at its end until they are taken apart
        try:
            return super().__call__(*args, **kwargs)
        except (CommandFailed, InfiniReachError) as failed:
            fail(str(failed))
        except BrokenPipeError:  # the reader, such as head, has seen enough
            sys.stderr.close()
            sys.exit(EXIT_FAILED)


app = Application(
    name="infinireach",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with local variables would show keys
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
START = "Start"
ADMINISTRATION = "Administration, on the database"
CLIENT = "Client of the REST API"
OPERATION = "Operation"

app.command("up", rich_help_panel=START, epilog=up.EXAMPLES)(up.up)
for name, command in {
    "core": roles.core,
    "rest": roles.rest,
    "relay": roles.relay,
    "deliver": roles.deliver,
    "driver": roles.driver,
}.items():
    app.command(name, rich_help_panel=START, context_settings=roles.PASSED_ON.get(name))(command)
app.command("migrate", rich_help_panel=ADMINISTRATION)(migration.migrate)
app.command("prune", rich_help_panel=ADMINISTRATION)(pruning.prune)
app.add_typer(tenants.app, name="tenant", rich_help_panel=ADMINISTRATION)
app.add_typer(keys.app, name="key", rich_help_panel=ADMINISTRATION)
app.add_typer(driver_tokens.app, name="driver-token", rich_help_panel=ADMINISTRATION)
app.add_typer(messages.app, name="message", rich_help_panel=CLIENT)
app.add_typer(devices.app, name="device", rich_help_panel=CLIENT)
app.add_typer(webhooks.app, name="webhook", rich_help_panel=CLIENT)
app.add_typer(simulate.app, name="simulate", rich_help_panel=CLIENT)
for name, command in {"modem": roles.modem, "android": roles.android}.items():
    app.command(
        name, rich_help_panel=OPERATION, add_help_option=False, context_settings=roles.PASSED_ON[name]
    )(command)
app.command("fake", rich_help_panel=OPERATION, context_settings=roles.PASSED_ON["fake"])(roles.fake)
app.command("secrets", rich_help_panel=OPERATION)(installation.secrets)
app.add_typer(certs.app, name="certs", rich_help_panel=OPERATION)
app.command("config", rich_help_panel=OPERATION)(configuration.config)
app.command("doctor", rich_help_panel=OPERATION)(doctor.doctor)

if __name__ == "__main__":
    app()
