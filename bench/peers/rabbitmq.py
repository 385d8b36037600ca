"""A RabbitMQ node in a folder of its own, with a port mapper of its own: no service of the machine is touched."""

import os
import subprocess
from pathlib import Path

from tools.engines.ports import HOST, answers, free_port
from tools.engines.processes import end, launch, wait_until_ready

SCRIPTS = Path("/usr/lib/rabbitmq/bin")
EPMD = Path("/usr/bin/epmd")
NODE = "bench@localhost"
READY_S = 60.0
STOP_S = 20.0


class RabbitMq:
    """One node on loopback."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.log = folder / "rabbitmq.log"
        mapper = free_port()
        self._mapper_command = [str(EPMD), "-port", str(mapper), "-address", HOST]
        self._environment = {
            "HOME": str(folder),
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the broker instead of waiting for it
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def pid(self) -> int:
        """Its process; 0 if it does not run."""
        return self._processes[-1].pid if self._processes else 0

    def start(self) -> None:
        """Start it; returns when it takes connections. Raises EngineFailed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "plugins").write_text("[].\n", encoding="ascii")
        mapper = launch(self._mapper_command, folder=self._folder, log=self._folder / "epmd.log")
        self._processes.append(mapper)
        server = launch(
            [str(SCRIPTS / "rabbitmq-server")],
            folder=self._folder,
            log=self.log,
            environment=self._environment,
        )
        self._processes.append(server)
        wait_until_ready("RabbitMQ", server, lambda: answers(self.port), log=self.log, within_s=READY_S)

    def stop(self) -> None:
        """End it in order."""
        while self._processes:
            end(self._processes.pop(), grace_s=STOP_S)

    def queued(self) -> int:
        """Messages in all its queues."""
        rows = self._control("list_queues", "--quiet", "--no-table-headers", "messages").split()
        return sum(map(int, rows))

    def version(self) -> str:
        """Its version."""
        return self._control("version").strip()

    def _control(self, *arguments: str) -> str:
        command = [str(SCRIPTS / "rabbitmqctl"), "--node", NODE, *arguments]
        environment = {**os.environ, **self._environment}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
