"""What `infinireach up` will run: addresses, environment and readiness of each process.

Owns the shape of a gateway on one machine and the time that its parts have to end. Starts nothing.
"""

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.cli.output import CommandFailed
from core.cli.rest_client import RestClient
from core.cli.roles import DRIVER_TOKEN_FILE_NAME, command_of
from core.cli.supervisor import phones, readiness
from core.cli.supervisor.child import Role
from core.cli.supervisor.demo import Demo
from core.cli.supervisor.ports import Endpoint, free_port
from core.config import PREFIX, InvalidSettings, Settings

REST_HOST = f"{PREFIX}REST_HOST"
REST_PORT = f"{PREFIX}REST_PORT"
REST_PORT_DEFAULT = 8080
INTERNAL_HOST = "127.0.0.1"
STOP_S = {"rest": 1.2, "core": 1.9}
"""Together with that of the phones less than the 5 s after which Ctrl-C must have ended everything; but where real
modems send."""

QUICK_STOP = {f"{PREFIX}REST_DRAIN_S": "1", f"{PREFIX}DRAIN_GRACE_S": "0.5"}
"""Ends within STOP_S, unless the environment says otherwise: at a desk nobody waits for Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the parts listen; ports are never 0, but for `internal_port`."""

    rest_host: str
    rest_port: int
    grpc_host: str
    grpc_port: int
    metrics_host: str
    metrics_port: int
    internal_port: int
    """Of the core's internal listener, on loopback; 0: none, since the facade may come to the public one."""

    @property
    def rest_url(self) -> str:
        """The API's base URL as seen from this machine."""
        return f"http://{_bracketed(reachable(self.rest_host))}:{self.rest_port}"

    @property
    def grpc(self) -> str:
        """host:port of the core as seen from this machine."""
        return f"{_bracketed(reachable(self.grpc_host))}:{self.grpc_port}"

    @property
    def grpc_of_facade(self) -> str:
        """host:port of the core for the facade: where the service credential is taken."""
        return f"{INTERNAL_HOST}:{self.internal_port}" if self.internal_port else self.grpc

    @property
    def metrics_url(self) -> str:
        """The core's metrics as seen from this machine."""
        return f"http://{_bracketed(reachable(self.metrics_host))}:{self.metrics_port}/metrics"

    def endpoints(self) -> list[Endpoint]:
        """All of them, for a check before anything is started."""
        return [
            Endpoint("the REST API", self.rest_host, self.rest_port, REST_PORT),
            Endpoint("gRPC", self.grpc_host, self.grpc_port, f"{PREFIX}GRPC_PORT"),
            Endpoint("metrics", self.metrics_host, self.metrics_port, f"{PREFIX}METRICS_PORT"),
        ]


def addresses(settings: Settings, environment: Mapping[str, str]) -> Addresses:
    """Where the parts will listen; a port of 0 becomes one that is free now. Raises InvalidSettings."""
    text = environment.get(REST_PORT) or str(REST_PORT_DEFAULT)
    if not text.isdecimal() or int(text) > 65535:
        raise InvalidSettings([f"{REST_PORT}: must be a port from 0 to 65535 (it is {text!r})"])
    rest_host = environment.get(REST_HOST) or "127.0.0.1"
    return Addresses(
        rest_host=rest_host,
        rest_port=int(text) or _free_port(rest_host, REST_HOST),
        grpc_host=settings.grpc_host,
        grpc_port=settings.grpc_port or _free_port(settings.grpc_host, f"{PREFIX}GRPC_HOST"),
        metrics_host=settings.metrics_host,
        metrics_port=settings.metrics_port or _free_port(settings.metrics_host, f"{PREFIX}METRICS_HOST"),
        internal_port=0 if settings.is_credential_public else free_port(INTERNAL_HOST),
    )


def _free_port(host: str, variable: str) -> int:
    try:
        return free_port(host)
    except OSError as error:
        raise InvalidSettings([f"{variable}: {host!r} cannot be listened on: {error}"]) from None


def roles(settings: Settings, where: Addresses, demo: Demo, choice: phones.Choice) -> list[Role]:
    """The processes, in the order in which they are stopped."""
    var = settings.var.absolute()
    token_file = var / DRIVER_TOKEN_FILE_NAME
    quick_stop = {**QUICK_STOP, f"{PREFIX}DRIVER_GRACE_S": phones.GRACE_S.get(choice.phones, "")}
    environment = {
        **{name: value for name, value in quick_stop.items() if not os.environ.get(name)},
        f"{PREFIX}VAR": str(var),
        f"{PREFIX}PROFILE": settings.profile,
        f"{PREFIX}GRPC_PORT": str(where.grpc_port),
        f"{PREFIX}METRICS_PORT": str(where.metrics_port),
        f"{PREFIX}INTERNAL_HOST": INTERNAL_HOST,
        f"{PREFIX}INTERNAL_PORT": str(where.internal_port),
        f"{PREFIX}CORE_ADDRESS": where.grpc_of_facade,
        REST_PORT: str(where.rest_port),
        f"{PREFIX}DRIVER_CORE": where.grpc,
        f"{PREFIX}DRIVER_TOKEN_FILE": str(token_file),
    }
    api = RestClient(where.rest_url, demo.api_key, timeout_s=readiness.ANSWER_S)
    facade_is_ready = functools.partial(
        readiness.facade_is_ready, reachable(where.rest_host), where.rest_port
    )
    core_serves = functools.partial(readiness.core_serves, where.grpc)
    return [
        Role("rest", command_of("rest_facade"), facade_is_ready, STOP_S["rest"], environment),
        *phones.roles(choice, var, api, environment),
        Role("core", command_of("core"), core_serves, STOP_S["core"], environment),
    ]


def reachable(host: str) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not listened on


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def prepare_folder(var: Path) -> None:
    """Make the data folder, for its owner only. Raises CommandFailed if it cannot be used."""
    try:
        var.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(var, os.R_OK | os.W_OK | os.X_OK):
            raise CommandFailed(f"The data folder {var} cannot be written to. Choose another: {PREFIX}VAR")
    except OSError as error:
        raise CommandFailed(
            f"The data folder {var} cannot be made: {error.strerror}. Choose another: {PREFIX}VAR"
        ) from None
