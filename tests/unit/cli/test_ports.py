"""Ports that are taken, and by whom."""

import os
import socket

from core.cli.supervisor.ports import Endpoint, free_port, holder, problems

HOST = "127.0.0.1"


def endpoint(port: int, purpose: str = "gRPC") -> Endpoint:
    """A port that will be listened on."""
    return Endpoint(purpose, HOST, port, "INFINIREACH_GRPC_PORT")


def test_free_ports_are_no_problem() -> None:
    assert problems([endpoint(free_port(HOST))], patience_s=0) == []


def test_a_taken_port_is_told_with_its_variable_and_holder() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        [problem] = problems([endpoint(port)], patience_s=0)
        assert holder(port) is not None
    assert problem.startswith(f"Port {port} on {HOST}, for gRPC, is taken by ")
    assert f"(process {os.getpid()})" in problem
    assert problem.endswith("Stop it or choose another port with INFINIREACH_GRPC_PORT.")


def test_a_port_that_is_freed_in_time_is_no_problem() -> None:
    taken = socket.create_server((HOST, 0))
    port = taken.getsockname()[1]
    assert problems([endpoint(port)], patience_s=0)
    taken.close()
    assert problems([endpoint(port)], patience_s=10) == []


def test_one_port_for_two_purposes_is_a_problem() -> None:
    port = free_port(HOST)
    [problem] = problems([endpoint(port, "metrics"), endpoint(port, "gRPC")], patience_s=0)
    assert problem == f"Port {port} is set for both metrics and gRPC. Change INFINIREACH_GRPC_PORT."


def test_an_address_that_is_not_ours_is_a_problem() -> None:
    [problem] = problems([Endpoint("gRPC", "192.0.2.1", 50051, "INFINIREACH_GRPC_PORT")], patience_s=0)
    assert "cannot be used" in problem


def test_nobody_holds_a_free_port() -> None:
    assert holder(free_port(HOST)) is None
