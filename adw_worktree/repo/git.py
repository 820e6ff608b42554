"""The one place that runs git.

What holds here: git gets an argument list, an explicit directory and an environment without the
repository variables it sets for its own hooks; answers are read from porcelain and exit codes,
never from English. A command that may write, or that looks at files, is given a `Checkout`: it
never finds its worktree by where it runs, since `core.worktree` leads it to another one.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from adw_worktree.errors import GitFailed
from adw_worktree.system.environment import BUSY_VARIABLE, clean_environment
from adw_worktree.system.locks import handed_down
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists, is_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from subprocess import Popen


_GRACE_SECONDS = 5.0
_PATIENCE_SECONDS = 20.0


NO_HOOKS = ("-c", "core.hooksPath=/dev/null")
"""git options under which no hook of the repository runs."""

_READS_OBJECTS = (
    "cat-file", "check-ref-format", "cherry", "fmt-merge-msg", "for-each-ref", "ls-tree",
    "merge-base", "rev-list", "rev-parse", "version", "worktree list",
)  # fmt: skip
"""Commands that read refs and objects alone: these may find their repository themselves."""


class GitResult(NamedTuple):
    """What a git command left: exit code and both streams, undecodable bytes kept as surrogates."""

    returncode: int
    stdout: str
    stderr: str


class Checkout(NamedTuple):
    """A git directory and its worktree, which git is given by name, whatever its settings say."""

    git_directory: Path
    worktree: Path | None = None
    """None for what needs none; then git refuses to touch files."""

    @property
    def directory(self) -> Path:
        """Where git runs."""
        return self.worktree or self.git_directory

    @property
    def options(self) -> list[str]:
        """The options of git that name it."""
        # With a git directory alone, git would take where it runs for the worktree.
        tree = "--bare" if self.worktree is None else f"--work-tree={self.worktree}"
        return [f"--git-dir={self.git_directory}", tree]


def run_git(
    args: Sequence[str],
    place: Path | Checkout,
    *,
    check: bool = True,
    stdin: str | None = None,
    timeout: float | None = 300.0,
    output: int | None = None,
    shielded: bool = False,
    watched: bool = True,
    climbing: bool = False,
    told: Callable[[str], None] | None = None,
    variables: Mapping[str, str] | None = None,
) -> GitResult:
    """Run `git ARGS…` in `place` and return what it left.

    `place` is a directory only for a command that reads refs and objects alone. `timeout` is in
    seconds, None for commands that fill a tree or fetch. `output` is a file descriptor that gets
    what git and its hooks print, instead of the result. `shielded` is for a quick command that
    locks files which all worktrees share, or writes to a person's: it is let end when we are ended,
    or our process group is killed, since nobody could tell the lock it would leave from one that is
    in use. `watched` says whether locks taken with `held_with_children` last until it ends.
    `climbing` lets git look for a repository above `place`, which would answer for a worktree whose
    `.git` file is lost, and judge whether a bare one may be used. `told` gets git's own lines of
    progress as they come, for a command with nothing else to say and no timeout. `variables` are
    added to its environment. Raises GitFailed if git is missing, takes too long, or (with `check`)
    exits non-zero.
    """
    import subprocess

    from adw_worktree.system.child_output import communicate, has_a_reader, pass_on

    cwd = _directory_for(args, place)
    argv = ["git", *(place.options if isinstance(place, Checkout) else ()), *args]
    env = _environment(place, climbing=climbing)
    env.update(variables or {})
    # Whoever reads our output would wait for what a hook leaves running.
    passed_on = output is not None and has_a_reader(output)
    printed = subprocess.PIPE if output is None or passed_on else output
    said: str | None
    complained: str | None
    if told is not None:
        env["GIT_PROGRESS_DELAY"] = "0"  # whoever is told knows when to show it
        printed = subprocess.DEVNULL
    try:
        with subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=printed,
            stderr=subprocess.PIPE if output is None else subprocess.STDOUT,
            encoding=sys.getfilesystemencoding(),  # as names of files are read and written
            errors="surrogateescape",
            pass_fds=handed_down() if watched else (),
            process_group=0 if shielded else None,
        ) as child:
            try:
                if told is not None and child.stderr is not None:
                    from adw_worktree.system.progress import follow

                    said, complained = "", follow(child, child.stderr.fileno(), told)
                    child.wait()
                elif passed_on and child.stdout is not None and output is not None:
                    said, complained = "", pass_on(child, child.stdout.fileno(), output)
                    child.wait()
                else:
                    said, complained = communicate(child, stdin, timeout)
            except BaseException:
                _end(child, patient=shielded)
                raise
    except (OSError, ValueError) as exc:
        raise _not_started(exc, argv, cwd) from exc
    except subprocess.TimeoutExpired as exc:
        from adw_worktree.repo.git_errors import command_of

        raise GitFailed(
            f"git {command_of(argv)} in {cwd} took longer than {timeout:.0f} seconds",
            hint="see what it waits for, and repeat",
            argv=argv,
        ) from exc
    if check and child.returncode != 0:
        raise git_failure(argv, cwd, child.returncode, complained or "")
    return GitResult(child.returncode, said or "", complained or "")


def is_git_directory(place: Path) -> bool:
    """Whether `place` is what git would take for a git directory."""
    return is_dir(place / "objects") and is_dir(place / "refs") and os.path.lexists(place / "HEAD")


def _directory_for(args: Sequence[str], place: Path | Checkout) -> Path:
    """Return where git runs. Raises ValueError if it would have to find what it writes to."""
    if isinstance(place, Checkout):
        return place.directory
    words = [word for word in args if not word.startswith("-")]
    reads = " ".join(words[:2]) in _READS_OBJECTS or words[0] in _READS_OBJECTS
    if not reads and not (words[0] == "config" and "--file" in args):
        raise ValueError(f"git {words[0]} may write, and {place} is no Checkout")
    return place


def _environment(place: Path | Checkout, *, climbing: bool) -> dict[str, str]:
    """Return the variables that git runs with."""
    env = clean_environment()
    env.update({"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", BUSY_VARIABLE: "1"})
    if not climbing and not isinstance(place, Checkout):
        env["GIT_CEILING_DIRECTORIES"] = os.path.dirname(os.path.realpath(place))
        if is_git_directory(place) and not exists(place / ".git"):
            # By name, since safe.bareRepository=explicit has git find none by itself.
            env.update(GIT_DIR=str(place), GIT_IMPLICIT_WORK_TREE="0")
    return env


def _not_started(exc: OSError | ValueError, argv: Sequence[str], cwd: Path) -> GitFailed:
    """Return the error for a git command that could not be started."""
    if isinstance(exc, ValueError):  # a NUL byte in an argument
        return GitFailed(
            f"git cannot be given {argv[-1]!r}", hint="leave out the NUL character", argv=argv
        )
    if not isinstance(exc, FileNotFoundError):
        return GitFailed(f"git could not be started: {exc.strerror}", hint="git version", argv=argv)
    if not is_dir(cwd):
        return GitFailed(
            f"the directory {cwd} does not exist",
            hint="go into one that does, and repeat",
            argv=argv,
        )
    return GitFailed(
        "git was not found", hint="install git 2.36 or later and put it on PATH", argv=argv
    )


def _end(child: Popen[str], *, patient: bool) -> None:
    """End a git command so that it takes its lock files and half-made worktrees along.

    `patient` lets it finish first, since half of what it does is worse than all of it.
    """
    from subprocess import TimeoutExpired

    if patient:
        with suppress(TimeoutExpired):
            child.wait(_PATIENCE_SECONDS)
            return
    child.terminate()
    try:
        child.wait(_GRACE_SECONDS)
    except TimeoutExpired:
        child.kill()


def git_failure(argv: Sequence[str], cwd: Path, returncode: int, stderr: str) -> GitFailed:
    """Return the error for a git command that exited non-zero; it looks at git's version, too."""
    from adw_worktree.repo.git_errors import failure_of

    return failure_of(argv, cwd, returncode, stderr, git_version(cwd))


def git_version(directory: Path) -> tuple[int, ...]:
    """Return git's version as numbers, `(2, 39, 5)`. Raises GitFailed if it tells none."""
    said = run_git(["version"], directory, check=False).stdout
    found = re.search(r"\d+(?:\.\d+)*", said)
    if found is None:
        raise GitFailed(
            f"git says of its version only {said.strip()!r}",
            hint="put git 2.36 or later first on PATH",
        )
    return tuple(int(part) for part in found[0].split(".")[:3])
