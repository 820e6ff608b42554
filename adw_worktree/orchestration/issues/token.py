"""The token: what GitHub knows the user by.

What holds here: it is read when it is needed and kept nowhere; no error has it in its text. A
variable's is for GitHub's own hosts and the one that the user's settings name: the address of a
remote alone does not get it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from adw_worktree.errors import ForgeFailed
from adw_worktree.orchestration.issues.repository import GitHubRepository
from adw_worktree.system.environment import clean_environment

_VARIABLES = ("GITHUB_TOKEN", "GH_TOKEN")
_OF_GH = (*_VARIABLES, "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")
"""Variables that gh would print for any host, instead of what it knows of that one."""
_SECONDS = 10.0


def require_token(repository: GitHubRepository) -> str:
    """Return the token: of a variable, or of the program gh. Raises ForgeFailed."""
    for name in _VARIABLES if repository.is_known else ():
        token = os.environ.get(name, "").strip()
        if token:
            return _sound(token, f"the variable {name}")
    token = _of_gh(repository.host)
    if token:
        return _sound(token, "gh auth token")
    host = repository.host
    if repository.is_known:
        raise ForgeFailed(
            f"issues on GitHub need a token for {host}, and there is none",
            hint=f'gh auth login --hostname {host}, or set GITHUB_TOKEN, or choose issues = "file"',
        )
    raise ForgeFailed(
        f"issues on GitHub need a token for {host}, and gh has none",
        hint=f"gh auth login --hostname {host}, or name its API with github_url in your own "
        'settings, or choose issues = "file"',
    )


def _sound(token: str, source: str) -> str:
    """Return the token. Raises ForgeFailed if it could not be sent: libraries would show it."""
    if not re.fullmatch(r"[!-~]{1,1000}", token):
        raise ForgeFailed(
            f"{source} has something that no token of GitHub has", hint="set it to the token alone"
        )
    return token


def _of_gh(host: str) -> str:
    """Return the token of the login that gh has for a host; nothing if it has none."""
    program = shutil.which("gh")
    if program is None:
        return ""
    environ = {name: text for name, text in clean_environment().items() if name not in _OF_GH}
    try:
        done = subprocess.run(
            [program, "auth", "token", "--hostname", host],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""
