"""Every setting of the core and its roles: declared once with unit, default, range and help; read once.

Owns the environment variables (`INFINIREACH_` and the field's name in capitals) and their check;
docs/configuration.md is made from it. Opens no file and no socket.
"""

import os
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, ValidationInfo, field_validator

from core.setting import derived, setting

PREFIX = "INFINIREACH_"


class InvalidSettings(Exception):
    """Settings that cannot be used; `problems` names every one of them, a line each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems: list[str] = problems
        super().__init__("\n".join(problems))


def _embedded_url(var: Path) -> str:
    return f"sqlite:///{var}/infinireach.db"


def _profile(given: dict[str, Any]) -> str:
    return "development" if given["database_url"] == _embedded_url(given["var"]) else "production"


class Settings(BaseModel):
    """The settings by name. `load` reads them from the environment; tests name the ones they need."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    # Where things are
    var: Path = setting("data folder", Path("var"))
    database_url: str = derived(
        "database, an SQLAlchemy URL",
        lambda given: _embedded_url(given["var"]),
        words="sqlite:///<var>/infinireach.db",
    )
    profile: Literal["development", "production"] = derived(
        "development lets webhooks go to this machine and over plain http; production demands https",
        _profile,
        words="development with the default database, otherwise production",
    )
    grpc_host: str = setting("address that the public gRPC server listens on", "127.0.0.1", min_length=1)
    grpc_port: int = setting("port of the public gRPC server; 0: any free one", 50051, ge=0, le=65535)
    metrics_host: str = setting("address that /metrics listens on", "127.0.0.1", min_length=1)
    metrics_port: int = setting("port of /metrics; 0: any free one", 9464, ge=0, le=65535)

    # Identity of the gRPC servers; docs/tls.md
    tls_cert_file: Path | None = setting(
        "certificate chain (PEM) that the gRPC servers show; empty: they speak no TLS", None
    )
    tls_key_file: Path | None = setting("private key (PEM) of that certificate", None)
    tls_client_ca_file: Path | None = setting(
        "authorities (PEM) of which the internal gRPC server demands a certificate from its clients", None
    )
    internal_host: str = setting(
        "address that the internal gRPC server listens on, for facades and for proxies of drivers",
        "127.0.0.1",
        min_length=1,
    )
    internal_port: int = setting("port of the internal gRPC server; 0: there is none", 0, ge=0, le=65535)

    # Secrets
    service_credential: SecretStr = setting(
        "credential with which the REST facade calls the core; empty: taken from the file", SecretStr("")
    )
    service_credential_file: Path = derived(
        "file with that credential; on SQLite made at the first start if it is missing, else by infinireach secrets",
        lambda given: given["var"] / "service.credential",
        words="<var>/service.credential",
    )
    master_key_file: Path = derived(
        "file with the keys that seal webhook secrets; made as that one is",
        lambda given: given["var"] / "master.key",
        words="<var>/master.key",
    )

    # Roles
    relay_embedded: bool = setting("whether the core publishes events itself", True)
    deliver_embedded: bool = setting("whether the core delivers webhooks itself", True)

    # Kafka
    kafka_servers: tuple[str, ...] = setting(
        "Kafka brokers to begin with, comma-separated, such as kafka-1:9092; empty: events stay in the database",
        (),
    )
    kafka_topic_prefix: str = setting(
        "beginning of the names of topics and the consumer group",
        "infinireach",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
    )
    kafka_partitions: int = setting(
        "partitions of the topic of events when it is made; the most workers that can share it",
        12,
        ge=1,
        le=1_000,
    )
    kafka_replication_factor: int = setting(
        "copies of each partition of topics that are made; 0: as the brokers do by themselves", 0, ge=0, le=9
    )
    kafka_retention_hours: int = setting(
        "how long the topic of events keeps records when it is made", 72, unit="h", ge=1, le=8_760
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = setting(
        "how Kafka is spoken to", "PLAINTEXT"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = setting(
        "how Kafka is told who we are, with the SASL protocols", "SCRAM-SHA-512"
    )
    kafka_username: str = setting("user of Kafka, with the SASL protocols", "")
    kafka_password: SecretStr = setting("password of that user; empty: taken from the file", SecretStr(""))
    kafka_password_file: Path | None = setting("file with that password", None)
    kafka_ca_file: Path | None = setting(
        "certificates of the authorities that Kafka's are checked with, PEM; empty: those of the system", None
    )
    kafka_cert_file: Path | None = setting("certificate that is shown to Kafka, PEM", None)
    kafka_key_file: Path | None = setting("key of that certificate, PEM", None)

    # Messages and drivers
    message_ttl_s: int = setting(
        "how long a message may wait to be sent before it expires", 259_200, unit="s", ge=60, le=2_592_000
    )
    hello_timeout_s: float = setting(
        "time that a new driver stream has for its hello", 10.0, unit="s", ge=0.1, le=120
    )
    heartbeat_interval_s: float = setting(
        "how often drivers are asked to send a heartbeat", 10.0, unit="s", ge=0.05, le=300
    )
    heartbeat_timeout_s: float = setting(
        "silence after which a driver stream is closed; two intervals or more",
        25.0,
        unit="s",
        ge=0.1,
        le=900,
    )
    lease_s: float = setting(
        "how long a driver owns its session after it was last heard; longer than the heartbeat timeout",
        30.0,
        unit="s",
        ge=0.2,
        le=1_800,
    )
    replay_timeout_s: float = setting(
        "time that a driver has to replay what was not acknowledged", 60.0, unit="s", ge=1, le=3_600
    )
    device_offline_after_s: float = setting(
        "time without its driver after which a device is reported offline", 10.0, unit="s", ge=0, le=3_600
    )
    frame_bytes_max: int = setting(
        "largest frame of a driver stream", 262_144, unit="bytes", ge=131_072, le=4_194_304
    )
    unacknowledged_facts_max: int = setting(
        "facts that a driver may send ahead of the acknowledgement",
        1_000,
        unit="facts",
        ge=1,
        le=100_000,
    )
    claim_poll_s: float = setting(
        "how often the database is asked for messages of which no wake-up told", 0.5, unit="s", ge=0.01, le=60
    )

    # How long what is over is kept
    retention_days: int = setting(
        "how long messages and events are kept after they are over; 0: for ever",
        90,
        unit="days",
        ge=0,
        le=36_500,
    )
    delivery_retention_days: int = derived(
        "how long webhook deliveries and their attempts are kept; no longer than events, and 0: as long as these",
        lambda given: min(given["retention_days"], 30),
        words="30, or INFINIREACH_RETENTION_DAYS if that is less",
        unit="days",
        ge=0,
        le=36_500,
    )

    # Webhook deliveries
    delivery_concurrency: int = setting("deliveries in flight", 64, unit="deliveries", ge=1, le=4_096)
    delivery_per_endpoint: int = setting(
        "deliveries in flight to one endpoint", 4, unit="deliveries", ge=1, le=64
    )
    delivery_poll_s: float = setting(
        "how often the database is asked for due deliveries of which no wake-up told",
        1.0,
        unit="s",
        ge=0.1,
        le=60,
    )
    delivery_timeout_default_s: int = setting(
        "time that an endpoint has to answer unless it was given its own", 10, unit="s", ge=1, le=30
    )
    egress_allowed_networks: tuple[IPv4Network | IPv6Network, ...] = setting(
        "internal networks that webhooks may go to all the same, comma-separated, such as 10.1.0.0/16", ()
    )
    egress_allowed_ports: tuple[int, ...] = setting(
        "ports that webhooks may go to, comma-separated", (80, 443, 8080, 8443)
    )

    # Operation
    stop_delay_s: float = setting(
        "how long the core goes on after it was told to stop, so that nobody sends it new calls any more",
        0.0,
        unit="s",
        ge=0,
        le=300,
    )
    drain_grace_s: float = setting(
        "time that running work has at shutdown before it is broken off", 2.0, unit="s", ge=0, le=300
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting("least level that is logged", "info")
    log_format: Literal["json", "console"] = setting("form of the log lines on stderr", "json")

    @property
    def embedded(self) -> bool:
        """Whether the database is the default file in the data folder."""
        return self.database_url == _embedded_url(self.var)

    @property
    def is_credential_public(self) -> bool:
        """Whether the public gRPC server takes the service credential: only where none but this machine reaches it."""
        return not self.internal_port and is_loopback(self.grpc_host)

    @field_validator("tls_key_file", "kafka_key_file", mode="after")
    @classmethod
    def _check_key_file(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        cert = str(info.field_name).replace("key", "cert")
        if cert in info.data and (value is None) != (info.data[cert] is None):
            raise ValueError(f"goes together with {variable(cert)}; set both or none")
        return value

    @field_validator("tls_client_ca_file", mode="after")
    @classmethod
    def _check_client_ca_file(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("tls_cert_file", value) is None:
            raise ValueError(f"needs {PREFIX}TLS_CERT_FILE and {PREFIX}TLS_KEY_FILE as well")
        return value

    @field_validator("internal_port", mode="after")
    @classmethod
    def _check_internal_port(cls, value: int, info: ValidationInfo) -> int:
        known = info.data
        if not value or "internal_host" not in known or "tls_client_ca_file" not in known:
            return value
        if known["tls_client_ca_file"] is None and not is_loopback(known["internal_host"]):
            raise ValueError(
                f"needs {PREFIX}TLS_CLIENT_CA_FILE, since {PREFIX}INTERNAL_HOST can be reached from elsewhere"
            )
        return value

    @field_validator("database_url", mode="after")
    @classmethod
    def _check_database_url(cls, value: str) -> str:
        if not re.match(r"(sqlite|postgresql(\+psycopg)?):///?.", value):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        return value

    @field_validator("egress_allowed_networks", mode="before")
    @classmethod
    def _read_networks(cls, value: object) -> object:
        return tuple(ip_network(part) for part in _split(value)) if isinstance(value, str) else value

    @field_validator("egress_allowed_ports", mode="before")
    @classmethod
    def _read_ports(cls, value: object) -> object:
        return _split(value) if isinstance(value, str) else value

    @field_validator("egress_allowed_ports", mode="after")
    @classmethod
    def _check_ports(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if wrong := [port for port in value if not 1 <= port <= 65535]:
            raise ValueError(f"not a port: {', '.join(map(str, wrong))}")
        return value

    @field_validator("kafka_servers", mode="before")
    @classmethod
    def _read_servers(cls, value: object) -> object:
        return _split(value) if isinstance(value, str) else value

    @field_validator("kafka_servers", mode="after")
    @classmethod
    def _check_servers(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if wrong := [server for server in value if not re.fullmatch(r"[^\s/:]+:\d{1,5}", server)]:
            raise ValueError(f"not host:port: {', '.join(wrong)}")
        given = info.data
        alone = given.get("relay_embedded") and given.get("deliver_embedded")
        if value and not alone and str(given.get("database_url")).startswith("sqlite"):
            raise ValueError(
                "needs PostgreSQL where another process than the core publishes or delivers: "
                f"all of them read events from {PREFIX}DATABASE_URL"
            )
        return value

    @field_validator("kafka_username", mode="after")
    @classmethod
    def _check_username(cls, value: str, info: ValidationInfo) -> str:
        if not value and str(info.data.get("kafka_security_protocol")).startswith("SASL"):
            raise ValueError(f"is needed with a SASL protocol in {PREFIX}KAFKA_SECURITY_PROTOCOL")
        return value

    @field_validator("kafka_password_file", mode="after")
    @classmethod
    def _check_password(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        given = info.data
        is_needed = str(given.get("kafka_security_protocol")).startswith("SASL")
        if is_needed and value is None and not given["kafka_password"].get_secret_value():
            raise ValueError(f"this or {PREFIX}KAFKA_PASSWORD is needed with a SASL protocol")
        return value

    @field_validator("heartbeat_timeout_s", mode="after")
    @classmethod
    def _check_heartbeat(cls, value: float, info: ValidationInfo) -> float:
        interval = info.data.get("heartbeat_interval_s")
        if interval is not None and value < 2 * interval:
            raise ValueError(f"must be at least twice {PREFIX}HEARTBEAT_INTERVAL_S, so {2 * interval:g}")
        return value

    @field_validator("lease_s", mode="after")
    @classmethod
    def _check_lease(cls, value: float, info: ValidationInfo) -> float:
        timeout = info.data.get("heartbeat_timeout_s")
        if timeout is not None and value <= timeout:
            raise ValueError(f"must be more than {PREFIX}HEARTBEAT_TIMEOUT_S, which is {timeout:g}")
        return value

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Secrets masked, so that no traceback or log line shows one."""
        return [(name, shown(getattr(self, name))) for name in type(self).model_fields]


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`. A name other than localhost is none."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environment`, by default the process's own; empty means not set.

    Raises InvalidSettings with every problem.
    """
    source = os.environ if environment is None else environment
    given = {name: value for name in Settings.model_fields if (value := source.get(variable(name)))}
    try:
        return Settings.model_validate(given)
    except ValidationError as invalid:
        raise InvalidSettings([
            _problem(error)
            for error in invalid.errors(include_url=False)
            if error["type"] != "default_factory_not_called"  # follows from a fault that is named itself
        ]) from None


def _problem(error: Any) -> str:
    name = str(error["loc"][0])
    what = error["msg"].removeprefix("Value error, ")
    what = what[:1].lower() + what[1:]
    secret = Settings.model_fields[name].annotation is SecretStr
    return (
        f"{variable(name)}: {what}"
        if secret
        else f"{variable(name)}: {what} (it is {shown(error['input'])!r})"
    )


def shown(value: Any) -> str:
    """A value as people write it, secrets and passwords in addresses masked."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(str(part) for part in value)
    return re.sub(r"(://[^/:@]*):[^/]*@", r"\1:***@", str(value))
