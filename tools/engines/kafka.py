"""An Apache Kafka of one node, its own controller, in a folder of its own.

Owns where its libraries come from, how it is set up and run. They are fetched once by Maven into a folder that all
nodes of this machine share. A node keeps its data over `stop` and `kill`.
"""

import base64
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tools.engines import ports
from tools.engines.processes import EngineFailed, end, launch, tail, wait_until_ready

VERSION = "4.1.1"
LIBRARIES = Path(__file__).resolve().parents[2] / "var" / "engines" / "kafka-libs"
FETCH_S = 600
FORMAT_S = 60
READY_S = 60.0
STOP_S = 30.0
MEMORY_MAX = "512m"
INSTALL = "Kafka needs Java and Maven: sudo apt install default-jre-headless maven"

_DEPENDENCIES = (("org.apache.kafka", "kafka_2.13", VERSION), ("org.slf4j", "slf4j-simple", "1.7.36"))
_API_VERSIONS_REQUEST = struct.pack(">ihhih", 10, 18, 0, 1, -1)
"""Length, request 18 in version 0, its number, no client name: what every client asks first."""


@dataclass(frozen=True, slots=True)
class Security:
    """A second listener that asks who comes. Files are PEM; `users` are names with their passwords."""

    protocol: Literal["SSL", "SASL_PLAINTEXT", "SASL_SSL"]
    port: int
    users: Mapping[str, str] = field(default_factory=dict)
    identity_file: Path | None = None
    """The node's key and certificate in one file."""
    client_ca_file: Path | None = None
    """Clients have to show a certificate of this authority."""


class Kafka:
    """One node. It listens on loopback, in plain text on `port`, and as `security` says."""

    def __init__(
        self,
        folder: Path,
        port: int,
        controller_port: int,
        *,
        security: Security | None = None,
        libraries: Path = LIBRARIES,
    ) -> None:
        self._folder = folder.absolute()
        self._controller_port = controller_port
        self._security = security
        self._libraries = libraries / VERSION
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port
        self.log = self._folder / "kafka.log"

    @property
    def servers(self) -> str:
        """Its address."""
        return f"{ports.HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Its process; 0 if it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def start(self) -> None:
        """Make it if it is not there and start it; returns when it answers. Raises EngineFailed."""
        if self.pid:
            return
        java = shutil.which("java")
        if java is None:
            raise EngineFailed(INSTALL)
        self._fetch()
        properties = self._folder / "server.properties"
        self._folder.mkdir(parents=True, exist_ok=True)
        properties.write_text(
            "".join(f"{name}={value}\n" for name, value in self._settings().items()), "utf-8"
        )
        if not (self._data / "meta.properties").exists():
            self._format(java, properties)
        self._process = launch(
            [*self._java(java), "kafka.Kafka", str(properties)], folder=self._folder, log=self.log
        )
        wait_until_ready("Kafka", self._process, self._answers, log=self.log, within_s=READY_S)

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            end(self._process, grace_s=STOP_S)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            end(self._process, grace_s=0)

    def forget(self) -> None:
        """Remove its data; only while it does not run."""
        shutil.rmtree(self._data, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _java(self, java: str) -> list[str]:
        return [
            *(java, f"-Xmx{MEMORY_MAX}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            *("-cp", f"{self._libraries}/*"),
        ]

    def _fetch(self) -> None:
        """Have the libraries; whoever is first fetches them, the folder appears when it is complete."""
        if self._libraries.exists():
            return
        maven = shutil.which("mvn")
        if maven is None:
            raise EngineFailed(INSTALL)
        self._libraries.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._libraries.parent) as scratch:
            (Path(scratch) / "pom.xml").write_text(_project(), encoding="utf-8")
            complete = Path(scratch) / "libraries"
            command = [maven, "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={complete}"]
            try:
                done = subprocess.run(
                    command,
                    cwd=scratch,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    check=False,
                    timeout=FETCH_S,
                )
            except subprocess.TimeoutExpired:
                raise EngineFailed(
                    f"Kafka's libraries could not be fetched within {FETCH_S} s. Maven keeps what it has; try again."
                ) from None
            if done.returncode:
                raise EngineFailed(f"Kafka's libraries could not be fetched: {done.stdout.decode()[-2000:]}")
            if not self._libraries.exists():
                os.replace(complete, self._libraries)

    def _format(self, java: str, properties: Path) -> None:
        users = self._security.users if self._security else {}
        command = [*self._java(java), "kafka.tools.StorageTool", "format"]
        command += ["--cluster-id", _cluster_id(), "--config", str(properties)]
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            for name, word in users.items():
                command += ["--add-scram", f"{mechanism}=[name={name},password={word}]"]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=FORMAT_S
        )
        if done.returncode:
            raise EngineFailed(f"Kafka's folder could not be made: {done.stderr.decode()}{tail(self.log)}")

    def _settings(self) -> dict[str, str]:
        listeners = {"PLAIN": (self.port, "PLAINTEXT"), "CONTROLLER": (self._controller_port, "PLAINTEXT")}
        if self._security:
            listeners["SECURE"] = (self._security.port, self._security.protocol)
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{ports.HOST}:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAIN",
            "listeners": ",".join(f"{name}://{ports.HOST}:{port}" for name, (port, _) in listeners.items()),
            "listener.security.protocol.map": ",".join(
                f"{name}:{kind}" for name, (_, kind) in listeners.items()
            ),
            "log.dirs": str(self._data),
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            **(_secured(self._security) if self._security else {}),
        }

    def _answers(self) -> bool:
        """Whether it answers a request; it takes connections long before."""
        try:
            with socket.create_connection((ports.HOST, self.port), timeout=1) as connection:
                connection.sendall(_API_VERSIONS_REQUEST)
                return bool(connection.recv(4))
        except OSError:
            return False


def _secured(security: Security) -> dict[str, str]:
    settings: dict[str, str] = {}
    if security.identity_file:
        settings |= {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(security.identity_file)}
    if security.client_ca_file:
        settings |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(security.client_ca_file)}
        settings["listener.name.secure.ssl.client.auth"] = "required"
    if security.users:
        known = " ".join(f'user_{name}="{word}"' for name, word in security.users.items())
        modules = "org.apache.kafka.common.security"
        settings["sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
        settings["listener.name.secure.plain.sasl.jaas.config"] = (
            f"{modules}.plain.PlainLoginModule required {known};"
        )
        for mechanism in ("scram-sha-256", "scram-sha-512"):
            settings[f"listener.name.secure.{mechanism}.sasl.jaas.config"] = (
                f"{modules}.scram.ScramLoginModule required;"
            )
    return settings


def _cluster_id() -> str:
    # A letter in front: a dash would look like an option.
    return "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def _project() -> str:
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in _DEPENDENCIES
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion>"
        "<groupId>infinireach</groupId><artifactId>kafka-engine</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    )
