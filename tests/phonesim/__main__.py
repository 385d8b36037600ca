"""`python -m tests.phonesim --program PATH`: the real modem driver against ofono-phonesim, which none of us wrote.

Not part of the suite, since the program is on few machines. docs/modem-phonesim.md says how to get it. Ends with
status 1 if something was not as it has to be. The program listens on all addresses of the machine and has no
authentication, so everything runs in a network namespace of its own (needs unshare of util-linux, ip of iproute2).
"""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.phonesim import walks
from tests.phonesim.program import Program

INSIDE = "INFINIREACH_PHONESIM_NAMESPACE"
"""Set in the environment of the run inside the namespace."""


def main() -> int:
    """Read the command line, go into a namespace, run the walks."""
    parser = argparse.ArgumentParser(prog="python -m tests.phonesim", description=__doc__)
    parser.add_argument("--program", type=Path, required=True, help="ofono-phonesim")
    parser.add_argument(
        "--root", type=Path, help="folder in which its packages and their libraries were unpacked"
    )
    parser.add_argument("--definition", type=Path, help="its own definition of a phone, default.xml")
    parser.add_argument("--keep", type=Path, help="folder for logs with every line on the wire")
    arguments = parser.parse_args()
    if INSIDE not in os.environ:
        enter_namespace()
    program = Program(arguments.program, arguments.root, arguments.definition)
    with tempfile.TemporaryDirectory(prefix="phonesim-") as folder:
        return asyncio.run(walks.run(program, arguments.keep or Path(folder)))


def enter_namespace() -> None:
    """Begin anew where there is no network but a loopback of our own. Does not return."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = 'ip link set lo up && exec "$@"'
    again = ["sh", "-c", script, "sh", sys.executable, "-m", "tests.phonesim", *sys.argv[1:]]
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--net", *as_root, *again])  # noqa: S606 - arguments of our own


if __name__ == "__main__":
    sys.exit(main())
