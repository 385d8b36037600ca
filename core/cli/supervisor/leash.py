"""Ties a process to the life of its parent: `python leash.py PARENT_PID COMMAND...` becomes COMMAND.

The kernel kills the process when the parent dies, however it dies (prctl(2), PR_SET_PDEATHSIG; kept over execve).
Runs without site packages, so it costs some 10 ms, once. Must not import anything of ours.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Become `command`, unless the parent is dead already."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before the kernel knew of the wish
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - the command of our own supervisor


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
