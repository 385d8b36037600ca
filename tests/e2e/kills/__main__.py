"""`python -m tests.e2e.kills`: long runs on demand."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.e2e.kills.run import run


def main() -> None:
    """Run and print the table; the status says whether everything was accounted for."""
    parser = argparse.ArgumentParser(
        description="Kill the gateway's processes under load and account for everything."
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="use this data folder and keep it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="infinireach-kills-") as folder:
        result = asyncio.run(run(options.keep or Path(folder), kills=options.kills, seed=options.seed))
    print(result)
    sys.exit(1 if result.accounts.faults else 0)


if __name__ == "__main__":
    main()
