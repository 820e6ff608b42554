"""The repository on GitHub: whose issues those of the phases become, by the address of the remote.

What holds here: an address comes from git's configuration, and may have a password in it, which is
never shown.
"""

from __future__ import annotations

import re
from shlex import quote
from urllib.parse import SplitResult, urlsplit

from adw_worktree.errors import ForgeFailed
from adw_worktree.project import Project
from adw_worktree.repo.git import run_git
from adw_worktree.repo.remotes import preferred_remote
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.text import printable

_SCP_LIKE = r"(?:[^/@:]+@)?([^/@:]+):(?!//)(.+)"
_PATH = r"/*([A-Za-z0-9][A-Za-z0-9_-]{0,99})/([A-Za-z0-9._-]{1,100}?)(?:\.git)?/*"
_SCHEMES = ("https", "http", "ssh", "git")
_ALIASES = {"www.github.com": "github.com", "ssh.github.com": "github.com"}


class GitHubRepository(NamedTuple):
    """A repository on GitHub, or on a host that runs it."""

    api: str
    """The address of the API, without a slash at its end."""
    host: str
    """What the program gh calls it."""
    owner: str
    name: str
    is_known: bool
    """Whether the host is GitHub's own, or one that the user's own settings name."""


def github_repository(project: Project) -> GitHubRepository:
    """Return the repository that the preferred remote leads to. Raises ForgeFailed, GitFailed."""
    remote = preferred_remote(project.repo, project.settings.remote)
    asked = run_git(["remote", "get-url", "--", remote], project.repo.checkout, check=False)
    if asked.returncode != 0:
        raise ForgeFailed(
            f"issues on GitHub need a remote, and there is no {printable(remote)}",
            hint='git remote add origin https://github.com/OWNER/NAME, or choose issues = "file"',
        )
    place = _place(asked.stdout.partition("\n")[0])
    if place is None:
        raise ForgeFailed(
            f"the remote {printable(remote)} leads to no repository on GitHub",
            hint=f'git remote get-url {quote(remote)} (shows it), or choose issues = "file"',
        )
    host, owner, name = place
    chosen = project.settings.github_url
    if chosen is not None:
        host = str(urlsplit(chosen).hostname).removeprefix("api.")
        return GitHubRepository(chosen, host, owner, name, is_known=True)
    is_known = host == "github.com" or host.endswith(".ghe.com")
    api = f"https://api.{host}" if is_known else f"https://{host}/api/v3"
    return GitHubRepository(api, host, owner, name, is_known)


def _place(address: str) -> tuple[str, str, str] | None:
    """Return the host, the owner and the name that a remote's address stands for."""
    if "://" in address:
        parts = _split(address)
        if parts is None or parts.scheme not in _SCHEMES or not parts.hostname:
            return None
        host, path = parts.hostname, parts.path
    else:
        found = re.fullmatch(_SCP_LIKE, address)
        if found is None:
            return None
        host, path = found[1].lower(), found[2]
    names = re.fullmatch(_PATH, path)
    is_host = re.fullmatch(r"[a-z0-9.-]{1,253}", host)
    if names is None or is_host is None or names[2] in (".", ".."):
        return None
    return _ALIASES.get(host, host), names[1], names[2]


def _split(address: str) -> SplitResult | None:
    try:
        return urlsplit(address)
    except ValueError:
        return None
