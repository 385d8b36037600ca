"""`infinireach modem system-files`: the udev rule and the systemd unit that come with the driver.

Owns that nothing of the owner's is overwritten. What is in the files is told by themselves.
"""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from drivers.runtime.output import CommandFailed, say

NAMES = ("65-infinireach-modem.rules", "infinireach-modem.service")
EXAMPLES = (
    "Example: infinireach modem system-files . && sudo cp 65-infinireach-modem.rules /etc/udev/rules.d/"
)


def system_files(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write them into.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there and differs.")] = False,
) -> None:
    """Write a udev rule and a systemd unit for modems into a folder; where they belong is told in each."""
    if not folder.is_dir():
        raise CommandFailed(f"There is no folder {folder}.")
    for name in NAMES:
        text = files("drivers.modem.system").joinpath(name).read_text(encoding="utf-8")
        path = folder / name
        try:
            differs = path.exists() and path.read_text(encoding="utf-8", errors="replace") != text
            if differs and not force:
                raise CommandFailed(f"{path} is there and differs. --force overwrites it.")
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandFailed(f"{path} cannot be written: {error.strerror}.") from None
        say(str(path))
