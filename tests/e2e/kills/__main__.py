"""`python -m tests.e2e.kills`: long runs on demand."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.e2e.kills.gateway import Gateway
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
    parser.add_argument("--keep", type=Path, help="use this data folder and keep it")
    options = parser.parse_args()
    cluster = Cluster(is_durable=True) if options.postgresql else None
    try:
        with tempfile.TemporaryDirectory(prefix="infinireach-kills-") as folder:
            var = options.keep or Path(folder)
            result = asyncio.run(run(Gateway(var, cluster), kills=options.kills, seed=options.seed))
    finally:
        if cluster is not None:
            cluster.remove()
    print(result)
    sys.exit(1 if result.accounts.faults else 0)


if __name__ == "__main__":
    main()
