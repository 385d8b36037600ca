"""The client connections of each endpoint, kept apart from those of all others.

Owns the HTTP client's pools: when one is made, shared, given up and closed. It must not know requests,
answers or deliveries.

Every endpoint has a pool of its own for each version of its configuration, so that no request travels on a
connection that was checked for another tenant, another URL or another TLS setting.
"""

import asyncio
import contextlib
import functools
import socket
import ssl
from collections import OrderedDict
from collections.abc import Generator
from typing import Any

import aiohttp
from yarl import URL

from core.delivery.answers import GuardedResponseHandler
from core.delivery.egress import EgressPolicy
from core.delivery.resolver import GuardedResolver
from core.delivery.target import parse_target

IDLE_S_MAX = 4.0
"""Idle connections are closed after this long: before Node.js, uvicorn and Apache close theirs (5 s), since a
request that crosses such a close is lost and costs an attempt."""
CONNECTIONS_PER_ENDPOINT_MAX = 64
"""The most that an operator may let be in flight to one endpoint; beyond it requests wait for a connection."""
ENDPOINTS_MAX = 1_024
"""Endpoints with a pool; beyond it the least recently used idle ones are closed."""

READ_BUFFER_BYTES = 16 * 1024
RESPONSE_HEADERS_MAX = 128
RESPONSE_HEADER_BYTES_MAX = 8 * 1024


class _Connector(aiohttp.TCPConnector):
    """aiohttp's connector with our reader of answers on every connection."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._factory = functools.partial(GuardedResponseHandler, loop=self._loop)


class EndpointPool:
    """The connections of one endpoint in one version of its configuration."""

    def __init__(
        self,
        url: str,
        config_version: int,
        *,
        policy: EgressPolicy,
        guard: GuardedResolver,
        tls: ssl.SSLContext,
    ) -> None:
        """Read the URL and open a session, yet no connection. Raises InvalidTarget."""
        self.requested_url = url
        self.config_version = config_version
        self.url = URL(parse_target(url, policy).url, encoded=True)
        self.connects = 0
        """How many connects were begun."""
        self.in_flight = 0
        self._guard = guard
        self.session = aiohttp.ClientSession(
            connector=_Connector(
                resolver=guard,
                socket_factory=self._open_socket,
                use_dns_cache=False,
                ssl=tls,
                limit=CONNECTIONS_PER_ENDPOINT_MAX,
                keepalive_timeout=IDLE_S_MAX,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            # The caller's one deadline covers everything.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=READ_BUFFER_BYTES,
            max_line_size=RESPONSE_HEADER_BYTES_MAX,
            max_field_size=RESPONSE_HEADER_BYTES_MAX,
            max_headers=RESPONSE_HEADERS_MAX,
        )

    def _open_socket(self, addr_info: aiohttp.AddrInfoType) -> socket.socket:
        self.connects += 1
        return self._guard.open_socket(addr_info)


class EndpointConnections:
    """The pools of all endpoints. Belongs to one event loop."""

    def __init__(self, policy: EgressPolicy, guard: GuardedResolver, tls: ssl.SSLContext) -> None:
        self._policy = policy
        self._guard = guard
        self._tls = tls
        self._pools: OrderedDict[str, EndpointPool] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def pool(self, endpoint_id: str, config_version: int, url: str) -> Generator[EndpointPool]:
        """Lend the pool of this endpoint, version and URL; a pool of another version or URL is given up.

        Raises InvalidTarget if the policy does not allow the URL.
        """
        pool = self._pools.get(endpoint_id)
        if pool is None or pool.config_version != config_version or pool.requested_url != url:
            self.discard(endpoint_id)
            pool = EndpointPool(url, config_version, policy=self._policy, guard=self._guard, tls=self._tls)
            self._make_room()
            self._pools[endpoint_id] = pool
        self._pools.move_to_end(endpoint_id)
        pool.in_flight += 1
        try:
            yield pool
        finally:
            pool.in_flight -= 1
            if pool.in_flight == 0 and self._pools.get(endpoint_id) is not pool:
                self._start_closing(pool)

    def discard(self, endpoint_id: str) -> None:
        """Give up the connections of an endpoint; those in use close when they are free."""
        pool = self._pools.pop(endpoint_id, None)
        if pool is not None and pool.in_flight == 0:
            self._start_closing(pool)

    async def close(self) -> None:
        """Close everything; requests that are under way fail."""
        for pool in self._pools.values():
            self._start_closing(pool)
        self._pools.clear()
        while self._closing:
            await asyncio.gather(*self._closing)

    def _make_room(self) -> None:
        """Give up idle pools until one more fits; those in use stay, so that there may be more for a while."""
        while len(self._pools) >= ENDPOINTS_MAX:
            idle = next(
                (endpoint_id for endpoint_id, pool in self._pools.items() if not pool.in_flight), None
            )
            if idle is None:
                return
            self.discard(idle)

    def _start_closing(self, pool: EndpointPool) -> None:
        task = asyncio.get_running_loop().create_task(pool.session.close(), name="close endpoint connections")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
