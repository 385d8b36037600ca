"""The command line, called in this process as a shell would call it."""

import contextlib
import io
from dataclasses import dataclass

from core.cli.main import app


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended and what it wrote."""

    status: int
    out: str
    err: str


def infinireach(*arguments: str) -> Finished:
    """Run a command to its end."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            app(list(arguments))
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    return Finished(status, out.getvalue(), err.getvalue())
