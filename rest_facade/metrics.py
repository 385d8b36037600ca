"""What Prometheus is told about requests.

Owns the metrics and the port they are served on. Must not know what a request holds.
"""

import time
from collections.abc import Callable
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Gauge, Histogram, start_http_server

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one facade, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "infinireach_rest_request_seconds",
            "Time from a request's header to its answer.",
            ("route", "status"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._waiting = Gauge(
            "infinireach_rest_waiting_messages", "Messages that wait for the core.", registry=self.registry
        )
        self._observers: dict[tuple[str, int], Callable[[float], None]] = {}

    def watch_queue(self, waiting: Callable[[], float]) -> None:
        """Report how many messages wait, when asked."""
        self._waiting.set_function(waiting)

    def observe(self, route: str, status: int, started: float) -> float:
        """Count a request that began at `started` (perf_counter); answers its duration in seconds."""
        duration_s = time.perf_counter() - started
        observer = self._observers.get((route, status))
        if observer is None:
            observer = self._requests.labels(route, str(status)).observe
            self._observers[route, status] = observer
        observer(duration_s)
        return duration_s

    def serve(self, host: str, port: int) -> WSGIServer:
        """Serve /metrics from a thread. Raises OSError if the port is taken."""
        server, _ = start_http_server(port, host, self.registry)
        return server
