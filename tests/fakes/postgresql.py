"""A real PostgreSQL for tests: a cluster of their own on a free port of loopback, removed at the end."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from tools.engines.ports import free_port
from tools.engines.postgresql import Postgresql


class Cluster(Postgresql):
    """A cluster in a folder of its own, started. Tests that never crash it need no durable one."""

    def __init__(self, *, is_durable: bool) -> None:
        self._temporary = Path(tempfile.mkdtemp(prefix="infinireach-postgresql-"))
        super().__init__(self._temporary / "cluster", free_port(), is_durable=is_durable)
        self.start()

    def remove(self) -> None:
        """Stop it and remove its files."""
        self.kill()
        shutil.rmtree(self._temporary, ignore_errors=True)


@cache
def shared_cluster() -> Cluster:
    """The cluster of all tests that do not stop it."""
    cluster = Cluster(is_durable=False)
    atexit.register(cluster.remove)
    return cluster
