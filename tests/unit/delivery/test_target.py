"""Webhook URLs: which are understood, in which normal form, and which are refused."""

from ipaddress import ip_network
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from core.delivery.egress import EgressPolicy
from core.delivery.target import URL_CHARACTERS_MAX, InvalidTarget, Target, parse_target

PRODUCTION = EgressPolicy.production()
DEVELOPMENT = EgressPolicy.development()

NORMAL_FORMS = {
    "https://example.com": "https://example.com/",
    "https://example.com/": "https://example.com/",
    "https://example.com/webhook": "https://example.com/webhook",
    "HTTPS://EXAMPLE.com/WebHook": "https://example.com/WebHook",
    "https://example.com./hook": "https://example.com/hook",
    "https://example.com:443/hook": "https://example.com/hook",
    "https://example.com:8443/hook": "https://example.com:8443/hook",
    "https://example.com:80/hook": "https://example.com:80/hook",
    "https://example.com?": "https://example.com/",
    "https://example.com?a=1": "https://example.com/?a=1",
    "https://example.com/a?b=c&b=d&&=e": "https://example.com/a?b=c&b=d&&=e",
    "https://example.com/a?token=a%2Fb+c%zz&x[]=1&y={2}|3": "https://example.com/a?token=a%2Fb+c%zz&x[]=1&y={2}|3",
    "https://example.com/a?u=https://b.example/?c=d@e:f": "https://example.com/a?u=https://b.example/?c=d@e:f",
    "https://example.com/a/../b/./c//d": "https://example.com/a/../b/./c//d",
    "https://example.com/%7Euser/%41": "https://example.com/%7Euser/%41",
    "https://example.com/a;b=c,d/$e!(f)*'": "https://example.com/a;b=c,d/$e!(f)*'",
    "https://example.com/user@host": "https://example.com/user@host",
    "https://my_service.example.com/": "https://my_service.example.com/",
    "https://xn--bcher-kva.example/": "https://xn--bcher-kva.example/",
    "https://bücher.example/": "https://xn--bcher-kva.example/",
    "https://BÜCHER.example/": "https://xn--bcher-kva.example/",
    "https://straße.example/": "https://xn--strae-oqa.example/",
    "https://例え.テスト/": "https://xn--r8jz45g.xn--zckzah/",
    "https://ｅｘａｍｐｌｅ．ｃｏｍ/": "https://example.com/",
    "https://example。com/": "https://example.com/",
    "https://1.example.com/": "https://1.example.com/",
    "https://cafe.de/": "https://cafe.de/",
    "https://0x7f.example/": "https://0x7f.example/",
    "https://deadbeef/": "https://deadbeef/",
    "https://8.8.8.8/hook": "https://8.8.8.8/hook",
    "https://8.8.8.8./hook": "https://8.8.8.8/hook",
    "https://８.8.8.8/hook": "https://8.8.8.8/hook",
    "https://[2606:4700::1111]/hook": "https://[2606:4700::1111]/hook",
    "https://[2606:4700:0:0::1111]:8443/hook": "https://[2606:4700::1111]:8443/hook",
    "https://[2606:4700::ABCD]/": "https://[2606:4700::abcd]/",
    "https://[::ffff:8.8.8.8]/": "https://8.8.8.8/",
}

REFUSED = [
    # No absolute http URL
    *("", " ", "/", "example.com", "example.com/hook", "//example.com/hook", "https:"),
    *("https:/example.com", "https://"),
    *("https:///hook", "https://?a", "https:example.com", "https//example.com", "://example.com"),
    "https:\\\\example.com",
    *("ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "ws://example.com/"),
    "javascript://example.com/",
    *("unix://example.com/", "httpss://example.com/", "http+unix://example.com/", "data://example.com/"),
    "1https://a.b/",
    # Plain http, ports
    *("http://example.com/", "HTTP://example.com/", "https://example.com:22/", "https://example.com:25/"),
    *("https://example.com:6379/", "https://example.com:5432/", "https://example.com:9092/"),
    "https://example.com:3000/",
    *("https://example.com:0/", "https://example.com:65536/", "https://example.com:99999/"),
    "https://example.com:/",
    *("https://example.com:0443/", "https://example.com:+443/", "https://example.com:-1/"),
    "https://example.com:4_4_3/",
    *("https://example.com:٤٤٣/", "https://example.com:443:443/", "https://example.com:port/"),
    "https://:443/",
    # User names, fragments
    *("https://user@example.com/", "https://user:password@example.com/", "https://@example.com/"),
    "https://:@example.com/",
    *("https://example.com@127.0.0.1/", "https://127.0.0.1%2f@example.com/", "https://a@b@example.com/"),
    *("https://example.com/#", "https://example.com/a#b", "https://example.com#@127.0.0.1/"),
    "https://example.com/?#",
    # Characters that parsers read in different ways
    *("https://example.com/a b", " https://example.com/", "https://example.com/ ", "https://exam ple.com/"),
    *("https://example.com/\n", "https://example.com\r\nHost: a/", "https://example.com/\t"),
    "https://example.com/\x00",
    *("https://example.com\\@127.0.0.1/", "https://example.com/a\\b", "https://example.com\\.a.example/"),
    *("https://example.com/\x7f", "https://example.com/\x85", "https://example.com/\u2028"),
    "https://example.com/\ud800",
    *('https://example.com/"', "https://example.com/<a>", "https://example.com/`", "https://example.com/^"),
    *("https://example.com/grüße", "https://example.com/?q=grüße", "https://example.com/\u200b"),
    "\ufeffhttps://example.com/",
    # Hosts that are no names
    *("https://./", "https://../", "https://.example.com/", "https://example..com/"),
    "https://example.com../",
    *("https://-example.com/", "https://example-.com/", "https://exa$mple.com/", "https://exa%6dple.com/"),
    *("https://example.com%00.a.example/", "https://example.com%2f.a.example/", "https://exam,ple.com/"),
    "https://*.a.example/",
    *(f"https://{'a' * 64}.example/", f"https://{'a.' * 126}aa/", "https://ex'ample.com/"),
    "https://a!b.example/",
    *("https://\u00ad/", "https://\u202eexample.com/", "https://☃\u2024com/"),
    *("https://xn--\u00fc.example/", "https://a\u2044b.example/"),
    # Numbers in other spellings than the usual one
    *("https://127.1/", "https://127.0.1/", "https://2130706433/", "https://0x7f000001/"),
    "https://0x7f.0.0.1/",
    *("https://0177.0.0.1/", "https://017700000001/", "https://127.0.0.01/", "https://0/", "https://0x/"),
    "https://0X7F.1/",
    *("https://8.8.8.8.8/", "https://8.8.8.256/", "https://8.8.8/", "https://08.8.8.8/"),
    "https://8.8.8.0x8/",
    *("https://example.1/", "https://example.0x1/", "https://1.2.3.example.4/", "https://134744072/"),
    "https://8.8.2056/",
    *("https://８.８.８.0x8/", "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://１２７.1/", "https://٨.٨.٨.٨/"),
    # Addresses that are not allowed
    *("https://127.0.0.1/", "https://127.0.0.1./", "https://10.0.0.1/"),
    "https://169.254.169.254/latest/meta-data/",
    *("https://192.168.1.1/", "https://0.0.0.0/", "https://168.63.129.16/", "https://100.100.100.200/"),
    *("https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/"),
    "https://[::127.0.0.1]/",
    *("https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[fd00:ec2::254]/"),
    "https://[fe80::1]/",
    *("https://[0000:0000:0000:0000:0000:0000:0000:0001]/", "https://[::ffff:0:127.0.0.1]/"),
    "https://[fec0::1]/",
    # Brackets
    *("https://[]/", "https://[8.8.8.8]/", "https://[example.com]/", "https://[2606:4700::1111/"),
    "https://2606:4700::1111/",
    *("https://[2606:4700::1111]a/", "https://a[2606:4700::1111]/", "https://[[2606:4700::1111]]/"),
    "https://[v1.a]/",
    *("https://[2606:4700::1111]]/", "https://[2606:4700::1111%eth0]/"),
    *("https://[2606:4700::1111%25eth0]/", "https://]/"),
    *("https://[fe80::1%25lo]/", "https://[2606:4700::1111]:8443:1/", "https://[::ffff:127.1]/"),
    "https://[1::2::3]/",
]  # fmt: skip


@pytest.mark.parametrize(("url", "normal_form"), NORMAL_FORMS.items(), ids=ascii)
def test_a_url_is_brought_into_its_normal_form(url: str, normal_form: str) -> None:
    assert parse_target(url, PRODUCTION).url == normal_form


@pytest.mark.parametrize("url", NORMAL_FORMS.values(), ids=ascii)
def test_the_normal_form_is_its_own_normal_form(url: str) -> None:
    assert parse_target(url, PRODUCTION).url == url


@pytest.mark.parametrize("url", REFUSED, ids=ascii)
def test_a_url_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(InvalidTarget) as refused:
        parse_target(url, PRODUCTION)
    assert refused.value.issue.endswith(".")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("example.com", "absolute"),
        ("ftp://example.com/", "start with https"),
        ("http://example.com/", "plain http is not allowed"),
        ("https://example.com/#a", "fragment"),
        ("https://user:password@example.com/", "user name or a password"),
        ("https://example.com/a b", "percent-encoded"),
        ("https://example.com/é", "percent-encoded"),
        ("https://example.com:22/", "Port 22 is not allowed"),
        ("https://example.com:port/", "malformed"),
        ("https://exa$mple.com/", "not a valid name"),
        ("https://☃.example/", "not a valid international name"),
        ("https://127.1/", "not a valid IPv4 address"),
        ("https://[1::2::3]/", "not a valid IPv6 address"),
        ("https://[2606:4700::1111%eth0]/", "must not have a zone"),
        ("https://10.0.0.1/", "address in the URL is not allowed"),
    ],
)
def test_the_sentence_says_what_is_wrong(url: str, words: str) -> None:
    with pytest.raises(InvalidTarget) as refused:
        parse_target(url, PRODUCTION)
    assert words in refused.value.issue


def test_no_url_is_listed_twice() -> None:
    urls = [*NORMAL_FORMS, *REFUSED]
    assert len(urls) == len(set(urls))


def test_a_target_tells_host_and_port_apart() -> None:
    assert parse_target("https://Example.com/a?b", PRODUCTION) == Target(
        url="https://example.com/a?b", scheme="https", host="example.com", port=443, is_literal=False
    )
    assert parse_target("https://[2606:4700::1]:8443", PRODUCTION) == Target(
        url="https://[2606:4700::1]:8443/", scheme="https", host="2606:4700::1", port=8443, is_literal=True
    )


def test_the_length_is_limited() -> None:
    longest = "https://example.com/".ljust(URL_CHARACTERS_MAX, "a")
    assert parse_target(longest, PRODUCTION).url == longest
    with pytest.raises(InvalidTarget, match="2048"):
        parse_target(longest + "a", PRODUCTION)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:3000/hook",
        "http://127.0.0.1:3000/hook",
        "http://[::1]:3000/hook",
        "http://[::ffff:127.0.0.1]:3000/hook",
        "https://localhost/hook",
        "http://example.com/hook",
    ],
)
def test_development_opens_loopback_and_plain_http(url: str) -> None:
    assert parse_target(url, DEVELOPMENT)
    with pytest.raises(InvalidTarget):
        parse_target(url.replace("https", "http"), PRODUCTION)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://169.254.169.254/", "http://127.1/", "http://[fe80::1]/"]
)
def test_development_opens_nothing_else(url: str) -> None:
    with pytest.raises(InvalidTarget):
        parse_target(url, DEVELOPMENT)


def test_an_address_that_the_operator_opened_is_allowed_as_host() -> None:
    policy = EgressPolicy.production(allowed_networks=[ip_network("10.0.0.0/8")])
    assert parse_target("https://10.1.2.3/hook", policy).is_literal
    with pytest.raises(InvalidTarget):
        parse_target("https://192.168.0.1/hook", policy)


urls = st.one_of(
    st.text(),
    st.text(alphabet="htps:/@.[]#?%\\0123456789abcdefxEXAMPLE-_\t\n ü。①").map("https://".__add__),
    st.builds(
        "https://{}{}{}".format,
        st.text(max_size=20),
        st.sampled_from(["", ":443", ":8443", ":"]),
        st.text(max_size=20),
    ),
)


@given(url=urls)
@example(url="https://1.1.1.1 &@2.2.2.2# @3.3.3.3/")
@example(url="https://example.com:443\\@127.0.0.1/")
def test_whatever_is_accepted_is_understood_alike_by_other_parsers(url: str) -> None:
    try:
        target = parse_target(url, PRODUCTION)
    except InvalidTarget:
        return
    client = URL(target.url, encoded=True)
    assert (client.scheme, client.raw_host, client.port) == (target.scheme, target.host, target.port)
    assert str(client) == target.url
    standard = urlsplit(target.url)
    assert (standard.scheme, standard.hostname, standard.port or 443) == (
        target.scheme,
        target.host,
        target.port,
    )
    assert standard.username is None
    assert target.url.isascii()
    assert parse_target(target.url, PRODUCTION) == target


@given(
    path=st.text(alphabet="/abc;,.~%!$&'()*+=:@[]{}|-_").map("/".__add__),
    query=st.text(alphabet="/abc;,.~%!$&'()*+=:@?[]{}|-_", min_size=1).map("?".__add__) | st.just(""),
)
def test_path_and_query_reach_the_wire_unchanged(path: str, query: str) -> None:
    target = parse_target(f"https://example.com{path}{query}", PRODUCTION)
    assert URL(target.url, encoded=True).raw_path_qs == path + query
