"""Signatures that existing receivers and the official Standard Webhooks library verify."""

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from core.delivery import signing

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
EVENT_ID = "6741234567890abcdef12345"


def signed_now(primary: str, *others: str, body: bytes) -> dict[str, str]:
    return signing.signature_headers(
        primary, others, event_id=EVENT_ID, timestamp_s=int(time.time()), body=body
    )


def test_legacy_signature_is_what_openssl_computes_with_the_secret_as_shown() -> None:
    body = '{"event":"message.inbound","data":{"body":"Grüße 👋"}}'.encode()
    assert (
        signing.legacy_signature(SECRET, body)
        == "73aabe450176b71e9f1c83e5b8d294a055d4df9cd590cc50fdb1862d93fe687f"
    )


def test_standard_signature_is_the_one_of_the_published_example() -> None:
    signature = signing.standard_signature(
        SECRET,
        event_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp_s=1_614_265_330,
        body=b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(text=st.text())
def test_the_official_library_verifies_every_body(text: str) -> None:
    body = text.encode()
    Webhook(OTHER_SECRET).verify(body, signed_now(OTHER_SECRET, body=body), json_parse=False)


@pytest.mark.parametrize("secret_bytes", [signing.SECRET_BYTES_MIN, 32, signing.SECRET_BYTES_MAX])
def test_the_official_library_verifies_secrets_of_every_size(secret_bytes: int) -> None:
    secret = "whsec_" + base64.b64encode(bytes(secret_bytes)).decode()
    Webhook(secret).verify(b"{}", signed_now(secret, body=b"{}"))


@pytest.mark.parametrize("receivers_secret", [SECRET, OTHER_SECRET])
def test_during_a_rotation_receivers_with_either_secret_verify_the_list(receivers_secret: str) -> None:
    body = b'{"event":"message.sent"}'
    sent = signed_now(SECRET, OTHER_SECRET, body=body)
    assert Webhook(receivers_secret).verify(body, sent) == {"event": "message.sent"}


def test_a_receiver_with_a_foreign_secret_refuses() -> None:
    sent = signed_now(SECRET, OTHER_SECRET, body=b"{}")
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.new_secret()).verify(b"{}", sent)


def test_a_changed_body_is_refused() -> None:
    sent = signed_now(SECRET, body=b'{"a":1}')
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b'{"a":2}', sent)


def test_headers_have_the_documented_names_and_only_the_primary_signs_the_single_valued_ones() -> None:
    body = b"{}"
    assert signing.signature_headers(
        SECRET, [OTHER_SECRET], event_id=EVENT_ID, timestamp_s=1_700_000_000, body=body
    ) == {
        "X-Infini-Reach-Signature": signing.legacy_signature(SECRET, body),
        "X-Webhook-Signature": signing.legacy_signature(SECRET, body),
        "webhook-id": EVENT_ID,
        "webhook-timestamp": "1700000000",
        "webhook-signature": " ".join(
            signing.standard_signature(secret, event_id=EVENT_ID, timestamp_s=1_700_000_000, body=body)
            for secret in (SECRET, OTHER_SECRET)
        ),
    }


def test_new_secrets_differ_and_hold_32_bytes() -> None:
    secrets = {signing.new_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        assert secret.startswith("whsec_")
        assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_",
        "whsec_MfKQ9r8GKYqr",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa!!",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=",
        "whsec_ñfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
    ],
)
def test_a_malformed_secret_is_refused_and_not_quoted(secret: str) -> None:
    with pytest.raises(signing.InvalidSecret) as refused:
        signing.standard_signature(secret, event_id=EVENT_ID, timestamp_s=1, body=b"")
    assert len(secret) < 7 or secret[6:] not in str(refused.value)


def test_an_event_id_with_a_full_stop_is_refused() -> None:
    with pytest.raises(ValueError, match="full stop"):
        signing.standard_signature(SECRET, event_id="a.b", timestamp_s=1, body=b"")
