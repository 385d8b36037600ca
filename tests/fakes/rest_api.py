"""A REST API that answers what a test tells it to, for clients of the public API."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Answer = tuple[int, Any]


@dataclass(slots=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    api_key: str
    body: Any


@dataclass(slots=True)
class RestApi:
    """Answers by `METHOD /path`: one after the other, the last one for ever. Text answers are sent as they are."""

    answers: dict[str, list[Answer]]
    asked: list[Asked] = field(default_factory=list[Asked])
    url: str = ""

    def answer(self, asked: Asked) -> Answer:
        """Note the request and choose its answer."""
        self.asked.append(asked)
        waiting = self.answers.get(f"{asked.method} {asked.path}", [])
        if not waiting:
            return 404, {"success": False, "error": f"No such route: {asked.path}", "code": "not_found"}
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


@contextmanager
def rest_api(answers: dict[str, list[Answer]]) -> Generator[RestApi]:
    """Serve these answers on a free port while the block runs."""
    api = RestApi(answers)

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            address = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            query = dict(parse_qsl(address.query))
            key = self.headers.get("X-API-Key", "")
            status, document = api.answer(Asked(self.command, address.path, query, key, body))
            payload = document.encode() if isinstance(document, str) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = handle_any  # noqa: N815 - the names that http.server looks for

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
