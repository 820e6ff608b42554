"""The nursery: the process that forks runners, warm, and with nothing open that they must not have.

The coordinator asks it, by a pair of sockets. It is not the coordinator itself since that has the
store open: SQLite's own state does not survive a fork, and a runner opens the store, too.

What holds here: coordinator and nursery end with each other.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, NoReturn

_MOST_BYTES = 8 * 1024 * 1024
_ANSWER = struct.Struct("q")

Carrier = Callable[..., NoReturn]
"""What a forked process becomes. Called with the arguments of the request, and `descriptors`."""


class Nursery(NamedTuple):
    """The coordinator's side."""

    line: socket.socket

    def fork(self, carrier: Carrier, *arguments: object, descriptors: list[int]) -> int:
        """Have a process forked that becomes `carrier(*arguments, descriptors=...)`.

        It has copies of `descriptors`, open under other numbers, and nothing else of ours. Returns
        its process number. Raises OSError, EOFError if the nursery is dead.
        """
        data = pickle.dumps((carrier, arguments))
        socket.send_fds(self.line, [struct.pack("q", len(data))], descriptors)
        self.line.sendall(data)
        answer = self.line.recv(_ANSWER.size, socket.MSG_WAITALL)
        if len(answer) < _ANSWER.size:
            raise EOFError("the process that forks runners has ended")
        (number,) = _ANSWER.unpack(answer)
        if number < 0:
            raise OSError(-number, os.strerror(-number))
        return int(number)


def with_nursery(work: Callable[[Nursery], int]) -> int:
    """Run `work` in a process of its own, be its nursery meanwhile, and return its exit code."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        code = 1
        try:
            code = work(Nursery(theirs))
        finally:
            os._exit(code)
    theirs.close()
    signal.signal(signal.SIGCHLD, _collect)
    _serve(ours)
    ours.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _collect(_signum: int, _frame: object) -> None:
    """Let runners go that have ended: who cares for them waits for their locks."""
    for pid in list(_runners):
        with suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                _runners.discard(pid)


_runners: set[int] = set()


def _serve(line: socket.socket) -> None:
    """Fork what the coordinator asks for, until it is gone."""
    while True:
        head, descriptors, _, _ = socket.recv_fds(line, 8, 16)
        if len(head) < 8:
            return
        (size,) = struct.unpack("q", head)
        data = line.recv(min(size, _MOST_BYTES), socket.MSG_WAITALL)
        if len(data) < size:
            return
        number = _fork(data, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        with suppress(BrokenPipeError):
            line.sendall(_ANSWER.pack(number))


def _fork(data: bytes, descriptors: list[int]) -> int:
    """Return the number of the process forked, or the error number below zero."""
    try:
        pid = os.fork()
    except OSError as exc:
        return -(exc.errno or 1)
    if pid != 0:
        _runners.add(pid)
        return pid
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        carrier, arguments = pickle.loads(data)
        carrier(*arguments, descriptors=descriptors)
    finally:
        os._exit(1)
