"""Pull requests: the branch of a feature is pushed, and GitHub's own program `gh` opens one."""

from __future__ import annotations

import shutil
import subprocess

from adw_worktree.errors import ForgeFailed
from adw_worktree.orchestration.store.records import Feature
from adw_worktree.project import Project
from adw_worktree.repo.git import run_git
from adw_worktree.repo.remotes import preferred_remote
from adw_worktree.system.environment import clean_environment
from adw_worktree.worktrees.finish.target import require_target

_SECONDS = 120.0
_MOST_BODY = 60_000


def require_forge() -> str:
    """Return the program that opens pull requests. Raises ForgeFailed if it is not installed."""
    program = shutil.which("gh")
    if program is None:
        raise ForgeFailed(
            "a pull request needs GitHub's program gh, which is not on PATH",
            hint='install it and run gh auth login, or choose land = "merge" or "leave"',
        )
    return program


def open_pull_request(
    project: Project, feature: Feature, base: str | None, body: str, *, output: int
) -> str:
    """Push the feature's branch and open a pull request into `base`; return its address.

    One that is open already is found again. `output` is a file descriptor for what git prints.
    Raises ForgeFailed, GitFailed.
    """
    program, into = require_forge(), base or require_target(project, None)
    remote = preferred_remote(project.repo, project.settings.remote)
    refspec = f"refs/heads/{feature.branch}:refs/heads/{feature.branch}"
    command = ["push", "--set-upstream", "--", remote, refspec]
    run_git(command, project.repo.checkout, timeout=None, output=output)
    one = ["--state=open", "--json=url", "--jq=.[0].url"]
    found = _gh(project, [program, "pr", "list", f"--head={feature.branch}", *one])
    if found.returncode == 0 and found.stdout.strip():
        return found.stdout.strip()
    made = _gh(
        project,
        [program, "pr", "create", f"--head={feature.branch}", f"--base={into}",
         f"--title={feature.title}", "--body-file=-"],
        body[:_MOST_BODY],
    )  # fmt: skip
    if made.returncode != 0:
        raise ForgeFailed(
            f"gh opened no pull request for {feature.branch}: {made.stderr.strip()}",
            hint=f"gh pr create --head {feature.branch} --base {into}, which says more",
        )
    return made.stdout.strip().rpartition("\n")[2]


def _gh(project: Project, words: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            words,
            cwd=project.repo.home,
            env=clean_environment(),
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ForgeFailed(f"gh does not answer: {exc}", hint="gh auth status") from exc
