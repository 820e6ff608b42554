"""A server that takes what is posted to it: well, slowly, with an error, or not at all."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple


class Posted(NamedTuple):
    """One request."""

    headers: dict[str, str]
    """Their names in small letters."""
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """What the body says."""
        document: dict[str, Any] = json.loads(self.body)
        return document


class Receiver:
    """The server, and what it was sent."""

    def __init__(self) -> None:
        self.port = 0
        self.posted: list[Posted] = []
        self.refusals: list[int] = []
        """Statuses for the next requests; after them all is taken."""
        self.delay = 0.0
        """Seconds before it answers."""

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/events"

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events that it took."""
        return [one.document["kind"] for one in self.posted]


@contextmanager
def receiving(receiver: Receiver) -> Iterator[None]:
    """Have the receiver listen; on the port that it had before, if it had one."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(receiver.delay)
            status = receiver.refusals.pop(0) if receiver.refusals else 204
            if status == 204:
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.posted.append(Posted(headers, body))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", receiver.address)
            self.end_headers()

        def log_request(self, *_: object) -> None:
            """Say nothing on the test's stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", receiver.port), Handler)
    receiver.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
