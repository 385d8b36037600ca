"""Attempts over TLS: whose certificates are trusted, and handshakes that fail or stall."""

import ssl

from core.delivery.sender import AttemptResult, ErrorClass, verifying_tls_context
from tests.fakes.certificates import CertificateAuthority
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.unit.delivery.attempts import SHORT_DEADLINE_S, new_request, new_sender


async def result_over_tls(server: ssl.SSLContext, client: ssl.SSLContext) -> AttemptResult:
    """The result of an attempt that must not get as far as a request."""
    async with WebhookReceiver(tls=server) as receiver, new_sender(tls=client) as sender:
        result = await sender.send(new_request(receiver.url))
        await receiver.wait_until_unconnected()
        assert receiver.requests == []
        return result


async def test_a_trusted_certificate_is_accepted_and_its_connection_kept(
    authority: CertificateAuthority,
) -> None:
    server = authority.server_context("localhost")
    async with WebhookReceiver(tls=server) as receiver, new_sender(tls=authority.client_context()) as sender:
        assert [(await sender.send(new_request(receiver.url))).status for _ in range(2)] == [200, 200]
        assert [request.connection for request in receiver.requests] == [1, 1]
        assert receiver.requests[0].header("Host") == f"localhost:{receiver.port}"


async def test_an_expired_certificate_is_a_tls_error(authority: CertificateAuthority) -> None:
    expired = authority.server_context("localhost", expired=True)
    result = await result_over_tls(expired, authority.client_context())
    assert (result.status, result.error_class) == (None, ErrorClass.TLS)
    assert "expired" in result.operator_detail


async def test_a_certificate_for_another_host_is_a_tls_error(authority: CertificateAuthority) -> None:
    other = authority.server_context("other.example")
    result = await result_over_tls(other, authority.client_context())
    assert (result.status, result.error_class) == (None, ErrorClass.TLS)


async def test_a_certificate_of_an_unknown_authority_is_a_tls_error(authority: CertificateAuthority) -> None:
    result = await result_over_tls(authority.server_context("localhost"), verifying_tls_context())
    assert (result.status, result.error_class) == (None, ErrorClass.TLS)


async def test_a_handshake_that_stalls_ends_at_the_deadline(authority: CertificateAuthority) -> None:
    async with WebhookReceiver(silent=True) as receiver, new_sender(tls=authority.client_context()) as sender:
        url = f"https://localhost:{receiver.port}/"
        result = await sender.send(new_request(url, deadline_s=SHORT_DEADLINE_S))
        assert (result.status, result.error_class) == (None, ErrorClass.TIMEOUT)
        await receiver.wait_until_unconnected()


async def test_plain_http_to_a_server_that_speaks_tls_is_an_error(authority: CertificateAuthority) -> None:
    tls = authority.server_context("localhost")
    async with WebhookReceiver(tls=tls) as receiver, new_sender() as sender:
        result = await sender.send(new_request(f"http://localhost:{receiver.port}/"))
        assert result.error_class in {ErrorClass.PROTOCOL, ErrorClass.RESET}


def test_the_context_for_the_internet_verifies_names_and_refuses_old_versions() -> None:
    context = verifying_tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
