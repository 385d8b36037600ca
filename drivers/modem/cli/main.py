"""`infinireach modem`: the commands by name, and the driver itself where no command is named.

Owns the list of commands and that a fault ends in one sentence and a status, not in a traceback.
"""

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import structlog
import typer

from drivers.modem.cli import checking, emulating, listing, probing, running, system_files, ussd
from drivers.modem.cli.options import CONFIG_VARIABLE, ConfigOption
from drivers.runtime.command_line import Application

HELP = """GSM, LTE and 5G modems: find out what is wrong with one, see how they fare, play one.

The driver itself: infinireach driver modem --config modems.toml"""


@contextmanager
def no_logs() -> Generator[None]:
    """Commands speak for themselves; what the parts of the driver log meanwhile would be in a script's way."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


class ModemApplication(Application):
    """The whole command line, without logs."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command of `args`, or of the process; ends with SystemExit."""
        with no_logs():
            return super().__call__(*args, **kwargs)


app = ModemApplication("infinireach modem", name="modem", help=HELP)


@app.callback(invoke_without_command=True, help=HELP)
def driver(context: typer.Context, *, config: ConfigOption = None) -> None:
    """Run the driver where no command is named; its settings come from the environment (docs/configuration.md)."""
    if context.invoked_subcommand is not None:
        return
    from drivers.modem.driver import ModemDriver  # noqa: PLC0415 - brings gRPC, which no other command needs
    from drivers.runtime import run  # noqa: PLC0415

    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)
    run(ModemDriver)


app.command("probe", epilog=probing.EXAMPLES)(probing.probe)
app.command("list")(listing.list_)
app.command("status")(running.status)
app.command("ussd", epilog=ussd.EXAMPLES)(ussd.ussd)
app.command("unlock")(running.unlock)
app.command("check-config")(checking.check_config)
app.add_typer(emulating.app, name="emulate")
app.command("system-files", epilog=system_files.EXAMPLES)(system_files.system_files)
