"""A client of the public REST API for the command line: one request at a time, faults as sentences.

Owns where the API is and which key to use: options, then INFINIREACH_URL and INFINIREACH_API_KEY, then run.json of a
gateway that runs on this machine. Knows no route.
"""

import http.client
import json
import os
import ssl
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import typer

from core.cli import run_file
from core.cli.output import CommandFailed
from core.config import PREFIX

TIMEOUT_S = 30.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024

UrlOption = Annotated[str, typer.Option("--url", help=f"Address of the API. [env: {PREFIX}URL]")]
KeyOption = Annotated[str, typer.Option("--api-key", help=f"API key. [env: {PREFIX}API_KEY]")]


class RequestRefused(CommandFailed):
    """The API refused the request; the text is its own sentence, with the faulty fields."""

    def __init__(self, status: int, answer: dict[str, Any]) -> None:
        self.status = status
        self.code = str(answer.get("code", ""))
        lines = [str(answer.get("error") or f"The API answered with status {status}.")]
        details = answer.get("details")
        if isinstance(details, list):
            lines += [f"  {detail.get('field', '')}: {detail.get('issue', '')}" for detail in details]
        if request_id := answer.get("requestId"):
            lines.append(f"  request {request_id}")
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class RestClient:
    """Where the API is and with which key to call it."""

    url: str
    api_key: str = field(repr=False)
    timeout_s: float = TIMEOUT_S
    ca: str = ""
    """File with the certificates to trust; empty: the system's."""

    def get(self, path: str, **query: object) -> dict[str, Any]:
        """GET; query values that are None or empty are left out. Raises CommandFailed."""
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return self._request("GET", f"{path}?{urlencode(given)}" if given else path, None)

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """POST a JSON object. Raises CommandFailed."""
        return self._request("POST", path, body or {})

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        address = urlsplit(self.url)
        connection = self._connection(address)
        try:
            connection.request(
                method,
                address.path.rstrip("/") + path,
                None if body is None else json.dumps(body).encode(),
                {"X-API-Key": self.api_key, "Content-Type": "application/json", "Accept": "application/json"},
            )
            response = connection.getresponse()
            answer = _read(response.read(ANSWER_BYTES_MAX))
        except ConnectionRefusedError:
            raise CommandFailed(f"Nothing answers at {self.url}. Start the gateway: infinireach up") from None
        except ValueError:  # http.client quotes what it cannot send, which may be the key
            raise CommandFailed("The API key holds characters that no API key has.") from None
        except (OSError, http.client.HTTPException) as error:
            raise CommandFailed(f"No answer from {self.url}: {error}") from None
        finally:
            connection.close()
        if answer is None:
            raise CommandFailed(
                f"{self.url} is no Infini Reach API: it answered with something else than JSON."
            )
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise RequestRefused(response.status, answer)
        return answer

    def _connection(self, address: SplitResult) -> http.client.HTTPConnection:
        host, timeout_s = address.hostname or "", self.timeout_s
        if address.scheme != "https":
            return http.client.HTTPConnection(host, address.port, timeout=timeout_s)
        try:
            trust = ssl.create_default_context(cafile=self.ca or None)
        except OSError as error:
            raise CommandFailed(f"{self.ca}: the certificate cannot be read: {error}") from None
        return http.client.HTTPSConnection(host, address.port, timeout=timeout_s, context=trust)


def client(url: str, api_key: str) -> RestClient:
    """The client that the options, the environment or run.json describe. Raises CommandFailed."""
    var = Path(os.environ.get(f"{PREFIX}VAR") or "var")
    running = run_file.read(var)
    given_url = url or os.environ.get(f"{PREFIX}URL")
    found_url = given_url or running.get("restTls") or running.get("rest", "")
    key = api_key or os.environ.get(f"{PREFIX}API_KEY") or running.get("apiKey", "")
    if not found_url:
        raise CommandFailed(
            f"No gateway runs with the data folder {var}. Start one with infinireach up, or give its address with "
            f"--url or {PREFIX}URL."
        )
    if not key:
        raise CommandFailed(f"An API key is needed: --api-key or {PREFIX}API_KEY.")
    if not _is_address(found_url):
        raise CommandFailed(f"{found_url} is no address such as http://127.0.0.1:8080.")
    return RestClient(found_url, key, ca="" if given_url else running.get("ca", ""))


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an address in them, a port past 65535
        return False


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


def _read(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body) if body else {}
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
