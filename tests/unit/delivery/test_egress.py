"""The table of denied addresses: vectors, carriers of IPv4 inside IPv6, and what each row is good for."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.delivery.egress import DENY_RULES, NAT64_WELL_KNOWN, PORTS_NEVER, DenyRule, EgressPolicy

PRODUCTION = EgressPolicy.production()
DEVELOPMENT = EgressPolicy.development()

# First and last address of each block, and addresses in it that are known targets.
DENIED = [
    *("0.0.0.0", "0.0.0.1", "0.127.255.255", "0.255.255.255"),  # noqa: S104 - nothing is bound
    *("10.0.0.0", "10.0.0.1", "10.96.0.1", "10.255.255.255"),
    *("100.64.0.0", "100.100.100.200", "100.115.92.2", "100.127.255.255"),
    *("127.0.0.0", "127.0.0.1", "127.0.0.53", "127.1.2.3", "127.255.255.255"),
    "168.63.129.16",
    *("169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.169.123", "169.254.255.255"),
    *("172.16.0.0", "172.17.0.1", "172.18.0.2", "172.31.255.255"),
    *("192.0.0.0", "192.0.0.8", "192.0.0.9", "192.0.0.10", "192.0.0.170", "192.0.0.192", "192.0.0.255"),
    *("192.0.2.0", "192.0.2.1", "192.0.2.255"),
    *("192.88.99.0", "192.88.99.1", "192.88.99.255"),
    *("192.168.0.0", "192.168.1.1", "192.168.65.2", "192.168.255.255"),
    *("198.18.0.0", "198.18.0.1", "198.19.255.255"),
    *("198.51.100.0", "198.51.100.7", "198.51.100.255"),
    *("203.0.113.0", "203.0.113.9", "203.0.113.255"),
    *("224.0.0.0", "224.0.0.1", "224.0.0.251", "232.1.2.3", "239.255.255.250", "239.255.255.255"),
    *("240.0.0.0", "240.0.0.1", "254.1.2.3", "255.255.255.254", "255.255.255.255"),
    # Loopback, unspecified, IPv4-compatible
    *("::", "::1", "0:0:0:0:0:0:0:1", "::127.0.0.1", "::7f00:1", "::169.254.169.254", "::8.8.8.8"),
    # IPv4-mapped, judged as IPv4
    *("::ffff:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::ffff:0.0.0.0"),
    *("::FFFF:192.168.0.1", "::ffff:168.63.129.16", "::ffff:255.255.255.255", "::ffff:224.0.0.1"),
    # The loopback and unspecified addresses, and IPv4-compatible ones
    *("::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", "::ffff:0:7f00:1", "::5efe:127.0.0.1", "::200:5efe:8.8.8.8"),
    # NAT64: the well-known prefix is judged as IPv4, the local one is closed
    *("64:ff9b::7f00:1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b::0.0.0.0"),
    *("64:ff9b::168.63.129.16", "64:ff9b::c0a8:101", "64:ff9b::ffff:ffff", "64:ff9b:0:0:0:0:7f00:1"),
    *("64:ff9b:1::", "64:ff9b:1::7f00:1", "64:ff9b:1::8.8.8.8", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
    *("64:ff9b::1:0:0", "64:ff9b:0:1::8.8.8.8", "64:ff9a::8.8.8.8", "64:ff9c::8.8.8.8"),
    # Discard-only, former NSAP, never assigned
    *("100::", "100::1", "100::ffff:ffff:ffff:ffff", "100:0:0:1::", "200::1", "400::1", "1000::1"),
    "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    # Teredo, port control, benchmarking, AMT, ORCHID, drones
    *(
        "2001::",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:1::1",
        "2001:2::",
        "2001:2:0:ffff::1",
    ),
    *("2001:3::1", "2001:4:112::1", "2001:10::", "2001:20::", "2001:2f:ffff::1", "2001:30::1"),
    "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
    *("2001:db8::", "2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:DB8::1"),
    # 6to4
    *("2002::", "2002:7f00:1::", "2002:a9fe:a9fe::", "2002:a00:1::1", "2002:c0a8:101::1", "2002:808:808::1"),
    "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    *("3fff::", "3fff::1", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    # Segment routing, never assigned
    *("4000::", "4000::1", "5f00::", "5f00::1", "5f00:ffff::1", "6000::1", "7fff::1"),
    "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    # Unique local, link local, site local, multicast, never assigned
    *("8000::", "a000::1", "c000::1", "e000::1", "f000::1", "f800::1", "fe00::1"),
    *("fc00::", "fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254", "fdff:ffff::1"),
    *("fe80::", "fe80::1", "fe80::a9fe:a9fe", "fe80::5efe:7f00:1", "febf:ffff::1"),
    *("fec0::", "fec0::1", "fec0:0:0:ffff::1", "feff:ffff::1"),
    *("ff00::", "ff01::1", "ff02::1", "ff02::fb", "ff05::1:3", "ff0e::1"),
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    # Zones
    *("fe80::1%eth0", "fe80::1%1", "::1%lo", "2606:4700::1111%eth0"),
]

# The addresses next to each denied block, public services, and IPv6 forms of them.
ALLOWED = [
    *("1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.216.34"),
    *("100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "168.63.129.15", "168.63.129.17"),
    *("169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0"),
    *("191.255.255.255", "192.0.1.0", "192.0.1.255", "192.0.3.0", "192.88.98.255", "192.88.100.0"),
    *("192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0"),
    *("203.0.112.255", "203.0.114.0", "223.255.255.255"),
    *("2000::", "2000:ffff::1", "2001:200::", "2001:200::1", "2001:4860:4860::8888", "2001:db7:ffff::1"),
    *("2001:db9::", "2001:db9::1", "2001:ffff::1", "2003::", "2003::1", "2400:cb00::1", "2606:4700::1111"),
    *("2620:fe::fe", "2a00:1450:4001::200e", "2c0f:fb50::1", "3ffe:ffff::1", "3fff:1000::", "3fff:ffff::1"),
    *("::ffff:8.8.8.8", "::ffff:808:808", "64:ff9b::8.8.8.8", "64:ff9b::808:808", "64:ff9b::101:101"),
]

# Texts that are no addresses, or spellings that other parsers take for one.
NO_ADDRESSES = [
    *("", " ", "localhost", "example.com", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1"),
    *(
        "017700000001",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.1 ",
        " 127.0.0.1",
        "127.0.0.1\n",
        "127.0.0.1.",
        "1.1.1.1/32",
    ),
    *(
        "١٢٧.٠.٠.١",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "[::1]",
        "::ffff:127.1",
        ":::1",
        "::1::",
        "12345::",
        "fe80::1%",
    ),
]


@pytest.mark.parametrize("address", [*DENIED, *NO_ADDRESSES])
def test_it_is_denied(address: str) -> None:
    assert PRODUCTION.address_denied(address) is not None


@pytest.mark.parametrize("address", ALLOWED)
def test_it_is_allowed(address: str) -> None:
    assert PRODUCTION.address_denied(address) is None


def test_there_are_at_least_150_vectors_and_no_vector_twice() -> None:
    vectors = [*DENIED, *ALLOWED, *NO_ADDRESSES]
    assert len(vectors) == len(set(vectors)) >= 150


@pytest.mark.parametrize("rule", DENY_RULES, ids=lambda rule: str(rule.network))
def test_every_row_of_the_table_is_needed(rule: DenyRule) -> None:
    without = replace(PRODUCTION, deny_rules=tuple(other for other in DENY_RULES if other is not rule))
    passing = [address for address in DENIED if without.address_denied(address) is None]
    assert passing, f"no vector notices that {rule.network} is gone"


def twice_as_wide(rule: DenyRule) -> DenyRule | None:
    """The row with one bit of prefix less, or None where another row holds the added half already."""
    wider = rule.network.supernet()
    added = next(half for half in wider.subnets() if half != rule.network)
    return None if any(other.network == added for other in DENY_RULES) else DenyRule(wider, rule.reason)


WIDENED = [(rule, wider) for rule in DENY_RULES if (wider := twice_as_wide(rule)) is not None]


@pytest.mark.parametrize(("rule", "wider"), WIDENED, ids=[str(rule.network) for rule, _ in WIDENED])
def test_no_row_is_wider_than_it_must_be(rule: DenyRule, wider: DenyRule) -> None:
    policy = replace(PRODUCTION, deny_rules=(*(other for other in DENY_RULES if other is not rule), wider))
    lost = [address for address in ALLOWED if policy.address_denied(address) is not None]
    assert lost, f"no vector notices that {rule.network} became {wider.network}"


def test_rows_do_not_overlap() -> None:
    for version in (4, 6):
        networks = [rule.network for rule in DENY_RULES if rule.network.version == version]
        overlaps = [(a, b) for a, b in combinations(networks, 2) if a.overlaps(b)]
        assert overlaps == []


@pytest.mark.parametrize(
    ("change", "address"),
    [
        ({"nat64_networks": ()}, "64:ff9b::8.8.8.8"),
        ({"deny_rules": ()}, "10.0.0.1"),
        ({"deny_rules": ()}, "64:ff9b::10.0.0.1"),
    ],
)
def test_decoding_and_table_are_both_needed(change: dict[str, tuple[()]], address: str) -> None:
    without = replace(PRODUCTION, **change)
    assert (without.address_denied(address) is None) is not (PRODUCTION.address_denied(address) is None)


def carrier(network: str, shift: int = 0) -> Callable[[IPv4Address], str]:
    """An IPv6 address that holds an IPv4 address so many bits from its end."""
    prefix = int(IPv6Network(network).network_address)
    return lambda address: str(IPv6Address(prefix | int(address) << shift))


JUDGED_AS_IPV4: dict[str, Callable[[IPv4Address], str]] = {
    "plain": str,
    "mapped": carrier("::ffff:0:0/96"),
    "mapped, dotted": lambda address: f"::ffff:{address}",
    "mapped, written out": lambda address: f"0000:0000:0000:0000:0000:FFFF:{address}",
    "NAT64": carrier("64:ff9b::/96"),
    "NAT64, dotted": lambda address: f"64:ff9b::{address}",
}
ALWAYS_DENIED: dict[str, Callable[[IPv4Address], str]] = {
    "compatible": carrier("::/96"),
    "translated (SIIT)": carrier("::ffff:0:0:0/96"),
    "ISATAP without prefix": carrier("::5efe:0:0/96"),
    "ISATAP, link local": carrier("fe80::5efe:0:0/96"),
    "local NAT64": carrier("64:ff9b:1::/96"),
    "local NAT64, RFC 6052 with a prefix of 48 bits": carrier("64:ff9b:1::/48", 48),
    "6to4": carrier("2002::/16", 80),
    "Teredo server": carrier("2001::/32", 64),
    "Teredo client": lambda address: carrier("2001::/32")(IPv4Address(int(address) ^ 0xFFFF_FFFF)),
    "unique local": carrier("fd00::/96"),
    "documentation": carrier("2001:db8::/96"),
}

ipv4_rules = [rule.network for rule in DENY_RULES if isinstance(rule.network, IPv4Network)]
denied_ipv4 = st.sampled_from(ipv4_rules).flatmap(lambda network: st.ip_addresses(network=network))
any_ipv4 = st.ip_addresses(v=4)


@given(address=denied_ipv4)
@pytest.mark.parametrize("form", JUDGED_AS_IPV4.values(), ids=JUDGED_AS_IPV4)
def test_a_denied_ipv4_address_is_denied_in_every_form_that_is_judged_as_it(
    form: Callable[[IPv4Address], str], address: IPv4Address
) -> None:
    assert PRODUCTION.address_denied(form(address)) is not None
    assert (DEVELOPMENT.address_denied(form(address)) is None) is address.is_loopback


@given(address=any_ipv4)
@pytest.mark.parametrize("form", JUDGED_AS_IPV4.values(), ids=JUDGED_AS_IPV4)
def test_mapped_and_nat64_addresses_are_judged_as_what_they_carry(
    form: Callable[[IPv4Address], str], address: IPv4Address
) -> None:
    assert PRODUCTION.address_denied(form(address)) == PRODUCTION.address_denied(str(address))


@given(address=denied_ipv4 | any_ipv4)
@example(address=IPv4Address("0.0.0.1"))
@example(address=IPv4Address("127.0.0.1"))
@pytest.mark.parametrize("form", ALWAYS_DENIED.values(), ids=ALWAYS_DENIED)
def test_all_other_forms_are_denied_whatever_they_carry(
    form: Callable[[IPv4Address], str], address: IPv4Address
) -> None:
    assert PRODUCTION.address_denied(form(address)) is not None
    # The compatible form of 0.0.0.1 is the loopback address of IPv6.
    assert (DEVELOPMENT.address_denied(form(address)) is None) is (form(address) == "::1")


@given(address=st.ip_addresses())
def test_nothing_is_allowed_that_the_standard_library_calls_special(
    address: IPv4Address | IPv6Address,
) -> None:
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or not address.is_global
    )
    judged_as_ipv4 = isinstance(address, IPv6Address) and (address in NAT64_WELL_KNOWN or address.ipv4_mapped)
    if special and not judged_as_ipv4:
        assert PRODUCTION.address_denied(str(address)) is not None


@given(text=st.text())
def test_no_text_raises(text: str) -> None:
    PRODUCTION.address_denied(text)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"])
def test_development_opens_loopback(address: str) -> None:
    assert DEVELOPMENT.address_denied(address) is None


@pytest.mark.parametrize("address", sorted({*DENIED} - {"127.0.0.1"}))
def test_development_opens_nothing_else(address: str) -> None:
    is_loopback = address.startswith((
        "127.",
        "::ffff:127.",
        "::ffff:7f",
        "64:ff9b::7f",
        "64:ff9b::127.",
    )) or (address in {"::1", "0:0:0:0:0:0:0:1", "64:ff9b:0:0:0:0:7f00:1"})
    assert (DEVELOPMENT.address_denied(address) is None) is is_loopback


def test_the_operator_opens_networks_in_every_form_that_is_judged_as_ipv4() -> None:
    policy = EgressPolicy.production(allowed_networks=[ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")])
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd00:1::5"):
        assert policy.address_denied(address) is None
    for address in ("10.2.0.1", "::10.1.2.3", "2002:a01:203::", "fd00:2::5", "127.0.0.1"):
        assert policy.address_denied(address) is not None


def test_what_the_operator_closes_stays_closed_even_where_it_is_also_opened() -> None:
    policy = EgressPolicy.production(
        allowed_networks=[ip_network("10.0.0.0/8")],
        denied_networks=[ip_network("10.0.0.1/32"), ip_network("8.8.8.0/24")],
    )
    assert policy.address_denied("10.0.0.2") is None
    for address in ("10.0.0.1", "::ffff:10.0.0.1", "8.8.8.8", "64:ff9b::8.8.8.8"):
        assert policy.address_denied(address) is not None


def test_an_operators_own_nat64_prefix_is_decoded() -> None:
    own = IPv6Network("2606:4700:64::/96")
    policy = replace(PRODUCTION, nat64_networks=(NAT64_WELL_KNOWN, own))
    assert PRODUCTION.address_denied("2606:4700:64::10.0.0.1") is None
    assert policy.address_denied("2606:4700:64::10.0.0.1") is not None
    assert policy.address_denied("2606:4700:64::8.8.8.8") is None


def test_a_nat64_prefix_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="96 bits"):
        replace(PRODUCTION, nat64_networks=(IPv6Network("64:ff9b:1::/48"),))


@pytest.mark.parametrize("port", [80, 443, 8080, 8443])
def test_the_usual_ports_are_allowed_everywhere(port: int) -> None:
    assert PRODUCTION.port_allowed(port)
    assert DEVELOPMENT.port_allowed(port)


@pytest.mark.parametrize("port", [1, 21, 81, 1_023, 1_024, 3_000, 8_000, 8_081, 50_051, 65_535])
def test_production_allows_no_other_port_and_development_those_from_1024_up(port: int) -> None:
    assert not PRODUCTION.port_allowed(port)
    assert DEVELOPMENT.port_allowed(port) is (port >= 1_024)


@pytest.mark.parametrize("port", sorted(PORTS_NEVER))
def test_ports_of_other_protocols_are_never_allowed(port: int) -> None:
    assert not PRODUCTION.port_allowed(port)
    assert not DEVELOPMENT.port_allowed(port)
    with pytest.raises(ValueError, match=str(port)):
        EgressPolicy.production(allowed_ports=[443, port])


def test_the_operator_chooses_the_ports() -> None:
    policy = EgressPolicy.production(allowed_ports=[443, 9_443])
    assert policy.port_allowed(9_443)
    assert not policy.port_allowed(8_080)


def test_only_development_allows_plain_http() -> None:
    assert not PRODUCTION.allow_http
    assert DEVELOPMENT.allow_http
