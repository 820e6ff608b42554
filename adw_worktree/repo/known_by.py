"""What tells a repository on every host: its root commit, and where its remote is."""

from __future__ import annotations

import re
from shlex import quote

from adw_worktree.errors import NotARepository, SettingsError
from adw_worktree.repo.git import run_git
from adw_worktree.repo.remotes import preferred_remote
from adw_worktree.repo.repository import Repository

_SCHEME = r"[a-z][a-z0-9+.-]*://(?:[^/@]*@)?([^/]*)(.*)"
_SCP_LIKE = r"(?:[^/@:]+@)?([^/@:]+):(?!//)(.+)"


def root_commit(repo: Repository) -> str:
    """Return the first of the commits that have no parent. Raises NotARepository."""
    # Another worktree may be just in the making, or in the going: its HEAD is not looked at.
    mine = ["--single-worktree", "--ignore-missing"]
    command = ["rev-list", *mine, "--max-parents=0", "--all", "--"]
    roots = sorted(run_git(command, repo.home).stdout.split())
    if not roots:
        raise NotARepository(f"{repo.home} has no commit yet", hint="commit something")
    return roots[0]


def known_by(repo: Repository, setting: str | None) -> str:
    """Return what tells the repository on every host that has it from the same remote.

    `setting` is the setting `remote`. Raises NotARepository, SettingsError.
    """
    return f"{root_commit(repo)} {plain_address(remote_address(repo, setting))}"


def remote_address(repo: Repository, setting: str | None) -> str:
    """Return the address of the remote by which hosts share a repository. Raises SettingsError."""
    remote = preferred_remote(repo, setting)
    asked = run_git(["remote", "get-url", "--", remote], repo.checkout, check=False)
    if asked.returncode != 0:
        raise SettingsError(
            f"hosts that share a store share code by a remote, and {repo.home} has no {remote}",
            hint=f"git remote add {quote(remote)} URL, or name another with the setting remote",
        )
    return asked.stdout.partition("\n")[0]


def plain_address(address: str) -> str:
    """Return an address without the ways and users that differ from host to host.

    `git@host:a/b.git` and `https://host/a/b` are one repository.
    """
    found = re.fullmatch(_SCHEME, address) or re.fullmatch(_SCP_LIKE, address)
    host, path = ("", address) if found is None else found.groups()
    host = re.sub(r":[0-9]*$", "", host).lower()
    path = re.sub(r"(\.git)?/*$", "", path)
    return f"{host}/{path.lstrip('/')}" if host else path
