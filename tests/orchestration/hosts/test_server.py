"""A server that has the store: how it is set up, what is wrong with it, and when it is away."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from adw_worktree.errors import StoreError, StoreUnavailable
from adw_worktree.orchestration.store.copying import OF_HOSTS, TABLES
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.listening import Listening
from adw_worktree.orchestration.store.opening import connect_to_server, open_file_store
from adw_worktree.orchestration.store.postgres import place_of
from adw_worktree.orchestration.store.server_tables import migrate_server
from tests.support import server_store
from tests.support.command_line import Adw
from tests.support.features import phase, start, state_dir, statuses, work
from tests.support.hosts import Host
from tests.support.machine import settle
from tests.support.postgres_server import Server
from tests.support.repositories import git

pytestmark = pytest.mark.file_store


def failure(adw: Adw, url: str, *words: str) -> dict[str, str]:
    """Return the error of a command with a store at this address."""
    error: dict[str, str] = adw.json(*words, code=None, ADW_STORE=url)["error"]
    return error


# ---- what is wrong with it ---------------------------------------------------------------------


def test_a_server_that_is_not_there_is_named_without_its_password(adw: Adw) -> None:
    url = "postgresql://me:geheim@127.0.0.1:1/adw"
    error = failure(adw, url, "feature", "list")
    assert error["code"] == "store-unavailable"
    assert "adw on 127.0.0.1:1 cannot be reached" in error["message"]
    assert "geheim" not in f"{error}"
    assert "setting store" in error["hint"]


def test_a_database_that_is_not_there_is_made_by_two_commands(adw: Adw, postgres: Server) -> None:
    url = server_store.url_of(postgres, "phases")
    error = failure(adw, url, "feature", "list")
    assert 'database "phases" does not exist' in error["message"]
    assert "createdb" in error["hint"]
    postgres.run("CREATE DATABASE phases")
    error = failure(adw, url, "feature", "list")
    assert (error["code"], error["hint"]) == ("store", "adw-worktree store migrate")
    made = adw.json("store", "migrate", ADW_STORE=url)["made"]
    assert len(made) == 2
    assert adw.json("store", "migrate", ADW_STORE=url)["made"] == []
    assert adw.json("feature", "list", ADW_STORE=url)["features"] == []


def test_a_server_that_takes_no_writes_is_refused(adw: Adw, url: str, postgres: Server) -> None:
    name = url.partition("?")[0].rpartition("/")[2]
    postgres.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    error = failure(adw, url, "feature", "list")
    assert "takes no writes" in error["message"]
    assert "primary" in error["hint"]


def test_a_server_without_connections_left_is_waited_for(
    adw: Adw, url: str, postgres: Server
) -> None:
    [most] = postgres.run("SHOW max_connections")
    with ExitStack() as opened:
        for _ in range(int(most)):
            try:
                opened.enter_context(psycopg.connect(url))
            except psycopg.OperationalError:
                break
        error = failure(adw, url, "feature", "list")
        assert error["code"] == "store-unavailable"
        assert "max_connections" in error["hint"]
    settle(lambda: adw("feature", "list", code=None, ADW_STORE=url).code == 0, "it stays full")


def test_a_role_without_rights_is_told_so(adw: Adw, url: str, postgres: Server) -> None:
    name = url.partition("?")[0].rpartition("/")[2]
    postgres.run("DROP ROLE IF EXISTS nobody_much")
    postgres.run("CREATE ROLE nobody_much LOGIN")
    error = failure(adw, url.replace("postgres@", "nobody_much@"), "feature", "list")
    assert error["code"] == "store"
    assert "permission denied" in error["message"]
    postgres.run(f"REVOKE ALL ON DATABASE {name} FROM nobody_much")


def test_tables_of_a_later_version_are_left_alone(adw: Adw, url: str) -> None:
    with closing(connect_to_server(url)) as database:
        database.execute("UPDATE meta SET version = 99")
    assert failure(adw, url, "feature", "list")["code"] == "store-too-new"
    assert failure(adw, url, "store", "migrate")["code"] == "store-too-new"


def test_a_repository_cannot_name_the_store(adw: Adw, url: str) -> None:
    (adw.directory / "adw-worktree.toml").write_text(f'store = "{url}"\n')
    assert "not for a repository to set" in adw("list", code=3).stderr


def test_a_repository_without_a_remote_cannot_be_shared(adw: Adw, url: str) -> None:
    file = adw.directory.parent / "x.toml"
    file.write_text('slug = "x"\ntitle = "X"\n[[phases]]\nnumber = 1\ntitle = "P"\nrun = "true"\n')
    error = failure(adw, url, "feature", "start", str(file), "--yes")
    assert "has no origin" in error["message"]
    assert failure(adw, url, "store", "backup", "x.db")["code"] == "store"


def test_no_message_has_a_password() -> None:
    for url in ("postgresql://me:geheim@db/x", "postgresql://db/x?password=geheim", "nonsense"):
        assert "geheim" not in place_of(url) if url.startswith("postgres") else True


# ---- a pool of connections before it -----------------------------------------------------------


@pytest.fixture
def pooled(url: str, postgres: Server, tmp_path: Path) -> Iterator[str]:
    """Return the address of the store behind pgbouncer in transaction mode."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    place = Path(str(postgres.directory), "pool")
    place.mkdir(exist_ok=True)
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(place, user)
    (place / "users").write_text('"postgres" ""\n')
    (place / "pool.ini").write_text(
        f"[databases]\n* = host={postgres.directory}\n[pgbouncer]\npool_mode = transaction\n"
        f"listen_addr =\nunix_socket_dir = {place}\nlisten_port = 6432\nauth_type = trust\n"
        f"auth_file = {place}/users\n"
    )
    process = subprocess.Popen(
        [program, str(place / "pool.ini")],
        user=user,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
    )
    name = url.partition("?")[0].rpartition("/")[2]
    try:
        settle(lambda: (place / ".s.PGSQL.6432").exists(), "pgbouncer does not listen")
        yield f"postgresql://postgres@/{name}?host={quote(str(place), safe='/')}&port=6432"
    finally:
        process.terminate()
        process.wait()


def test_commands_work_behind_a_pool_in_transaction_mode(adw: Adw, pooled: str) -> None:
    assert adw.json("feature", "list", ADW_STORE=pooled)["features"] == []
    assert adw.json("worker", ADW_STORE=pooled)["hosts"] == []


def test_listening_behind_such_a_pool_is_refused_and_says_what_to_do(pooled: str) -> None:
    with pytest.raises(StoreError, match="delivers no notifications") as caught:
        Listening(pooled, lambda: None)
    assert "store_listen" in str(caught.value.hint)


def test_a_worker_listens_past_the_pool(hosts: list[Host], url: str, pooled: str) -> None:
    anna, _ = hosts
    anna.environ |= {"ADW_STORE": pooled, "ADW_STORE_LISTEN": url}
    anna.work()
    start(anna, "x", phase(1), phase(2, needs=[1]))
    settle(lambda: {*statuses(anna, "x").values()} == {"completed"}, "it does not work")


def test_a_worker_behind_such_a_pool_alone_is_refused(hosts: list[Host], pooled: str) -> None:
    anna, _ = hosts
    anna.environ["ADW_STORE"] = pooled
    told = anna("work", "--until-idle", code=None)
    assert told.code == 3
    assert "delivers no notifications" in told.stderr


# ---- away and back -----------------------------------------------------------------------------


def test_what_runs_outlives_the_server(hosts: list[Host], postgres: Server, tmp_path: Path) -> None:
    anna, _ = hosts
    anna.environ["ADW_LEASE"] = "60"
    anna.work()
    go, ran = tmp_path / "go", tmp_path / "ran"
    start(
        anna, "x", phase(1, f"touch {ran}; while [ ! -e {go} ]; do sleep 0.05; done", "echo 1 >a",
                         "git add a", "git commit -qm a"), phase(2, needs=[1]),
    )  # fmt: skip
    settle(ran.exists, "it does not run")
    postgres.kill()
    go.touch()
    time.sleep(1.0)  # it ends while the server is away
    postgres.start()
    settle(lambda: {*statuses(anna, "x").values()} == {"completed"}, anna.said())
    attempts = anna.json("phase", "show", "x.1")["attempts"]
    assert [one["end_reason"] for one in attempts] == ["completed"]
    assert "it waits" in anna.said()


def test_whoever_listens_hears_of_commits_after_an_outage(url: str, postgres: Server) -> None:
    heard: list[int] = []
    listening = Listening(url, lambda: heard.append(1))
    try:
        postgres.kill()
        postgres.start()
        settle(lambda: bool(heard), "it is not told that it may have missed something")
        before = len(heard)
        with closing(connect_to_server(url)) as database, database.transaction():
            database.execute("UPDATE gate SET max_running = 4")
        settle(lambda: len(heard) > before, "it hears nothing any more")
    finally:
        listening.close()


def test_a_connection_that_broke_is_made_anew(url: str, postgres: Server) -> None:
    with closing(connect_to_server(url)) as database:
        postgres.kill()
        with pytest.raises(StoreUnavailable):
            database.execute("SELECT 1")
        with pytest.raises(StoreUnavailable), database.transaction():
            pass
        postgres.start()
        with database.transaction():
            database.execute("UPDATE gate SET max_running = 5")
        postgres.kill()
        postgres.start()
        with database.transaction():  # it was not noticed yet that the connection is broken
            assert database.execute("SELECT max_running FROM gate") == [(5,)]
        postgres.kill()
        postgres.start()
        assert database.execute("SELECT max_running FROM gate") == [(5,)]


def test_a_writer_that_sleeps_with_the_gate_loses_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adw_worktree.orchestration.store import postgres

    monkeypatch.setattr(postgres, "_GATE", postgres._GATE.replace("'15s'", "'200ms'"))
    with closing(connect_to_server(url)) as sleeper, closing(connect_to_server(url)) as other:
        with pytest.raises(StoreUnavailable), sleeper.transaction():
            sleeper.execute("UPDATE gate SET max_running = 9")
            time.sleep(0.6)
            with other.transaction():
                other.execute("UPDATE gate SET max_running = 2")
            sleeper.execute("UPDATE gate SET max_running = 9")
        assert other.execute("SELECT max_running FROM gate") == [(2,)]


# ---- moving in and out -------------------------------------------------------------------------


def rows(database: Database, table: str) -> list[str]:
    """Return the rows of a table but for what tells one host from many."""
    own = {"features": {"repository", "place", "added_on", "host", "tip"}}.get(table, set())
    if database.is_shared:
        found = database.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = ?", [table]
        )
    else:
        found = [(row[1],) for row in database.execute(f"PRAGMA table_info({table})")]
    columns = ", ".join(sorted(str(name) for [name] in found if name not in own))
    return sorted(map(repr, database.execute(f"SELECT {columns} FROM {table}")))


def test_all_tables_are_copied_or_said_again() -> None:
    import re

    from adw_worktree.orchestration.store.schema import MIGRATIONS

    made = set(re.findall(r"CREATE TABLE (\w+)", " ".join(MIGRATIONS)))
    assert {*TABLES, *OF_HOSTS, "meta"} == made


def test_a_store_moves_to_a_server_and_back_with_nothing_lost(
    adw: Adw, url: str, tmp_path: Path
) -> None:
    server_store.give_remote(adw.directory, tmp_path / "remote.git")
    start(adw, "one", phase(1), phase(2, "exit 3", needs=[1]), phase(3, needs=[2]))
    work(adw)
    with closing(open_file_store(state_dir())) as file:
        before = {table: rows(file, table) for table in TABLES}
    copied = adw.json("store", "copy", "file", "server", ADW_STORE=url)["copied"]
    assert copied["phases"] == 3
    with closing(connect_to_server(url)) as server:
        assert {table: rows(server, table) for table in TABLES} == before
    assert "not empty" in adw("store", "copy", "file", "server", code=7, ADW_STORE=url).stderr
    host = Host("me", Path.home(), adw.directory, url)
    host.environ = {"ADW_STORE": url}
    host("phase", "retry", "one.2")
    assert statuses(host, "one")[2] == "ready"
    start(host, "two", phase(1))
    host("work", "--until-idle")
    assert statuses(host, "two") == {1: "completed"}

    shutil.move(state_dir() / "phases" / "phases.db", tmp_path / "old.db")
    for beside in state_dir().glob("phases/phases.db-*"):
        beside.unlink()
    adw("store", "copy", "server", "file", ADW_STORE=url)
    with closing(connect_to_server(url)) as server:
        after = {table: rows(server, table) for table in TABLES}
    with closing(open_file_store(state_dir())) as file:
        assert {table: rows(file, table) for table in TABLES} == after
    start(adw, "three", phase(1))
    work(adw)
    assert statuses(adw, "three") == {1: "completed"}
    assert git("rev-parse", "--verify", "feature/two", cwd=adw.directory)


def test_nothing_is_copied_while_something_runs(adw: Adw, url: str, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    start(adw, "one", phase(1, f"touch {ran}; sleep 60"))
    settle(ran.exists, "it does not run")
    assert adw("store", "copy", "file", "server", code=None, ADW_STORE=url).code != 0
    with closing(connect_to_server(url)) as server:
        assert server.execute("SELECT count(*) FROM features") == [(0,)]
    adw("phase", "cancel", "one.1")
    work(adw)


def test_tables_are_made_once_by_many(postgres: Server) -> None:
    postgres.run("CREATE DATABASE phases")
    url = server_store.url_of(postgres, "phases")
    with ExitStack() as opened:
        several = [opened.enter_context(closing(connect_to_server(url))) for _ in range(3)]
        for database in several:
            migrate_server(database)
        assert several[0].execute("SELECT count(*) FROM gate") == [(1,)]
