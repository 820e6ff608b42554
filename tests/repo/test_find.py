"""Finding the repository: read from its files where that is certain, and then as git would say."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from adw_worktree.errors import AdwError
from adw_worktree.repo import find as discovery
from adw_worktree.repo.repository import Repository
from tests.support.repositories import git, make_repo


def linked(repo: Path) -> Path:
    git("worktree", "add", "--quiet", "--detach", "trees/a b", cwd=repo)
    return repo / "trees" / "a b"


def inside_linked(repo: Path) -> Path:
    (linked(repo) / "x" / "y").mkdir(parents=True)
    return repo / "trees" / "a b" / "x" / "y"


def inside(repo: Path) -> Path:
    (repo / "x" / "y").mkdir(parents=True)
    return repo / "x" / "y"


def through_a_link(repo: Path) -> Path:
    inside(repo)
    (repo.parent / "link").symlink_to(repo / "x")
    return repo.parent / "link" / "y"


def git_directory(repo: Path) -> Path:
    return repo / ".git"


def deep_in_git_directory(repo: Path) -> Path:
    return repo / ".git" / "objects" / "info"


def admin(repo: Path) -> Path:
    linked(repo)
    return next((repo / ".git" / "worktrees").iterdir())


def bare(repo: Path) -> Path:
    git("clone", "--quiet", "--bare", ".", "../bare.git", cwd=repo)
    return repo.parent / "bare.git"


def linked_of_bare(repo: Path) -> Path:
    git("worktree", "add", "--quiet", "../w", cwd=bare(repo))
    return repo.parent / "w"


def dot_git_bare(repo: Path) -> Path:
    git("clone", "--quiet", "--bare", ".", "../project/.git", cwd=repo)
    git("worktree", "add", "--quiet", "../w", cwd=repo.parent / "project" / ".git")
    return repo.parent / "project" / "w"


def separate(repo: Path) -> Path:
    git("init", "--quiet", "--separate-git-dir", "../elsewhere", cwd=repo)
    return repo


def linked_of_separate(repo: Path) -> Path:
    return linked(separate(repo))


def far_from_separate(repo: Path) -> Path:
    """Nothing there leads to the main worktree; another linked worktree, inside it, does."""
    linked_of_separate(repo)
    git("worktree", "add", "--quiet", "--detach", "../far", cwd=repo)
    return repo.parent / "far"


def git_directory_of_separate(repo: Path) -> Path:
    linked_of_separate(repo)
    return repo.parent / "elsewhere"


def separate_dot_git(repo: Path) -> Path:
    """A git directory elsewhere that is called `.git`, too."""
    (repo.parent / "store").mkdir()
    git("init", "--quiet", "--separate-git-dir", "../store/.git", cwd=repo)
    return repo


def linked_of_separate_dot_git(repo: Path) -> Path:
    return linked(separate_dot_git(repo))


def dot_git_link(repo: Path) -> Path:
    (repo / ".git").rename(repo / ".git.nosync")
    (repo / ".git").symlink_to(".git.nosync")
    return repo


def inside_dot_git_link(repo: Path) -> Path:
    return inside(dot_git_link(repo))


def linked_of_dot_git_link(repo: Path) -> Path:
    return linked(dot_git_link(repo))


def far_from_dot_git_link(repo: Path) -> Path:
    dot_git_link(repo)
    git("worktree", "add", "--quiet", "--detach", "../far", cwd=repo)
    return repo.parent / "far"


def dot_git_link_elsewhere(repo: Path) -> Path:
    (repo.parent / "store").mkdir()
    (repo / ".git").rename(repo.parent / "store" / ".git")
    (repo / ".git").symlink_to("../store/.git")
    return repo


def linked_of_dot_git_link_elsewhere(repo: Path) -> Path:
    return linked(dot_git_link_elsewhere(repo))


def core_worktree(repo: Path) -> Path:
    (repo.parent / "files").mkdir()
    git("config", "core.worktree", "../../files", cwd=repo)
    return repo


def linked_of_core_worktree(repo: Path) -> Path:
    """Where git, asked in it, takes the main worktree for it."""
    tree = linked(repo)
    (repo.parent / "files").mkdir()
    git("config", "core.worktree", str(repo.parent / "files"), cwd=repo)
    git("config", "extensions.worktreeConfig", "true", cwd=repo)
    return tree


def linked_of_sparse_bare(repo: Path) -> Path:
    """Git moves `core.bare` into the main worktree's own file then, which this one does not see."""
    tree = dot_git_bare(repo)
    git("sparse-checkout", "set", "x", cwd=tree)
    return tree


def included(repo: Path) -> Path:
    (repo / ".git" / "more").write_text("[core]\n\tbare = true\n")
    git("config", "include.path", "more", cwd=repo)
    return repo


def worktree_config(repo: Path) -> Path:
    tree = linked(repo)
    git("config", "extensions.worktreeConfig", "true", cwd=repo)
    git("config", "--worktree", "core.sparseCheckout", "true", cwd=tree)
    return tree


def submodule(repo: Path) -> Path:
    part = make_repo(repo.parent / "part")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(part), "lib",
        cwd=repo)  # fmt: skip
    return repo / "lib"


def nested(repo: Path) -> Path:
    return make_repo(repo / "vendor" / "other")


def empty_git_file(repo: Path) -> Path:
    (repo / "x").mkdir()
    (repo / "x" / ".git").write_text("")
    return repo / "x"


def empty_git_directory(repo: Path) -> Path:
    (repo / "x" / ".git").mkdir(parents=True)
    return repo / "x"


def outside(repo: Path) -> Path:
    return repo.parent


def ceiling(repo: Path) -> Path:
    os.environ["GIT_CEILING_DIRECTORIES"] = str(repo)
    return inside(repo)


EVERYDAY = [linked, inside_linked, inside, through_a_link, nested]
UNUSUAL = [
    git_directory, deep_in_git_directory, admin, bare, linked_of_bare, dot_git_bare, separate,
    linked_of_separate, far_from_separate, git_directory_of_separate, separate_dot_git,
    linked_of_separate_dot_git, dot_git_link, inside_dot_git_link, linked_of_dot_git_link,
    far_from_dot_git_link, dot_git_link_elsewhere, linked_of_dot_git_link_elsewhere,
    core_worktree, linked_of_core_worktree, included, worktree_config, submodule,
    empty_git_file, empty_git_directory, outside, ceiling,
]  # fmt: skip
BARE = [bare, linked_of_bare, dot_git_bare, linked_of_sparse_bare]


def told(look: Callable[[Path], Repository | None], directory: Path) -> Repository | str | None:
    try:
        return look(directory)
    except AdwError as exc:
        return exc.code


@pytest.mark.parametrize("shape", [*EVERYDAY, *UNUSUAL], ids=lambda shape: shape.__name__)
def test_repository_is_the_one_that_git_finds(
    repo: Path, shape: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", "")  # given back after the test
    monkeypatch.delenv("GIT_CEILING_DIRECTORIES")
    directory = shape(repo)
    found = told(discovery.find_repository, directory)
    assert found == told(discovery._ask_git, directory)
    assert found is not None


@pytest.mark.parametrize("shape", EVERYDAY, ids=lambda shape: shape.__name__)
def test_everyday_repository_is_found_without_git(
    repo: Path, shape: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = shape(repo)
    monkeypatch.setenv("PATH", "")
    assert discovery.find_repository(directory).worktree is not None


@pytest.mark.parametrize(
    "config",
    [
        "[core]\n\tbare = true\n",
        "[core] bare = true\n",
        "[core]\n\tbare\n",
        "[core]\n\tbare =\n",
        "[core]\n\tBare = FALSE\n",
        "[core]\n\tbare = false ; as it was\n",
        "[core]\n\tbare = fal\\\nse\n",
        "[core]\n\tworkTree = ../../files\n",
        "[Include]\n\tpath = more\n",
        '[includeIf "gitdir:**"]\n\tpath = more\n',
        '[branch "worktree"]\n\tremote = bare=\n',
    ],
)
def test_repository_is_the_one_that_git_finds_with_any_configuration(
    repo: Path, config: str
) -> None:
    (repo.parent / "files").mkdir()
    (repo / ".git" / "more").write_text("[core]\n\tbare = true\n")
    with (repo / ".git" / "config").open("a") as file:
        file.write(config)
    assert told(discovery.find_repository, repo) == told(discovery._ask_git, repo)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_repository_of_another_owner_is_left_to_git(repo: Path) -> None:
    """Git refuses it (safe.directory): its configuration runs programs."""
    os.chown(repo / ".git", 65534, 65534)
    assert discovery._read(repo) is None
    assert told(discovery.find_repository, repo) == told(discovery._ask_git, repo)


@pytest.mark.parametrize("shape", [
    git_directory, deep_in_git_directory, admin, linked, inside_linked, inside, through_a_link,
    separate, linked_of_separate, far_from_separate, git_directory_of_separate, separate_dot_git,
    linked_of_separate_dot_git, dot_git_link, inside_dot_git_link, linked_of_dot_git_link,
    far_from_dot_git_link, dot_git_link_elsewhere, linked_of_dot_git_link_elsewhere,
    worktree_config,
], ids=lambda shape: shape.__name__)  # fmt: skip
def test_main_worktree_is_found_wherever_git_keeps_its_own(
    repo: Path, shape: Callable[[Path], Path]
) -> None:
    assert discovery.find_repository(shape(repo)).main == repo


@pytest.mark.parametrize("shape", [core_worktree, linked_of_core_worktree],
                         ids=lambda shape: shape.__name__)  # fmt: skip
def test_main_worktree_is_where_core_worktree_says(
    repo: Path, shape: Callable[[Path], Path]
) -> None:
    directory = shape(repo)
    found = discovery.find_repository(directory)
    assert found.main == repo.parent / "files"
    assert found.worktree == (None if directory == repo else directory)


@pytest.mark.parametrize("shape", BARE, ids=lambda shape: shape.__name__)
def test_bare_repository_has_no_main_worktree(repo: Path, shape: Callable[[Path], Path]) -> None:
    assert discovery.find_repository(shape(repo)).main is None


# ---- where it is not found ---------------------------------------------------------------------


def failure(directory: Path) -> AdwError:
    with pytest.raises(AdwError) as raised:
        discovery.find_repository(directory)
    return raised.value


def broken_config(repo: Path) -> Path:
    git("config", "include.path", "more", cwd=repo)  # else it is found without git
    with (repo / ".git" / "config").open("a") as file:
        file.write("[broken\n")
    return repo


def unknown_extension(repo: Path) -> Path:
    directory = bare(repo)
    git("config", "extensions.ofTomorrow", "true", cwd=directory)
    git("config", "core.repositoryFormatVersion", "1", cwd=directory)
    return directory


@pytest.mark.parametrize(("shape", "reason"), [
    (broken_config, "bad config line"), (empty_git_file, "invalid gitfile format"),
    (unknown_extension, "oftomorrow"),
], ids=lambda one: getattr(one, "__name__", ""))  # fmt: skip
def test_a_repository_that_git_cannot_use_is_not_called_none(
    repo: Path, shape: Callable[[Path], Path], reason: str
) -> None:
    directory = shape(repo)
    failed = failure(directory)
    assert failed.code == "git-failed"
    assert reason in failed.message
    assert f"git -C {shlex.quote(str(directory))} rev-parse" in (failed.hint or "")


@pytest.mark.parametrize("inside", [True, False], ids=["with-it", "without"])
def test_a_worktree_whose_repository_moved_is_brought_back_by_the_hint(
    repo: Path, inside: bool
) -> None:
    tree = Path("trees" if inside else "..") / "a b"
    git("worktree", "add", "--quiet", "--detach", str(tree), cwd=repo)
    main = repo.rename(repo.parent / "moved here")
    tree = Path(os.path.normpath(main / tree))
    failed = failure(tree)
    assert f"{tree}/.git leads to {repo}/.git/worktrees/" in failed.message
    hint = (failed.hint or "").partition(" (")[0].replace("MAIN", shlex.quote(str(main)))
    git(*shlex.split(hint)[1:], cwd=repo.parent)
    assert discovery.find_repository(tree).main == main


def test_a_worktree_that_git_has_forgotten_is_not_to_be_repaired(repo: Path) -> None:
    tree = linked(repo)
    shutil.rmtree(repo / ".git" / "worktrees")
    failed = failure(tree)
    assert failed.code == "git-failed"
    assert "repair" not in (failed.hint or "")


def test_a_file_is_no_directory(repo: Path) -> None:
    assert failure(repo / "README").message == f"{repo / 'README'} is no directory"
