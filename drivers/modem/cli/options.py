"""Options that several commands share, and where things lie unless an option says otherwise."""

import os
from pathlib import Path
from typing import Annotated

import typer

from drivers.runtime.command_line import expanded

CONFIG_VARIABLE = "INFINIREACH_MODEM_CONFIG"
CONFIG_DEFAULT = "modems.toml"

AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON document instead of text.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help=f"The file of modems. Not set: {CONFIG_VARIABLE}, else {CONFIG_DEFAULT}."
    ),
]


def config_file(given: Path | None) -> Path:
    """The modems.toml: the one given, or else the one that the driver would take."""
    return given or expanded(os.environ.get(CONFIG_VARIABLE) or CONFIG_DEFAULT)
