"""Whose address counts."""

from types import SimpleNamespace
from typing import cast

import pytest
from sanic.compat import Header
from sanic.request import Request

from rest_facade.client_address import address_in, client_address, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::1", "::/64"),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_ipv6_is_counted_by_its_subscribers_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        ("203.0.113.9", 0, "192.0.2.1"),
        ("203.0.113.9", 1, "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", 1, "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 10.0.0.1", 2, "203.0.113.9"),
        ("203.0.113.9", 2, "192.0.2.1"),
        ("", 1, "192.0.2.1"),
        ("spoofed", 1, "192.0.2.1"),
    ],
)
def test_forwarded_addresses_are_believed_as_far_as_proxies_are_trusted(
    forwarded: str, proxies: int, address: str
) -> None:
    assert address_in(forwarded, peer="192.0.2.1", proxies=proxies) == address


def test_a_proxy_may_add_a_line_of_its_own() -> None:
    headers = Header([("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.9")])
    request = cast("Request", SimpleNamespace(headers=headers, ip="192.0.2.1"))
    assert client_address(request, proxies=1) == "203.0.113.9"
