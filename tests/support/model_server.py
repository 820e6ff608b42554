"""A model that does what a test says: a server that real programs take for their model's.

    with ModelServer() as model:
        model.script = {"FIX-IT": [Edit("a.txt", "fixed\n"), Say("done")]}

runs the two turns wherever `FIX-IT` is in the prompt, in each conversation from the first one on;
the last turn is repeated. Several programs may talk to it at once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.support.model_protocols import (
    Asked,
    asked_by_claude,
    asked_by_codex,
    claude_events,
    claude_limit,
    codex_events,
    codex_limit,
)
from tests.support.model_turns import BreakOff, Fail, Hang, Limit, Say, Streamed, Turn, Usage

Script = Callable[[str, int], Turn] | Mapping[str, Sequence[Turn]]
"""Chooses a turn by the prompt and the number of the turn, from 0 on; or the turns by a word that
is in the prompt."""

_AUXILIARY = Say("ok", usage=Usage(input=10, output=1))
_CODEX_CONFIG = """\
model = "gpt-5.5"
model_provider = "local"
check_for_update_on_startup = false
analytics.enabled = false
# It would wait for a connection for ever, and ask the network for plugins.
features = {{ unbounded_connection_retries = false, apps = false, plugins = false }}

[model_providers.local]
name = "local"
base_url = "{address}/v1"
env_key = "LOCAL_MODEL_KEY"
wire_api = "responses"
request_max_retries = {retries}
stream_max_retries = {retries}
"""


class Request(NamedTuple):
    """One request of a program, and what it was answered."""

    asked: Asked
    turn: int | None
    """None if it is auxiliary, and took no turn of the script."""
    answer: Turn
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        """The prompt that is worked on."""
        return self.asked.prompts[-1] if self.asked.prompts else ""


class ModelServer:
    """The server, its script, and what it was asked."""

    def __init__(self, script: Script | None = None) -> None:
        self.script: Script = script if script is not None else {}
        self.requests: list[Request] = []
        """Without those that took no turn, see `auxiliary`."""
        self.auxiliary: list[Request] = []
        self.strays: list[str] = []
        """Whatever else was asked for, such as a host in the network."""
        self._turns: Counter[tuple[str, ...]] = Counter()
        self._lock = Lock()
        self._is_over = Event()
        self._server = _Server(self)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it; a connection is refused from then on."""
        if not self._is_over.is_set():
            self._is_over.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def environment(self, home: Path, *, retries: int = 0) -> dict[str, str]:
        """Write the programs' configuration into `home`; return the variables that they need.

        They take this server for their model's, and for the way into the network, which it is not.
        """
        codex = home / ".codex"
        codex.mkdir(parents=True, exist_ok=True)
        (codex / "config.toml").write_text(
            _CODEX_CONFIG.format(address=self.address, retries=retries)
        )
        return {
            "HOME": str(home),
            "ANTHROPIC_BASE_URL": self.address,
            "CLAUDE_CODE_OAUTH_TOKEN": "none",  # an account's: those have limits
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",
            "CLAUDE_CODE_MAX_RETRIES": str(retries),
            "IS_SANDBOX": "1",  # root, too, may do without permissions
            "CODEX_HOME": str(codex),
            "LOCAL_MODEL_KEY": "none",
            "HTTP_PROXY": self.address,
            "HTTPS_PROXY": self.address,
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def wait(self, seconds: float) -> bool:
        """Wait as long as the model thinks; return whether the server is over."""
        return self._is_over.wait(seconds)

    def hang(self) -> None:
        """Wait for the server's end."""
        self._is_over.wait()

    def answer(self, asked: Asked, body: dict[str, Any]) -> Turn:
        """Return what a request is answered, and note it."""
        with self._lock:
            if asked.is_auxiliary:
                self.auxiliary.append(Request(asked, None, _AUXILIARY, body))
                return _AUXILIARY
            key = (asked.session, *asked.prompts)
            number = self._turns[key]
            self._turns[key] += 1
            turn = self._chosen(asked.prompts[-1] if asked.prompts else "", number)
            self.requests.append(Request(asked, number, turn, body))
            return turn

    def _chosen(self, prompt: str, number: int) -> Turn:
        if callable(self.script):
            return self.script(prompt, number)
        for word, turns in self.script.items():
            if word in prompt:
                return turns[min(number, len(turns) - 1)]
        return Fail(400, f"the script has nothing for this prompt: {prompt[:200]}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, model: ModelServer) -> None:
        self.model = model
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing on the test's stderr of a program that was ended."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        match self.path.partition("?")[0]:
            case "/v1/messages":
                self._answer(asked_by_claude(headers, body), body)
            case "/v1/messages/count_tokens":
                self._send(200, {"input_tokens": 100})
            case "/v1/responses":
                self._answer(asked_by_codex(headers, body), body)
            case _:
                self._stray()

    def do_HEAD(self) -> None:
        self._send(200)

    def do_GET(self) -> None:
        if self.path.partition("?")[0] == "/v1/models":
            self._send(200, {"data": [], "models": []})
        else:
            self._stray()

    def do_CONNECT(self) -> None:
        self._stray()

    def _stray(self) -> None:
        self.server.model.strays.append(f"{self.command} {self.path}")
        self._send(404, {"error": {"message": "there is no network here"}})

    def _answer(self, asked: Asked, body: dict[str, Any]) -> None:
        turn = self.server.model.answer(asked, body)
        if isinstance(turn, Limit):
            turn = claude_limit(turn) if asked.program == "claude" else codex_limit(turn)
        if isinstance(turn, Hang):
            self.server.model.hang()
            self.close_connection = True
        elif isinstance(turn, Fail):
            error = {"type": turn.kind, "message": turn.message, **turn.details}
            self._send(turn.status, {"type": "error", "error": error}, turn.headers)
        elif isinstance(turn, BreakOff) or not self.server.model.wait(turn.seconds):
            self._stream(asked, turn)

    def _stream(self, asked: Asked, turn: Streamed) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        if not isinstance(turn, BreakOff):
            for name, value in turn.headers.items():
                self.send_header(name, value)
        self.end_headers()
        events = claude_events if asked.program == "claude" else codex_events
        for name, said in events(asked, turn):
            data = f"event: {name}\ndata: {json.dumps({'type': name, **said})}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        if isinstance(turn, BreakOff):
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _send(
        self, status: int, document: object = None, headers: Mapping[str, str] | None = None
    ) -> None:
        data = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_request(self, *_: object) -> None:
        """Say nothing on the test's stderr."""
