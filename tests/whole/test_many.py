"""Many worktrees, many leases: what a command opens and writes grows with them once, or not at all.

Counted, not timed: a clock tells another story on each machine.
"""

from __future__ import annotations

import json
import shutil

import pytest

from adw_worktree.pool.lease import ports_of
from adw_worktree.project import open_project
from tests.support.command_line import Adw
from tests.support.opened import Opened, opened_by, opened_by_command
from tests.support.repositories import git
from tests.support.starts import made

LEDGER = "port_allocations.json"


def entry_of(adw: Adw) -> str:
    """Return the name of the repository's file in the registry."""
    project = open_project(adw.directory)
    (file,) = (project.state_dir / "ledgers").glob("*.json")
    return file.name


def of_worktrees(opened: Opened, adw: Adw) -> dict[str, int]:
    """Return how often each file was opened that belongs to one worktree, by its path."""
    places = (str(adw.directory / ".git" / "worktrees"), str(adw.directory / "trees"))
    return {path: times for path, times in opened.opens.items() if path.startswith(places)}


@pytest.mark.parametrize("command", ["list", "status"])
def test_a_look_opens_each_file_of_a_worktree_once(adw: Adw, command: str) -> None:
    made(adw, *(f"a{number}" for number in range(4)))
    opened = of_worktrees(opened_by_command(command, adw.directory), adw)
    assert set(opened.values()) == {1}
    assert len(opened) == 4 * len(["gitdir", "adw-worktree.json", ".git"])


@pytest.mark.parametrize("command", ["list", "status", "reconcile"])
def test_a_look_reads_ledger_and_registry_no_more_often_with_more_worktrees(
    adw: Adw, command: str
) -> None:
    counts = []
    for names in (["a"], ["b", "c", "d", "e"]):
        made(adw, *names)
        opened = opened_by_command(command, adw.directory)
        counts.append((opened.of(LEDGER), opened.of(entry_of(adw)), sum(opened.renames.values())))
    assert counts[0] == counts[1]
    assert counts[0][2] == 0


def adopting(adw: Adw, monkeypatch: pytest.MonkeyPatch, first: int, last: int) -> Opened:
    """Have worktrees that plain git made adopted."""
    for number in range(first, last):
        git("worktree", "add", "--quiet", f"trees/w{number}", cwd=adw.directory)
    monkeypatch.setenv("ADW_ADOPT", "true")
    opened = opened_by_command("reconcile", adw.directory)
    assert len(open_project(adw.directory).pool.leases()) == last + 1
    return opened


def test_adopting_many_writes_the_ledger_as_often_as_adopting_a_few(
    adw: Adw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each wrote all leases, and looked at all worktrees: 200 took as long as 40,000."""
    made(adw, "a")  # so that the registry knows of it before
    few = adopting(adw, monkeypatch, 0, 3)
    many = adopting(adw, monkeypatch, 3, 15)
    entry = entry_of(adw)
    for name in (LEDGER, entry, "exclude"):
        assert many.renames[name] <= few.renames[name], name
        assert many.of(name) <= few.of(name), name
    assert many.renames[LEDGER] == 1
    assert many.renames["adw-worktree.json"] == 2 * 12
    assert many.renames[".env.ports"] == 12
    # Those that had leases before are looked at as often as each new one.
    looks = of_worktrees(many, adw)
    old, new = (
        max(times for path, times in looks.items() if f"/{name}/" in path) for name in ("w0", "w9")
    )
    assert max(old, new) <= 8


def test_releasing_many_writes_the_ledger_once(adw: Adw) -> None:
    made(adw, *(f"a{number}" for number in range(6)))
    shutil.rmtree(adw.directory / "trees")
    opened = opened_by_command("reconcile", adw.directory)
    assert open_project(adw.directory).pool.leases() == {}
    assert (opened.renames[LEDGER], opened.renames[entry_of(adw)]) == (1, 1)


def test_mending_many_writes_the_ledger_once_for_each_kind(adw: Adw) -> None:
    """Three worktrees were moved by git, three by hand, three lost their receipts."""
    made(adw, *(f"{kind}{number}" for kind in "abc" for number in range(3)))
    trees, admins = adw.directory / "trees", adw.directory / ".git" / "worktrees"
    for number in range(3):
        git("worktree", "move", f"trees/a{number}", f"trees/A{number}", cwd=adw.directory)
        (trees / f"b{number}").rename(trees / f"B{number}")
        (admins / f"c{number}" / "adw-worktree.json").unlink()
    opened = opened_by_command("reconcile", adw.directory)
    assert opened.renames[LEDGER] == 3
    adw("reconcile", "--check")


def pool_of(adw: Adw, size: int) -> None:
    """Lease so many slots without worktrees."""
    project = open_project(adw.directory)
    pool = project.pool
    first = pool.reserve("first")
    with pool._transaction() as leases:
        for slot in range(1, size):
            ports = ports_of(slot, project.settings.services)
            token = f"{slot:032x}"
            leases[f"r{slot}"] = first._replace(
                adw_id=f"r{slot}", slot=slot, ports=ports, token=token
            )


PAIR = """
from adw_worktree import PortPool
pool = PortPool()
pool.get_allocation("x")
told.clear()
pool.reserve("x")
pool.release("x")
"""


@pytest.mark.parametrize("size", [3, 30])
def test_reserving_and_releasing_read_and_write_each_file_as_often_as_they_must(
    adw: Adw, size: int
) -> None:
    """Inside the lock each is read anew, and written once; `release` looks first without it."""
    pool_of(adw, size)
    opened = opened_by(PAIR, adw.directory)
    entry = entry_of(adw)
    assert (opened.renames[LEDGER], opened.renames[entry]) == (2, 2)
    assert (opened.of(LEDGER), opened.of(entry)) == (3, 2)


def test_reserving_parses_nothing_that_was_read_before(adw: Adw) -> None:
    """A ledger of thousands takes longer to parse than to write."""
    pool_of(adw, 30)
    counted = """
import json
from adw_worktree.pool import document
parsed = []
loads = document.json.loads
json.loads = lambda data, **options: parsed.append(len(data)) or loads(data, **options)
"""
    told = adw.directory.parent / "parsed.json"
    opened_by(f"{counted}{PAIR}\nopen({str(told)!r}, 'w').write(json.dumps(parsed))", adw.directory)
    parsed = json.loads(told.read_text())
    size = (adw.directory / "agents" / LEDGER).stat().st_size
    assert sum(length >= size // 2 for length in parsed) == 1
