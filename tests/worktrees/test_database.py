"""A database for each ADW, on a real server: made, handed over, kept, dropped, and never another's.

What would be lost is somebody's data; what would leak is disk.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from adw_worktree.errors import AdwError, DatabaseFailed, DatabaseTaken
from adw_worktree.pool.lease import Lease
from adw_worktree.project import Project, open_project
from adw_worktree.settings.database_url import check_url, database_name, program_url, server_url
from adw_worktree.worktrees import postgres as databases_of_adws
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.create_plan import Wish
from adw_worktree.worktrees.files.variables import env_text, variables
from adw_worktree.worktrees.reconcile import reconcile
from adw_worktree.worktrees.remove import Removed, remove
from adw_worktree.worktrees.remove_checks import Consent
from adw_worktree.worktrees.restore import discard, restore
from tests.support.checkout import CHECKOUT
from tests.support.command_line import Adw
from tests.support.machine import settle
from tests.support.postgres_server import SEEDED, Server
from tests.support.repositories import branches, git, make_repo, worktrees
from tests.support.stress_size import stress_size


def of_user(text: str) -> None:
    """Write the user's own settings."""
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "adw-worktree" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(text)


def asked(server: Server, more: str = "") -> str:
    return f'[postgres]\nurl = "{server.url}"\ntemplate = "{SEEDED}"\n{more}\n'


@pytest.fixture
def server(postgres: Server) -> Server:
    """Return a server that the user's settings name, and its template."""
    of_user(asked(postgres))
    return postgres


def resting(server: Server) -> set[str]:
    return {name for name in server.databases() if name.startswith("adw_worktree_")}


def word(server: Server, database: str | None) -> list[str]:
    return server.run("SELECT word FROM seed", database=str(database))


def write_word(server: Server, database: str | None) -> None:
    server.run("UPDATE seed SET word = 'written'", database=str(database))


@contextmanager
def connected(server: Server, database: str) -> Iterator[subprocess.Popen[str]]:
    """Stay connected to a database, as a program would that was left running."""
    pipe = subprocess.PIPE
    environment = {**os.environ, "PGAPPNAME": "left-behind"}
    client = subprocess.Popen(
        server.psql(database), stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment
    )
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write("SELECT 'here';\n")
    client.stdin.flush()
    assert client.stdout.readline() == "here\n"
    try:
        yield client
    finally:
        client.kill()
        client.communicate()


# In this process, which is quicker: a command has to load the driver anew.


def project(adw: Adw) -> Project:
    return open_project(adw.directory)


def made(adw: Adw, adw_id: str = "a", branch: str | None = None) -> Lease:
    return create(project(adw), adw_id, Wish(branch=branch)).lease


def worked_in(adw: Adw) -> Lease:
    lease = made(adw)
    (Path(str(lease.path)) / "new").write_text("new\n")
    return lease


def removed(adw: Adw, adw_id: str = "a", *, force: bool = False) -> Removed:
    return remove(project(adw), adw_id, Consent(force=force))


def in_the_trash(adw: Adw) -> Lease:
    lease = worked_in(adw)
    assert removed(adw, force=True).database_dropped is None
    return lease


def reconciled(adw: Adw) -> list[str]:
    """Make the full pass; return what it mended."""
    done = reconcile(project(adw))
    assert done.failed == []
    # Files of what was removed may still be deleted in the background.
    return [action.kind for action in done.repaired if action.kind != "finish"]


def variable(adw: Adw, name: str = "DATABASE_URL", adw_id: str = "a") -> str:
    there = project(adw)
    return variables(there, there.pool.leases()[adw_id])[name]


def assert_nothing_was_made(adw: Adw, server: Server, *others: str) -> None:
    assert server.databases() == {*others}
    assert branches(adw.directory) == {"main"}
    assert worktrees(adw.directory) == [str(adw.directory)]
    assert project(adw).pool.leases() == {}


# ---- what it is for ----------------------------------------------------------------------------


def test_create_makes_a_database_from_the_template_and_tells_programs(
    adw: Adw, server: Server
) -> None:
    answer = adw.json("create", "a")
    name = f"repo_{answer['slot']}"
    assert answer["database"] == name
    assert server.databases() == {name}
    psql = server.programs / "psql"
    asks = f'{psql} -XAtqc "SELECT current_database(), word FROM seed" "$DATABASE_URL"'
    assert adw("run", "a", "--", "sh", "-c", asks).stdout == f"{name}|grown\n"
    assert f"database {name}\n" in adw("create", "a").stdout


def test_remove_drops_it_whoever_is_connected(adw: Adw, server: Server) -> None:
    name = str(made(adw).database)
    with connected(server, name) as client:
        gone = adw("remove", "a")
        assert f"dropped database {name}\n" in gone.stdout
        assert server.databases() == set()
        client.communicate("SELECT 1;\n")
        assert client.returncode != 0


def test_each_adw_has_a_database_of_its_own(adw: Adw, server: Server) -> None:
    first, second = made(adw).database, made(adw, "b").database
    write_word(server, first)
    assert (word(server, first), word(server, second)) == (["written"], ["grown"])
    assert removed(adw).database_dropped == first
    assert server.databases() == {second}


def test_create_again_leaves_the_data_and_makes_what_is_missing(adw: Adw, server: Server) -> None:
    of_user("")
    assert made(adw).database is None
    of_user(asked(server))
    name = made(adw).database
    write_word(server, name)
    assert made(adw).database == name
    assert word(server, name) == ["written"]
    server.run(f"DROP DATABASE {name}")
    made(adw)
    assert word(server, name) == ["grown"]
    assert f"/{name}?" in variable(adw)


def test_the_name_is_kept_when_the_setting_or_the_branch_changes(adw: Adw, server: Server) -> None:
    of_user(asked(server, 'database = "{branch}_{adw_id}"'))
    tree = Path(str(made(adw, branch="topic/X").path))
    assert server.databases() == {"topic_x_a"}
    git("switch", "--quiet", "--create", "other", cwd=tree)
    of_user(asked(server, 'database = "new_{adw_id}"'))
    assert reconciled(adw) == ["refresh"]
    assert made(adw).database == "topic_x_a"
    assert "/topic_x_a?" in variable(adw)
    removed(adw)
    assert server.databases() == set()


def test_a_renamed_adw_keeps_its_database(adw: Adw, server: Server) -> None:
    of_user(asked(server, 'database = "{adw_id}"'))
    write_word(server, made(adw).database)
    adw("rename", "a", "b")
    assert "/a?" in variable(adw, adw_id="b")
    assert made(adw, "b").database == "a"
    assert reconciled(adw) == []
    assert word(server, "a") == ["written"]
    assert removed(adw, "b").database_dropped == "a"


def test_hooks_find_it_and_values_can_name_it(adw: Adw, server: Server) -> None:
    psql = server.programs / "psql"
    hook = f"""[hooks]\npost-create = '{psql} -Xqc "CREATE TABLE migrated()" "$DB"'\n"""
    of_user(asked(server, 'variable = "DB"') + hook + '[values]\nPGDATABASE = "{database}"\n')
    name = made(adw).database
    assert server.run("TABLE migrated", database=str(name)) == []
    assert variable(adw, "PGDATABASE") == name
    assert "DATABASE_URL" not in env_text(project(adw), made(adw))


@pytest.mark.thorough
def test_many_at_once_get_one_each(adw: Adw, server: Server) -> None:
    names = [f"a{number}" for number in range(stress_size(4, 20))]
    with ThreadPoolExecutor(len(names)) as pool:
        found = list(pool.map(lambda name: adw.json("create", name)["database"], names))
        assert server.databases() == set(found)
        assert len(set(found)) == len(names)

        def replace(name: str) -> str:
            # The slot is free, and another's, before its database is dropped.
            adw("remove", name)
            return str(adw.json("create", f"{name}-next")["database"])

        found = list(pool.map(replace, names))
    assert server.databases() == set(found)
    assert len(set(found)) == len(names)


def test_several_that_make_what_is_missing_make_it_once(adw: Adw, server: Server) -> None:
    of_user("")
    made(adw)
    of_user(asked(server))
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: adw.json("create", "a")["database"], range(3)))
    assert server.databases() == set(found)
    assert word(server, found[0]) == ["grown"]


def test_one_that_another_makes_meanwhile_is_ours(
    adw: Adw, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came between two looks at the server, and was taken for a stranger's."""
    of_user("")
    made(adw)
    of_user(asked(server))
    has = databases_of_adws.Server.has
    names: list[str] = []

    def has_by_now(self: databases_of_adws.Server, name: str) -> bool:
        if not names:
            names.append(name)
            adw("create", "a")
        return has(self, name)

    monkeypatch.setattr(databases_of_adws.Server, "has", has_by_now)
    lease = create(open_project(adw.directory), "a").lease
    assert server.databases() == {lease.database} == {*names}


def test_the_copy_of_one_that_came_late_goes(adw: Adw, server: Server) -> None:
    """It was taken for the worktree's database, which then stood in its way."""
    name = str(made(adw).database)
    write_word(server, name)
    comments = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname"
    [comment] = server.run(f"{comments} = '{name}'")
    mark = dict(word.split("=") for word in comment.split()[1:])
    late = f"adw_worktree_{mark['repo']}_{mark['token']}"
    server.run(f'CREATE DATABASE "{late}" TEMPLATE "{SEEDED}"')
    assert adw.json("create", "a")["database"] == name
    assert server.databases() == {name}
    assert word(server, name) == ["written"]


# ---- nothing is left ---------------------------------------------------------------------------


def test_create_that_fails_drops_it(adw: Adw, server: Server) -> None:
    of_user(asked(server) + "[hooks]\npost-create = 'false'\n")
    with pytest.raises(AdwError, match="post-create"):
        made(adw)
    assert_nothing_was_made(adw, server)


def test_create_that_is_interrupted_drops_it(adw: Adw, server: Server) -> None:
    adw("create", "a", code=128 + signal.SIGTERM, ADW_FAULT="database.copied=term")
    assert_nothing_was_made(adw, server)


def test_a_signal_during_the_copy_ends_the_copy(adw: Adw, server: Server) -> None:
    """The server would go on, and have the database when nobody looks any more."""
    with connected(server, SEEDED):  # for which the server waits
        process = adw.start("create", "a")
        copying = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE DATABASE %'"
        settle(lambda: server.run(f"{copying} AND pid <> pg_backend_pid()") != [], "no copy")
        process.terminate()
        stderr = process.communicate(timeout=60)[1]
        assert (process.returncode, "ignored" in stderr) == (128 + signal.SIGTERM, False)
        assert server.run(f"{copying} AND pid <> pg_backend_pid()") == []
    assert_nothing_was_made(adw, server)


STEPS: list[tuple[str, str, Callable[[Adw], object] | None]] = [
    ("create a", "database.copied", None),
    ("create a", "database.named", None),
    ("remove a", "database.dropped", made),
    ("remove -f a", "retire.settled", worked_in),
    ("remove -f a", "database.closed", worked_in),
    ("remove -f a", "database.resting", worked_in),
    ("restore a", "database.named", in_the_trash),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("command", "point", "before"), STEPS)
def test_killed_at_a_step_leaves_no_database_that_nothing_needs(
    adw: Adw, server: Server, command: str, point: str, before: Callable[[Adw], object] | None
) -> None:
    if before is not None:
        before(adw)
    adw(*command.split(), code=-signal.SIGKILL, ADW_FAULT=f"{point}=kill")
    reconciled(adw)
    back = command == "restore a"
    assert len(server.databases()) == (back or "-f" in command)
    assert len(resting(server)) == ("-f" in command)
    if "-f" in command:
        assert word(server, restore(project(adw), "a").lease.database) == ["grown"]
    else:
        assert word(server, made(adw).database) == ["grown"]
    assert len(server.databases()) == 1
    assert reconciled(adw) == []


def test_a_leak_is_named_by_a_dry_run_and_dropped_by_reconcile(adw: Adw, server: Server) -> None:
    lease = made(adw)
    shutil.rmtree(str(lease.path))
    git("worktree", "prune", cwd=adw.directory)
    for flag, code in (("--dry-run", 0), ("--check", 10)):
        planned = adw.json("reconcile", flag, code=code)
        assert [one["action"] for one in planned["repaired"]] == ["drop"]
        assert str(lease.database) in planned["repaired"][0]["reason"]
    adw("list")  # which releases the slot, and connects to no server
    assert server.databases() == {lease.database}
    assert "needs-drop" in {one["code"] for one in adw.json("doctor", code=10)["problems"]}
    assert [one["action"] for one in adw.json("reconcile")["repaired"]] == ["drop"]
    assert server.databases() == set()


def test_a_leak_is_in_nobodys_way(adw: Adw, server: Server) -> None:
    """The slot of a killed `create` is the next one's, and its database has the name wanted."""
    adw("create", "a", code=-signal.SIGKILL, ADW_FAULT="database.named=kill")
    (name,) = server.databases()
    write_word(server, name)
    assert made(adw, "b").database == name
    assert word(server, name) == ["grown"]


# ---- in the trash ------------------------------------------------------------------------------


def test_it_comes_back_with_its_worktree(adw: Adw, server: Server) -> None:
    name = str(worked_in(adw).database)
    write_word(server, name)
    with connected(server, name):
        assert removed(adw, force=True).database_dropped is None
    assert server.databases() == resting(server) != set()
    assert made(adw, "b").database == name  # of the same slot
    back = adw.json("restore", "a")
    assert back["database"] == f"repo_{back['slot']}" != name
    assert (word(server, back["database"]), word(server, name)) == (["written"], ["grown"])
    assert f"/{back['database']}?" in variable(adw)
    reconciled(adw)
    assert server.databases() == {name, back["database"]}


def test_it_goes_for_good_with_its_worktree(adw: Adw, server: Server) -> None:
    in_the_trash(adw)
    discard(project(adw), "a")
    assert server.databases() == set()
    of_user("trash_days = 0\n" + asked(server))
    name = worked_in(adw).database
    assert removed(adw, force=True).database_dropped == name
    assert server.databases() == set()


def test_restore_that_fails_keeps_it(adw: Adw, server: Server) -> None:
    write_word(server, worked_in(adw).database)
    removed(adw, force=True)
    adw("restore", "a", code=3, ADW_FAULT="database.named=eio")
    reconciled(adw)
    (name,) = server.databases()
    assert resting(server) == {name}
    assert word(server, restore(project(adw), "a").lease.database) == ["written"]
    assert len(server.databases()) == 1


# ---- nobody else's -----------------------------------------------------------------------------


def test_a_database_of_that_name_is_neither_used_nor_dropped(adw: Adw, server: Server) -> None:
    of_user(asked(server, 'database = "mine_{adw_id}"'))
    server.run("CREATE DATABASE mine_a TEMPLATE seeded")
    write_word(server, "mine_a")
    refused = adw.json("create", "a", code=7)["error"]
    assert refused["code"] == "database-taken"
    assert "mine_a" in refused["message"]
    assert_nothing_was_made(adw, server, "mine_a")
    reconciled(adw)
    assert word(server, "mine_a") == ["written"]


def test_the_name_of_another_adws_database_is_said_to_be_that(adw: Adw, server: Server) -> None:
    of_user(asked(server, 'database = "{adw_id}"'))
    made(adw, "a.b")
    with pytest.raises(DatabaseTaken, match=r"the database a_b is that of the ADW a\.b"):
        made(adw, "a-b")
    assert server.databases() == {"a_b"}


def test_the_name_of_another_repositorys_database_is_said_to_be_that(
    adw: Adw, server: Server, tmp_path: Path
) -> None:
    """`reconcile` here never drops that one."""
    of_user(asked(server, 'database = "{adw_id}"'))
    made(Adw(make_repo(tmp_path / "there" / "repo")), "b")
    refused = adw.json("create", "b", code=7)["error"]
    assert refused["message"] == "the database b is that of the ADW b of another repository"
    assert "reconcile" not in refused["hint"]


def test_one_that_may_not_be_dropped_is_named_with_the_servers_reason(
    adw: Adw, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_user(asked(server, 'database = "w_{adw_id}"'))
    shutil.rmtree(str(made(adw, "c").path))
    adw("list")  # its slot is free, its database still there
    server.run("CREATE ROLE stranger LOGIN CREATEDB")
    try:
        of_user(asked(server, 'database = "w_{adw_id}"').replace("postgres@", "stranger@"))
        failed = adw.json("create", "c", code=3, ADW_LOCK_TIMEOUT="0.5")["error"]
    finally:
        server.run("DROP ROLE stranger")
    assert failed["code"] == "database-failed"
    assert "the database w_c of c cannot be dropped yet" in failed["message"]
    assert "must be owner of database w_c" in failed["message"]
    assert failed["hint"]
    assert server.databases() == {"w_c"}


def test_what_a_person_made_is_left_alone(adw: Adw, server: Server) -> None:
    token, repo = "0" * 32, "1" * 16
    comments = {
        "repo_0_copy": f"made from the one with adw-worktree: token={token}",
        f"adw_worktree_{repo}_{token}": f"adw-worktree: token={token} repo={repo} adw_id=a",
        "repo_98": "adw-worktree: token=x repo=y adw_id=z",
        "adw_worktree_backup": "",
        'odd "name"': "",
    }
    for name, comment in comments.items():
        quoted = name.replace('"', '""')
        server.run(f'CREATE DATABASE "{quoted}"')
        server.run(f"COMMENT ON DATABASE \"{quoted}\" IS '{comment}'")
    made(adw)
    removed(adw)
    assert reconciled(adw) == []
    assert server.databases() == set(comments)


def test_a_database_without_our_comment_stays(adw: Adw, server: Server) -> None:
    """Which is how a person keeps one that ours was."""
    name = made(adw).database
    server.run(f"COMMENT ON DATABASE {name} IS NULL")
    assert removed(adw).database_dropped is None
    reconciled(adw)
    assert server.databases() == {name}


def test_another_repositorys_is_left_alone(adw: Adw, server: Server, tmp_path: Path) -> None:
    theirs = Adw(make_repo(tmp_path / "there" / "repo"))
    in_use = made(theirs).database
    shutil.rmtree(str(made(theirs, "leaked").path))
    theirs("list")
    assert reconciled(adw) == []
    made(adw)
    removed(adw)
    assert len(server.databases()) == 2
    reconciled(theirs)
    assert server.databases() == {in_use}


@pytest.mark.thorough
def test_a_copy_of_the_repository_touches_nothing_of_the_original(
    adw: Adw, server: Server, tmp_path: Path
) -> None:
    """It has the same identity, the same tokens, the same trash."""
    of_user(asked(server, 'database = "{repo}_{adw_id}"'))
    write_word(server, worked_in(adw).database)
    removed(adw, force=True)
    made(adw, "b")
    copies = [Adw(tmp_path / name) for name in ("first", "second")]
    for copy in copies:
        shutil.copytree(adw.directory, copy.directory, symlinks=True)
    # One takes it up while it rests, and drops it, the other while the original uses it.
    assert word(server, restore(project(copies[0]), "a").lease.database) == ["grown"]
    removed(copies[0], force=True)
    assert word(server, restore(project(adw), "a").lease.database) == ["written"]
    planned = reconcile(project(copies[1]), dry_run=True).repaired
    assert "drop" not in [action.kind for action in planned]
    back = restore(project(copies[1]), "a", as_id="e").lease
    assert (back.database, word(server, "second_e")) == ("second_e", ["grown"])
    made(copies[1], "f")
    for name in ("f", "e"):
        removed(copies[1], name, force=True)
    for copy, name in zip(copies, ("a", "e"), strict=True):
        discard(project(copy), name)
        reconcile(project(copy))
    assert server.databases() == {"repo_a", "repo_b"}
    assert word(server, "repo_a") == ["written"]


def test_a_repository_that_moved_keeps_and_drops_its_own(
    adw: Adw, server: Server, tmp_path: Path
) -> None:
    name = made(adw).database
    moved = Adw(adw.directory.rename(tmp_path / "moved"))
    reconciled(moved)
    assert server.databases() == {name}
    assert made(moved).database == name
    assert removed(moved).database_dropped == name
    assert server.databases() == set()


# ---- what cannot be known ----------------------------------------------------------------------


def test_a_lost_ledger_drops_nothing(adw: Adw, server: Server) -> None:
    name = made(adw).database
    (adw.directory / "agents" / "port_allocations.json").unlink()
    reconciled(adw)
    assert server.databases() == {name}
    assert f"/{name}?" in variable(adw)


@pytest.mark.parametrize("what", ["receipt", "trash"])
def test_what_cannot_be_read_drops_nothing(adw: Adw, server: Server, what: str) -> None:
    of_user(asked(server, 'database = "{repo}_{adw_id}"'))
    in_the_trash(adw)
    made(adw, "b")
    common = adw.directory / ".git"
    if what == "receipt":
        # So that it is unknown which databases are in use: no ledger, registry or env file tells.
        (adw.directory / "agents" / "port_allocations.json").write_text("{}")
        (common / "worktrees" / "b" / "adw-worktree.json").write_text("damaged")
        shutil.rmtree(Path(os.environ["XDG_STATE_HOME"]) / "adw-worktree")
        (adw.directory / "trees" / "b" / ".env.ports").unlink()
    else:
        (record,) = common.glob("adw-worktree/trash/*/entry.json")
        record.write_text("damaged")
    before = server.databases()
    done = adw.json("reconcile", code=3)
    assert [one["error"]["code"] for one in done["failed"]] == ["file-unusable"]
    made(adw, "c")
    assert server.databases() == before | {"repo_c"}


# ---- without the server ------------------------------------------------------------------------


@pytest.mark.thorough
def test_without_the_server_all_else_goes_on(adw: Adw, server: Server) -> None:
    in_the_trash(adw)
    made(adw, "b")
    shutil.rmtree(str(made(adw, "c").path))
    server.stop()
    try:
        failed = adw.json("create", "d", code=3)["error"]
        assert failed["code"] == "database-failed"
        assert "cannot be reached" in failed["message"]
        assert branches(adw.directory) == {"main", "a", "b", "c"}
        for command in ("list", "status", "env b", "path b"):
            assert adw(*command.split()).stderr == ""
        with pytest.raises(DatabaseFailed):
            restore(project(adw), "a")
        assert [one["adw_id"] for one in adw.json("restore")["kept"]] == ["a"]
        done = adw.json("reconcile", code=3)
        assert [one["error"]["code"] for one in done["failed"]] == ["database-failed"]
        assert [one["action"] for one in done["repaired"]] == ["prune"]
        gone = adw("remove", "b")
        assert "a database stays for now" in gone.stderr
        assert not (adw.directory / "trees" / "b").exists()
    finally:
        server.start()
    assert reconciled(adw) == ["drop", "drop"]
    assert server.databases() == resting(server)
    restore(project(adw), "a")


@pytest.mark.thorough
def test_who_keeps_the_template_from_being_copied_is_named(adw: Adw, server: Server) -> None:
    with (
        connected(server, SEEDED),
        pytest.raises(DatabaseFailed, match=r"connected to it: left-behind \(pid \d+\)$"),
    ):
        made(adw)
    assert_nothing_was_made(adw, server)


def test_a_template_that_is_not_there_is_named(adw: Adw, server: Server) -> None:
    of_user(asked(server).replace(SEEDED, "sown"))
    with pytest.raises(DatabaseFailed, match="'sown'"):
        made(adw)
    assert_nothing_was_made(adw, server)


def test_a_role_that_may_not_is_told_what_it_needs(adw: Adw, server: Server) -> None:
    server.run("CREATE ROLE poor LOGIN")
    try:
        of_user(asked(server).replace("postgres@", "poor@"))
        failed = adw.json("create", "a", code=3)["error"]
        assert "CREATEDB" in failed["hint"]
        assert_nothing_was_made(adw, server)
    finally:
        server.run("DROP ROLE poor")


def test_without_psycopg_it_says_what_to_install(adw: Adw, server: Server, tmp_path: Path) -> None:
    (tmp_path / "psycopg.py").write_text("raise ImportError('no pq wrapper available')\n")
    assert "undone" not in adw("create", "a", code=3, PYTHONPATH=str(tmp_path)).stderr
    failed = adw.json("create", "a", code=3, PYTHONPATH=str(tmp_path))["error"]
    assert failed["code"] == "library-missing"
    assert failed["hint"].endswith(" -m pip install 'psycopg[binary]>=3.1.4'")
    assert_nothing_was_made(adw, server)


# ---- who asks for it ---------------------------------------------------------------------------


def test_a_repositorys_own_file_needs_approval_before_anything_connects(
    adw: Adw, server: Server
) -> None:
    """Its url could lead anywhere, and take a password of ours there."""
    of_user("")
    own = adw.directory / "adw-worktree.toml"
    own.write_text(asked(server))
    refused = adw.json("create", "a", code=9)["error"]
    assert refused["code"] == "hook-untrusted"
    assert "postgres.url" in refused["message"]
    assert reconciled(adw) == []
    assert_nothing_was_made(adw, server)
    assert f"postgres.url={server.url}" in adw("trust", "--yes").stdout
    name = made(adw).database
    assert server.databases() == {name}
    own.write_text(asked(server, 'variable = "LD_PRELOAD"'))
    adw("env", "a", code=9)
    assert "nobody has approved" in adw("remove", "a").stderr
    assert server.databases() == {name}
    own.write_text(asked(server))
    assert reconciled(adw) == ["drop"]


def test_an_empty_table_of_the_repository_asks_too(adw: Adw) -> None:
    (adw.directory / "adw-worktree.toml").write_text("[postgres]\n")
    refused = adw.json("create", "a", code=9)["error"]
    assert refused["message"].endswith("nobody has approved: postgres.enabled")


def test_a_user_can_do_without(adw: Adw, server: Server) -> None:
    (adw.directory / "adw-worktree.toml").write_text(asked(server))
    of_user("[postgres]\nenabled = false\n")
    assert made(adw).database is None
    assert server.databases() == set()


def test_a_database_outlives_the_setting(adw: Adw, server: Server) -> None:
    name = str(made(adw).database)
    of_user("")
    assert name in adw("remove", "a").stderr
    assert server.databases() == {name}
    of_user(asked(server))
    assert reconciled(adw) == ["drop"]


def test_no_other_command_loads_the_driver(adw: Adw, server: Server) -> None:
    made(adw)
    for command in ("list", "env a"):
        ran = subprocess.run(
            [sys.executable, "-v", "-m", "adw_worktree", *command.split()],
            cwd=adw.directory, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "import 'psycopg" not in ran.stderr
        assert "import 'adw_worktree.databases" not in ran.stderr


# ---- names and urls ----------------------------------------------------------------------------


def test_odd_names_become_plain_ones(server: Server, tmp_path: Path) -> None:
    adw = Adw(make_repo(tmp_path / """it's "a" {repo}; DROP $1"""))
    of_user(asked(server, 'database = "{repo}_{branch}_{slot}"'))
    lease = made(adw, branch="x\";--'ü")
    assert lease.database == f"it_s_a_repo_drop_1_x_{lease.slot}"
    assert server.databases() == {lease.database}
    removed(adw)
    assert server.databases() == set()


def test_a_name_too_long_for_the_server_still_tells_adws_apart() -> None:
    first, second = (
        database_name("{repo}_{slot}", {"repo": "x" * 80, "slot": slot}) for slot in ("1", "2")
    )
    assert first != second
    assert len(first) == len(second) == 63


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql:///", "postgresql:///app_1"),
        ("postgres://u@h:5432", "postgres://u@h:5432/app_1"),
        ("postgresql+asyncpg://u:p@h/dev?ssl=on", "postgresql+asyncpg://u:p@h/app_1?ssl=on"),
        ("postgresql://u:p%40ss@[::1],h2:5433/x", "postgresql://u:p%40ss@[::1],h2:5433/app_1"),
        ("postgresql://u:it's$`\\@h/", "postgresql://u:it%27s%24%60%5C@h/app_1"),
        ("postgresql:///?host=/run/pg", "postgresql:///app_1?host=/run/pg"),
    ],
)
def test_the_name_is_put_into_the_url(url: str, told: str) -> None:
    assert program_url(check_url(url), "app_1") == told


NO_URLS = ["mysql://h/", "postgresql:/x", "host=h", "postgresql://h/a/b", "postgresql://h/?dbname=x",
           "postgresql://h/#x", "postgresql://a b@h/"]  # fmt: skip


@pytest.mark.parametrize("url", NO_URLS)
def test_what_no_name_can_be_put_into_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        check_url(url)


_TEXT = st.text("aZ09-._~'\"$`\\!()*äß%", min_size=1, max_size=12)


@hypothesis_settings(deadline=None, max_examples=50)
@given(_TEXT, _TEXT)
def test_a_url_means_the_same_to_libpq_and_is_one_word_to_sh(user: str, password: str) -> None:
    given_as = f"{user}:{password}".replace("%", "%25")
    url = check_url(f"postgresql://{given_as}@localhost/dev")
    told = program_url(url, "app_1")
    assert conninfo_to_dict(told) == {**conninfo_to_dict(server_url(url)), "dbname": "app_1"}
    assert told.isascii()
    assert not set(told) & set("'\"$`\\ ")


def test_a_password_reaches_programs(adw: Adw, server: Server) -> None:
    of_user(asked(server).replace("postgres@", "postgres:it's$HOME@"))
    made(adw)
    psql = server.programs / "psql"
    asks = f'. ./.env.ports; {psql} -XAtqc "SELECT word FROM seed" "$DATABASE_URL"'
    assert adw("run", "a", "--", "sh", "-c", asks).stdout == "grown\n"
    assert "it%27s%24HOME" in variable(adw)


# ---- these tests -------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_server_is_gone_with_the_tests_that_were_killed(server: Server) -> None:
    """Nobody else would ever end it."""
    code = (
        "import os; from tests.support import postgres_server as p; "
        "print(p.running().directory, flush=True); os._exit(9)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 9, ran.stderr
    directory = Path(ran.stdout.strip())
    assert directory.name.startswith("adw-pg-")
    settle(lambda: not (directory / "data" / "postmaster.pid").exists(), "it goes on")
    shutil.rmtree(directory)
