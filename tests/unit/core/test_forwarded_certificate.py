"""What Envoy's x-forwarded-client-cert tells of a client, and what no proxy of ours would write."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.api.forwarded_certificate import (
    CHARACTERS_MAX,
    MalformedCertificateHeader,
    driver_uri,
    forwarded_uris,
    is_token_id,
    token_ids,
)

URI = "urn:infinireach:driver-token:0a1B2c3D"


@pytest.mark.parametrize(
    ("header", "uris"),
    [
        (f"URI={URI}", [URI]),
        (f"Hash=468ed33be74eee6556d90c0149c1309e9ba61d64;URI={URI}", [URI]),
        (f'By=spiffe://mesh/edge;Hash=0a;Subject="CN=a, O=\\"x;y=z\\"";URI={URI};DNS=modem', [URI]),
        (f'Subject="";URI="{URI}"', [URI]),
        (f"uri={URI};URI=spiffe://mesh/driver", [URI, "spiffe://mesh/driver"]),
        ('Subject="URI=urn:a";Hash=0a', []),
        ("By=spiffe://mesh/edge;URI=", []),
        ("URI=a=b", ["a=b"]),
    ],
)
def test_the_uris_of_one_client_are_read(header: str, uris: list[str]) -> None:
    assert forwarded_uris(header) == uris


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        f"URI={URI},URI={URI}",
        f"URI={URI},",
        f'Hash="0a;URI={URI}',
        f'Subject="a"b;URI={URI}',
        f";URI={URI}",
        f"URI={URI};",
        f"=x;URI={URI}",
        f"URI={URI}" + "x" * CHARACTERS_MAX,
    ],
)
def test_any_other_form_is_refused_as_a_whole(header: str) -> None:
    with pytest.raises(MalformedCertificateHeader):
        forwarded_uris(header)


@given(st.text(max_size=40))
def test_a_quoted_value_never_tells_of_a_uri(subject: str) -> None:
    quoted = subject.replace("\\", "\\\\").replace('"', '\\"')
    assert forwarded_uris(f'Subject="{quoted}";URI={URI}') == [URI]


@given(st.text())
def test_whatever_comes_is_read_or_refused(header: str) -> None:
    with contextlib.suppress(MalformedCertificateHeader):
        assert all(isinstance(uri, str) for uri in forwarded_uris(header))


def test_only_uris_of_driver_tokens_name_ids_and_each_counts_once() -> None:
    assert token_ids([URI, "spiffe://mesh/a", URI, driver_uri("zzzzzzzz")]) == ["0a1B2c3D", "zzzzzzzz"]


@pytest.mark.parametrize("text", ["", "0a1B2c3", "0a1B2c3D4", "0a1B2c3\n", "0a1B 2c3", "0a1B2c3é"])
def test_other_texts_are_no_ids(text: str) -> None:
    assert not is_token_id(text)
    assert is_token_id("0a1B2c3D")
