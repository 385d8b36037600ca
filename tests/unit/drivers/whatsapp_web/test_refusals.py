"""Only what certainly did not go out is called failed; the texts are those that the library's binary holds."""

import pytest
from neonize import _binder

from drivers.whatsapp_web.adapter.refusals import BEFORE_SENDING, read_refusal
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_DESTINATION_UNREACHABLE,
    FAILURE_REASON_NETWORK_REJECTED,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
    FailureReason,
)


@pytest.mark.parametrize(
    ("text", "reason", "code"),
    [
        ("failed to send message node: websocket not connected", FAILURE_REASON_NO_SERVICE, ""),
        (
            "failed to get group members: server returned error 403: forbidden",
            FAILURE_REASON_DESTINATION_UNREACHABLE,
            "",
        ),
        ("server returned error 463", FAILURE_REASON_NETWORK_REJECTED, "463"),
        ("server returned error 479", FAILURE_REASON_NETWORK_REJECTED, "479"),
        ("server returned error 429", FAILURE_REASON_RATE_LIMITED, "429"),
    ],
)
def test_what_whatsapp_did_not_take_is_certain(text: str, reason: FailureReason, code: str) -> None:
    refused = read_refusal(text)
    assert refused is not None
    assert (refused.reason, refused.code) == (reason, code)
    assert refused.detail


@pytest.mark.parametrize(
    "text",
    [
        "",
        "websocket not connected",
        "websocket disconnected before message send returned response",
        "timed out waiting for message send response",
        "failed to send message node: write tcp: broken pipe",
        "something new",
    ],
)
def test_everything_else_leaves_open_whether_it_went_out(text: str) -> None:
    assert read_refusal(text) is None


def test_texts_are_those_of_the_library_that_is_installed() -> None:
    with open(_binder.gocode._name, "rb") as file:
        binary = file.read()
    for beginning in [*BEFORE_SENDING, "server returned error", "failed to dial whatsapp"]:
        for part in beginning.split(": "):
            assert part.encode() in binary, beginning
