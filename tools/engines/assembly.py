"""The engines of one data folder: PostgreSQL, Redis, Kafka and, in front of the roles that will run, the edge.

Owns which folders and ports they have and what the edge stands in front of.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.engines import plan
from tools.engines.envoy import Envoy
from tools.engines.envoy_bootstrap import Place, Ports, Upstreams
from tools.engines.kafka import Kafka
from tools.engines.plan import EACH
from tools.engines.ports import HOST
from tools.engines.postgresql import Postgresql
from tools.engines.redis import Redis
from tools.engines.supervisor import Engine

DATABASE = "reach"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the engines are; `ports` also has those of the roles."""

    ports: Mapping[str, int]
    database_url: str
    kafka_servers: str
    redis_url: str


def engines_folder(var: Path) -> Path:
    """Where the engines keep what is theirs."""
    return var / "engines"


def gateway_folder(var: Path) -> Path:
    """Where the gateway that runs on them keeps what is its own."""
    return var / "full"


def engines(var: Path) -> dict[str, Engine]:
    """The engines by name, in the order in which they start."""
    folder = engines_folder(var)
    ports = plan.load(folder)
    return {
        "postgresql": postgresql(var),
        "redis": Redis(folder / "redis", ports["redis"]),
        "kafka": Kafka(folder / "kafka", ports["kafka"], ports["kafka-controller"]),
        "envoy": Envoy(folder / "envoy", _place(var, ports)),
    }


def postgresql(var: Path) -> Postgresql:
    """The one with the gateway's database in it."""
    folder = engines_folder(var)
    return _Database(folder / "postgresql", plan.load(folder)["postgresql"])


def addresses(var: Path) -> Addresses:
    """Where the engines of this folder are."""
    folder = engines_folder(var)
    ports = plan.load(folder)
    return Addresses(
        ports,
        postgresql(var).url(DATABASE),
        f"{HOST}:{ports['kafka']}",
        Redis(folder / "redis", ports["redis"]).url,
    )


class _Database(Postgresql):
    """The cluster with the gateway's database in it."""

    def start(self) -> None:
        super().start()
        self.create_database(DATABASE)


def _place(var: Path, ports: Mapping[str, int]) -> Place:
    def each(role: str, listener: str = "") -> list[str]:
        return [f"{HOST}:{ports[f'{role}-{n}{listener}']}" for n in range(1, EACH + 1)]

    return Place(
        ports=Ports(
            public=ports["edge"],
            driver=ports["edge-driver"],
            driver_token=ports["edge-driver-token"],
            admin=ports["edge-admin"],
        ),
        certificates=gateway_folder(var) / "certs",
        upstreams=Upstreams(
            facades=each("rest"), cores=each("core"), cores_internal=each("core", "-internal")
        ),
    )
