"""What the command lines of drivers and fakes share: how one ends that cannot go on, and where the data folder is."""

import os
import sys
from pathlib import Path
from typing import Any

import typer

from drivers.runtime.output import EXIT_FAILED, CommandFailed, note


class Application(typer.Typer):
    """A whole command line: a fault ends in one sentence and a status, not in a traceback."""

    def __init__(self, program: str, **settings: Any) -> None:
        """`program` is what people type to start it; `settings` are typer's."""
        super().__init__(
            pretty_exceptions_enable=False,  # a traceback with local variables would show numbers
            add_completion=False,
            context_settings={"help_option_names": ["-h", "--help"]},
            **settings,
        )
        self._program = program

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command of `args`, or of the process; ends with SystemExit."""
        try:
            return super().__call__(*args, prog_name=self._program, **kwargs)
        except CommandFailed as failed:
            note(str(failed))
            sys.exit(EXIT_FAILED)
        except BrokenPipeError:  # the reader, such as head, has seen enough
            sys.stderr.close()
            sys.exit(EXIT_FAILED)


def var_folder() -> Path:
    """The data folder. Raises CommandFailed."""
    return expanded(os.environ.get("INFINIREACH_VAR") or "var")


def expanded(path: str) -> Path:
    """A path with its ~ made a folder. Raises CommandFailed."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise CommandFailed(f"{path} begins in the home of a user whom there is not.") from None
