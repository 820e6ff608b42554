"""Running the command line in real processes that need not load it anew each time.

A server imports the package and runs nothing of it; each command is a process forked from that,
with the environment, directory and streams of the call. It saves the start of Python and the
imports, which are most of what a short command costs. Whatever depends on how Python starts (its
own variables, another locale, fault points, another program) is started anew: see `is_usual`.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_COLD = ("PYTHON", "LC_", "LANG", "LANGUAGE", "ADW_FAULT", "LD_", "COV")
_STATUS = struct.Struct("i")


class Result(NamedTuple):
    """What a process left."""

    returncode: int
    stdout: bytes
    stderr: bytes


def is_usual(environ: Mapping[str, str]) -> bool:
    """Return whether Python would start under `environ` as the server does, or did."""
    global _cold
    mine = {name: text for name, text in environ.items() if name.startswith(_COLD)}
    # Of these each process makes something as it starts, also the first that is ever asked about.
    if {"ADW_FAULT", "LD_PRELOAD"} & mine.keys() or mine.get("LC_ALL") != "C.UTF-8":
        return False
    _cold = mine if _cold is None else _cold
    return mine == _cold


_cold: dict[str, str] | None = None
_server: subprocess.Popen[bytes] | None = None
_starting = threading.Lock()
_place = ""


def run(
    words: Sequence[str], directory: Path, environ: Mapping[str, str], timeout: float
) -> Result:
    """Run the command line with `words` and return what it left.

    Raises subprocess.TimeoutExpired with the process killed.
    """
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(_started())
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        request = json.dumps([[*words], str(directory), dict(environ)]).encode(
            "utf-8", "surrogatepass"
        )
        socket.send_fds(line, [struct.pack("q", len(request))], [out_end, err_end])
        line.sendall(request)
        os.close(out_end)
        os.close(err_end)
        (pid,) = _STATUS.unpack(line.recv(_STATUS.size, socket.MSG_WAITALL))
        try:
            texts = _read({out: b"", err: b""}, time.monotonic() + timeout)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired([*words], timeout) from None
        finally:
            os.close(out)
            os.close(err)
        (status,) = _STATUS.unpack(line.recv(_STATUS.size, socket.MSG_WAITALL))
    return Result(os.waitstatus_to_exitcode(status), texts[out], texts[err])


def _read(texts: dict[int, bytes], deadline: float) -> dict[int, bytes]:
    """Return what comes from each descriptor until its end. Raises TimeoutError."""
    with selectors.DefaultSelector() as selector:
        for descriptor in texts:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                texts[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
    return texts


def _started() -> str:
    """Return where the server of this process listens; it is started now if it was not."""
    global _server
    with _starting:
        if _server is None:
            _server = _start()
    return _place


def _start() -> subprocess.Popen[bytes]:
    global _place
    directory = tempfile.mkdtemp(prefix="warm-", dir="/tmp")
    _place = f"{directory}/s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(_place)
        listener.listen(128)
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm_start", str(listener.fileno())],
            stdin=subprocess.PIPE,  # its end is ours
            pass_fds=[listener.fileno()],
            cwd=Path(__file__).parents[2],
        )
    atexit.register(_stop, directory)
    return server


def _stop(directory: str) -> None:
    assert _server is not None
    _server.kill()
    _server.wait()
    os.unlink(_place)
    os.rmdir(directory)


# ---- the server --------------------------------------------------------------------------------


def _serve(listener: socket.socket) -> None:
    """Fork a process for each call, until whoever started us is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        while True:
            if any(key.fd == 0 for key, _ in selector.select()):
                return
            line, _ = listener.accept()
            if os.fork() == 0:
                selector.close()
                listener.close()
                try:
                    _answer(line)
                finally:
                    os._exit(0)
            line.close()


def _answer(line: socket.socket) -> None:
    """Run one command, and say first its process number, then how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, streams, _, _ = socket.recv_fds(line, 8, 2)
    (size,) = struct.unpack("q", head)
    words, directory, environ = json.loads(line.recv(size, socket.MSG_WAITALL))
    pid = os.fork()
    if pid == 0:
        line.close()
        _become(words, directory, environ, streams)
    for stream in streams:
        os.close(stream)
    line.sendall(_STATUS.pack(pid))
    _, status = os.waitpid(pid, 0)
    line.sendall(_STATUS.pack(status))


def _become(
    words: Sequence[str], directory: str, environ: Mapping[str, str], streams: Sequence[int]
) -> None:
    """Be the command line, as if Python had just started."""
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, stream in enumerate(streams, 1):
            os.dup2(stream, number)
        os.closerange(3, 64)
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(directory)
        sys.argv[1:] = words
        sys.orig_argv = [sys.executable, "-m", "adw_worktree", *words]
        from adw_worktree.__main__ import run as run_command_line

        run_command_line()
    except SystemExit as exc:
        os._exit(exc.code if isinstance(exc.code, int) else 1)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


def _load() -> None:
    """Import what commands import: all that lies on the way of the common ones."""
    import pkgutil

    import adw_worktree.cli.commands

    for module in pkgutil.iter_modules(adw_worktree.cli.commands.__path__):
        __import__(f"adw_worktree.cli.commands.{module.name}")
    for name in (
        "adw_worktree.__main__", "adw_worktree.cli.main", "adw_worktree.worktrees.heal",
        "adw_worktree.cli.parser", "adw_worktree.pool.claims", "adw_worktree.worktrees.trash",
        "adw_worktree.worktrees.without_tree", "adw_worktree.worktrees.create_undo",
        "argparse", "json", "subprocess", "datetime", "psutil", "pydantic", "shutil", "tomllib",
        "concurrent.futures.thread", "unicodedata", "hashlib",
    ):  # fmt: skip
        __import__(name)


if __name__ == "__main__":
    _load()
    import gc

    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
