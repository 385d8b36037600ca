"""A real PostgreSQL for tests: a cluster of their own on a free port of loopback, removed at the end."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from tools.engines.ports import free_port
from tools.engines.postgresql import PASSABLE, USER, Postgresql

EXPLAINING = (
    "session_preload_libraries",
    *(f"auto_explain.log_{name}" for name in ("min_duration", "analyze", "timing", "format")),
)
"""What a connection sets to hear how its statements are run."""


class Cluster(Postgresql):
    """A cluster in a folder of its own, started. Tests that never crash it need no durable one.

    Its role is the ordinary one but for EXPLAINING, which otherwise is for superusers.
    """

    def __init__(self, *, is_durable: bool) -> None:
        self._temporary = Path(tempfile.mkdtemp(prefix="infinireach-postgresql-"))
        self._temporary.chmod(PASSABLE)
        super().__init__(self._temporary / "cluster", free_port(), is_durable=is_durable)
        self.start()

    def _make(self) -> None:
        super()._make()
        self.administer(*(f"GRANT SET ON PARAMETER {name} TO {USER}" for name in EXPLAINING))

    def remove(self) -> None:
        """Stop it and remove its files."""
        super().remove()
        shutil.rmtree(self._temporary, ignore_errors=True)


@cache
def shared_cluster() -> Cluster:
    """The cluster of all tests that do not stop it."""
    cluster = Cluster(is_durable=False)
    atexit.register(cluster.remove)
    return cluster
