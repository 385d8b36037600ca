"""The command line, called in this process as a shell would call it."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

from typer import Typer

from core.cli.main import app
from drivers.modem.cli.main import app as modem_app
from drivers.whatsapp_cloud.fake_graph.command_line import app as graph_app


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended and what it wrote."""

    status: int
    out: str
    err: str


def infinireach(*arguments: str) -> Finished:
    """Run a command to its end."""
    return _run(app, arguments)


def infinireach_modem(*arguments: str) -> Finished:
    """Run a command of `infinireach modem` to its end."""
    return _run(modem_app, arguments)


def infinireach_fake_graph(*arguments: str) -> Finished:
    """Run a command of `infinireach fake graph` to its end."""
    return _run(graph_app, arguments)


def _run(application: Typer, arguments: Sequence[str]) -> Finished:
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            application(list(arguments))
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    return Finished(status, out.getvalue(), err.getvalue())
