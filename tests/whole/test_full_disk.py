"""A disk that fails in the middle of a command: no lease, no work and no old state is lost.

Every call by which a command changes the disk is made to fail once, and to fail from then on, in
our own process or in git's. The ordinary run takes a sample, ADW_STRESS every one.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from adw_worktree.project import open_project
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.reconcile import reconcile
from tests.support.checkout import CHECKOUT
from tests.support.command_line import Adw, Ran
from tests.support.machine import settle
from tests.support.repositories import branches, git, make_repo
from tests.support.starts import busy_in, spares_of, with_old_spare, with_spare, without_spare
from tests.support.stress_size import count, stress_size

FULL = stress_size(0, 10_000) // 10
_USUAL_CALLS = {"python": 20, "git": 8}
CONTRACT = {0, 2, 3, 4, 5, 6, 7, 8, 9, 10}


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library that makes calls fail, compiled; skip where that cannot be."""
    compiler = shutil.which("cc")
    if compiler is None or not Path("/proc").is_dir():
        pytest.skip("needs a C compiler and a loader that knows LD_PRELOAD")
    library = tmp_path_factory.mktemp("shim") / "faulty.so"
    source = CHECKOUT / "tests" / "support" / "faulty.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@dataclass(frozen=True)
class Fault:
    """Which call of whose fails, how, and whether the later ones do as well."""

    who: str
    at: int
    error: int
    lasts: bool
    path: str = ""
    """What is in the path of each call that counts."""


def run_with(adw: Adw, shim: Path, fault: Fault, words: list[str]) -> tuple[Ran, int]:
    """Run the command line with `fault`; return what it left, and the calls that were counted."""
    count = adw.directory.parent / "count"
    count.write_bytes(bytes(8))
    temporary = adw.directory.parent / "tmp"
    temporary.mkdir(exist_ok=True)
    only = {"FAULT_PATH": fault.path} if fault.path else {}
    faulty = {
        "LD_PRELOAD": str(shim),
        "FAULT_WHO": fault.who,
        "FAULT_AT": str(fault.at),
        "FAULT_ERRNO": str(fault.error),
        "FAULT_LASTS": str(int(fault.lasts)),
        "FAULT_COUNT": str(count),
        "TMPDIR": str(temporary),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ran = adw(*words, cwd=None, code=None, **faulty, **only)
    return ran, int.from_bytes(count.read_bytes(), "little")


def prepare(root: Path) -> Adw:
    """Return the command line in a repository with worktrees `a` and `b` and a reservation `r`.

    In `b` somebody is at work.
    """
    adw = Adw(make_repo(root / "repo"))
    project = open_project(adw.directory)
    for adw_id in ("a", "b"):
        create(project, adw_id)
    project.pool.reserve("r")
    (adw.directory / "trees" / "b" / "work").write_text("of days")
    return adw


def forget_env_file(adw: Adw) -> None:
    (adw.directory / "trees" / "a" / ".env.ports").unlink()


def disorder(adw: Adw) -> None:
    """Leave something of each kind for `reconcile` to do."""
    trees = adw.directory / "trees"
    create(open_project(adw.directory), "gone")
    create(open_project(adw.directory), "moved")
    shutil.rmtree(trees / "gone")
    (trees / "moved").rename(trees / "elsewhere")
    (trees / "a" / ".env.ports").unlink()
    (adw.directory / ".git" / "worktrees" / "b" / "adw-worktree.json").unlink()


def damage(adw: Adw) -> None:
    (adw.directory / "agents" / "port_allocations.json").write_text('{"half')


def work(adw: Adw) -> None:
    (adw.directory / "trees" / "a" / "new").write_text("new")


def trashed(adw: Adw) -> None:
    work(adw)
    adw("remove", "a", "-f", "-D")


def foreign_hook(adw: Adw) -> None:
    """One in whose place ours has to stand."""
    hook = adw.directory / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/usr/bin/env python3\n")
    hook.chmod(0o755)


def installed(adw: Adw) -> None:
    foreign_hook(adw)
    adw("hooks", "install")


def requests(adw: Adw) -> None:
    (adw.directory / "adw-worktree.toml").write_text('[hooks]\npost-create = "true"\n')
    git("add", "adw-worktree.toml", cwd=adw.directory)
    git("commit", "--quiet", "-m", "hooks", cwd=adw.directory)


def remote(adw: Adw) -> None:
    git("remote", "add", "origin", str(make_repo(adw.directory.parent / "theirs")),
        cwd=adw.directory)  # fmt: skip
    git("fetch", "--quiet", "origin", cwd=adw.directory)


def request(adw: Adw) -> None:
    """Open request 7 at the remote."""
    remote(adw)
    theirs = adw.directory.parent / "theirs"
    git("commit", "--quiet", "--allow-empty", "-m", "asked", cwd=theirs)
    git("update-ref", "refs/pull/7/head", "HEAD", cwd=theirs)


def unmerged(adw: Adw) -> None:
    """Commit in `a` what is nowhere else."""
    work(adw)
    git("add", "new", cwd=adw.directory / "trees" / "a")
    git("commit", "--quiet", "-m", "work", cwd=adw.directory / "trees" / "a")


def diverged(adw: Adw) -> None:
    """Commit in `a`, and on the branch that it goes into."""
    unmerged(adw)
    git("commit", "--quiet", "--allow-empty", "-m", "later", cwd=adw.directory)


def nothing(_: Adw) -> None:
    pass


COMMANDS: dict[str, tuple[list[str], Callable[[Adw], None]]] = {
    "create": (["create", "c"], nothing),
    "create again": (["create", "a"], forget_env_file),
    "create on a reservation": (["create", "r"], nothing),
    "create tracking": (["create", "c", "--from", "origin/main"], remote),
    "create from a request": (["create", "c", "--pr", "7"], request),
    "remove": (["remove", "a", "-d"], nothing),
    "remove with work": (["remove", "a", "-f"], work),
    "remove with commits": (["remove", "a", "-D"], unmerged),
    "finish": (["finish", "a"], unmerged),
    "finish with a merge": (["finish", "a", "--squash"], diverged),
    "restore": (["restore", "a"], trashed),
    "rename": (["rename", "b", "d"], nothing),
    "discard": (["restore", "a", "--discard"], trashed),
    "hooks install": (["hooks", "install"], foreign_hook),
    "hooks uninstall": (["hooks", "uninstall"], installed),
    "trust": (["trust", "--yes"], requests),
    "reserve": (["reserve", "s"], nothing),
    "release": (["release", "r"], nothing),
    "reconcile": (["reconcile"], disorder),
    "damaged ledger": (["status"], damage),
    "create from a spare": (["create", "c"], with_spare),
    "create from an old spare": (["create", "c"], with_old_spare),
    "fill spares": (["spares", "fill", "--wait"], without_spare),
    "refresh spares": (["spares", "fill", "--wait"], with_old_spare),
}


def troubles(
    adw: Adw, words: list[str], ran: Ran, before: dict[str, int], fault: Fault
) -> list[str]:
    """Return what is wrong after `words` met a fault and space is back; empty if nothing is."""
    found = []
    repo = adw.directory
    settle(lambda: not busy_in(repo), "something goes on in the background")
    ledger = repo / "agents" / "port_allocations.json"
    if ran.code not in CONTRACT:
        found.append(f"exit {ran.code}: {ran.stderr}")
    if list((repo.parent / "tmp").glob("adw-worktree-*")):
        found.append(f"reported as a bug: {ran.stderr}")
    if ran.code not in (0, 4, 10) and not {"hint:", "note:"} & set(ran.stderr.split()):
        found.append(f"no hint: {ran.stderr}")
    if ledger.exists():
        try:
            json.loads(ledger.read_bytes())
        except ValueError:
            if words != ["status"]:
                found.append("the ledger is damaged")
    works = [repo / "trees" / name / "work" for name in ("b", "d")]
    if [path.read_text() for path in works if path.exists()] != ["of days"]:
        found.append("work was lost")
    after = {key: one["slot"] for key, one in adw.json("status")["allocations"].items()}
    if "new" in before and not [
        place for place in (repo, repo / "trees/a", *repo.glob(".git/adw-worktree/trash/*/tree"))
        if (place / "new").exists()
    ]:  # fmt: skip
        found.append("removed work was lost")
    leaving = {words[1]} if words[0] in ("remove", "release", "restore", "finish") else set()
    if "d" in after:
        leaving.add("b")
        if after["d"] != before["b"]:
            found.append(f"d has not the slot of b: {before} became {after}: {ran.stderr}")
    can_write = fault.who != "git" or not fault.lasts  # or git cannot put back either
    if words[0] == "finish" and can_write and git("status", "--porcelain", cwd=repo):
        found.append(f"the target's checkout is not as it was: {ran.stderr}")
    for adw_id in ("a", "b", "r"):
        if after.get(adw_id) != before[adw_id] and adw_id not in leaving:
            found.append(f"{adw_id} lost its lease: {before} became {after}: {ran.stderr}")
    if len(set(after.values())) != len(after):
        found.append(f"a slot is leased twice: {after}")
    if fault.who == "git" and fault.error == errno.EIO:
        # Locks that git could not delete: it asks a person to. A full disk is no excuse for one.
        trash = repo / ".git" / "adw-worktree" / "trash"
        for lock in repo.glob(".git/**/*.lock"):
            if lock.parent.name not in ("adw-worktree", "creating") and lock.parent != trash:
                lock.unlink()
    found += remains(adw, set(adw.json("status")["allocations"]))
    again = adw(*words, code=None)
    if again.code not in ({0, 6, 7} if words[0] == "restore" else {0, 6} if leaving else {0}):
        found.append(f"repeated: exit {again.code}: {again.stderr}; first {ran.code} {ran.stderr}")
    settle(lambda: not busy_in(repo), "something goes on in the background")
    project = open_project(repo)
    reconcile(project)
    left = reconcile(project, dry_run=True)
    if left.found_something:
        found.append(f"reconcile never ends: {left}; first {ran.stderr}")
    leases = project.pool.leases()
    trees = {path.name for path in (repo / "trees").iterdir()} - {"elsewhere"}
    with_worktree = {key for key, one in leases.items() if one.has_worktree} - {"moved"}
    if trees != with_worktree:
        found.append(f"worktrees {trees}, leases {with_worktree}; first {ran.stderr}")
    if words == ["reconcile"] and leases.get("moved") is None:
        found.append(f"moved lost its lease; first {ran.stderr}")
    litter = [*repo.glob(".git/**/*.lock"), *repo.glob("agents/.*"), *repo.glob("trees/*/.*.tmp")]
    sidecars = ("adw-worktree", "spares")
    litter = [path for path in litter if path.parent.name not in sidecars]
    litter += repo.glob(".git/adw-worktree/trash/*.*ing")
    if litter:
        found.append(f"left behind: {litter}")
    try:
        spares_of(repo)
    except AssertionError as exc:
        found.append(f"spares: {exc} {ran.stderr}")
    return found


def remains(adw: Adw, leased: set[str]) -> list[str]:
    """Return what `create` left of `c` that has no lease, or should have gone although it has."""
    repo = adw.directory
    listed = git("for-each-ref", "--format=%(refname)", "refs/adw-worktree", cwd=repo).split()
    left: dict[str, Sequence[object]] = {
        "fetched ref": [ref for ref in listed if "/trash/" not in ref]
    }
    if "c" not in leased:
        left |= {
            "branch": [name for name in branches(repo) if name == "c"],
            "directory": list(repo.glob("trees/c")),
            "entry": list(repo.glob(".git/worktrees/c*")),
            "configuration": git(
                "config", "--get-regexp", r"^branch\.c\.", cwd=repo, check=False
            ).splitlines(),
        }
    return [f"the {what} of c stays" for what, found in left.items() if found]


def inject(root: Path, shim: Path, name: str, fault: Fault) -> tuple[list[str], int]:
    """Run a command with a fault in a fresh repository; return troubles and calls."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    shutil.rmtree(os.environ["XDG_STATE_HOME"], ignore_errors=True)
    adw = prepare(root)
    words, upset = COMMANDS[name]
    before = {key: one.slot for key, one in open_project(adw.directory).pool.leases().items()}
    upset(adw)
    if upset in (work, unmerged, diverged, trashed) and name != "discard":
        before["new"] = 0
    ran, counted = run_with(adw, shim, fault, words)
    return troubles(adw, words, ran, before, fault), counted


WITHOUT_GIT = {"create again", "hooks install", "hooks uninstall", "trust", "reserve", "release",
               "damaged ledger"}  # fmt: skip
"""What changes the disk without a git command that does."""
CASES = [(name, "python") for name in COMMANDS]
CASES += [(name, "git") for name in COMMANDS if name not in WITHOUT_GIT]
USUAL = [
    ("create", "python"),
    ("create", "git"),
    ("remove with work", "python"),
    ("restore", "python"),
    ("reconcile", "python"),
    ("create from a spare", "python"),
    ("create from a spare", "git"),
    ("rename", "python"),
    ("rename", "git"),
    ("fill spares", "git"),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "who"), CASES if FULL else USUAL)
def test_a_disk_that_fails_at_any_call_loses_nothing(
    tmp_path: Path, shim: Path, name: str, who: str
) -> None:
    """A full disk ended `create` as a bug of ours, and what was half made stayed."""
    choice = random.Random(None if FULL else f"{name} {who}")
    kinds = [(error, lasts) for error in (errno.ENOSPC, errno.EIO) for lasts in (False, True)]
    if FULL:
        # A full disk lets more calls succeed than a broken one.
        calls = {error: inject(tmp_path / "root", shim, name, Fault(who, 0, error, False))[1]
                 for error in (errno.ENOSPC, errno.EIO)}  # fmt: skip
        assert calls[errno.EIO], "nothing that could fail"
        faults = [Fault(who, at, *kind) for kind in kinds for at in range(1, calls[kind[0]] + 1)]
    else:
        faults = [Fault(who, choice.randint(1, _USUAL_CALLS[who]), *choice.choice(kinds))]
    faults = choice.sample(faults, min(len(faults), FULL or 1))
    bad = []
    for fault in faults:
        found, counted = inject(tmp_path / "root", shim, name, fault)
        assert counted >= fault.at, "the fault never struck"
        bad += [f"{fault}: {one}" for one in found]
    count("faults", len(faults))
    count("not healed", len(bad))
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("remove with work", Fault("python", 1, errno.ENOSPC, False, ".removing")),
        ("create from a request", Fault("git", 3, errno.ENOSPC, True, "refs/adw-worktree/")),
    ],
)
def test_a_fault_at_one_thing_loses_nothing(
    tmp_path: Path, shim: Path, name: str, fault: Fault
) -> None:
    """The trash without room was reported as a bug; a fetched ref that stayed was forgotten."""
    found, calls = inject(tmp_path / "root", shim, name, fault)
    assert calls >= fault.at, "the fault never struck"
    count("faults")
    assert not found, "\n".join(found)
