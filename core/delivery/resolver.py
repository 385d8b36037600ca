"""The check at the moment of connect: every lookup and every socket passes here.

Owns the name lookup with its deadline and the guard that applies the egress policy. It must not know URLs,
endpoints or HTTP.

Two gates, since neither suffices. `GuardedResolver` sees all answers for a name, and one denied answer denies
the name: mixed answers are how a name is made to pass a check and then lead inside.
`GuardedResolver.open_socket` sees the address of each real connect, also of hosts that are written as
addresses, which the client never resolves.
"""

import asyncio
import contextlib
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from core.delivery.egress import EgressDenied, EgressPolicy

LOOKUP_S_MAX = 2.0
"""How long a lookup may take, the wait for a thread included."""
LOOKUPS_MAX = 64
"""Lookups that may be running; a lookup past its deadline still holds a thread until the system gives up on
it. Further ones wait for a thread, in the order they came and no longer than somebody waits for them."""
ADDRESSES_MAX = 8
"""Addresses that a connect may try."""
ANSWERS_MAX = 64
"""Addresses that a name may have; all of them are judged."""
UNACKNOWLEDGED_MS_MAX = 30_000
"""How long the kernel keeps a connection on which the peer acknowledges nothing."""

HOSTS_FILE = Path("/etc/hosts")
_DISCARD_PORT = 9

Lookup = Callable[[str], list[str]]
"""Blocking: the addresses of a name in text form, best first. Raises OSError."""

Answer = list[str] | Exception


def system_lookup(host: str) -> list[str]:
    """Look a name up in the hosts file, then as an absolute name in the system's resolver.

    Search domains are never tried: `kubernetes` must not become `kubernetes.default.svc.cluster.local`.
    """
    if listed := _hosts_file_addresses(host):
        return listed
    answers = socket.getaddrinfo(f"{host}.".encode("ascii"), None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for _, _, _, _, sockaddr in answers]


def _hosts_file_addresses(host: str) -> list[str]:
    # The system's resolver finds no absolute name in this file, hence this reader.
    try:
        lines = HOSTS_FILE.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    rows = (line.partition("#")[0].split() for line in lines)
    return [row[0] for row in rows if host in (name.lower() for name in row[1:])]


@dataclass(slots=True, eq=False)
class _Lookup:
    """One name that is looked up for all who ask for it meanwhile."""

    answer: asyncio.Future[Answer]
    callers: int = 0


class GuardedResolver(AbstractResolver):
    """aiohttp's resolver and socket factory under an egress policy. Belongs to one event loop.

    Nothing is cached. Lookups of one name that run at the same time share one thread, so that a name whose
    server hangs holds one of the 64 threads and not all.
    """

    def __init__(self, policy: EgressPolicy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup
        self._lookups: dict[str, _Lookup] = {}
        self._waiting: OrderedDict[str, _Lookup] = OrderedDict()
        """Those of the lookups that have no thread yet."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return at most 8 allowed addresses of `host`.

        Raises EgressDenied if any of all answers is denied, and socket.gaierror if the name does not resolve,
        has more than 64 addresses, or has not been looked up after 2 s, of which it waits for one of the 64
        threads for as long as it must.
        """
        addresses = await self._addresses(host)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
        if len(addresses) > ANSWERS_MAX:
            raise socket.gaierror(socket.EAI_FAIL, "the name has too many addresses")
        for address in addresses:
            self._refuse_denied(address)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses[:ADDRESSES_MAX]
        ]

    async def close(self) -> None:
        """Release nothing: running lookups end by themselves, in daemon threads."""

    def open_socket(self, addr_info: AddrInfoType) -> socket.socket:
        """Return a socket for a connect to this address; raises EgressDenied. This is aiohttp's
        `socket_factory`."""
        family, kind, protocol, _, sockaddr = addr_info
        address = str(sockaddr[0])
        self._refuse_denied(address)
        if self._policy.own_address_denied(address) and _is_own_address(family, address):
            raise EgressDenied("an address of this machine")
        opened = socket.socket(family, kind, protocol)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS_MAX)
        return opened

    def _refuse_denied(self, address: str) -> None:
        reason = self._policy.address_denied(address)
        if reason is not None:
            raise EgressDenied(reason)

    async def _addresses(self, host: str) -> list[str]:
        lookup = self._lookups.get(host) or self._enqueue(host)
        lookup.callers += 1
        try:
            async with asyncio.timeout(LOOKUP_S_MAX):
                answer = await asyncio.shield(lookup.answer)
        except TimeoutError:
            waiting = self._waiting.get(host) is lookup
            reason = "too many lookups are running" if waiting else "the lookup took too long"
            raise socket.gaierror(socket.EAI_AGAIN, reason) from None
        finally:
            lookup.callers -= 1
            if not lookup.callers and self._waiting.get(host) is lookup:
                del self._waiting[host], self._lookups[host]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _enqueue(self, host: str) -> _Lookup:
        lookup = _Lookup(asyncio.get_running_loop().create_future())
        self._lookups[host] = self._waiting[host] = lookup
        self._start_lookups()
        return lookup

    def _start_lookups(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and len(self._lookups) - len(self._waiting) < LOOKUPS_MAX:
            host, lookup = self._waiting.popitem(last=False)
            # A daemon thread and no executor: a lookup that hangs must not hold up the end of the process.
            arguments = (host, loop, lookup.answer)
            threading.Thread(target=self._look_up, args=arguments, name="lookup", daemon=True).start()

    def _look_up(self, host: str, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Answer], /) -> None:
        try:
            answer: Answer = self._lookup(host)
        except Exception as error:  # noqa: BLE001 - the top of a thread; raised again where it is awaited
            answer = error
        # The loop may be gone by now, and with it whoever asked.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._finish_lookup, host, future, answer)

    def _finish_lookup(self, host: str, future: asyncio.Future[Answer], answer: Answer, /) -> None:
        del self._lookups[host]
        if not future.done():
            future.set_result(answer)
        self._start_lookups()


def _is_own_address(family: int, address: str) -> bool:
    """Whether the address is one of this machine's: the kernel would then choose it as the source as well.

    Connecting a datagram socket sends nothing.
    """
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, _DISCARD_PORT))
        except OSError:
            return False
        return str(probe.getsockname()[0]) == address
