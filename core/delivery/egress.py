"""Which addresses and ports a delivery may connect to.

Owns the table of denied networks and the policy around it: a customer chooses the URL, so no URL may lead to
what only this machine can reach (server-side request forgery). It must not know URLs, names, DNS, sockets or
HTTP: `target` reads URLs, `resolver` applies this policy to every lookup and to every connect.

The table is our own. What the standard library calls private or global differs between Python versions and
lets through transition addresses, which carry an IPv4 address inside an IPv6 one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class DenyRule:
    """One row of the deny table."""

    network: IPNetwork
    reason: str
    """For the operator's log; never shown to a tenant."""


def _rule(network: str, reason: str) -> DenyRule:
    return DenyRule(ip_network(network), reason)


# Sources: the IANA special-purpose and address-space registries for IPv4 and IPv6. No row overlaps another,
# so each one is needed. IPv6 is closed by default: all but 2000::/3, the only space that IANA hands out, is
# denied.
DENY_RULES: tuple[DenyRule, ...] = (
    _rule("0.0.0.0/8", "this network"),
    _rule("10.0.0.0/8", "private use"),
    _rule("100.64.0.0/10", "shared address space of carriers"),
    _rule("127.0.0.0/8", "loopback"),
    _rule("168.63.129.16/32", "Azure host services"),
    _rule("169.254.0.0/16", "link local, cloud metadata"),
    _rule("172.16.0.0/12", "private use"),
    _rule("192.0.0.0/24", "protocol assignments, Oracle metadata"),
    _rule("192.0.2.0/24", "documentation"),
    _rule("192.88.99.0/24", "6to4 relays"),
    _rule("192.168.0.0/16", "private use"),
    _rule("198.18.0.0/15", "benchmarking"),
    _rule("198.51.100.0/24", "documentation"),
    _rule("203.0.113.0/24", "documentation"),
    _rule("224.0.0.0/4", "multicast"),
    _rule("240.0.0.0/4", "reserved, broadcast"),
    # ::1, ::, IPv4-compatible, IPv4-translated, local NAT64 (64:ff9b:1::/48), discard-only (100::/64)
    _rule("::/3", "loopback, embedded IPv4, reserved"),
    _rule("2001::/23", "protocol assignments: Teredo, benchmarking, ORCHID"),
    _rule("2001:db8::/32", "documentation"),
    _rule("2002::/16", "6to4"),
    _rule("3fff::/20", "documentation"),
    # segment routing (5f00::/16) and space that was never assigned
    _rule("4000::/2", "outside global unicast"),
    # unique local (fc00::/7), link local (fe80::/10), site local (fec0::/10), multicast (ff00::/8), never
    # assigned
    _rule("8000::/1", "outside global unicast: local or multicast"),
)

IPV4_MAPPED = IPv6Network("::ffff:0:0/96")
NAT64_WELL_KNOWN = IPv6Network("64:ff9b::/96")

PORTS_DEFAULT = frozenset({80, 443, 8080, 8443})
UNPRIVILEGED_PORT_MIN = 1_024
# Mail, DNS, container and cluster control, databases, caches, brokers: none of them receives webhooks, and
# some act on lines inside an HTTP request.
PORTS_NEVER = frozenset({
    22,
    23,
    25,
    53,
    110,
    143,
    465,
    587,
    2375,
    2376,
    2379,
    2380,
    3306,
    5432,
    6379,
    9092,
    9200,
    10250,
    11211,
    27017,
})


class EgressDenied(OSError):
    """A lookup or a connect that the policy forbids.

    An OSError because that is what a resolver and a socket factory may raise without upsetting their callers.
    The text is always the same, so that it tells nothing about what lies behind; `reason` is for the
    operator's log only.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("the address is not allowed")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressPolicy:
    """Where deliveries may go. One per process, from the operator's settings; never a tenant's.

    An address is judged in this order: `denied_networks`, `allowed_networks`, `allow_loopback`, `deny_rules`.
    An IPv4 address inside a mapped or NAT64 IPv6 address is judged as that IPv4 address.
    """

    allow_http: bool
    """Whether plain http is allowed beside https."""
    allow_loopback: bool
    """Whether 127.0.0.0/8, ::1 and the machine's own addresses are allowed."""
    allowed_ports: frozenset[int] = PORTS_DEFAULT
    allow_unprivileged_ports: bool = False
    """Whether all ports from 1024 up are allowed beside `allowed_ports`."""
    allowed_networks: tuple[IPNetwork, ...] = ()
    """Networks that the operator opens although the table denies them, e.g. receivers on 10.0.0.0/8."""
    denied_networks: tuple[IPNetwork, ...] = ()
    """Networks that the operator closes beyond the table, e.g. a public range of his own."""
    nat64_networks: tuple[IPv6Network, ...] = (NAT64_WELL_KNOWN,)
    """Prefixes of 96 bits whose last 32 bits are the IPv4 address that a gateway connects to."""
    deny_rules: tuple[DenyRule, ...] = DENY_RULES

    def __post_init__(self) -> None:
        if any(network.prefixlen != 96 for network in self.nat64_networks):
            raise ValueError("a NAT64 network has a prefix of 96 bits")
        if refused := sorted(self.allowed_ports & PORTS_NEVER):
            raise ValueError(f"deliveries never go to these ports: {refused}")

    @classmethod
    def production(
        cls,
        *,
        allowed_networks: Iterable[IPNetwork] = (),
        denied_networks: Iterable[IPNetwork] = (),
        allowed_ports: Iterable[int] = PORTS_DEFAULT,
    ) -> "EgressPolicy":
        """Return the policy for the internet: https only, listed ports, nothing internal but what is
        listed."""
        return cls(
            allow_http=False,
            allow_loopback=False,
            allowed_ports=frozenset(allowed_ports),
            allowed_networks=tuple(allowed_networks),
            denied_networks=tuple(denied_networks),
        )

    @classmethod
    def development(cls, *, allowed_networks: Iterable[IPNetwork] = ()) -> "EgressPolicy":
        """Return the policy for a developer's machine: also plain http, this machine, and ports from 1024
        up."""
        return cls(
            allow_http=True,
            allow_loopback=True,
            allow_unprivileged_ports=True,
            allowed_networks=tuple(allowed_networks),
        )

    def port_allowed(self, port: int) -> bool:
        """Whether deliveries may connect to this TCP port."""
        if port in PORTS_NEVER:
            return False
        return port in self.allowed_ports or (self.allow_unprivileged_ports and port >= UNPRIVILEGED_PORT_MIN)

    def address_denied(self, address: str) -> str | None:
        """Say why deliveries may not connect to this address, or None if they may.

        `address` is an IP address in text form, as a resolver or a socket gives it. What is none, and
        addresses with a zone (`fe80::1%eth0`), are denied. The reason is for the operator's log.
        """
        try:
            judged = self._judged(address)
        except ValueError:
            return "not an IP address without a zone"
        if _listed(judged, self.denied_networks):
            return "closed by the operator"
        if _listed(judged, self.allowed_networks) or (self.allow_loopback and judged.is_loopback):
            return None
        return next((rule.reason for rule in self.deny_rules if judged in rule.network), None)

    def own_address_denied(self, address: str) -> bool:
        """Whether this address is denied if it is one of the machine's own, which the caller finds out."""
        return not self.allow_loopback and not _listed(self._judged(address), self.allowed_networks)

    def _judged(self, address: str) -> IPAddress:
        """Return the address that a packet to `address` reaches in the end."""
        parsed = ip_address(address)
        if isinstance(parsed, IPv4Address):
            return parsed
        if parsed.scope_id is not None:
            raise ValueError("an address with a zone")
        if parsed in IPV4_MAPPED or _listed(parsed, self.nat64_networks):
            return IPv4Address(int(parsed) & 0xFFFF_FFFF)
        return parsed


def _listed(address: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    return any(address in network for network in networks)
