"""Running the user's commands, and remembering which of them a person approved.

What holds here: a command that a file of the repository asks for runs only after a person approved
exactly that text; a damaged record of approvals approves nothing and is never overwritten; what
commands print never reaches our stdout.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from .atomic import write_atomically
from .errors import HookFailed, HookUntrusted, LedgerError, LedgerTooNew, remedy
from .faults import reached
from .gitrepo import BUSY_VARIABLE, clean_environment
from .locks import held
from .model import Settings
from .presence import is_dir
from .statedir import OR_ELSEWHERE

Approvals = dict[str, list[str]]
"""Digests by common git directory, the latest last."""

PREPARE = "prepare"
"""The moment whose commands run in a spare, before it is known whose worktree it will be."""

_VERSION = 1
_MAX_DIGESTS = 20
_MAX_FILE_BYTES = 4 * 1024 * 1024
_MAX_SHOWN = 120
_GRACE_SECONDS = 5.0
_WITHOUT = "create, finish and remove also go without hooks: --no-hooks"
_EXIT_MEANINGS = {126: ", it cannot be executed", 127: ", command not found"}


class _Damaged(Exception):
    """The record of approvals is none."""


# ---- trust ------------------------------------------------------------------------------------


def commands_digest(settings: Settings) -> str | None:
    """Return the digest of all commands the repository asks for, or None if there are none.

    It covers each moment and the exact text of its commands, not the scripts that they call.
    """
    asked = {
        moment: hook.commands
        for moment, hook in settings.hooks.items()
        if hook.from_repository and hook.commands
    }
    if not asked:
        return None
    text = json.dumps(asked, sort_keys=True)
    return _digest(text.encode())


def template_digest(template: str) -> str:
    """Return the digest of a template of the repository's own."""
    return _digest(b"template\0" + template.encode())


def _digest(data: bytes) -> str:
    from hashlib import sha256

    return sha256(data).hexdigest()


def is_trusted(state_dir: Path, common_dir: Path, digest: str) -> bool:
    """Whether a person approved the commands of `digest` for this repository."""
    try:
        return digest in _load(_record(state_dir)).get(_key(common_dir), [])
    except (_Damaged, LedgerError):
        return False


def trust(state_dir: Path, common_dir: Path, digest: str, *, lock_timeout: float) -> None:
    """Record that a person approved the commands of `digest` for this repository.

    Earlier approvals are kept, so that switching back to an older branch does not ask again.
    A damaged record is set aside. Raises LockTimeout, LedgerError.
    """
    with _locked(state_dir, lock_timeout):
        path = _record(state_dir)
        try:
            approvals = _load(path)
        except _Damaged:
            _set_aside(path)
            approvals = {}
        known = [other for other in approvals.get(_key(common_dir), []) if other != digest]
        approvals[_key(common_dir)] = [*known, digest][-_MAX_DIGESTS:]
        _save(path, approvals)


def revoke(state_dir: Path, common_dir: Path, *, lock_timeout: float) -> bool:
    """Forget every approval for this repository; return whether there was one.

    A damaged record approves nothing, and is left for `trust` to set aside.
    Raises LockTimeout, LedgerError.
    """
    with _locked(state_dir, lock_timeout):
        path = _record(state_dir)
        try:
            approvals = _load(path)
        except _Damaged:
            return False
        if approvals.pop(_key(common_dir), None) is None:
            return False
        _save(path, approvals)
        return True


def require_trusted(
    settings: Settings, state_dir: Path, common_dir: Path, moments: Collection[str]
) -> None:
    """Raise HookUntrusted if one of `moments` has commands of the repository nobody approved."""
    asking = [
        moment for moment, hook in settings.hooks.items() if hook.from_repository and hook.commands
    ]
    digest = commands_digest(settings)
    if digest is None or not set(asking) & set(moments):
        return
    if is_trusted(state_dir, common_dir, digest):
        return
    count = sum(len(settings.hooks[moment].commands) for moment in asking)
    raise HookUntrusted(
        f"the repository {common_dir} asks in its adw-worktree.toml or pyproject.toml to run "
        f"{count} command{'' if count == 1 else 's'} ({', '.join(asking)}) that nobody has "
        "approved; nothing was run",
        hint=f"adw-worktree trust; {_WITHOUT}",
    )


def _record(state_dir: Path) -> Path:
    # In a directory shared by a group, everybody approves for himself.
    with suppress(FileNotFoundError):
        if state_dir.stat().st_uid != os.geteuid():
            return state_dir / f"trust-{os.geteuid()}.json"
    return state_dir / "trust.json"


def _key(common_dir: Path) -> str:
    return str(common_dir.resolve())


@contextmanager
def _locked(state_dir: Path, timeout: float) -> Iterator[None]:
    path = _record(state_dir)
    try:
        if not is_dir(state_dir):
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            reached("state.directory")
    except OSError as exc:
        raise _unusable(path, exc) from exc
    what = f"the record of approvals {path}"
    with held(path.with_suffix(".lock"), timeout, what, way_out=OR_ELSEWHERE):
        yield


def _load(path: Path) -> Approvals:
    """Return the approvals, none without a file.

    Raises _Damaged, LedgerTooNew for a later version's record, LedgerError if it cannot be read.
    """
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_FILE_BYTES:
            raise _Damaged
        # What another user could have written approves nothing.
        if found.st_uid not in (os.geteuid(), 0) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise _Damaged
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise _unusable(path, exc) from exc
    except (ValueError, RecursionError) as exc:
        raise _Damaged from exc
    return _decode(path, document)


def _decode(path: Path, document: object) -> Approvals:
    if not isinstance(document, dict):
        raise _Damaged
    version, approvals = document.get("schema_version"), document.get("repositories")
    if type(version) is int and version > _VERSION:
        raise LedgerTooNew(
            f"{path} was written by a later adw-worktree", hint="upgrade adw-worktree"
        )
    if type(version) is not int or version != _VERSION or not isinstance(approvals, dict):
        raise _Damaged
    for digests in approvals.values():
        if not isinstance(digests, list) or not all(isinstance(one, str) for one in digests):
            raise _Damaged
    return approvals


def _save(path: Path, approvals: Approvals) -> None:
    document = {"schema_version": _VERSION, "repositories": approvals}
    try:
        write_atomically(path, json.dumps(document, indent=2).encode() + b"\n", mode=0o600)
    except OSError as exc:
        raise _unusable(path, exc) from exc


def _set_aside(path: Path) -> None:
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    try:
        path.rename(path.with_name(f"{path.name}.corrupt-{now}"))
        reached("trust.set-aside")
    except OSError as exc:
        raise _unusable(path, exc) from exc


def _unusable(path: Path, exc: OSError) -> LedgerError:
    return LedgerError(
        f"the record of approvals {path} cannot be used: {exc.strerror}",
        hint=f"{remedy(exc, path.parent)}{OR_ELSEWHERE}",
    )


# ---- running ----------------------------------------------------------------------------------


def run_hooks(
    moment: str,
    settings: Settings,
    *,
    cwd: Path,
    variables: Mapping[str, str],
    output: int | None = 2,
) -> None:
    """Run the commands of `moment` in order in `cwd`, with `variables` in their environment.

    `output` is the file descriptor that gets both of their streams; None drops them. Whether the
    commands are approved is for `require_trusted`, before anything is begun.

    Raises HookFailed at the first command that cannot be started or exits non-zero. On Ctrl-C or
    another exception the command is given time to end, then ended, and the exception goes on.
    """
    hook = settings.hooks.get(moment)
    environ = {**clean_environment(), **variables}
    environ.pop(BUSY_VARIABLE, None)
    for command in hook.commands if hook is not None else ():
        reached("user-hook.before")
        _run(moment, command, cwd, environ, output)
        reached("user-hook.after")


def _run(
    moment: str,
    command: str | tuple[str, ...],
    cwd: Path,
    environ: Mapping[str, str],
    output: int | None,
) -> None:
    # `--`: a line that begins with a dash is a command too, not an option of sh.
    argv = ["sh", "-c", "--", command] if isinstance(command, str) else list(command)
    stream = subprocess.DEVNULL if output is None else output
    try:
        child = subprocess.Popen(
            argv, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
        )
    except OSError as exc:
        missing = "" if is_dir(cwd) else f" (there is no directory {cwd})"
        reason = f"could not be started: {exc.strerror}{missing}"
        raise _failed(moment, command, reason) from exc
    except ValueError as exc:  # a NUL byte in a variable
        raise _failed(moment, command, f"could not be started: {exc}") from exc
    status = _wait(child)
    if status != 0:
        raise _failed(moment, command, _ending(status))


def _wait(child: subprocess.Popen[bytes]) -> int:
    """Return the child's exit status; leave no child behind if something interrupts."""
    try:
        return child.wait()
    except KeyboardInterrupt:
        # The terminal sent Ctrl-C to the child as well: it may be cleaning up.
        _end(child, ask=False)
        raise
    except BaseException:
        _end(child, ask=True)
        raise


def _end(child: subprocess.Popen[bytes], *, ask: bool) -> None:
    """Give the child time to end, telling it first if `ask`; then end it."""
    try:
        if ask:
            child.terminate()
        child.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        if not ask:
            _end(child, ask=True)
    finally:  # a second Ctrl-C comes through here
        child.kill()
        child.wait()


def _ending(status: int) -> str:
    if status > 0:
        return f"failed with exit status {status}{_EXIT_MEANINGS.get(status, '')}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _failed(moment: str, command: str | tuple[str, ...], reason: str) -> HookFailed:
    return HookFailed(
        f"the {moment} hook `{_shown(command)}` {reason}",
        hint=f"mend the command; {_WITHOUT}",
    )


def _shown(command: str | tuple[str, ...]) -> str:
    """Return the command cut short and on one line, what is not printable escaped."""
    text = command if isinstance(command, str) else shlex.join(command)
    text = text.strip()
    cut = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in cut)
