"""The one place that runs git, and what git says of a repository and its worktrees.

What holds here: git gets an argument list, an explicit directory and an environment without the
repository variables it sets for its own hooks; answers are read from porcelain and exit codes,
never from English.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .errors import GitFailed, InvalidAdwId
from .locks import handed_down
from .model import check_adw_id
from .presence import is_dir

if TYPE_CHECKING:
    from subprocess import Popen

# `git rev-parse --local-env-vars`: git sets these for its hooks, and a child that inherits them
# works on the wrong repository.
_REPOSITORY_VARIABLES = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CONFIG",
        "GIT_CONFIG_PARAMETERS",
        "GIT_CONFIG_COUNT",
        "GIT_OBJECT_DIRECTORY",
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_REPLACE_REF_BASE",
        "GIT_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_COMMON_DIR",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NAMESPACE",
        "GIT_QUARANTINE_PATH",
        "GIT_REFLOG_ACTION",
    }
)

_OBJECT = r"([0-9a-f]{40,64}) (?:commit|tree|blob|tag)"
_GRACE_SECONDS = 5.0
_PATIENCE_SECONDS = 20.0
_LIST_ATTEMPTS = 5
_LIST_PAUSE_SECONDS = 0.02

BUSY_VARIABLE = "ADW_WORKTREE_BUSY"
"""Set for every git child, so that managed hooks do not call the tool back."""

SPARE = "spare-"
"""How the names of spares begin, and of git's entries of them."""

NO_HOOKS = ("-c", "core.hooksPath=/dev/null")
"""git options under which no hook of the repository runs."""


class GitResult(NamedTuple):
    """What a git command left: exit code and both streams, undecodable bytes kept as surrogates."""

    returncode: int
    stdout: str
    stderr: str


class WorktreeEntry(NamedTuple):
    """One worktree as `git worktree list --porcelain -z` tells it."""

    path: Path
    head: str | None = None
    branch: str | None = None
    """Short name; None when detached or bare."""
    bare: bool = False
    locked: str | None = None
    """The reason, empty if none was given; None when not locked."""
    prunable: bool = False


class Repository(NamedTuple):
    """Where a repository's parts lie."""

    common_dir: Path
    """The directory all its worktrees share, resolved."""
    main: Path | None
    """The main worktree; None for a bare repository."""
    worktree: Path | None
    """The worktree the search began in; None outside of any."""

    @property
    def home(self) -> Path:
        """Where commands for the repository as a whole run."""
        return self.main or self.common_dir

    @property
    def tool_dir(self) -> Path:
        """Our own directory inside the common git directory: locks, stamp, bare ledger."""
        return self.common_dir / "adw-worktree"

    @property
    def spares_dir(self) -> Path:
        """Where worktrees lie that are made ahead of time."""
        return self.tool_dir / "spares"

    def is_spare(self, worktree: Path) -> bool:
        """Whether a worktree that git lists waits to be handed out."""
        return worktree.parent == self.spares_dir

    @property
    def admin_root(self) -> Path:
        """Where git keeps the admin directory of each linked worktree."""
        return self.common_dir / "worktrees"


def clean_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return `environ` (default: the process's) without git's repository variables."""
    source = os.environ if environ is None else environ
    return {
        name: value
        for name, value in source.items()
        if name not in _REPOSITORY_VARIABLES
        and not name.startswith(("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"))
    }


def run_git(
    args: Sequence[str],
    cwd: Path,
    *,
    check: bool = True,
    stdin: str | None = None,
    timeout: float | None = 300.0,
    output: int | None = None,
    shielded: bool = False,
    watched: bool = True,
    climbing: bool = False,
    told: Callable[[str], None] | None = None,
) -> GitResult:
    """Run `git ARGS…` in `cwd` and return what it left.

    `timeout` is in seconds, None for commands that fill a tree or fetch. `output` is a file
    descriptor that gets what git and its hooks print, instead of the result. `shielded` is for a
    quick command that locks files which all worktrees share, or writes to a person's: it is let
    end when we are ended, or our process group is killed, since nobody could tell the lock it would
    leave from one that is in use. `watched` says whether locks taken with `held_with_children` last
    until it ends. `climbing` lets git look for a repository above `cwd`, which would answer for a
    worktree whose `.git` file is lost. `told` gets git's own lines of progress as they come, for a
    command with nothing else to say and no timeout. Raises GitFailed if git is missing, takes too
    long, or (with `check`) exits non-zero.
    """
    import subprocess

    argv = ["git", *args]
    env = clean_environment()
    env.update(LC_ALL="C", GIT_OPTIONAL_LOCKS="0")
    env[BUSY_VARIABLE] = "1"
    if not climbing:
        env["GIT_CEILING_DIRECTORIES"] = os.path.dirname(os.path.realpath(cwd))
    printed = subprocess.PIPE if output is None else output
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
            stderr=subprocess.PIPE if output is None else output,
            encoding="utf-8",
            errors="surrogateescape",
            pass_fds=handed_down() if watched else (),
            process_group=0 if shielded else None,
        ) as child:
            try:
                if told is not None and child.stderr is not None:
                    from .progress import follow

                    said, complained = "", follow(child.stderr.fileno(), told)
                    child.wait()
                else:
                    said, complained = child.communicate(stdin, timeout=timeout)
            except BaseException:
                _end(child, patient=shielded)
                raise
    except FileNotFoundError as exc:
        if not is_dir(cwd):
            raise GitFailed(
                f"the directory {cwd} does not exist",
                hint="go into one that does, and repeat",
                argv=argv,
            ) from exc
        raise GitFailed(
            "git was not found", hint="install git 2.36 or later and put it on PATH", argv=argv
        ) from exc
    except ValueError as exc:  # a NUL byte in an argument
        raise GitFailed(
            f"git cannot be given {args[-1]!r}", hint="leave out the NUL character", argv=argv
        ) from exc
    except OSError as exc:
        raise GitFailed(
            f"git could not be started: {exc.strerror}", hint="git version", argv=argv
        ) from exc
    except subprocess.TimeoutExpired as exc:
        from .gitwords import command_of

        raise GitFailed(
            f"git {command_of(argv)} in {cwd} took longer than {timeout:.0f} seconds",
            hint="see what it waits for, and repeat",
            argv=argv,
        ) from exc
    if check and child.returncode != 0:
        raise git_failure(argv, cwd, child.returncode, complained or "")
    return GitResult(child.returncode, said or "", complained or "")


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
    from .gitwords import failure_of

    return failure_of(argv, cwd, returncode, stderr, git_version(cwd))


def list_worktrees(directory: Path) -> list[WorktreeEntry]:
    """Return the repository's worktrees, the main one first.

    Asked again if git stumbles over an entry that is being made or removed meanwhile
    (`failed to read .git/worktrees/X/commondir`).
    """
    command = ["worktree", "list", "--porcelain", "-z"]
    for _ in range(_LIST_ATTEMPTS - 1):
        answer = run_git(command, directory, check=False)
        if answer.returncode == 0:
            return parse_worktrees(answer.stdout)
        time.sleep(_LIST_PAUSE_SECONDS)
    return parse_worktrees(run_git(command, directory).stdout)


def parse_worktrees(text: str) -> list[WorktreeEntry]:
    """Return the entries of `git worktree list --porcelain -z` output.

    Unknown attributes are passed over, so that a later git can say more.
    """
    entries = []
    for block in text.split("\0\0"):
        fields: dict[str, str] = {}
        for line in block.strip("\0").split("\0"):
            name, _, value = line.partition(" ")
            fields[name] = value
        if "worktree" not in fields:
            continue
        branch = fields.get("branch")
        entries.append(
            WorktreeEntry(
                path=Path(fields["worktree"]),
                head=fields.get("HEAD"),
                branch=branch.removeprefix("refs/heads/") if branch else None,
                bare="bare" in fields,
                locked=fields.get("locked"),
                prunable="prunable" in fields,
            )
        )
    return entries


def admin_directory(worktree: Path) -> Path | None:
    """Return git's admin directory of the linked worktree at `worktree`, read from its `.git` file.

    None if it is no linked worktree. Costs no process.
    """
    try:
        text = (worktree / ".git").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    if not text.startswith("gitdir: "):
        return None
    path = Path(text.removeprefix("gitdir: ").rstrip("\n"))
    admin = path if path.is_absolute() else worktree / path
    admin = Path(os.path.normpath(admin))
    return admin if admin.parent.name == "worktrees" else None


def worktree_of_admin(admin: Path) -> Path | None:
    """Return the worktree that git's admin directory `admin` names, whether it exists or not."""
    try:
        text = (admin / "gitdir").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    if not text.rstrip("\n"):  # git empties the file before it writes, and the disk may be full
        return None
    named = Path(text.rstrip("\n"))
    if not named.name:
        return None  # git was killed before it wrote the name
    # Relative since git 2.48 with worktree.useRelativePaths.
    path = named if named.is_absolute() else Path(os.path.normpath(admin / named))
    return path.parent


def head_branch(admin: Path) -> str | None:
    """Return the branch that the HEAD in git directory `admin` is on; None if detached."""
    try:
        head = (admin / "HEAD").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    prefix = "ref: refs/heads/"
    # What git strips: a branch's name may end in a no-break space.
    return head.removeprefix(prefix).rstrip(" \t\r\n") if head.startswith(prefix) else None


def resolve_commit(directory: Path, ref: str) -> str | None:
    """Return the commit that `ref` names, or None if it names none."""
    answer = run_git(
        ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"],
        directory,
        check=False,
    )
    return answer.stdout.strip() if answer.returncode == 0 else None


def resolve_objects(directory: Path, names: Sequence[str]) -> list[str | None]:
    """Return what each of `names` (`REV^{commit}`, `REV:path`) names, None if nothing; at once."""
    asked = "".join(f"info {'' if chr(10) in name else name}\n" for name in names)
    # `create` asks this first: a git that is too old does not know it, and nothing is made.
    command = ["cat-file", "--batch-command=%(objectname) %(objecttype)"]
    told = run_git(command, directory, stdin=asked).stdout
    found = [re.fullmatch(_OBJECT, line) for line in told.split("\n")[: len(names)]]
    return [line[1] if line else None for line in found]


def branch_commit(directory: Path, branch: str) -> str | None:
    """Return the commit of the local branch, or None if there is no such branch."""
    return resolve_commit(directory, f"refs/heads/{branch}")


def is_ancestor(directory: Path, commit: str, of: str) -> bool:
    """Whether `of` has all commits that `commit` has."""
    command = ["merge-base", "--is-ancestor", commit, of]
    return run_git(command, directory, check=False).returncode == 0


def is_branch_name(directory: Path, name: str) -> bool:
    """Whether git would take `name` for a branch (git-check-ref-format(1))."""
    if name.startswith("-") or "\0" in name or name == "HEAD":
        return False
    with suppress(InvalidAdwId):
        return bool(check_adw_id(name))  # held to more than git asks
    answer = run_git(["check-ref-format", f"refs/heads/{name}"], directory, check=False)
    return answer.returncode == 0


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
