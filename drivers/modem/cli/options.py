"""Options that several commands share, and where things lie unless an option says otherwise."""

import os
from pathlib import Path
from typing import Annotated

import typer

from drivers.modem.cli.output import CommandFailed

CONFIG_VARIABLE = "INFINIREACH_MODEM_CONFIG"
CONFIG_DEFAULT = "modems.toml"

AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON document instead of text.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help=f"The file of modems. Not set: {CONFIG_VARIABLE}, else {CONFIG_DEFAULT}."
    ),
]


def var_folder() -> Path:
    """The data folder."""
    return _expanded(os.environ.get("INFINIREACH_VAR") or "var")


def config_file(given: Path | None) -> Path:
    """The modems.toml: the one given, or else the one that the driver would take."""
    return given or _expanded(os.environ.get(CONFIG_VARIABLE) or CONFIG_DEFAULT)


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise CommandFailed(f"{path} begins in the home of a user whom there is not.") from None
