"""Whose address failed authentications are counted against.

Owns which of the addresses a request names is believed. Must not know what is counted.
"""

import ipaddress

from sanic.request import Request

IPV6_PREFIX_BITS = 64
"""What one subscriber usually has: counting single IPv6 addresses would count nothing."""


def client_address(request: Request, proxies: int) -> str:
    """The peer, or the address that the outermost of `proxies` trusted proxies saw."""
    lines = request.headers.getall("x-forwarded-for", [])  # some proxies add a line of their own
    return address_in(",".join(lines), peer=str(request.ip), proxies=proxies)


def address_in(forwarded: str, *, peer: str, proxies: int) -> str:
    """The same, from the value of X-Forwarded-For."""
    if proxies:
        named = [part.strip() for part in forwarded.split(",")]
        if len(named) >= proxies and (network := network_of(named[-proxies])):
            return network
    return network_of(peer) or peer


def network_of(address: str) -> str:
    """An IPv4 address as it is, an IPv6 address as its /64; empty if it is neither."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed.packed, IPV6_PREFIX_BITS), strict=False))
