"""Managed git hooks: put in place beside what is there, taken out byte for byte, inspected.

What holds here: a file that git tracks is never changed, nor one that serves other repositories
too; what a person wrote around our block stays; a hook of another kind runs as before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from shlex import quote
from shlex import split as split_words

from adw_worktree.errors import FileUnusable
from adw_worktree.integrations import hook_file as hookfile
from adw_worktree.integrations.hook_file import ALONE, ASIDE, EVENTS
from adw_worktree.repo.exclude_file import load_exclude, write_exclude
from adw_worktree.repo.git import git_version, run_git
from adw_worktree.repo.repository import Repository
from adw_worktree.settings.model import Settings
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.locks import held
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists, is_dir, is_file
from adw_worktree.system.sharing import make_directories
from adw_worktree.system.shipped import shipped_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    State = Literal["installed", "outdated", "absent", "foreign", "left", "refused", "damaged"]

CONFIG_GIT = (2, 54)
"""Since then hooks can stand in git's configuration, several for an event, in no file's way."""

_EXCLUDE_BEGIN = b"# >>> adw-worktree hooks >>>\n"
_EXCLUDE_END = b"# <<< adw-worktree hooks <<<\n"

LFS_EVENTS = ("post-checkout", "post-commit", "post-merge")
"""Those that Git LFS has hooks for, which reference-transaction notices, too."""


class HookState(NamedTuple):
    """What is in place for one event."""

    event: str
    path: str
    state: State
    how: hookfile.How | Literal["config"] | None = None
    note: str | None = None
    """Why nothing was done, and what a person can do."""


def install(
    repo: Repository,
    *,
    command: Sequence[str],
    watched: Path | None = None,
    use_config: bool | None = None,
    lock_timeout: float = Settings().lock_timeout,
) -> list[HookState]:
    """Put the managed hooks in place; a second time brings them up to date.

    `command` runs this tool. `watched` is the directory that holds the worktrees. `use_config`
    says whether they stand in git's configuration; None leaves it to git's version. Raises
    FileUnusable if a file cannot be written.
    """
    if use_config is None:
        use_config = git_version(repo.home) >= CONFIG_GIT
    blocks = {event: _block(repo, event, command, watched) for event in EVENTS}
    try:
        with _lock(repo, lock_timeout):
            if use_config:
                _install_in_config(repo, blocks)
            else:
                _install_in_files(repo, blocks)
    except OSError as exc:
        place = _script_directory(repo) if use_config else _hooks_directory(repo)
        raise FileUnusable.because(f"the hooks in {place} cannot be written", exc) from exc
    return status(repo)


def uninstall(
    repo: Repository, *, lock_timeout: float = Settings().lock_timeout
) -> list[HookState]:
    """Take the managed hooks out, every file as it was; what others added meanwhile stays.

    Raises FileUnusable if a file cannot be written.
    """
    try:
        with _lock(repo, lock_timeout):
            _uninstall_from_config(repo)
            directory = _hooks_directory(repo)
            for event in EVENTS:
                hookfile.take_out(directory / event)
            _show_again(repo)
    except OSError as exc:
        place = _hooks_directory(repo)
        raise FileUnusable.because(f"the hooks in {place} cannot be taken out", exc) from exc
    return status(repo)


def _lock(repo: Repository, timeout: float) -> AbstractContextManager[None]:
    # The one under which `create` writes `info/exclude`, too.
    return held(repo.tool_dir / "exclude.lock", timeout, f"the hook directory of {repo.home}")


def status(repo: Repository) -> list[HookState]:
    """Return what is in place for each event."""
    directory = _hooks_directory(repo)
    refusal = _refusal(repo, directory)
    states = [_state(repo, directory / event, event, refusal) for event in EVENTS]
    if not any(one.state in ("installed", "outdated") and one.how != "config" for one in states):
        return states
    lfs = _uses_lfs(repo)
    return [_beside_lfs(one) if _is_left(directory / one.event, lfs) else one for one in states]


def _beside_lfs(found: HookState) -> HookState:
    """Return the state of a hook that Git LFS needs to itself."""
    note = "Git LFS needs this hook to itself; reference-transaction sees the same"
    if found.how is not None:
        return found._replace(state="outdated", note=note)
    return found._replace(state="left", note=note)


def _state(repo: Repository, path: Path, event: str, refusal: str | None) -> HookState:
    script = _script_directory(repo) / event
    if is_file(script) and event in _configured(repo):
        return HookState(event, str(script), "installed", "config")
    obstacle = hookfile.obstacle(path)
    if obstacle is not None:
        return HookState(event, str(path), "damaged", None, obstacle)
    place = hookfile.place_of(path)
    block = hookfile.block_in(place)
    if block is not None:
        state: State = "installed" if _is_current(repo, block) else "outdated"
        return HookState(event, str(place), state, hookfile.how_in(place))
    note = refusal or _tracked_note(repo, path)
    if note is not None:
        return HookState(event, str(path), "refused", None, note)
    return HookState(event, str(path), "foreign" if exists(path) else "absent")


# ---- the text ----------------------------------------------------------------------------------


def _block(repo: Repository, event: str, command: Sequence[str], watched: Path | None) -> bytes:
    """Return the shipped hook with everything that is particular to this repository, quoted."""
    values = {
        "@EVENT@": event,
        "@COMMON@": quote(str(repo.common_dir)),
        "@WATCHED@": quote(str(watched or repo.common_dir)),
        "@COMMAND@": " ".join(quote(word) for word in command),
    }
    text = re.sub(
        "|".join(values), lambda found: values[found[0]], shipped_text("hooks", "git-hook.sh")
    )
    return text.encode(errors="surrogateescape")


def _is_current(repo: Repository, block: bytes) -> bool:
    """Whether a block speaks of this repository, at its place, and of a tool that is there."""
    text = block.decode(errors="surrogateescape")
    called = re.search(r'^    \((.+) -C "\$adw_common" reconcile', text, re.MULTILINE)
    try:
        tool = split_words(called[1])[0] if called else ""
    except ValueError:
        return False
    here = f"    adw_common={quote(str(repo.common_dir))}\n"
    return here in text and is_file(Path(tool))


# ---- in files ----------------------------------------------------------------------------------


def _install_in_files(repo: Repository, blocks: dict[str, bytes]) -> None:
    directory = _hooks_directory(repo)
    if _refusal(repo, directory) is not None:
        return
    make_directories(directory)
    lfs = _uses_lfs(repo)
    for event, block in blocks.items():
        path = directory / event
        if _is_left(path, lfs):
            hookfile.take_out(path)
        elif _tracked_note(repo, path) is None and hookfile.obstacle(path) is None:
            hookfile.put_in(path, block)
            _hide(repo, path)


def _hooks_directory(repo: Repository) -> Path:
    """Return where git looks for hooks, `core.hooksPath` honoured."""
    answer = run_git(["rev-parse", "--git-path", "hooks"], repo.home)
    # Resolved: a link may lead to files that git tracks, or that others use.
    return (repo.home / answer.stdout.removesuffix("\n")).resolve()


def _refusal(repo: Repository, directory: Path) -> str | None:
    """Return why no hook can be put into `directory` at all, or None."""
    if exists(directory) and not is_dir(directory):
        return (
            f"core.hooksPath is {directory}: hooks are switched off, by what this names: "
            "git config --show-origin core.hooksPath"
        )
    places = [repo.common_dir, *([repo.main] if repo.main else [])]
    if not any(directory.is_relative_to(place) for place in places):
        return (
            f"{directory} serves other repositories too (core.hooksPath); git >= 2.54 needs no file"
        )
    return None


def _uses_lfs(repo: Repository) -> bool:
    """Return whether Git LFS was set up, for the user or the repository."""
    asked = ["config", "--name-only", "--get-regexp", r"^filter\.lfs\."]
    return bool(run_git(asked, repo.checkout, check=False).stdout)


def _is_left(path: Path, lfs: bool) -> bool:
    """Return whether the hook at `path` is left to Git LFS, which has it or is going to."""
    if path.name not in LFS_EVENTS:
        return False
    return hookfile.is_of_lfs(path) or (lfs and hookfile.is_alone(path))


def _tracked_note(repo: Repository, path: Path) -> str | None:
    """Return why a tracked hook is left alone; None if it is not tracked."""
    if repo.main is None or not path.is_relative_to(repo.main):
        return None
    listed = run_git(["ls-files", "-z", "--", str(path)], repo.checkout, check=False)
    if not listed.stdout:
        return None
    return "tracked by git; add the block of another event's hook yourself, or use git >= 2.54"


def _hide(repo: Repository, path: Path) -> None:
    """Keep a hook file of ours that lies in the main worktree out of `git status`."""
    if repo.main is None or path.is_relative_to(repo.common_dir):
        return
    if not path.is_relative_to(repo.main):
        return
    ignored = run_git(["check-ignore", "--quiet", "--", str(path)], repo.checkout, check=False)
    if ignored.returncode == 0:
        return
    name = "".join(
        f"\\{char}" if char in "\\*?[]!# " else char
        for char in path.relative_to(repo.main).as_posix()
    )
    lines = f"/{name}\n/{name}{ASIDE}\n".encode(errors="surrogateescape")
    inside, outside = _excluded(repo)
    # In front, so that a file without a newline at its end comes back as it was.
    write_exclude(repo, _EXCLUDE_BEGIN + inside + lines + _EXCLUDE_END + outside)


def _show_again(repo: Repository) -> None:
    inside, outside = _excluded(repo)
    if inside:
        write_exclude(repo, outside)


def _excluded(repo: Repository) -> tuple[bytes, bytes]:
    """Return what `info/exclude` has in our block, and around it."""
    data = load_exclude(repo)
    before, opened, rest = data.partition(_EXCLUDE_BEGIN)
    inside, closed, after = rest.partition(_EXCLUDE_END)
    return (inside, before + after) if opened and closed else (b"", data)


# ---- in git's configuration --------------------------------------------------------------------


def _install_in_config(repo: Repository, blocks: dict[str, bytes]) -> None:
    directory = _script_directory(repo)
    make_directories(directory)
    configured = set(_configured(repo))
    for event, block in blocks.items():
        script = directory / event
        write_atomically(script, ALONE + block, mode=0o755, shared=True)
        if event not in configured:
            name = f"hook.adw-worktree-{event}"
            run_git(["config", "--local", f"{name}.command", quote(str(script))], repo.checkout)
            run_git(["config", "--local", f"{name}.event", event], repo.checkout)


def _uninstall_from_config(repo: Repository) -> None:
    for event in _configured(repo):
        run_git(
            ["config", "--local", "--remove-section", f"hook.adw-worktree-{event}"], repo.checkout
        )
    directory = _script_directory(repo)
    for event in EVENTS:
        (directory / event).unlink(missing_ok=True)
    if is_dir(directory) and not any(directory.iterdir()):
        directory.rmdir()


def _configured(repo: Repository) -> Iterator[str]:
    """Yield the events that git's configuration has a managed hook for."""
    pattern = r"^hook\.adw-worktree-.*\.event$"
    listed = run_git(
        ["config", "--local", "-z", "--get-regexp", pattern], repo.checkout, check=False
    )
    for item in listed.stdout.split("\0"):
        event = item.partition("\n")[2]
        if event in EVENTS:
            yield event


def _script_directory(repo: Repository) -> Path:
    return repo.tool_dir / "hooks"
