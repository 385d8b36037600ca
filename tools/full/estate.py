"""Which processes there are, with which settings: two cores, facades, deliverers and drivers.

Owns how the roles find each other, the engines and the edge. Starts nothing.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.cli.rest_client import RestClient
from core.cli.roles import command_of
from core.cli.supervisor import readiness
from core.cli.supervisor.child import Role
from core.config import PREFIX
from tools.engines.assembly import Addresses
from tools.engines.plan import EACH
from tools.engines.ports import HOST, answers

NUMBERS = ("+15559876543", "+15559876544")
"""One for each simulated driver."""

CORE_STOP_DELAY_S = 2.5
REST_STOP_DELAY_S = 2.5
"""Twice the time in which the edge and the facades see by themselves that one does not serve any more."""

SETTLE_S = 2.5
"""After a restart, the time in which they see that it serves again."""

STOP_S = {"core": 15.0, "rest": 10.0, "deliver": 15.0, "driver": 10.0}


@dataclass(frozen=True, slots=True)
class Estate:
    """Everything in one folder; the engines and the edge lie beside it."""

    var: Path
    engines: Addresses

    @property
    def certs(self) -> Path:
        """The folder of the development certificates."""
        return self.var / "certs"

    @property
    def ca(self) -> Path:
        """The authority that all of them trust."""
        return self.certs / "ca.pem"

    @property
    def edge_url(self) -> str:
        """The public API."""
        return f"https://localhost:{self.engines.ports['edge']}"

    @staticmethod
    def socket_name(n: int) -> str:
        """The file through which messages come in to a driver; `infinireach simulate` finds that of the first."""
        return "simulated.sock" if n == 1 else f"simulated-{n}.sock"

    @staticmethod
    def radio_log_name(n: int) -> str:
        """The file that has what a driver's simulated network took."""
        return "simulated-radio.log" if n == 1 else f"simulated-radio-{n}.log"

    def shared(self) -> dict[str, str]:
        """The settings of every role of the core, and of the commands that administer this gateway."""
        return _settings({
            "VAR": self.var,
            "DATABASE_URL": self.engines.database_url,
            "PROFILE": "development",
            "KAFKA_SERVERS": self.engines.kafka_servers,
        })

    def groups(self, api: RestClient) -> list[list[Role]]:
        """The roles in the order in which they stop, those that stop together in one list."""
        return [
            [self._facade(n) for n in _numbers()],
            [self._driver(n, api) for n in _numbers()],
            [self._deliverer(n) for n in _numbers()],
            [self._core(n) for n in _numbers()],
        ]

    def _core(self, n: int) -> Role:
        name = f"core-{n}"
        public = f"{HOST}:{self.engines.ports[name]}"
        settings = {
            "GRPC_HOST": HOST,
            "GRPC_PORT": self.engines.ports[name],
            "INTERNAL_HOST": HOST,
            "INTERNAL_PORT": self.engines.ports[f"{name}-internal"],
            "METRICS_PORT": self.engines.ports[f"{name}-metrics"],
            "TLS_CERT_FILE": self.certs / "core.pem",
            "TLS_KEY_FILE": self.certs / "core.key",
            "TLS_CLIENT_CA_FILE": self.ca,
            "DELIVER_EMBEDDED": "false",
            "STOP_DELAY_S": CORE_STOP_DELAY_S,
        }
        is_ready = functools.partial(readiness.core_serves, public, ca=self.ca)
        return self._role(name, ["core"], is_ready, settings)

    def _deliverer(self, n: int) -> Role:
        name = f"deliver-{n}"
        port = self.engines.ports[f"{name}-metrics"]

        async def is_ready() -> bool:
            return answers(port)

        return self._role(name, ["core.cli.main", "deliver"], is_ready, {"METRICS_PORT": port})

    def _facade(self, n: int) -> Role:
        name = f"rest-{n}"
        settings = {
            "REST_HOST": HOST,
            "REST_PORT": self.engines.ports[name],
            "REST_METRICS_PORT": self.engines.ports[f"{name}-metrics"],
            "REST_PROXIES": 1,
            "REST_PUBLIC_URL": self.edge_url,
            "REST_STOP_DELAY_S": REST_STOP_DELAY_S,
            "RATE_LIMIT_STORAGE": self.engines.redis_url,
            "CORE_ADDRESS": ",".join(
                f"{HOST}:{self.engines.ports[f'core-{m}-internal']}" for m in _numbers()
            ),
            "CORE_CA_FILE": self.ca,
            "CORE_CERT_FILE": self.certs / "client.pem",
            "CORE_KEY_FILE": self.certs / "client.key",
        }
        is_ready = functools.partial(readiness.facade_is_ready, HOST, self.engines.ports[name])
        return self._role(name, ["rest_facade"], is_ready, settings)

    def _driver(self, n: int, api: RestClient) -> Role:
        name = f"driver-{n}"
        number = NUMBERS[n - 1]
        devices = [
            {"key": "phone", "name": f"Simulated phone {n}", "channel": "sms", "number": number},
            {"key": "whatsapp", "name": f"Simulated WhatsApp {n}", "channel": "whatsapp", "number": number},
        ]
        settings = {
            "DRIVER_NAME": f"simulated-{n}",
            "DRIVER_CORE": f"localhost:{self.engines.ports['edge-driver']}",
            "DRIVER_CA_FILE": self.ca,
            "DRIVER_CERT_FILE": self.certs / f"{name}.pem",
            "DRIVER_KEY_FILE": self.certs / f"{name}.key",
            "SIMULATED_DEVICES": json.dumps(devices),
            "SIMULATED_SOCKET": self.var / self.socket_name(n),
            "SIMULATED_RADIO_LOG": self.var / self.radio_log_name(n),
        }
        is_ready = functools.partial(readiness.number_is_online, api, number)
        return self._role(name, ["drivers.simulated"], is_ready, settings)

    def _role(
        self,
        name: str,
        program: list[str],
        is_ready: readiness.Check,
        settings: Mapping[str, object],
    ) -> Role:
        return Role(
            name,
            [*command_of(program[0]), *program[1:]],
            is_ready,
            STOP_S[name.partition("-")[0]],
            {**self.shared(), **_settings(settings)},
            SETTLE_S,
        )


def _numbers() -> range:
    return range(1, EACH + 1)


def _settings(values: Mapping[str, object]) -> dict[str, str]:
    return {f"{PREFIX}{name}": str(value) for name, value in values.items()}
