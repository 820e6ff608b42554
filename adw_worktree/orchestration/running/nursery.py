"""The nursery: the process that forks runners, warm, and with nothing open that they must not have.

The coordinator asks it, by a pair of sockets. It is not the coordinator itself since that has the
store open: SQLite's own state does not survive a fork, and a runner opens the store, too.

One process is forked ahead, and rehearses what the last one did: what it has touched is its own
then, and the next phase starts sooner by a third.

What holds here: coordinator and nursery end with each other, and who stands by ends with them.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple, NoReturn

from adw_worktree.errors import AdwError, Unexpected

_MOST_BYTES = 8 * 1024 * 1024
_MOST_DESCRIPTORS = 16
_QUIET_SECONDS = 0.1
_SIZE = _ANSWER = struct.Struct("q")

Carrier = Callable[..., NoReturn]
"""What a forked process becomes. Called with the arguments of the request, and `descriptors`."""


class Nursery(NamedTuple):
    """The coordinator's side."""

    line: socket.socket

    def fork(self, carrier: Carrier, *arguments: object, descriptors: list[int]) -> int:
        """Have a process forked that becomes `carrier(*arguments, descriptors=...)`.

        It has copies of `descriptors`, open under other numbers, and nothing else of ours. Returns
        its process number. Raises OSError, Unexpected if the nursery is dead.
        """
        data = pickle.dumps((carrier, arguments))
        try:
            _hand_over(self.line, data, descriptors)
            answer = self.line.recv(_ANSWER.size, socket.MSG_WAITALL)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        if len(answer) < _ANSWER.size:
            raise was_killed()
        (number,) = _ANSWER.unpack(answer)
        if number < 0:
            raise OSError(-number, os.strerror(-number))
        return int(number)


def was_killed() -> Unexpected:
    """Return the error that the nursery is dead."""
    return Unexpected(
        "the process that forks runners was killed",
        hint="what runs goes on, and starts another coordinator",
    )


Rehearsal = Callable[..., object]
"""What a process that stands by does with the arguments of the last request. Changes nothing."""


def with_nursery(work: Callable[[Nursery], int], rehearse: Rehearsal) -> int:
    """Run `work` in a process of its own, be its nursery meanwhile, and return its exit code."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        code = 1
        try:
            code = work(Nursery(theirs))
        except AdwError as exc:
            print(f"the coordinator: {exc.message}", file=sys.stderr, flush=True)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    theirs.close()
    signal.signal(signal.SIGCHLD, _collect)
    # Who stops a service tells the process that it has started: this one.
    before = signal.signal(signal.SIGTERM, lambda signum, _frame: os.kill(child, signum))
    _serve(ours, rehearse)
    ours.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, before)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _collect(_signum: int, _frame: object) -> None:
    """Let runners go that have ended: who cares for them waits for their locks."""
    for pid in list(_runners):
        with suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                _runners.discard(pid)


_runners: set[int] = set()


class _StandBy(NamedTuple):
    """A process that was forked ahead."""

    pid: int
    line: socket.socket

    def take(self, data: bytes, descriptors: list[int]) -> bool:
        """Hand a request over; return whether it is still there to take it."""
        try:
            _hand_over(self.line, data, descriptors)
        except OSError:
            return False
        finally:
            self.line.close()
        return True


def _serve(line: socket.socket, rehearse: Rehearsal) -> None:
    """Fork what the coordinator asks for, until it is gone."""
    ahead: _StandBy | None = None
    last = b""
    while True:
        # Not before those that were just started have the processor no more.
        if ahead is None and last and not select.select([line], [], [], _QUIET_SECONDS)[0]:
            ahead = _fork_ahead(line, partial(_rehearse, rehearse, last))
        request = _received(line)
        if request is None:
            return
        last, descriptors = request
        if ahead is not None and ahead.take(last, descriptors):
            number = ahead.pid
        else:
            number = _forked(partial(_become, last, descriptors))
        ahead = None
        for descriptor in descriptors:
            os.close(descriptor)
        with suppress(BrokenPipeError):
            line.sendall(_ANSWER.pack(number))


def _fork_ahead(line: socket.socket, rehearse: Callable[[], object]) -> _StandBy | None:
    """Return a process that waits for a request; None if it cannot be had now."""
    ours, theirs = socket.socketpair()

    def stand_by() -> None:
        line.close()
        ours.close()
        with suppress(Exception):  # it may be cut short at any time, and is only to save some
            rehearse()
        request = _received(theirs)
        if request is not None:
            theirs.close()
            _become(*request)

    pid = _forked(stand_by)
    theirs.close()
    if pid < 0:
        ours.close()
        return None
    return _StandBy(pid, ours)


def _rehearse(rehearse: Rehearsal, data: bytes) -> None:
    _, arguments = pickle.loads(data)
    rehearse(*arguments)


def _become(data: bytes, descriptors: list[int]) -> None:
    carrier, arguments = pickle.loads(data)
    carrier(*arguments, descriptors=descriptors)


def _forked(work: Callable[[], object]) -> int:
    """Return the number of a process forked for `work`, or the error number below zero."""
    try:
        pid = os.fork()
    except OSError as exc:
        return -(exc.errno or 1)
    if pid != 0:
        _runners.add(pid)
        return pid
    try:
        for signum in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(signum, signal.SIG_DFL)
        work()
    finally:
        os._exit(1)


def _hand_over(line: socket.socket, data: bytes, descriptors: list[int]) -> None:
    """Send a request. Raises OSError."""
    socket.send_fds(line, [_SIZE.pack(len(data))], descriptors)
    line.sendall(data)


def _received(line: socket.socket) -> tuple[bytes, list[int]] | None:
    """Return the next request; None at the end of the line."""
    head, descriptors, _, _ = socket.recv_fds(line, _SIZE.size, _MOST_DESCRIPTORS)
    if len(head) < _SIZE.size:
        return None
    (size,) = _SIZE.unpack(head)
    data = line.recv(min(size, _MOST_BYTES), socket.MSG_WAITALL)
    return (data, descriptors) if len(data) == size else None
