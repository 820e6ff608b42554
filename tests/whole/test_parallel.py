"""Many at once in one repository: nobody fails, no slot doubles, nothing is left half made."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.command_line import Adw, user_hook
from tests.support.repositories import anywhere, branches, git, make_repo, worktrees
from tests.support.stress_size import stress_size

Tally = Callable[..., None]

MANY = stress_size(12, 100)
FILES = stress_size(10, 200)


def answers(processes: Sequence[subprocess.Popen[str]], tally: Tally) -> list[tuple[int, str, str]]:
    """Wait for all of them; return exit status, stdout and stderr of each."""
    found = []
    for process in processes:
        out, err = process.communicate(timeout=600)
        found.append((process.returncode, out, err))
    tally("failures", sum(code != 0 for code, _, _ in found))
    return found


def succeeded(processes: Sequence[subprocess.Popen[str]], tally: Tally) -> None:
    assert [one for one in answers(processes, tally) if one[0] != 0] == []


def check(adw: Adw, names: Sequence[str], tally: Tally) -> None:
    """Hold each of `names` to a slot of its own and a tree that is whole; note what is not."""
    found = adw.json("status")["allocations"]
    slots = [one["slot"] for one in found.values()]
    bad = [
        name
        for name in names
        if git("status", "--porcelain", cwd=adw.directory / "trees" / name) != ""
        or not (adw.directory / "trees" / name / ".env.ports").exists()
    ]
    tally("doubled slots", len(slots) - len(set(slots)))
    tally("leaked leases", len(found.keys() - set(names)))
    tally("half-made trees", len(bad))
    assert found.keys() == set(names)
    assert len(set(slots)) == len(names)
    assert bad == []
    assert_no_locks(adw, tally)


def assert_no_locks(adw: Adw, tally: Tally) -> None:
    """Git's own locks, and ours that belong to one `create`."""
    common = adw.directory / ".git"
    left = [
        path
        for path in anywhere(common, "*.lock")
        if path.parent != common / "adw-worktree"  # sidecars, which stay
    ]
    tally("lock files left", len(left))
    assert left == []


@pytest.fixture
def clone(tmp_path: Path) -> Adw:
    """Return the command line in a clone with some files to check out."""
    origin = make_repo(tmp_path / "origin")
    for number in range(FILES):
        (origin / f"file{number}").write_text("line\n" * 100)
    git("add", ".", cwd=origin)
    git("commit", "--quiet", "-m", "files", cwd=origin)
    git("clone", "--quiet", str(origin), "repo", cwd=tmp_path)
    return Adw(tmp_path / "repo")


@pytest.mark.parametrize("base", ["HEAD", "origin/main"])
def test_creates_at_once(clone: Adw, base: str, tally: Tally) -> None:
    """From `origin/main` each also writes git's configuration, whose lock does not wait."""
    names = [f"a{number}" for number in range(MANY)]
    succeeded([clone.start("create", name, "--from", base) for name in names], tally)
    tally("creates", MANY)
    check(clone, names, tally)
    tracking = git(
        "for-each-ref", "--format=%(refname:short) %(upstream:short)", "refs/heads/a*",
        cwd=clone.directory,
    ).splitlines()  # fmt: skip
    upstream = "origin/main" if base == "origin/main" else ""
    assert sorted(tracking) == sorted(f"{name} {upstream}" for name in names)

    succeeded([clone.start("remove", name, "-D") for name in names], tally)
    tally("removes", MANY)
    assert worktrees(clone.directory) == [str(clone.directory)]
    assert branches(clone.directory) == {"main"}
    leaked = clone.json("status")["allocated"]
    tally("leaked leases", leaked)
    assert leaked == 0
    assert "branch.a" not in git("config", "--list", cwd=clone.directory)
    assert_no_locks(clone, tally)


RAW = """\
for n in 1 2 3; do
    for try in 1 2 3 4 5; do git worktree add -q -b "raw$1-$n" "../raw$1-$n" && break; done
    echo mine > "../raw$1-$n/mine"
    git worktree list > /dev/null
done
rm "../raw$1-1/mine"
for try in 1 2 3 4 5; do git worktree remove "../raw$1-1" && break; done
exit 0
"""


@pytest.mark.thorough
@pytest.mark.parametrize("base", ["HEAD", "origin/main"])
def test_creates_among_removes_reconciles_lists_and_plain_git(
    clone: Adw, base: str, tally: Tally
) -> None:
    """Plain git may fail over itself here; none of ours may, and none may touch git's trees."""
    half = MANY // 2
    old, new = [[f"{kind}{number}" for number in range(half)] for kind in ("old", "new")]
    succeeded([clone.start("create", name) for name in old], tally)
    others = [
        subprocess.Popen(
            ["sh", "-c", RAW, "sh", str(number)], cwd=clone.directory,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for number in range(max(2, MANY // 20))
    ]  # fmt: skip
    processes = []
    for number in range(half):
        processes.append(clone.start("create", new[number], "--from", base))
        processes.append(clone.start("remove", old[number], "-D"))
        if number % 3 == 0:
            processes += [clone.start("reconcile"), clone.start("list")]
    found = answers(processes, tally)
    for other in others:
        other.wait(timeout=600)
    assert [one for one in found if one[0] != 0] == []
    tally("creates", 2 * half)
    tally("removes", half)
    check(clone, new, tally)
    kept = [path for path in clone.directory.parent.glob("raw*-*") if (path / ".git").exists()]
    lost = [path for path in kept if path.name[-1] != "1" and not (path / "mine").exists()]
    tally("lost work", len(lost))
    assert lost == []
    listed = set(worktrees(clone.directory))
    assert {str(path) for path in kept} <= listed


def test_no_lock_is_held_while_files_are_checked_out_and_hooks_run(adw: Adw) -> None:
    """A create that hangs in its hook must not keep another from its slot."""
    gate = adw.directory.parent / "gate"
    user_hook("post-create", f'if [ "$ADW_ID" = slow ]; then while [ ! -e {gate} ]; '
              "do sleep 0.05; done; fi")  # fmt: skip
    slow = adw.start("create", "slow", quiet=True)
    try:
        while not (adw.directory / "trees" / "slow" / ".env.ports").exists():
            assert slow.poll() is None
        adw("create", "quick", ADW_LOCK_TIMEOUT="30")
        adw("remove", "quick", "-D", ADW_LOCK_TIMEOUT="30")
        assert slow.poll() is None
    finally:
        gate.touch()
        assert slow.wait(timeout=60) == 0


def test_tree_is_filled_by_gits_parallel_checkout(clone: Adw, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    clone("create", "a", GIT_TRACE2_EVENT=str(trace))
    fills = [line for line in trace.read_text().splitlines() if '"reset"' in line]
    assert any("checkout.workers=0" in line for line in fills)
