"""The edge's bootstrap for one machine: envoy/envoy.yaml with other ports, upstreams and certificates.

Owns which places of the committed file may differ from machine to machine. What is not named here stays as it is
in production. Starts nothing.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tools.engines.ports import HOST

COMMITTED = Path(__file__).parents[2] / "envoy" / "envoy.yaml"
SECRETS = COMMITTED.parent / "sds"
"""The committed files that say where the certificates are."""
SECRETS_PLACE = "/etc/infinireach/sds"
"""Where the committed bootstrap looks for them."""
CERTIFICATES = "/etc/infinireach/certs"
"""The folder that those name; its files are called as `infinireach certs` calls them."""
LISTENERS = ("public", "driver", "driver_token")

Bootstrap = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstreams:
    """What the edge stands in front of, each as `host:port`."""

    facades: Sequence[str] = ()
    cores: Sequence[str] = ()
    """The cores' public listeners: API keys and driver tokens."""
    cores_internal: Sequence[str] = ()
    """The cores' internal listeners: drivers by certificate."""
    is_tls_to_cores: bool = True
    """Whether the cores' listeners speak TLS; without it certificates are still checked, but at the edge alone."""

    def by_cluster(self) -> Mapping[str, Sequence[str]]:
        """The addresses by the name of their cluster in the bootstrap."""
        return {
            "rest_facade": self.facades,
            "core_public": self.cores,
            "core_internal": self.cores_internal,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the edge listens, on loopback."""

    public: int
    driver: int
    driver_token: int
    admin: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One machine: its ports, what stands behind them, and the folder of the certificates."""

    ports: Ports
    certificates: Path
    upstreams: Upstreams = field(default_factory=Upstreams)


def committed() -> Bootstrap:
    """The committed bootstrap, parsed; a node that several places share stands in each of them by itself."""
    return _unshared(yaml.safe_load(COMMITTED.read_text(encoding="utf-8")))


def secrets(place: Place) -> dict[str, Bootstrap]:
    """The committed files that say where the certificates are, for `place`, by their names."""
    files = {
        file.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(SECRETS.glob("*.yaml"))
    }
    _move(files, "filename", CERTIFICATES, place.certificates)
    _move(files, "path", CERTIFICATES, place.certificates)
    return files


def rendered(place: Place, secrets_folder: Path) -> Bootstrap:
    """The committed bootstrap for `place`, with its secrets in a folder."""
    bootstrap = committed()
    _socket(bootstrap["admin"]).update(address=HOST, port_value=place.ports.admin)
    for name in LISTENERS:
        socket = _socket(listener(bootstrap, name))
        socket.clear()
        socket.update(address=HOST, port_value=getattr(place.ports, name))
    for name, addresses in place.upstreams.by_cluster().items():
        _set_endpoints(cluster(bootstrap, name), addresses)
        if not place.upstreams.is_tls_to_cores:
            cluster(bootstrap, name).pop("transport_socket", None)
    _move(bootstrap, "path", SECRETS_PLACE, secrets_folder)
    return bootstrap


def listener(bootstrap: Bootstrap, name: str) -> Bootstrap:
    """A listener by its name."""
    return _named(bootstrap["static_resources"]["listeners"], name)


def cluster(bootstrap: Bootstrap, name: str) -> Bootstrap:
    """A cluster by its name."""
    return _named(bootstrap["static_resources"]["clusters"], name)


def http2_options(bootstrap: Bootstrap, cluster_name: str) -> Bootstrap:
    """What the edge asks for on the HTTP/2 connections of a cluster."""
    [options] = cluster(bootstrap, cluster_name)["typed_extension_protocol_options"].values()
    return options["explicit_http_config"]["http2_protocol_options"]


def connection_manager(bootstrap: Bootstrap, name: str) -> Bootstrap:
    """The HTTP connection manager of a listener."""
    [chain] = listener(bootstrap, name)["filter_chains"]
    return _named(chain["filters"], "envoy.filters.network.http_connection_manager")["typed_config"]


def http_filter(bootstrap: Bootstrap, listener_name: str, name: str) -> Bootstrap:
    """The settings of an HTTP filter of a listener; `name` is the last part of the filter's own."""
    filters = connection_manager(bootstrap, listener_name)["http_filters"]
    return _named(filters, f"envoy.filters.http.{name}")["typed_config"]


def routes(bootstrap: Bootstrap, listener_name: str) -> dict[str, Bootstrap]:
    """The routes of a listener by their names, in the order in which they are tried."""
    [host] = connection_manager(bootstrap, listener_name)["route_config"]["virtual_hosts"]
    return {route["name"]: route for route in host["routes"]}


def _unshared(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _unshared(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_unshared(value) for value in node]
    return copy.copy(node)


def _mappings(node: Any) -> Iterator[Bootstrap]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from _mappings(value)


def _move(node: Any, key: str, folder: str, to: Path) -> None:
    """Let every `key` that means something in `folder`, or the folder itself, mean the same in `to`."""
    for mapping in _mappings(node):
        path = Path(str(mapping.get(key, "")))
        if path.is_relative_to(folder):
            mapping[key] = str(to.absolute() / path.relative_to(folder))


def _named(nodes: Sequence[Bootstrap], name: str) -> Bootstrap:
    [found] = [node for node in nodes if node["name"] == name]
    return found


def _socket(holder: Bootstrap) -> Bootstrap:
    return holder["address"]["socket_address"]


def _set_endpoints(holder: Bootstrap, addresses: Sequence[str]) -> None:
    endpoints: list[Bootstrap] = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        socket = {"address": host.strip("[]"), "port_value": int(port)}
        endpoints.append({"endpoint": {"address": {"socket_address": socket}}})
    holder["load_assignment"]["endpoints"] = [{"lb_endpoints": endpoints}] if endpoints else []
