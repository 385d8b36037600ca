"""Every setting of the facade: declared once with its unit, default, range and help; read once at start.

Owns the environment variables and their check. Must not know HTTP or gRPC.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

CREDENTIAL_FILE_NAME = "service.credential"


class InvalidSettings(Exception):
    """Settings that cannot be used; `problems` names every one of them, a line each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems: list[str] = problems
        super().__init__("\n".join(problems))


def _setting(default: Any, name: str, help_text: str, **limits: Any) -> Any:
    return Field(default=default, validation_alias=name, description=help_text, **limits)


class Settings(BaseSettings):
    """The settings by name; `load` reads them from the environment."""

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, populate_by_name=True, validate_default=True
    )

    host: str = _setting("127.0.0.1", "INFINIREACH_REST_HOST", "address that the REST API listens on")
    port: int = _setting(
        8080, "INFINIREACH_REST_PORT", "port of the REST API; 0: any free one", ge=0, le=65535
    )
    metrics_port: int = _setting(
        0, "INFINIREACH_REST_METRICS_PORT", "port of /metrics; 0: off", ge=0, le=65535
    )
    grpc_port: int = _setting(
        50051,
        "INFINIREACH_GRPC_PORT",
        "the core's port on this machine, if no address is given",
        ge=1,
        le=65535,
    )
    core_address: str = _setting(
        "",
        "INFINIREACH_CORE_ADDRESS",
        "host:port of the core, or of each of several, comma-separated; empty: 127.0.0.1 and INFINIREACH_GRPC_PORT",
    )
    core_ca_file: Path | None = _setting(
        None, "INFINIREACH_CORE_CA_FILE", "authorities (PEM) to trust a core by; asks for TLS to the cores"
    )
    core_cert_file: Path | None = _setting(
        None, "INFINIREACH_CORE_CERT_FILE", "certificate chain (PEM) that the facade shows to the cores"
    )
    core_key_file: Path | None = _setting(
        None, "INFINIREACH_CORE_KEY_FILE", "private key (PEM) of that certificate"
    )
    var: Path = _setting(Path("var"), "INFINIREACH_VAR", "directory of a gateway on one machine")
    service_credential: SecretStr = _setting(
        SecretStr(""), "INFINIREACH_SERVICE_CREDENTIAL", "credential with which the facade calls the core"
    )
    service_credential_file: Path | None = _setting(
        None,
        "INFINIREACH_SERVICE_CREDENTIAL_FILE",
        f"file with that credential; default: {CREDENTIAL_FILE_NAME} in INFINIREACH_VAR",
    )
    core_timeout_s: float = _setting(
        5.0, "INFINIREACH_REST_CORE_TIMEOUT_S", "seconds for one call to the core", ge=0.1, le=60
    )
    core_grace_s: float = _setting(
        2.0,
        "INFINIREACH_REST_CORE_GRACE_S",
        "seconds that a request waits for a core that is not connected before it is answered 503",
        ge=0,
        le=30,
    )
    queue_messages_max: int = _setting(
        10_000, "INFINIREACH_REST_QUEUE_MESSAGES_MAX", "messages waiting for the core", ge=1, le=1_000_000
    )
    batch_messages_max: int = _setting(
        500, "INFINIREACH_REST_BATCH_MESSAGES_MAX", "messages in one call to the core", ge=1, le=500
    )
    batches_in_flight_max: int = _setting(
        2, "INFINIREACH_REST_BATCHES_IN_FLIGHT_MAX", "such calls at once", ge=1, le=16
    )
    body_bytes_max: int = _setting(
        65_536, "INFINIREACH_REST_BODY_BYTES_MAX", "bytes of a request body", ge=1_024, le=1_048_576
    )
    batch_body_bytes_max: int = _setting(
        4_194_304,
        "INFINIREACH_REST_BATCH_BODY_BYTES_MAX",
        "bytes of the body of POST /api/v1/messages/batch",
        ge=1_024,
        le=16_777_216,
    )
    body_timeout_s: float = _setting(
        10.0, "INFINIREACH_REST_BODY_TIMEOUT_S", "seconds for a request body to arrive", ge=0.1, le=120
    )
    key_cache_s: float = _setting(
        5.0, "INFINIREACH_REST_KEY_CACHE_S", "seconds for which a resolved API key is kept", ge=0, le=5
    )
    key_cache_entries_max: int = _setting(
        10_000, "INFINIREACH_REST_KEY_CACHE_ENTRIES_MAX", "API keys that are kept", ge=1, le=1_000_000
    )
    failed_auth_per_minute: int = _setting(
        30,
        "INFINIREACH_REST_FAILED_AUTH_PER_MINUTE",
        "failed authentications per client address",
        ge=1,
        le=1_000_000,
    )
    rate_limit_storage: str = _setting(
        "memory://",
        "INFINIREACH_RATE_LIMIT_STORAGE",
        "where requests are counted: memory:// or, for several facades, a redis:// or rediss:// address",
        pattern=r"^(memory|redis|rediss)://",
    )
    proxies: int = _setting(
        0,
        "INFINIREACH_REST_PROXIES",
        "trusted proxies in front; the client address is taken that far from the right of X-Forwarded-For",
        ge=0,
        le=10,
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = _setting(
        (),
        "INFINIREACH_REST_CORS_ORIGINS",
        "origins, comma-separated, that browsers may call from; empty: none",
    )
    public_url: str = _setting(
        "", "INFINIREACH_REST_PUBLIC_URL", "base URL that the documentation shows; empty: the address asked"
    )
    stop_delay_s: float = _setting(
        0.0,
        "INFINIREACH_REST_STOP_DELAY_S",
        "seconds that the facade goes on after it was told to stop, not ready, so that nobody comes any more",
        ge=0,
        le=300,
    )
    drain_s: float = _setting(
        5.0, "INFINIREACH_REST_DRAIN_S", "seconds that requests in flight get at shutdown", ge=0, le=120
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "INFINIREACH_LOG_LEVEL", "least level that is logged"
    )
    log_format: Literal["json", "console"] = _setting(
        "json", "INFINIREACH_LOG_FORMAT", "form of the log lines on stderr"
    )

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(_split(value))
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            scheme, _, rest = origin.partition("://")
            if scheme not in {"http", "https"} or not rest or "/" in rest or "*" in rest or rest.isspace():
                raise ValueError(f"{origin!r} is no origin such as https://app.example.com")
        return value

    @field_validator("core_address")
    @classmethod
    def _check_addresses(cls, value: str) -> str:
        if wrong := [part for part in _split(value) if not re.fullmatch(r"[^\s/]+:[0-9]{1,5}", part)]:
            raise ValueError(f"must be host:port, or several of them with commas between, not {wrong[0]!r}")
        return value

    @field_validator("core_cert_file")
    @classmethod
    def _check_cert_file(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("core_ca_file", value) is None:
            raise ValueError("needs INFINIREACH_CORE_CA_FILE as well")
        return value

    @field_validator("core_key_file")
    @classmethod
    def _check_key_file(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "core_cert_file" in info.data and (value is None) != (info.data["core_cert_file"] is None):
            raise ValueError("must be set if INFINIREACH_CORE_CERT_FILE is, and only then")
        return value

    @field_validator("core_ca_file", "core_cert_file", "core_key_file")
    @classmethod
    def _check_readable(cls, value: Path | None) -> Path | None:
        try:
            if value is not None:
                value.open("rb").close()
        except OSError as error:
            raise ValueError(f"must be a file that can be read: {error.strerror}") from None
        return value

    @property
    def core_targets(self) -> tuple[str, ...]:
        """host:port of each core; at least one."""
        return tuple(_split(self.core_address)) or (f"127.0.0.1:{self.grpc_port}",)

    @property
    def are_cores_here(self) -> bool:
        """Whether nobody else can listen in on the way to the cores."""
        hosts = [target.rpartition(":")[0].strip("[]") for target in self.core_targets]
        return all(host in {"localhost", "::1"} or host.startswith("127.") for host in hosts)

    @property
    def credential_file(self) -> Path:
        """Where the credential is read from, if it is not given itself."""
        return self.service_credential_file or self.var / CREDENTIAL_FILE_NAME

    def shown(self) -> dict[str, str]:
        """The settings by variable name, secrets masked; for the log at start."""
        return {
            str(field.validation_alias): _masked(str(getattr(self, name)))
            for name, field in type(self).model_fields.items()
        }


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environment`, by default the process's own.

    Raises InvalidSettings with every problem.
    """
    source = os.environ if environment is None else environment
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    given = {name: value for name, value in source.items() if name in known and value}
    try:
        return Settings.model_validate(given)
    except ValidationError as invalid:
        raise InvalidSettings([_problem(error) for error in invalid.errors(include_url=False)]) from None


def _problem(error: Any) -> str:
    name = str(error["loc"][0])
    if name in Settings.model_fields:  # a default that is refused goes by the field's name
        name = str(Settings.model_fields[name].validation_alias)
    given = "" if error["input"] is None else _masked(str(error["input"]))
    return f"{name}: {error['msg'].removeprefix('Value error, ')} (it is {given!r})"


def _masked(value: str) -> str:
    """A value without the user name and password of an address in it; pydantic masks SecretStr itself."""
    return re.sub(r"://[^/]*@", "://***@", value)
