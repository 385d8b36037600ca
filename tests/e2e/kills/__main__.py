"""`python -m tests.e2e.kills`: long runs on demand."""

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

from tests.e2e.kills.gateway import Gateway, Harmed
from tests.e2e.kills.many import ManyProcesses
from tests.e2e.kills.run import run
from tests.fakes.postgresql import Cluster


def main() -> None:
    """Run and print the table; the status says whether everything was accounted for."""
    parser = argparse.ArgumentParser(
        description="Kill the gateway's processes under load and account for everything."
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true", help="on a PostgreSQL that crashes too")
    parser.add_argument(
        "--many", action="store_true", help="two of each process on engines that are killed too"
    )
    parser.add_argument("--keep", type=Path, help="use this data folder and keep it")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="infinireach-kills-") as folder,
        _gateway(options, options.keep or Path(folder)) as gateway,
    ):
        result = asyncio.run(run(gateway, kills=options.kills, seed=options.seed))
    print(result)
    sys.exit(1 if result.accounts.faults else 0)


@contextlib.contextmanager
def _gateway(options: argparse.Namespace, var: Path) -> Generator[Harmed]:
    if options.many:
        many = ManyProcesses(var.absolute())
        try:
            yield many
        finally:
            asyncio.run(many.remove())
        return
    cluster = Cluster(is_durable=True) if options.postgresql else None
    try:
        yield Gateway(var, cluster)
    finally:
        if cluster is not None:
            cluster.remove()


if __name__ == "__main__":
    main()
