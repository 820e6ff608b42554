"""A board in a process of its own, as browsers and programs see it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
from websockets.sync.client import ClientConnection, connect

from tests.support.command_line import Adw
from tests.support.features import kill_all


class BoardProcess:
    """A board that runs, and a program that has its token."""

    def __init__(self, adw: Adw, *options: str) -> None:
        self._adw, self._options = adw, options
        self._port = "0"
        self._client = httpx2.Client(verify=False, timeout=30)
        self.token = adw.json("board", "token")["token"]
        self.start()

    def start(self) -> None:
        """Start it, at the same address if it ran before."""
        command = ("board", "--json", "--port", self._port, *self._options)
        self.process = self._adw.start(*command)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self._error()
        self.document: dict[str, Any] = json.loads(line)
        self.link: str = self.document["link"]
        self.address = "{0.scheme}://{0.netloc}".format(urlsplit(self.link))
        self.listening = int(self.document["port"])
        self._port = str(self.listening)

    def _error(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def kill(self) -> None:
        """Kill it, as a crash does."""
        self.process.kill()
        self.process.communicate()

    def end(self) -> str:
        """End it as Ctrl-C does; return what it has printed."""
        self._client.close()
        self.process.send_signal(signal.SIGINT)
        try:
            said, errors = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert "Traceback" not in errors, errors
        return said + errors

    def new_link(self) -> str:
        """Return another link to it."""
        link: str = self._adw.json("board")["link"]
        return link

    # ---- requests ------------------------------------------------------------------

    def request(
        self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] = {}
    ) -> httpx2.Response:
        """Send a request, with the token unless `headers` say who it is."""
        own = {"Authorization": f"Bearer {self.token}"}
        sent = self._client.request(method, self.address + path, json=body, headers=headers or own)
        self._client.cookies.clear()
        assert sent.status_code != 500, sent.text
        return sent

    def send(self, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post these very bytes; return the status of the answer."""
        return self._client.post(self.address + path, content=body, headers={
            **headers, "Content-Type": "application/json"}).status_code  # fmt: skip

    def get(self, path: str, code: int = 200) -> Any:
        """Return what the API has at a path."""
        return self._answer("GET", path, None, code)

    def post(self, path: str, body: object = None, code: int = 200) -> Any:
        """Return what the API answers."""
        return self._answer("POST", path, body, code)

    def _answer(self, method: str, path: str, body: object, code: int) -> Any:
        answer = self.request(method, f"/api/v1{path}", body)
        assert answer.status_code == code, answer.text
        return answer.json()

    @contextmanager
    def following(self, query: str = "", token: str = "") -> Iterator[Following]:
        """Follow what happens, as a program does."""
        address = f"{self.address.replace('http', 'ws')}/ws/queue{query}"
        headers = {"Authorization": f"Bearer {token or self.token}"}
        with connect(address, additional_headers=headers, max_size=2**26) as socket:
            yield Following(socket)


@contextmanager
def serving(adw: Adw, *options: str) -> Iterator[BoardProcess]:
    """Serve a board for the block; whatever it has started is ended with it."""
    board = BoardProcess(adw, *options)
    try:
        yield board
    finally:
        if board.process.poll() is None:
            board.end()
        kill_all()


class Following:
    """A WebSocket, and the messages that came."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []

    def next(self, timeout: float = 20.0) -> dict[str, Any]:
        """Return the next message."""
        message: dict[str, Any] = json.loads(self.socket.recv(timeout))
        self.messages.append(message)
        return message

    def until(
        self, holds: Callable[[dict[str, Any]], bool], timeout: float = 30.0
    ) -> dict[str, Any]:
        """Return the first message from now on for which that holds."""
        end = time.monotonic() + timeout
        while True:
            message = self.next(max(0.1, end - time.monotonic()))
            if holds(message):
                return message

    def ask(self, **document: str) -> None:
        """Send a message."""
        self.socket.send(json.dumps(document))
