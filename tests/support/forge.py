"""A server with the issues of GitHub: well, slow, limited, broken, or elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

TOKEN = "github_pat_11AAAAAAA0123456789abcdef"
PLACE = "/repos/acme/app/issues"


class Request(NamedTuple):
    """What was asked for."""

    method: str
    path: str
    headers: dict[str, str]
    """Their names in small letters."""


class Trouble(NamedTuple):
    """What a request gets instead of what it wants."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b'{"message": "in trouble"}'
    length: int | None = None
    """The length that it promises; None: the true one."""
    is_done: bool = False
    """Whether the request does what it wants all the same."""


class Forge:
    """The issues of `acme/app`, and what was asked for."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Request] = []
        self.troubles: list[Trouble | None] = []
        """For the next requests, None for one that goes well; after them all do."""
        self.answers = Event()
        """Whether it answers, or says nothing until it does."""
        self.answers.set()
        self.drops_labels = False
        """Whether its user may set none, as without the right to push."""
        self.place = PLACE
        self.issues: list[dict[str, Any]] = []
        self.comments: dict[int, list[dict[str, Any]]] = {}

    @property
    def address(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def changes(self) -> list[str]:
        """The methods of the requests that change something."""
        return [one.method for one in self.requests if one.method != "GET"]

    def words(self, number: int) -> list[str]:
        """Return the comments on an issue, without their marks."""
        return [one["body"].partition("\n")[2] for one in self.comments.get(number, [])]

    def add(self, **issue: Any) -> dict[str, Any]:
        """Add an issue."""
        number = len(self.issues) + 1
        url = f"https://github.com/acme/app/issues/{number}"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        whole = {"number": number, "html_url": url, "state": "open", "updated_at": now, **issue}
        self.issues.append(whole)
        return self.issues[-1]

    def answer(
        self, method: str, path: str, query: Mapping[str, str], document: Any
    ) -> tuple[int, Any]:
        """Return the status and the document that a request leads to."""
        parts = path.removeprefix(self.place).strip("/").split("/")
        if not path.startswith(self.place):
            return 404, {"message": "Not Found"}
        if parts == [""] and method == "GET":
            since = query["since"]
            return 200, [one for one in reversed(self.issues) if one["updated_at"] >= since]
        if parts == [""]:
            return 201, self.add(**(document | ({"labels": []} if self.drops_labels else {})))
        issue = self.issues[int(parts[0]) - 1]
        if method == "PATCH":
            issue.update(document)
            return 200, issue
        comments = self.comments.setdefault(issue["number"], [])
        if method == "GET":
            return 200, comments
        comments.append(document)
        return 201, document


@contextmanager
def serving(forge: Forge) -> Iterator[None]:
    """Have the forge listen; on the port that it had before, if it had one."""

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            parts = urlsplit(self.path)
            headers = {name.lower(): text for name, text in self.headers.items()}
            forge.requests.append(Request(self.command, parts.path, headers))
            forge.answers.wait()
            trouble = forge.troubles.pop(0) if forge.troubles else None
            if trouble is not None and not trouble.is_done:
                self._send(trouble.status, trouble.body, trouble.headers, trouble.length)
                return
            if headers.get("authorization") != f"Bearer {TOKEN}":
                self._send(401, b'{"message": "Bad credentials"}', {}, None)
                return
            query = {name: texts[0] for name, texts in parse_qs(parts.query).items()}
            asked = json.loads(body) if body else None
            status, document = forge.answer(self.command, parts.path, query, asked)
            if trouble is not None:
                self._send(trouble.status, trouble.body, trouble.headers, trouble.length)
                return
            links = {}
            if isinstance(document, list):
                size, page = int(query["per_page"]), int(query["page"])
                document = document[(page - 1) * size :]
                if len(document) > size:
                    links = {"Link": f'<{forge.address}{parts.path}?page={page + 1}>; rel="next"'}
                document = document[:size]
            self._send(status, json.dumps(document).encode(), links, None)

        def do_GET(self) -> None:
            self._any()

        def do_POST(self) -> None:
            self._any()

        def do_PATCH(self) -> None:
            self._any()

        def _send(
            self, status: int, body: bytes, headers: Mapping[str, str], length: int | None
        ) -> None:
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, *_: object) -> None:
            """Say nothing on the test's stderr."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of those who do not wait for the answer."""

    server = Server(("127.0.0.1", forge.port), Handler)
    forge.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        forge.answers.set()
        server.shutdown()
        server.server_close()
        thread.join()
