"""`infinireach modem check-config`: whether a modems.toml can be used, before a driver is started with it."""

from drivers.modem.cli.options import ConfigOption, config_file
from drivers.modem.config import read_config
from drivers.runtime.config_file import ConfigInvalid
from drivers.runtime.output import CommandFailed, say


def check_config(*, config: ConfigOption = None) -> None:
    """Tell everything that is wrong in a modems.toml."""
    file = config_file(config)
    try:
        modems = read_config(file)
    except ConfigInvalid as invalid:
        lines = "\n".join(f"  {problem}" for problem in invalid.problems)
        raise CommandFailed(f"{file} cannot be used:\n{lines}") from None
    say(f"{file} is right: {', '.join(modem.name for modem in modems)}.")
