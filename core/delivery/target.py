"""Reading of a customer's webhook URL.

Owns the strict grammar of a URL and its normal form. It must not know DNS, sockets or HTTP; which ports and
addresses are allowed it asks of `egress`. A URL is read here and nowhere else, and the client is given the
normal form, so that no second parser can understand it differently.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import idna

from core.delivery.egress import EgressPolicy

URL_CHARACTERS_MAX = 2_048
HOST_CHARACTERS_MAX = 253
_DEFAULT_PORTS = {"http": 80, "https": 443}

# RFC 3986, appendix B, for a URL with an authority. Path and query stay as they are.
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?"
)
_AUTHORITY = re.compile(
    r"(?:\[(?P<literal>[^\[\]]*)\]|(?P<name>[^:\[\]@]*))(?::(?P<port>[1-9][0-9]{0,4}))?", re.ASCII
)
# Space and what RFC 3986 forbids and HTTP clients are known to read in different ways. Brackets, braces and
# bars are forbidden too, but are found in the queries of real receivers and hold no meaning there.
_FORBIDDEN = re.compile(r'[\x00-\x20\x7f-\x9f"<>\\^`\u2028\u2029\ud800-\udfff]')
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
# WHATWG URL, 3.5: a host whose last label is a number is an IPv4 address in one of its many spellings, or
# nothing.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


class InvalidTarget(ValueError):
    """The URL cannot be an endpoint's. `issue` is a sentence for the customer, without the URL in it."""

    def __init__(self, issue: str) -> None:
        super().__init__(issue)
        self.issue = issue


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook URL that was understood and allowed."""

    url: str
    """The normal form: scheme and host in lower-case ASCII, no default port; path and query as given, but no
    empty query."""
    scheme: str
    host: str
    """A name without trailing dot, or an address without brackets."""
    port: int
    is_literal: bool
    """Whether the host is an IP address."""


def parse_target(url: str, policy: EgressPolicy) -> Target:
    """Read an endpoint's URL, at most 2 048 characters. Raises InvalidTarget.

    An address as host is judged here already; a name is judged at each connect.
    """
    if len(url) > URL_CHARACTERS_MAX:
        raise InvalidTarget(f"The URL must not be longer than {URL_CHARACTERS_MAX} characters.")
    if _FORBIDDEN.search(url):
        raise InvalidTarget("The URL contains a character that must be percent-encoded.")
    if "#" in url:
        raise InvalidTarget("The URL must not have a fragment.")
    match = _URL.fullmatch(url)
    if match is None:
        raise InvalidTarget("The URL must be absolute, such as https://example.com/webhook.")
    scheme = _scheme(match["scheme"], policy)
    host, is_literal, port = _authority(match["authority"], scheme, policy)
    query = match["query"] or ""
    path_and_query = (match["path"] or "/") + (query if query != "?" else "")
    if not path_and_query.isascii():
        raise InvalidTarget("The path and the query must be percent-encoded.")
    bracketed = f"[{host}]" if ":" in host else host
    port_suffix = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    normal_form = f"{scheme}://{bracketed}{port_suffix}{path_and_query}"
    return Target(url=normal_form, scheme=scheme, host=host, port=port, is_literal=is_literal)


def _scheme(text: str, policy: EgressPolicy) -> str:
    scheme = text.lower()
    if scheme not in _DEFAULT_PORTS:
        raise InvalidTarget("The URL must start with https://.")
    if scheme == "http" and not policy.allow_http:
        raise InvalidTarget("The URL must start with https://; plain http is not allowed.")
    return scheme


def _authority(text: str, scheme: str, policy: EgressPolicy) -> tuple[str, bool, int]:
    if "@" in text:
        raise InvalidTarget("The URL must not contain a user name or a password.")
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise InvalidTarget("The host or the port of the URL is malformed.")
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    if not policy.port_allowed(port):
        raise InvalidTarget(f"Port {port} is not allowed.")
    if match["literal"] is not None:
        host, is_literal = _ipv6_literal(match["literal"]), True
    else:
        host, is_literal = _name_or_ipv4(match["name"])
    if is_literal and policy.address_denied(host) is not None:
        raise InvalidTarget("The address in the URL is not allowed.")
    return host, is_literal, port


def _ipv6_literal(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        raise InvalidTarget("The host of the URL is not a valid IPv6 address.") from None
    if address.scope_id is not None:
        raise InvalidTarget("The host of the URL must not have a zone.")
    # Python versions differ in how they write mapped addresses.
    return str(address.ipv4_mapped or address)


def _name_or_ipv4(text: str) -> tuple[str, bool]:
    """Return the host in its normal form and whether it is an IPv4 address.

    Names are mapped first, since full-width digits and dots become ASCII ones, and judged in their mapped
    form.
    """
    host = _mapped(text).removesuffix(".")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _canonical_ipv4(host), True
    if len(host) > HOST_CHARACTERS_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidTarget("The host of the URL is not a valid name.")
    return host, False


def _mapped(text: str) -> str:
    if text.isascii():
        return text.lower()
    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise InvalidTarget("The host of the URL is not a valid international name.") from None


def _canonical_ipv4(host: str) -> str:
    """Return the address if this is its one usual spelling; `127.1`, `0x7f000001` and `2130706433` are
    refused."""
    try:
        return str(IPv4Address(host))
    except ValueError:
        raise InvalidTarget("The host of the URL is not a valid IPv4 address.") from None
