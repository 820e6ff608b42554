"""Running the user's commands, and remembering which of them a person approved.

What holds here: a command that a file of the repository asks for runs only after a person approved
exactly that text; a damaged record of approvals approves nothing and is never overwritten; what
commands print never reaches our stdout.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from adw_worktree.errors import HookUntrusted, LedgerError, LedgerTooNew, remedy
from adw_worktree.settings.model import Settings, Table
from adw_worktree.settings.places import OR_ELSEWHERE
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import held
from adw_worktree.system.paths import is_dir

Approvals = dict[str, list[str]]
"""Digests by common git directory, the latest last."""


_VERSION = 1
_MAX_DIGESTS = 20
_MAX_FILE_BYTES = 4 * 1024 * 1024


_WITHOUT = "create, finish and remove also go without hooks: --no-hooks"


class _Damaged(Exception):
    """The record of approvals is none."""


# ---- trust ------------------------------------------------------------------------------------


def commands_digest(settings: Settings) -> str | None:
    """Return the digest of all commands the repository asks for, or None if there are none.

    It covers each moment and agent and the exact text of their commands, not the scripts that they
    call.
    """
    asked = asked_by_repository(settings)
    if not asked:
        return None
    text = json.dumps(asked, sort_keys=True, default=str)
    return _digest(text.encode())


def asked_by_repository(settings: Settings) -> dict[str, object]:
    """Return what files of the repository ask to run: commands by their moment, agents, stages
    and workflows."""
    hooks = {
        moment: hook.commands
        for moment, hook in settings.hooks.items()
        if hook.from_repository and hook.commands
    }
    tables = {
        further_key(kind, name): table.values
        for kind, group in further_tables(settings).items()
        for name, table in group.items()
        if table.from_repository
    }
    return {**hooks, **tables}


def further_tables(settings: Settings) -> dict[str, Mapping[str, Table]]:
    """Return the tables of agents, stages and workflows, by those words."""
    return {
        "agents": settings.agents,
        "stages": settings.stages,
        "workflows": settings.workflows,
    }


def further_key(kind: str, name: str) -> str:
    """Return what an agent, stage or workflow goes by among the moments that are approved."""
    return f"{kind}.{name}"


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


def approving(state_dir: Path) -> list[Path]:
    """Return the common git directories of the repositories for which something is approved.

    Raises LedgerError.
    """
    try:
        return sorted(
            Path(place) for place, digests in _load(_record(state_dir)).items() if digests
        )
    except _Damaged:
        return []


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
    """Raise HookUntrusted if one of `moments` has commands of the repository nobody approved.

    Agents, stages and workflows count as moments, by `further_key`.
    """
    asking = asked_by_repository(settings)
    digest = commands_digest(settings)
    if digest is None or not asking.keys() & set(moments):
        return
    if is_trusted(state_dir, common_dir, digest):
        return
    count = sum(len(commands) if isinstance(commands, tuple) else 1 for commands in asking.values())
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
