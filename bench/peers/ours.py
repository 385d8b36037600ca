"""Infini Reach as a subject: facade, core and PostgreSQL, devices paused."""

import json
import re
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from bench import accepts
from bench.gateway import running_gateway
from bench.options import Options
from bench.peers.subject import Subject
from tools.engines.postgresql import binaries


@contextmanager
def running(_folder: Path) -> Generator[Subject]:
    """A gateway on a new PostgreSQL cluster."""
    with running_gateway(Options(database="postgresql")) as gateway:
        gateway.pause_devices()
        server = subprocess.run(
            [binaries() / "postgres", "--version"], check=True, capture_output=True, text=True
        )
        yield Subject(
            request=accepts.request_to(gateway),
            is_accepted=lambda status, body: status == 201 and "messageId" in json.loads(body),
            accepted=lambda: accepts.stored(gateway),
            pids=gateway.pids,
            configuration={"environment": json.dumps(_without_password(gateway.settings), indent=2)},
            versions={"postgresql": server.stdout.strip(), "infinireach": version("infinireach")},
            durability="each answer after the commit of its row, synchronous_commit=on",
        )


def _without_password(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: re.sub(r"//[^/@]*@", "//", value) for name, value in settings.items()}
