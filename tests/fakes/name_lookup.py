"""Names and their addresses, scriptable: answers that change, fail or never come.

Stands where the system's resolver is called, since the system's own cannot be pointed at another server from
inside a process. Owns no policy.
"""

import socket
import threading
from collections import defaultdict
from collections.abc import Sequence

Answer = Sequence[str] | OSError

NO_SUCH_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
SERVER_FAILURE = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


class ScriptedLookup:
    """Callable as the resolver's `Lookup`. Use as a context manager: leaving it ends lookups that hang."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._answers: defaultdict[str, list[Answer]] = defaultdict(list)
        self._hanging: set[str] = set()
        self._released = threading.Event()

    def answer(self, host: str, *answers: Answer) -> None:
        """Answer lookups of this name with these, one each; the last one is repeated."""
        self._answers[host] = list(answers)

    def hang(self, host: str) -> None:
        """Let lookups of this name hang until `release`."""
        self._hanging.add(host)

    def __enter__(self) -> "ScriptedLookup":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let lookups that hang return with their answers."""
        self._released.set()

    def __call__(self, host: str) -> list[str]:
        """Answer as told; a name that nobody told anything about does not exist."""
        self.calls.append(host)
        if host in self._hanging:
            self._released.wait()
        script = self._answers[host] or [NO_SUCH_NAME]
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, OSError):
            raise answer
        return list(answer)
